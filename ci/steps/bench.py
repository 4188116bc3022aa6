"""What operations cost: boots a kernel that counts them, and holds kernels
against each other.

Of one kernel: {row: Count}, in the order of the guest.
"""
import collections
import math
import re

from steps import boot, build, image, tables, verdict
from steps.host import CI, Failure, say

SAME = 0.005            # two runs of a kernel agree within that part
APPEND = "norandmaps mitigations=off idle=poll"
# status: pass, skip or fail; needed: whether the copies have to be there.
Count = collections.namedtuple("Count", "status instructions copies needed why")
FIGURES = re.compile(r"instructions=(-?[\d.]+) copies=([\d.]+|-) needed=([01])$")


def machine(arch):
    """The arch with the machine that counts."""
    if not arch.get("machine-bench"):
        raise Failure("harness", f"ci/arch/{arch['name']} has no machine-bench, which makes "
                                 "one instruction one nanosecond")
    return {**arch, "machine": arch["machine-bench"], "machine-tcg": ""}


def counts(rows):
    """{row: Count} of the judged rows of a guest."""
    out = {}
    for row in rows:
        name = row.name.removeprefix("bench/")
        found = FIGURES.match(row.why) if row.status == "pass" else None
        if found:
            copies = None if found[2] == "-" else float(found[2])
            out[name] = Count("pass", float(found[1]), copies, found[3] == "1", "")
        else:
            out[name] = Count("fail" if row.status == "pass" else row.status, None, None, False,
                              row.why or "no figures")
    return out


def measure(arch, kernel, guest, globs, out, name):
    """Boot a kernel and return its counts."""
    out.mkdir(parents=True, exist_ok=True)
    image.make(kernel, kernel, guest, tables.tests(CI / "bench-plan"),
               [f"bench/{g}" for g in globs], out)
    ended = boot.run(machine(arch), "tcg", kernel / "kernel", out / "initrd", out,
                     lambda text: say(f"{name}: {text}"), APPEND)
    (out / "initrd").unlink()

    def text(file):
        path = out / file
        return path.read_text(errors="replace") if path.exists() else ""
    judged = verdict.judge(text("console.log"), text("ktap.log"), ended)
    for what in judged["setup"]:
        say(f"{name}: guest could not {what}")
    for kind in judged["kinds"]:
        if kind != "test":
            raise Failure(kind, f"{name}: {judged['notes'][kind]}", out / "console.log")
    found = counts(judged["rows"])
    clock = found.pop("clock", None)
    if not clock or clock.status == "fail":
        raise Failure("harness", f"{name}: {clock.why if clock else 'no row clock'}", out)
    if not found:
        raise Failure("harness", f"no row is called {' or '.join(globs)}; the table rows[] of "
                                 "ci/guest/bench.c has them")
    return found


def apart(one, other):
    """(part, row) by which two runs of a kernel differ most; 1 is another outcome."""
    worst = (0.0, "")
    for row in {**one, **other}:
        a, b = one.get(row), other.get(row)
        if not a or not b or a.status != b.status or a.copies != b.copies:
            part = 1.0
        elif a.status != "pass":
            continue
        else:
            part = (abs(a.instructions - b.instructions)
                    / max(1, min(a.instructions, b.instructions)))
        worst = max(worst, (part, row))
    return worst


def ratio(count, base):
    """How many times the instructions of the base, or None."""
    if not count or not base or None in (count.instructions, base.instructions):
        return None
    if not base.instructions:
        return math.inf if count.instructions else 1.0
    return count.instructions / base.instructions


def above(patched, other, limit, name, own):
    """The rows in which patched takes more than limit times what another kernel takes,
    or more than what is a row's own limit."""
    return [f"{row}: {times:.3f} times the instructions of {name}, the limit is {most}"
            for row, count in patched.items()
            for most in [own.get(row, (limit,))[0]]
            for times in [ratio(count, other.get(row))] if times and times > most]


def spare(base, patched, limit, own):
    """The rows that have a limit of their own in ci/limits and do without."""
    return [f"ci/limits: {row}: {times:.3f} times the instructions of base: drop the line"
            for row in own for times in [ratio(patched.get(row), base.get(row))]
            if times and times <= limit]


def complaints(base, patched, limit, own):
    """What is wrong with the patched kernel, or with the figures; one line each."""
    out = []
    for row in {**base, **patched}:
        b, p = base.get(row), patched.get(row)
        for name, count in (("base", b), ("patched", p)):
            if not count or count.status == "fail":
                out.append(f"{row}: {name}: {count.why if count else 'has no such row'}")
        if not b or not p or "fail" in (b.status, p.status):
            continue
        if b.status == "pass" and p.status == "skip":
            out.append(f"{row}: lost: {p.why}")
        if p.copies is not None and not p.needed and p.copies > (b.copies or 0):
            out.append(f"{row}: {p.copies:g} copies that nobody needs, the base does "
                       f"{b.copies or 0:g}")
    return out + above(patched, base, limit, "base", own)


def _count(count):
    return "-" if not count or count.instructions is None else (
        f"{count.instructions:.0f}" if count.instructions >= 1000 else f"{count.instructions:.1f}")


def _copies(count):
    if not count or count.copies is None:
        return "-"
    return f"{count.copies:.3g}" + ("n" if count.needed else "")


def table(kernels):
    """The table of {kernel: {row: Count}}; the first kernel is the measure."""
    names = list(kernels)
    base = kernels[names[0]]
    head = ["row", names[0]]
    for name in names[1:]:
        head += [name, "x"]
    head += [f"copies: {names[0]}", *names[1:]]
    lines, notes = [head], []
    for row in dict.fromkeys(r for counts_ in kernels.values() for r in counts_):
        cells = [row]
        for name, found in kernels.items():
            count = found.get(row)
            cells.append(_count(count))
            if name != names[0]:
                times = ratio(count, base.get(row))
                cells.append("-" if times is None else f"{times:.3f}")
            if not count or count.instructions is None:
                notes.append(f"- {row}, {name}: {count.why if count else 'no such row'}")
        lines.append(cells + [_copies(found.get(row)) for found in kernels.values()])
    wide = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = ["  ".join([line[0].ljust(wide[0])] + [c.rjust(w) for c, w in
                                                  zip(line[1:], wide[1:])]) for line in lines]
    text += ["", "Instructions for a page (of 2 MiB: thp, hugetlb), fork-exit: for a fork; x: "
                 f"times {names[0]}.",
             "Copies of 4 KiB pages likewise; n: somebody else has the page, it has to be copied."]
    return "\n".join(text + notes)


def label(source, commit):
    """The release of a kernel tree, from its Makefile."""
    text = source.git("show", f"{commit}:Makefile")
    parts = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=[ \t]*(\S*)$", text,
                            re.MULTILINE))
    return "v{VERSION}.{PATCHLEVEL}.{SUBLEVEL}{EXTRAVERSION}".format_map(
        collections.defaultdict(str, parts))


def kernel(source, commit, slot, arch, jobs, log, strict=True):
    """Build a commit's kernel for counting; see build.kernel()."""
    return build.kernel(source, commit, slot, arch, ["bench"], jobs, log, programs=False,
                        strict=strict)
