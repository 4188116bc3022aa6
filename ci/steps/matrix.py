"""The matrix: which arch was built, booted and tested, and how its swap marker is proven.

A line for each arch of ci/arch, and one, in parentheses, for each directory of arch/
that has an MMU and that none of them boots.  The same lines stand in Documentation/arches.rst
and in the README.
"""
import collections
import re

from steps import headers, record, tables
from steps.host import TOP, Failure

TABLE = TOP / "Documentation" / "arches.rst"
PLACES = (TABLE, TOP / "README")
HEAD = ("arch", "arch/", "built", "booted", "base", "patched", "marker proven by", "tip")
TOPIC = "swap-marker"


def directory(name):
    """The folder below arch/ of an arch of ci/arch."""
    return tables.arch(name)["reads"].split()[0].partition("/")[2]


def counts(kernel):
    """How a kernel's rows ended: passed/failed/skipped."""
    seen = collections.Counter("fail" if row.status == "timeout" else row.status
                               for row in kernel["rows"])
    return "/".join(str(seen[word]) for word in ("pass", "fail", "skip"))


def host_proven():
    """The directories all of whose layouts pass in Documentation/swap-marker.rst."""
    lines = [line.split() for line in headers.TABLE.read_text().splitlines()
             if re.match(r"    \w+ +\w+ +bit ", line)]
    return {line[1] for line in lines} - {line[1] for line in lines if line[-1] != "pass"}


def line(run, proven):
    """The words of an arch that was run."""
    steps, where = run["steps"], directory(run["arch"])

    def reached(step):
        states = {s["status"] for s in steps.get(step, {}).values()}
        return "no" if states != {"ok"} else "yes" if "base" in run["kernels"] else "patched"

    patched = run["kernels"].get("patched", {"rows": []})
    booted = any(row.name == "debug_vm_pgtable" and row.status == "pass"
                 for row in patched["rows"]) and TOPIC in run["facts"].get("topics", [])
    how = [*(["host"] if where in proven else []), *(["boot"] if booted else [])]
    return (run["arch"], where, reached("build"), reached("boot"),
            *(counts(run["kernels"][k]) if run["kernels"].get(k, {}).get("rows") else "-"
              for k in ("base", "patched")),
            " + ".join(how) or "-", run["facts"].get("commits", {}).get("patched", "-")[:12])


def text(lines):
    """The table; lines: {arch: words}."""
    every = [HEAD, *(lines[name] for name in sorted(lines, key=lambda n: (n[0] == "(", n)))]
    width = [max(len(words[i]) for words in every) for i in range(len(HEAD))]
    return "".join("    " + "  ".join(w.ljust(n) for w, n in zip(words, width)).rstrip() + "\n"
                   for words in every)


def of(runs):
    """{arch: words} of runs as html.load() has them."""
    proven = host_proven()
    return {run["arch"]: line(run, proven) for run in runs}


def kept(path=None):
    """{arch: words} that stand in a file."""
    out, inside = {}, False
    for written in (path or TABLE).read_text().splitlines():
        words = tuple(re.split(r"  +", written.strip()))
        inside = (inside or words == HEAD) and written.startswith("    ")
        if inside and words != HEAD:
            out[words[0]] = words
    return out


def blank(name, where, word):
    """The words of what was not run."""
    return name, where, word, word, "-", "-", "host" if where in host_proven() else "-", "-"


def not_run():
    """{name: words} of arches of ci/arch as long as they have not been run."""
    return {name: blank(name, directory(name), "-") for name in tables.arches()}


def unbooted():
    """{name: words} of directories that no arch of ci/arch is of."""
    have = {directory(name) for name in tables.arches()}
    rest = {headers.variant(name)["arch"] for name in headers.variants()} - have
    return {f"({where})": blank(f"({where})", where, "no") for where in rest}


def replace(path, lines):
    """Put the table in place of the one that stands in a file."""
    old = path.read_text().splitlines(keepends=True)
    at = [i for i, written in enumerate(old)
          if tuple(re.split(r"  +", written.strip())) == HEAD]
    if len(at) != 1:
        raise Failure("harness", f"{path} has no table that begins with: {'  '.join(HEAD)}")
    end = at[0]
    while end < len(old) and old[end].startswith("    "):
        end += 1
    record.write(path, "".join(old[:at[0]]) + text(lines) + "".join(old[end:]))


def write(runs):
    """Take whole runs that passed, of both kernels or the patched one, into the table."""
    for run in runs:
        if run["verdict"] != "PASS" or set(run["options"]) - {"--patched"}:
            raise Failure("harness", f"{run['arch']}: the table takes whole runs that passed, "
                                     f"and this is {' '.join([run['verdict'], *run['options']])}")
    lines = {**not_run(),
             **{name: words for name, words in kept().items() if name in tables.arches()},
             **of(runs), **unbooted()}
    for path in PLACES:
        replace(path, lines)
