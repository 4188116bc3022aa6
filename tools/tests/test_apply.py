# SPDX-License-Identifier: GPL-2.0
"""tools/apply and tools/commits: the same commits as git am, every time."""

import os
import shutil
import subprocess
import time
import unittest

from synthetic import Case, get, git, put, snapshot


class Apply(Case):
    def setUp(self):
        super().setUp()
        self.make_queue()
        self.ok("apply", self.dir)

    def edit(self, number, old, new):
        path = "patches/" + self.names[number]
        text = get(self.queue, path)
        self.assertIn(old, text)
        put(self.queue, path, text.replace(old, new))

    def test_same_ids_as_git_am(self):
        plain = os.path.join(self.top, "plain")
        git("clone", "-q", self.ok("base").split()[0], plain, cwd=self.top)
        git("am", "-q", "--committer-date-is-author-date",
            *[os.path.join(self.queue, "patches", n) for n in self.names],
            cwd=plain, env={"GIT_COMMITTER_NAME": "mmquilt",
                            "GIT_COMMITTER_EMAIL": "mmquilt@localhost"})
        am = git("log", "--reverse", "--format=%H %T", "origin/base..",
                 cwd=plain).splitlines()
        ours = [" ".join(l.split()[:2])
                for l in self.ok("commits").splitlines()]
        self.assertEqual(len(ours), 4)
        self.assertEqual(ours, am)
        self.assertEqual(git("rev-parse", "HEAD", cwd=self.dir),
                         git("rev-parse", "HEAD", cwd=plain))
        self.assertIn(">From there, too.",
                      git("log", "-1", "--format=%B", "HEAD^", cwd=plain))

    def test_same_ids_in_another_cache(self):
        first = self.ok("commits")
        self.fresh_cache()
        self.env["TZ"] = "Asia/Tokyo"
        self.assertEqual(self.ok("commits"), first)

    def test_lines(self):
        lines = [l.split() for l in self.ok("commits").splitlines()]
        self.assertEqual([l[2:] for l in lines], [
            [n.split("/")[0], "patches/" + n] for n in self.names])
        self.assertEqual(self.ok("apply", "--bare"), self.ok("commits"))
        self.assertEqual(self.ok("commits", "--to", "one"), "".join(
            " ".join(l) + "\n" for l in lines[:2]))
        for name in (self.names[2], "patches/" + self.names[2],
                     os.path.join(self.queue, "patches", self.names[2]),
                     os.path.basename(self.names[2])[:-6]):
            self.assertEqual(len(self.ok("commits", "--to", name)
                                 .splitlines()), 3)

    def test_only_what_changed_is_made_anew(self):
        first = self.ok("commits").splitlines()
        _, _, err = self.run_tool("commits")
        self.assertEqual(err, "")
        self.edit(2, "From here on", "From now on")
        status, out, err = self.run_tool("commits")
        self.assertIn("2 of 4 patches were new", err)
        self.assertEqual(out.splitlines()[:2], first[:2])
        self.assertNotEqual(out.splitlines()[2:], first[2:])

    def test_known_patch_between_new_ones(self):
        """A patch whose file changes while its commit stays the same, then
        one that is known, then one that changes."""
        first = self.ok("commits").splitlines()
        self.edit(0, "---\n", "---\nA word that git am drops.\n")
        self.edit(2, "From here on", "From then on")
        later = self.ok("commits").splitlines()
        self.assertEqual(later[:2], first[:2])
        self.assertNotEqual(later[2].split()[0], first[2].split()[0])
        self.assertEqual([l.split()[1] for l in later],
                         [l.split()[1] for l in first])

    def test_header_fields_do_not_change_ids(self):
        first = self.ok("commits")
        self.edit(1, "Proof: cow", "Proof: gup")
        self.assertEqual(self.ok("commits"), first)

    def test_offset_is_refused(self):
        self.edit(1, "@@ -7,7 +7,7 @@", "@@ -9,7 +9,7 @@")
        line = self.fails("mm-change-swap-10.patch: applies only with an "
                          "offset: mm/swap.c, hunk 1", "apply", self.dir)
        self.assertIn("tools/export", line)

    def test_fuzz_is_refused(self):
        self.edit(1, " int swap_7;", " int swap_x;")
        self.fails("mm-change-swap-10.patch: does not apply: patch failed: "
                   "mm/swap.c:7", "commits")

    def test_other_bad_patches(self):
        path = os.path.join("patches", self.names[1])
        text = get(self.queue, path)
        for new, expect in (
                (text.replace("a/mm/swap", "a/mm/gone")
                     .replace("b/mm/swap", "b/mm/gone"), "mm/gone.c"),
                (text[:text.index("---\n")], "no diff in it"),
                (text.replace("From: Ada Author <ada@example.org>\n", ""),
                 "no From:"),
                (text.replace("Date: ", "X-Date: "), "no Date:"),
                (text[:-30], "corrupt patch"), ("", "no ")):
            put(self.queue, path, new)
            self.fails(expect, "commits")
        os.unlink(os.path.join(self.queue, path))
        self.fails("no file patches/one/mm-change-swap-10.patch", "commits")

    def test_unknown_target(self):
        self.fails("three is no topic and no patch", "apply", "--to", "three")

    def test_to_and_back(self):
        self.ok("apply", self.dir, "--to", "one")
        self.assertIn("file_10;", get(self.dir, "fs/file.c"))
        self.ok("apply", self.dir)
        self.assertIn("file_10a;", get(self.dir, "fs/file.c"))
        self.assertEqual(git("rev-parse", "HEAD", cwd=self.dir).strip(),
                         self.ok("commits").splitlines()[-1].split()[0])

    def test_update(self):
        self.edit(3, "+int line_50a;", "+int line_50b;")
        self.ok("apply", self.dir)
        self.assertIn("line_50b;", get(self.dir, "mm/memory.c"))
        self.assertEqual(git("status", "--porcelain", cwd=self.dir), "")

    def test_work_is_not_thrown_away(self):
        put(self.dir, "fs/file.c", "x\n")
        self.fails("1 changed or unknown files (fs/file.c ...)", "apply",
                   self.dir)
        git("commit", "-qam", "fs: mine", cwd=self.dir)
        tip = git("rev-parse", "HEAD", cwd=self.dir)
        self.fails("has work that is not exported", "apply", self.dir)
        self.fails("has work that is not exported", "apply", self.dir, "--to",
                   "one")
        self.assertEqual(git("rev-parse", "HEAD", cwd=self.dir), tip)
        git("checkout", "-q", "-b", "side", cwd=self.dir)
        self.fails("not on branch quilt but on side", "apply", self.dir)
        git("checkout", "-q", "quilt", cwd=self.dir)
        self.ok("export", self.dir)
        self.ok("apply", self.dir)

    def test_stopped_rebase_is_left_alone(self):
        git("rebase", "-qi", "refs/quilt/base", cwd=self.dir,
            env={"GIT_SEQUENCE_EDITOR": "sed -i '2s/^pick/edit/'"})
        self.fails("a rebase, am or merge is under way", "export", self.dir)
        status, _, err = self.run_tool("apply", self.dir)
        self.assertEqual(status, 1, err)

    def test_foreign_folder_is_left_alone(self):
        put(self.top, "mine/file", "x\n")
        self.fails("is there and is not of tools/apply", "apply",
                   os.path.join(self.top, "mine"))
        self.fails("is no tree of --quilt", "apply", "--quilt",
                   os.path.join(self.top, "mine"))
        self.assertEqual(get(self.top, "mine/file"), "x\n")

    def test_the_tree_outlives_the_cache(self):
        self.fresh_cache()
        cache = os.path.join(self.top, "cache")
        tree = os.path.join(self.top, "second")
        self.ok("apply", tree)
        shutil.rmtree(cache)
        self.assertIn("4 ", git("rev-list", "--count", "refs/quilt/base..",
                                cwd=tree).strip() + " ")
        git("fsck", "--full", "--strict", cwd=tree)
        self.ok("apply", tree)

    def test_nothing_to_do_is_quick(self):
        start = time.monotonic()
        self.ok("apply", self.dir)
        self.assertLess(time.monotonic() - start, 5)

    def test_quilt(self):
        if not shutil.which("quilt"):
            self.fail("quilt not found; install with: apt-get install quilt")
        plain = os.path.join(self.top, "plain")
        self.ok("apply", plain, "--quilt")
        self.ok("apply", plain, "--quilt")
        self.assertTrue(os.path.islink(os.path.join(plain, "series")))
        subprocess.run(["quilt", "--quiltrc", "-", "push", "-a", "-q",
                        "--fuzz=0"], cwd=plain, check=True, env=self.env,
                       stdout=subprocess.DEVNULL)
        for name in ("mm/memory.c", "mm/swap.c", "fs/file.c"):
            self.assertEqual(get(plain, name), get(self.dir, name))
        self.fails("--to is not for --quilt", "apply", plain, "--quilt",
                   "--to", "one", status=5)

    def test_quiltimport_reads_series(self):
        plain = os.path.join(self.top, "plain")
        git("clone", "-q", self.ok("base").split()[0], plain, cwd=self.top)
        git("quiltimport", "--patches", os.path.join(self.queue, "patches"),
            "--series", os.path.join(self.queue, "series"), cwd=plain)
        self.assertEqual(git("rev-parse", "HEAD^{tree}", cwd=plain),
                         git("rev-parse", "HEAD^{tree}", cwd=self.dir))

    def test_queue_is_only_read(self):
        before = snapshot(self.queue)
        self.ok("apply", self.dir)
        self.ok("commits")
        self.assertEqual(snapshot(self.queue), before)

    def test_two_at_once(self):
        self.fresh_cache()
        runs = [self.popen("commits") for _ in range(3)]
        said = [r.communicate(timeout=100) for r in runs]
        self.assertEqual([r.returncode for r in runs], [0] * 3, said)
        self.assertEqual(len({out for out, _ in said}), 1)

    def test_default_folder_and_help(self):
        self.ok("apply")
        self.assertTrue(os.path.isdir(os.path.join(self.top, "linux/.git")))
        for tool in ("base", "commits", "apply", "export", "check", "send"):
            status, out, err = self.run_tool(tool, "-h")
            self.assertEqual(status, 0, err)
            self.assertIn("usage: " + tool, out)
            status, out, err = self.run_tool(tool, "--nonsense")
            self.assertEqual(status, 5, err)
            self.assertEqual(len(err.splitlines()), 1, err)


if __name__ == "__main__":
    unittest.main()
