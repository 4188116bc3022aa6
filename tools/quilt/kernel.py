# SPDX-License-Identifier: GPL-2.0
"""A folder with what the kernel's own scripts read of the base: the scripts,
the headers and the top files, in the cache, made once."""

import os
import shutil

from . import base, checkpatch, plain, run

TOP = ("COPYING", "CREDITS", "Kbuild", "Kconfig", "MAINTAINERS", "Makefile",
       "README", ".mailmap", ".get_maintainer.ignore", "scripts", "include",
       "Documentation/devicetree", "LICENSES")
FOLDERS = ("Documentation", "arch", "drivers", "fs", "init", "ipc", "kernel",
           "lib", "include", "scripts")

# Makes checkpatch write its list of the CamelCase names of include/ now, as
# two that run at the same time would write it over each other.
PRIME = b"""\
From: A <a@example.org>
Subject: [PATCH] a

---
diff --git a/mm/a.c b/mm/a.c
--- a/mm/a.c
+++ b/mm/a.c
@@ -1,1 +1,2 @@
 int a;
+int someCamelCase;
"""


def kernel(repo, commit):
    folder = os.path.join(base.cache_folder(), "scripts-%.12s" % commit)
    if not os.path.isdir(folder):
        with base.lock("scripts"):
            if not os.path.isdir(folder):
                _extract(repo, commit, folder)
    return folder


def _extract(repo, commit, folder):
    present = set(run.git("ls-tree", "--name-only", commit, *TOP,
                          repo=repo).split())
    work = folder + ".tmp%d" % os.getpid()
    try:
        os.makedirs(work)
        plain.extract(repo, commit, work, [t for t in TOP if t in present])
        for name in FOLDERS:
            os.makedirs(os.path.join(work, name), exist_ok=True)
        checkpatch.ask(PRIME, work)
        os.rename(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
