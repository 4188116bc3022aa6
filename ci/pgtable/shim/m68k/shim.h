/* SPDX-License-Identifier: GPL-2.0 */
#define m68k_fixup(type, addr) ""
#ifdef CONFIG_MMU_SUN3
#define MMU_IS_SUN3 1
#else
#define MMU_IS_SUN3 0
#endif
#define MMU_IS_851 0
#define MMU_IS_030 0
#define MMU_IS_040 0
#define MMU_IS_060 0
#define CPU_IS_020_OR_030 0
#define CPU_IS_040_OR_060 1
#define m68k_fixup_memoffset 0
#define m68k_fixup_vnode_shift 0
#define FC_CONTROL 3
struct pglist_data { int node_id; struct page *node_mem_map; unsigned long node_start_pfn; };
static struct pglist_data pg_data_map[1];
