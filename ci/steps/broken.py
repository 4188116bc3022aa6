"""The kernels that are broken on purpose: what each undoes, and what has to see it."""
import collections
import os
import re
import subprocess
import tempfile

from steps import proof
from steps.host import CI, Failure
from steps.trial import RED

FOLDER = CI / "broken.d"
Broken = collections.namedtuple("Broken", "name text patches red path")
LINE = re.compile(r"    (\S+) (\S+ [\w,-]+) \[([^\]]*)\]$")

HEAD = """\
Broken on purpose
=================

What a patch prepares is of use when its absence is seen.  Each of these kernels
is the tip of the series with one thing taken out, by ``ci/broken.d/NAME.patch``, and
the rows below each are red on it and green on the tip, as ``ci/broken`` saw them.
Written by ``ci/broken --write``.
"""


def parse(name, text, path=None):
    """A Broken of the text of a file: words, Patch: and Red: lines, then a diff."""
    head, _, diff = text.partition("\ndiff --git ")
    fields = {"Patch": [], "Red": []}
    words = []
    for line in head.splitlines():
        key, colon, value = line.partition(": ")
        if colon and key in fields:
            fields[key].append(value)
        elif any(fields.values()) and line:
            raise Failure("harness", f"{name}: {line!r} stands behind Patch: or Red:")
        elif line:
            words.append(line)
    if not diff or not words or not all(fields.values()):
        raise Failure("harness", f"{name}: must have words, Patch:, Red: and a diff")
    return Broken(name, words, fields["Patch"], proof.parse(fields["Red"], name), path)


def load(folder=FOLDER):
    """Every Broken of the folder, by name."""
    return {path.stem: parse(path.stem, path.read_text(), path)
            for path in sorted(folder.glob("*.patch"))}


def strangers(broken, names):
    """Complaints of files whose Patch: is none of the series' names."""
    return [f"{b.name}: {patch} is not in the series" for b in broken.values()
            for patch in b.patches if patch not in names]


def commit(source, broken):
    """The commit of the tip with the diff of a Broken applied; no fuzz."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "GIT_INDEX_FILE": f"{folder}/index",
               **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                  for what, value in (("NAME", "mmquilt"), ("EMAIL", "mmquilt@localhost"),
                                      ("DATE", "@0 +0000"))}}

        def git(*args):
            return subprocess.run(["git", "--git-dir", source.git_dir, *args], text=True,
                                  env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, check=False)
        git("read-tree", source.tip)
        done = git("apply", "--cached", str(broken.path))
        if done.returncode:
            raise Failure("apply", f"{broken.path.name} no longer applies, bring it up to "
                                   f"date with {' '.join(broken.patches)}: "
                                   + done.stderr.strip().replace("\n", "; "))
        return git("commit-tree", "-p", source.tip, "-m", broken.name,
                   git("write-tree").stdout.strip()).stdout.strip()


def write(results):
    """The text of the file; results: [(Broken, {"ROW ARCH": "RED -> pass"})]."""
    out = [HEAD]
    for broken, seen in results:
        out += [broken.name, "-" * len(broken.name), *broken.text, "", "::", ""]
        out += [f"    {patch}" for patch in broken.patches]
        out += [f"    {broken.name} {value} [{result}]" for value, result in seen.items()]
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def read(text):
    """{name: {"ROW ARCH": result}} of the file's text."""
    out = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            out.setdefault(match.group(1), {})[match.group(2)] = match.group(3)
    return out


def values(broken):
    """The "ROW ARCH" of a Broken."""
    return [f"{row} {','.join(arches)}" for row, arches in broken.red]
