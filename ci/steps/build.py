"""Builds a kernel, its modules and its selftests; keeps what it built.

A kernel's key is its tree, its configuration, the compiler and the instruments
that are built beside it: the same key is never built twice.
"""
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import time

from steps import config, host, prefixes, tables
from steps.host import CI, Failure, say

# Nothing of a build may depend on when, where or by whom it was done.
FIXED = {"KBUILD_BUILD_TIMESTAMP": "1970-01-01", "KBUILD_BUILD_USER": "mmquilt",
         "KBUILD_BUILD_HOST": "mmquilt", "LOCALVERSION": "", "LC_ALL": "C",
         "CCACHE_NOHASHDIR": "1", "CCACHE_DEPEND": "1"}


# What is said of a library that Debian does not have for an arch.
LIBRARY = re.compile(r"cannot find -l|fatal error: (sys/capability|hugetlbfs)\.h: No such file")


def environment():
    env = {**os.environ, **FIXED}
    env.setdefault("CCACHE_DIR", str(host.cache() / "ccache"))
    for name in ("MAKEFLAGS", "KBUILD_OUTPUT", "ARCH", "CROSS_COMPILE"):
        env.pop(name, None)
    return env


# ccache does not see what .incbin reads: with it, piggy.S takes in the image of another
# kernel, compressed to as many bytes.  make expands this where it runs the compiler.
CACHED = "$(if $(filter %.S %/configs.c %/kheaders.c,$<),,ccache )"


def make_args(arch, what="make"):
    cross = arch["cross"]
    flags = [f"KCFLAGS={arch['cflags']}"] if arch.get("cflags") else []
    return [arch[what] or arch["make"], f"CROSS_COMPILE={cross}", f"CC={CACHED}{cross}gcc", *flags]


