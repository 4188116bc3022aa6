"""ci/each, ci/prove and ci/bisect with made-up compilers, guests and judges."""
import os
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest

from steps import (alone, cocci, facts, headers, host, prefixes, programs, proof, search,
                   tables, trial, verdict)
from steps import warnings
from steps.host import Failure

LOG = """\
make[1]: Entering directory '/x'
  CC      mm/a.o
../mm/a.c: In function 'f':
../mm/a.c:10:5: warning: variable 'x' set but not used [-Wunused-but-set-variable]
   10 |  int x;
  CC [M]  lib/t.o
  AR      mm/built-in.a
../mm/a.c:3: warning: Function parameter or member 'q' not described in 'f'
  CC      mm/b.o
In file included from ../mm/b.c:1:
../include/linux/h.h:7:3: warning: old header warning [-Wx]
"""


def prefix(number=1):
    return prefixes.Prefix(number, "0" * 40, "1" * 40, "t", f"t/p{number}.patch")


def touched(text):
    return prefixes.Touched(text)


class Warnings(unittest.TestCase):
    A = "mm/a.c: warning: variable 'x' set but not used [-Wunused-but-set-variable]"

    def test_groups(self):
        got = warnings.groups(LOG)
        self.assertEqual(got["mm/a.o"], [self.A])
        self.assertEqual(got["lib/t.o"], [])
        self.assertEqual(got["mm/b.o"], ["include/linux/h.h: warning: old header warning [-Wx]"])

    def test_only_some_labels(self):
        log = "  CHECK   ../mm/a.c\n../mm/a.c:5:9: warning: wrong\n  CC      mm/b.o\nmm/b.c:1: warning: x\n"
        self.assertEqual(warnings.groups(log, {"CHECK"}), {"mm/a.c": ["mm/a.c: warning: wrong"]})

    def test_added(self):
        self.assertEqual(warnings.new({"mm/a.o": []}, {"mm/a.o": [self.A]}), [self.A])

    def test_line_numbers_do_not_matter(self):
        moved = warnings.groups(LOG.replace("a.c:10:5", "a.c:99:5"))
        self.assertEqual(warnings.new(warnings.groups(LOG), moved), [])

    def test_second_of_a_kind_is_new(self):
        self.assertEqual(warnings.new({"mm/a.o": [self.A]}, {"mm/a.o": [self.A] * 2}), [self.A])

    def test_new_object_with_an_old_header(self):
        header = "include/linux/h.h: warning: old"
        self.assertEqual(warnings.new({"mm/a.o": [header]}, {"mm/b.o": [header]}), [])
        self.assertEqual(warnings.new({"mm/a.o": []}, {"mm/b.o": [header]}), [header])

    def test_rename(self):
        now = {"mm/b.o": [self.A.replace("a.c", "b.c")]}
        self.assertEqual(warnings.new({"mm/a.o": [self.A]}, now, {"mm/a.c": "mm/b.c"}), [])
        self.assertEqual(len(warnings.new({"mm/a.o": [self.A]}, {"mm/b.o": now["mm/b.o"] * 2},
                                          {"mm/a.c": "mm/b.c"})), 1)


