/* SPDX-License-Identifier: GPL-2.0 */
typedef void *pgtable_t;
typedef struct { void *pte_frag, *pmd_frag; int thread; } mm_context_t;
#define TASK_SIZE CONFIG_TASK_SIZE
enum { MMU_PAGE_4K, MMU_PAGE_64K, MMU_PAGE_2M, MMU_PAGE_16M, MMU_PAGE_1G, mmu_virtual_psize = 0 };
#define MM_CONTEXT unsigned long id
static struct { unsigned long ap; int shift; } mmu_psize_defs[8];
#define radix_enabled() RADIX
