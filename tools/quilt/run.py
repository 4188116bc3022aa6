# SPDX-License-Identifier: GPL-2.0
"""Run programs, report progress, and end with one clear line.

Exit status of every tool: 0 all is well, 1 a finding or input that is wrong,
5 the tool itself could not do its work.
"""

import argparse
import errno
import os
import shutil
import signal
import subprocess
import sys
import time

OK, BAD, TOOL = 0, 1, 5

# Debian package of each program that a tool calls.
PACKAGES = {
    "apt-get": "apt", "b4": "b4", "codespell": "codespell", "curl": "curl",
    "git": "git", "git-send-email": "git-email libmailtools-perl", "perl": "perl",
    "quilt": "quilt",
    "tar": "tar", "xz": "xz-utils",
}


class Failure(Exception):
    """The one line that the user gets, and the exit status."""

    def __init__(self, line, status=BAD):
        super().__init__(line)
        self.status = status


def oserror_line(error):
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ("disk full: %s; free some space, or point XDG_CACHE_HOME or "
                "TMPDIR at a larger disk, and run this again"
                % (error.filename or error.strerror))
    return str(error)


_FULL = ("No space left on device", "Disk quota exceeded", "File too large",
         "Out of diskspace")


def full(text):
    """True if a program's stderr says that there was no room to write."""
    return any(w in text for w in _FULL)


def _terminate(signum, frame):
    raise KeyboardInterrupt


def main(function):
    """Call function() as the program and turn what happens into a status."""
    name = os.path.basename(sys.argv[0])
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGXFSZ"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)   # EFBIG instead
    try:
        status = function() or OK
        sys.stdout.flush()
    except Failure as failure:
        print("%s: %s" % (name, failure), file=sys.stderr)
        status = failure.status
    except KeyboardInterrupt:
        print("%s: interrupted; run it again, nothing has to be cleaned up"
              % name, file=sys.stderr)
        status = TOOL
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = TOOL
    except OSError as error:
        print("%s: %s" % (name, oserror_line(error)), file=sys.stderr)
        status = TOOL
    sys.exit(status)


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong command line is status 5 and one line."""

    def error(self, message):
        print("%s: %s; %s -h shows the usage"
              % (self.prog, message, self.prog), file=sys.stderr)
        sys.exit(TOOL)


def parser(text):
    """A command line parser that knows -q; text is the program's doc."""
    p = Parser(prog=os.path.basename(sys.argv[0]), description=text,
               formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-q", metavar="FOLDER", dest="queue",
                   help="the queue: a folder with series and patches/ "
                        "(default: the root of this repository)")
    return p


def need(*programs):
    """Fail with the one line that installs what is missing."""
    missing = []
    for program in programs:
        if program == "git-send-email":
            where = git("--exec-path").strip()
            found = os.path.exists(os.path.join(where, program)) and not \
                subprocess.run(["perl", "-MMail::Address", "-e1"],
                               stderr=subprocess.DEVNULL).returncode
        else:
            found = shutil.which(program)
        if not found:
            missing.append(program)
    if missing:
        raise Failure("%s not found; install with: apt-get install %s"
                      % (", ".join(missing), " ".join(
                          PACKAGES.get(m, m) for m in missing)), TOOL)


# What could leak into git from the caller and change what it writes.
_LEAKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
          "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX",
          "GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS",
          "GIT_DIFF_OPTS", "GIT_EXTERNAL_DIFF", "GIT_AUTHOR_NAME",
          "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE", "GIT_COMMITTER_NAME",
          "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE", "GIT_ATTR_SOURCE",
          "GIT_DEFAULT_HASH", "GIT_COMMON_DIR", "GIT_TRACE")


def environment(**extra):
    env = {k: v for k, v in os.environ.items() if k not in _LEAKS}
    env.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1",
               GIT_TERMINAL_PROMPT="0", LC_ALL="C", LANGUAGE="")
    env.update(extra)
    return env


class GitError(Failure):
    def __init__(self, args, done):
        stderr = done.stderr or b""
        if isinstance(stderr, bytes):
            stderr = stderr.decode(errors="replace")
        self.stderr = stderr
        said = [l for l in stderr.splitlines() if l.strip()]
        if full(stderr) or done.returncode == -signal.SIGXFSZ:
            said = [l for l in said if full(l)] or ["git %s" % args[0]]
            line = ("disk full: %s; free some space, or point XDG_CACHE_HOME "
                    "at a larger disk, and run this again" % said[0])
        elif done.returncode == -signal.SIGINT:
            raise KeyboardInterrupt
        else:
            line = "git %s failed: %s" % (
                args[0], said[-1] if said else "status %d" % done.returncode)
        super().__init__(line, TOOL)


def git_command(args, repo=None):
    # A path that the user names is trusted, whoever owns it.
    command = ["git", "-c", "safe.directory=*", "-c", "core.quotePath=false"]
    if repo is not None:
        command += ["-C", str(repo)]
    return command + list(args)


def git(*args, repo=None, input=None, env=None, raw=False, ok=(0,)):
    """Run git free of the user's configuration; return its stdout."""
    if isinstance(input, str):
        input = input.encode()
    try:
        done = subprocess.run(git_command(args, repo), input=input,
                              env=environment(**(env or {})),
                              stdin=None if input is not None
                              else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise Failure("git not found; install with: apt-get install git", TOOL)
    if done.returncode not in ok:
        raise GitError(args, done)
    return done.stdout if raw else done.stdout.decode(errors="surrogateescape")


class Progress:
    """Elapsed time and what is done, on stderr, not more than needed."""

    def __init__(self, what):
        self.what, self.start = what, time.monotonic()
        self.tty = sys.stderr.isatty()
        self.last, self.shown = self.start, False

    def elapsed(self):
        return time.monotonic() - self.start

    def tick(self, text=""):
        now = time.monotonic()
        if now - self.last < (0.2 if self.tty else 5):
            return
        self.last, self.shown = now, True
        self._print(text, "\r" if self.tty else "\n")

    def done(self, text="done"):
        self._print(text, "\n")

    def _print(self, text, end):
        line = "[%5.1fs] %s %s" % (self.elapsed(), self.what, text)
        sys.stderr.write((line.ljust(70) if self.tty else line) + end)
        sys.stderr.flush()
