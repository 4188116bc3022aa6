#!/usr/bin/env python3
"""ci/each, ci/prove, ci/bisect and ci/bench on a made-up series with real kernels:
each patch is wrong in one way, and has to be found out.  Takes minutes, so ci/test
does not run it:  ci/selftest/real_commits.py [Each | Prove | Bench]"""
import difflib
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from steps import bench, build, host, source, tables  # noqa: E402

FILE = "mm/gup_benchmark.c"
TEST = "tools/testing/selftests/vm/map_populate.c"
NODES = "instruments/lib-test_hmm-let-the-device-nodes-come-up-by-themselves.patch"

# name, what is put at the end of a file, the cells that are not as they should be
EACH = [
    ("clean", FILE, "/* A comment. */\n", {}),
    ("alone", FILE, "static int __maybe_unused one(void) { return comes_later(); }\n",
     {"compile": "FAIL", "W=1": "-"}),
    ("later", None, "", {"W=1": "-"}),
    ("warning", FILE, "static void __maybe_unused two(int a) { int b; b = a; }\n", {"W=1": "FAIL"}),
    ("sparse", FILE, "static int __maybe_unused three(int __user *p) { return *p; }\n",
     {"sparse": "FAIL"}),
    ("cocci", FILE, "static void __maybe_unused four(void *p)\n{\n\tif (p)\n\t\tkfree(p);\n}\n",
     {"coccinelle": "FAIL"}),
    ("selftest", TEST, "static void five(void) { }\n", {"selftests": "FAIL"}),
    ("last", FILE, "/* Another one. */\n", {}),
]


def mail(name, old, new, file, proof="none it is made up"):
    """A patch file as tools/export would write it."""
    diff = "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True),
                                        f"a/{file}", f"b/{file}"))
    return (f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\n"
            f"Date: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH] {name}\nOrigin: own\n"
            f"Upstream: none it is made up\nProof: {proof}\n\nMade up.\n\n---\n"
            f"diff --git a/{file} b/{file}\n{diff}")


def queue(folder, patches):
    """A queue of (name, text) on the base of ours."""
    base = tables.series(host.TOP)[0] if (host.TOP / "series").exists() else "v5.10.262"
    folder = pathlib.Path(folder)
    (folder / "patches/made").mkdir(parents=True, exist_ok=True)
    for name, text in patches:
        (folder / f"patches/made/{name}.patch").write_text(text)
    (folder / "series").write_text(f"# base: {base}\n#\n# topic: made -- up\n" + "".join(
        f"made/{name}.patch\n" for name, _ in patches))
    return folder


def run(*args):
    done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    print(done.stdout)
    return done.returncode, done.stdout


