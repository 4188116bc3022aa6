"""The PTEs of an arch's own headers, tested by a program on this machine.

A variant is a file of ci/pgtable/variants.  Its headers come out of a kernel tree,
each that they include and that is not about page tables is empty: ci/pgtable/README.
"""
import collections
import fnmatch
import pathlib
import posixpath
import re
import shutil
import subprocess
import tempfile

from steps import tables
from steps.host import CI, TOP, Failure
from steps.trial import Outcome

ARCH = "host"           # what a Proof: says in an arch's place
FOLDER = CI / "pgtable"
TABLE = TOP / "Documentation/swap-marker.rst"
KEYS = {"arch", "bits", "config", "define", "real", "empty", "never", "path", "without"}
TESTS = ("addr_end", "cow_prot", "swp_entry", "swp_pte")
START = ["linux/kconfig.h", "asm/page.h", "linux/pgtable.h", "linux/swap.h",
         "linux/swapops.h"]
# What is taken out of the tree; the variant's real: and empty: have the last word.
REAL = ["linux/pgtable.h", "linux/swapops.h", "linux/kconfig.h", "generated/autoconf.h",
        "linux/const.h", "uapi/linux/const.h", "vdso/const.h", "linux/pfn.h",
        "asm-generic/pgtable*", "asm/*pgtable*", "asm/page.h", "asm/page_*"]
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)
COMPILER = {"64": ("gcc", ["gcc", "libc6-dev"]),
            "32": ("i686-linux-gnu-gcc", ["gcc-i686-linux-gnu", "libc6-dev-i386-cross"])}
LIMIT = 60
Row = collections.namedtuple("Row", "status why")


def variants():
    return sorted(p.name for p in (FOLDER / "variants").iterdir())


def variant(name):
    """The file of a variant as {key: text}."""
    path = FOLDER / "variants" / name
    if "/" in name or not path.is_file():
        raise Failure("harness", f"no variant {name!r}; there are: " + ", ".join(variants()))
    out = dict.fromkeys(KEYS, "")
    for number, text in tables.lines(path):
        key, colon, value = text.partition(":")
        if not colon or key not in KEYS:
            raise Failure("harness", f"{path}:{number}: bad key {key!r}")
        out[key] = f"{out[key]} {value.strip()}".strip()
    if not out["arch"] or out["bits"] not in COMPILER:
        raise Failure("harness", f"{path}: needs arch: and bits: 32 or 64")
    return out


def tests(what):
    """The tests that a variant has; "without: TEST -- why" takes one away."""
    return [test for test in TESTS if test not in what["without"].partition(" -- ")[0].split()]


def packages(names):
    """Debian packages that the variants need and that are not there."""
    need = {variant(name)["bits"] for name in names}
    return [p for bits in need if not shutil.which(COMPILER[bits][0]) for p in COMPILER[bits][1]]


class Folder:
    """A kernel tree in a folder."""
    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not (self.path / "include/linux/pgtable.h").is_file():
            raise Failure("harness", f"{path} is no kernel tree: no include/linux/pgtable.h")

    def read(self, name):
        path = self.path / name
        return path.read_bytes().decode(errors="replace") if path.is_file() else None


