"""The report for people: one HTML file, made of the run.json of one or more arches.

It loads nothing and runs nothing.  What comes from a guest goes through text().
"""
import base64
import collections
import html
import json
import pathlib
import re

from steps import record, report
from steps.host import TOP, Failure
from steps.verdict import Row

PARALLEL = ("image", "boot", "tests", "splats")  # both kernels at once
WORST = ("failed", "stopped", "running", "not reached", "ok")
MARKS = {"failed": "bad", "stopped": "bad", "running": "bad", "not reached": "dim",
         "FAIL": "bad", record.UNFINISHED: "bad", "PASS": "good", "ok": "good"}
OPEN = 40               # a longer list of changes is folded
SPLATS_SHOWN = 60000    # characters for each kernel
LATEST_BENCH = TOP / "out" / "latest-bench"

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --soft: #f1f1ee;
  --line: #c9c9c4; --dim: #63635e; --bad: #fff; --bad-paper: #b3001b; --known: #7a4b00;
  --good: #126b2e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e3; --paper: #17181a;
  --soft: #24262a; --line: #474a50; --dim: #a2a29c; --bad-paper: #b3202f;
  --known: #efb75e; --good: #7fd49a; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 0 auto; max-width: 84rem; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; } h1 { font-size: 1.6rem; } h3 { font-size: 1.05rem; }
p.bad { padding: .3rem .55rem; }
h2 { border-top: 2px solid var(--line); padding-top: 1rem; margin-top: 2.5rem; }
a { color: inherit; }
:focus-visible { outline: 3px solid #2f7de1; outline-offset: 2px; }
.wide { overflow-x: auto; margin: .5rem 0 1.25rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--dim); padding: .25rem 0; }
th, td { border: 1px solid var(--line); padding: .2rem .55rem; text-align: left;
  vertical-align: top; }