class Real(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.source = source.Source(queue(self.folder, []))

    def original(self, file):
        return self.source.git("show", f"{self.source.base}:{file}") + "\n"


class Each(Real):
    def test_each_is_found_out(self):
        texts = {FILE: self.original(FILE), TEST: self.original(TEST)}
        patches = []
        for name, file, more, _ in EACH:
            old = texts[file or FILE]
            if name == "later":
                new = old.replace("struct gup_benchmark {", "static int comes_later(void) "
                                  "{ return 1; }\n\nstruct gup_benchmark {", 1)
            else:
                new = old + more
            self.assertNotEqual(old, new)
            texts[file or FILE] = new
            patches.append((name, mail(name, old, new, file or FILE)))
        code, text = run(host.CI / "each", "-q", queue(self.folder, patches))
        self.assertEqual(code, 1)
        usual = {"compile": "ok", "W=1": "ok", "sparse": "ok", "coccinelle": "ok",
                 "selftests": "-"}
        for number, (name, file, _, wrong) in enumerate(EACH, 1):
            want = {**usual, **wrong}
            if file == TEST:
                want.update({"sparse": "-", "coccinelle": "-", "selftests": "FAIL"})
            elif want["W=1"] == "-":
                want["sparse"] = "-"
            got = re.search(rf"^{number} {name} +(.*)$", text, re.MULTILINE).group(1).split()
            with self.subTest(name):
                self.assertEqual(dict(zip(usual, got)), want)
        code, text = run(host.CI / "each", "clean", "-q", self.folder)
        self.assertEqual(code, 0)


class Prove(Real):
    ROW = "hmm-nodes/hmm_dmirror0"

    def test_proofs_and_the_turn(self):
        path = host.TOP / "patches" / NODES
        if not path.exists():
            self.skipTest(f"the series has no {NODES}")
        good = re.sub(r"^Proof: .*\n(?:Proof: .*\n)*", f"Proof: {self.ROW} x86_64\n",
                      path.read_text(), count=1, flags=re.MULTILINE)
        old = self.original(FILE)
        text = [old + f"/* {n} */\n" for n in range(3)]
        patches = [
            ("red", mail("red", old, text[0], FILE, f"{self.ROW} x86_64")),
            ("proven", good),
            ("green", mail("green", text[0], text[1], FILE, f"{self.ROW} x86_64")),
            ("never", mail("never", text[1], text[2], FILE, "no-such/row x86_64")),
        ]
        queue(self.folder, patches)
        code, text = run(host.CI / "prove", "-q", self.folder, "--write")
        self.assertEqual(code, 1)
        for line in (f"made/red.patch: {self.ROW}: red on the patch",
                     f"made/green.patch: {self.ROW}: green on the parent",
                     "made/never.patch: no-such/row: never ran on the patch"):
            self.assertIn(line, text)
        self.assertRegex(text, rf"2 proven +{self.ROW} +fail +pass +proven")
        written = (pathlib.Path(self.folder) / "Documentation/proofs.rst").read_text()
        self.assertIn(f"    made/proven.patch: {self.ROW} x86_64 [fail -> pass]\n", written)
        code, text = run(host.CI / "prove", "proven", "-q", self.folder)
        self.assertEqual(code, 0)
        code, text = run(host.CI / "bisect", "-t", self.ROW, "-q", self.folder)
        self.assertEqual(code, 0)
        self.assertIn("  made/proven.patch\n", text)
        self.assertIn("confirmed: ", text)


class Bench(Real):
    FILE = "mm/memory.c"
    ROWS = ("-t", "anon-*.base", "-t", "exit-write.base", "-t", "munmap.base")

    def bench(self, name, old, new):
        return run(host.CI / "bench", "--twice", *self.ROWS, "-q",
                   queue(self.folder, [(name, mail(name, old, new, self.FILE))]))

    def test_slower_kernel_and_needless_copies(self):
        old = self.original(self.FILE)
        slow = re.sub(r"(?s)(\nstatic vm_fault_t do_anonymous_page\(.*?\n\n)",
                      r'\1\tasm volatile(".rept 200; nop; .endr");\n\n', old, count=1)
        slow = slow.replace("if (PageKsm(page) || page_count(page) != 1)",
                            "if (PageKsm(page) || page_count(page) > 0)", 1)
        self.assertEqual(slow.count("nop") - old.count("nop"), 1)
        self.assertEqual(slow.count("page_count(page) > 0") - old.count("page_count(page) > 0"), 1)
        code, text = self.bench("slow", old, slow)
        self.assertEqual(code, 1)
        for line in (r"anon-write\.base: \d\.\d+ times the instructions of base, the limit",
                     r"anon-read\.base: \d\.\d+ times the instructions of base, the limit",
                     r"exit-write\.base: 1 copies that nobody needs, the base does 0$"):
            self.assertRegex(text, re.compile(f"^limit: {line}", re.MULTILINE))
        self.assertNotIn("limit: munmap", text)
        self.assertNotIn("two runs of", text)

    def test_clock_that_does_not_count(self):
        arch = tables.arch("x86_64")
        arch["machine-bench"] = arch["machine-bench"].replace("-icount shift=0,sleep=off", "")
        folder = pathlib.Path(self.folder)
        kernel = bench.kernel(self.source, self.source.base, "bench", arch, 2, folder / "log")
        with self.assertRaisesRegex(host.Failure, "is this qemu -icount shift=0"):
            bench.measure(arch, kernel, build.guest(arch, folder / "log"), ["anon-read.*"],
                          folder / "out", "base")

    def test_no_slower(self):
        old = self.original(self.FILE)
        code, text = self.bench("same", old, old + "/* A comment. */\n")
        self.assertEqual(code, 0)
        self.assertRegex(text, r"(?m)^anon-write\.base +\d+ +\d+ +(1\.00|0\.99)\d ")


if __name__ == "__main__":
    unittest.main(verbosity=2)
