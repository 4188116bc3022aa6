// SPDX-License-Identifier: GPL-2.0
/*
 * Swap entries in the PTEs of one arch, made by its own headers: every type, the
 * offsets at both ends, each single bit and random ones, with and without each
 * software bit.  Two results: swp_entry without the marker of
 * pte_swp_mkexclusive(), swp_pte with it.  A third, cow_prot: no PTE of a private
 * mapping can be written to before a write fault has looked whose the page is.  A
 * fourth, addr_end: where the entries of each level end.
 */
#include <linux/kconfig.h>
#include <asm/page.h>
#include <linux/pgtable.h>
#include <after.h>
#include <linux/swap.h>
#define BITS_PER_XA_VALUE (BITS_PER_LONG - 1)
#include <linux/swapops.h>

extern int printf(const char *format, ...);

#define TYPES (1UL << MAX_SWAPFILES_SHIFT)
#ifndef VARIANT_TYPES
#define VARIANT_TYPES TYPES
#endif
#define RANDOM_OFFSETS 200
#define SHOWN 5

static int bad;
static unsigned long last;	/* the last offset that an entry holds */

static u64 random64(void)
{
	static u64 x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static u64 bits(pte_t pte)
{
	return (u64)pte_val(pte);
}

static int same(pte_t a, pte_t b)
{
	return bits(a) == bits(b);
}

#define check(cond, pte, type, offset) do {					\
	if (!(cond) && bad++ < SHOWN)						\
		printf("# bad: type %lu offset %#lx pte %#llx: %s\n",		\
		       (unsigned long)(type), (unsigned long)(offset),		\
		       (unsigned long long)bits(pte), #cond);			\
} while (0)

/*
 * Never in a PTE, so it may look empty: offset 0 of an area is its header.  Where
 * the offset is stored inverted, zero is the last page of the largest area.
 */
static int unused(unsigned long type, unsigned long offset)
{
	return !type && (!offset || (offset == last && !bits(swp_entry_to_pte(swp_entry(0, last)))));
}

/* What holds for the PTE of a swap entry, whatever software bits are set. */
static void entry(pte_t pte, unsigned long type, unsigned long offset)
{
	swp_entry_t arch_entry = __pte_to_swp_entry(pte);
	swp_entry_t e = pte_to_swp_entry(pte);

	check(swp_type(e) == type, pte, type, offset);
	check(swp_offset(e) == offset, pte, type, offset);
	check(e.val == swp_entry(type, offset).val, pte, type, offset);
	check(__swp_type(arch_entry) == type, pte, type, offset);
	check(__swp_offset(arch_entry) == offset, pte, type, offset);
	check(!pte_present(pte), pte, type, offset);
	check(!(bits(pte) & VARIANT_NEVER), pte, type, offset);
#ifdef CONFIG_NUMA_BALANCING
	check(!pte_protnone(pte), pte, type, offset);
#endif
	if (!unused(type, offset))
		check(!pte_none(pte) && is_swap_pte(pte), pte, type, offset);
}

static pte_t plain(unsigned long type, unsigned long offset)
{
	return swp_entry_to_pte(swp_entry(type, offset));
}

/* Soft-dirty and uffd-wp of a PTE that may be marked. */
static void software(pte_t p, unsigned long type, unsigned long offset)
{
	pte_t q;

	check(!pte_swp_soft_dirty(p), p, type, offset);
	check(!pte_swp_uffd_wp(p), p, type, offset);
#ifdef CONFIG_HAVE_ARCH_SOFT_DIRTY
	q = pte_swp_mksoft_dirty(p);
	check(!same(q, p), p, type, offset);
	entry(q, type, offset);
	check(pte_swp_soft_dirty(q), q, type, offset);
	check(!pte_swp_uffd_wp(q), q, type, offset);
	check(same(pte_swp_clear_soft_dirty(q), p), q, type, offset);
#endif
#ifdef CONFIG_HAVE_ARCH_USERFAULTFD_WP
	q = pte_swp_mkuffd_wp(p);
	check(!same(q, p), p, type, offset);
	entry(q, type, offset);
	check(pte_swp_uffd_wp(q), q, type, offset);
	check(!pte_swp_soft_dirty(q), q, type, offset);
	check(same(pte_swp_clear_uffd_wp(q), p), q, type, offset);
#ifdef CONFIG_HAVE_ARCH_SOFT_DIRTY
	q = pte_swp_mksoft_dirty(q);
	entry(q, type, offset);
	check(pte_swp_soft_dirty(q) && pte_swp_uffd_wp(q), q, type, offset);
	check(same(pte_swp_clear_soft_dirty(pte_swp_clear_uffd_wp(q)), p), q, type, offset);
#endif
#endif
}

static void huge(unsigned long type, unsigned long offset)
{
#ifdef CONFIG_ARCH_ENABLE_THP_MIGRATION
	pte_t pte = plain(type, offset);
	pmd_t p = swp_entry_to_pmd(swp_entry(type, offset)), q = p;

	check(!pmd_present(p), pte, type, offset);
	if (!unused(type, offset))
		check(!pmd_none(p), pte, type, offset);
	check(pmd_to_swp_entry(p).val == swp_entry(type, offset).val, pte, type, offset);
#ifdef CONFIG_HAVE_ARCH_SOFT_DIRTY
	q = pmd_swp_mksoft_dirty(q);
	check(pmd_swp_soft_dirty(q) && !pmd_swp_soft_dirty(p), pte, type, offset);
	check(!pmd_present(q), pte, type, offset);
	check(pmd_to_swp_entry(q).val == swp_entry(type, offset).val, pte, type, offset);
#endif
#ifdef CONFIG_HAVE_ARCH_USERFAULTFD_WP
	q = pmd_swp_mkuffd_wp(q);
	check(pmd_swp_uffd_wp(q) && !pmd_swp_uffd_wp(p), pte, type, offset);
	check(!pmd_present(q), pte, type, offset);
	check(pmd_to_swp_entry(q).val == swp_entry(type, offset).val, pte, type, offset);
#endif
#endif
}

static void unmarked(unsigned long type, unsigned long offset)
{
	pte_t pte = plain(type, offset);

	entry(pte, type, offset);
	software(pte, type, offset);
	check(same(pte, pte_swp_clear_flags(pte)), pte, type, offset);
	huge(type, offset);
}

#ifdef MARKER
static void marked(unsigned long type, unsigned long offset)
{
	pte_t p = plain(type, offset);
	pte_t m = pte_swp_mkexclusive(p), q;
	u64 marker = bits(m) ^ bits(p);

	check(!pte_swp_exclusive(p), p, type, offset);
	check(pte_swp_exclusive(m), m, type, offset);
	check(!same(m, p), m, type, offset);
	check(same(pte_swp_mkexclusive(m), m), m, type, offset);
	check(same(pte_swp_clear_exclusive(m), p), m, type, offset);
	check(same(pte_swp_clear_exclusive(p), p), p, type, offset);
	check(same(pte_swp_clear_flags(m), p), m, type, offset);
	check(marker && !(marker & (marker - 1)), m, type, offset);
	entry(p, type, offset);
	entry(m, type, offset);
	software(m, type, offset);
#ifdef CONFIG_HAVE_ARCH_SOFT_DIRTY
	q = pte_swp_mksoft_dirty(p);
	check(!pte_swp_exclusive(q), q, type, offset);
	check(pte_swp_exclusive(pte_swp_mkexclusive(q)), q, type, offset);
	check(pte_swp_soft_dirty(pte_swp_mkexclusive(q)), q, type, offset);
	check(same(pte_swp_clear_exclusive(pte_swp_mkexclusive(q)), q), q, type, offset);
	check(same(pte_swp_clear_flags(pte_swp_mkexclusive(q)), p), q, type, offset);
#endif
#ifdef CONFIG_HAVE_ARCH_USERFAULTFD_WP
	q = pte_swp_mkuffd_wp(p);
	check(!pte_swp_exclusive(q), q, type, offset);
	check(pte_swp_exclusive(pte_swp_mkexclusive(q)), q, type, offset);
	check(pte_swp_uffd_wp(pte_swp_mkexclusive(q)), q, type, offset);
	check(same(pte_swp_clear_exclusive(pte_swp_mkexclusive(q)), q), q, type, offset);
	check(same(pte_swp_clear_flags(pte_swp_mkexclusive(q)), p), q, type, offset);
#endif
#ifdef CONFIG_ARCH_ENABLE_THP_MIGRATION
	check(!((u64)pmd_val(swp_entry_to_pmd(swp_entry(type, offset))) & marker), m, type, offset);
#endif
#ifdef HOST_SET_PTE
	HOST_SET_PTE(&q, m);
	check(pte_swp_exclusive(q), q, type, offset);
	entry(q, type, offset);
	HOST_SET_PTE(&q, p);
	check(!pte_swp_exclusive(q), q, type, offset);
#endif
}

/* A type with bits above the five must touch neither offset nor anything else. */
static void too_wide(unsigned long type, unsigned long offset)
{
	static const unsigned long wide[] = { 32, 64, 128, 256, 512, 1024, ~(TYPES - 1) };
	unsigned long i;

	for (i = 0; i < ARRAY_SIZE(wide); i++) {
		pte_t pte = __swp_entry_to_pte(__swp_entry(type | wide[i], offset));

		check(same(pte, plain(type, offset)), pte, type | wide[i], offset);
	}
}
#endif

#ifdef COW_PROT
#ifndef HOST_PRIVATE
#define HOST_PRIVATE { __P000, __P001, __P010, __P011, __P100, __P101, __P110, __P111 }
#endif
#define MAY_WRITE 2

#define check_private(cond, pte, from, to) do {					\
	if (!(cond) && bad++ < SHOWN)						\
		printf("# bad: xwr %u, then %u: pte %#llx: %s\n", from, to,	\
		       (unsigned long long)bits(pte), #cond);			\
} while (0)

/*
 * The page of a new PTE may belong to others, too, and so may that of a PTE which
 * fork() has write-protected and mprotect() changes, to and fro.
 */
static void private_mappings(void)
{
	const pgprot_t prots[8] = HOST_PRIVATE;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		pte_t fresh = pfn_pte(1, prots[i]);
		pte_t forked = pte_mkyoung(pte_mkdirty(fresh));

		if (i & MAY_WRITE) {
			forked = pte_mkwrite(forked);
			check_private(pte_write(forked), forked, i, i);
			forked = pte_wrprotect(forked);
		}
		check_private(!pte_write(fresh), fresh, i, i);
		check_private(!pte_write(pte_mkdirty(fresh)), fresh, i, i);
		check_private(!pte_write(forked), forked, i, i);
		for (j = 0; j < ARRAY_SIZE(prots); j++) {
			pte_t changed = pte_modify(forked, prots[j]);

			check_private(!pte_write(changed), changed, i, j);
			changed = pte_modify(changed, prots[i]);
			check_private(!pte_write(changed), changed, i, j);
		}
	}
}
#endif

