"""The Proof: fields of the patches, what became of each, and the file of them."""
import re
import sys

from steps.host import TOP, Failure
from steps.trial import RED

sys.path.insert(0, str(TOP / "tools"))
from quilt import patch  # noqa: E402

FORM = re.compile(r"([A-Za-z0-9][\w.-]*(?:/[^\s,]+)?) ([a-z][a-z0-9_-]*(?:,[a-z][a-z0-9_-]*)*)$")
LINE = re.compile(r"    (\S+\.patch): (.*)$")
RESULT = re.compile(r"(\S+ [\w,-]+)(?: \[([^\]]*)\])?(?:; |$)")

HEAD = """\
Proofs
======

Each patch with the tests that fail on its parent and pass on it, as ``ci/prove``
saw them; the arches stand behind each.  A patch of the kernel is proven with the
tests of the tip on both sides, a patch of the selftests alone with each side's
own.  Written by ``ci/prove --write``.
"""


def fields(content):
    """The Proof: values of a patch file's bytes."""
    return [value for name, value in patch.fields(content) if name == "Proof"]


def parse(values, name="it"):
    """[(row, [arches])], or the reason why there is none, as text."""
    if not values or not any(values):
        raise Failure("harness", f"{name}: no Proof: field; say TEST/ROW ARCH, or none WHY")
    if len(values) == 1 and re.match(r"none \S", values[0]):
        return values[0][5:]
    out = []
    for value in values:
        match = FORM.match(value)
        if not match or match.group(1) == "none":
            raise Failure("harness", f"{name}: Proof: {value}: must be TEST/ROW ARCH[,ARCH] "
                                     "or none WHY")
        out.append((match.group(1), match.group(2).split(",")))
    return out


def verdict(parent, now, same_kernel=False, where=("the parent", "the patch")):
    """"" when it is red on the parent and green on the patch, else what is wrong."""
    bad, good = where
    def after(got):
        return f": {got.why}" if got.why else ""
    if now.word == "absent":
        return f"never ran on {good}{after(now)}"
    if now.word == "skip":
        return f"skipped on {good}{after(now)}"
    if now.word != "pass":
        return f"red on {good} ({now.word}){after(now)}"
    if parent.word == "pass":
        return f"green on {bad}" + (", and the patch changes no file of the kernel"
                                        if same_kernel else "")
    if parent.word == "absent":
        return f"never ran on {bad}{after(parent)}"
    if parent.word == "skip":
        return f"skipped on {bad}{after(parent)}"
    if parent.word not in RED:
        return f"neither red nor green on {bad} ({parent.word}){after(parent)}"
    return ""


def table(lines):
    width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = ["  ".join(c.ljust(w) for c, w in zip(line, width)).rstrip() for line in lines]
    out.insert(1, "-" * len(out[0]))
    return "\n".join(out)


def write(topics, old):
    """The text of the file.

    topics: [(topic, [(patch, values, {value: result})])].  old: the file's
    text; what was not run now keeps the result that stands there.
    """
    before = {name: results for name, _, results in read(old)}
    out = [HEAD]
    for topic, patches in topics:
        out += [topic, "-" * len(topic), "::", ""]
        for name, values, results in patches:
            parts = []
            for value in values:
                result = results.get(value) or before.get(name, {}).get(value)
                parts.append(value if value.startswith("none ") else
                             f"{value} [{result or 'not run'}]")
            out.append(f"    {name}: {'; '.join(parts)}")
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def read(text):
    """[(patch, [values], {value: result})] of the file's text."""
    out = []
    for line in text.splitlines():
        match = LINE.match(line)
        if match and match.group(2).startswith("none "):
            out.append((match.group(1), [match.group(2)], {}))
        elif match:
            found = RESULT.findall(match.group(2))
            out.append((match.group(1), [v for v, _ in found], dict(found)))
    return out


def compare(text, headers):
    """What differs between the file and the series' headers: one line each.

    headers: [(patch, [values])] in series order.
    """
    there = [(name, values) for name, values, _ in read(text)]
    found = []
    for name, values in headers:
        mine = dict(there).get(name)
        if mine is None:
            found.append(f"{name} is not in it")
        elif mine != values:
            found.append(f"{name}: it says {'; '.join(mine)}, the patch {'; '.join(values)}")
    names = [name for name, _ in headers]
    found += [f"{name} is not in the series" for name, _ in there if name not in names]
    if not found and [name for name, _ in there] != names:
        found.append("the order is not that of the series")
    for name, _, results in read(text):
        for value, result in results.items():
            before, _, now = result.partition(" -> ")
            if before not in RED or now != "pass":
                found.append(f"{name}: {value} is not proven: {result or 'not run'}")
    return found
