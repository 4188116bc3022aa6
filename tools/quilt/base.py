# SPDX-License-Identifier: GPL-2.0
"""The base: one commit in a bare git repository in the cache, made once."""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from . import fetch, source
from .run import (Failure, GitError, Progress, TOOL, environment, git,
                  git_command, need)

IDENT = "mmquilt <mmquilt@localhost>"     # committer of all that we make
ATTRIBUTES = "*.c diff=cpp\n*.h diff=cpp\n*.dtsi diff=dts\n*.dts diff=dts\n"


def cache_folder():
    top = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.path.join(os.path.abspath(top), "mmquilt")
    os.makedirs(path, exist_ok=True)
    return path


@contextlib.contextmanager
def lock(name):
    """One at a time; the lock goes with the process, however it ends."""
    with open(os.path.join(cache_folder(), name + ".lock"), "w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run (%s)" % name, file=sys.stderr)
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


class Content:
    """sha256 over the sorted lines "mode sha256(content) path"."""

    def __init__(self):
        self.lines = []

    def add(self, mode, path, content):
        self.lines.append((os.fsencode(path), b"%s %s %s\n" % (
            mode.encode(), hashlib.sha256(content).hexdigest().encode(),
            os.fsencode(path))))

    def sha256(self):
        digest = hashlib.sha256()
        for _, line in sorted(self.lines):
            digest.update(line)
        return digest.hexdigest()


def canonical(stream, data):
    """The stream without the files that the canonical tree leaves out."""
    for mode, path, content in stream:
        if not data.excluded(path):
            yield mode, path, content


def judge(stream, data, what):
    """Fail unless the stream is the base, file for file."""
    content, progress = Content(), Progress("compare")
    for entry in canonical(stream, data):
        content.add(*entry)
        progress.tick("%d files" % len(content.lines))
    if content.sha256() != data["sha256"]:
        raise Failure(not_base(what, data, content))


def not_base(what, data, content, tree=None):
    found = "sha256 %s" % content.sha256()
    if tree and tree != data["tree"]:
        found += ", tree %s" % tree
    return ("%s is not a clean %s: its %d files have %s, which is not what %s "
            "says; unpack a fresh %s, or leave --tree away"
            % (what, data.name, len(content.lines), found,
               os.path.relpath(data.file), data.name))


def fast_import(repo, stream, data, what):
    """Import the stream as the base commit; return it after all checks."""
    content, progress = Content(), Progress("import")
    message = "Linux %s\n" % data["version"]
    git_import = subprocess.Popen(
        git_command(["-c", "core.compression=1", "-c", "pack.compression=1",
                     "fast-import", "--quiet", "--depth=0"], repo),
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)
    put = git_import.stdin.write
    try:
        who = "%s %s" % (IDENT, data["date"])
        put(("commit refs/heads/base\nauthor %s\ncommitter %s\ndata %d\n%s"
             % (who, who, len(message), message)).encode())
        for mode, path, bytes_ in canonical(stream, data):
            content.add(mode, path, bytes_)
            put(b"M %s inline %s\ndata %d\n" % (
                mode.encode(), os.fsencode(path), len(bytes_)))
            put(bytes_)
            put(b"\n")
            progress.tick("%d files" % len(content.lines))
        put(b"done\n")
        git_import.stdin.close()
    except BrokenPipeError:
        pass                        # it says why on stderr
    except BaseException:
        git_import.kill()
        git_import.wait()
        raise
    with contextlib.suppress(BrokenPipeError):
        git_import.stdin.close()
    said = git_import.stderr.read()
    git_import.stderr.close()
    if git_import.wait():
        raise GitError(["fast-import"], subprocess.CompletedProcess(
            [], git_import.returncode, b"", said))
    commit = git("rev-parse", "refs/heads/base", repo=repo).strip()
    tree = git("rev-parse", "refs/heads/base^{tree}", repo=repo).strip()
    if content.sha256() != data["sha256"] or tree != data["tree"]:
        raise Failure(not_base(what, data, content, tree))
    if data.get("commit") not in (None, commit):
        raise Failure("base commit is %s, but %s says %s"
                      % (commit, data.file, data["commit"]), TOOL)
    progress.done("%d files, %s is commit %.12s"
                  % (len(content.lines), data.name, commit))
    return commit


def find_source(data, work, downloads):
    """The stream of the first download that works, and its name."""
    notes = []
    for key, get, where in (("debian", fetch.from_debian, work),
                            ("url", fetch.from_url, downloads)):
        if data.get(key):
            path, note = get(data, where)
            if path:
                return source.tarball(path), path
            notes.append(note)
            print("%s: %s" % (key, note), file=sys.stderr)
    raise Failure("no source for %s (%s); give a tree with --tree PATH"
                  % (data.name, "; ".join(notes) or "none is named in "
                     + data.file), TOOL)


def ensure(queue, tree=None):
    """Return (bare repository, base commit), making them if need be."""
    need("git")
    data = queue.base_data()
    cache = cache_folder()
    name = "base-" + data["version"]
    repo = os.path.join(cache, name + ".git")
    downloads = os.path.join(cache, "downloads")
    stream = source.of_user(os.path.abspath(tree), data["version"]) \
        if tree else None
    commit = existing(repo, data)
    if commit is None:
        with lock(name):
            commit = existing(repo, data)       # another run made it?
            if commit is None:
                make(repo, data, downloads, stream, tree)
                return repo, existing(repo, data)
    if stream is not None:
        judge(stream, data, "--tree " + tree)
    return repo, commit


def existing(repo, data):
    """The base commit of a repository that is there, else None."""
    if not os.path.isdir(repo):
        return None
    try:
        line = git("rev-parse", "refs/heads/base", "refs/heads/base^{tree}",
                   repo=repo).split()
    except GitError as error:
        raise Failure("%s is damaged (%s); remove it and run this again"
                      % (repo, error), TOOL)
    if line[1] != data["tree"] or data.get("commit") not in (None, line[0]):
        raise Failure("%s holds another base; remove it and run this again"
                      % repo, TOOL)
    return line[0]


def make(repo, data, downloads, stream, tree):
    """Make the repository under a temporary name, then rename it."""
    for stale in glob.glob(repo + ".tmp*"):
        shutil.rmtree(stale, ignore_errors=True)
    work = tempfile.mkdtemp(prefix=os.path.basename(repo) + ".tmp",
                            dir=os.path.dirname(repo))
    what = "--tree %s" % tree
    try:
        if stream is None:
            stream, what = find_source(data, work, downloads)
        new = os.path.join(work, "new.git")
        git("init", "-q", "--bare", "--initial-branch=base", "--template=",
            new)
        os.makedirs(os.path.join(new, "info"), exist_ok=True)
        with open(os.path.join(new, "info", "attributes"), "w") as f:
            f.write(ATTRIBUTES)
        for key, value in (("gc.auto", "0"), ("core.abbrev", "12"),
                           ("core.logAllRefUpdates", "false"),
                           ("core.fsync", "pack,pack-metadata")):
            git("config", key, value, repo=new)
        try:
            fast_import(new, stream, data, what)
        except Failure:
            if what.startswith(downloads):
                os.unlink(what)     # else a bad download would stay for ever
            raise
        os.rename(new, repo)
        if what.startswith(downloads):
            os.unlink(what)
    finally:
        shutil.rmtree(work, ignore_errors=True)
