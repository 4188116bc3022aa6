# SPDX-License-Identifier: GPL-2.0
"""A kernel source as a stream of (mode, path, content).

The same stream comes out of a tarball, of a git tree's HEAD and of an
unpacked folder, so that one function can judge and import all three.
"""

import os
import re
import subprocess
import tarfile

from .run import Failure, TOOL, environment, git, git_command, need


def tarball(path):
    """Members of a .tar, .tar.xz or .tar.gz, first path component dropped."""
    command = {"xz": ["xz", "-dc", "-T0"], "gz": ["gzip", "-dc"],
               "tar": ["cat"]}.get(path.rsplit(".", 1)[-1])
    if command is None:
        raise Failure("%s: not a .tar, .tar.gz or .tar.xz" % path)
    need(command[0])
    unpack = subprocess.Popen(command + [path], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    broken = Failure("%s: truncated or damaged; remove it and run this again"
                     % path, TOOL)
    try:
        with tarfile.open(fileobj=unpack.stdout, mode="r|") as tar:
            for member in tar:
                name = member.name.partition("/")[2]
                if member.isfile():
                    mode = "100755" if member.mode & 0o100 else "100644"
                    yield mode, name, tar.extractfile(member).read()
                elif member.issym():
                    yield "120000", name, os.fsencode(member.linkname)
                elif not member.isdir():
                    raise Failure("%s: odd member %s" % (path, member.name))
        while unpack.stdout.read(1 << 20):
            pass
        if unpack.wait():
            raise broken
    except (tarfile.TarError, EOFError):
        raise broken
    finally:
        unpack.stdout.close()
        unpack.kill()
        unpack.wait()
        unpack.stderr.close()


def git_tree(repo, commit="HEAD"):
    """Files of a commit, as they are in git: no attribute changes them."""
    listing = git("ls-tree", "-r", "-z", "--full-tree", commit, repo=repo,
                  raw=True)
    cat = subprocess.Popen(git_command(["cat-file", "--batch"], repo),
                           env=environment(), stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
    try:
        for entry in listing.split(b"\0")[:-1]:
            about, _, name = entry.partition(b"\t")
            mode, kind, blob = about.decode().split()
            if kind != "blob":
                raise Failure("%s: %s is a %s, which no release has"
                              % (repo, os.fsdecode(name), kind))
            cat.stdin.write(blob.encode() + b"\n")
            cat.stdin.flush()
            head = cat.stdout.readline().split()
            if len(head) != 3:
                raise Failure("%s: object %s is missing; run git fsck there"
                              % (repo, blob))
            data = cat.stdout.read(int(head[2]) + 1)[:-1]
            yield mode, os.fsdecode(name), data
    finally:
        cat.kill()
        cat.wait()
        cat.stdin.close()
        cat.stdout.close()


def folder(top):
    """Every file below an unpacked source."""
    for here, folders, files in os.walk(top):
        folders.sort()
        for name in files + [d for d in folders
                             if os.path.islink(os.path.join(here, d))]:
            path = os.path.join(here, name)
            short = os.path.relpath(path, top)
            if os.path.islink(path):
                yield "120000", short, os.fsencode(os.readlink(path))
            elif os.path.isfile(path):
                mode = os.stat(path).st_mode
                with open(path, "rb") as f:
                    yield ("100755" if mode & 0o100 else "100644", short,
                           f.read())


def makefile_version(data):
    """'5.10.262' from the text of a kernel's top Makefile, or None."""
    numbers = []
    for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL"):
        match = re.search(r"^%s = *(\d+)$" % key, data, re.M)
        if match:
            numbers.append(match.group(1))
    return ".".join(numbers) if len(numbers) == 3 else None


def of_user(path, version):
    """The stream of what --tree names, after the quick checks of it."""
    if not os.path.isdir(path):
        raise Failure("--tree %s: no such folder" % path)
    inside = os.path.exists(os.path.join(path, ".git")) or (
        os.path.isdir(os.path.join(path, "objects"))
        and os.path.isfile(os.path.join(path, "HEAD")))
    wrong = ("--tree %s: %s, not %s; " % (path, "%s", version))
    if inside:
        work = git("rev-parse", "--is-inside-work-tree", repo=path).strip()
        try:
            data = git("show", "HEAD:Makefile", repo=path)
        except Failure:
            raise Failure(wrong % "its HEAD is no kernel" +
                          "check out the base there")
        found = makefile_version(data)
        if found != version:
            raise Failure(wrong % ("its HEAD is " + (found or "no kernel")) +
                          "run 'git checkout v%s' there" % version)
        if work == "true":
            dirty = git("status", "--porcelain", "--untracked-files=no",
                        repo=path).splitlines()
            if dirty:
                raise Failure("--tree %s: %d changed files (%s ...); commit, "
                              "stash or drop them, or leave --tree away"
                              % (path, len(dirty), dirty[0][3:]))
        return git_tree(path)
    try:
        with open(os.path.join(path, "Makefile"), encoding="utf-8",
                  errors="replace") as f:
            found = makefile_version(f.read())
    except FileNotFoundError:
        found = None
    if found != version:
        raise Failure(wrong % ("this is " + (found or "no kernel source")) +
                      "unpack linux-%s there or leave --tree away" % version)
    return folder(path)
