/* SPDX-License-Identifier: GPL-2.0 */
#define HOST_PAGE_NONE pfn_pte(1, __P000)
