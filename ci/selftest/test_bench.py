"""ci/bench: parsing, limits, table, picture, and foreign trees."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from steps import bench, config, host, picture, source, tables, verdict
from steps.bench import Count

KTAP = """KTAP version 1
1..1
# begin bench
    TAP version 13
    1..6
    ok 1 clock # instructions=2.00 copies=- needed=0
    ok 2 munmap.base # instructions=500.41 copies=- needed=0
    ok 3 cow.base # instructions=3353.74 copies=1.0000 needed=1
    ok 4 exit-write.base # instructions=849.10 copies=0.2500 needed=0
    ok 5 pin-fast.base # SKIP no gup_test in this kernel
    not ok 6 page-out.thp # page 7 did not go to the swap device
# seconds bench 13.71
ok 1 bench
# end
"""


def passed(instructions, copies=None, needed=False):
    return Count("pass", instructions, copies, needed, "")


class Parse(unittest.TestCase):
    def test_guest(self):
        got = bench.counts(verdict.judge("", KTAP, "exit")["rows"])
        got.pop("bench", None)
        self.assertEqual(got, {
            "clock": passed(2.0), "munmap.base": passed(500.41),
            "cow.base": passed(3353.74, 1.0, True), "exit-write.base": passed(849.10, 0.25),
            "pin-fast.base": Count("skip", None, None, False, "no gup_test in this kernel"),
            "page-out.thp": Count("fail", None, None, False,
                                  "page 7 did not go to the swap device")})

    def test_a_pass_without_figures_is_none(self):
        for why in ("", "instructions= copies=- needed=0", "instructions=1 copies=x needed=0"):
            self.assertEqual(bench.counts([verdict.Row("bench/a", "pass", why)])["a"].status,
                             "fail")

    def test_guest_that_ends_early(self):
        judged = verdict.judge("", KTAP[:KTAP.index("    ok 4")], "exit")
        self.assertIn("no-result", judged["kinds"])


class Limits(unittest.TestCase):
    def complain(self, base, patched, limit=1.03):
        return bench.complaints({"r": base} if base else {}, {"r": patched} if patched else {},
                                limit, {"own": (3, "why")})

    def test_a_row_with_a_limit_of_its_own(self):
        own = {"r": (3, "why")}
        for took, above, spare in ((3000, 0, 0), (3001, 1, 0), (1030, 0, 1), (1031, 0, 0)):
            kernels = {"r": passed(1000)}, {"r": passed(took)}
            self.assertEqual(len(bench.complaints(*kernels, 1.03, own)), above)
            self.assertEqual(len(bench.spare(*kernels, 1.03, own)), spare)
        self.assertEqual(bench.spare({}, {}, 1.03, own), [])

    def test_instructions(self):
        self.assertEqual(self.complain(passed(1000), passed(1030)), [])
        self.assertEqual(self.complain(passed(1000), passed(500)), [])
        self.assertRegex(self.complain(passed(1000), passed(1031))[0], r"^r: 1\.031 times")
        self.assertEqual(self.complain(passed(1000), passed(1031), 1.04), [])
        self.assertEqual(bench.above({"r": passed(99), "s": passed(101), "t": passed(5)},
                                     {"r": passed(100), "s": passed(100)}, 1.0, "v6.1", {}),
                         ["s: 1.010 times the instructions of v6.1, the limit is 1.0"])

    def test_no_instruction(self):
        self.assertEqual(self.complain(passed(817), passed(0)), [])
        self.assertEqual(self.complain(passed(0), passed(0)), [])
        self.assertRegex(self.complain(passed(0), passed(1))[0], "^r: inf times")
        self.assertEqual(bench.apart({"r": passed(0)}, {"r": passed(0)})[0], 0.0)
        self.assertEqual(bench.apart({"r": passed(0)}, {"r": passed(1)}), (1.0, "r"))

    def test_copies(self):
        self.assertEqual(self.complain(passed(1, 1.0), passed(1, 1.0)), [])
        self.assertEqual(self.complain(passed(1, 1.0), passed(1, 0.0)), [])
        self.assertRegex(self.complain(passed(1, 0.0), passed(1, 0.0005))[0], "nobody needs")
        self.assertEqual(self.complain(passed(1, 0.0, True), passed(1, 1.0, True)), [])

    def test_what_did_not_run(self):
        skip, fail = (Count(s, None, None, False, "why") for s in ("skip", "fail"))
        for base, patched, say in ((passed(1), fail, "r: patched: why"),
                                   (fail, passed(1), "r: base: why"),
                                   (passed(1), None, "r: patched: has no such row"),
                                   (None, passed(1), "r: base: has no such row"),
                                   (passed(1), skip, "r: lost: why")):
            self.assertEqual(self.complain(base, patched), [say])
        self.assertEqual(self.complain(skip, passed(1)), [])
        self.assertEqual(self.complain(skip, skip), [])

    def test_two_runs(self):
        one = {"a": passed(1000), "b": passed(2000, 0.5), "c": Count("skip", None, None, False, "")}
        self.assertEqual(bench.apart(one, one)[0], 0.0)
        self.assertEqual(bench.apart(one, {**one, "b": passed(2020, 0.5)}), (0.01, "b"))
        for other in ({**one, "b": passed(2000, 0.4)}, {**one, "c": passed(1)}, {"a": one["a"]}):
            self.assertEqual(bench.apart(one, other)[0], 1.0)


KERNELS = {"base": {"cow.thp": passed(100000, 512.0, True), "exit-write.base": passed(800, 1.0),
                    "pin-fast.base": Count("skip", None, None, False, "no gup_test")},
           "patched": {"cow.thp": passed(90000, 512.0, True), "exit-write.base": passed(40, 0.0),
                       "pin-fast.base": passed(50.5)},
           "v6.1.1": {"cow.thp": passed(300000, 512.0, True),
                      "exit-write.base": Count("fail", None, None, False, "broken")}}


class Output(unittest.TestCase):
    def test_table(self):
        lines = [line.split() for line in bench.table(KERNELS).splitlines()]
        self.assertIn(["cow.thp", "100000", "90000", "0.900", "300000", "3.000",
                       "512n", "512n", "512n"], lines)
        self.assertIn(["exit-write.base", "800.0", "40.0", "0.050", "-", "-", "1", "0", "-"], lines)
        self.assertIn(["pin-fast.base", "-", "50.5", "-", "-", "-", "-", "-", "-"], lines)
        for note in ("- pin-fast.base, base: no gup_test", "- exit-write.base, v6.1.1: broken",
                     "- pin-fast.base, v6.1.1: no such row"):
            self.assertIn(note, bench.table(KERNELS).splitlines())

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_picture(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "bench.svg"
            picture.draw(KERNELS, out, "a title")
            text = out.read_text()
            for word in ("cow.thp", "exit-write.base", "patched", "v6.1.1", "a title"):
                self.assertIn(word, text)
            with self.assertRaises(host.Failure):
                picture.draw(KERNELS, pathlib.Path(folder) / "no/such/x.svg", "a title")


class Configuration(unittest.TestCase):
    def test_no_debug_option(self):
        for name in tables.arches():
            want = config.wanted(config.fragments(tables.arch(name), ["bench"], lambda path: True))
            on = [line for line in want.values() if not line.startswith("#")]
            for line in on:
                self.assertNotRegex(line, "KASAN|PROVE|LOCKDEP|DEBUG_VM|DEBUG_LIST|PAGE_OWNER|"
                                          "POISON|DETECTOR|DETECT_|DEBUG_INFO")

    def test_plan(self):
        self.assertEqual([words[1] for _, words in tables.tests(host.CI / "bench-plan")
                          if words[0] == "test"], ["bench"])


class ForeignTree(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        old = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = str(self.folder / "cache")
        self.addCleanup(lambda: os.environ.__setitem__("XDG_CACHE_HOME", old) if old
                        else os.environ.pop("XDG_CACHE_HOME"))
        subprocess.run(["git", "init", "-q", "--bare", self.folder / "x.git"], check=True)
        self.source = source.Source.__new__(source.Source)
        self.source.git_dir = str(self.folder / "x.git")
        self.tree = self.folder / "tree"
        (self.tree / "mm").mkdir(parents=True)
        (self.tree / "Kconfig").write_text("")
        (self.tree / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 9\n"
                                            "EXTRAVERSION =\nNAME = A\n")
        (self.tree / "mm/a.c").write_text("a")
        (self.tree / "link").symlink_to("mm")

    def names(self, commit):
        return self.source.git("ls-tree", "-r", "--name-only", commit).split()

    def test_plain(self):
        before = sorted(self.tree.rglob("*"))
        first = self.source.adopt(self.tree)
        self.assertEqual(self.names(first), ["Kconfig", "Makefile", "link", "mm/a.c"])
        self.assertEqual(bench.label(self.source, first), "v6.1.9")
        self.assertEqual(self.source.adopt(self.tree), first)
        (self.tree / "mm/a.c").unlink()
        (self.tree / "mm/b.c").write_text("b")
        self.assertEqual(self.names(self.source.adopt(self.tree)),
                         ["Kconfig", "Makefile", "link", "mm/b.c"])
        (self.tree / "mm/b.c").rename(self.tree / "mm/a.c")
        self.assertEqual(sorted(self.tree.rglob("*")), before)

    def test_git_work_tree(self):
        (self.tree / ".gitignore").write_text("*.o\n")
        (self.tree / "mm/a.o").write_text("")
        (self.tree / "kept.o").write_text("")
        for args in (["init", "-q"], ["add", "."], ["add", "-f", "kept.o"]):
            subprocess.run(["git", "-C", self.tree, *args], check=True)
        (self.tree / "mm/new.c").write_text("changed after git add")
        (self.tree / "mm/a.c").unlink()
        self.assertEqual(self.names(self.source.adopt(self.tree)),
                         [".gitignore", "Kconfig", "Makefile", "kept.o", "link", "mm/new.c"])

    def test_no_kernel_tree(self):
        (self.tree / "Kconfig").unlink()
        with self.assertRaisesRegex(host.Failure, "no Kconfig"):
            self.source.adopt(self.tree)


class CommandLine(unittest.TestCase):
    def test_arch_that_cannot_count(self):
        done = subprocess.run([sys.executable, host.CI / "bench", "-a", "vax"], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("no arch 'vax'", done.stderr)
        arch = tables.arch("x86_64")
        self.assertIn("-icount shift=0", bench.machine(arch)["machine"])
        del arch["machine-bench"]
        with self.assertRaisesRegex(host.Failure, "machine-bench"):
            bench.machine(arch)


if __name__ == "__main__":
    unittest.main()
