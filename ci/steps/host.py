"""The machine that we run on: its cache, its packages, and talking to its user."""
import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
CI = TOP / "ci"
START = time.monotonic()
STOP = threading.Event()  # set when the user wants us to end
_lock = threading.Lock()


class Failure(Exception):
    """A step that failed: its kind, one line that says why, and a log."""
    def __init__(self, kind, why, log=None):
        super().__init__(why)
        self.kind, self.why, self.log = kind, why, log


def say(what):
    """One line of progress, with the time since the start."""
    with _lock:
        print(f"[{time.monotonic() - START:6.1f}s] {what}", flush=True)


def cache():
    """The project's cache directory; made when it is missing."""
    top = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(top) / "mmquilt"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(path):
    """Hold an exclusive lock file; say so when somebody else has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that holds {path}")
            while not STOP.wait(0.5):
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
            else:
                raise KeyboardInterrupt from None
        yield


# Debian's package for each program that a step calls and that a small
# installation may lack.
PROGRAMS = {
    "git": "git", "make": "make", "gcc": "gcc", "bc": "bc", "flex": "flex", "bison": "bison",
    "perl": "perl", "xz": "xz-utils", "rsync": "rsync", "ccache": "ccache", "ld": "binutils",
    "addr2line": "binutils", "dpkg-source": "dpkg-dev", "curl": "curl",
    "codespell": "codespell", "b4": "b4", "quilt": "quilt", "filterdiff": "patchutils",
}
HEADERS = {
    "/usr/include/stdio.h": "libc6-dev", "/usr/include/sys/capability.h": "libcap-dev",
    "/usr/include/libelf.h": "libelf-dev", "/usr/include/hugetlbfs.h": "libhugetlbfs-dev",
    "/usr/lib/git-core/git-send-email": "git-email",
    "/usr/share/perl5/Mail/Address.pm": "libmailtools-perl",
}


def compiles(compiler):
    """Whether a compiler is there and has a C library to link statically."""
    if not shutil.which(compiler):
        return False
    library = subprocess.run([compiler, "-print-file-name=libc.a"], text=True, check=False,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout.strip()
    return os.path.isabs(library) and os.path.exists(library)


def missing(arch):
    """Debian packages that are needed and not there, for one arch."""
    want = {pkg for prog, pkg in PROGRAMS.items() if not shutil.which(prog)}
    want |= {pkg for path, pkg in HEADERS.items() if not os.path.exists(path)}
    if not arch["run"] and not shutil.which(arch["qemu"]):
        want.add(arch["qemu-package"])
    if not compiles(arch["cross"] + "gcc"):
        native = os.uname().machine == arch["host"]
        want.update(arch["native" if native else "packages"].split())
    return sorted(want)


def install(packages, allowed):
    """Install packages with apt, or say the one line that would."""
    if not packages:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    line = sudo + ["apt-get", "install", "-y", "--no-install-recommends"] + packages
    one_line = " ".join(sudo + ["apt-get update", "&&"] + line)
    if not allowed or not shutil.which("apt-get") or (sudo and not shutil.which("sudo")):
        raise Failure("harness", f"missing packages; install them with: {one_line}")
    say(f"installing {' '.join(packages)}")
    log = cache() / "apt.log"
    with open(log, "w") as file:
        for args in (sudo + ["apt-get", "update"], line):
            if subprocess.run(args, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                              env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                              check=False).returncode:
                raise Failure("harness", f"apt failed ({log}); by hand: {one_line}", log)


def die(why):
    """The harness cannot go on."""
    print(f"ci: {why}", file=sys.stderr)
    sys.exit(5)
