/* SPDX-License-Identifier: GPL-2.0 */
#define __XTENSA_UL_CONST(x) x##UL
