"""The verdict on recorded guests, and on small pieces of what they may say."""
import pathlib
import unittest

from steps import verdict

RECORDED = pathlib.Path(__file__).with_name("recorded")
HEAD = "KTAP version 1\n1..{}\n"


def rows(ktap):
    return [(r.name, r.status, r.why) for r in verdict.results(ktap)["rows"]]


class Recorded(unittest.TestCase):
    """Each folder of recorded/: console.log, ktap.log, ended-by, and expect,
    whose first line is the kinds and whose others are the rows."""

    def test_cases(self):
        cases = sorted(p for p in RECORDED.iterdir() if p.is_dir())
        self.assertGreaterEqual(len(cases), 10)
        for case in cases:
            with self.subTest(case.name):
                judged = verdict.judge((case / "console.log").read_text(),
                                       (case / "ktap.log").read_text(),
                                       (case / "ended-by").read_text().strip())
                expect = (case / "expect").read_text().splitlines()
                self.assertEqual(",".join(judged["kinds"]) or "none", expect[0])
                self.assertEqual([repr(r) for r in judged["rows"]], expect[1:])

    def test_every_kind_is_recorded(self):
        seen = set()
        for case in RECORDED.iterdir():
            seen |= set((case / "expect").read_text().splitlines()[0].split(","))
        self.assertEqual(set(verdict.KINDS) - seen, set())


class Results(unittest.TestCase):
    def test_pass_fail_skip(self):
        self.assertEqual(
            rows(HEAD.format(3) + "ok 1 a\nnot ok 2 b # exit=1\nok 3 c # SKIP no swap\n# end\n"),
            [("a", "pass", ""), ("b", "fail", "exit=1"), ("c", "skip", "no swap")])

    def test_skipped_row_is_named_by_its_reason(self):
        nested = "# begin p\n    ok 1 # SKIP a.b: no c: d\n    ok 2 # SKIP no e\nok 1 p\n"
        self.assertEqual([r[:3] for r in rows(nested)],
                         [("p/a.b", "skip", "no c: d"), ("p/2", "skip", "no e")])

    def test_row_with_an_error_is_named_by_its_reason(self):
        nested = ("# begin p\n    not ok 1 # error a.b: no c: d\n    not ok 2 # error no e\n"
                  "    not ok 3 # f: g\nnot ok 1 p # exit=1\n")
        self.assertEqual([r[:3] for r in rows(nested)],
                         [("p/a.b", "fail", "no c: d"), ("p/2", "fail", "error no e"),
                          ("p/3", "fail", "f: g")])

    def test_skip_without_reason_fails(self):
        self.assertEqual(rows("ok 1 c # SKIP\n")[0][1:], ("fail", "skipped without a reason"))

    def test_nested(self):
        text = ("# begin p\n    TAP version 13\n    1..3\n    ok 1 one\n    # because\n"
                "    not ok 2 two\n    ok 3 three # SKIP no THP\nnot ok 1 p # exit=1\n")
        self.assertEqual(rows(text), [("p/one", "pass", ""), ("p/two", "fail", "because"),
                                      ("p/three", "skip", "no THP")])

    def test_nested_exit_code_contradicts(self):
        bad = "# begin p\n    1..1\n    not ok 1 one\nok 1 p\n"
        self.assertIn(("p", "fail", "exit code 0 although a result is not ok"), rows(bad))
        bad = "# begin p\n    1..1\n    ok 1 one\nnot ok 1 p # exit=1\n"
        self.assertIn(("p", "fail", "exit=1"), rows(bad))
        bad = "# begin p\n    1..2\n    ok 1 one\n    not ok 2 x\nnot ok 1 p # signal=11\n"
        self.assertIn(("p", "fail", "signal=11"), rows(bad))

    def test_nested_plan_not_kept(self):
        for given in ("    ok 1 one\n", ""):
            text = "# begin p\n    1..2\n" + given + "ok 1 p\n"
            self.assertEqual(rows(text)[-1][1], "fail")
            self.assertIn("planned 2 results", rows(text)[-1][2])

    def test_same_name_twice(self):
        text = "# begin p\n    1..2\n    ok 1 x\n    ok 2 x\nok 1 p\n"
        self.assertEqual([r[0] for r in rows(text)], ["p/x", "p/x#2"])

    def test_timeout(self):
        self.assertEqual(rows("not ok 1 p # timeout after 8 s\n")[0][1], "timeout")

    def test_half_a_line_is_no_result(self):
        out = verdict.results(HEAD.format(1) + "# begin p\nok 1 p")
        self.assertEqual((out["done"], out["running"]), (0, "p"))


