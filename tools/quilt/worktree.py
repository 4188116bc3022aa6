# SPDX-License-Identifier: GPL-2.0
"""The git tree that a person works in: branch `quilt` of a clone of the cache.

The clone is a full repository (git links its objects to the cache's where
both are on one disk, else it copies them), so it outlives the cache.

    refs/heads/quilt        the series as commits, and the person's work
    refs/quilt/base         the base commit
    refs/quilt/stored       the tip that the queue's files are known to hold
    refs/notes/quilt        per commit: 'Patch: NAME', its name in series
    config quilt.to         the last patch, when --to left some away
"""

import os
import shutil

from . import base
from .run import Failure, GitError, Progress, TOOL, git

BRANCH = "refs/heads/quilt"
NOTES = "refs/notes/quilt"


def names_in(note):
    """The patch names in a note; a folded commit has several."""
    return [line[len("Patch: "):] for line in note.splitlines()
            if line.startswith("Patch: ")]


class Tree:
    def __init__(self, path):
        self.path = os.path.abspath(path)

    def git(self, *args, **kw):
        return git(*args, repo=self.path, **kw)

    def exists(self):
        return os.path.isdir(self.path) and bool(os.listdir(self.path))

    def ref(self, name):
        out = self.git("rev-parse", "--verify", "-q", name + "^{commit}",
                       ok=(0, 1, 128)).strip()
        return out or None

    def is_ours(self):
        return (os.path.exists(os.path.join(self.path, ".git"))
                and self.ref("refs/quilt/base") is not None)

    def check_idle(self):
        """Fail when a rebase, an am or the like is under way."""
        folder = self.git("rev-parse", "--absolute-git-dir").strip()
        for name in ("rebase-merge", "rebase-apply", "MERGE_HEAD",
                     "CHERRY_PICK_HEAD", "REVERT_HEAD"):
            if os.path.exists(os.path.join(folder, name)):
                raise Failure("%s: a rebase, am or merge is under way; finish "
                              "or abort it first" % self.path)

    def check_clean(self):
        self.check_idle()
        changed = self.git("status", "--porcelain",
                           "--untracked-files=normal").splitlines()
        if changed:
            raise Failure("%s: %d changed or unknown files (%s ...); commit, "
                          "stash or remove them first"
                          % (self.path, len(changed), changed[0][3:]))

    def check_branch(self):
        head = self.git("symbolic-ref", "-q", "HEAD", ok=(0, 1)).strip()
        if head != BRANCH:
            raise Failure("%s: not on branch quilt but on %s; run 'git "
                          "checkout quilt' there" % (
                              self.path, head[len("refs/heads/"):]
                              if head else "a detached HEAD"))

    def clone(self, repo, commit):
        """A new clone with no files yet, made under another name first."""
        new = Tree("%s.tmp%d" % (self.path.rstrip("/"), os.getpid()))
        try:
            git("clone", "-q", "--no-checkout", "--no-tags",
                "--single-branch", "--branch=base", "--origin=cache",
                "--template=", repo, new.path)
            new.git("symbolic-ref", "-d", "refs/remotes/cache/HEAD",
                    ok=(0, 1))
            new.git("remote", "remove", "cache")
            new.git("symbolic-ref", "HEAD", BRANCH)
            new.git("update-ref", "-d", "refs/heads/base")
            new.git("update-ref", "refs/quilt/base", commit)
            for key, value in (("notes.rewriteRef", NOTES),
                               ("notes.rewriteMode", "concatenate"),
                               ("notes.rewrite.amend", "true"),
                               ("notes.rewrite.rebase", "true")):
                new.git("config", key, value)
            if os.path.isdir(self.path):
                os.rmdir(self.path)             # it is empty
            os.rename(new.path, self.path)
        except BaseException:
            shutil.rmtree(new.path, ignore_errors=True)
            raise

    def fetch(self, repo, commit):
        if self.ref(commit) is None:
            self.git("fetch", "-q", "--no-tags", "--no-write-fetch-head",
                     repo, commit)

    def write_notes(self, pairs):
        """Make the notes anew: pairs of (commit, note)."""
        lines = ["commit %s\ncommitter %s 0 +0000\ndata 0\n"
                 % (NOTES, base.IDENT)]
        for commit, text in pairs:
            size = len(text.encode(errors="surrogateescape"))
            lines.append("N inline %s\ndata %d\n%s\n" % (commit, size, text))
        self.git("update-ref", "-d", NOTES)
        self.git("fast-import", "--quiet", "--force", input="".join(lines)
                 .encode(errors="surrogateescape"))

    def notes(self):
        """commit -> note text."""
        if self.ref(NOTES) is None:
            return {}
        found, wanted = {}, []
        for line in self.git("notes", "--ref", NOTES, "list").splitlines():
            blob, commit = line.split()
            wanted.append((blob, commit))
        out = self.git("cat-file", "--batch", raw=True,
                       input="".join(b + "\n" for b, _ in wanted))
        for _, commit in wanted:
            head, _, out = out.partition(b"\n")
            size = int(head.split()[2])
            found[commit] = out[:size].decode(errors="surrogateescape")
            out = out[size + 1:]
        return found


def store(tree, tip, last, commits):
    """Note down that the queue's files hold tip, and up to which patch."""
    tree.write_notes([(c.commit, "Patch: %s\n" % c.name) for c in commits])
    tree.git("update-ref", "refs/quilt/stored", tip)
    if last:
        tree.git("config", "quilt.to", last)
    else:
        tree.git("config", "--unset-all", "quilt.to", ok=(0, 5))


def update(tree, queue, repo, commit, commits):
    """Bring the tree to the tip of commits; refuse to lose work."""
    tip = commits[-1].commit if commits else commit
    if not tree.exists():
        progress = Progress("clone")
        tree.clone(repo, commit)
        progress.tick()
    elif not tree.is_ours():
        raise Failure("%s is there and is not of tools/apply; name another "
                      "folder or remove it" % tree.path)
    if tree.ref("refs/quilt/base") != commit:
        raise Failure("%s is on another base; name another folder"
                      % tree.path)
    now = tree.ref(BRANCH)
    if now is not None:
        tree.check_branch()
        tree.check_clean()
        if now not in (tip, tree.ref("refs/quilt/stored")):
            raise Failure("%s: branch quilt has work that is not exported; "
                          "run tools/export first (or drop the work: git "
                          "reset --hard refs/quilt/stored)" % tree.path)
    tree.fetch(repo, tip)
    last = commits[-1].name if commits and \
        len(commits) < len(queue.names) else None
    progress = Progress("checkout")
    try:
        if now is None:
            tree.git("reset", "-q", "--hard", tip)
        elif now != tip:
            tree.git("reset", "-q", "--keep", tip)
    except GitError as error:
        room = os.statvfs(tree.path)        # git does not always say why
        if room.f_bavail * room.f_frsize < 1 << 20:
            error = "disk full: no room for the files of a kernel"
        raise Failure("%s; remove %s or free some space, and run this again"
                      % (error, tree.path), TOOL)
    store(tree, tip, last, commits)
    progress.done("%s at %.12s, %d patches" % (tree.path, tip, len(commits)))
