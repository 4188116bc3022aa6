"""Reads the data files: arches, tests, known failures, allowed splats, series."""
import fnmatch
import os
import re

from steps import compiler
from steps.host import CI, TOP, Failure


def lines(path):
    """(number, text) of the lines that are neither empty nor comments."""
    for number, text in enumerate(path.read_text().splitlines(), 1):
        text = text.strip()
        if text and not text.startswith("#"):
            yield number, text


ARCH_KEYS = {"host", "make", "selftests", "cross", "packages", "native", "target", "kernel",
             "config", "qemu", "qemu-package", "machine", "machine-tcg", "machine-kvm", "ktap",
             "console", "append", "stacks", "limit-scale", "machine-bench", "reads", "ldflags",
             "like", "run", "programs", "libc", "gcc", "binutils", "cflags"}
OPTIONAL = {"native", "machine-tcg", "machine-kvm", "append", "stacks", "machine-bench",
            "ldflags", "like", "run", "programs", "libc", "gcc", "binutils", "cflags"}
QEMU = {"qemu", "qemu-package", "machine", "ktap"}  # not of a kernel that is a program


def arch_keys(name):
    """What the file ci/arch/NAME says, as a dict."""
    path = CI / "arch" / name
    if "/" in name or not path.is_file():
        raise Failure("harness", f"no arch {name!r}; there are: " + ", ".join(arches()))
    out = {"name": name}
    for number, text in lines(path):
        key, _, value = text.partition(":")
        if key not in ARCH_KEYS or key in out:
            raise Failure("harness", f"{path}:{number}: bad key {key!r}")
        out[key] = value.strip()
    return out


def arch(name):
    """The arch NAME as a dict: its file, and what that leaves to the one it is like.

    The cross of one with a compiler of ours names that by path."""
    out = arch_keys(name)
    if "like" in out:
        other = arch_keys(out["like"])
        if "like" in other:
            raise Failure("harness", f"{CI / 'arch' / name}: like: {other['name']} is like "
                                     f"{other['like']}: name that one")
        out = {**other, **out}
    optional = OPTIONAL | ({"packages"} if "libc" in out else set())
    lacks = ARCH_KEYS - optional - out.keys() - (QEMU if "run" in out else set())
    if lacks:
        raise Failure("harness", f"{CI / 'arch' / name}: no " + ", ".join(sorted(lacks)))
    out = {**dict.fromkeys(optional, ""), **out}
    if out["libc"]:
        out["cross"] = f"{compiler.place(out, series(TOP)[0])}/bin/{out['cross']}"
    return out


def debug(name):
    """(arch, fragments) of what a Proof: names: NAME-debug has ci/run --debug's kernel."""
    plain = name.removesuffix("-debug")
    return plain, ["debug"] if plain != name else []


def arches():
    """Names of all arches."""
    return sorted(p.name for p in (CI / "arch").iterdir())


def native():
    """The first arch whose machines call themselves what this one does."""
    machine = os.uname().machine
    return next((name for name in arches() if arch(name)["host"] == machine
                 and not arch(name)["run"]), machine)


def tests(path=CI / "tests"):
    """The plan: a list of (number, [words]) in order, directives and tests."""
    plan = [(number, text.split()) for number, text in lines(path)]
    names = set()
    for number, words in plan:
        if words[0] != "test":
            continue
        if len(words) < 5 or not words[2].isdigit() or words[3] not in ("root", "nobody"):
            raise Failure("harness", f"{path}:{number}: a test is: "
                                     "test NAME SECONDS root|nobody PROGRAM ARG...")
        if words[1] in names:
            raise Failure("harness", f"{path}:{number}: a second test {words[1]}")
        names.add(words[1])
    return plan


def alternatives(words):
    """The command lines of a test: split at the word "|"."""
    out = [[]]
    for word in words:
        if word == "|":
            out.append([])
        else:
            out[-1].append(word)
    return out