#ifdef ADDR_END
#include "addr_end.h"
#endif

static void offsets(unsigned long type, void (*test)(unsigned long, unsigned long))
{
	unsigned long bit;
	int i;

	test(type, 0);
	for (bit = 1; bit && bit <= last; bit <<= 1) {
		test(type, bit);
		test(type, bit - 1);
		test(type, last & ~bit);
	}
	test(type, last - 1);
	test(type, last);
	for (i = 0; i < RANDOM_OFFSETS; i++)
		test(type, random64() & last);
}

static void all(void (*test)(unsigned long, unsigned long))
{
	unsigned long type;

	for (type = 0; type < VARIANT_TYPES; type++)
		offsets(type, test);
}

static void result(int number, const char *name)
{
	if (bad > SHOWN)
		printf("# and %d more\n", bad - SHOWN);
	printf("%sok %d %s\n", bad ? "not " : "", number, name);
	bad = 0;
}

int main(void)
{
	static const char *const unit[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi" };
	unsigned int width = 0, size;
	pte_t pte;

	printf("KTAP version 1\n1..%d\n", 2
#ifdef COW_PROT
	       + 1
#endif
#ifdef ADDR_END
	       + 1
#endif
	       );
	/* As generic_max_swapfile_size() of mm/swapfile.c. */
	last = swp_offset(pte_to_swp_entry(swp_entry_to_pte(swp_entry(0, ~0UL))));
	while (width < BITS_PER_LONG && last >> width)
		width++;
	size = width + PAGE_SHIFT;
	printf("# a swap area is at most %u %sB: %u bits of offset, pages of %lu KiB\n",
	       1U << size % 10, unit[size / 10], width, 1UL << (PAGE_SHIFT - 10));
	pte = plain(0, last);
	check(last && !(last & (last + 1)), pte, 0, last);
#ifdef MAX_SWAPFILES_CHECK
	MAX_SWAPFILES_CHECK();
#endif
	/* A page that may not be accessed is present to the kernel all the same. */
	pte = HOST_PAGE_NONE;
	check(pte_present(pte) && !is_swap_pte(pte), pte, 0, 0);
	all(unmarked);
	result(1, "swp_entry");
#ifdef MARKER
	printf("# the marker is bit %d\n",
	       __builtin_ffsll(bits(pte_swp_mkexclusive(plain(1, 1))) ^ bits(plain(1, 1))) - 1);
	all(marked);
	all(too_wide);
#else
	printf("# bad: no pte_swp_mkexclusive in the headers\n");
	bad = 1;
#endif
	result(2, "swp_pte");
#ifdef COW_PROT
	private_mappings();
	result(3, "cow_prot");
#endif
#ifdef ADDR_END
	boundaries();
#ifdef HOST_FOLD
	HOST_FOLD;
	boundaries();
#endif
	result(4, "addr_end");
#endif
	return 0;
}
