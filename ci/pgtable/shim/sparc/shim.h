/* SPDX-License-Identifier: GPL-2.0 */
#ifdef CONFIG_SPARC64
/* As mm/init_64.c sets PAGE_NONE, but for the cache. */
#ifdef SUN4V
#define HOST_PAGE_NONE __pte(_PAGE_PRESENT_4V | _PAGE_ACCESSED_4V)
#else
#define HOST_PAGE_NONE __pte(_PAGE_PRESENT_4U | _PAGE_ACCESSED_4U)
#endif
#endif
#define ASI_M_FLUSH_PROBE 3
#define SRMMU_NOCACHE_VADDR 0xfc000000
enum { sun4m, sun4d, hypervisor };
static int sparc_cpu_model, tlb_type;
static struct { int enabled; } adi_state;
#define TASK struct mm_struct *mm
