/* SPDX-License-Identifier: GPL-2.0 */
/* From asm/memory.h, which is about the kernel's own addresses. */
#define MT_NORMAL 0
#define MT_NORMAL_TAGGED 1
#define MT_NORMAL_NC 2
#define MT_NORMAL_WT 3
#define MT_DEVICE_nGnRnE 4
#define MT_DEVICE_nGnRE 5
#define MT_DEVICE_GRE 6
#define VA_BITS CONFIG_ARM64_VA_BITS
#define dsb(x) barrier()
#define isb() barrier()
enum { PG_mte_tagged };
bool arm64_use_ng_mappings;
#define TASK struct mm_struct *active_mm
