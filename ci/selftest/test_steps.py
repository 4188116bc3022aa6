"""Configuration, plan, data files and the command line."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

from steps import boot, build, config, host, image, source, tables

RUN = host.CI / "run"


class Config(unittest.TestCase):
    def fragment(self, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "x.config"
        path.write_text(text)
        return path

    def test_lost_lines(self):
        want = config.wanted([self.fragment(
            "# talk\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_N=3\n# CONFIG_C is not set\n"
            "# CONFIG_D is not set\n")])
        self.assertEqual(config.lost(want, "CONFIG_A=y\nCONFIG_B=m\nCONFIG_N=3\n"
                                           "# CONFIG_C is not set\n"), [])
        self.assertEqual(config.lost(want, "CONFIG_A=m\nCONFIG_N=3\nCONFIG_D=y\n"),
                         ["CONFIG_A=y", "CONFIG_B=m", "# CONFIG_D is not set"])

    def test_later_fragment_wins(self):
        want = config.wanted([self.fragment("CONFIG_A=y\n"),
                              self.fragment("# CONFIG_A is not set\n")])
        self.assertEqual(list(want.values()), ["# CONFIG_A is not set"])

    def test_typing_error_is_refused(self):
        with self.assertRaises(host.Failure):
            config.wanted([self.fragment("CONFG_A=y\n")])

    def test_only(self):
        arch = tables.arch("x86_64")
        for have, lack in (("gup_test", "gup_benchmark"), ("gup_benchmark", "gup_test")):
            names = [p.stem for p in config.fragments(arch, [], f"mm/{have}.c".__eq__)]
            self.assertIn(have, names)
            self.assertNotIn(lack, names)

    def test_only_on_an_arch(self):
        for arch, word, there in (("ppc64le", "ARCH_HAS_DEBUG_VM_PGTABLE", True),
                                  ("ppc64le", "other", False),
                                  ("x86_64", "ARCH_HAS_DEBUG_VM_PGTABLE", False)):
            names = [p.stem for p in config.fragments(
                tables.arch(arch), [], f"arch/powerpc/Kconfig {word}".__eq__)]
            self.assertEqual("powerpc-pgtable" in names, there, (arch, word))


class Arch(unittest.TestCase):
    """Files of ci/arch that lean on another one."""
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name) / "arch"
        self.folder.mkdir()
        self.write("old", "".join(f"{key}: {key} of old\n" for key in sorted(
            tables.ARCH_KEYS - tables.OPTIONAL | {"append", "stacks"})))
        patch = unittest.mock.patch.object(tables, "CI", pathlib.Path(folder.name))
        patch.start()
        self.addCleanup(patch.stop)

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def wrong(self, name):
        with self.assertRaises(host.Failure) as caught:
            tables.arch(name)
        return str(caught.exception)

    def test_what_it_leaves_out_is_the_others(self):
        self.write("new", "# words\nlike: old\nconfig: mine\nappend:\n")
        new, old = tables.arch("new"), tables.arch("old")
        self.assertEqual(new, {**old, "name": "new", "like": "old", "config": "mine",
                               "append": ""})
        self.assertEqual(old["stacks"], "stacks of old")

    def test_what_is_wrong_is_named(self):
        self.write("new", "like: old\n")
        self.write("newer", "like: new\n")
        self.assertIn("arch/newer: like: new is like old: name that one", self.wrong("newer"))
        self.write("self", "like: self\n")
        self.assertIn("arch/self: like: self is like self", self.wrong("self"))
        self.write("lost", "like: none\n")
        self.assertIn("no arch 'none'; there are: lost, new, newer, old, self",
                      self.wrong("lost"))
        self.write("twice", "like: old\nlike: new\n")
        self.assertIn("arch/twice:2: bad key 'like'", self.wrong("twice"))
        self.write("small", "host: x\n")
        self.write("child", "like: small\n")
        self.assertIn("arch/child: no config, ", self.wrong("child"))

    def test_a_kernel_that_is_a_program_needs_no_qemu(self):
        keys = sorted(tables.ARCH_KEYS - tables.OPTIONAL - tables.QEMU)
        self.write("new", "".join(f"{key}: x\n" for key in keys))
        self.assertIn("arch/new: no ktap, machine, qemu, qemu-package", self.wrong("new"))
        self.write("new", "run: y\n" + "".join(f"{key}: x\n" for key in keys))
        self.assertEqual(tables.arch("new")["run"], "y")


class Compiler(unittest.TestCase):
    def test_what_incbin_reads_is_never_an_old_one(self):
        with tempfile.TemporaryDirectory() as name:
            here = pathlib.Path(name)
            (here / "Makefile").write_text("all:\n\t$(MAKE) -f below piggy.o kernel/configs.o a.o\n")
            (here / "below").write_text("%.o: %.S\n\t$(CC) -Wp,-MMD,$@.d -c -o $@ $<\n"
                                        "%.o: %.c\n\t$(CC) -Wp,-MMD,$@.d -c -o $@ $<\n")
            (here / "piggy.S").write_text('.section .rodata\n.incbin "data"\n')
            (here / "kernel").mkdir()
            (here / "kernel/configs.c").write_text('asm(".incbin \\"data\\"");\n')
            (here / "a.c").write_text("int a;\n")
            env = {**build.environment(), "CCACHE_DIR": str(here / "cache")}
            for data in ("one", "two"):
                (here / "data").write_text(data)
                for made in ("piggy.o", "kernel/configs.o", "a.o"):
                    (here / made).unlink(missing_ok=True)
                subprocess.run(["make", "-s", "-C", name,
                                *build.make_args(tables.arch(tables.native()))], check=True, env=env)
                for made in ("piggy.o", "kernel/configs.o"):
                    self.assertIn(data.encode(), (here / made).read_bytes(), made)
            stats = subprocess.run(["ccache", "--print-stats"], check=True, env=env, text=True,
                                   stdout=subprocess.PIPE).stdout
            self.assertRegex(stats, r"direct_cache_hit\s+1\n")


class Same(unittest.TestCase):
    """What runs is held against the vmlinux that was built."""
    def poll(self, said, built=b"\x00\xab\xcd\xef", word="build-id ", image=b"packed"):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "boot").mkdir()
            (folder / "boot/image").write_bytes(image)
            if built:
                (folder / "vmlinux").write_bytes(built)
            (folder / "ktap").write_text(f"KTAP version 1\n1..1\n# {word}{said}\n")
            boot.Progress(folder / "ktap", folder / "boot/image", print, lambda: None).poll()

    def test_same(self):
        self.poll("abcdef")

    def test_other(self):
        with self.assertRaisesRegex(host.Failure, "is not the kernel of .*/vmlinux"):
            self.poll("abcdee")

    def test_unknown(self):
        init = (host.CI / "guest/init.c").read_text()
        said = re.search(r'say\("# (setup: .*build id.*)\\n"\)', init)
        with self.assertRaisesRegex(host.Failure, "has no build id"):
            self.poll(said.group(1), word="")
        self.poll(said.group(1), b"built", "", b"built")

    def test_nothing_to_hold_it_against(self):
        with self.assertRaisesRegex(host.Failure, "no vmlinux beside"):
            self.poll("abcdef", None)


class Selftests(unittest.TestCase):
    LIBRARY = ("ld: cannot find -lcap: No such file or directory\n"
               "make[1]: [../lib.mk:151: /b/vm/mlock-random-test] Error 1 (ignored)\n")
    HEADER = ("x.c:1:2: fatal error: %s.h: No such file or directory\n"
              "make[1]: [../lib.mk:151: /b/vm/x] Error 1 (ignored)\n")
    ERROR = ("x.c:1:2: error: bad\nmake[1]: [../lib.mk:151: /b/vm/x] Error 1 (ignored)\n")
    PARTIAL = "make[1]: [../lib.mk:120: install] Error 23 (ignored)\n"
    FULL = "make[1]: [../lib.mk:120: install] Error 11 (ignored)\n"

    def test_only_a_missing_library_is_forgiven(self):
        self.assertEqual(build.failures("gcc x.c\n"), ([], []))
        self.assertEqual(build.failures(self.LIBRARY * 2 + self.PARTIAL), (["mlock-random-test"], []))
        for name, forgiven in (("sys/capability", 1), ("hugetlbfs", 1), ("sys/mman", 0)):
            self.assertEqual(len(build.failures(self.HEADER % name)[0]), forgiven, name)
            self.assertEqual(len(build.failures(self.HEADER % name)[1]), 1 - forgiven, name)
        for text in (self.ERROR, self.PARTIAL, self.LIBRARY + self.ERROR,
                     self.ERROR + self.LIBRARY, self.LIBRARY + self.FULL):
            self.assertEqual(len(build.failures(text)[1]), 1, text)


class Plan(unittest.TestCase):
    ROWS = [(1, "hugetlb 4M".split()),
            (2, "test a 5 root ./old -x | ./new -y".split()),
            (3, "test b 5 nobody ./rows {rows}".split()),
            (4, "test c 5 root ./nowhere".split())]

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("own/new", "tip/new", "tip/rows", "guest/init"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text("")

    def plan(self, *patterns):
        return image.plan(self.ROWS, patterns, self.folder / "own", self.folder / "tip",
                          self.folder / "guest")

    def test_all(self):
        lines, files, absent = self.plan()
        self.assertEqual(lines, ["hugetlb 4M", "test a 5 root /vm ./new -y",
                                 "test b 5 nobody /tip ./rows"])
        self.assertEqual(set(files), {"/vm/new", "/tip/rows"})
        self.assertEqual(set(absent), {"c"})

    def test_choice(self):
        self.assertEqual(self.plan("b/x.*", "b/y")[0][1:], ["test b 5 nobody /tip ./rows x.* y"])
        self.assertEqual(self.plan("nothing")[0], ["hugetlb 4M"])


class Image(unittest.TestCase):
    def test_same_at_any_time(self):
        """The guest unpacks it, and ci/bench counts that, too."""
        if not list(host.cache().glob("base-*.git")):
            self.skipTest("the base was not fetched yet, so there is no gen_init_cpio")
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        (folder / "init").write_text("")
        (folder / "x").write_text("")
        src = source.Source(host.TOP)
        (folder / "gen_init_cpio.c").write_text(src.git("show",
                                                        f"{src.base}:usr/gen_init_cpio.c"))
        subprocess.run(["gcc", "-w", "-o", folder / "gen_init_cpio", folder / "gen_init_cpio.c"],
                       check=True)
        made = set()
        for _ in range(2):
            image.make(folder, folder, folder, [(1, "test x 5 root /guest/x".split())], [], folder)
            made.add((folder / "initrd").read_bytes())
            time.sleep(1.1)
        self.assertEqual(len(made), 1)


class Tables(unittest.TestCase):
    def test_ours_are_well_formed(self):
        self.assertTrue(tables.tests())
        tables.known()
        tables.allowed_splats()
        for name in tables.arches():
            tables.arch(name)

    def test_every_program_of_run_vmtests_is_in_the_plan(self):
        """Of the base and of the tip: nothing that run_vmtests runs is left out."""
        if not list(host.cache().glob("base-*.git")):
            self.skipTest("the base was not fetched yet, so there is no run_vmtests to read")
        src = source.Source(host.TOP)
        ours = {a[0].removeprefix("./") for _, w in tables.tests() if w[0] == "test"
                for a in tables.alternatives(w[4:])}
        instead = {"test_vmalloc.sh": "/guest/vmalloc_smoke", "test_hmm.sh": "hmm-tests"}
        for commit in (src.base, src.tip):
            script = src.git("show", f"{commit}:tools/testing/selftests/vm/run_vmtests")
            programs = re.findall(r"(?<![=/])\./([A-Za-z][\w.-]*)", script)
            self.assertTrue(programs, commit)
            for program in programs:
                self.assertIn(instead.get(program, program), ours, commit)

    def test_bad_tests(self):
        for text in ("test a root ./x", "test a 5 toor ./x", "test a 5 root ./x\ntest a 5 root ./y"):
            with tempfile.NamedTemporaryFile("w", suffix="tests") as file:
                file.write(text + "\n")
                file.flush()
                with self.assertRaises(host.Failure, msg=text):
                    tables.tests(pathlib.Path(file.name))


class Cache(unittest.TestCase):
    def test_prune_keeps_what_was_used_last(self):
        with tempfile.TemporaryDirectory() as folder, \
                unittest.mock.patch.object(host, "cache", lambda: pathlib.Path(folder)):
            for age, name in enumerate(("new", "middle", "old")):
                path = pathlib.Path(folder) / "kernels" / name
                path.mkdir(parents=True)
                (path / "kernel").write_bytes(bytes(1000))
                os.utime(path, (1e9 - age, 1e9 - age))
            build.prune(2000)
            self.assertEqual(sorted(p.name for p in (pathlib.Path(folder) / "kernels").iterdir()),
                             ["middle", "new"])


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.home)

    def run_it(self, *args, **env):
        done = subprocess.run([sys.executable, RUN, *args], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=120, check=False,
                              env={**os.environ, "HOME": self.home,
                                   "XDG_CACHE_HOME": self.home + "/cache", **env})
        return done.returncode, done.stdout + done.stderr

    def test_unknown_arch(self):
        code, text = self.run_it("-a", "vax")
        self.assertEqual(code, 5)
        self.assertIn("no arch 'vax'; there are: ", text)

    def test_no_queue(self):
        code, text = self.run_it("-q", self.home)
        self.assertEqual(code, 5)
        self.assertIn("-q names a folder with series and patches/", text)

    def test_wrong_tree(self):
        os.makedirs(self.home + "/tree")
        code, text = self.run_it("--tree", self.home + "/tree", "--out", self.home + "/out")
        self.assertIn(code, (1, 5))
        self.assertNotIn("Traceback", text)
        self.assertIn(self.home + "/tree", text)
        with open(self.home + "/out/report.html", encoding="utf-8") as page:
            self.assertIn('bad">failed', page.read())

    def test_missing_compiler_prints_the_line(self):
        tools = self.home + "/bin"
        os.mkdir(tools)
        for name in ("python3", "apt-get", "sh"):
            if shutil.which(name):
                os.symlink(shutil.which(name), f"{tools}/{name}")
        code, text = self.run_it("--no-install", PATH=tools)
        self.assertEqual(code, 5)
        self.assertRegex(text, r"apt-get install -y --no-install-recommends .*\bgcc\b")

    def test_bad_output_folder(self):
        code, text = self.run_it("--out", "/dev/null/x")
        self.assertEqual(code, 5)
        self.assertNotIn("Traceback", text)
        self.assertIn("/dev/null/x", text)

    def test_full_disk(self):
        """The cache is on a file system of one megabyte."""
        mount = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1M none "$1" && shift && '
                 'exec "$@"', "sh", self.home]
        if subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
            self.skipTest("cannot mount a small file system: not root")
        done = subprocess.run([*mount, sys.executable, RUN, "--out", self.home + "/out"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False,
                              env={**os.environ, "XDG_CACHE_HOME": self.home + "/cache"})
        text = done.stdout + done.stderr
        self.assertIn(done.returncode, (1, 5), text)
        self.assertNotIn("Traceback", text)
        self.assertRegex(text, "(?i)no space|disk is full|full")

    def test_interrupt(self):
        process = subprocess.Popen([sys.executable, RUN, "--out", self.home + "/out"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   start_new_session=True,
                                   # A shell's background job would ignore it
                                   preexec_fn=lambda: signal.signal(signal.SIGINT,
                                                                    signal.SIG_DFL),
                                   env={**os.environ, "HOME": self.home,
                                        "XDG_CACHE_HOME": self.home + "/cache"})
        process.stdout.readline()
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        text = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, 5, text)
        self.assertNotIn("Traceback", text)


class Stop(unittest.TestCase):
    """^C while both kernels are built: each thread ends what it does."""
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "file"
        stop = threading.Event()
        patch = unittest.mock.patch.object(host, "STOP", stop)
        patch.start()
        self.addCleanup(patch.stop)
        threading.Timer(0.2, stop.set).start()

    def test_waiting_for_another_run(self):
        with host.locked(self.path), self.assertRaises(KeyboardInterrupt), \
                host.locked(self.path):
            self.fail("two hold the lock")

    def test_building(self):
        start = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            build.run(["sleep", "60"], self.path, "a build")
        self.assertLess(time.monotonic() - start, 10)


class OneChannel(unittest.TestCase):
    """Results that come over the console are parted from what the kernel says."""
    SAID = ("[    0.1] Linux\r\n"
            "[    0.2] ktap.KTAP version 1\r\n"
            "[    0.2][    T1] ktap:a long \r\n"
            "[    0.3] BUG: between\r\n"
            "[    0.3] ktap.line\r\n"
            "[    0.4] init: ktap.no\r\n"
            "ktap.no\r\n"
            "[    0.5] Kernel pa")

    def test_parted(self):
        for step in (1, 7, len(self.SAID)):
            with tempfile.TemporaryDirectory() as folder:
                names = [f"{folder}/{name}" for name in ("serial", "console", "ktap")]
                parted = boot.Parted(*names)
                parted.poll()
                for at in range(0, len(self.SAID), step):
                    with open(names[0], "a", newline="") as file:
                        file.write(self.SAID[at:at + step])
                    parted.poll()
                parted.poll(last=True)
                with open(names[1]) as console, open(names[2]) as ktap:
                    self.assertEqual(console.read(),
                                     "[    0.1] Linux\n[    0.3] BUG: between\n"
                                     "[    0.4] init: ktap.no\nktap.no\n[    0.5] Kernel pa\n")
                    self.assertEqual(ktap.read(), "KTAP version 1\na long line\n")

    def test_what_init_writes(self):
        """The two agree on what a record looks like, and the kernel takes one."""
        init = (host.CI / "guest/init.c").read_text()
        self.assertIn('"<6>ktap%c%.*s", last ? \'.\' : \':\'', init)
        self.assertLess(int(re.search(r"define MAX_RECORD\s+(\d+)", init)[1]) + 10, 1024 - 48)


class Halted(unittest.TestCase):
    """A guest that its machine cannot restart is ended once it has said so."""
    def test_words(self):
        with tempfile.TemporaryDirectory() as folder:
            console = pathlib.Path(folder) / "console"
            self.assertFalse(boot.halted(console))
            for said, is_it in ((b"", False), (b"reboot: Restarting system\n", False),
                                (b"x\n" * 9000 + b"[ 9.9] Reboot failed -- System halted\n", True)):
                console.write_bytes(said)
                self.assertEqual(boot.halted(console), is_it)

    def test_ended(self):
        """It is no hang, and what it said last is there."""
        arch = {**tables.arch("x86_64"), "machine-tcg": "", "limit-scale": "1"}
        with tempfile.TemporaryDirectory() as folder, \
                unittest.mock.patch.object(boot, "command", lambda *args: [
                    "sh", "-c", f"printf '1..0\\n' > {folder}/ktap.log; "
                    f"echo '[ 1.0] {boot.HALTED.decode()}' > {folder}/console.log; exec sleep 60"]):
            start = time.monotonic()
            self.assertEqual(boot.run(arch, "tcg", "/k", None, folder, lambda text: None), "exit")
            self.assertLess(time.monotonic() - start, 20)


class Qemu(unittest.TestCase):
    def test_line(self):
        arch = tables.arch("x86_64")
        line = boot.command(arch, "tcg", "/k", "/i", "/s", "/c", "/r", "extra=1")
        self.assertEqual(line[0], arch["qemu"])
        self.assertIn("-no-reboot", line)
        append = line[line.index("-append") + 1]
        self.assertIn("panic=-1", append)
        self.assertIn(f"limit_scale={arch['limit-scale']}", append)
        self.assertIn("extra=1", append)

    def test_one_serial_port(self):
        arch = {**tables.arch("x86_64"), "ktap": boot.KMSG}
        line = boot.command(arch, "tcg", "/k", "/i", "/s", "/c", "/r")
        self.assertIn("ktap=/dev/kmsg ", line[line.index("-append") + 1])
        self.assertTrue(any(word.endswith("logfile=/s/serial") for word in line))
        self.assertFalse([word for word in line if "/r" in word or "/c" == word])

    def test_a_kernel_that_is_a_program(self):
        arch = {**tables.arch("x86_64"), "run": "{kernel} initrd={initrd} {append} 3>{ktap}"}
        line = boot.command(arch, "none", "/a k", "/i", "/s", "/c", "/r", "extra=1")
        self.assertEqual(line[:2], ["sh", "-c"])
        self.assertRegex(line[2], "^'/a k' initrd=/i console=ttyS0 .* extra=1 3>/r$")
        self.assertEqual(boot.pick_accel(arch, "/a k", print), "none")
        with self.assertRaisesRegex(host.Failure, "runs on nothing alone"):
            boot.version({**arch, "host": "nothing"})

    def test_a_slow_guest_gets_time(self):
        plain = {"limit-scale": "4", "append": "a"}
        self.assertEqual(config.tuned(plain, ["common"]), {**plain, "slower": 1})
        self.assertEqual([boot.scale(plain, accel) for accel in ("kvm", "tcg")], [1, 4])
        debug = config.tuned(plain, ["debug"])
        self.assertGreater(debug["slower"], 1)
        self.assertIn("a page_owner=on", debug["append"])
        self.assertEqual([boot.scale(debug, accel) for accel in ("kvm", "tcg")],
                         [debug["slower"], 4 * debug["slower"]])
        self.assertIn("watchdog_thresh=10 ", boot.watchdogs(1))
        self.assertIn("watchdog_thresh=40 ", boot.watchdogs(4))
        self.assertIn("watchdog_thresh=60 ", boot.watchdogs(12))    # the most there is
        self.assertIn("hung_task_timeout_secs=1440", boot.watchdogs(12))


if __name__ == "__main__":
    unittest.main()
