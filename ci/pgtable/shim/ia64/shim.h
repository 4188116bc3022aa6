/* SPDX-License-Identifier: GPL-2.0 */
static struct { unsigned long unimpl_pa_mask; } *local_cpu_data;
#define __IA64_UL_CONST(x) x##UL
#define __IA64_UL(x) ((unsigned long)(x))
