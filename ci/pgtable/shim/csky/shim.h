/* SPDX-License-Identifier: GPL-2.0 */
#define SHMLBA 0x4000
