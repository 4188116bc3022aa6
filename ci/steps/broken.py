"""The kernels that are broken on purpose: what each undoes, and what has to see it."""
import collections
import os
import re
import subprocess
import tempfile

from steps import proof
from steps.host import Failure
from steps.trial import RED

WHERE = ("the broken kernel", "the tip")
TEST = "broken/"                # Proof: broken/NAME ARCH
Broken = collections.namedtuple("Broken", "name words patches red path")
LINE = re.compile(r"    (\S+ [\w,-]+) \[([^\]]*)\]$")
NAME = re.compile(r"[\w.-]+$")

HEAD = """\
Broken on purpose
=================

Each of these kernels is the tip of the series with one thing broken, by the diff in
``ci/broken.d``.  The patch named is the one that does it right; the rows below it are
red on the broken kernel and green on the tip, as ``ci/broken`` saw them.  Written by
``ci/broken --write``.
"""


def parse(name, text, path=None):
    """A Broken of a file's text: words, then Patch: and Red: lines, then the diff."""
    head, _, diff = text.partition("\ndiff --git ")
    words, fields = [], {"Patch": [], "Red": []}
    for line in filter(None, head.splitlines()):
        key, colon, value = line.partition(": ")
        if colon and key in fields:
            fields[key].append(value)
        elif any(fields.values()):
            raise Failure("harness", f"{name}: neither Patch: nor Red: {line!r}")
        else:
            words.append(line)
    if not (diff and words and all(fields.values())):
        raise Failure("harness", f"{name}: must have a reason, Patch:, Red: and a diff")
    red = proof.parse(fields["Red"], name)
    if isinstance(red, str):
        raise Failure("harness", f"{name}: Red: must be TEST/ROW ARCH[,ARCH]")
    return Broken(name, words, fields["Patch"], red, path)


def load(queue):
    """{name: Broken} of a queue."""
    return {path.stem: parse(path.stem, path.read_text(), path)
            for path in sorted((queue / "ci" / "broken.d").glob("*.patch"))}


def written(queue):
    """Where the results of a queue stand."""
    return queue / "Documentation" / "broken.rst"


def commit(source, broken):
    """The tip with the diff of a Broken applied, without fuzz, as a commit."""
    me = {"NAME": "mmquilt", "EMAIL": "mmquilt@localhost", "DATE": "@0 +0000"}
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "GIT_INDEX_FILE": f"{folder}/index",
               **{f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER")
                  for key, value in me.items()}}

        def git(*args, check=True):
            return subprocess.run(["git", "--git-dir", source.git_dir, *args], text=True,
                                  env=env, check=check, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        git("read-tree", source.tip)
        done = git("apply", "--cached", str(broken.path), check=False)
        if done.returncode:
            raise Failure("apply", f"{broken.path.name} has to be refreshed for "
                                   f"{', '.join(broken.patches)}: "
                                   + done.stderr.strip().replace("\n", "; "))
        return git("commit-tree", "-p", source.tip, "-m", broken.name,
                   git("write-tree").stdout.strip()).stdout.strip()


def values(broken):
    """The "ROW ARCH" that have to be red."""
    return [f"{row} {','.join(arches)}" for row, arches in broken.red]


def write(every, results, old):
    """The text of the file.

    every: the Brokens.  results: {name: {"ROW ARCH": "RED -> pass"}}.  old: the file's
    text; what was not run now keeps the result that stands there.
    """
    before, out = read(old), [HEAD]
    for broken in every:
        out += [broken.name, "-" * len(broken.name), *broken.words, "", "::", "",
                *(f"    {patch}" for patch in broken.patches)]
        for value in values(broken):
            result = (results.get(broken.name, {}).get(value)
                      or before.get(broken.name, {}).get(value, "not run"))
            out.append(f"    {value} [{result}]")
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def read(text):
    """{name: {"ROW ARCH": result}} of the file's text."""
    out, lines = {}, text.splitlines()
    name = None
    for line, following in zip(lines, [*lines[1:], ""]):
        match = LINE.match(line)
        if NAME.match(line) and following == "-" * len(line):
            name = line
        elif match and name:
            out.setdefault(name, {})[match.group(1)] = match.group(2)
    return out


def compare(text, every):
    """What is wrong with the file, by the Brokens: one line each."""
    there = read(text)
    found = [f"{name} is not in ci/broken.d" for name in there if name not in every]
    for name, broken in every.items():
        if list(there.get(name, {})) != values(broken):
            found.append(f"{name}: it does not say what the patch says")
        if "\n".join([name, "-" * len(name), *broken.words, "", "::", "",
                      *(f"    {p}" for p in broken.patches)]) not in text:
            found.append(f"{name}: its words or its patches are others")
        found += [f"{name}: {value} was not seen: {result}"
                  for value, result in there.get(name, {}).items() if not seen(result)]
    return found


def seen(result):
    """Whether a result says red, then green."""
    red, _, now = result.partition(" -> ")
    return red in RED and now == "pass"


def proves(row, patch, arches, every, text):
    """(result, complaint) of a patch's "Proof: broken/NAME ARCH"."""
    name = row.removeprefix(TEST)
    if name not in every:
        return "", f"there is no ci/broken.d/{name}.patch"
    if patch not in every[name].patches:
        return "", f"ci/broken.d/{name}.patch does not name this patch"
    have = {arch for _, some in every[name].red for arch in some}
    if not set(arches) <= have:
        return "", f"no row has to be red on {','.join(sorted(set(arches) - have))}"
    results = list(read(text).get(name, {}).values())
    if not results or not all(map(seen, results)):
        return "", "Documentation/broken.rst does not have it: ci/broken --write"
    return results[0], ""
