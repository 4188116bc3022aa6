/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fast pin against fork(), which does not take the entry away while it looks
 * for pins, but has mm->write_protect_seq.
 *
 * needed: SEQ MB_FORK WMB_END MB_PIN
 * spare: WMB_BEGIN RMB_BEGIN RMB_RETRY RMB_PIN
 * reached: PINNED SHARED COPIED LATE
 *
 * spare: there for others, or for arches and counts that order less than those that
 * the model allows; here nothing goes wrong without each of them, nor without all.
 * Without SEQ fork() does not raise the count, as for hugetlb before.
 */
#include "order.h"

#define READ_ONLY	1
#define WRITABLE	2

byte pte;
bit flag = 1;		/* PG_anon_exclusive */
bit has_pinned;
byte pins, seq;
bit ended_fork, ended_pin;
bit shared, copied;	/* what fork() made of the page */
bit trusted, late;	/* a pin on a page that nobody shares; after the fork */

/* The page table lock and mmap_lock are held */
#define F_BEGIN		0
#define F_HAS		1
#define F_LOOK		2
#define F_FLAG		3
#define F_PROTECT	4
#define F_END		5

#ifdef NO_SEQ
#define ODD		0
#define EVEN		0
#else
#define ODD		1
#define EVEN		2
#endif
#ifdef NO_MB_FORK
#define LOOK_AFTER	0
#ifdef NO_WMB_BEGIN
#define STORE_AFTER	0
#else
#define STORE_AFTER	BIT(F_BEGIN)
#endif
#else
#define LOOK_AFTER	BIT(F_BEGIN)
#define STORE_AFTER	BIT(F_BEGIN)
#endif
#ifdef NO_WMB_END
#define END_AFTER	0
#else
#define END_AFTER	(BIT(F_FLAG) | BIT(F_PROTECT))
#endif

proctype fork()
{
	byte done, seen;
	bit has;

	do
	/* write_protect_seq_begin(): smp_wmb(), then smp_mb() */
	:: STEP(done, F_BEGIN, 0, seq = ODD)
	/* page_needs_cow_for_dma() */
	:: STEP(done, F_HAS, LOOK_AFTER, has = has_pinned)
	:: STEP(done, F_LOOK, LOOK_AFTER, seen = pins)
	/* both by what was seen (control dependency), in any order */
	:: STEP(done, F_FLAG, BIT(F_HAS) | BIT(F_LOOK) | STORE_AFTER,
		flag = ((has && seen) -> flag : 0))
	:: STEP(done, F_PROTECT, BIT(F_HAS) | BIT(F_LOOK) | STORE_AFTER,
		pte = ((has && seen) -> pte : READ_ONLY))
	/* write_protect_seq_end(): smp_wmb(); a store to the same address */
	:: STEP(done, F_END, BIT(F_BEGIN) | END_AFTER, seq = EVEN)
	:: done == 63 -> break
	od;
	atomic {
		shared = !(has && seen);
		copied = has && seen;
		ended_fork = 1
	}
}

/* lockless_pages_from_mm() and gup_pte_range(); nothing is held */
#define G_HAS		0
#define G_SEQ		1
#define G_READ		2
#define G_REF		3
#define G_PIN		4
#define G_AGAIN		5
#define G_FLAG		6
#define G_RETRY		7

#ifdef NO_RMB_BEGIN
#define AFTER_SEQ	0
#else
#define AFTER_SEQ	BIT(G_SEQ)
#endif
#ifdef NO_MB_PIN
#define AFTER_PIN	0
#else
#define AFTER_PIN	BIT(G_PIN)
#endif
#ifdef NO_RMB_PIN
#define AFTER_AGAIN	0
#else
#define AFTER_AGAIN	BIT(G_AGAIN)
#endif
#ifdef NO_RMB_RETRY
#define RETRY_AFTER	0
#else
#define RETRY_AFTER	(BIT(G_AGAIN) | BIT(G_FLAG))
#endif

proctype pin()
{
	byte first, again, before, after;
	bit exclusive;
	int done;

	do
	:: STEP(done, G_HAS, 0, has_pinned = 1)
	:: STEP(done, G_SEQ, 0, before = seq)
	/* smp_rmb() */
	:: STEP(done, G_READ, AFTER_SEQ, first = pte)
	/* one reference, fully ordered */
	:: STEP(done, G_REF, BIT(G_HAS) | BIT(G_SEQ) | BIT(G_READ), skip)
	/* the pin itself, which orders nothing */
	:: STEP(done, G_PIN, BIT(G_REF), pins = pins + 1)
	/* smp_mb__after_atomic() */
	:: STEP(done, G_AGAIN, BIT(G_REF) | AFTER_PIN, again = pte)
	/* smp_rmb() */
	:: STEP(done, G_FLAG, BIT(G_REF) | AFTER_PIN | AFTER_AGAIN,
		exclusive = flag)
	/* read_seqcount_retry(): smp_rmb() */
	:: STEP(done, G_RETRY, BIT(G_REF) | AFTER_PIN | RETRY_AFTER,
		after = seq)
	:: done == 255 -> break
	od;
	atomic {
		trusted = before != 1 && after == before && again == first &&
			  (first == WRITABLE || exclusive);
		late = before == 2;
		ended_pin = 1
	}
}

init {
	if
	:: pte = WRITABLE
	/* A page that is exclusive all the same: a pin for reading takes it */
	:: pte = READ_ONLY
	fi;
	atomic { run fork(); run pin() };
	ended_fork && ended_pin;
	assert(!(trusted && shared));
#ifdef SHOW_PINNED
	assert(!trusted);
#endif
#ifdef SHOW_SHARED
	assert(!shared);
#endif
#ifdef SHOW_COPIED
	assert(!(copied && trusted));
#endif
#ifdef SHOW_LATE
	assert(!late);
#endif
}
