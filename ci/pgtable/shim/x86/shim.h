/* SPDX-License-Identifier: GPL-2.0 */
/* Features are off, but the ones that a variant's config: asks for. */
#define cpu_feature_enabled(x) 0
#define boot_cpu_has(x) 0
#define static_cpu_has(x) 0
#define boot_cpu_has_bug(x) 0
#define this_cpu_has(x) 0
#define sme_me_mask 0ULL
#define __sme_set(x) (x)
#define __sme_clr(x) (x)
#define __visible
#define FIXMAP_PMD_NUM 1
#define native_cpuid_reg(x)
enum { XFEATURE_PKRU };
struct pkru_state { u32 pkru, pad; };
static struct { int x86; } boot_cpu_data;
static struct { bool (*is_untracked_pat_range)(u64, u64); } x86_platform;
#define TASK struct { struct { struct { int xsave; } state; } fpu; } thread
extern void *get_xsave_addr(void *, int);
