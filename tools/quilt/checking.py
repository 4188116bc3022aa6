# SPDX-License-Identifier: GPL-2.0
"""What the programs in tools/checks share: arguments, exceptions, report.

A check is a program that takes [-q FOLDER] [PATCH...], prints one line a
finding, 'file: check: TYPE: message', and ends with 0, 1 or 5.

An exception is one line of tools/checks/exceptions (of FOLDER/exceptions for
a queue of its own):  FILE CHECK TYPE -- reason
FILE is the file as the finding names it and may be a shell glob. One that
takes nothing away any more is a finding itself.
"""

import concurrent.futures
import fnmatch
import hashlib
import os
import re
import sys

from . import base, commits, run
from .kernel import kernel
from .queue import ROOT, TOOLS, Queue
from .run import Failure

EXCEPTION = re.compile(r"(\S+) (\S+) (\S+) -- (\S.*)$")


class Exception_:
    def __init__(self, where, file, check, kind):
        self.where, self.file, self.check, self.kind = where, file, check, kind
        self.used = False

    def matches(self, file, kind):
        return fnmatch.fnmatchcase(file, self.file) and kind == self.kind


def exceptions_file(queue):
    if os.path.realpath(queue.folder) == os.path.realpath(ROOT):
        return os.path.join(TOOLS, "checks", "exceptions")
    return os.path.join(queue.folder, "exceptions")


def read_exceptions(queue):
    """(exceptions, malformed 'file:line')."""
    path, found, wrong = exceptions_file(queue), [], []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                line = line.rstrip("\n")
                if not line or line.startswith("#"):
                    continue
                where = "%s:%d" % (os.path.relpath(path, queue.folder), number)
                match = EXCEPTION.match(line)
                if match:
                    found.append(Exception_(where, *match.groups()[:3]))
                else:
                    wrong.append(where)
    return found, wrong


class Context:
    """What a check looks at; the costly parts come when asked for."""

    def __init__(self, queue, names):
        self.queue, self.names = queue, names
        self.all = set(names) == set(queue.names)
        self._commits = self._base = None

    def base(self):
        """(bare repository, base commit)"""
        if self._base is None:
            self._base = base.ensure(self.queue)
        return self._base

    def commits(self):
        """name -> (parent, Commit), up to the last patch that is looked at.
        A patch that does not apply ends it; the check `applies` says so."""
        if self._commits is None:
            repo, parent = self.base()
            last = max(map(self.queue.names.index, self.names), default=-1)
            self._commits = {}
            try:
                items = [(n, self.queue.topic_of[n], self.queue.read(n))
                         for n in self.queue.names[:last + 1]]
                made = commits.make(items, repo, parent)
            except commits.PatchFailure as failure:
                bad = self.queue.names.index(failure.name)
                made = commits.make(items[:bad], repo, parent)
            for c in made:
                self._commits[c.name] = (parent, c)
                parent = c.commit
        return self._commits

    def kernel(self):
        return kernel(*self.base())

    def each(self, function):
        """function(name) for each patch, on all processors; in order."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, found in zip(self.names, pool.map(function, self.names)):
                for kind, message in found:
                    yield "patches/" + name, kind, message


def remember(kind, parts, function):
    """function()'s text, kept in the cache under the hash of parts."""
    digest = hashlib.sha256()
    for part in parts:
        part = part if isinstance(part, bytes) else part.encode()
        digest.update(b"%d:" % len(part) + part)
    folder = os.path.join(base.cache_folder(), "checked", kind)
    path = os.path.join(folder, digest.hexdigest())
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        pass
    text = function()
    os.makedirs(folder, exist_ok=True)
    new = "%s.tmp%d.%d" % (path, os.getpid(), id(parts))
    try:
        with open(new, "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(new, path)
    finally:
        if os.path.exists(new):
            os.unlink(new)
    return text


def select(queue, arguments):
    if not arguments:
        return list(queue.names)
    names = []
    for argument in arguments:
        name = queue.name_of(argument)
        if name is None:
            raise Failure("%s is no patch of %s" % (argument, queue.series))
        names.append(name)
    return [n for n in queue.names if n in names]


def program(doc, find, strict=True):
    """Run a check: find(context) yields (file, type, message)."""
    check = os.path.basename(sys.argv[0])

    def body():
        p = run.parser(doc)
        p.add_argument("patch", nargs="*", metavar="PATCH",
                       help="patches to look at (default: all of series)")
        args = p.parse_args()
        queue = Queue(args.queue, strict)
        context = Context(queue, select(queue, args.patch))
        exceptions, wrong = read_exceptions(queue)
        mine = [e for e in exceptions if e.check == check]
        count = 0
        for file, kind, message in find(context):
            hits = [e for e in mine if e.matches(file, kind)]
            for e in hits:
                e.used = True
            if not hits:
                count += 1
                print("%s: %s: %s: %s" % (file, check, kind, message))
        looked = {"patches/" + n for n in context.names}
        for e in mine:
            about = {f for f in ("patches/" + n for n in queue.names)
                     if fnmatch.fnmatchcase(f, e.file)}
            if not e.used and about <= looked and (about or context.all):
                count += 1
                print("%s: %s: STALE: nothing to except in %s any more; "
                      "remove the line" % (e.where, check, e.file))
        return run.BAD if count else run.OK

    run.main(body)