def braces(text):
    """The words that a shell makes of text: a{b,c} is ab and ac."""
    match = re.search(r"\{([^{}]*)\}", text)
    if not match:
        return [text]
    words = []
    for choice in match.group(1).split(","):
        words += braces(text[:match.start()] + choice + text[match.end():])
    return list(dict.fromkeys(words))


def any_glob(word, pattern):
    """Whether a word matches a pattern with the shell's globs and {a,b}."""
    return any(fnmatch.fnmatchcase(word, glob) for glob in braces(pattern))


NEVER = "never"     # what no patch of ours ends waits until then


class Known:
    """One line of ci/known: ARCH ROWS until=TOPIC[/PATCH] -- REASON"""
    FORM = re.compile(r"(\S+)\s+(\S+)\s+until=(\S+)\s+--\s+(\S.*)$")

    def __init__(self, where, text):
        match = self.FORM.match(text)
        if not match:
            raise Failure("harness", f"{where}: a line is: ARCH ROWS until=TOPIC[/PATCH] -- why")
        self.where = where
        self.arch, self.rows, self.until, self.why = match.groups()
        self.globs = braces(self.rows)

    def covers(self, arch_name, row):
        return any_glob(arch_name, self.arch) and \
            any(fnmatch.fnmatchcase(row, glob) for glob in self.globs)


class Absent:
    """One line of ci/absent: ARCH TESTS -- REASON"""
    FORM = re.compile(r"(\S+)\s+(\S+)\s+--\s+(\S.*)$")

    def __init__(self, where, text):
        match = self.FORM.match(text)
        if not match:
            raise Failure("harness", f"{where}: a line is: ARCH TESTS -- why")
        self.where = where
        self.arch, self.tests, self.why = match.groups()


class Allowed:
    """One line of ci/splats: ARCH until=TOPIC[/PATCH] /REGEXP/ -- REASON"""
    FORM = re.compile(r"(\S+)\s+until=(\S+)\s+/(.+)/\s+--\s+(\S.*)$")

    def __init__(self, where, text):
        match = self.FORM.match(text)
        if not match:
            raise Failure("harness",
                          f"{where}: a line is: ARCH until=TOPIC[/PATCH] /REGEXP/ -- why")
        self.where = where
        self.arch, self.until, self.pattern, self.why = match.groups()
        self.regexp = re.compile(self.pattern, re.MULTILINE)


def limits(path=CI / "limits"):
    """{row of ci/bench: (times, reason)}"""
    out = {}
    for number, text in lines(path):
        match = re.match(r"(\S+)\s+([\d.]+)\s+--\s+(\S.*)$", text)
        if not match:
            raise Failure("harness", f"{path.name}:{number}: a line is: ROW TIMES -- why")
        out[match[1]] = float(match[2]), match[3]
    return out


def known(path=CI / "known"):
    return [Known(f"{path.name}:{number}", text) for number, text in lines(path)]


def absent(path=CI / "absent"):
    return [Absent(f"{path.name}:{number}", text) for number, text in lines(path)]


def allowed_splats(path=CI / "splats"):
    return [Allowed(f"{path.name}:{number}", text) for number, text in lines(path)]


def series(queue):
    """(base, topics, patches) of a queue's series file."""
    path = queue / "series"
    if not path.is_file():
        raise Failure("harness", f"{path} is missing: -q names a folder with series and patches/")
    base, topics, patches = None, [], []
    for text in path.read_text().splitlines():
        if text.startswith("# base: "):
            base = text[8:].strip()
        elif text.startswith("# topic: "):
            topics.append(text[9:].split()[0])
            if topics[-1] == NEVER:
                raise Failure("harness", f"{NEVER} is no name for a topic: ci/known waits for it")
        elif text.strip() and not text.startswith("#"):
            patches.append(text.strip())
    return base, topics, patches


def ended(until, topics, patches):
    """Whether the patch or topic that a policy line waits for is in the series."""
    return until in topics or until in patches or until + ".patch" in patches
