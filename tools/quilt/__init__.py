# SPDX-License-Identifier: GPL-2.0
"""What the programs in tools/ share, one idea a module."""