class Alone(unittest.TestCase):
    GOOD = {"warnings": {"mm/a.o": []}, "sparse": {"mm/a.c": []}}

    def judge(self, now, parent=None, files=("mm/a.c",)):
        judged = alone.Judged(prefix())
        alone.kernel(judged, touched("M\tmm/a.c"), list(files), parent or self.GOOD, now)
        return judged

    def test_good(self):
        judged = self.judge(self.GOOD)
        self.assertTrue(judged.good())
        self.assertEqual([judged.cells[c] for c in ("compile", "W=1", "sparse")], ["ok"] * 3)

    def test_other_configuration(self):
        said = ["a warning: of old code"]
        for now, same, cell in (({"lib/b.o": said}, False, "ok"), ({"lib/b.o": said}, True, "FAIL"),
                                ({"mm/a.o": said}, False, "FAIL"), ({"mm/a.o": said}, True, "FAIL")):
            judged = alone.Judged(prefix())
            alone.kernel(judged, touched("M\tmm/a.c"), ["mm/a.c"], self.GOOD,
                         {**self.GOOD, "warnings": now}, same)
            self.assertEqual(judged.cells["W=1"], cell)

    def test_does_not_compile_alone(self):
        judged = self.judge({"error": "mm/a.c:1:1: error: no such thing", "sparse": {}})
        self.assertEqual(judged.cells["compile"], "FAIL")
        self.assertIn("no such thing", judged.complaints[0])

    def test_warning_added(self):
        judged = self.judge({**self.GOOD, "warnings": {"mm/a.o": ["mm/a.c: warning: w"]}})
        self.assertEqual(judged.cells["W=1"], "FAIL")
        self.assertIn("warning: w", judged.complaints[0])

    def test_sparse_added(self):
        judged = self.judge({**self.GOOD, "sparse": {"mm/a.c": ["mm/a.c: warning: s"]}})
        self.assertEqual((judged.cells["W=1"], judged.cells["sparse"]), ("ok", "FAIL"))

    def test_file_that_nothing_is_made_of_is_told(self):
        judged = self.judge({**self.GOOD, "sparse": {"mm/a.c": None}})
        self.assertEqual(judged.cells["sparse"], "-")
        self.assertIn("no object is made of mm/a.c", judged.notes[0])

    def test_coccinelle(self):
        for parent, now, cell in (
                ({"r": ["mm/a.c: bad"]}, {"r": ["mm/a.c: bad"]}, "ok"),
                ({}, {"r": ["mm/a.c: bad"]}, "FAIL"),
                ({"r": [None]}, {"r": ["mm/a.c: bad"]}, "ok")):
            judged = alone.Judged(prefix())
            alone.rules(judged, touched("M\tmm/a.c"), {"mm/a.c": parent}, {"mm/a.c": now})
            self.assertEqual(judged.cells["coccinelle"], cell, (parent, now))

    def test_coccinelle_falls_silent(self):
        judged = alone.Judged(prefix())
        alone.rules(judged, touched("M\tmm/a.c"), {"mm/a.c": {}}, {"mm/a.c": {"r": [None]}})
        self.assertIn("no answer any more from r", judged.notes[0])

    def test_coccinelle_reports(self):
        text = "mm/a.c:9:1-7: preceding lock on line 8\nnoise\n"
        self.assertEqual(list(cocci.reports(text, "mm/a.c")), ["mm/a.c: preceding lock on line N"])

    def test_selftests(self):
        what = touched("M\ttools/testing/selftests/vm/x.c")
        self.assertTrue(what.selftests())
        warning = ["x.c: warning: w"]
        for parent, now, cell in (({"said": {"x": warning}}, {"said": {"x": warning}}, "ok"),
                                  ({"said": {"x": []}}, {"said": {"x": warning}}, "FAIL"),
                                  ({"said": {"x": []}}, {"error": "x.c:1: error: e"}, "FAIL"),
                                  ({"error": "e"}, {"said": {"x": []}}, "ok")):
            judged = alone.Judged(prefix())
            alone.programs(judged, what, parent, now)
            self.assertEqual(judged.cells["selftests"], cell, (parent, now))

    def test_selftests_log(self):
        log = ("ccache x86_64-linux-gnu-gcc -Wall  x.c -lrt -o /o/vm/x\nx.c:1:2: warning: w\n"
               "ccache x86_64-linux-gnu-gcc -Wall  y.c -lrt -o /o/vm/y\n")
        self.assertEqual(programs.groups(log), {"x": ["x.c: warning: w"], "y": []})

    def test_table(self):
        judged = self.judge({"error": "e", "sparse": {}})
        text = alone.table([judged], alone.CHECKS)
        self.assertRegex(text, r"1 p1 +FAIL +- +- +- +-")
        self.assertIn("1 p1: compile: e", text)


