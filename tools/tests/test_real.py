# SPDX-License-Identifier: GPL-2.0
"""The tools on a real kernel with its own scripts, if a base is in the cache.

`tools/base` puts one there. Without it the reason is printed and these tests
are skipped.
"""

import os
import shutil
import sys
import tempfile
import time
import unittest

from synthetic import AUTHOR, TOOLS, Case, get, git, put

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or
                     os.path.expanduser("~/.cache"), "mmquilt")
FOUND = [n for n in sorted(os.listdir(os.path.join(TOOLS, "bases")))
         if os.path.isdir(os.path.join(CACHE, "base-%s.git" % n.lstrip("v")))]
REASON = "no base of tools/bases in %s; run tools/base first" % CACHE
if not FOUND:
    print("test_real: skipped, " + REASON, file=sys.stderr)

ADDED = """
int someUndocumented(int a)
{
  if (a)
		return 1;
	return 0;
}

/**
 * mm_documented_wrongly() - kernel-doc without its argument
 */
int mm_documented_wrongly(int a)
{
	return a;
}
"""


@unittest.skipUnless(FOUND, REASON)
class Real(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="mmquilt-test-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)

    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="mmquilt-test-")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.queue = os.path.join(self.top, "queue")
        self.dir = os.path.join(self.top, "tree")
        self.env = dict(os.environ)
        put(self.queue, "series", "# base: %s\n# topic: one -- first (state: "
            "local)\n" % FOUND[0])
        put(self.queue, "patches/one/00-cover.txt", "mm: test\n\nText.\n")
        repo, self.base = self.ok("base").split()
        self.work = os.path.join(self.top, "work")
        git("clone", "-q", "--shared", "-n", repo, self.work, cwd=self.top)
        git("sparse-checkout", "set", "mm", cwd=self.work)
        git("checkout", "-q", "-b", "work", self.base, cwd=self.work)

    def add(self, subject, file, text, cwd=None):
        path = os.path.join(self.work, file)
        old = get(self.work, file) if os.path.exists(path) else ""
        put(self.work, file, old + text)
        git("add", "--sparse", file, cwd=self.work)
        git("commit", "-qm", subject + "\n\nText that says why.",
            cwd=self.work)
        mail = git("format-patch", "-1", "--stdout", "--no-numbered",
                   "--zero-commit", "--no-signature", "--full-index",
                   "--no-renames", "--stat=80", cwd=self.work)
        name = "one/%s.patch" % subject.replace(": ", "-").replace(" ", "-")
        head, line, rest = mail.partition("\n\n")
        put(self.queue, "patches/" + name, head + "\nOrigin: own\nUpstream: "
            "none nobody has met this\nProof: none it is a test" + line + rest)
        put(self.queue, "series", get(self.queue, "series") + name + "\n")
        return name

    def test_good_patch(self):
        self.add("mm: add a line", "mm/Makefile", "# a line\n")
        status, out, err = self.run_tool("check")
        self.assertEqual((status, out), (0, ""), err)

    def test_own_scripts_fire(self):
        name = self.add("mm: add functions", "mm/mlock.c", ADDED)
        status, out, err = self.run_tool("check")
        self.assertEqual(status, 1, err)
        for want in (
                "checkpatch: CAMELCASE: ", "checkpatch: SUSPECT_CODE_INDENT",
                "checkpatch: LEADING_SPACE: ",
                "kernel-doc: MISSING: mm/mlock.c: no kernel-doc above the new "
                "function someUndocumented()",
                "kernel-doc: WARNING: mlock.c: warning: Function parameter or "
                "member 'a' not described in 'mm_documented_wrongly'"):
            self.assertIn("patches/%s: %s" % (name, want), out)
        self.assertNotIn("MISSING_SIGN_OFF", out)

    def test_send(self):
        self.add("mm: add a line", "mm/Makefile", "# a line\n")
        out = os.path.join(self.top, "out")
        self.ok("send", "one", "--signoff", AUTHOR, "--out", out)
        mail = get(out, "0001-mm-add-a-line.patch")
        self.assertIn("\nCc: Andrew Morton <akpm@linux-foundation.org>", mail)
        git("checkout", "-q", self.base, cwd=self.work)
        git("am", "-q", os.path.join(out, "one.mbox"), cwd=self.work)
        self.assertEqual(git("rev-parse", "HEAD^{tree}", cwd=self.work).strip(),
                         self.ok("commits").split()[1])

    def test_commits_are_quick(self):
        self.add("mm: add a line", "mm/Makefile", "# a line\n")
        self.ok("commits")
        start = time.monotonic()
        self.ok("commits")
        self.assertLess(time.monotonic() - start, 5)


if __name__ == "__main__":
    unittest.main()
