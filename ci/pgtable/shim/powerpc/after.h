/* SPDX-License-Identifier: GPL-2.0 */
#ifdef CONFIG_PPC_BOOK3S_64
#define INDEX_SIZE(level) (RADIX ? RADIX_##level##_INDEX_SIZE : H_##level##_INDEX_SIZE)
unsigned long __pte_index_size = INDEX_SIZE(PTE), __pmd_index_size = INDEX_SIZE(PMD);
unsigned long __pud_index_size = INDEX_SIZE(PUD), __pgd_index_size = INDEX_SIZE(PGD);
#endif