class Prefixes(unittest.TestCase):
    LIST = [prefixes.Prefix(n, "", "", topic, f"{topic}/{name}.patch") for n, (topic, name) in
            enumerate((("a", "x"), ("a", "y"), ("b", "x"), ("b", "z")), 1)]

    def numbers(self, text):
        return [p.number for p in prefixes.select(self.LIST, text)]

    def test_select(self):
        for text, numbers in ((None, [1, 2, 3, 4]), ("y", [2]), ("a", [1, 2]), ("2..b", [2, 3, 4]),
                              ("y..", [2, 3, 4]), ("..3", [1, 2, 3]), ("b/x.patch", [3]),
                              ("a..a", [1, 2])):
            self.assertEqual(self.numbers(text), numbers, text)

    def test_wrong(self):
        for text, why in (("x", "more than one patch"), ("q", "topics: a b"), ("0", "from 1 to 4"),
                          ("5", "from 1 to 4"), ("b..a", "comes before")):
            with self.assertRaisesRegex(Failure, why):
                self.numbers(text)

    def test_touched(self):
        what = touched("R090\tmm/a.c\tmm/b.c\nD\tmm/old.c\nA\tmm/h.h\n"
                       "M\ttools/testing/selftests/vm/config")
        self.assertEqual(what.sources(), ["mm/b.c"])
        self.assertEqual(what.headers(), ["mm/h.h"])
        self.assertEqual(what.selftests(), [])
        self.assertEqual(what.renames, {"mm/a.c": "mm/b.c"})


def guest(ktap, console="", ended="exit"):
    plan = sum(line.startswith("# begin ") for line in ktap.splitlines())
    return verdict.judge(console, f"KTAP version 1\n1..{plan}\n" + ktap, ended), console


class Trial(unittest.TestCase):
    def test_what_was_seen_holds_until_the_rows_own_program_changes(self):
        with tempfile.TemporaryDirectory() as there:
            lab = trial.Trial.__new__(trial.Trial)
            lab.tip = lab.guest = pathlib.Path(there)
            lab.rows = [("", "test one 5 root ./one {rows}".split()),
                        ("", "test two 5 root ./two".split())]
            lab.source = types.SimpleNamespace(tip="tip", has=lambda commit, path: True)
            vm = lab.tip / "selftests" / "vm"
            vm.mkdir(parents=True)
            (vm / "one").write_text("1")
            (vm / "two").write_text("2")
            before = lab.programs("commit", "one/row"), lab.programs("commit", "two")
            (vm / "two").write_text("changed")
            after = lab.programs("commit", "one/row"), lab.programs("commit", "two")
        self.assertEqual(before[0], after[0])
        self.assertNotEqual(before[1], after[1])

    def word(self, row, ktap, console=""):
        return trial.outcome(*guest(ktap, console), row).word

    def test_plain(self):
        self.assertEqual(self.word("a", "# begin a\nok 1 a\n# end\n"), "pass")
        self.assertEqual(self.word("a", "# begin a\nnot ok 1 a # exit=1\n# end\n"), "fail")
        self.assertEqual(self.word("a", "# begin a\nok 1 a # SKIP why\n# end\n"), "skip")
        self.assertEqual(self.word("b", "# begin a\nok 1 a\n# end\n"), "absent")

    def test_rows(self):
        ktap = "# begin a\n    ok 1 x\n    not ok 2 y\nnot ok 1 a # exit=1\n# end\n"
        for row, word in (("a/x", "pass"), ("a/y", "fail"), ("a/z", "absent"), ("a", "fail"),
                          ("a/*", "mixed")):
            self.assertEqual(self.word(row, ktap), word, row)

    def test_program_that_ended_before_its_row_never_ran(self):
        self.assertEqual(self.word("a/x", "# begin a\nnot ok 1 a # signal=11\n# end\n"), "absent")

    def test_timeout_is_red(self):
        self.assertEqual(self.word("a/x", "# begin a\nnot ok 1 a # timeout after 5 s\n# end\n"),
                         "timeout")

    def test_panic_while_it_ran(self):
        self.assertEqual(self.word("a/x", "# begin a\n", "Kernel panic - not syncing: x\n"), "panic")

    def test_splat_while_it_ran(self):
        ktap = "# begin a\nok 1 a\n# begin b\nok 2 b\n# end\n"
        console = ("[1.0] init: begin a\n[1.1] init: end a\n[1.2] init: begin b\n"
                   "[1.3] WARNING: CPU: 0 at f\n[1.4] RIP: f\n[1.5] init: end b\n")
        self.assertEqual((self.word("a", ktap, console), self.word("b", ktap, console)),
                         ("pass", "splat"))

    def test_guest_that_dies_takes_nothing_along(self):
        boots = []

        def boot_once(rows):
            boots.append(rows)
            if "a" in rows:
                return guest("# begin a\n", "Kernel panic - not syncing: x\n")
            return guest("# begin b\nok 1 b\n# end\n")
        got = trial.run_all(["a", "b"], boot_once)
        self.assertEqual({r: o.word for r, o in got.items()}, {"a": "panic", "b": "pass"})
        self.assertEqual(boots, [["a", "b"], ["b"]])

    def test_splat_among_rows_is_looked_at_one_by_one(self):
        def boot_once(rows):
            bad = "a/y" in rows
            ktap = "# begin a\n" + "".join(f"    ok {n} {r[2:]}\n" for n, r in
                                           enumerate(rows, 1)) + "ok 1 a\n# end\n"
            return guest(ktap, "[1] init: begin a\n" + "[1] WARNING: CPU: 0 at f\n" * bad)
        got = trial.run_all(["a/x", "a/y"], boot_once)
        self.assertEqual({r: o.word for r, o in got.items()}, {"a/x": "pass", "a/y": "splat"})


