"""Comparing kernels, and holding results against the lists of known trouble."""
import pathlib
import tempfile
import unittest
import xml.etree.ElementTree

from steps import report, tables
from steps.verdict import Row


def run(*rows):
    rows = [Row(*r) for r in rows]
    kinds = sorted({{"fail": "test", "timeout": "timeout"}[r.status] for r in rows
                    if r.status in ("fail", "timeout")})
    return {"rows": rows, "kinds": kinds, "notes": {k: "x" for k in kinds}, "splats": []}


def known(text):
    return [tables.Known("known:1", text)]


class Change(unittest.TestCase):
    def test_words(self):
        for base, patched, word in (
                ("fail", "pass", "fixed"), ("timeout", "pass", "fixed"), ("pass", "fail", "broken"),
                ("pass", "timeout", "broken"), ("pass", "skip", "lost"), ("pass", "pass", "same"),
                ("fail", "fail", "same"), ("skip", "pass", "same"),
                ("fail", "skip", "skipped")):
            self.assertEqual(report.change(Row("a", base), Row("a", patched)), word)
        self.assertEqual(report.change(None, Row("a", "pass")), "new")
        self.assertEqual(report.change(Row("a", "pass"), None), "gone")


class Known(unittest.TestCase):
    def hold(self, runs, lines, topics=(), patches=(), complete=True):
        return report.hold_against("x86_64", runs, lines, topics, patches, complete)

    def test_unknown_failure_counts(self):
        runs = {"patched": run(("a", "fail"))}
        self.assertEqual(self.hold(runs, []), [])
        self.assertEqual(report.kinds(runs["patched"]), ["test"])

    def test_known_failure_does_not(self):
        runs = {"base": run(("c/x", "fail")), "patched": run(("c/x", "fail"))}
        self.assertEqual(self.hold(runs, known("x86_64 c/* until=cow -- why")), [])
        self.assertEqual(report.kinds(runs["patched"]), [])
        self.assertEqual(report.kinds(runs["base"]), [])

    def test_nothing_of_ours_ends_it(self):
        runs = {"base": run(("c/x", "fail")), "patched": run(("c/x", "fail"))}
        self.assertEqual(self.hold(runs, known("x86_64 c/* until=never -- why")), [])
        self.assertIn("\n* c/*: why", report.table(runs, every_row=True))

    def test_no_topic_is_called_so(self):
        with tempfile.TemporaryDirectory() as name:
            queue = pathlib.Path(name)
            (queue / "series").write_text("# base: v1\n# topic: never -- x (state: local)\n")
            with self.assertRaisesRegex(tables.Failure, "never is no name"):
                tables.series(queue)

    def test_only_on_its_arch(self):
        runs = {"patched": run(("c/x", "fail"))}
        self.hold(runs, known("arm64 c/* until=cow -- why"))
        self.assertEqual(report.kinds(runs["patched"]), ["test"])

    def test_known_failure_that_passes_is_an_error(self):
        runs = {"patched": run(("c/x", "pass"), ("c/y", "fail"))}
        self.assertIn("c/x passes", self.hold(runs, known("* c/* until=cow -- why"))[0])

    def test_line_that_matches_nothing_is_an_error(self):
        runs = {"patched": run(("a", "pass"))}
        lines = known("x86_64 c/* until=cow -- why")
        self.assertIn("no row matches", self.hold(runs, lines)[0])
        self.assertEqual(self.hold(runs, lines, complete=False), [])

    def test_line_whose_patch_is_there_is_an_error(self):
        runs = {"patched": run(("c/x", "fail"))}
        for topics, patches in ((["cow"], []), ([], ["cow"]), ([], ["cow.patch"])):
            self.assertIn("drop the line", self.hold(
                runs, known("x86_64 c/* until=cow -- why"), topics, patches)[0])
            self.assertEqual(report.kinds(runs["patched"]), ["test"])

    def test_fixed_needs_no_line(self):
        runs = {"base": run(("a", "fail")), "patched": run(("a", "pass"))}
        self.assertEqual(self.hold(runs, []), [])
        self.assertEqual(report.kinds(runs["base"]), [])

    def test_base_that_fails_where_the_patched_tree_skips_needs_no_line(self):
        runs = {"base": run(("a", "fail")), "patched": run(("a", "skip", "no huge pages"))}
        self.assertEqual(self.hold(runs, []), [])
        self.assertEqual(report.kinds(runs["base"]), [])
        self.assertIn("skipped", report.table(runs))

    def test_base_whose_row_fails_where_the_patched_program_skips_needs_no_line(self):
        for status, kinds in (("skip", []), ("pass", ["test"]), ("fail", ["test"])):
            runs = {"base": run(("a/x", "fail")), "patched": run(("a", status, "no device"))}
            self.assertEqual(self.hold(runs, []), [])
            self.assertEqual(report.kinds(runs["base"]), kinds)
            self.assertEqual("skipped" in report.table(runs, True), status == "skip")

    def test_splats_of_the_base_alone_need_no_line(self):
        for splats, kinds in (([], []), ([["WARNING: x"]], ["splat"])):
            runs = {"base": {**run(("a", "pass")), "kinds": ["splat"], "splats": [["WARNING: x"]]},
                    "patched": {**run(("a", "pass")), "splats": splats}}
            self.assertEqual(self.hold(runs, []), [])
            self.assertEqual(report.kinds(runs["base"]), kinds)

    def test_arch_of_a_line_takes_globs(self):
        for arch, kinds in (("{arm64,x86_*} a", []), ("{arm64,s390x} a", ["test"])):
            runs = {"patched": run(("a", "fail"))}
            self.hold(runs, known(f"{arch} until=cow -- why"))
            self.assertEqual(report.kinds(runs["patched"]), kinds)

    def test_program_that_dies_on_the_base_only(self):
        runs = {"base": run(("p", "fail")), "patched": run(("p/x", "pass"), ("p/y", "skip", "z"))}
        self.assertEqual(self.hold(runs, []), [])
        self.assertEqual(report.kinds(runs["base"]), [])
        self.assertIn("fixed", report.table(runs))
        runs = {"base": run(("p", "fail")), "patched": run(("p/x", "pass"), ("p/y", "fail"))}
        self.hold(runs, [])
        self.assertEqual(report.kinds(runs["base"]), ["test"])

    def test_each_glob_must_match(self):
        runs = {"patched": run(("c/x", "fail"))}
        self.assertEqual(self.hold(runs, known("x86_64 c/{x,y} until=cow -- why")),
                         ["known:1: no row matches c/y"])

    def test_broken_is_an_error(self):
        runs = {"base": run(("a", "pass")), "patched": run(("a", "fail"))}
        self.hold(runs, [])
        self.assertEqual(report.kinds(runs["patched"]), ["test"])

    def test_splat_is_never_known_by_a_row(self):
        runs = {"patched": run(("a", "fail"))}
        runs["patched"]["kinds"].insert(0, "splat")
        self.hold(runs, known("x86_64 a until=cow -- why"))
        self.assertEqual(report.kinds(runs["patched"]), ["splat"])

    def test_test_without_a_program_is_an_error(self):
        runs = {"patched": {**run(("a", "pass")), "absent": {"b": "neither tree has b"}}}
        self.assertEqual(report.left_out("x86_64", runs, [], True),
                         ["ci/tests: b did not run on patched: neither tree has b"])

    def test_test_that_an_arch_does_not_have_is_skipped(self):
        def runs():
            return {"patched": {**run(("a", "pass")), "absent": {"b": "neither tree has b"}}}
        lines = [tables.Absent("absent:1", "{arm,mips*} b -- 64 bits only")]
        one = runs()
        self.assertEqual(report.left_out("mips64", one, lines, True), [])
        self.assertEqual(repr(one["patched"]["rows"][-1]), "skip b (64 bits only)")
        self.assertIn("b did not run", report.left_out("arm64", runs(), lines, True)[0])
        self.assertIn("drop or narrow", report.left_out(
            "arm", {"patched": {**run(("b", "pass")), "absent": {}}}, lines, True)[0])

    def test_page_tables(self):
        said = "[    0.1] debug_vm_pgtable: [debug_vm_pgtable         ]: Validating\n"
        splat = ["WARNING: CPU: 0 at mm/debug_vm_pgtable.c:70 pte_basic_tests+0x1"]
        on = "CONFIG_DEBUG_VM_PGTABLE=y\n"
        for console, config, splats, status in ((said, on, [], "pass"), ("", on, [], "fail"),
                                                (said, on, [["WARNING: x"], splat], "fail"),
                                                (said, on, [["WARNING: x"]], "pass"),
                                                (said, "", [], "skip")):
            self.assertEqual(report.page_tables(console, config, splats).status, status)

    def test_form(self):
        with self.assertRaises(Exception):
            known("x86_64 a until=cow no reason")
        with self.assertRaises(Exception):
            tables.Allowed("splats:1", "x86_64 until=cow WARNING -- why")


