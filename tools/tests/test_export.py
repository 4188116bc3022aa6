# SPDX-License-Identifier: GPL-2.0
"""tools/export: the branch back to files, nothing lost, nothing churned."""

import os
import resource
import shutil
import unittest

from synthetic import Case, get, git, put, snapshot


class Export(Case):
    def setUp(self):
        super().setUp()
        self.make_queue()
        self.before = snapshot(self.queue)

    def changes(self):
        """Names in the queue that are not as they were, by kind."""
        now = snapshot(self.queue)
        return (sorted(n for n in now if n in self.before
                       and now[n] != self.before[n]),
                sorted(set(now) - set(self.before)),
                sorted(set(self.before) - set(now)))

    def rebase(self, todo, onto="refs/quilt/base"):
        """git rebase -i with a sed script for the todo list."""
        git("rebase", "-qi", onto, cwd=self.dir,
            env={"GIT_SEQUENCE_EDITOR": "sed -i '%s'" % todo})

    def test_nothing_changed(self):
        self.ok("apply", self.dir)
        self.assertEqual(self.ok("export", self.dir), "")
        self.assertEqual(self.changes(), ([], [], []))
        shutil.rmtree(self.dir)
        self.ok("apply", self.dir)
        self.assertEqual(self.ok("export", self.dir), "")
        self.assertEqual(self.changes(), ([], [], []))

    def test_form_of_a_file(self):
        text = get(self.queue, "patches/" + self.names[1])
        head = text.split("\n")
        self.assertEqual(head[0], "From " + 40 * "0" +
                         " Mon Sep 17 00:00:00 2001")
        self.assertEqual(head[1], "From: Ada Author <ada@example.org>")
        self.assertEqual(head[3:7], ["Subject: [PATCH] mm: change swap 10",
                                     "Origin: own", "Upstream: none nobody has"
                                     " met this", "Proof: cow/ro-pin "
                                     "x86_64,arm64"])
        self.assertTrue(text.endswith(" int swap_13;\n"))
        self.assertEqual(self.names[1], "one/mm-change-swap-10.patch")

    def test_fields_after_a_folded_subject(self):
        text = get(self.queue, "patches/" + self.names[3])
        subject = text.index("Subject:")
        self.assertIn("\n ", text[subject:text.index("Origin:")])
        self.ok("apply", self.dir)
        self.ok("export", self.dir)
        self.assertEqual(self.changes(), ([], [], []))

    def test_user_configuration_is_without_effect(self):
        put(self.top, ".gitconfig",
            "[diff]\n\tnoprefix = true\n\tcontext = 7\n\talgorithm = patience\n"
            "\trenames = copies\n[format]\n\tsignature = me\n\tnumbered = true\n"
            "\tsignOff = true\n\tsubjectPrefix = X\n[core]\n\tabbrev = 5\n"
            "[user]\n\tname = Other\n\temail = o@example.org\n")
        git("config", "diff.noprefix", "true", cwd=self.dir)
        git("config", "format.subjectPrefix", "X", cwd=self.dir)
        git("config", "log.showSignature", "true", cwd=self.dir)
        self.ok("apply", self.dir)
        self.ok("export", self.dir)
        self.assertEqual(self.changes(), ([], [], []))

    def test_add(self):
        self.commit("fs/file.c", "file_40;", "file_40a;",
                    "fs: change file 40\n\nText.")
        out = self.ok("export", self.dir)
        self.assertIn("fill in the empty fields of "
                      "patches/two/fs-change-file-40.patch", out)
        self.assertEqual(self.changes(), (
            ["series"], ["patches/two/fs-change-file-40.patch"], []))
        text = get(self.queue, "patches/two/fs-change-file-40.patch")
        self.assertIn("\nOrigin: own\nUpstream:\nProof:\n", text)
        self.assertTrue(get(self.queue, "series").endswith(
            self.names[3] + "\ntwo/fs-change-file-40.patch\n# the end\n"))

    def test_add_in_the_middle(self):
        self.commit("fs/file.c", "file_40;", "file_40a;",
                    "fs: change file 40\n\nText.")
        git("rebase", "-qi", "refs/quilt/base", cwd=self.dir, env={
            "GIT_SEQUENCE_EDITOR": "f() { (sed -n 1,2p $1; sed -n 5p $1; "
            "sed -n 3,4p $1) >$1.new; mv $1.new $1; }; f"})
        self.ok("export", self.dir)
        changed, new, gone = self.changes()
        self.assertEqual(new, ["patches/one/fs-change-file-40.patch"])
        self.assertEqual(gone, [])
        # The patch that touches the same file names other blobs now.
        self.assertEqual(changed, ["patches/" + self.names[2], "series"])
        series = get(self.queue, "series").splitlines()
        self.assertEqual(series[4:7], self.names[:2] +
                         ["one/fs-change-file-40.patch"])

    def test_amend_keeps_name_and_fields(self):
        self.commit("mm/memory.c", "line_51;", "line_51a;", "x")
        git("reset", "-q", "--soft", "HEAD^", cwd=self.dir)
        git("commit", "-q", "--amend", "-m", "mm: a new subject\n\nNew text.",
            cwd=self.dir)
        self.ok("export", self.dir)
        self.assertEqual(self.changes(), (["patches/" + self.names[3]], [],
                                          []))
        text = get(self.queue, "patches/" + self.names[3])
        self.assertIn("Subject: [PATCH] mm: a new subject\nOrigin: own\n"
                      "Upstream: none nobody has met this\nProof: cow/ro-pin "
                      "x86_64,arm64\n", text)
        self.ok("export", self.dir, "--rename")
        self.assertIn("two/mm-a-new-subject.patch\n# the end",
                      get(self.queue, "series"))
        self.assertIn("Proof: cow/ro-pin", get(
            self.queue, "patches/two/mm-a-new-subject.patch"))
        self.assertFalse(os.path.exists(os.path.join(
            self.queue, "patches", self.names[3])))

    def test_rebase_edit_in_the_middle(self):
        git("rebase", "-qi", "refs/quilt/base", cwd=self.dir, env={
            "GIT_SEQUENCE_EDITOR": "sed -i '2a exec sed -i "
            "s/swap_30/thirty/ mm/swap.c \\&\\& git commit -qa --amend "
            "--no-edit'"})
        self.ok("export", self.dir)
        self.assertEqual(self.changes(), (["patches/" + self.names[1]], [],
                                          []))

    def test_drop(self):
        self.rebase("2d")
        self.ok("export", self.dir)
        self.assertEqual(self.changes(), (["series"], [],
                                          ["patches/" + self.names[1]]))
        self.assertNotIn(self.names[1], get(self.queue, "series"))

    def test_fold(self):
        path = "patches/" + self.names[1]
        text = get(self.queue, path)
        put(self.queue, path, text.replace(
            "Proof: cow/ro-pin x86_64,arm64", "Proof: dio/swap x86_64"))
        self.before = snapshot(self.queue)
        self.rebase("2s/^pick/fixup/")
        self.ok("export", self.dir)
        changed, new, gone = self.changes()
        self.assertEqual(gone, [path])
        self.assertEqual(new, [])
        self.assertEqual(changed, ["patches/" + self.names[0], "series"])
        self.assertIn("\nProof: cow/ro-pin x86_64,arm64\nProof: dio/swap "
                      "x86_64\n", get(self.queue, "patches/" + self.names[0]))

    def test_commits_that_lost_their_note(self):
        """git cherry-pick copies no note; the subject says which patch it is,
        a folded header line and other letters included."""
        git("reset", "-q", "--hard", "refs/quilt/base", cwd=self.dir)
        git("commit", "-q", "--allow-empty", "-m", "x", cwd=self.dir)
        git("cherry-pick", "refs/quilt/base.." + self.tip, cwd=self.dir)
        git("rebase", "-q", "--onto", "refs/quilt/base", "HEAD~4",
            cwd=self.dir)
        git("update-ref", "-d", "refs/notes/quilt", cwd=self.dir)
        self.assertEqual(self.ok("export", self.dir), "")
        self.assertEqual(self.changes(), ([], [], []))

    def test_split(self):
        self.commit("fs/file.c", "file_20;", "file_20a;", "x")
        self.commit("mm/swap.c", "swap_40;", "swap_40a;", "y")
        git("reset", "-q", "--soft", "HEAD^^", cwd=self.dir)
        git("commit", "-q", "--amend", "--no-edit", cwd=self.dir)
        self.ok("export", self.dir)
        git("reset", "-q", "HEAD^", cwd=self.dir)
        git("commit", "-qm", "fs: first half\n\nText.", "fs/file.c",
            cwd=self.dir)
        git("commit", "-qam", "mm: other half\n\nText.", cwd=self.dir)
        self.ok("export", self.dir)
        self.assertTrue(get(self.queue, "series").endswith(
            "two/fs-first-half.patch\ntwo/mm-other-half.patch\n# the end\n"))
        self.assertFalse(os.path.exists(os.path.join(
            self.queue, "patches", self.names[3])))

    def test_move_inside_and_across_topics(self):
        self.rebase("1{h;d};2{G}")              # swap the first two
        self.ok("export", self.dir)
        self.assertEqual(self.changes(), (["series"], [], []))
        series = get(self.queue, "series").splitlines()
        self.assertEqual(series[4:6], [self.names[1], self.names[0]])
        self.rebase("2{h;d};4{G}")              # the first to the very end
        self.ok("export", self.dir)
        self.assertTrue(get(self.queue, "series").endswith(
            self.names[3] + "\ntwo/mm-change-line-10.patch\n# the end\n"))
        self.assertIn("Proof: cow/ro-pin", get(
            self.queue, "patches/two/mm-change-line-10.patch"))

    def test_to_leaves_the_rest_alone(self):
        self.ok("apply", self.dir, "--to", "one")
        self.commit("mm/swap.c", "swap_40;", "swap_40a;",
                    "mm: change swap 40\n\nText.")
        self.assertIn("2 later patches", self.ok("export", self.dir))
        self.assertEqual(self.changes(), (
            ["series"], ["patches/one/mm-change-swap-40.patch"], []))
        self.ok("apply", self.dir)
        self.assertEqual(len(git("log", "--oneline", "refs/quilt/base..",
                                 cwd=self.dir).splitlines()), 5)

    def test_comments_holds_and_topics_survive(self):
        series = get(self.queue, "series").replace(
            self.names[1], "#\n# about the next\n" + self.names[1])
        series += "# hold: two/held.patch -- waits for review\n"
        put(self.queue, "series", series)
        put(self.queue, "patches/two/held.patch", "not applied\n")
        self.commit("fs/file.c", "file_40;", "file_40a;", "fs: x\n\nText.")
        self.ok("export", self.dir)
        self.assertEqual(get(self.queue, "series"), series.replace(
            "# the end", "two/fs-x.patch\n# the end"))
        self.assertEqual(get(self.queue, "patches/two/held.patch"),
                         "not applied\n")

    def test_branch_is_as_apply_makes_it(self):
        self.commit("fs/file.c", "file_40;", "file_40a;", "fs: x\n\nText.")
        mine = git("rev-parse", "HEAD^{tree}", cwd=self.dir)
        self.ok("export", self.dir)
        self.assertEqual(git("rev-parse", "HEAD^{tree}", cwd=self.dir), mine)
        self.assertEqual(git("status", "--porcelain", cwd=self.dir), "")
        self.assertEqual(
            git("rev-parse", "HEAD", cwd=self.dir).strip(),
            self.ok("commits").splitlines()[-1].split()[0])

    def test_refusals(self):
        put(self.dir, "mm/memory.c", "x\n")
        self.fails("1 changed or unknown files (mm/memory.c", "export",
                   self.dir)
        git("reset", "-q", "--hard", cwd=self.dir)
        put(self.dir, "new.c", "x\n")
        self.fails("changed or unknown files (new.c", "export", self.dir)
        os.unlink(os.path.join(self.dir, "new.c"))

        git("commit", "-q", "--allow-empty", "-m", "mm: nothing", cwd=self.dir)
        self.fails("(mm: nothing) changes nothing", "export", self.dir)
        git("reset", "-q", "--hard", self.tip, cwd=self.dir)

        put(self.dir, "fs/file.c", "x\n")
        git("commit", "-qa", "--allow-empty-message", "-m", "", cwd=self.dir)
        self.fails("has no subject", "export", self.dir)
        git("reset", "-q", "--hard", self.tip, cwd=self.dir)

        git("checkout", "-q", "-b", "side", "HEAD^", cwd=self.dir)
        self.fails("not on branch quilt but on side", "export", self.dir)
        self.commit("fs/file.c", "file_40;", "file_40a;", "fs: x\n\nText.")
        git("checkout", "-q", "quilt", cwd=self.dir)
        git("merge", "-q", "--no-edit", "side", cwd=self.dir)
        self.fails("is a merge or follows one", "export", self.dir)
        git("reset", "-q", "--hard", self.tip, cwd=self.dir)

        for number in (41, 42):
            self.commit("fs/file.c", "file_%d;" % number, "x;", "fs: x\n\nT.")
        self.fails("would be patches/two/fs-x.patch, and so would", "export",
                   self.dir)
        git("reset", "-q", "--hard", self.tip, cwd=self.dir)

        self.commit("fs/file.c", "file_40;", "f;\r", "fs: cr\n\nText.")
        self.fails("carriage return", "export", self.dir)
        git("reset", "-q", "--hard", self.tip, cwd=self.dir)

        self.commit("fs/file.c", "file_40;", "f;", "fs: cut\n\nA\n---\nB")
        self.fails("does not survive as a mail", "export", self.dir)
        git("reset", "-q", "--hard", self.tip, cwd=self.dir)

        git("checkout", "-q", "--orphan", "new", cwd=self.dir)
        git("commit", "-qm", "mm: all", cwd=self.dir)
        git("branch", "-f", "quilt", "new", cwd=self.dir)
        git("checkout", "-q", "quilt", cwd=self.dir)
        self.fails("is not on the base", "export", self.dir)
        self.fails("is no tree of tools/apply", "export", self.top)
        self.assertEqual(self.changes(), ([], [], []))

    def test_queue_that_changed_is_not_overwritten(self):
        """What came into the queue since apply must not get lost."""
        other = os.path.join(self.top, "other")
        self.ok("apply", other)
        self.commit("fs/file.c", "file_40;", "f;", "fs: x\n\nT.", cwd=other)
        self.ok("export", other)
        self.commit("mm/swap.c", "swap_40;", "s;", "mm: y\n\nT.")
        self.fails("changed since", "export", self.dir)
        self.assertIn("two/fs-x.patch", get(self.queue, "series"))

    def test_full_disk_leaves_the_queue_alone(self):
        self.commit("fs/file.c", "".join(
            "int file_%d;\n" % i for i in range(20, 40)),
            "int many;\n" * 20000, "fs: big\n\nText.")
        # The limit is met by the new patch file, not by git's objects,
        # which are small when compressed.
        self.fails("disk full", "export", self.dir, status=5, preexec_fn=lambda:
                   resource.setrlimit(resource.RLIMIT_FSIZE, (90000, 90000)))
        self.assertEqual(self.changes(), ([], [], []))
        self.ok("export", self.dir)


if __name__ == "__main__":
    unittest.main()