thead th { background: var(--soft); } tbody th { font-weight: 500; }
section caption { position: absolute; clip-path: inset(50%); white-space: nowrap; }
td, tbody th { overflow-wrap: anywhere; min-width: 9rem; } .time { text-align: right; }
.word, .time { min-width: 0 !important; white-space: nowrap; overflow-wrap: normal; }
.word.dim { white-space: normal; }
.bad { background: var(--bad-paper); color: var(--bad); font-weight: 700; }
.good { color: var(--good); } .known { color: var(--known); } .dim { color: var(--dim); }
pre { background: var(--soft); border: 1px solid var(--line); padding: .6rem;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; margin: .4rem 0; }
details { margin: .3rem 0; } summary { cursor: pointer; padding: .15rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; background: #fff; }
@media (max-width: 40rem) { body { padding: .6rem; font-size: 14px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin: 0 0 .4rem 1rem; } }
@media print { body { max-width: none; font-size: 9pt; padding: 0; } .wide { overflow: visible; }
  tr, pre, img { break-inside: avoid; } h2, h3, caption { break-after: avoid; }
  .bad { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


class Raw(str):
    """HTML as it is to stand in the file."""


def text(value):
    """Any text as HTML; what a terminal or a reader may stumble over is shown as such."""
    if isinstance(value, Raw):
        return value
    safe = re.sub(r"[^\t\n\x20-\x7e\xa0-\u200a\u2010-\u2027\u2030-\u205f\u2070-\ud7ff"
                  r"\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffd]", "\ufffd", str(value))
    return Raw(html.escape(safe))


def tag(name, content="", **attributes):
    """An element; content as text() takes it."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
                    for key, value in attributes.items() if value is not None)
    return Raw(f"<{name}{given}>{text(content)}</{name}>")


def join(parts, by="\n"):
    return Raw(by.join(text(part) for part in parts))


def marked(word, mark=None):
    """A status: a word, and a colour for those who see it."""
    return word, MARKS.get(word, "") if mark is None else mark


def table(caption, head, lines):
    """A table; a line is its cells, each a text or a pair of text and mark."""
    def cell(value, first):
        value, mark = value if isinstance(value, tuple) else (value, None)
        shown = {"class_": f"word {mark}".strip() if mark is not None else None}
        return tag("th", value, scope="row", **shown) if first else tag("td", value, **shown)

    body = join(tag("tr", join((cell(value, not number) for number, value in enumerate(line)),
                               "")) for line in lines)
    content = join([tag("caption", caption),
                    tag("thead", tag("tr", join((tag("th", h, scope="col") for h in head), ""))),
                    tag("tbody", body)])
    return tag("div", tag("table", content), class_="wide", role="region", tabindex="0",
               aria_label=caption)


def details(summary, content, opened=False):
    return Raw(f"<details{' open' if opened else ''}>{tag('summary', summary)}\n"
               f"{text(content)}</details>")


def seconds(value):
    return "" if value is None else f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


def label(run):
    return " ".join([run["arch"], *run["options"]])


def load(path):
    """A run.json, with Rows in place of lists."""
    try:
        run = json.loads(path.read_text())
        run["path"] = path.parent
        lines = {where: Line(where, *rest) for where, rest in run["known"].items()}
        for kernel in run["kernels"].values():
            rows = []
            for name, status, why, took, known in kernel.get("rows", []):
                rows.append(Row(name, status, why, took))
                rows[-1].known = lines.get(known, known)
            kernel["rows"] = rows
        run["lines"] = sorted(lines.values(), key=lambda line: int(line.where.split(":")[1]))
        return run
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure("harness", f"{path}: no record of a run: {error!r}") from error


Line = collections.namedtuple("Line", "where rows until why")


def find(folders):
    """The run.json files in or below result directories, one of each."""
    found = []
    for folder in folders:
        here = [p for p in (folder / "run.json", *sorted(folder.glob("*/run.json")))
                if p.is_file()]
        if not here:
            raise Failure("harness", f"{folder}: no run.json in it; ci/run leaves one "
                                     "for each arch")
        found += here
    return list(dict.fromkeys(p.resolve() for p in found))


# The whole run

def step_cell(run, step):
    """A step of an arch: the worst of its kernels, and the time it took."""
    seen = run["steps"].get(step, {})
    states = [s["status"] for s in seen.values()]
    if step != "source":
        states += ["not reached"] * len(run["kernels"].keys() - seen.keys())
    word = min(states or ["not reached"], key=WORST.index)
    took = [s["seconds"] for s in seen.values()]
    total = max(took, default=0) if step in PARALLEL else sum(took)
    return marked(f"{word} {seconds(total)}" if word != "not reached" else word, MARKS[word])


def matrix(runs):
    lines = []
    for number, run in enumerate(runs, 1):
        policy = len(run["complaints"])
        lines.append([tag("a", label(run), href=f"#run-{number}"), marked(run["verdict"]),
                      *(step_cell(run, step) for step in record.STEPS),
                      marked(f"failed: {policy}", "bad") if policy
                      else marked("ok" if run["verdict"] in ("PASS", "FAIL") and not run["failure"]
                                  else "not reached"),
                      (seconds(run["seconds"]), "time")])
    return table("Arch by step. The kernels are built one after the other (their times are added) "
                 "and tested at once (the longer time). Policy: ci/known and ci/splats "
                 "against what was seen.",
                 ["arch", "verdict", *record.STEPS, "policy", "all"], lines)


def wrong(runs):
    """A table of everything that makes a run red."""
    lines = []
    for number, run in enumerate(runs, 1):
        at = tag("a", label(run), href=f"#run-{number}")
        if run["failure"]:
            lines.append([at, "", marked(run["failure"]["kind"], "bad"), run["failure"]["why"]])
        for name, kernel in run["kernels"].items():
            for kind in kernel.get("kinds", []):
                lines.append([at, (name, ""), marked(kind, "bad"), kernel["notes"].get(kind, "")])
        lines += [[at, "", marked("policy", "bad"), line] for line in run["complaints"]]
        if run["verdict"] == record.UNFINISHED and not run["failure"]:
            lines.append([at, "", marked(record.UNFINISHED, "bad"),
                          "it was not its turn, or the run was killed"])
    return table("What is wrong", ["arch", "kernel", "kind", "what"], lines) if lines \
        else tag("p", "Nothing is wrong: every failure is a known one, or the series mends it.")


# One arch

def about(run):
    facts = run["facts"]
    commits = facts.get("commits", {})
    lines = [("started", run["started"]), ("command", run["command"])]
    if facts:
        lines += [("base", f"{facts['base']}, commit {commits['base']}"),
                  ("patched", f"base + {facts['patches']} patches, commit {commits['patched']}"),
                  ("topics", ", ".join(facts["topics"]) or "none is complete"),
                  ("accelerator", facts.get("accel", "not chosen yet")),
                  ("QEMU", facts["qemu"]), ("compiler", facts["compiler"])]
        lines += [(f"configuration, {kernel}", "allnoconfig + " + ", ".join(names))
                  for kernel, names in facts["config"].items()]
    return tag("dl", join(join([tag("dt", key), tag("dd", value)], "") for key, value in lines))


def steps(run):
    columns = list(dict.fromkeys(["", *run["kernels"],
                                  *(k for s in run["steps"].values() for k in s)]))
    lines = []
    for step in record.STEPS:
        seen = run["steps"].get(step, {})
        line, reasons = [marked(step)], []
        for kernel in columns:
            now = seen.get(kernel)
            line.append(marked(f"{now['status']} {seconds(now['seconds'])}",
                               MARKS[now["status"]]) if now else marked("-", "dim"))
            if now and now["why"]:
                reasons.append(f"{kernel or 'both'}: {now['why']}")
        lines.append([*line, "; ".join(reasons)])
    return table(f"Steps of {label(run)}", ["step", *(k or "both" for k in columns), "note"], lines)


def row_cell(row):
    word = report.cell(row)
    if row is None or row.status == "pass":
        return marked(word, "dim" if row is None else "")
    if row.status == "skip":
        return marked(word, "dim")
    return marked(word, "bad" if not row.known else "" if row.known == "fixed" else "known")


def row_line(name, shown, rows):
    """A row of both kernels, what became of it, and why."""
    pair = [report.counterpart(name, of) for of in rows.values()]
    why = {}
    for kernel, row in zip(rows, pair):
        if row and row.status != "pass":
            known = getattr(row.known, "where", "")
            why[kernel] = " ".join(filter(None, [row.why, known and f"({known})"]))
    same = len(set(why.values())) == 1
    reasons = list(why.values())[:1] if same else [f"{k}: {v}" for k, v in why.items()]
    change = [marked(report.change(*pair))] if len(pair) == 2 else []
    return [shown, *map(row_cell, pair), *change, "; ".join(reasons)]


def tests(run, runs, rows):
    """The tests, then every row of those that have more than one."""
    both = ["change"] if len(rows) == 2 else []
    lines, folded = [], []
    for test, members in report.groups(runs).items():
        cells = []
        for of in rows.values():
            here = [of[m] for m in members if m in of]
            red = any(r.status in ("fail", "timeout") and not r.known for r in here)
            cells.append(marked(report.group_cell(here), "bad" if red else ""))
        took = [(seconds(kernel.get("seconds", {}).get(test)), "time") for kernel in runs.values()]
        lines.append([test, *cells, *([report.changes(members, rows)] if both else []), *took])
        if len(members) > 1 or any(r.why for of in rows.values() for r in [of.get(members[0])]
                                   if r):
            folded.append(details(
                f"{test}: " + ", ".join(f"{kernel} {value[0]}" for kernel, value in
                                        zip(rows, cells)),
                table(f"Every row of {test} on {label(run)}", ["row", *rows, *both, "why"],
                      [row_line(m, m.partition("/")[2] or m, rows) for m in members])))
    return [tag("h3", "Tests"),
            tag("p", "A star is a known failure, its reason stands below."),
            table(f"Test by kernel on {label(run)}, with the time that each took",
                  ["test", *rows, *both, *(f"{k}, time" for k in rows)], lines),
            *([tag("h3", "Every row"), *folded] if folded else [])]


def kernel_logs(name, kernel):
    """What a kernel said, where it matters."""
    out = []
    if kernel.get("splats"):
        shown = kernel["splats"][:SPLATS_SHOWN]
        more = len(kernel["splats"]) - len(shown)
        out.append(details(f"Splats of {name}, decoded", join([
            tag("pre", shown),
            *([tag("p", f"{more} more characters are in {name}/splats.txt")] if more else [])]),
            opened=True))
    if kernel.get("allowed_splats"):
        out.append(tag("p", f"{name}: {kernel['allowed_splats']} splats are allowed by ci/splats"))
    for key, what in (("console", "console"), ("qemu_log", "QEMU's own log")):
        if kernel.get(key):
            out.append(details(f"End of the {what} of {name}", tag("pre", kernel[key]),
                               opened=True))
    out += [tag("p", f"{name}: the guest could not {what}") for what in kernel.get("setup", [])]
    out += [tag("p", f"{name}: {test} did not run: {why}")
            for test, why in kernel.get("absent", {}).items()]
    return out


def arch(number, run, alone):
    """The section of one arch; folded when it is green and not alone."""
    runs = {name: kernel for name, kernel in run["kernels"].items() if kernel["rows"]}
    rows = {name: {row.name: row for row in kernel["rows"]} for name, kernel in runs.items()}
    out = [about(run)]
    if run["failure"]:
        out.append(tag("p", f"{run['failure']['kind']}: {run['failure']['why']}"
                       + (f"; log: {run['failure']['log']}" if run["failure"]["log"] else ""),
                       class_="bad"))
        if run["failure"]["tail"]:
            out.append(details(f"End of {pathlib.Path(run['failure']['log']).name}",
                               tag("pre", run["failure"]["tail"]), opened=True))
    if run["complaints"]:
        out += [tag("h3", "Policy"), tag("ul", join(tag("li", c) for c in run["complaints"]))]
    out += [tag("h3", "Steps"), steps(run)]
    head = ["row", *rows, *(["change"] if len(rows) == 2 else []), "why"]
    names = [m for members in report.groups(runs).values() for m in members]
    pairs = {m: [report.counterpart(m, of) for of in rows.values()] for m in names}
    red = [m for m in names if any(r and r.status in ("fail", "timeout") and not r.known
                                   for r in pairs[m])]
    if red:
        out += [tag("h3", "Red rows"),
                table(f"Rows that fail and are not known to on {label(run)}", head,
                      [row_line(m, m, rows) for m in red])]
    for name, kernel in run["kernels"].items():
        out += kernel_logs(name, kernel)
    if len(rows) == 2:
        changed = collections.defaultdict(list)
        for m in names:
            changed[report.change(*pairs[m])].append(m)
        changed.pop("same", None)
        lines = [row_line(m, m, rows) for word in ("broken", "lost", "gone", "fixed", "new")
                 for m in changed.get(word, [])]
        if lines:
            said = ", ".join(f"{len(of)} {word}" for word, of in changed.items())
            out += [tag("h3", "Rows that differ"), details(
                said, table(f"Rows that differ between the kernels on {label(run)}", head, lines),
                opened=len(lines) <= OPEN)]
    if rows:
        out += tests(run, runs, rows)
    if run["lines"]:
        count = collections.Counter(row.known for kernel in runs.values()
                                    for row in kernel["rows"] if isinstance(row.known, Line))
        out += [tag("h3", "Known failures"), details(
            f"{len(run['lines'])} lines of ci/known cover {sum(count.values())} results",
            table(f"Known failures of {label(run)}: their reason, and the topic that ends them",
                  ["line", "rows", "until", "why", "results"],
                  [[(line.where, ""), line.rows, line.until, line.why, (str(count[line]), "time")]
                   for line in run["lines"]]))]
    lines = [(name, kernel["qemu"]) for name, kernel in run["kernels"].items()
             if kernel.get("qemu")]
    if lines:
        out += [tag("h3", "QEMU"), *(details(f"Command line of {name}", tag("pre", line))
                                     for name, line in lines)]
    all_of_it = join(out) if alone else details(f"All of {label(run)}", join(out),
                                                opened=run["verdict"] != "PASS")
    return tag("section", join([tag("h2", f"{label(run)}: {run['verdict']}"), all_of_it]),
               id=f"run-{number}")


# The bench

def figures(facts):
    """The counts of bench.json as a table; the first kernel is the measure."""
    kernels = {name: kernel["rows"] for name, kernel in facts["kernels"].items()}
    first, *others = kernels
    lines = []
    for row in dict.fromkeys(r for rows in kernels.values() for r in rows):
        counts = [rows.get(row) or {"status": "no such row"} for rows in kernels.values()]
        cost = [c.get("instructions") for c in counts]
        said = [marked(c["status"], "bad" if c["status"] == "fail" else "dim") if n is None
                else (f"{n:.0f}" if n >= 1000 else f"{n:.1f}", "time")
                for c, n in zip(counts, cost)]
        times = [(f"{n / cost[0]:.3f}" if n and cost[0] else "-", "time") for n in cost[1:]]
        copies = [("-" if c.get("copies") is None else
                   f"{c['copies']:.3g}" + (" needed" if c["needed"] else ""), "time")
                  for c in counts]
        lines.append([row, *said, *times, *copies])
    return table(f"Instructions on {facts['arch']}, how many times those of {first}, and copies "
                 "of 4 KiB pages; needed: somebody else has the page, it has to be copied",
                 ["row", *kernels, *(f"{name}, times" for name in others),
                  *(f"{name}, copies" for name in kernels)], lines)


def bench(folder, asked, runs):
    """The bench of these kernels, or how to get one."""
    out = [tag("h2", "Bench", id="bench")]
    ours = [run["facts"]["commits"] for run in runs if run["facts"]]
    try:
        facts = json.loads((folder / "bench.json").read_text())
        theirs = {name: facts["kernels"][name]["commit"] for name in ("base", "patched")}
        picture = (folder / "bench.svg").read_bytes()
        shown = figures(facts)
    except FileNotFoundError as error:
        if asked:
            raise Failure("harness", f"{error.filename} is missing: --bench names "
                                     "a result directory of ci/bench") from error
        theirs = None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Failure("harness", f"{folder}/bench.json: no result of ci/bench: "
                                 f"{error!r}") from error
    if theirs is None or not (theirs in ours or asked):
        out.append(tag("p", "There was no bench of these kernels.  ci/bench makes one; then "
                            "ci/report makes this report again, with its picture."))
        return join(out)
    if theirs not in ours:
        out.append(tag("p", "This bench is of other kernels: " + ", ".join(
            f"{name} {commit}" for name, commit in theirs.items()), class_="bad"))
    data = base64.b64encode(picture).decode()
    out += [tag("p", Raw(f'<img src="data:image/svg+xml;base64,{data}" '
                         'alt="The bench picture; the table has its figures">')), shown]
    out += [tag("p", line, class_="bad") for line in facts.get("complaints", [])]
    return join(out)


def page(runs, picture):
    """The whole document."""
    good = all(run["verdict"] == "PASS" for run in runs)
    count = collections.Counter(run["verdict"] for run in runs)
    verdict = "PASS" if good else ", ".join(f"{n} {word}" for word, n in count.items()) \
        if len(runs) > 1 else runs[0]["verdict"]
    facts = next((run["facts"] for run in runs if run["facts"]), {})
    what = f"{facts['base']} + {', '.join(facts['topics']) or 'no topic'}" if facts \
        else "no source"
    differ = len({json.dumps(run["facts"]["commits"]) for run in runs if run["facts"]}) > 1
    body = [tag("h1", f"mmquilt on {what}: {verdict}"),
            *([tag("p", "These runs are not all of the same commits; each section names its own.",
                   class_="bad")] if differ else []),
            matrix(runs), wrong(runs), tag("p", tag("a", "The bench", href="#bench")),
            *(arch(n, run, len(runs) == 1) for n, run in enumerate(runs, 1)), picture]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return "\n".join([
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        tag("title", f"{verdict}: mmquilt on {what}"), f"<style>{STYLE}</style>", "</head>",
        "<body>", tag("main", join(body)), "</body>", "</html>", ""])


def runs(folders):
    """What result directories hold, an arch each."""
    return [load(p) for p in find(folders)]


def write(folders, path, bench_folder=None):
    """Make the report of result directories."""
    all_of = runs(folders)
    record.write(path, page(all_of, bench(bench_folder or LATEST_BENCH, bool(bench_folder),
                                          all_of)))
