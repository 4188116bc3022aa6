/* SPDX-License-Identifier: GPL-2.0 */
#define TASK_SIZE 0xbf000000UL
#define PAGE_OFFSET CONFIG_PAGE_OFFSET
#define HOST_PAGE_NONE pfn_pte(1, __PAGE_NONE)
