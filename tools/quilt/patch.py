# SPDX-License-Identifier: GPL-2.0
"""One patch file: mail header with our fields, message, diff.

Our fields stand in the mail-header part, right after Subject, where git am
does not see them.
"""

import re

HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
FIELDS = ("Origin", "Upstream", "Differs", "Proof")     # in this order


def split_header(content):
    """(header lines, rest); a folded line stays with its field."""
    header, lines = [], content.split(b"\n")
    for number, line in enumerate(lines):
        if line == b"":
            return header, b"\n".join(lines[number:])
        if line[:1] in b" \t" and header:
            header[-1] += b"\n" + line
        else:
            header.append(line)
    return header, b""


def _field(line):
    """The name of our field that a header line is, or None."""
    name = line.partition(b":")[0].decode(errors="replace")
    return name if name in FIELDS else None


def fields(content):
    """Our fields of a patch as a list of (name, value), in file order."""
    found = []
    for line in split_header(content)[0]:
        name = _field(line)
        if name:
            value = line.partition(b":")[2].decode(errors="surrogateescape")
            found.append((name, " ".join(value.split())))
    return found


def subject(content):
    for line in split_header(content)[0]:
        if line.lower().startswith(b"subject:"):
            text = line.partition(b":")[2].decode(errors="replace")
            return " ".join(text.split())
    return ""


def without_fields(content):
    """The patch as git format-patch wrote it."""
    header, rest = split_header(content)
    return b"\n".join([h for h in header if not _field(h)] + [rest])


def with_fields(content, values):
    """Put our fields after Subject, in the fixed order."""
    header, rest = split_header(without_fields(content))
    ours = [("%s: %s" % (n, v)).rstrip().encode(errors="surrogateescape")
            for name in FIELDS for n, v in values if n == name]
    out = []
    for line in header:
        out.append(line)
        if line.lower().startswith(b"subject:"):
            out += ours
    return b"\n".join(out + [rest])


# What a new patch gets, to be filled in by hand.
EMPTY = [("Origin", "own"), ("Upstream", ""), ("Proof", "")]


def join(values, folded):
    """Our fields of a patch into which others (their fields) were folded.

    The first patch's stand; Proof lines add up, and a real one drops those
    that say none.
    """
    proofs = [v for v in values + folded if v[0] == "Proof"]
    real = [v for v in proofs if v[1] and not v[1].startswith("none")]
    proofs = list(dict.fromkeys(real or proofs[:1]))
    return [v for v in values if v[0] != "Proof"] + proofs


def message_lines(content):
    """(line number in the file, text) of subject and message."""
    header, rest = split_header(content)
    out, number = [], 1
    for line in header:
        if line.lower().startswith(b"subject:"):
            out.append((number, subject(content)))
        number += line.count(b"\n") + 1
    for line in rest.split(b"\n"):
        if line == b"---" or line.startswith(b"diff --git "):
            break
        out.append((number, line.decode(errors="replace")))
        number += 1
    return out


def added_lines(content):
    """(line number in the file, text) of the lines that the diff adds."""
    out, left = [], None            # left: lines to come of old and new file
    for number, raw in enumerate(content.split(b"\n"), 1):
        match = HUNK.match(raw)
        if left is None or left == [0, 0]:
            if match:
                left = [int(n or 1) for n in match.groups()]
            continue
        kind = raw[:1]
        if kind == b"+":
            out.append((number, raw[1:].decode(errors="replace")))
            left[1] -= 1
        elif kind == b"-":
            left[0] -= 1
        elif kind == b" " or raw == b"":
            left = [left[0] - 1, left[1] - 1]
    return out