class Proof(unittest.TestCase):
    def say(self, parent, now):
        return proof.verdict(trial.Outcome(parent, ""), trial.Outcome(now, ""))

    def test_red_then_green(self):
        for red in trial.RED:
            self.assertEqual(self.say(red, "pass"), "")

    def test_everything_else_is_an_error(self):
        for parent, now, why in (
                ("pass", "pass", "green on the parent"), ("fail", "fail", "red on the patch"),
                ("absent", "pass", "never ran on the parent"),
                ("fail", "absent", "never ran on the patch"),
                ("skip", "pass", "skipped on the parent"), ("fail", "skip", "skipped on the patch"),
                ("fail", "splat", "red on the patch"), ("mixed", "pass", "neither red nor green"),
                ("fail", "panic", "red on the patch"), ("pass", "fail", "red on the patch")):
            self.assertIn(why, self.say(parent, now))

    def test_parse(self):
        self.assertEqual(proof.parse(["a/x.* x86_64,arm64", "b s390x"]),
                         [("a/x.*", ["x86_64", "arm64"]), ("b", ["s390x"])])
        self.assertEqual(proof.parse(["none it is so"]), "it is so")
        for bad in ([], [""], ["none"], ["a"], ["a x86_64", "none why"]):
            with self.assertRaises(Failure):
                proof.parse(bad)

    def test_debug_kernel(self):
        self.assertEqual(proof.parse(["a/x x86_64-debug"]), [("a/x", ["x86_64-debug"])])
        self.assertEqual(tables.debug("x86_64-debug"), ("x86_64", ["debug"]))
        self.assertEqual(tables.debug("x86_64"), ("x86_64", []))

    def test_arches_of_ours(self):
        """Each arch that a Proof: names is one that ci/prove knows."""
        known = {headers.ARCH, *tables.arches()}
        if not (host.TOP / "series").exists():
            self.skipTest("there is no series yet")
        for patch in tables.series(host.TOP)[2]:
            rows = proof.parse(proof.fields((host.TOP / "patches" / patch).read_bytes()))
            for row, arches in rows if isinstance(rows, list) else []:
                for name in arches:
                    self.assertIn(tables.debug(name)[0], known, f"{patch}: {row}")

    def test_file_round_trip(self):
        text = proof.write([("t", [("t/a.patch", ["a/x x86_64", "b x86_64"],
                                    {"a/x x86_64": "fail -> pass"}),
                                   ("t/b.patch", ["none a reason; with marks"], {})])], "")
        self.assertEqual(proof.read(text), [
            ("t/a.patch", ["a/x x86_64", "b x86_64"],
             {"a/x x86_64": "fail -> pass", "b x86_64": "not run"}),
            ("t/b.patch", ["none a reason; with marks"], {})])
        again = proof.write([("t", [("t/a.patch", ["a/x x86_64"], {})])], text)
        self.assertIn("a/x x86_64 [fail -> pass]", again)

    def test_compare(self):
        text = proof.write([("t", [("t/a.patch", ["a x86_64"], {"a x86_64": "fail -> pass"}),
                                   ("t/b.patch", ["none why"], {})])], "")
        headers = [("t/a.patch", ["a x86_64"]), ("t/b.patch", ["none why"])]
        self.assertEqual(proof.compare(text, headers), [])
        for other, why in (([headers[0]], "not in the series"),
                           ([*headers, ("t/c.patch", ["none x"])], "t/c.patch is not in it"),
                           ([("t/a.patch", ["b x86_64"]), headers[1]], "it says a x86_64"),
                           (headers[::-1], "order")):
            self.assertIn(why, proof.compare(text, other)[0])
        green = text.replace("fail -> pass", "pass -> pass")
        self.assertIn("is not proven", proof.compare(green, headers)[0])

    def test_ours(self):
        """Documentation/proofs.rst says of each patch what its header says."""
        if not (host.TOP / "series").exists():
            self.skipTest("there is no series yet")
        names = tables.series(host.TOP)[2]
        headers = [(n, proof.fields((host.TOP / "patches" / n).read_bytes())) for n in names]
        path = host.TOP / "Documentation" / "proofs.rst"
        self.assertTrue(path.exists(), "run ci/prove --write")
        self.assertEqual(proof.compare(path.read_text(), headers), [], "run ci/prove --write")


