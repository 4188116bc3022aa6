/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the entries of each level end: pXd_addr_end() against a division, pXd_entry_end(),
 * where the tree has it, against that, for tables of every number of levels that the arch has.
 */
#ifdef __PAGETABLE_P4D_FOLDED
#define P4D_FOLDED 1
#else
#define P4D_FOLDED 0
#endif
#ifdef __PAGETABLE_PUD_FOLDED
#define PUD_FOLDED 1
#else
#define PUD_FOLDED 0
#endif
#ifdef __PAGETABLE_PMD_FOLDED
#define PMD_FOLDED 1
#else
#define PMD_FOLDED 0
#endif

#define check_end(cond, level, addr, end) do {					\
	if (!(cond) && bad++ < SHOWN)						\
		printf("# bad: %s %#lx to %#lx: %s\n", level, addr, end, #cond);	\
} while (0)

/* Where the piece of @addr ends; an end of 0 is that of all addresses. */
static unsigned long divided(unsigned long addr, unsigned long end, unsigned int shift)
{
	unsigned long size = 1UL << shift, nr = addr / size;

	if (nr == ~0UL / size)
		return end;
	return !end || (nr + 1) * size < end ? (nr + 1) * size : end;
}

#ifdef pgd_entry_end
static unsigned long addr_end(int level, unsigned long addr, unsigned long end)
{
	switch (level) {
	case 5: return pgd_addr_end(addr, end);
	case 4: return p4d_addr_end(addr, end);
	case 3: return pud_addr_end(addr, end);
	default: return pmd_addr_end(addr, end);
	}
}

static unsigned long entry_end(int level, unsigned long entry, unsigned long addr,
			       unsigned long end)
{
	static union { unsigned long entry; pgd_t pgd; p4d_t p4d; pud_t pud; } u;

	u.entry = entry;
	switch (level) {
	case 5: return pgd_entry_end(u.pgd, addr, end);
	case 4: return p4d_entry_end(u.p4d, addr, end);
	default: return pud_entry_end(u.pud, addr, end);
	}
}

#ifdef _REGION_ENTRY_TYPE_MASK
#define LEAST_LEVELS 2
#define ENTRY(level) ((level - 2UL) << 2 | _REGION_ENTRY_INVALID)
#else
#define LEAST_LEVELS 5
#define ENTRY(level) 0
#endif

/*
 * A walk of tables of so many levels.  What it meets at a level that is folded is a copy
 * of the topmost entry: that one has an end, its copies take the range as it is.
 */
static void by_entries(int levels, unsigned long addr, unsigned long end)
{
	unsigned long next, want;
	int level, has;

	for (level = 5; level > 2; level--, end = next) {
		has = level < levels ? level : levels;
		next = entry_end(level, ENTRY(has), addr, end);
		want = level < 5 && level > levels ? end : addr_end(has, addr, end);
		check_end(next == want, "entry", addr, end);
	}
}
#endif

static void one_range(unsigned long addr, unsigned long end)
{
	unsigned long next;
	int levels;

	check_end(pgd_addr_end(addr, end) == divided(addr, end, PGDIR_SHIFT), "pgd", addr, end);
	check_end(p4d_addr_end(addr, end) ==
		  (P4D_FOLDED ? end : divided(addr, end, P4D_SHIFT)), "p4d", addr, end);
	check_end(pud_addr_end(addr, end) ==
		  (PUD_FOLDED ? end : divided(addr, end, PUD_SHIFT)), "pud", addr, end);
	check_end(pmd_addr_end(addr, end) ==
		  (PMD_FOLDED ? end : divided(addr, end, PMD_SHIFT)), "pmd", addr, end);

	next = pmd_addr_end(addr, pud_addr_end(addr, p4d_addr_end(addr, pgd_addr_end(addr, end))));
	check_end(next == divided(addr, end, PMD_FOLDED ? PGDIR_SHIFT : PMD_SHIFT), "all", addr,
		  end);
#ifdef pgd_entry_end
	for (levels = LEAST_LEVELS; levels <= 5; levels++)
		by_entries(levels, addr, end);
#endif
}

static void ranges(unsigned long addr, const unsigned int *shift, int nr)
{
	unsigned long len, end;
	int i, j;

	one_range(addr, 0);
	for (i = 0; i < nr; i++) {
		for (j = -1; j <= 1; j++) {
			len = (1UL << shift[i]) + j * PAGE_SIZE;
			end = addr + len;
			if (len && end > addr)
				one_range(addr, end);
		}
	}
}

/* Around the first and the last boundaries of each level, and somewhere. */
static void boundaries(void)
{
	const unsigned int shift[] = { PAGE_SHIFT, PMD_SHIFT, PUD_SHIFT, P4D_SHIFT, PGDIR_SHIFT };
	int i, j, nr, n = ARRAY_SIZE(shift);

	for (i = 0; i < n; i++) {
		for (nr = -2; nr <= 2; nr++) {
			for (j = -1; j <= 1; j++)
				ranges(((unsigned long)nr << shift[i]) + j * PAGE_SIZE, shift, n);
		}
	}
	for (i = 0; i < RANDOM_OFFSETS; i++)
		ranges(random64() & ~(PAGE_SIZE - 1UL), shift, n);
}
