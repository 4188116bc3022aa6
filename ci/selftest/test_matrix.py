"""The matrix of arches: what its words mean, and that it is the same wherever it stands."""
import pathlib
import re
import tempfile
import unittest

from selftest.test_html import recorded
from steps import headers, html, matrix, record, tables
from steps.host import TOP, Failure
from steps.verdict import Row


class Words(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)

    def line(self, cases, change=None, **more):
        recorded(self.out, cases, **more)
        run = html.runs([self.out])[0]
        if change:
            change(run)
        return dict(zip(matrix.HEAD, matrix.of([run])["x86_64"]))

    def test_a_good_run(self):
        line = self.line({"base": "healthy", "patched": "healthy"})
        self.assertEqual((line["arch/"], line["built"], line["booted"], line["tip"]),
                         ("x86", "yes", "yes", "f" * 12))
        passed, failed, skipped = map(int, line["patched"].split("/"))
        self.assertTrue(passed)
        self.assertEqual((failed, line["marker proven by"]), (0, "host"))

    def test_what_boots_proves(self):
        def proven(run):
            run["facts"]["topics"].append("swap-marker")
            run["kernels"]["patched"]["rows"].append(
                Row("debug_vm_pgtable", status))
        for status, how in (("pass", "host + boot"), ("fail", "host"), ("skip", "host")):
            line = self.line({"base": "healthy", "patched": "healthy"}, proven)
            self.assertEqual(line["marker proven by"], how)

    def test_one_kernel_does_not_boot(self):
        line = self.line({"base": "healthy", "patched": "no-init"})
        self.assertEqual((line["built"], line["booted"]), ("yes", "no"))

    def test_the_patched_kernel_alone(self):
        line = self.line({"patched": "healthy"})
        self.assertEqual((line["built"], line["booted"], line["base"]),
                         ("patched", "patched", "-"))
        self.assertNotEqual(line["patched"], "-")

    def test_it_does_not_build(self):
        rec = record.Record(self.out / "x86_64", "x86_64", ["base", "patched"], [])
        with self.assertRaises(Failure), rec, rec.steps("base") as step:
            step("build")
            raise Failure("build", "no rule")
        line = dict(zip(matrix.HEAD, matrix.of(html.runs([self.out]))["x86_64"]))
        self.assertEqual((line["built"], line["booted"], line["base"], line["tip"]),
                         ("no", "no", "-", "-"))

    def test_headers_that_fail_prove_nothing(self):
        old = headers.TABLE
        self.addCleanup(setattr, headers, "TABLE", old)
        headers.TABLE = self.out / "table.rst"
        headers.TABLE.write_text("    a  x86  bit 1  1 GiB  1 GiB  pass -> pass  fail -> pass\n"
                                 "    b  x86  bit 1  1 GiB  1 GiB  pass -> pass  fail -> fail\n"
                                 "    c  arm  bit 1  1 GiB  1 GiB  pass -> pass  fail -> pass\n")
        self.assertEqual(matrix.host_proven(), {"arm"})


class Written(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)
        old = matrix.TABLE, matrix.PLACES
        self.addCleanup(lambda: (setattr(matrix, "TABLE", old[0]),
                                 setattr(matrix, "PLACES", old[1])))
        matrix.TABLE = self.out / "arches.rst"
        matrix.PLACES = matrix.TABLE, self.out / "README"
        for path in matrix.PLACES:
            path.write_text("before\n\n" + matrix.text({}) + "\nafter\n")

    def test_what_was_not_run_stays(self):
        for arch in ("x86_64", "arm64"):
            recorded(self.out / "run", {"base": "healthy", "patched": "healthy"}, arch=arch)
            matrix.write(html.runs([self.out / "run" / arch]))
        for path in matrix.PLACES:
            text = path.read_text()
            self.assertTrue(text.startswith("before\n\n") and text.endswith("\n\nafter\n"))
            lines = matrix.kept(path)
            self.assertEqual((lines["x86_64"][2:4], lines["arm64"][2:4]), (("yes",) * 2,) * 2)
            self.assertEqual(lines["(csky)"][:4], ("(csky)", "csky", "no", "no"))
            self.assertNotIn("(x86)", lines)

    def test_refused(self):
        recorded(self.out / "red", {"base": "healthy", "patched": "no-init"})
        recorded(self.out / "part", {"base": "healthy", "patched": "healthy"}, options=["-t x"])
        before = matrix.TABLE.read_text()
        for name, why in (("red", "FAIL"), ("part", "PASS -t x")):
            with self.assertRaisesRegex(Failure, why):
                matrix.write(html.runs([self.out / name]))
        self.assertEqual(matrix.TABLE.read_text(), before)

    def test_no_place_for_it(self):
        matrix.PLACES[1].write_text("nothing\n")
        with self.assertRaisesRegex(Failure, "has no table"):
            matrix.write([])


class Ours(unittest.TestCase):
    def test_every_arch_has_its_line(self):
        """Documentation/arches.rst has each arch of ci/arch, and each that nothing boots."""
        lines = matrix.kept()
        self.assertEqual(set(lines), {*tables.arches(), *matrix.unbooted()},
                         "run ci/run -a ARCH, then ci/report --write out/latest")
        for name, words in matrix.unbooted().items():
            self.assertEqual(lines[name], words)

    def test_the_readme_has_the_same(self):
        for path in matrix.PLACES:
            self.assertEqual(matrix.kept(path), matrix.kept(), path)

    def test_what_is_said_of_the_marker(self):
        proven = matrix.host_proven()
        for words in matrix.kept().values():
            self.assertEqual("host" in words[6], words[1] in proven, words)

    def test_the_pipeline_has_a_job_for_each(self):
        text = (TOP / ".gitlab-ci.yml").read_text()
        jobs = re.search(r"- ARCH:\n((?: +- \w\S*\n)+)", text).group(1)
        self.assertEqual(re.findall(r"- (\S+)", jobs), tables.arches())
