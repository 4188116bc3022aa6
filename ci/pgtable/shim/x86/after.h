/* SPDX-License-Identifier: GPL-2.0 */
pteval_t __supported_pte_mask = ~(pteval_t)0;
