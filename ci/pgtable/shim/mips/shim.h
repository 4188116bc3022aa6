/* SPDX-License-Identifier: GPL-2.0 */
#define MIPS_CONF4_MMUEXTDEF_FTLBSIZEEXT 2
#define MIPS_CONF4_MMUEXTDEF_VTLBSIZEEXT 3
#define cpu_has_htw 0
#define MIPS_PWCTL_PWEN_SHIFT 31
#ifdef CONFIG_CPU_HAS_RIXI
#define cpu_has_rixi 1
#else
#define cpu_has_rixi 0
#endif
#define cpu_has_dc_aliases 0
static struct { int htw_seq; } raw_current_cpu_data;
static unsigned long _page_cachable_default;
#ifdef CONFIG_64BIT
#define _LLCONST_(x) x##LL
#define CONF_CM_CMASK 7
#define _CACHE_CACHABLE_NONCOHERENT_ASID 0
#endif
#undef CKSEG0
#define CKSEG0 ((unsigned long)(int)0x80000000)
static struct { u64 vmbits; int writecombine; } cpu_data[1];
#include <asm/pgtable-bits.h>
/* As setup_protection_map() of mm/cache.c fills it. */
#ifdef CONFIG_CPU_HAS_RIXI
#define MIPS_PROT(more) __pgprot(_PAGE_PRESENT | (more))
#define HOST_PRIVATE {								\
	MIPS_PROT(_PAGE_NO_EXEC | _PAGE_NO_READ), MIPS_PROT(_PAGE_NO_EXEC),	\
	MIPS_PROT(_PAGE_NO_EXEC | _PAGE_NO_READ), MIPS_PROT(_PAGE_NO_EXEC),	\
	MIPS_PROT(0), MIPS_PROT(0), MIPS_PROT(0), MIPS_PROT(0) }
#else
#define HOST_PRIVATE {								\
	PAGE_NONE, PAGE_READONLY, PAGE_COPY, PAGE_COPY,				\
	PAGE_READONLY, PAGE_READONLY, PAGE_COPY, PAGE_COPY }
#endif
