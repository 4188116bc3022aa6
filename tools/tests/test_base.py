# SPDX-License-Identifier: GPL-2.0
"""tools/base: every source gives the same commit, nothing half-written."""

import os
import resource
import shutil
import signal
import subprocess
import time
import unittest

from synthetic import Case, git, put

from quilt import fetch


class Base(Case):
    def setUp(self):
        super().setUp()
        self.cache = self.fresh_cache()

    def left(self):
        """What is in the cache but the lock."""
        if not os.path.isdir(self.cache):
            return []
        return sorted(n for n in os.listdir(self.cache)
                      if not n.endswith(".lock"))

    def test_all_sources_give_one_commit(self):
        seen = set()
        for source in ([], ["--tree", self.release.source],
                       ["--tree", self.release.repo],
                       ["--tree", os.path.join(self.release.repo, ".git")]):
            shutil.rmtree(self.cache, ignore_errors=True)
            repo, commit = self.ok("base", *source).split()
            self.assertEqual(repo, os.path.join(self.cache, "base-1.2.3.git"))
            self.assertEqual(git("rev-parse", commit + "^{tree}",
                                 cwd=repo).strip(), self.release.tree)
            self.assertEqual(self.left(), ["base-1.2.3.git"] if source else
                             ["base-1.2.3.git", "downloads"])
            seen.add(commit)
        self.assertEqual(len(seen), 1)
        names = git("ls-tree", "-r", "--name-only", commit, cwd=repo)
        self.assertNotIn("drivers/", names)
        self.assertIn("mm/left.o", names)

    def test_compressed_otherwise(self):
        tarball = os.path.join(self.top, "linux.tar.gz")
        subprocess.run(["tar", "-C", self.release.top, "-czf", tarball,
                        "linux-1.2.3"], check=True)
        self.release.write_data(self.queue, url="file://" + tarball)
        self.ok("base")

    def test_second_time_reads_the_cache(self):
        first = self.ok("base")
        self.release.write_data(self.queue, url="file:///nowhere")
        self.assertEqual(self.ok("base"), first)

    def test_tree_is_compared_even_with_a_cache(self):
        self.ok("base")
        copy = os.path.join(self.top, "copy")
        shutil.copytree(self.release.source, copy, symlinks=True)
        self.ok("base", "--tree", copy)
        put(copy, "mm/memory.c", "int changed;\n")
        self.fails("is not a clean v1.2.3", "base", "--tree", copy)

    def test_wrong_trees(self):
        copy = os.path.join(self.top, "copy")
        shutil.copytree(self.release.repo, copy, symlinks=True)
        put(copy, "mm/memory.c", "int changed;\n")
        self.fails("1 changed files (mm/memory.c ...); commit, stash",
                   "base", "--tree", copy)
        git("commit", "-qam", "changed", cwd=copy)
        self.fails("is not a clean v1.2.3", "base", "--tree", copy)
        put(copy, "Makefile", "VERSION = 1\nPATCHLEVEL = 2\nSUBLEVEL = 4\n")
        git("commit", "-qam", "next", cwd=copy)
        self.fails("its HEAD is 1.2.4, not 1.2.3; run 'git checkout v1.2.3'",
                   "base", "--tree", copy)
        shutil.rmtree(os.path.join(copy, ".git"))
        self.fails("this is 1.2.4, not 1.2.3; unpack linux-1.2.3", "base",
                   "--tree", copy)
        os.unlink(os.path.join(copy, "Makefile"))
        self.fails("no kernel source", "base", "--tree", copy)
        self.fails("no such folder", "base", "--tree", copy + "/x")
        self.assertEqual(self.left(), [])

    def test_file_mode_and_untracked_files_count(self):
        copy = os.path.join(self.top, "copy")
        shutil.copytree(self.release.source, copy, symlinks=True)
        os.chmod(os.path.join(copy, "mm/swap.c"), 0o755)
        self.fails("is not a clean", "base", "--tree", copy)
        os.chmod(os.path.join(copy, "mm/swap.c"), 0o644)
        put(copy, "mm/built.o", "x")
        self.fails("is not a clean", "base", "--tree", copy)

    def test_truncated_tarball(self):
        with open(self.release.tarball, "rb") as f:
            data = f.read()
        short = os.path.join(self.top, "linux-1.2.3.tar.xz")
        with open(short, "wb") as f:
            f.write(data[:len(data) // 2])
        self.release.write_data(self.queue, url="file://" + short)
        self.fails("truncated or damaged", "base", status=5)
        self.assertEqual(self.left(), ["downloads"])
        self.assertEqual(os.listdir(os.path.join(self.cache, "downloads")), [])
        self.release.write_data(self.queue)
        self.ok("base")

    def test_download_that_broke_off_is_resumed(self):
        with open(self.release.tarball, "rb") as f:
            data = f.read()
        put(self.cache, "downloads/x", "")
        with open(os.path.join(self.cache, "downloads", os.path.basename(
                self.release.tarball)), "wb") as f:
            f.write(data[:1000])
        self.ok("base")

    def test_download_that_was_complete(self):
        os.makedirs(os.path.join(self.cache, "downloads"))
        shutil.copy(self.release.tarball,
                    os.path.join(self.cache, "downloads"))
        self.ok("base")

    def test_wrong_content(self):
        self.release.write_data(self.queue, sha256="0" * 64)
        self.fails("is not a clean v1.2.3", "base")
        self.release.write_data(self.queue, tree="0" * 40)
        self.fails("is not a clean v1.2.3", "base")
        self.release.write_data(self.queue, commit="0" * 40)
        self.fails("base commit is", "base", status=5)
        self.assertEqual(self.left(), ["downloads"])

    def test_no_source(self):
        self.release.write_data(self.queue, url="file:///nowhere/x.tar.xz")
        self.fails("give a tree with --tree PATH", "base", status=5)
        self.release.write_data(self.queue, url="")
        self.fails("none is named in", "base", status=5)

    def test_bad_queues(self):
        put(self.queue, "series", "one/x.patch\n")
        self.fails("first line must be '# base: NAME'", "base")
        put(self.queue, "series", "# base: v9\n")
        self.fails("no data for base v9; add tools/bases/v9", "base")
        os.unlink(os.path.join(self.queue, "series"))
        self.fails("no series in", "base")

    def test_damaged_cache(self):
        repo = self.ok("base").split()[0]
        shutil.rmtree(os.path.join(repo, "objects"))
        self.fails("is damaged", "base", status=5)

    def test_missing_program(self):
        tools = os.path.join(self.top, "bin")
        os.mkdir(tools)
        for name in ("python3", "env", "git", "curl"):
            os.symlink(shutil.which(name), os.path.join(tools, name))
        self.env["PATH"] = tools
        self.fails("xz not found; install with: apt-get install xz-utils",
                   "base", status=5)
        os.unlink(os.path.join(tools, "git"))
        self.fails("git not found; install with: apt-get install git", "base",
                   status=5)

    def test_two_at_once(self):
        runs = [self.popen("base") for _ in range(4)]
        said = [r.communicate(timeout=100) for r in runs]
        self.assertEqual([r.returncode for r in runs], [0] * 4, said)
        self.assertEqual(len({out for out, _ in said}), 1)
        imports = [e for _, e in said if " is commit " in e]
        self.assertEqual(len(imports), 1, "made more than once")

    def big_release(self):
        """The same release with a file that does not compress."""
        copy = os.path.join(self.top, "big")
        shutil.copytree(self.release.source, copy, symlinks=True)
        with open(os.path.join(copy, "mm", "big"), "wb") as f:
            f.write(os.urandom(3 << 20))
        return copy

    def test_full_disk(self):
        copy = self.big_release()
        self.fails("disk full", "base", "--tree", copy, status=5, preexec_fn=
                   lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                              (1 << 20, 1 << 20)))
        self.assertEqual(self.left(), [])

    @unittest.skipUnless(os.geteuid() == 0, "a tmpfs needs root")
    def test_full_file_system(self):
        copy = self.big_release()
        small = os.path.join(self.top, "cache")
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none",
                           small], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("mount is not allowed here")
        try:
            self.fails("disk full", "base", "--tree", copy, status=5)
            self.assertEqual(self.left(), [])
        finally:
            subprocess.run(["umount", small], check=True)

    def test_interrupt(self):
        """^C while a source is read; a git that takes nothing makes sure that it is."""
        bin_ = os.path.join(self.top, "bin")
        os.mkdir(bin_)
        with open(os.path.join(bin_, "git"), "w") as f:
            f.write('#!/bin/sh\ncase "$*" in\n*fast-import*) exec sleep 60 ;;\nesac\n'
                    f'exec {shutil.which("git")} "$@"\n')
        os.chmod(os.path.join(bin_, "git"), 0o755)
        copy = os.path.join(self.top, "copy")
        shutil.copytree(self.release.source, copy, symlinks=True)
        with open(os.path.join(copy, "big"), "wb") as f:
            f.write(bytes(1 << 20))
        env = {**self.env, "PATH": bin_ + ":" + self.env.get("PATH", os.environ["PATH"])}
        for stop in (signal.SIGINT, signal.SIGTERM):
            run = subprocess.Popen(
                ["sh", "-c", 'exec "$0" "$@"', os.path.join(
                    os.path.dirname(os.path.dirname(
                        os.path.abspath(__file__))), "base"), "-q",
                 self.queue, "--tree", copy],
                env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, start_new_session=True,
                # whoever started the tests may have ignored it
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            for _ in range(600):
                if any(".tmp" in n for n in self.left()):
                    break
                time.sleep(0.05)
            else:
                self.fail("it never began")
            time.sleep(0.3)
            os.killpg(run.pid, stop)
            out, err = run.communicate(timeout=20)
            self.assertEqual(run.returncode, 5, err)
            self.assertIn("interrupted; run it again", err)
            self.assertNotIn("Traceback", err)
            self.assertEqual(self.left(), [])


class Apt(unittest.TestCase):
    """The mirror comes from the machine's apt configuration."""

    def setUp(self):
        import tempfile
        self.apt = tempfile.mkdtemp(prefix="mmquilt-test-")
        self.addCleanup(shutil.rmtree, self.apt)

    def line(self):
        return fetch.debian_line("bullseye-security", "main", self.apt)

    def test_none(self):
        self.assertIsNone(self.line())
        put(self.apt, "sources.list", "deb http://m.example/debian stable main"
            "\n# deb http://x.example/security stable-security main\n")
        self.assertIsNone(self.line())

    def test_one_line_form(self):
        put(self.apt, "sources.list",
            "deb http://m.example/debian stable main\n"
            "deb [arch=amd64 signed-by=/k.gpg] http://s.example/sec "
            "stable-security main\n")
        self.assertEqual(self.line(), "deb-src [signed-by=/k.gpg] "
                         "http://s.example/sec bullseye-security main")

    def test_deb822(self):
        put(self.apt, "sources.list.d/debian.sources",
            "Types: deb\n# a comment\nURIs: http://m.example/debian\n"
            "Suites: stable stable-updates\nComponents: main\n\n"
            "Types: deb\nEnabled: no\nURIs: http://off.example/sec\n"
            "Suites: stable-security\n\n"
            "Types: deb\nURIs: http://s.example/sec\n"
            "Suites: stable-security\nComponents: main\nSigned-By: /k.gpg\n")
        put(self.apt, "sources.list.d/other.txt",
            "deb http://no.example/x stable-security main\n")
        self.assertEqual(self.line(), "deb-src [signed-by=/k.gpg] "
                         "http://s.example/sec bullseye-security main")

    def test_key_in_the_file(self):
        put(self.apt, "sources.list.d/a.sources",
            "Types: deb\nURIs: http://s.example/sec\nSuites: a-security\n"
            "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n")
        self.assertEqual(self.line(), "deb-src http://s.example/sec "
                         "bullseye-security main")


class Archive(Case):
    """Debian's way, from an archive in a folder."""

    def setUp(self):
        super().setUp()
        if not all(map(shutil.which, ("apt-get", "dpkg"))):
            self.skipTest("no apt-get here")
        self.cache = self.fresh_cache()
        archive = os.path.join(self.top, "archive")
        folder = os.path.join(archive, "dists/old-security/main/source")
        os.makedirs(folder)
        name = "linux_1.2.3.orig.tar.xz"
        shutil.copy(self.release.tarball, os.path.join(archive, name))
        put(archive, "linux_1.2.3-1.debian.tar.xz", "not looked at")
        sums = {n: fetch._sha256(os.path.join(archive, n))
                for n in (name, "linux_1.2.3-1.debian.tar.xz")}
        sizes = {n: os.path.getsize(os.path.join(archive, n)) for n in sums}
        lines = "".join(" %s %d %s\n" % (sums[n], sizes[n], n) for n in sums)
        put(archive, "linux_1.2.3-1.dsc",
            "Format: 3.0 (quilt)\nSource: linux\nVersion: 1.2.3-1\n"
            "Checksums-Sha256:\n" + lines)
        dsc = os.path.join(archive, "linux_1.2.3-1.dsc")
        put(folder, "Sources",
            "Package: linux\nBinary: linux-source\nVersion: 1.2.3-1\n"
            "Directory: .\nChecksums-Sha256:\n %s %d %s\n%s" % (
                fetch._sha256(dsc), os.path.getsize(dsc),
                "linux_1.2.3-1.dsc", lines))
        self.sha256 = sums[name]
        # apt trusts what the option says; the tool's own line has no such.
        self.apt = os.path.join(self.top, "apt")
        put(self.apt, "sources.list",
            "deb file:%s stable-security main\n" % archive)
        put(self.top, "patched.py",
            "import sys; sys.path.insert(0, %r)\n"
            "sys.argv[0] = 'base'\n"
            "from quilt import base, fetch, run\n"
            "from quilt.queue import Queue\n"
            "line = fetch.debian_line('old-security', 'main', %r)\n"
            "fetch.debian_line = lambda *a: line.replace('deb-src', "
            "'deb-src [trusted=yes]')\n"
            "run.main(lambda: print(*base.ensure(Queue(%r))))\n" % (
                os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                self.apt, self.queue))

    def run_it(self, sha256):
        self.release.write_data(
            self.queue, url="", debian="linux 1.2.3-1 old-security main "
            "linux_1.2.3.orig.tar.xz " + sha256)
        done = subprocess.run(["python3", os.path.join(self.top, "patched.py")],
                              env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
        return done.returncode, done.stdout + done.stderr

    def test_fetch(self):
        before = {p: os.stat(p).st_mtime_ns for p in (
            "/var/lib/apt/lists", "/var/cache/apt") if os.path.exists(p)}
        status, said = self.run_it(self.sha256)
        self.assertEqual(status, 0, said)
        self.assertIn("linux_1.2.3.orig.tar.xz", said)
        self.assertEqual(sorted(os.listdir(self.cache)),
                         ["base-1.2.3.git", "base-1.2.3.lock"])
        for path, when in before.items():
            self.assertEqual(os.stat(path).st_mtime_ns, when, path)

    def test_wrong_sha256(self):
        status, said = self.run_it("0" * 64)
        self.assertEqual(status, 5, said)
        self.assertRegex(said, "has a wrong sha256")
        self.assertEqual(os.listdir(self.cache), ["base-1.2.3.lock"])


if __name__ == "__main__":
    unittest.main()
