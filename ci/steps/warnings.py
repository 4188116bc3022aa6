"""What a build said of each object, and what of it is new: pure functions."""
import collections
import re

LABEL = re.compile(r"  ([A-Z][A-Z0-9_]*)(?: \[M\])? +(\S+)$")
PLACE = re.compile(r"^([^\s:]+):\d+(?::\d+(?:-\d+)?)?: *")
LOUD = re.compile(r"\b(?:warning|error):|^WARNING: |\bundefined reference to ", re.IGNORECASE)


def normal(line):
    """A line without what moves when code moves: line numbers, addresses."""
    line = line.strip()
    while line.startswith(("../", "./")):
        line = line.partition("/")[2]
    line = PLACE.sub(r"\1: ", line)
    return re.sub(r"0x[0-9a-f]+|\+0x\S+", "0x", line)


def groups(log, labels=None):
    """{target: [what was said of it]} of a make log whose output was synced by
    target (make -O): a label, then what belongs to it.

    Every target is in it, those that nothing was said of have an empty list.
    """
    out, now = {}, None
    for line in log.splitlines():
        label = LABEL.match(line)
        if label and labels and label.group(1) not in labels:
            now = None
        elif label:
            now = label.group(2)
            while now.startswith(("../", "./")):
                now = now.partition("/")[2]
            out[now] = []
        elif now is not None and LOUD.search(line) and not line.startswith(("make", "+ ")):
            out[now].append(normal(line))
    return out


def renamed(text, renames):
    """The line as it reads after the patch's renames."""
    for old, new in renames.items():
        text = text.replace(old, new)
    return text


def new(parent, now, renames=None):
    """What is said now and was not on the parent: sorted lines, each once.

    parent, now: {object: [lines]}.  An object that the parent has, too, is
    held against itself, count by count; one that is new, against all that was
    said on the parent, so that a header's old warning is not taken for new.
    """
    renames = renames or {}
    objects = {re.sub(r"\.c$", ".o", o): re.sub(r"\.c$", ".o", n) for o, n in renames.items()}
    before = {}
    for target, lines in parent.items():
        counts = collections.Counter(renamed(line, renames) for line in lines)
        before[objects.get(target, renames.get(target, target))] = counts
    anywhere = set().union(*before.values()) if before else set()
    found = set()
    for target, lines in now.items():
        if target in before:
            found |= set(collections.Counter(lines) - before[target])
        else:
            found |= set(lines) - anywhere
    return sorted(found)
