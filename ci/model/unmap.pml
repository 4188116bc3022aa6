/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fast pin against somebody who takes a page away, or the right to call it
 * exclusive: swap-out, migration, KSM, the split of a THP.
 *
 * needed: MB_TAKE WMB_TAKE MB_PIN RMB_PIN
 * reached: PINNED TAKEN RESTORED
 *
 * needed: what a run leaves out by -DNO_NAME, and then there is a violation.
 * reached: -DSHOW_NAME asserts that it never comes to this, which must fail.
 */
#include "order.h"

/* Page table entries of the page: what was there first, and what may follow */
#define NONE	0
#define OLD	1
#define OTHER	2	/* present as well, but with other bits */
#define SWAP	3	/* anything that is not present */

byte pte = OLD;
byte new;
bit flag = 1;		/* PG_anon_exclusive */
byte pins;
bit ended_take, ended_pin;
bit taken, restored;	/* how it went for the one */
bit trusted;		/* a pin on a page that was seen as exclusive */

/* The page table lock is held */
#define T_CLEAR		0
#define T_LOOK		1
#define T_FLAG		2
#define T_SET		3

#ifdef NO_MB_TAKE
#define LOOK_AFTER	0
#else
#define LOOK_AFTER	BIT(T_CLEAR)
#endif
#ifdef NO_WMB_TAKE
#define SET_AFTER	0
#else
#define SET_AFTER	BIT(T_FLAG)
#endif

proctype take()
{
	byte done, seen;

	do
	/* ptep_get_and_clear() */
	:: STEP(done, T_CLEAR, 0, pte = NONE)
	/* smp_mb(); page_maybe_dma_pinned() */
	:: STEP(done, T_LOOK, LOOK_AFTER, seen = pins)
	/* ClearPageAnonExclusive(), by what was seen (control dependency) */
	:: STEP(done, T_FLAG, BIT(T_LOOK),
		flag = (seen -> flag : 0))
	/* smp_wmb(); set_pte_at() (control dependency, same address) */
	:: STEP(done, T_SET, BIT(T_LOOK) | BIT(T_CLEAR) | SET_AFTER,
		pte = (seen -> OLD : new))
	:: done == 15 -> break
	od;
	atomic {
		taken = !seen;
		restored = seen != 0;
		ended_take = 1
	}
}

/* gup_pte_range() and the like; nothing is held */
#define G_READ		0
#define G_REF		1
#define G_PIN		2
#define G_AGAIN		3
#define G_FLAG		4

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

proctype pin()
{
	byte done, first, again;
	bit exclusive;

	do
	:: STEP(done, G_READ, 0, first = pte)
	/* atomic_add_unless() of one reference, fully ordered; it has the address
	 * from the entry */
	:: STEP(done, G_REF, BIT(G_READ), skip)
	/* the pin itself, an atomic_add() that orders nothing */
	:: STEP(done, G_PIN, BIT(G_REF),
		pins = pins + (first == OLD || first == OTHER))
	/* smp_mb__after_atomic() */
	:: STEP(done, G_AGAIN, BIT(G_REF) | AFTER_PIN, again = pte)
	/* smp_rmb(); PageAnonExclusive() */
	:: STEP(done, G_FLAG, BIT(G_REF) | AFTER_PIN | AFTER_AGAIN,
		exclusive = flag)
	:: done == 31 -> break
	od;
	atomic {
		trusted = (first == OLD || first == OTHER) && again == first &&
			  exclusive;
		ended_pin = 1
	}
}

init {
	/* KSM write-protects what may be read-only already: the same bits */
	if
	:: new = OLD
	:: new = OTHER
	:: new = SWAP
	fi;
	atomic { run take(); run pin() };
	ended_take && ended_pin;
	assert(!(trusted && taken));
#ifdef SHOW_PINNED
	assert(!trusted);
#endif
#ifdef SHOW_TAKEN
	assert(!(taken && !trusted));
#endif
#ifdef SHOW_RESTORED
	assert(!(restored && !trusted));
#endif
}