class Commit:
    """A kernel tree in a git repository."""
    def __init__(self, git_dir, commit):
        self.git_dir, self.commit = str(git_dir), commit

    def read(self, name):
        done = subprocess.run(["git", "--git-dir", self.git_dir, "cat-file", "blob",
                               f"{self.commit}:{name}"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def matches(name, globs):
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def places(name, what):
    """Where a tree may have the header <name>, the first one counts."""
    arch = f"arch/{what['arch']}/include"
    out = [f"{folder}/{name}" for folder in (arch, f"{arch}/uapi", *what["path"].split(),
                                             "include", "include/uapi")]
    if name.startswith("asm/"):
        out.append("include/asm-generic/" + name[len("asm/"):])
    return out


def swap_types(tree):
    """The numbers of the swap types, the one part of linux/swap.h that we need."""
    text = tree.read("include/linux/swap.h") or ""
    match = re.search(r"^#define MAX_SWAPFILES_SHIFT\b.*?^#define MAX_SWAPFILES \\\n(?:[^\n]*\\\n)*[^\n]*\n",
                      text, re.MULTILINE | re.DOTALL)
    if not match:
        raise Failure("harness", "no MAX_SWAPFILES in the tree's include/linux/swap.h")
    return match.group()


def gather(tree, what, where):
    """Write what the program includes into a folder; return {real header: text}."""
    real = REAL + what["real"].split()
    empty = what["empty"].split()
    queue, seen, found = list(START), set(), {}
    for name in ("shim.h", "after.h"):
        shim = FOLDER / "shim" / what["arch"] / name
        text = shim.read_text() if shim.exists() else ""
        (where / name).write_text(text)
        queue += [included for _, included in INCLUDE.findall(text)]
    while queue:
        name = queue.pop(0)
        if name in seen:
            continue
        seen.add(name)
        text = None
        if matches(name, real) and not matches(name, empty):
            for path in places(name, what):
                text = tree.read(path)
                if text is not None:
                    found[path] = text
                    break
        file = where / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if name == "linux/swap.h":
            text = swap_types(tree)
        file.write_text(text or "")
        for quote, included in INCLUDE.findall(text or ""):
            queue.append(posixpath.normpath(posixpath.join(posixpath.dirname(name), included))
                         if quote == '"' else included)
    return found


def command(what, where, program, marker):
    config = [f"-DCONFIG_{word}" if "=" in word else f"-DCONFIG_{word}=1"
              for word in what["config"].split()]
    return [COMPILER[what["bits"]][0], "-std=gnu11", "-fgnu89-inline", "-O1", "-w", "-static",
            "-nostdinc", "-fno-builtin", "-fno-strict-aliasing",
            "-D__KERNEL__", f"-DVARIANT_NEVER=({what['never'] or 0})",
            *(["-DMARKER"] if marker else []),
            *(f"-D{test.upper()}" for test in ("addr_end", "cow_prot") if test in tests(what)),
            *config, *(f"-D{word}" for word in what["define"].split()), "-I", str(where),
            "-include", str(FOLDER / "kernel.h"),
            "-o", str(program), str(FOLDER / "swp_pte.c")]


def run(name, tree, log=None, keep=None, what=None):
    """({"swp_entry/NAME": Row, ...}, what was said) of a variant.

    log: a file for all that was said; keep: a folder for headers and program;
    what: the variant's keys, else those of its file.
    """
    what = what or variant(name)
    with tempfile.TemporaryDirectory(prefix="swp_pte-") as folder:
        where = pathlib.Path(keep or folder)
        (where / "include").mkdir(parents=True, exist_ok=True)
        headers = gather(tree, what, where / "include")
        args = command(what, where / "include", where / "program",
                       any("pte_swp_mkexclusive" in text for text in headers.values()))
        done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        said = " ".join(args) + "\n# real: " + " ".join(headers) + "\n" + done.stdout
        output, bad = "", ""
        if done.returncode:
            bad = "does not compile: " + next((line for line in done.stdout.splitlines()
                                               if "error" in line or "undefined" in line), "")
        else:
            try:
                ended = subprocess.run([where / "program"], stdin=subprocess.DEVNULL, text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       timeout=LIMIT, check=False)
                output = ended.stdout
                bad = f"the program ended with {ended.returncode}" if ended.returncode else ""
            except subprocess.TimeoutExpired:
                bad = f"no end after {LIMIT} s"
    if log:
        log.write_text(said + output)
    return rows(name, output, tests(what), bad), output if output else said


def rows(name, output, has=TESTS, bad=""):
    """{row: Row} of what the program said; has: the tests of the variant."""
    found, why = {}, []
    for line in output.splitlines():
        match = re.match(r"(not )?ok \d+ (\w+)$", line)
        if match:
            found[f"{match.group(2)}/{name}"] = Row("fail" if match.group(1) else "pass",
                                                    why[0] if match.group(1) and why else "")
            why = []
        elif line.startswith("# bad: "):
            why.append(line[len("# bad: "):])
    for test in has:
        if bad or f"{test}/{name}" not in found:
            found[f"{test}/{name}"] = Row("error", bad or "the program did not say")
    return found


def table(base, patched):
    """{variant: line} of what run() said of the variants on both kernels."""
    def fact(said, pattern, default="-"):
        match = re.search(pattern, said)
        return match.group(1) if match else default

    lines = {}
    for name, (found, said) in patched.items():
        words = [variant(name)["arch"], fact(said, r"the marker is (.*)")]
        words += [fact(text, r"a swap area is at most ([^:]*)") for text in (base[name][1], said)]
        words += [f"{base[name][0][f'{test}/{name}'].status} -> {found[f'{test}/{name}'].status}"
                  if test in tests(variant(name)) else "-" for test in TESTS[1:] + TESTS[:1]]
        lines[name] = f"{name:<20}" + "".join(
            f"{word:<{width}}" for word, width in zip(words, (12, 8, 10, 10, 14, 14, 14, 14))).rstrip()
    return lines


def keep_table(base, patched, write):
    """Write the lines of these variants into TABLE, or say whether they stand there."""
    text = TABLE.read_text()
    head, mark, rest = text.partition("\n::\n\n")
    old = {line.split()[0]: line.strip() for line in rest.splitlines() if line.strip()}
    new = table(base, patched)
    if not write:
        return mark != "" and all(old.get(name) == line for name, line in new.items()) \
            and set(old) == {"variant", *variants()}
    title = f"{'variant':<20}{'arch':<12}{'marker':<8}{'base':<10}{'patched':<10}" \
            f"{'cow_prot':<14}{'swp_entry':<14}{'swp_pte':<14}addr_end"
    every = {**{n: line for n, line in old.items() if n in variants()}, **new}
    TABLE.write_text(f"{head}\n::\n\n    {title}\n" +
                     "".join(f"    {every[name]}\n" for name in sorted(every)))
    return True


class Trial:
    """As trial.Trial: how rows end on a commit.  No kernel is built."""
    def __init__(self, source, out):
        self.source, self.out = source, out

    def has(self, row):
        """Whether there is such a row; the variant may be a glob."""
        test, _, name = row.partition("/")
        return test in TESTS and bool(fnmatch.filter(variants(), name))

    def outcomes(self, commit, rows):
        """{row: Outcome} of a commit."""
        tree, found = Commit(self.source.git_dir, commit), {}
        names = sorted({name for row in rows
                        for name in fnmatch.filter(variants(), row.partition("/")[2])})
        for name in names:
            found.update(run(name, tree, self.out / f"{commit[:12]}.{name}.log")[0])
        return {row: together(found, row) for row in rows}


def together(found, row):
    """The Outcome of all rows that a glob means."""
    some = {r: got for r, got in found.items() if fnmatch.fnmatchcase(r, row)}
    words = {got.status for got in some.values()}
    if len(words) > 1:
        return Outcome("mixed", ", ".join(f"{r} {got.status}" for r, got in some.items()))
    return Outcome(words.pop(), next((got.why for got in some.values() if got.why), ""))
