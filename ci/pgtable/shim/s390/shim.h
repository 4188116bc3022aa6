/* SPDX-License-Identifier: GPL-2.0 */
#define MM_CONTEXT unsigned long asce_limit, asce; int has_pgste, alloc_pgste, uses_skeys, uses_cmm; \
	atomic_t is_protected, flush_count; unsigned long vdso_base
#define TASK struct { int gmap_pfault; unsigned long gmap_addr; } thread; struct mm_struct *mm
#define MACHINE_HAS_NX 1
#define MACHINE_HAS_EDAT1 1
#define MACHINE_HAS_EDAT2 1
#define MACHINE_HAS_IDTE 1
#define MACHINE_HAS_TLB_GUEST 0
static unsigned long mio_wb_bit_mask;