class Search(unittest.TestCase):
    def test_every_place(self):
        for length in range(2, 40):
            for turn in range(1, length):
                asked = []

                def judge(item):
                    asked.append(item)
                    return "pass" if item >= turn else "fail"
                got = search.find(list(range(length)), judge)
                self.assertEqual((got.last, got.first, got.between), (turn - 1, turn, []))
                self.assertLessEqual(len(asked), 3 + length.bit_length())

    def test_cheap_ones_first(self):
        asked = []

        def judge(item):
            asked.append(item)
            return "pass" if item >= 11 else "fail"
        got = search.find(list(range(20)), judge, cheap={6}.__contains__)
        self.assertEqual((got.first, asked[2]), (11, 6))

    def test_one_that_does_not_build(self):
        got = search.find(list(range(8)), lambda i: None if i in (3, 4) else
                          "pass" if i >= 4 else "fail")
        self.assertEqual((got.last, got.first, got.between), (2, 5, [3, 4]))

    def test_no_turn(self):
        for words, why in ((["pass"] * 3, "pass at both ends"), ([None, "x"], "first kernel")):
            with self.assertRaisesRegex(Failure, why):
                search.find(list(range(len(words))), lambda i: words[i])

    def test_flaky_is_not_confirmed(self):
        words = iter(["fail", "pass", "fail", "pass", "pass", "pass"])
        turn = search.Turn(0, 1, [], "fail", "pass")
        self.assertFalse(search.confirm(turn, lambda i: next(words))[2])
        self.assertTrue(search.confirm(turn, lambda i: "pass" if i else "fail")[2])


class Facts(unittest.TestCase):
    def test_round_trip(self):
        with tempfile.TemporaryDirectory() as home:
            old = os.environ.get("XDG_CACHE_HOME")
            os.environ["XDG_CACHE_HOME"] = home
            try:
                self.assertEqual(facts.load("x", "k"), {})
                facts.store("x", "k", {"a": [None]})
                self.assertEqual(facts.load("x", "k"), {"a": [None]})
                (pathlib.Path(home) / "mmquilt/facts/x/k.json").write_text('{"a"')
                self.assertEqual(facts.load("x", "k"), {})
            finally:
                os.environ.pop("XDG_CACHE_HOME")
                if old:
                    os.environ["XDG_CACHE_HOME"] = old


class CommandLines(unittest.TestCase):
    def run_it(self, *args):
        with tempfile.TemporaryDirectory() as empty:
            done = subprocess.run([sys.executable, host.CI / args[0], *args[1:], "-q", empty],
                                  stdin=subprocess.DEVNULL, text=True, capture_output=True,
                                  timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_no_queue(self):
        for args in (["each"], ["prove"], ["bisect", "-t", "vmalloc"]):
            code, text = self.run_it(*args)
            self.assertEqual(code, 5, text)
            self.assertIn("-q", text)
            self.assertNotIn("Traceback", text)

    def test_unknown_arch(self):
        for args in (["each"], ["prove"], ["bisect", "-t", "vmalloc"]):
            code, text = self.run_it(*args, "-a", "vax")
            self.assertEqual(code, 5)
            self.assertIn("no arch 'vax'; there are: ", text)


if __name__ == "__main__":
    unittest.main()
