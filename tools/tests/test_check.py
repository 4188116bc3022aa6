# SPDX-License-Identifier: GPL-2.0
"""tools/check: silent on a good queue, and every check fires."""

import os
import re
import stat
import unittest

from synthetic import TOOLS, Case, get, git, put

CHECKS = os.path.join(TOOLS, "checks")


class Check(Case):
    def setUp(self):
        super().setUp()
        self.make_queue()
        self.first = "patches/" + self.names[0]
        self.second = "patches/" + self.names[1]

    def edit(self, path, old, new):
        text = get(self.queue, path)
        self.assertIn(old, text)
        put(self.queue, path, text.replace(old, new, 1))

    def quiet(self, check, *args):
        status, out, err = self.run_tool(check, *args)
        self.assertEqual((status, out), (0, ""), err)

    def finds(self, check, *lines):
        """The check gives these findings (starts of lines) and no others."""
        status, out, err = self.run_tool("checks/" + check)
        self.assertEqual(status, 1, out + err)
        out = out.splitlines()
        self.assertEqual(len(out), len(lines), out)
        for got, want in zip(out, lines):
            self.assertTrue(got.startswith(want), "%s\nis not %s" % (got, want))

    def one(self, check, old, new, *kinds, path=None):
        """Edit the second patch, see findings of these types, undo it."""
        path = path or self.second
        text = get(self.queue, path)
        self.edit(path, old, new)
        self.finds(check, *["%s: %s: %s: " % (path, check, k) for k in kinds])
        put(self.queue, path, text)

    def test_good_queue(self):
        status, out, err = self.run_tool("check")
        self.assertEqual((status, out), (0, ""), err)
        for name in os.listdir(CHECKS):
            if os.access(os.path.join(CHECKS, name), os.X_OK):
                self.assertRegex(err, r"\] %s: ok" % name)

    def test_this_class_tests_every_check(self):
        tested = {re.sub(r"_(\d+|more)$", "", n[len("test_fires_"):])
                  .replace("_", "-") for n in dir(self)
                  if n.startswith("test_fires_")}
        there = {n for n in os.listdir(CHECKS)
                 if os.stat(os.path.join(CHECKS, n)).st_mode & stat.S_IXUSR
                 and os.path.isfile(os.path.join(CHECKS, n))}
        self.assertEqual(tested, there)

    def test_all_and_some(self):
        self.edit(self.second, "Origin: own", "Origin: other")
        status, out, err = self.run_tool("check")
        self.assertEqual(status, 1)
        self.assertEqual(out, "%s: header: ORIGIN: Origin: other, must be "
                         "'own'\n" % self.second)
        self.quiet("check", self.first)
        self.quiet("checks/header", os.path.basename(self.first))
        self.fails("nonsense is no patch of", "checks/header", "nonsense")
        self.fails("nonsense is no patch of", "check", "nonsense")
        os.unlink(os.path.join(self.queue, self.second))
        status, out, err = self.run_tool("check")
        self.assertEqual((status, out), (1, "series: series: NOFILE: line 6: "
                                         "no file %s\n" % self.second), err)

    def test_check_that_breaks_is_status_5(self):
        self.env["PATH"] = self.path_without("codespell")
        status, out, err = self.run_tool("check")
        self.assertEqual(status, 5, err)
        self.assertIn("codespell not found; install with: apt-get install "
                      "codespell", err)

    def path_without(self, program):
        folder = os.path.join(self.top, "bin")
        os.mkdir(folder)
        for path in reversed(os.environ["PATH"].split(":")):
            for name in os.listdir(path) if os.path.isdir(path) else ():
                link = os.path.join(folder, name)
                if name != program:
                    if os.path.lexists(link):
                        os.unlink(link)
                    os.symlink(os.path.join(path, name), link)
        return folder

    def test_exceptions(self):
        self.edit(self.second, "Origin: own", "Origin: other")
        line = self.second + " header ORIGIN -- a reason\n"
        put(self.queue, "exceptions", "# why\n" + line)
        self.quiet("check")
        put(self.queue, "exceptions",
            "patches/one/*.patch header ORIGIN -- a reason\n")
        self.quiet("check")
        self.edit(self.second, "Origin: other", "Origin: own")
        self.finds("header", "exceptions:1: header: STALE: ")
        self.quiet("checks/header", self.first)
        put(self.queue, "exceptions", "%s header ORIGIN\nx nocheck Y -- z\n"
            % self.second)
        status, out, err = self.run_tool("check")
        self.assertEqual(status, 1)
        self.assertEqual(out, "exceptions:1: exceptions: FORM: not 'FILE "
                         "CHECK TYPE -- reason'\nexceptions:2: exceptions: "
                         "UNKNOWN: no check nocheck\n")

    def test_fires_series(self):
        text = get(self.queue, "series")

        def series(old, new, *lines):
            self.edit("series", old, new)
            self.finds("series", *lines)
            put(self.queue, "series", text)

        name = self.names[1]
        series(name, name + " # why", "series: series: LINE: line 6: 'one/mm-"
               "change-swap-10.patch # why' is no topic/name.patch alone",
               self.second + ": series: UNLISTED: not in series")
        series(name, name + " -p1", "series: series: LINE",
               self.second + ": series: UNLISTED")
        series(name + "\n", "", self.second + ": series: UNLISTED")
        series(name, name + "\n" + name, "series: series: TWICE: line 7")
        series(name, name + "\none/x.patch", "series: series: NOFILE: line 7: "
               "no file patches/one/x.patch")
        series("# topic: one -- first things (state: local)\n", "",
               "series: series: TOPIC: line 4: patch before the first topic",
               "series: series: TOPIC: line 5: patch before the first topic",
               "patches/one/00-cover.txt: series: UNLISTED")
        series("# topic: one -- first", "# topic: one: first",
               "series: series: TOPIC: line 4: not '# topic: name -- one line",
               "series: series: TOPIC: line 5", "series: series: TOPIC: line "
               "6", "patches/one/00-cover.txt: series: UNLISTED")
        series("# the end", "# base: v2", "series: series: BASE: line ")
        series("# the end", "# hold: two/x.patch", "series: series: HOLD: ")
        series("# the end", "# hold: two/x.patch -- why",
               "series: series: NOFILE: no file patches/two/x.patch, which")
        series("# the end", "# hold: %s -- why" % name,
               "series: series: HOLD: %s is listed and on hold" % name)
        put(self.queue, "series", text[:-1])
        self.finds("series", "series: series: FORM: ")
        put(self.queue, "series", text)
        put(self.queue, "patches/one/stray.txt", "x\n")
        self.finds("series", "patches/one/stray.txt: series: UNLISTED")
        os.unlink(os.path.join(self.queue, "patches/one/stray.txt"))
        put(self.queue, "patches/late/00-cover.txt", "mm: late\n\nText.\n")
        self.finds("series", "patches/late/00-cover.txt: series: UNLISTED")
        put(self.queue, "patches/late/x.patch", "x\n")
        put(self.queue, "series", text + "# hold: late/x.patch -- why\n")
        self.ok("checks/series")

    def test_fires_series_more(self):
        cover = "patches/one/00-cover.txt"
        os.unlink(os.path.join(self.queue, cover))
        self.finds("series", cover + ": series: COVER: missing")
        put(self.queue, cover, "mm: subject\nno empty line\n")
        self.finds("series", cover + ": series: COVER: not one line of")
        put(self.queue, cover, "mm: subject\n\n\n")
        self.finds("series", cover + ": series: COVER: not one line of")
        put(self.queue, cover, "[PATCH 0/2] mm: subject\n\ntext\n")
        self.finds("series", cover + ": series: COVER: subject of more")

    def test_fires_header(self):
        def one(old, new, *kinds):
            self.one("header", old, new, *kinds)

        none = "Upstream: none nobody has met this"
        one("Origin: own\n", "", "ORIGIN")
        one("Origin: own\n", "Origin: own\nOrigin: own\n", "ORIGIN")
        one(none + "\n", "", "UPSTREAM")
        one(none, "Upstream: none", "UPSTREAM")
        one(none, "Upstream:", "UPSTREAM")
        one(none, "Upstream: v5.19-rc1", "UPSTREAM")
        one(none, "Upstream: 6c287605fd56", "UPSTREAM")
        one(none, "Upstream: v5.19-rc1 6c287605fd5", "UPSTREAM")
        one(none, "Upstream: v5.19-rc1 6c287605fd56", "DIFFERS")
        one(none, none + "\nDiffers: in nothing", "DIFFERS")
        one("Proof: cow/ro-pin x86_64,arm64\n", "", "PROOF")
        for proof in ("", "cow/ro-pin", "cow/ x86_64", "none",
                      "cow/ro-pin x86_64, arm64"):
            one("Proof: cow/ro-pin x86_64,arm64", "Proof: " + proof, "PROOF")
        one("Proof: cow/ro-pin x86_64,arm64",
            "Proof: cow/ro-pin x86_64,arm64\nProof: none really", "PROOF")
        one("Origin: own\n" + none, none + "\nOrigin: own", "ORDER")
        one("Origin: own", "References: x\nOrigin: own", "UNKNOWN")
        one("[PATCH] ", "", "SUBJECT")
        for good in ("Upstream: v5.19-rc1 6c287605fd56\nDiffers: in much",
                     "Upstream: v5.19 6c287605fd56 b51ad4f8679e, v6.0 "
                     "64fe24a3e05e\nDiffers: in much",
                     "Upstream: open nobody has answered yet"):
            text = get(self.queue, self.second)
            self.edit(self.second, none, good)
            self.quiet("checks/header")
            put(self.queue, self.second, text)
        for good in ("none it only moves code", "cow/*thp*/[a-z]* arm64",
                     "cow/a x86_64\nProof: dio-swap s390x"):
            text = get(self.queue, self.second)
            self.edit(self.second, "cow/ro-pin x86_64,arm64", good)
            self.quiet("checks/header")
            put(self.queue, self.second, text)

    def test_fires_trailers(self):
        fixes = 'Fixes: 0123456789ab ("mm: first")'
        for bad in ("Fixes: 0123456789a (\"mm: first\")",
                    "Fixes: 0123456789ab mm: first", "Fixes: 0123456789ab",
                    "Fixes: commit 0123456789ab (\"mm: first\")",
                    "fixes: 0123456789ab (\"mm: first\")"):
            self.one("trailers", fixes, bad, "FIXES")
        self.one("trailers", fixes, fixes + "\nSigned-off-by: A <a@x.org>",
                 "SIGNOFF")
        self.one("trailers", fixes, fixes + "\nChange-Id: I01", "CHANGEID")

    def test_fires_ids(self):
        bad = get(CHECKS, "unconfirmed-ids").splitlines()[-1].split()[0]
        self.one("ids", "0123456789ab", bad, bad)
        self.one("ids", "0123456789ab", bad[:10], bad)
        self.one("ids", "0123456789ab", bad + "0" * 28, bad)
        self.one("ids", "Upstream: none nobody", "Upstream: v5.1 " + bad, bad)
        self.one("ids", "It was wrong, too.", "Commit %s did it." % bad, bad)

    def test_fires_applies(self):
        self.one("applies", "@@ -7,7 +7,7 @@", "@@ -9,7 +9,7 @@", "APPLY")
        self.one("applies", " int swap_7;", " int swap_x;", "APPLY")
        self.one("applies", "int swap_10;\n", "int swap_10;\n ", "APPLY")
        # Applies, but is not what export writes.
        self.one("applies", " 1 file changed", " 2 files changed", "FORM")
        self.one("applies", "\nindex ", "\nindex 0", "FORM")
        text = get(self.queue, self.second)
        new = text[:text.index("diff --git")] + (
            "diff --git a/drivers/cops.h b/drivers/cops.h\nnew file mode "
            "100644\nindex %s..%s\n--- /dev/null\n+++ b/drivers/cops.h\n"
            "@@ -0,0 +1 @@\n+x\n" % ("0" * 40, "1" * 40))
        put(self.queue, self.second, new)
        status, out, _ = self.run_tool("checks/applies", self.second)
        self.assertEqual(status, 1)
        self.assertIn(self.second + ": applies: EXCLUDED: drivers/cops.h is "
                      "not in every source of v1.2.3", out)

    def test_fires_checkpatch(self):
        self.one("checkpatch", "+int swap_10a;", "+int UGLY;", "UGLY")
        self.one("checkpatch", "It was wrong, too.", "It was UGLY.", "UGLY")
        self.edit(self.second, "It was wrong, too.", "It was UGLY.")
        _, out, _ = self.run_tool("checks/checkpatch")
        at = get(self.queue, self.second).splitlines().index("It was UGLY.")
        self.assertIn(": line %d: ugly line" % (at + 1), out)

    def test_fires_codespell(self):
        self.one("codespell", "It was wrong, too.", "It recieved it.",
                 "recieved")
        self.one("codespell", "+int swap_10a;", "+/* teh swap */", "teh")
        self.edit(self.second, " int swap_9;", " /* teh swap */")
        self.edit(self.second, "-int swap_10;", "-/* teh swap */")
        self.quiet("checks/codespell")          # only what is added counts

    def test_fires_text(self):
        self.one("text", "It was wrong, too.", "It was wrong, too. ", "SPACE")
        self.one("text", "+int swap_10a;", "+int swap_10a;\t", "SPACE")
        self.one("text", "+int swap_10a;", "+    \tint swap_10a;", "SPACE")
        self.one("text", "It was wrong", "It\u00a0was wrong", "HIDDEN")
        self.one("text", "+int swap_10a;", "+int \u202eswap_10a;", "HIDDEN")
        path = os.path.join(self.queue, self.second)
        with open(path, "rb") as f:
            data = f.read()
        for new, kind in ((data.replace(b"wrong, too.", b"wrong, too.\r"), "CR"),
                          (data.replace(b"wrong", b"wr\xf6ng"), "ENCODING"),
                          (data[:-1], "NEWLINE")):
            with open(path, "wb") as f:
                f.write(new)
            status, out, _ = self.run_tool("checks/text")
            self.assertEqual(status, 1)
            self.assertIn("%s: text: %s: " % (self.second, kind), out)

    def kernel_doc(self, file, text, *expect):
        """Add text to a file of the tree as a patch; see the findings."""
        tip = git("rev-parse", "HEAD", cwd=self.dir).strip()
        old = get(self.dir, file) if os.path.exists(
            os.path.join(self.dir, file)) else ""
        put(self.dir, file, old + text)
        git("add", file, cwd=self.dir)
        git("commit", "-qm", "mm: new\n\nText.", cwd=self.dir)
        self.ok("export", self.dir)
        status, out, err = self.run_tool("checks/kernel-doc")
        self.assertEqual(status, 1 if expect else 0, out + err)
        self.assertEqual(len(out.splitlines()), len(expect), out)
        for line, want in zip(out.splitlines(), expect):
            self.assertIn(want, line)
        git("reset", "-q", "--hard", tip, cwd=self.dir)
        self.ok("export", self.dir)

    def test_fires_kernel_doc(self):
        doc = "/**\n * new_one - does it\n */\n"
        body = "void new_one(int a,\n\t     int b)\n{\n}\n"
        missing = "MISSING: mm/swap.c: no kernel-doc above the new function " \
            "new_one()"
        self.kernel_doc("mm/swap.c", body, missing)
        self.kernel_doc("mm/swap.c", "/* plain */\n" + body, missing)
        self.kernel_doc("mm/swap.c", doc.replace("new_one", "other") + body,
                        missing)
        self.kernel_doc("mm/swap.c", doc + body)
        self.kernel_doc("mm/swap.c", "static " + body)
        self.kernel_doc("mm/swap.c", "/** BADDOC it */\n", "WARNING: swap.c: "
                        "warning: bad doc of it")

    def test_fires_kernel_doc_more(self):
        stub = "static inline int new_one(void) { return 0; }\n"
        body = "static inline int new_one(void)\n{\n\treturn 0;\n}\n"
        header = "include/linux/mm.h"
        doc = "/**\n * new_one() - does it\n */\n"
        for text in (stub, body, stub + body):
            self.kernel_doc(header, text, "MISSING: include/linux/mm.h")
        self.kernel_doc(header, doc + body + stub)
        self.kernel_doc(header, "int new_one(void);\n")
        self.kernel_doc("tools/x.c", "void new_one(void)\n{\n}\n")


if __name__ == "__main__":
    unittest.main()
