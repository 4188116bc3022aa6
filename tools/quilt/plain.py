# SPDX-License-Identifier: GPL-2.0
"""A plain source tree: the base's files, without git."""

import os
import shutil
import subprocess

from .run import Failure, Progress, TOOL, environment, full, git_command, need


def extract(repo, commit, folder, paths=()):
    """Write the files of a commit (or those below paths) into folder."""
    need("tar")
    archive = subprocess.Popen(
        git_command(["archive", "--format=tar", commit] + list(paths), repo),
        env=environment(), stdout=subprocess.PIPE)
    try:
        tar = subprocess.run(["tar", "-x", "-C", folder], env=environment(),
                             stdin=archive.stdout, stderr=subprocess.PIPE,
                             text=True)
    finally:
        archive.stdout.close()
        archive.kill()
        status = archive.wait()
    if tar.returncode:
        said = (tar.stderr.strip().splitlines() or ["tar failed"])[0]
        if full(tar.stderr):
            said = "disk full: %s; free some space and run this again" % said
        raise Failure(said, TOOL)


def make(folder, queue, repo, commit):
    """The base in folder, and two links that make it a quilt tree."""
    links = (("series", queue.series), ("patches", queue.patches))
    if os.path.isdir(folder) and os.listdir(folder):
        if all(os.path.realpath(os.path.join(folder, l)) ==
               os.path.realpath(t) for l, t in links):
            return                      # done before; quilt(1) does the rest
        raise Failure("%s is there and is no tree of --quilt; name another "
                      "folder or remove it" % folder)
    progress = Progress("extract")
    work = folder.rstrip("/") + ".tmp%d" % os.getpid()
    os.makedirs(work)
    try:
        extract(repo, commit, work)
        for name, target in links:
            os.symlink(target, os.path.join(work, name))
        if os.path.isdir(folder):
            os.rmdir(folder)
        os.rename(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    progress.done("%s; now: cd %s && quilt push -a" % (folder, folder))