class Output(unittest.TestCase):
    def setUp(self):
        self.runs = {"base": run(("a", "fail", "exit=1"), ("p/x", "pass"), ("p/y", "skip", "no <swap>")),
                     "patched": run(("a", "pass"), ("p/x", "fail", "lost & found"),
                                    ("p/y", "skip", "no <swap>"))}
        report.hold_against("x86_64", self.runs, [], [], [], True)

    def test_table(self):
        text = report.table(self.runs)
        lines = {line.split()[0]: line.split() for line in text.splitlines() if line.split()}
        self.assertEqual(lines["a"][1:], ["FAIL", "pass", "fixed"])
        self.assertEqual(lines["x"][1:], ["pass", "FAIL", "broken"])
        self.assertNotIn("y", lines)
        self.assertIn("p/y: skip: no <swap>", text)
        self.assertIn("p/x: FAIL: lost & found [patched]", text)
        self.assertIn("\n  y ", report.table(self.runs, every_row=True))

    def test_junit(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "junit.xml"
            report.junit("x86_64", self.runs, path)
            suites = xml.etree.ElementTree.parse(path).getroot()
        base, patched = suites
        self.assertEqual((base.get("failures"), patched.get("failures")), ("0", "1"))
        self.assertEqual(patched.find(".//failure").get("message"), "lost & found")
        self.assertEqual(patched.find(".//skipped").get("message"), "no <swap>")

    def test_ktap_round_trip(self):
        from steps import verdict
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "results.ktap"
            report.ktap(self.runs["patched"], path)
            again = verdict.results(path.read_text())
        self.assertEqual([(r.name, r.status) for r in again["rows"]],
                         [(r.name, r.status) for r in self.runs["patched"]["rows"]])


if __name__ == "__main__":
    unittest.main()
