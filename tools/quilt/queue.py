# SPDX-License-Identifier: GPL-2.0
"""A queue: a folder with `series` and `patches/`, on one base.

series:
    # base: NAME                      first line; NAME is a file in tools/bases
    # topic: name -- one line (state: ...)
    topic/file.patch                  path below patches/
    #                                 parts sets
    # hold: topic/file.patch -- why   file is there, but not applied
Every other line that starts with # is a comment.
"""

import os
import re

from .run import Failure

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TOOLS)

BASE = re.compile(r"# base: (\S+)$")
TOPIC = re.compile(r"# topic: ([a-z0-9][a-z0-9-]*) -- (\S.*?)"
                   r"(?: \(state: (local|posted v[0-9]+ \S+|queued|upstream)\))?$")
HOLD = re.compile(r"# hold: (\S+) -- (\S.*)$")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*/[A-Za-z0-9][A-Za-z0-9._+-]*\.patch$")


class Queue:
    def __init__(self, folder=None, strict=True):
        self.folder = os.path.abspath(folder or ROOT)
        self.series = os.path.join(self.folder, "series")
        self.patches = os.path.join(self.folder, "patches")
        self.lines = []
        try:
            with open(self.series, encoding="utf-8") as f:
                self.lines = f.read().split("\n")
        except FileNotFoundError:
            raise Failure("no series in %s; name the queue's folder with -q"
                          % self.folder)
        except UnicodeDecodeError:
            raise Failure("%s is not UTF-8; rewrite it as UTF-8" % self.series)
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        first = BASE.match(self.lines[0]) if self.lines else None
        if not first:
            raise Failure("%s: first line must be '# base: NAME'" % self.series)
        self.base = first.group(1)
        self.names, self.topics, self.held = [], [], {}
        self.topic_of = {}
        topic = None
        for line in self.lines[1:]:
            if line.startswith("#"):
                match = TOPIC.match(line)
                if match:
                    topic = match.group(1)
                    self.topics.append(topic)
                match = HOLD.match(line)
                if match:
                    self.held[match.group(1)] = match.group(2)
            elif line.strip():
                name = line.strip()
                wrong = None
                if name in self.topic_of:
                    wrong = "%s is listed twice; drop one line" % name
                elif not os.path.isfile(self.path(name)):
                    wrong = "no file patches/%s; restore it or drop the line" \
                        % name
                if wrong and strict:
                    raise Failure("%s: %s" % (self.series, wrong))
                if wrong:
                    continue                # tools/checks/series reports it
                self.names.append(name)
                self.topic_of[name] = topic or os.path.dirname(name) or "-"

    def path(self, name):
        return os.path.join(self.patches, name)

    def cover(self, topic):
        return os.path.join(self.patches, topic, "00-cover.txt")

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def name_of(self, argument):
        """The series name of a patch that the user names in any way."""
        if argument in self.topic_of:
            return argument
        for start in (os.getcwd(), self.folder, self.patches):
            path = os.path.abspath(os.path.join(start, argument))
            name = os.path.relpath(path, self.patches)
            if name in self.topic_of:
                return name
        found = [n for n in self.names
                 if argument in (os.path.basename(n),
                                 os.path.basename(n)[:-len(".patch")])]
        if len(found) == 1:
            return found[0]
        return None

    def upto(self, target):
        """The names up to and with target, a topic or a patch."""
        if target is None:
            return list(self.names)
        if target in self.topics:
            index = self.topics.index(target)
            earlier = set(self.topics[:index + 1])
            return [n for n in self.names if self.topic_of[n] in earlier
                    or self.topic_of[n] not in self.topics]
        name = self.name_of(target)
        if name is None:
            raise Failure("%s is no topic and no patch of %s; topics: %s"
                          % (target, self.series,
                             " ".join(self.topics) or "none"))
        return self.names[:self.names.index(name) + 1]

    def base_data(self):
        return BaseData(self)


class BaseData:
    """The data file of a base: `key: value` lines, keys may repeat.

    FOLDER/bases/NAME is taken before tools/bases/NAME.
    """

    def __init__(self, queue):
        self.name = queue.base
        for folder in (os.path.join(queue.folder, "bases"),
                       os.path.join(TOOLS, "bases")):
            self.file = os.path.join(folder, self.name)
            if os.path.isfile(self.file):
                break
        else:
            raise Failure("no data for base %s; add tools/bases/%s (the files "
                          "there show the form)" % (self.name, self.name))
        self.values = {}
        with open(self.file, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                line = line.rstrip("\n")
                if not line or line.startswith("#"):
                    continue
                key, colon, value = line.partition(":")
                if not colon or not value.strip():
                    raise Failure("%s:%d: not a 'key: value' line"
                                  % (self.file, number))
                self.values.setdefault(key.strip(), []).append(value.strip())
        for key in ("version", "tree", "sha256", "date"):
            if key not in self.values:
                raise Failure("%s: no '%s:' line" % (self.file, key))

    def __getitem__(self, key):
        return self.values[key][0]

    def get(self, key):
        return self.values.get(key, [None])[0]

    def excluded(self, path):
        """True for a file that the canonical tree leaves out."""
        for entry in self.values.get("exclude", []):
            if entry.endswith("*"):
                if path.startswith(entry[:-1]):
                    return True
            elif path == entry or path.startswith(entry + "/"):
                return True
        return False
