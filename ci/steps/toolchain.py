"""Builds the compilers of compiler.py into the cache, once each."""
import hashlib
import os
import shutil
import time

from steps import build, compiler, host, source, tables
from steps.host import TOP, Failure, say

# What is needed of a kernel for its headers, and not needed of the compiler.
LINUX = ("Makefile", "Kbuild", "include", "scripts", "usr")
WITHOUT = ("gcc/testsuite/[!s]*", "gcc/ada", "libgo", "libphobos", "libsanitizer", "libstdc++-v3")
PROGRAM = """#include <pthread.h>
#include <stdio.h>
static __thread int ready;
static void *work(void *arg) { ready = 1; return arg; }
int main(void)
{
	pthread_t thread;
	return pthread_create(&thread, NULL, work, NULL) || pthread_join(thread, NULL) ||
	       printf("%m %d %f\\n", ready, 1.5) < 0;
}
"""


def missing(arch):
    """host.missing(), and what a compiler of ours is built with when it is not there."""
    want = set(host.missing(arch))
    if arch["binutils"] and not shutil.which(arch["binutils"] + "-ld"):
        want.add("binutils-" + arch["binutils"])
    if arch["libc"] and not host.compiles(arch["cross"] + "gcc"):
        want |= compiler.missing(arch)
    return sorted(want)


def ready(arch, allowed, more=()):
    """Install what an arch needs and more packages; build its compiler if it is ours."""
    host.install(sorted({*missing(arch), *more}), allowed)
    if arch["libc"]:
        make(arch, os.cpu_count() or 1)


def unpack(folder, tarball, sha256, patches, work, log):
    """A package's source, if it is the one that ci/compiler/sources names."""
    with open(tarball, "rb") as file:
        found = hashlib.sha256(file.read()).hexdigest()
    if found != sha256:
        raise Failure("harness", f"{tarball} has sha256 {found}, ci/compiler/sources wants {sha256}")
    (work / folder).mkdir()
    build.run(["tar", "-x", "-f", tarball, "-C", work / folder, "--strip-components=1",
               *(f"--exclude=*/{name}" for name in WITHOUT)], log, f"unpacking {folder}")
    for patch in patches:
        build.run(["patch", "-s", "-p2", "-d", work / folder, "-i", patch], log, patch)


def headers(arch, work, log):
    """The part of the base that its headers are installed from."""
    git_dir, commit = source.base(TOP)
    own = "arch/" + arch["make"].removeprefix("ARCH=")
    build.run(["git", "--git-dir", git_dir, "archive", "-o", work / "linux.tar",
               "--prefix=linux/", commit, *LINUX, own], log, f"the base's {own}")
    build.run(["tar", "-x", "-f", work / "linux.tar", "-C", work], log, "the base")


def configured(arch, work):
    """Whether the C library's .config has what was asked for."""
    have = (work / "uclibc/.config").read_text().splitlines()
    lost = [line for line in compiler.libc(arch) if line not in have]
    if lost:
        raise Failure("config", "the C library's configuration lost " + ", ".join(lost))


def make(arch, jobs):
    """Build an arch's compiler, or find it in the cache; return its folder."""
    place = compiler.place(arch, tables.series(TOP)[0])
    if place.exists():
        return place
    log, work = place.with_suffix(".log"), place.with_name(f".{place.name}.making")
    with host.locked(place.with_name(f".{place.name}.lock")):
        if place.exists():
            return place
        start = time.monotonic()
        say(f"building {compiler.target(arch)}-gcc, log in {log}")
        shutil.rmtree(work, ignore_errors=True)
        log.unlink(missing_ok=True)
        try:
            work.mkdir()
            _make(arch, work, place.name.rpartition("-")[2], jobs, log)
            build.publish(work / "root", place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        size = sum(f.lstat().st_size for f in place.rglob("*")) >> 20
        say(f"{compiler.target(arch)}-gcc is in {place}: {size} MB, built in "
            f"{time.monotonic() - start:.0f} s")
    return place


def _make(arch, work, key, jobs, log):
    for folder, _, tarball, sha256, patches in compiler.sources(arch):
        say(f"unpacking {folder}")
        unpack(folder, tarball, sha256, patches, work, log)
    headers(arch, work, log)
    (work / "uclibc/.config").write_text("\n".join(compiler.libc(arch)) + "\n")
    done = None
    for what, folder, command in compiler.commands(arch, str(work / "root"), key, jobs):
        if what != done:
            say(f"building {what}")
        done = what
        (work / folder).mkdir(exist_ok=True)
        build.run(command, log, what, work / folder)
        if command[-1] == "olddefconfig":
            configured(arch, work)
    (work / "try.c").write_text(PROGRAM)
    build.run([work / "root/bin" / f"{compiler.target(arch)}-gcc", "-static", "-pthread", "-O2",
               "-Wall", "-Werror", "-o", work / "try", work / "try.c"], log, "a first program")
