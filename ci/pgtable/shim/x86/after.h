/* SPDX-License-Identifier: GPL-2.0 */
pteval_t __supported_pte_mask = ~(pteval_t)0;
#ifdef CONFIG_X86_5LEVEL
unsigned int pgdir_shift = 48;
#define HOST_FOLD (pgdir_shift = 39)
#endif
