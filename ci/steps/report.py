"""Compares kernels, holds the result against the lists of known trouble, and
writes the table for people, JUnit and KTAP for machines."""
import collections
import fnmatch
import pathlib
import re
import xml.sax.saxutils as sax

from steps import tables
from steps.verdict import Row

PASS, FAIL, SKIP = "pass", "FAIL", "skip"
WORD = {"pass": PASS, "fail": FAIL, "timeout": "TIME", "skip": SKIP}


def change(base, patched):
    """One word for what became of a row; base and patched are Rows or None."""
    if base is None or patched is None:
        return "new" if base is None else "gone"
    bad = ("fail", "timeout")
    if base.status in bad and patched.status == "pass":
        return "fixed"
    if base.status == "pass" and patched.status in bad:
        return "broken"
    if base.status == "pass" and patched.status == "skip":
        return "lost"
    if base.status in bad and patched.status == "skip":
        return "skipped"
    return "same"


def counterpart(name, rows):
    """A kernel's row of a name, or what stands for it.

    A program that dies is one row on that kernel; where it lives it may have a
    row for each result, and then stands for itself as all of them together.  One
    that skips as a whole stands for each of its rows.
    """
    if name in rows:
        return rows[name]
    whole = rows.get(name.split("/")[0])
    if whole and whole.status == "skip":
        return whole
    parts = [row for other, row in rows.items() if other.startswith(name + "/")]
    if not parts:
        return None
    worst = max(parts, key=lambda row: ("skip", "pass", "timeout", "fail").index(row.status))
    return Row(name, worst.status, worst.why)


def hold_against(arch, runs, known, topics, patches, complete):
    """Mark known failures in the runs' rows; return complaints, one line each.

    runs: {"base": judged, "patched": judged}, one of them may be missing.  A
    failure is known by a line of ci/known.  A failure of the base that the
    patched kernel does not have needs no line, nor does one whose test the
    patched tree skips: the base's tests don't know what they cannot do.  A
    known failure that passes, a line whose patch is in the series, and (when
    the run was complete) a line that no row matched are complaints.  Splats of
    the base are not held against it either when the patched kernel has none.
    """
    complaints = []
    last = runs.get("patched") or runs["base"]
    now = {row.name: row for row in last["rows"]}
    for line in known:
        if tables.ended(line.until, topics, patches):
            complaints.append(f"{line.where}: {line.until} is in the series: drop the line")
            continue
        covered = [row for row in last["rows"] if line.covers(arch, row.name)]
        for row in covered:
            if row.status == "pass":
                complaints.append(f"{line.where}: {row.name} passes: drop or narrow the line")
        for glob in line.globs if complete and tables.any_glob(arch, line.arch) else ():
            if not fnmatch.filter([row.name for row in covered], glob):
                complaints.append(f"{line.where}: no row matches {glob}")
    for kernel, run in runs.items():
        for row in run["rows"]:
            row.known = None
            if row.status not in ("fail", "timeout"):
                continue
            for line in known:
                if line.covers(arch, row.name) and \
                        not tables.ended(line.until, topics, patches):
                    row.known = line
            after = counterpart(row.name, now)
            if kernel == "base" and "patched" in runs and after and \
                    after.status in ("pass", "skip"):
                row.known = "fixed"
    if "base" in runs and "patched" in runs and not runs["patched"]["splats"]:
        runs["base"]["fixed"] = {"splat"}
    return complaints


def left_out(arch, runs, lines, complete):
    """Account for tests of the plan whose program no tree has; return complaints.

    Those that a line of ci/absent explains become skipped rows of their runs.
    """
    complaints = []
    for kernel, run in runs.items():
        for test, why in run["absent"].items():
            line = next((one for one in lines if tables.any_glob(arch, one.arch)
                         and tables.any_glob(test, one.tests)), None)
            if line:
                run["rows"].append(Row(test, "skip", line.why))
            elif complete:
                complaints.append(f"ci/tests: {test} did not run on {kernel}: {why}")
    have = {test for run in runs.values() for test in run["absent"]}
    for line in lines if complete else ():
        for glob in tables.braces(line.tests) if tables.any_glob(arch, line.arch) else ():
            if not fnmatch.filter(have, glob):
                complaints.append(f"{line.where}: {arch} has {glob}: drop or narrow the line")
    return complaints


def page_tables(console, config, splats):
    """The row of the kernel's own test of its page table helpers at boot."""
    name = "debug_vm_pgtable"
    if "CONFIG_DEBUG_VM_PGTABLE=y" not in config.splitlines():
        return Row(name, "skip", "this arch has no DEBUG_VM_PGTABLE in this kernel")
    if name + ": " not in console:
        return Row(name, "fail", "it did not run")
    bad = next((s for s in splats if name in "\n".join(s)), None)
    return Row(name, "fail", bad[0]) if bad else Row(name, "pass")


def unexpected(run):
    """The rows of a run that fail and are not known to."""
    return [row for row in run["rows"] if row.status in ("fail", "timeout") and not row.known]


def kinds(run):
    """A run's kinds of failure once what is known has been taken off."""
    left = unexpected(run)
    out = [k for k in run["kinds"] if k not in {"test", "timeout", *run.get("fixed", ())}]
    out += ["timeout"] if any(r.status == "timeout" for r in left) else []
    out += ["test"] if any(r.status == "fail" for r in left) else []
    return out


def cell(row):
    """A row's status as the word of the table."""
    if row is None:
        return "-"
    return WORD[row.status] + ("*" if row.known not in (None, "fixed") else "")


