"""The prefixes of the series: each patch with its parent, and which are meant."""
import hashlib
import pathlib
import re

from steps.host import Failure

# What no kernel build reads.
IGNORED = {"Documentation", "MAINTAINERS", "CREDITS", "README", "tools/testing", ".mailmap"}


class Prefix:
    """The series up to a patch."""
    def __init__(self, number, parent, commit, topic, name):
        self.number, self.parent, self.commit = number, parent, commit
        self.topic, self.name = topic, name

    def short(self):
        return f"{self.number} {pathlib.PurePath(self.name).stem}"


def every(source):
    """A Prefix for each patch, in order."""
    out, parent = [], source.base
    for number, (commit, _, topic, path) in enumerate(source.patches, 1):
        out.append(Prefix(number, parent, commit, topic, path.removeprefix("patches/")))
        parent = commit
    return out


def find(prefixes, word):
    """The (first, last) index that a patch, a topic or a number means."""
    if word.isdigit():
        found = [int(word) - 1] if 0 < int(word) <= len(prefixes) else []
    else:
        found = [i for i, p in enumerate(prefixes) if p.topic == word]
    if not found:
        plain = word.removeprefix("patches/").removesuffix(".patch")
        found = [i for i, p in enumerate(prefixes)
                 if plain in (p.name.removesuffix(".patch"), pathlib.PurePath(p.name).stem)]
        if len(found) > 1:
            raise Failure("harness", f"{word} is more than one patch: write TOPIC/{word}")
    if not found:
        topics = " ".join(dict.fromkeys(p.topic for p in prefixes)) or "none"
        raise Failure("harness", f"{word} is no patch, no topic and no number from 1 to "
                                 f"{len(prefixes)} of the series; topics: {topics}")
    return found[0], found[-1]


def select(prefixes, text):
    """The prefixes that A..B, A.., ..B, or A alone means; both ends are in."""
    if not prefixes:
        raise Failure("harness", "the series has no patch; -q names another folder")
    if not text:
        return prefixes
    first, dots, last = text.partition("..")
    start = find(prefixes, first)[0] if first else 0
    end = find(prefixes, last if dots else first)[1] if last or not dots else len(prefixes) - 1
    if end < start:
        raise Failure("harness", f"{text}: {last} comes before {first} in the series")
    return prefixes[start:end + 1]


def kernel_id(source, commit, arch):
    """One word for what an arch's kernel build reads of a commit.

    Patches to selftests and documentation do not change it; those to other arches
    do not either if the arch says which folders of arch/ it reads.
    """
    def inside(lines, folder):
        """The lines of ls-tree with a folder replaced by what is in it."""
        if not any(line.endswith(f"\t{folder}") for line in lines):
            return lines
        return [line for line in lines if not line.endswith(f"\t{folder}")] + [
            line.replace("\t", f"\t{folder}/", 1)
            for line in source.git("ls-tree", f"{commit}:{folder}").splitlines()]

    lines = inside(inside(source.git("ls-tree", commit).splitlines(), "tools"), "arch")
    reads = arch.get("reads", "").split()

    def counts(line):
        path = line.partition("\t")[2]
        return path not in IGNORED and not (
            reads and " tree " in line and path.startswith("arch/") and path not in reads)
    kept = [line for line in lines if counts(line)]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]


class Touched:
    """What a patch touches: files (new names), renames {old: new}."""
    def __init__(self, raw):
        self.files, self.renames = [], {}
        for line in raw.splitlines():
            status, *names = line.split("\t")
            if status.startswith("R"):
                self.renames[names[0]] = names[1]
            if not status.startswith("D"):
                self.files.append(names[-1])

    def sources(self):
        """The C files that the kernel may be made of."""
        return [f for f in self.files if f.endswith(".c") and kernel_file(f)]

    def headers(self):
        return [f for f in self.files if f.endswith(".h") and kernel_file(f)]

    def selftests(self):
        return [f for f in self.files if f.startswith("tools/testing/selftests/vm/")
                and re.search(r"\.[chS]$|/Makefile$", f)]


def kernel_file(path):
    return not path.startswith(("tools/", "Documentation/", "scripts/", "samples/"))


def touched(source, prefix):
    return Touched(source.git("diff-tree", "-r", "-M", "--name-status",
                              prefix.parent, prefix.commit))


def reader_of(source, commit, header):
    """A C file of mm/ that sees a header, to look at the header through it."""
    stem = pathlib.PurePath(header).stem
    if source.has(commit, f"mm/{stem}.c"):
        return f"mm/{stem}.c"
    name = header.removeprefix("include/") if header.startswith("include/") \
        else pathlib.PurePath(header).name
    found = source.grep(commit, name, "mm/*.c")
    return found[0] if found else "mm/memory.c"