def compiler(arch):
    try:
        return subprocess.run([arch["cross"] + "gcc", "--version"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.splitlines()[0]
    except OSError as error:
        raise Failure("harness", f"no compiler {arch['cross']}gcc: {error}") from error


def run(args, log, what, folder=None):
    """Run a build command into its log; say now and then that it still works."""
    with open(log, "a") as file:
        file.write(f"+ {shlex.join(map(str, args))}\n")
        file.flush()
        process = subprocess.Popen([str(a) for a in args], stdin=subprocess.DEVNULL,
                                   stdout=file, stderr=file, env=environment(), cwd=folder)
        try:
            told = time.monotonic()
            while True:
                try:
                    code = process.wait(1)
                    break
                except subprocess.TimeoutExpired:
                    if host.STOP.is_set():
                        raise KeyboardInterrupt from None
                    if time.monotonic() - told > 30:
                        told = time.monotonic()
                        with open(log, errors="replace") as text:
                            done = sum(1 for line in text if re.match(r"  [A-Z]+ |.* -c ", line))
                        say(f"{what}: {done} steps done")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if code:
        with open(log, errors="replace") as text:
            first = next((line.strip() for line in text
                          if re.search(r"\berror:|\*\*\* |undefined reference|No space left", line)),
                         f"exit status {code}")
        raise Failure("build", f"{what}: {first}", log)


def digest(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def instruments(source, commit):
    """Instrument modules that a commit lacks: a list of lists of files.

    ci/instruments names them; the tip's version is built against the commit.
    """
    return [text.split() for _, text in tables.lines(CI / "instruments")
            if not source.has(commit, text.split()[0])
            and source.has(source.tip, text.split()[0])]


def blobs_of(source, modules):
    """The ids of the tip's files that instruments(), its modules, are made of."""
    return [source.git("rev-parse", f"{source.tip}:{path}") for files in modules for path in files]


def publish(made, place):
    """Move a finished directory into the cache; somebody else's is as good."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(made, place)
    except OSError:
        if not place.exists():
            raise
        shutil.rmtree(made)
    return place


def recipe(source, commit, arch, fragments, programs=True):
    """(configuration, instruments beside it, place in the cache) of a commit's kernel.

    Without the selftests, commits whose kernels are made of the same files share one.
    """
    names = config.fragments(arch, fragments, lambda path: source.has(commit, path))
    want = config.wanted(names)
    extra = instruments(source, commit)
    blobs = blobs_of(source, extra)
    files = source.tree_id(commit) if programs else prefixes.kernel_id(source, commit, arch)
    key = digest(files, "\n".join(want.values()), compiler(arch), arch["make"],
                 arch["target"], *blobs, *arch["ldflags"].split(), *arch["programs"].split(),
                 *arch["cflags"].split())
    return want, extra, host.cache() / "kernels" / f"{arch['name']}-{key}"


def kernel(source, commit, slot, arch, fragments, jobs, log, programs=True, strict=True,
           step=lambda *what: None):
    """Build a commit's kernel, or find it in the cache.

    step: told which step begins, a begin() of record.Record.  strict: see
    config.make().  Return its directory: kernel, vmlinux, config, *.ko, and,
    with programs, selftests/ with what kselftest installed.
    """
    want, extra, place = recipe(source, commit, arch, fragments, programs)
    if place.exists():
        step("build", "as built before")
        say(f"{slot} kernel: as built before ({place.name})")
        os.utime(place)
        return place
    with host.locked(host.cache() / "trees" / f"{slot}.lock"):
        step("source")
        tree = source.checkout(commit, slot)
        step("config")
        build = tree / f".build-{'-'.join([arch['name'], *fragments])}"
        args = make_args(arch)
        config.make(tree, build, args, want, log, strict)
        step("build")
        say(f"{slot} kernel: building in {build}")
        make = ["make", "-C", tree, f"O={build}", f"-j{jobs}", *args]
        run([*make, arch["target"], "modules"], log, f"{slot} kernel")
        made = host.cache() / "kernels" / f".{place.name}.{os.getpid()}"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        try:
            for files in extra:
                folder = build / "instrument"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                for path in files:
                    (folder / os.path.basename(path)).write_text(
                        source.git("show", f"{source.tip}:{path}") + "\n")
                module = os.path.basename(files[0])[:-2]
                (folder / "Kbuild").write_text(f"obj-m := {module}.o\n")
                run([*make, f"M={folder}", "modules"], log, f"{slot} {module} module")
                shutil.copy(folder / f"{module}.ko", made)
            with open(build / "modules.order") as order:
                for path in order.read().split():
                    shutil.copy(build / path, made)
            if programs:
                selftests(tree, build, arch, made / "selftests", log, slot)
            run(["gcc", "-O2", "-w", "-o", made / "gen_init_cpio", tree / "usr/gen_init_cpio.c"],
                log, "gen_init_cpio")
            shutil.copy(build / arch["kernel"], made / "kernel")
            shutil.copy(build / "vmlinux", made / "vmlinux")
            shutil.copy(build / ".config", made / "config")
            return publish(made, place)
        except OSError as error:
            raise Failure("build", f"{slot}: {error}", log) from error
        finally:
            shutil.rmtree(made, ignore_errors=True)


def selftests(tree, build, arch, into, log, slot):
    """Build tools/testing/selftests/vm of a tree, statically, and install it.

    A program that wants a library which Debian does not have for the arch is
    left out: the base wants some, and the patched tree's program runs in place.
    """
    make = ["make", *make_args(arch, "programs")]
    shutil.rmtree(tree / "usr/include/asm", ignore_errors=True)  # another arch's
    run([*make, "-s", "-C", tree, f"O={build}", f"INSTALL_HDR_PATH={tree}/usr",
         "headers_install"], log, f"{slot} headers")
    # make does not know what the C library in a program is, nor which compiler made it.
    made_by, now = build / "kselftest.by", compiler(arch)
    if not made_by.exists() or made_by.read_text() != now:
        shutil.rmtree(build / "kselftest", ignore_errors=True)
        made_by.write_text(now)
    before = log.stat().st_size
    run([*make, "-i", "-C", tree / "tools/testing/selftests", "TARGETS=vm",
         f"LDFLAGS=-static {arch['ldflags']}",
         f"MACHINE={arch['selftests']}",
         "KSFT_KHDR_INSTALL_DONE=1", f"O={build}/kselftest", f"INSTALL_PATH={into}",
         "install"], log, f"{slot} selftests")
    with open(log, errors="replace") as file:
        file.seek(before)
        left, broken = failures(file.read())
    if broken:
        raise Failure("build", f"{slot} selftests: {broken[0]}", log)
    if left:
        say(f"{slot} selftests: without {', '.join(left)}: no library for {arch['name']}")
    for program in (into / "vm").iterdir():
        with open(program, "rb") as file:
            if file.read(4) == b"\x7fELF":
                run([arch["cross"] + "strip", program], log, "strip")


def failures(text):
    """(programs that lack a library, first errors of others) in the log of make -i."""
    left, broken, since = [], [], []
    for line in text.splitlines():
        since.append(line.strip())
        failed = re.search(r": \[.*?([^/: ]+)\] Error (\d+) \(ignored\)$", line)
        if not failed:
            continue
        errors = [one for one in since if re.search(r"\berror:|cannot find -l|undefined ref", one)]
        if any(LIBRARY.search(one) for one in errors):
            left += [failed.group(1)] if failed.group(1) not in left else []
        elif not (left and failed.groups() == ("install", "23")):  # rsync: files are missing
            broken.append(errors[0] if errors else line.strip())
        since = []
    return left, broken


def guest(arch, log):
    """Build the guest's own programs of ci/guest."""
    sources = sorted((CI / "guest").glob("*.c"))
    key = digest(compiler(arch), *arch["ldflags"].split(), *(s.read_text() for s in sources))
    place = host.cache() / "guest" / f"{arch['name']}-{key}"
    if place.exists():
        return place
    made = host.cache() / "guest" / f".{place.name}.{os.getpid()}"
    made.mkdir(parents=True, exist_ok=True)
    try:
        for source in sources:
            run([arch["cross"] + "gcc", "-static", "-s", *arch["ldflags"].split(), "-O2",
                 "-Wall", "-Wextra", "-o", made / source.stem, source], log,
                f"guest {source.name}")
        return publish(made, place)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def prune(limit=10 << 30):
    """Forget the kernels that were not used for longest, until the rest is below
    the limit in bytes."""
    folder = host.cache() / "kernels"
    if not folder.is_dir():
        return
    kept = 0
    for path in sorted((p for p in folder.iterdir() if not p.name.startswith(".")),
                       key=lambda p: p.stat().st_mtime, reverse=True):
        kept += sum(f.lstat().st_size for f in path.rglob("*"))
        if kept > limit:
            shutil.rmtree(path, ignore_errors=True)
