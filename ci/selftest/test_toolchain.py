"""The compilers of our own: what they are named by, and how a build ends that does not."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

from steps import build, compiler, host, source, tables, toolchain

ARCH = {"name": "x", "host": "x", "make": "ARCH=x", "libc": "TARGET_x", "gcc": "--with-y",
        "binutils": "", "cross": "x-linux-"}


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.patch(host, "cache", lambda: self.folder)

    def patch(self, where, name, value):
        patch = unittest.mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)


class Place(Folder):
    def key(self, base="v1", **more):
        return compiler.place({**ARCH, **more}, base)

    def test_what_it_is_made_of_is_its_name(self):
        self.assertEqual(self.key(), self.key(name="z", machine="other"))
        self.assertEqual(self.key(), self.key(cross="/elsewhere/bin/x-linux-"))
        self.assertEqual(self.key().name[:8], "x-linux-")
        others = [self.key("v2"), self.key(libc="TARGET_x A"), self.key(gcc=""),
                  self.key(make="ARCH=z"), self.key(cross="z-linux-"), self.key(binutils="x-gnu")]
        self.patch(compiler, "GCC", [*compiler.GCC, "--more"])
        others.append(self.key())
        self.assertEqual(len({*others, self.key("v1", gcc="--with-y --more")}), 8)

    def test_the_text_of_our_patch_counts(self):
        own = self.folder / "own"
        shutil.copytree(compiler.FOLDER, own)
        before = self.key()
        self.patch(compiler, "FOLDER", own)
        self.assertEqual(self.key(), before)
        for name in ("sh-predicates.diff", "sources", "uclibc.config"):
            with open(own / name, "a", encoding="utf-8") as file:
                file.write("# a remark\n")
        self.assertNotEqual(self.key(), before)     # of the patch, not of the others
        shutil.copy(compiler.CI / "compiler/sh-predicates.diff", own)
        self.assertEqual(self.key(), before)

    def test_an_arch_has_patches_of_its_own(self):
        own = self.folder / "own"
        shutil.copytree(compiler.FOLDER, own)
        self.patch(compiler, "FOLDER", own)
        before = [self.key(), self.key(host="z")]
        (own / "x").mkdir()
        (own / "x/a.diff").write_text("a patch\n")
        sources = (own / "sources").read_text()
        (own / "sources").write_text(sources.rstrip("\n") + " x/a.diff\n")
        self.assertEqual(compiler.sources(ARCH)[-1][-1][-1], own / "x/a.diff")
        after = self.key()
        self.assertNotEqual(after, before[0])
        self.assertEqual(self.key(host="z"), before[1])
        (own / "x/a.diff").write_text("another\n")
        self.assertNotEqual(self.key(), after)

    def test_an_arch_names_it_by_its_path(self):
        text = (host.CI / "arch/x86_64").read_text()
        (self.folder / "arch").mkdir()
        for name, change in (("ours", "cross: x-linux-uclibc-\nlibc: TARGET_x\ngcc: --with-y\n"),
                             ("bare", "cross: x-linux-uclibc-\n")):
            kept = [line for line in text.splitlines(keepends=True)
                    if not re.match("(cross|packages|native):", line)]
            (self.folder / "arch" / name).write_text("".join(kept) + change)
        self.patch(tables, "CI", self.folder)
        arch = tables.arch("ours")
        place = compiler.place({**arch, "cross": "x-linux-uclibc-"}, tables.series(host.TOP)[0])
        self.assertEqual(arch["cross"], f"{place}/bin/x-linux-uclibc-")
        self.assertEqual(compiler.target(arch), "x-linux-uclibc")
        with self.assertRaisesRegex(host.Failure, "no packages"):
            tables.arch("bare")

    def test_others_have_debians(self):
        self.assertEqual(tables.arch("x86_64")["cross"], "x86_64-linux-gnu-")


class Missing(Folder):
    def test_what_is_not_there(self):
        self.patch(compiler, "NEEDED", {"/there/is/none": "lib-dev", "/": "root"})
        self.patch(compiler, "sources", lambda arch: [
            ("a", "a-source", "/", "0", []), ("b", "b-source", "/", "0", [pathlib.Path("/no/patch")])])
        self.assertEqual(compiler.missing(ARCH), {"lib-dev", "b-source"})

    def test_nothing_for_one_that_is_there(self):
        arch = {**ARCH, "qemu": "sh", "packages": "", "native": "", "host": "x"}
        self.patch(host, "missing", lambda arch: ["make"])
        self.patch(compiler, "missing", lambda arch: {"a-source"})
        self.patch(host, "compiles", lambda compiler: True)
        self.assertEqual(toolchain.missing(arch), ["make"])
        self.assertEqual(toolchain.missing({**arch, "libc": ""}), ["make"])
        self.patch(host, "compiles", lambda compiler: False)
        self.assertEqual(toolchain.missing(arch), ["a-source", "make"])
        self.assertEqual(toolchain.missing({**arch, "libc": ""}), ["make"])

    def test_debians_binutils(self):
        """They are asked for also by a compiler that is there, and their source is not."""
        names = [source[0] for source in compiler.sources(ARCH)]
        self.assertIn("binutils", names)
        names.remove("binutils")
        theirs = {**ARCH, "binutils": "x-linux-gnu"}
        self.assertEqual([source[0] for source in compiler.sources(theirs)], names)
        self.patch(host, "missing", lambda arch: [])
        self.patch(host, "compiles", lambda compiler: True)
        self.assertEqual(toolchain.missing(theirs), ["binutils-x-linux-gnu"])
        self.assertEqual(toolchain.missing(ARCH), [])

    def test_debians_binutils_are_linked(self):
        """Where gcc and a Makefile look for those of the target."""
        theirs = {**ARCH, "binutils": "x-linux-gnu"}
        for what, _, command in compiler.commands(theirs, str(self.folder)):
            if what == "binutils":
                subprocess.run(command, check=True)
        for link in ("bin/x-linux-as", "x-linux/bin/as"):
            self.assertEqual(os.readlink(self.folder / link), "/usr/bin/x-linux-gnu-as")


class Make(Folder):
    """With a shell script in place of all that is compiled."""
    def setUp(self):
        super().setUp()
        tar = self.folder / "uclibc.tar"
        (self.folder / "src/gcc/testsuite").mkdir(parents=True)
        (self.folder / "src/file").write_text("old\n")
        (self.folder / "src/gcc/testsuite/file").write_text("")
        subprocess.run(["tar", "-c", "-f", tar, "-C", self.folder, "src"], check=True)
        self.diff = self.folder / "diff"
        self.diff.write_text("--- a/x/file\n+++ b/x/file\n@@ -1 +1 @@\n-old\n+new\n")
        sha256 = hashlib.sha256(tar.read_bytes()).hexdigest()
        self.sources = [("uclibc", "uclibc-source", str(tar), sha256, [self.diff])]
        self.patch(compiler, "sources", lambda arch: self.sources)
        self.patch(toolchain, "headers", lambda arch, work, log: None)
        self.patch(toolchain, "say", lambda text: None)
        self.patch(build, "say", lambda text: None)
        self.script = "true"
        self.patch(compiler, "commands", lambda arch, prefix, key="", jobs=1: [
            ("all", "build", ["sh", "-c", f"""
                set -e
                mkdir -p {prefix}/bin
                printf '#!/bin/sh\\n' > {prefix}/bin/x-linux-gcc
                chmod +x {prefix}/bin/x-linux-gcc
                cp ../uclibc/file {prefix}
                test ! -e ../uclibc/gcc/testsuite/file
                echo run >> {self.folder}/runs
                {self.script}"""])] if prefix else [])

    def left(self):
        """What is in the place of compilers, but locks and logs."""
        return [p.name for p in (self.folder / "compilers").iterdir()
                if p.suffix not in (".log", ".lock")]

    def test_once(self):
        place = toolchain.make(ARCH, 1)
        self.assertEqual((place / "file").read_text(), "new\n")
        self.assertEqual(toolchain.make(ARCH, 1), place)
        self.assertEqual((self.folder / "runs").read_text(), "run\n")
        self.assertEqual(self.left(), [place.name])

    def test_two_at_once(self):
        self.script = "sleep 0.3"
        self.patch(host, "say", lambda text: None)
        threads = [threading.Thread(target=toolchain.make, args=(ARCH, 1)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((self.folder / "runs").read_text(), "run\n")

    def test_failure_leaves_the_log(self):
        self.script = "echo 'x.c:1: error:' no such thing; exit 1"
        with self.assertRaisesRegex(host.Failure, "all: ") as caught:
            toolchain.make(ARCH, 1)
        self.assertEqual(self.left(), [])
        self.assertIn("x.c:1: error: no such thing\n", caught.exception.log.read_text())

    def test_interrupt_leaves_nothing(self):
        self.script = "sleep 60"
        stop = threading.Event()
        self.patch(host, "STOP", stop)
        threading.Timer(0.5, stop.set).start()
        start = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            toolchain.make(ARCH, 1)
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual(self.left(), [])

    def test_what_a_killed_build_left_is_removed(self):
        place = compiler.place(ARCH, tables.series(host.TOP)[0])
        half = place.with_name(f".{place.name}.making")
        (half / "uclibc").mkdir(parents=True)
        (half / "root").mkdir()
        (half / "root/half").write_text("")
        toolchain.make(ARCH, 1)
        self.assertEqual(self.left(), [place.name])
        self.assertFalse((place / "half").exists())

    def test_another_tarball(self):
        name, package, tar, _, patches = self.sources[0]
        self.sources = [(name, package, tar, "0" * 64, patches)]
        with self.assertRaisesRegex(host.Failure, "uclibc.tar has sha256 .*, .*sources wants 000"):
            toolchain.make(ARCH, 1)
        self.assertEqual(self.left(), [])

    def test_patch_that_does_not_apply(self):
        self.diff.write_text(self.diff.read_text().replace("old", "older"))
        with self.assertRaises(host.Failure):
            toolchain.make(ARCH, 1)
        self.assertEqual(self.left(), [])

    def test_first_program_does_not_compile(self):
        self.script = "echo exit 1 >> ../root/bin/x-linux-gcc"
        with self.assertRaisesRegex(host.Failure, "a first program"):
            toolchain.make(ARCH, 1)
        self.assertEqual(self.left(), [])


class Configuration(Folder):
    def test_lost_lines(self):
        (self.folder / "uclibc").mkdir()
        path = self.folder / "uclibc/.config"
        path.write_text("\n".join(compiler.libc(ARCH)) + "\n")
        toolchain.configured(ARCH, self.folder)
        for line in ("TARGET_x=y", "# HAVE_SHARED is not set"):
            self.assertIn(line, compiler.libc(ARCH))
            path.write_text("\n".join(x for x in compiler.libc(ARCH) if x != line) + "\n")
            with self.assertRaisesRegex(host.Failure, f"lost {line}"):
                toolchain.configured(ARCH, self.folder)

    def test_headers(self):
        if not list(pathlib.Path(self.real_cache()).glob("base-*.git")):
            self.skipTest("the base was not fetched yet")
        with unittest.mock.patch.object(source, "base", lambda queue: self.bare()):
            toolchain.headers({**ARCH, "make": "ARCH=sh"}, self.folder, self.folder / "log")
        for name in ("Makefile", "include/uapi/linux/mman.h", "arch/sh/include/uapi/asm/unistd.h"):
            self.assertTrue((self.folder / "linux" / name).exists(), name)
        with unittest.mock.patch.object(source, "base", lambda queue: self.bare()), \
                self.assertRaisesRegex(host.Failure, "arch/vax"):
            toolchain.headers({**ARCH, "make": "ARCH=vax"}, self.folder, self.folder / "log")

    @staticmethod
    def real_cache():
        return (os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) + "/mmquilt"

    @staticmethod
    def bare():
        out = subprocess.run([host.TOP / "tools/base"], text=True, check=True,
                             stdout=subprocess.PIPE).stdout
        return out.split()


class CommandLine(unittest.TestCase):
    def run_it(self, *args, **env):
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run([sys.executable, host.CI / "toolchain", *args], text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                                  check=False, env={**os.environ, "XDG_CACHE_HOME": home, **env})
        return done.returncode, done.stdout + done.stderr

    def test_unknown_arch(self):
        code, text = self.run_it("vax")
        self.assertEqual(code, 5)
        self.assertIn("no arch 'vax'", text)

    def test_arch_with_debians_compiler(self):
        code, text = self.run_it("x86_64")
        self.assertEqual(code, 5)
        self.assertIn("x86_64 has Debian's compiler; there are: ", text)

    def test_what_is_missing_is_one_line(self):
        if not any(tables.arch(name)["libc"] for name in tables.arches()):
            self.skipTest("no arch has a compiler of our own")
        code, text = self.run_it("--no-install", PATH=os.path.dirname(sys.executable))
        self.assertEqual(code, 5)
        self.assertRegex(text, r"apt-get install -y --no-install-recommends .*\bmake\b")


if __name__ == "__main__":
    unittest.main()
