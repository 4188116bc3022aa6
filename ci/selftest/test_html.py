"""The record of a run and the HTML report that is made of it."""
import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

from steps import html as page
from steps import record, report, tables, verdict
from steps.host import Failure

RECORDED = pathlib.Path(__file__).with_name("recorded")
REPORT = pathlib.Path(__file__).resolve().parents[1] / "report"
VOID = {"meta", "img", "br", "hr"}
HOSTILE = "<script>alert(1)</script> & \"q\" 'p' \x1b[31m \x00 \u202e </pre> http://x/"


class Document(html.parser.HTMLParser):
    """Holds a report against what it promises.

    tables: {caption: [cells of a line, each (text, class)]}, words: all text.
    """
    def __init__(self, source):
        super().__init__()
        self.open, self.wrong, self.ids, self.links = [], [], [], []
        self.tables, self.lines, self.caption, self.words = {}, [], None, ""
        self.feed(source)
        self.close()
        self.wrong += [f"{t} is never closed" for t in self.open]
        self.wrong += [f"{link} leads nowhere" for link in self.links if link not in self.ids]

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "link", "iframe", "object", "embed", "base", "form"):
            self.wrong.append(f"a {tag}")
        for key, value in attrs:
            if key in ("src", "href", "srcset", "action", "data", "poster", "background"):
                if (tag, key) == ("a", "href") and value.startswith("#"):
                    self.links.append(value[1:])
                elif not (tag == "img" and value.startswith("data:")):
                    self.wrong.append(f"{tag} loads {value}")
            if key.startswith("on") or "url(" in (value or ""):
                self.wrong.append(f"{tag} has {key}")
        if tag == "img" and not given.get("alt"):
            self.wrong.append("img without alt")
        if tag == "th" and given.get("scope") not in ("col", "row"):
            self.wrong.append("th without scope")
        if tag == "table":
            self.lines, self.caption = [], ""
        if tag == "tr":
            self.lines.append([])
        if tag in ("td", "th"):
            self.lines[-1:] = [(self.lines or [[]])[-1] + [("", given.get("class") or "")]]
        if "id" in given:
            if given["id"] in self.ids:
                self.wrong.append(f"{given['id']} twice")
            self.ids.append(given["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")
        if tag == "table":
            if not self.caption or self.caption in self.tables:
                self.wrong.append(f"a table's caption is {self.caption!r}")
            self.tables[self.caption] = self.lines

    def table(self, begin):
        """The lines of the table whose caption begins so."""
        return next((lines for caption, lines in self.tables.items()
                     if caption.startswith(begin)), [])

    def line(self, begin, name):
        """The cells behind the first one of a line."""
        return next(line[1:] for line in self.table(begin) if line and line[0][0] == name)

    def handle_data(self, data):
        self.words += data
        if "caption" in self.open:
            self.caption += data
        elif self.lines and self.lines[-1] and {"td", "th"} & set(self.open):
            text, mark = self.lines[-1][-1]
            self.lines[-1][-1] = text + data, mark
        if self.open and self.open[-1] == "style" and re.search(r"url\(|@import", data):
            self.wrong.append("a style that loads")


def recorded(out, cases, arch="x86_64", known="", complaints=(), options=()):
    """A run.json out of recorded guests: {kernel: case}, made as ci/run makes it."""
    lines = [tables.Known("known:1", known)] if known else []
    rec = record.Record(out / arch, arch, list(cases), list(options))
    with rec.steps() as step:
        step("source")
    with rec:
        rec.data["facts"] = {
            "base": "v5.10", "patches": 2, "topics": ["cow"], "compiler": "gcc", "qemu": "QEMU",
            "accel": "tcg", "commits": {"base": "b" * 40, "patched": "f" * 40},
            "config": {"base": ["common"], "patched": ["common", "x"]}}
        runs, good = {}, not complaints
        for kernel, case in cases.items():
            where = out / arch / kernel
            where.mkdir(exist_ok=True)
            for name in ("console.log", "ktap.log"):
                (where / name).write_text((RECORDED / case / name).read_text())
            (where / "qemu.cmd").write_text("qemu-system-x86_64 -append 'a & b'\n")
            with rec.steps(kernel) as step:
                for name in ("config", "build", "image", "boot"):
                    step(name)
                if "1.." in (where / "ktap.log").read_text():
                    step("tests")
                step("splats")
            runs[kernel] = verdict.judge((where / "console.log").read_text(),
                                         (where / "ktap.log").read_text(),
                                         (RECORDED / case / "ended-by").read_text().strip())
            (where / "splats.txt").write_text(
                "\n".join(line for splat in runs[kernel]["splats"] for line in splat))
        report.hold_against(arch, runs, lines, [], [], False)
        for kernel, run in runs.items():
            kinds = report.kinds(run)
            good = good and not kinds
            rec.judged(kernel, run, kinds, out / arch / kernel)
        rec.data.update(complaints=list(complaints), verdict="PASS" if good else "FAIL")
    return runs


class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)

    def make(self, *folders, bench=None):
        """The report's source and what it says; it must be sound."""
        path = self.out / "report.html"
        page.write(folders or [self.out], path, bench)
        source = path.read_text()
        document = Document(source)
        self.assertEqual(document.wrong, [])
        return source, document

    def test_checker_sees_what_is_wrong(self):
        for bad in ("<p>", "</p>", "<p></b>", "<script></script>", "<img src='a.png' alt='x'>",
                    "<link>", "<a href='http://x'></a>", "<p onclick='x'></p>", "<th></th>",
                    "<style>@import 'x'</style>", "<p style='background:url(x)'></p>",
                    "<i id='a'></i><i id='a'></i>", "<a href='#nowhere'></a>"):
            self.assertTrue(Document(bad).wrong, bad)

    def test_every_recorded_guest(self):
        for case in sorted(p.name for p in RECORDED.iterdir()):
            with self.subTest(case):
                runs = recorded(self.out, {"base": "healthy", "patched": case})
                _, doc = self.make()
                self.assertNotIn("</", doc.words, "escaped twice")
                for number, run in enumerate(runs.values()):
                    for row in run["rows"]:
                        test, _, name = row.name.partition("/")
                        cells = doc.line("Test by kernel", test)
                        if name or row.why:
                            cells = doc.line(f"Every row of {test} ", name or test)
                            self.assertIn(row.why, cells[-1][0])
                        self.assertIn(report.WORD[row.status], cells[number][0])
                red = {row.name for run in runs.values() for row in report.unexpected(run)}
                self.assertEqual({line[0][0] for line in doc.table("Rows that fail")[1:]}, red)
                kinds = runs["patched"]["kinds"]
                self.assertEqual([line[2] for line in doc.table("What is wrong")[1:]],
                                 [(kind, "word bad") for kind in kinds])
                self.assertEqual("Nothing is wrong" in doc.words, not kinds)
                self.assertEqual(doc.line("Arch by step", "x86_64")[0],
                                 ("FAIL", "word bad") if kinds else ("PASS", "word good"))

    def test_steps(self):
        for case, want in (("healthy", {}), ("mixed", {"tests": "failed"}),
                           ("panic", {"tests": "failed"}), ("warning", {"splats": "failed"}),
                           ("no-init", {"boot": "failed", "tests": "not reached"}),
                           ("bad-qemu", {"boot": "failed", "tests": "not reached"})):
            recorded(self.out, {"base": "healthy", "patched": case})
            cells = self.make()[1].line("Arch by step", "x86_64")[1:]
            for step, (said, mark) in zip(record.STEPS, cells):
                word = want.get(step, "ok")
                self.assertTrue(said.startswith(word), f"{case}: {step}: {said}")
                self.assertEqual("bad" in mark, word == "failed")

    def test_red_row(self):
        recorded(self.out, {"base": "healthy", "patched": "mixed"})
        source, doc = self.make()
        self.assertLess(source.index("Rows that fail"), source.index("Every row of"))
        self.assertEqual(doc.line("Rows that fail", "harness/t.two")[1], ("FAIL", "word bad"))
        self.assertEqual(doc.line("Every row of harness", "t.two")[1], ("FAIL", "word bad"))
        self.assertEqual(doc.line("Test by kernel", "harness")[1],
                         ("1 pass, 1 FAIL, 1 skip", "word bad"))

    def test_red_timeout(self):
        recorded(self.out, {"base": "healthy", "patched": "timeout"})
        self.assertEqual(self.make()[1].line("Test by kernel", "timeout")[1],
                         ("TIME", "word bad"))

    def test_times_of_both_kernels(self):
        """Built one after the other, tested at once."""
        steps = {step: {kernel: {"status": "ok", "seconds": took, "why": ""}
                        for kernel, took in (("base", 20), ("patched", 30))}
                 for step in record.STEPS}
        run = {"steps": steps, "kernels": {"base": {}, "patched": {}}}
        self.assertEqual([page.step_cell(run, step)[0] for step in ("build", "tests")],
                         ["ok 50 s", "ok 30 s"])

    def test_known_row_is_not_red(self):
        recorded(self.out, {"base": "mixed", "patched": "mixed"},
                 known="x86_64 {harness/t.two,plain} until=cow -- a & b")
        _, doc = self.make()
        self.assertEqual(doc.table("Rows that fail"), [])
        cells = doc.line("Every row of harness", "t.two")
        self.assertEqual(cells[:2], [("FAIL*", "word known")] * 2)
        self.assertIn("known:1", cells[-1][0])
        self.assertEqual([c for c, _ in doc.line("Known failures", "known:1")],
                         ["{harness/t.two,plain}", "cow", "a & b", "4"])
        self.assertIn("Nothing is wrong", doc.words)

    def test_difference(self):
        recorded(self.out, {"base": "mixed", "patched": "healthy"})
        doc = self.make()[1]
        self.assertEqual(doc.line("Rows that differ", "harness/t.two")[2][0], "gone")
        self.assertEqual(doc.line("Rows that differ", "healthy")[2][0], "new")

    def test_policy_is_red(self):
        recorded(self.out, {"patched": "healthy"}, complaints=["ci/known:1: <drop> it"])
        doc = self.make()[1]
        self.assertEqual(doc.line("Arch by step", "x86_64")[8], ("failed: 1", "word bad"))
        self.assertEqual([c for c, _ in doc.line("What is wrong", "x86_64")],
                         ["", "policy", "ci/known:1: <drop> it"])

    def test_splat_and_console(self):
        recorded(self.out, {"patched": "oops"})
        for line in verdict.splats((RECORDED / "oops/console.log").read_text())[0]:
            self.assertIn(line, self.make()[1].words)
        recorded(self.out, {"patched": "panic"})
        self.assertIn("Kernel panic - not syncing", self.make()[1].words)

    def test_hostile_text(self):
        recorded(self.out, {"patched": "panic"})
        path = self.out / "x86_64" / "run.json"
        data = json.loads(path.read_text())
        kernel = data["kernels"]["patched"]
        for key in ("splats", "console", "qemu_log", "qemu"):
            kernel[key] = HOSTILE
        kernel.update(rows=[[HOSTILE, "fail", HOSTILE, None, None],
                            ["t/" + HOSTILE, "skip", HOSTILE, 0.1, None]],
                      setup=[HOSTILE], absent={HOSTILE: HOSTILE}, notes={"panic": HOSTILE})
        data.update(options=[HOSTILE], command=HOSTILE, complaints=[HOSTILE],
                    failure={"kind": HOSTILE, "why": HOSTILE, "log": "/x/" + HOSTILE,
                             "tail": HOSTILE + "\ud800"})
        data["facts"]["topics"] = [HOSTILE]
        path.write_text(json.dumps(data))
        source, doc = self.make()
        self.assertIn("<script>alert(1)</script> & \"q\" 'p' \ufffd[31m \ufffd \ufffd", doc.words)
        self.assertNotIn("<script", source)
        self.assertNotRegex(source, "[\x00-\x08\x0b-\x1f\x7f\u202e]")

    def test_bench(self):
        recorded(self.out, {"patched": "healthy"})
        self.assertIn("There was no bench", self.make()[1].words)
        folder = self.out / "bench"
        folder.mkdir()
        (folder / "bench.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')

        def count(instructions, copies=None, needed=False, status="pass"):
            return {"status": status, "instructions": instructions, "copies": copies,
                    "needed": needed, "why": ""}

        def kernels(patched):
            (folder / "bench.json").write_text(json.dumps({
                "arch": "x86_64", "complaints": ["write: <slow>"], "kernels": {
                    "base": {"commit": "b" * 40, "rows": {"write": count(2000, 1.0),
                                                          "gone": count(1)}},
                    "patched": {"commit": patched, "rows": {"write": count(3000, 0.0),
                                                            "new": count(None, status="fail")}},
                    "v6": {"commit": "1" * 40, "rows": {"write": count(1000, 1.0, True)}}}}))
        kernels("f" * 40)
        source, doc = self.make(bench=folder)
        self.assertIn("data:image/svg+xml;base64,", source)
        self.assertIn("write: <slow>", doc.words)
        self.assertEqual([cell for cell, _ in doc.line("Instructions on x86_64", "write")],
                         ["2000", "3000", "1000", "1.500", "0.500", "1", "0", "1 needed"])
        self.assertEqual(doc.line("Instructions on x86_64", "new")[1], ("fail", "word bad"))
        self.assertNotIn("of other kernels", doc.words)
        old, page.LATEST_BENCH = page.LATEST_BENCH, folder
        try:
            self.assertIn("data:image/svg+xml;base64,", self.make()[0])
            kernels("0" * 40)
            source, doc = self.make()
            self.assertNotIn("data:image", source)
            self.assertIn("There was no bench", doc.words)
        finally:
            page.LATEST_BENCH = old
        self.assertIn("of other kernels", self.make(bench=folder)[1].words)
        with self.assertRaises(Failure):
            self.make(bench=self.out / "x86_64")

    def test_several_arches(self):
        folders = []
        for number in range(20):
            folders.append(self.out / f"job{number}")
            recorded(folders[-1], {"base": "healthy", "patched": "mixed" if number == 7
                                   else "healthy"}, arch=f"arch{number}")
        doc = self.make(*folders)[1]
        for number in range(20):
            self.assertEqual(doc.line("Arch by step", f"arch{number}")[0][0],
                             "FAIL" if number == 7 else "PASS")
        self.assertIn("19 PASS, 1 FAIL", doc.words)
        self.assertNotIn("not all of the same commits", doc.words)
        path = folders[3] / "arch3" / "run.json"
        data = json.loads(path.read_text())
        data["facts"]["commits"]["patched"] = "0" * 40
        path.write_text(json.dumps(data))
        self.assertIn("not all of the same commits", self.make(*folders)[1].words)

    def test_size(self):
        recorded(self.out, {"base": "healthy", "patched": "healthy"})
        path = self.out / "x86_64" / "run.json"
        data = json.loads(path.read_text())
        for kernel in data["kernels"].values():
            kernel["rows"] = [[f"cow_pin/parent-vmsplice-before-fork.vmsplice.{n}", "fail",
                               "w" * 60, 1.5, None] for n in range(700)]
            kernel["splats"] = "x" * 1000000
        path.write_text(json.dumps(data))
        self.assertLess(len(self.make()[0]), 1000000)

    def test_command(self):
        def call(*args):
            done = subprocess.run([sys.executable, REPORT, *args], stdin=subprocess.DEVNULL,
                                  text=True, capture_output=True, check=False)
            return done.returncode, done.stdout + done.stderr
        recorded(self.out / "one", {"patched": "healthy"})
        recorded(self.out / "two", {"patched": "warning"}, arch="arm64")
        self.assertEqual(call(self.out / "one")[0], 0)
        self.assertIn("x86_64", (self.out / "one" / "report.html").read_text())
        code, said = call(self.out / "one", self.out / "two")
        self.assertEqual(code, 5)
        self.assertIn("-o FILE", said)
        self.assertEqual(call(self.out / "one", self.out / "two" / "arm64", "-o",
                              self.out / "both.html")[0], 0)
        both = (self.out / "both.html").read_text()
        self.assertIn("1 PASS, 1 FAIL", both)
        code, said = call(self.out)
        self.assertEqual(code, 5)
        self.assertIn("no run.json", said)
        (self.out / "two" / "arm64" / "run.json").write_text('{"arch": 1}')
        code, said = call(self.out / "two")
        self.assertEqual((code, "Traceback" in said), (5, False), said)


class Steps(unittest.TestCase):
    """A run that ends early leaves a report that says where."""
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)

    def end(self, step, error, kernel="base"):
        rec = record.Record(self.out / "x86_64", "x86_64", ["base", "patched"], [])
        other = record.Record(self.out / "zz", "zz", ["base", "patched"], [])
        with self.assertRaises(type(error)), rec, rec.steps(kernel) as begin:
            for name in record.STEPS[:record.STEPS.index(step) + 1]:
                begin(name)
            raise error
        del other
        path = self.out / "report.html"
        page.write([self.out], path)
        doc = Document(path.read_text())
        self.assertEqual(doc.wrong, [])
        ours, others = ([c for c, _ in doc.line("Arch by step", name)] for name in ("x86_64", "zz"))
        return ours, others, doc.words

    def test_build(self):
        log = self.out / "build.log"
        log.write_text("mm/memory.c:1: error: <x> & y\n")
        ours, others, words = self.end("build", Failure("build", "base kernel: error: <x>", log))
        self.assertEqual(ours[0], "FAIL")
        self.assertEqual([c.split(" ", 1)[0] for c in ours[1:8]],
                         ["ok", "not", "failed", "not", "not", "not", "not"])
        self.assertEqual(others[0], "not finished")
        self.assertEqual(set(others[1:8]), {"not reached"})
        self.assertIn("base kernel: error: <x>", words)
        self.assertIn("mm/memory.c:1: error: <x> & y", words)

    def test_stopped(self):
        ours, _, words = self.end("boot", KeyboardInterrupt())
        self.assertEqual(ours[0], "stopped")
        self.assertIn("stopped", ours[5])

    def test_source(self):
        """It is not yet the work of one arch."""
        rec = record.Record(self.out / "x86_64", "x86_64", ["base"], [])
        with self.assertRaises(Failure), rec.steps() as begin:
            begin("source")
            raise Failure("apply", "0003.patch does not apply")
        path = self.out / "report.html"
        page.write([self.out], path)
        doc = Document(path.read_text())
        self.assertEqual(doc.line("Arch by step", "x86_64")[0][0], "FAIL")
        self.assertIn("failed", doc.line("Arch by step", "x86_64")[1][0])
        self.assertEqual(doc.line("What is wrong", "x86_64")[2][0], "0003.patch does not apply")

    def test_killed(self):
        """What is on the disk while a step runs is what remains after kill -9."""
        rec = record.Record(self.out / "x86_64", "x86_64", ["base"], [])
        with rec.steps("base") as begin:
            begin("build")
            data = json.loads((self.out / "x86_64" / "run.json").read_text())
        self.assertEqual(data["steps"]["build"]["base"]["status"], "running")
        self.assertEqual(data["verdict"], record.UNFINISHED)

    def test_times_add_up(self):
        rec = record.Record(self.out / "x86_64", "x86_64", ["base"], [])
        times = iter((0, 1, 1, 3, 3, 10, 10, 15))
        with unittest.mock.patch.object(record.time, "monotonic", lambda: next(times)), \
                rec.steps("base") as begin:
            begin("config")
            begin("source")
            begin("config")
            begin("build", "as built before")
        steps = {step: of["base"] for step, of in rec.data["steps"].items()}
        self.assertEqual({s: (v["status"], v["seconds"]) for s, v in steps.items()},
                         {"config": ("ok", 8), "source": ("ok", 2), "build": ("ok", 5)})
        self.assertEqual(steps["build"]["why"], "as built before")
        self.assertEqual(os.listdir(self.out / "x86_64"), ["run.json"])


if __name__ == "__main__":
    unittest.main()
