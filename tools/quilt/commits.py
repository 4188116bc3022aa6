# SPDX-License-Identifier: GPL-2.0
"""The series as commits in the cache's bare repository.

Each patch becomes the commit that `git am --committer-date-is-author-date`
makes of it with the committer of base.IDENT, but through an index only, no
file is checked out. A commit is remembered under a key made of its parent and
of the patch without our header fields (refs/quilt/KEY), so what has not
changed costs nothing.
"""

import hashlib
import os
import re
import subprocess
import tempfile

from . import base, patch
from .run import (Failure, GitError, Progress, environment, full, git,
                  git_command)

FORM = b"1"             # raise it when the same patch gives another commit


NO_DIFF = "no diff in it; drop it from series"


class PatchFailure(Failure):
    """What is wrong with one patch."""

    def __init__(self, name, line):
        super().__init__("patches/%s: %s" % (name, line))
        self.name, self.line = name, line


class Commit:
    def __init__(self, name, topic, commit, tree):
        self.name, self.topic = name, topic
        self.commit, self.tree = commit, tree


def _key(parent, content):
    return hashlib.sha256(b"\0".join((
        FORM, parent.encode(), patch.without_fields(content)))) \
        .hexdigest()[:40]


def _known(repo):
    known = {}
    for line in git("for-each-ref", "refs/quilt/", "--format="
                    "%(refname:lstrip=2) %(objectname) %(tree)",
                    repo=repo).splitlines():
        key, commit, tree = line.split()
        known[key] = commit, tree
    return known


def mail(content, what):
    """(author environment, message, diff) of a patch, as git am reads it."""
    with tempfile.TemporaryDirectory() as work:
        msg, diff = os.path.join(work, "msg"), os.path.join(work, "diff")
        try:
            info = git("mailinfo", msg, diff, input=content)
        except GitError as error:
            if "empty patch" in error.stderr:
                raise PatchFailure(what, NO_DIFF)
            raise PatchFailure(what, "not a mail that git am takes (%s); let "
                               "tools/export write it" % error)
        field = dict(line.split(": ", 1) for line in info.splitlines()
                     if ": " in line)
        for key in ("Author", "Email", "Subject", "Date"):
            if not field.get(key):
                raise PatchFailure(what, "no %s; let tools/export write it" % {
                    "Author": "From:", "Email": "From:"}.get(key, key + ":"))
        with open(msg, "rb") as f:
            text = f.read()
        with open(diff, "rb") as f:
            diff = f.read()
    text = field["Subject"].encode(errors="surrogateescape") + b"\n\n" + text
    message = git("stripspace", input=text, raw=True)
    who = {"AUTHOR_NAME": field["Author"], "AUTHOR_EMAIL": field["Email"],
           "AUTHOR_DATE": field["Date"], "COMMITTER_DATE": field["Date"]}
    name, _, address = base.IDENT.partition(" <")
    who["COMMITTER_NAME"], who["COMMITTER_EMAIL"] = name, address[:-1]
    return {"GIT_" + k: v for k, v in who.items()}, message, diff


OFFSET = re.compile(r"Hunk #(\d+) succeeded at \d+ \((offset -?\d+ lines?)\)")
FILE = re.compile(r"Checking patch (.*)\.\.\.")


def _refusal(name, stderr):
    """One line that names the patch, the file and what is wrong."""
    file = reason = None
    for line in stderr.splitlines():
        checking = FILE.match(line)
        if checking:
            file = checking.group(1)
        elif line.startswith("error: ") and reason is None and \
                not line.startswith("error: while searching for"):
            reason = line[len("error: "):]
    return PatchFailure(name, "does not apply: %s%s; rebase it on the patch "
                        "before it and let tools/export write it"
                        % (reason or "git apply failed",
                           "" if not file or file in (reason or "")
                           else " (%s)" % file))


def _apply(name, diff, repo, env):
    """git apply to the index; neither fuzz nor offset is let through."""
    done = subprocess.run(
        git_command(["apply", "--cached", "--verbose", "--whitespace=nowarn",
                     "-"], repo), input=diff, env=environment(**env),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    stderr = done.stderr.decode(errors="replace")
    if full(stderr):
        raise GitError(["apply"], done)
    if done.returncode:
        raise _refusal(name, stderr)
    file = None
    for line in stderr.splitlines():
        checking = FILE.match(line)
        if checking:
            file = checking.group(1)
        offset = OFFSET.match(line)
        if offset:
            raise PatchFailure(name, "applies only with an offset: %s, hunk "
                               "%s, %s; let tools/export write it anew"
                               % (file, offset.group(1), offset.group(2)))


def make(items, repo, commit):
    """The commits of (name, topic, content) items, in order, on the base."""
    known, commits, fresh = _known(repo), [], []
    parent, index, index_at = commit, None, None
    progress = Progress("apply")
    work = None
    try:
        for number, (name, topic, content) in enumerate(items, 1):
            key = _key(parent, content)
            if key not in known:
                if work is None:
                    work = tempfile.TemporaryDirectory(prefix="mmquilt-")
                    index = {"GIT_INDEX_FILE": os.path.join(work.name, "i")}
                # A known patch that followed a new one has left it behind.
                if index_at != parent:
                    git("read-tree", parent, repo=repo, env=index)
                known[key] = _commit(name, content, parent, repo, index)
                index_at = known[key][0]
                fresh.append((key, known[key][0]))
                progress.tick("%d of %d: %s" % (number, len(items), name))
            parent, tree = known[key]
            commits.append(Commit(name, topic, parent, tree))
    finally:
        if work:
            work.cleanup()
        if fresh:       # also what came before a patch that failed
            with base.lock(os.path.basename(repo)):
                git("update-ref", "--stdin", repo=repo, input="".join(
                    "update refs/quilt/%s %s\n" % pair for pair in fresh))
                git("pack-refs", "--all", repo=repo)
    if fresh:
        progress.done("%d of %d patches were new" % (len(fresh), len(items)))
    return commits


def _commit(name, content, parent, repo, index):
    who, message, diff = mail(content, name)
    if not diff.strip():
        raise PatchFailure(name, NO_DIFF)
    _apply(name, diff, repo, index)
    tree = git("write-tree", repo=repo, env=index).strip()
    commit = git("commit-tree", "-p", parent, tree, repo=repo, input=message,
                 env=who).strip()
    return commit, tree


def of_queue(queue, target=None, tree=None):
    """(repo, base commit, commits) of the queue up to target."""
    names = queue.upto(target)
    repo, commit = base.ensure(queue, tree)
    items = [(n, queue.topic_of[n], queue.read(n)) for n in names]
    return repo, commit, make(items, repo, commit)
