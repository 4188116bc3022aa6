"""What a compiler of our own is made of, how, and where it is kept.

It is for an arch of which Debian has no compiler, or none that works: its file in
ci/arch has the key libc.  steps/toolchain.py builds it.
"""
import hashlib
import os

from steps import host
from steps.host import CI

FOLDER = CI / "compiler"
HOST = ["MAKEINFO=true", "CC=ccache gcc", "CXX=ccache g++", "CFLAGS=-O1", "CXXFLAGS=-O1"]
BINUTILS = ["--disable-werror", "--disable-gdb", "--disable-sim", "--disable-gprof",
            "--disable-gprofng", "--disable-libctf"]
GCC = ["--enable-languages=c", "--disable-bootstrap", "--disable-shared", "--enable-threads=posix",
       "--enable-tls", "--disable-lto", "--without-isl", "--without-zstd", "--disable-analyzer",
       "--disable-libssp", "--disable-libquadmath", "--disable-libgomp", "--disable-libatomic",
       "--disable-gcov"]
# Of Debian's binutils for an arch, what gcc, a kernel's Makefile and ci/run call.
TOOLS = ["addr2line", "ar", "as", "ld", "nm", "objcopy", "objdump", "ranlib", "readelf", "size",
         "strip"]
# What gcc is compiled with, and Debian's packages of it.
NEEDED = {"/usr/bin/g++": "g++", "/usr/include/mpc.h": "libmpc-dev"}


def _lines(name):
    return [line for line in (FOLDER / name).read_text().splitlines()
            if line.strip() and (line[0] != "#" or line.endswith(" is not set"))]


def sources(arch):
    """A list of (folder, package, tarball, sha256, [patch]).

    Of our patches, those in a folder of FOLDER are for the arch of that name alone."""
    def wanted(name):
        return name[0] == "/" or os.path.dirname(name) in ("", arch["host"])
    return [(*words[:4], [FOLDER / name for name in filter(wanted, words[4:])])
            for words in map(str.split, _lines("sources"))
            if words[0] != "binutils" or not arch["binutils"]]


def libc(arch):
    """Lines of the C library's .config."""
    return _lines("uclibc.config") + [f"{name}=y" for name in arch["libc"].split()]


def target(arch):
    return os.path.basename(arch["cross"]).rstrip("-")


def commands(arch, prefix, key="", jobs=1):
    """What builds it: a list of (what, folder it is done in, command)."""
    name = target(arch)
    root = f"{prefix}/{name}/sysroot"
    configure = [f"--target={name}", f"--prefix={prefix}", f"--with-sysroot={root}",
                 "--disable-nls", "--disable-multilib", "--disable-plugins", *HOST]
    make = ["make", f"-j{jobs}", "MAKEINFO=true"]
    links = [["ln", "-s", f"/usr/bin/{arch['binutils']}-{tool}", f"{prefix}/{place}{tool}"]
             for tool in TOOLS for place in (f"bin/{name}-", f"{name}/bin/")]
    libc_make = ["make", f"-j{jobs}", f"CROSS_COMPILE={prefix}/bin/{name}-",
                 f"KERNEL_HEADERS={root}/usr/include", f"PREFIX={root}"]
    binutils = [["mkdir", "-p", f"{prefix}/bin", f"{prefix}/{name}/bin"], *links] \
        if arch["binutils"] else [
            ["../binutils/configure", *BINUTILS, *configure],
            [*make, "all-gas", "all-ld", "all-binutils"],
            [*make, "install-strip-gas", "install-strip-ld", "install-strip-binutils"]]
    return [
        *[("binutils", "build-binutils", command) for command in binutils],
        ("kernel headers", "linux", ["make", "-s", arch["make"], f"INSTALL_HDR_PATH={root}/usr",
                                     "headers_install"]),
        # gcc's own limits.h only looks for one of the C library if it is there by now.
        ("gcc", "build-gcc", ["touch", f"{root}/usr/include/limits.h"]),
        ("gcc", "build-gcc", ["../gcc/configure", f"--with-pkgversion=mmquilt {key}", *GCC,
                              *arch["gcc"].split(), *configure]),
        ("gcc", "build-gcc", [*make, "all-gcc"]),
        ("gcc", "build-gcc", [*make, "install-strip-gcc"]),
        ("C library", "uclibc", [*libc_make, "olddefconfig"]),
        ("C library", "uclibc", [*libc_make, "install_headers"]),
        ("libgcc", "build-gcc", [*make, "all-target-libgcc"]),
        ("libgcc", "build-gcc", [*make, "install-target-libgcc"]),
        ("C library", "uclibc", [*libc_make, "install"]),
    ]


def place(arch, base):
    """Its folder in the cache.  base: the kernel whose headers the C library has."""
    parts = [base, *libc(arch)]
    for _, _, _, sha256, patches in sources(arch):
        parts += [sha256, *(p.read_text() if FOLDER in p.parents else str(p) for p in patches)]
    parts += [word for _, folder, words in commands(arch, "") for word in [folder, *words]]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return host.cache() / "compilers" / f"{target(arch)}-{key}"


def missing(arch):
    """Debian packages that are needed to build one and not there."""
    want = {package for path, package in NEEDED.items() if not os.path.exists(path)}
    return want | {package for _, package, tarball, _, patches in sources(arch)
                   if not all(map(os.path.exists, [tarball, *patches]))}
