/* SPDX-License-Identifier: GPL-2.0 */
#define ASM_CONST(x) x