class Judge(unittest.TestCase):
    GOOD = HEAD.format(1) + "# begin p\n# seconds p 0.10\nok 1 p\n# end\n"

    def kinds(self, console="", ktap=None, ended="exit", allowed=()):
        return verdict.judge(console, self.GOOD if ktap is None else ktap, ended,
                             allowed)["kinds"]

    def test_good(self):
        self.assertEqual(self.kinds(), [])

    def test_truncated_anywhere_is_never_good(self):
        for end in range(len(self.GOOD) - 1):
            self.assertNotEqual(self.kinds(ktap=self.GOOD[:end]), [], self.GOOD[:end])

    def test_panic_beats_what_follows_from_it(self):
        console = "[    1.0] Kernel panic - not syncing: Fatal exception\n"
        self.assertEqual(self.kinds(console, ktap=self.GOOD[:30]), ["panic", "test"])
        self.assertEqual(self.kinds(console, ktap=""), ["panic"])

    def test_panic_by_our_own_nmi_is_a_hang(self):
        console = "[    1.0] Kernel panic - not syncing: NMI: Not continuing\n"
        self.assertEqual(self.kinds(console, ktap=self.GOOD[:30], ended="hang"), ["hang", "test"])

    def test_splat_on_a_passing_run(self):
        for line in ("WARNING: CPU: 0 PID: 1 at mm/memory.c:1 f+0x1/0x2",
                     "BUG: Bad page state in process x  pfn:1",
                     "BUG: kernel NULL pointer dereference, address: 0",
                     "Unable to handle kernel paging request at virtual address 0",
                     "WARNING: possible circular locking dependency detected",
                     "BUG: KASAN: use-after-free in f", "rcu: INFO: rcu_sched self-detected stall",
                     "INFO: task x:1 blocked for more than 120 seconds.",
                     "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
                     "page:1 refcount:0 page dumped because: VM_BUG_ON_PAGE(1)",
                     "page dumped because: gup_test failure",
                     "refcount_t: underflow; use-after-free.",
                     "swap_free: Bad swap file entry 1", "UBSAN: shift-out-of-bounds in x",
                     "general protection fault, probably for non-canonical address 0"):
            for stamp in ("", "[    1.234567] ", "[    1.234567][  T123] "):
                with self.subTest(stamp + line):
                    self.assertEqual(self.kinds(stamp + line + "\n"), ["splat"])

    def test_harmless_lines(self):
        for line in ("debug_vm_pgtable: Validating", "Warning: unable to open an initial console.",
                     "x86/fpu: legacy x87 FPU", "random: crng init done",
                     "init: begin BUGgy", "Unstable clock detected",
                     "page dumped because: gup_test dump",
                     "page dumped because: unmovable page"):
            self.assertEqual(self.kinds(f"[    1.0] {line}\n"), [], line)

    def test_one_splat_is_one(self):
        console = ("[1.0] ------------[ cut here ]------------\n[1.0] WARNING: CPU: 0 at a\n"
                   "[1.0] RIP: x\n[1.0] BUG: in the middle\n[1.0] ---[ end trace 0 ]---\n"
                   "[1.0] fine\n[2.0] WARNING: CPU: 1 at b\n[2.0] RIP: x\n[2.0] ---[ end trace 1 ]---\n")
        self.assertEqual([s[0] for s in verdict.splats(console)],
                         ["WARNING: CPU: 0 at a", "WARNING: CPU: 1 at b"])

    def test_allowed_splat(self):
        import re
        console = "[1.0] WARNING: CPU: 0 at a\n[1.0] RIP: f+0x1\n"
        self.assertEqual(self.kinds(console, allowed=[re.compile("RIP: f")]), [])
        self.assertEqual(self.kinds(console, allowed=[re.compile("RIP: g")]), ["splat"])

    def test_fewer_results_than_planned(self):
        self.assertEqual(self.kinds(ktap=HEAD.format(2) + "ok 1 p\n# end\n"), ["no-result"])


if __name__ == "__main__":
    unittest.main()