def group_cell(rows):
    """The statuses of a test's rows, counted."""
    if not rows:
        return "-"
    if len(rows) == 1:
        return cell(rows[0])
    count = collections.Counter(cell(row) for row in rows)
    order = [c for c in (PASS, FAIL, FAIL + "*", "TIME", "TIME*", SKIP) if count[c]]
    return ", ".join(f"{count[c]} {c}" for c in order)


def groups(runs):
    """{test: names of its rows on either kernel}, in order."""
    out = {}
    for name in dict.fromkeys(row.name for run in runs.values() for row in run["rows"]):
        out.setdefault(name.split("/")[0], []).append(name)
    return out


def changes(members, rows):
    """What became of a test's rows, in words; rows: {kernel: {name: Row}}."""
    if len(rows) != 2:
        return ""
    count = collections.Counter(change(*(counterpart(m, of) for of in rows.values()))
                                for m in members)
    return ", ".join(f"{n} {word}" if len(members) > 1 else word
                     for word, n in count.items() if word != "same") or "same"


def table(runs, every_row=False):
    """The table as text: a line a test, and a line for each row that needs one.

    Rows of a program that speaks TAP are counted in the program's line; they
    are shown one by one when the kernels differ, when they fail unexpectedly
    or when every row was asked for.
    """
    names = list(runs)
    rows = {name: {row.name: row for row in run["rows"]} for name, run in runs.items()}
    lines = [["test", *names, "change"] if len(names) == 2 else ["test", *names, ""]]
    reasons = []
    for group, members in groups(runs).items():
        cells = [group_cell([rows[n][m] for m in members if m in rows[n]]) for n in names]
        lines.append([group, *cells, changes(members, rows)])
        for member in members:
            pair = [counterpart(member, rows[n]) for n in names]
            what = change(*pair) if len(pair) == 2 else ""
            loud = any(r and r.status in ("fail", "timeout") and not r.known for r in pair)
            if len(members) > 1 and (every_row or loud or what in ("fixed", "broken", "lost")):
                lines.append(["  " + member.split("/", 1)[-1], *map(cell, pair), what])
            for name, row in zip(names, pair):
                known = row and row.known
                if row and member in rows[name] and row.status != "pass" and row.why and \
                        (row.status == "skip" or not known or every_row):
                    reasons.append((f"{member}: {WORD[row.status]}: {row.why}", name))
    width = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = ["  ".join(cell.ljust(w) for cell, w in zip(line, width)).rstrip() for line in lines]
    out.insert(1, "-" * len(out[0]))
    merged = collections.OrderedDict()
    for text, name in reasons:
        merged.setdefault(text, []).append(name)
    out += [""] if merged else []
    out += [f"{text}" + ("" if len(at) == len(names) else f" [{', '.join(at)}]")
            for text, at in merged.items()]
    starred = {row.known for run in runs.values() for row in run["rows"]
               if row.known not in (None, "fixed")}
    if starred and not every_row:
        out.append("* known: ci/known says why, and until which topic; "
                   "--all-rows shows every row")
    for line in sorted(starred, key=lambda l: int(l.where.split(":")[1])) if every_row else ():
        out.append(f"* {line.rows}: " + ("" if line.until == tables.NEVER else
                                             f"until {line.until}: ") + line.why)
    return "\n".join(out)


def junit(arch, runs, path):
    """Write JUnit: a suite a kernel, a case a row."""
    def text(value):
        return sax.quoteattr(re.sub(r"[^\t\n\x20-\x7e\x80-\uffff]", "?", value))

    out = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for kernel, run in runs.items():
        rows, infra = run["rows"], [k for k in kinds(run) if k not in ("test", "timeout")]
        failed = [r for r in rows if r.status in ("fail", "timeout")]
        out.append(f'<testsuite name={text(f"{arch}.{kernel}")} tests="{len(rows) + len(infra)}" '
                   f'failures="{len([r for r in failed if not r.known])}" '
                   f'errors="{len(infra)}" '
                   f'skipped="{len([r for r in rows if r.status == "skip" or (r in failed and r.known)])}">')
        for row in rows:
            test, _, name = row.name.rpartition("/")
            seconds = f' time="{row.seconds:.2f}"' if row.seconds is not None else ""
            out.append(f'<testcase classname={text(f"{arch}.{kernel}.{test or name}")} '
                       f'name={text(name)}{seconds}>')
            if row in failed and row.known:
                why = "not on the patched kernel" if row.known == "fixed" else row.known.why
                out.append(f"<skipped message={text('known failure: ' + why)}/>")
            elif row in failed:
                out.append(f"<failure type={text(row.status)} message={text(row.why)}/>")
            elif row.status == "skip":
                out.append(f"<skipped message={text(row.why)}/>")
            out.append("</testcase>")
        for kind in infra:
            out.append(f'<testcase classname={text(f"{arch}.{kernel}")} name={text(kind)}>'
                       f'<error type={text(kind)} message={text(run["notes"][kind])}/></testcase>')
        out.append("</testsuite>")
    out.append("</testsuites>")
    pathlib.Path(path).write_text("\n".join(out) + "\n")


def ktap(run, path):
    """Write a run's rows as one flat KTAP file."""
    out = ["KTAP version 1", f"1..{len(run['rows'])}"]
    for number, row in enumerate(run["rows"], 1):
        word = "not ok" if row.status in ("fail", "timeout") else "ok"
        note = f" # SKIP {row.why}" if row.status == "skip" else f" # {row.why}" if row.why else ""
        out.append(f"{word} {number} {row.name}{note}")
    pathlib.Path(path).write_text("\n".join(out) + "\n")
