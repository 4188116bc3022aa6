"""What a guest's console and result channel say: pure functions, no I/O.

Kinds of failure, most telling first; a run may have several, never mixed up:
  qemu       the emulator did not start or died by itself
  boot       the kernel did not get as far as the first line of results
  panic      the kernel panicked
  hang       the guest stopped answering
  no-result  the guest ended by itself before its plan did
  timeout    a test ran out of its time and was killed
  splat      the kernel complained: WARNING, BUG, lockdep, KASAN, ...
  test       a test failed
"""
import re

KINDS = ("qemu", "boot", "panic", "hang", "no-result", "timeout", "splat", "test")

# First lines of what the kernel prints when it is unwell.
SPLAT = re.compile(
    r"WARNING: |BUG: |BUG at |kernel BUG|Oops\b|general protection fault|"
    r"Unable to handle |unable to handle |Internal error: |Bad page state|Bad page map|"
    r"Bad rss-counter|non-zero pgtables_bytes|INFO: task .* blocked for more than|"
    r"INFO: rcu_\w+ .*stall|rcu: INFO: |INFO: possible |INFO: suspicious|suspicious RCU usage|"
    r"possible circular locking|possible recursive locking|inconsistent lock state|"
    r"soft lockup|hard LOCKUP|UBSAN: |KASAN: |KCSAN: |kmemleak: .*suspected|"
    r"refcount_t: |list_(?:add|del) corruption|scheduling while atomic|"
    r"sleeping function called|Unbalanced (?:enable|disable)|"
    r"page dumped because(?!: gup_test dump|: unmovable page)|"
    r"VFS: Busy inodes|swap_(?:dup|free|info_get): |get_swap_device: Bad|"
    r"stack-protector: |double fault|invalid opcode: |unexpected IRQ trap|"
    r"Unhandled kernel |Kernel Fault|Kernel bug detected|\[#\d+\]")
PANIC = re.compile(r"Kernel panic - not syncing: ?(.*)")
STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
SPLAT_END = re.compile(r"---\[ end |^=+$|init: (?:begin|end) ")
SPLAT_LINES = 80


def splats(console):
    """The splats of a console as lists of lines, time stamps cut off.

    A splat starts at a line that SPLAT knows and ends at the kernel's own end
    mark, at the next test's begin mark, or after SPLAT_LINES lines; what
    matches inside belongs to it.
    """
    found, current = [], None
    for raw in console.splitlines():
        line = STAMP.sub("", raw.rstrip("\r"))
        if current is None:
            if SPLAT.search(line) and not PANIC.search(line):
                current = [line]
                found.append(current)
        elif SPLAT_END.search(line) and len(current) > 2:
            current.append(line)
            current = None
        else:
            current.append(line)
            if len(current) >= SPLAT_LINES:
                current = None
    return found


def panic(console):
    """The text of the kernel's panic, or None."""
    match = PANIC.search(console)
    return match.group(1).strip() or "panic" if match else None


class Row:
    """One result: status is pass, fail, skip or timeout."""
    def __init__(self, name, status, why="", seconds=None):
        self.name, self.status, self.why, self.seconds = name, status, why, seconds
        # The line of ci/known that covers it, or "fixed": no failure of the patched kernel.
        self.known = None

    def __repr__(self):
        return f"{self.status} {self.name}" + (f" ({self.why})" if self.why else "")


RUN = re.compile(r"# +RUN +(\S+)")
CHATTER = re.compile(r"# +(?:OK|FAIL|Totals)\b")  # what tells nothing of a failure
RESULT = re.compile(r"^(not ok|ok)\b\s*(\d+)?\s*-?\s*(.*)$")


def _result(line, name_of=lambda text: text):
    """Parse a KTAP result line into (number, Row), or None."""
    match = RESULT.match(line)
    if not match:
        return None
    text, _, directive = match.group(3).partition(" # ")
    if text.startswith("# "):
        text, directive = "", text[2:]
    # A count, as in "pages = 12", is no part of a name that is to be compared.
    text, directive = re.sub(r"= \d+", "= N", text.strip()), directive.strip()
    status, why = ("pass" if match.group(1) == "ok" else "fail"), directive
    if directive.upper().startswith("SKIP"):
        why = re.sub(r"^(SKIP\b[: ]*)+", "", directive, flags=re.IGNORECASE).strip()
        status = "skip"
        if not why:
            status, why = "fail", "skipped without a reason"
    elif directive.startswith("timeout"):
        status = "timeout"
    return match.group(2), Row(name_of(text), status, why)


def _close_test(number, row, nested, rows):
    """Turn a finished test and the results nested in it into rows.

    A TAP program is as many rows as it has results.  It is a row of its own,
    too, when it ended otherwise than its results say: by a signal, a timeout,
    with fewer results than it planned, or with an exit code that they don't
    explain.
    """
    subs, planned = nested["rows"], nested["planned"]
    for sub in subs:
        sub.name = f"{row.name}/{sub.name}"
    rows.extend(subs)
    bad = [s for s in subs if s.status in ("fail", "timeout")]
    if planned is not None and planned != len(subs) and row.status != "skip" \
            and row.status != "timeout":
        if subs or planned:
            row.status = "fail"
            row.why = (f"planned {planned} results, gave {len(subs)}"
                       + (f", {row.why}" if row.why else ""))
            rows.append(row)
            return
    if not subs or (row.status in ("fail", "timeout") and
                    not (bad and row.why.startswith("exit="))):
        rows.append(row)
    elif bad and row.status == "pass":
        row.status, row.why = "fail", "exit code 0 although a result is not ok"
        rows.append(row)


def results(ktap):
    """Parse the result channel.

    Return a dict: rows, planned (tests), done (tests with a result), running
    (the test that was begun and has no result), setup (what could not be
    prepared), ended (the guest came to the end of its plan), bail (why not),
    seconds (of each test).
    """
    out = {"rows": [], "planned": None, "done": 0, "running": None,
           "setup": [], "ended": False, "bail": None, "seconds": {}}
    nested = {"rows": [], "planned": None}
    last_nested, begun, seconds = "", "", out["seconds"]
    for line in ktap.splitlines(keepends=True):
        whole = line.endswith("\n")
        line = line.rstrip("\r\n")
        if line.startswith("    "):
            text = line[4:]
            got = _result(text) if whole else None
            plan = re.match(r"1\.\.(\d+)", text)
            if got:
                number, row = got
                # The harness of 5.10 names a test that it skips only when it starts it.
                # Other programs name it in the reason: "ok 3 # SKIP NAME: why", and
                # "not ok 3 # error NAME: why".
                word = "error " if row.status == "fail" else ""
                named = re.match(rf"{word}(\S+): (.+)", row.why)
                row.name = row.name or begun
                if not row.name and row.status in ("skip", "fail") and named:
                    row.name, row.why = named.groups()
                row.name = row.name or number or "?"
                if row.status == "fail" and not row.why:
                    row.why = last_nested[2:].strip()
                taken = {r.name for r in nested["rows"]}
                if row.name in taken:
                    row.name += f"#{number or len(taken) + 1}"
                nested["rows"].append(row)
                last_nested = ""
            elif plan:
                nested["planned"] = int(plan.group(1))
            elif RUN.match(text):
                begun = RUN.match(text).group(1)
            elif text.startswith("# ") and not CHATTER.match(text) and \
                    ":Expected " not in last_nested:
                last_nested = text
        elif line.startswith("# begin "):
            out["running"] = line[8:]
            nested, last_nested, begun = {"rows": [], "planned": None}, "", ""
        elif line.startswith("# seconds "):
            name, _, value = line[10:].rpartition(" ")
            try:
                seconds[name] = float(value)
            except ValueError:
                pass
        elif line.startswith("# setup: "):
            out["setup"].append(line[9:])
        elif line == "# end":
            out["ended"] = True
        elif line.startswith("Bail out!"):
            out["bail"] = line[9:].strip()
        elif re.match(r"1\.\.\d+$", line):
            out["planned"] = int(line[3:])
        elif whole:
            got = _result(line)
            if got:
                number, row = got
                row.seconds = seconds.get(row.name)
                if row.status == "fail" and not nested["rows"] and last_nested:
                    row.why += ": " + last_nested[2:].strip()
                _close_test(number, row, nested, out["rows"])
                out["done"] += 1
                out["running"] = None
    if out["running"]:
        out["rows"].extend(nested["rows"])
        for sub in nested["rows"]:
            sub.name = f"{out['running']}/{sub.name}"
    return out


def judge(console, ktap, ended_by, allowed=()):
    """Judge one run of a guest.

    ended_by: "exit" (QEMU ended by itself, status 0), "qemu" (it failed),
    "boot" (no result in time), "hang" (stopped answering; what it says when it
    is asked for its stacks is no panic of its own).  allowed: compiled
    patterns of splats that are not held against the kernel.  Return a dict
    with kinds (in the order of KINDS), rows, splats, and notes (one line for
    each kind that says what happened).
    """
    res = results(ktap)
    all_splats = splats(console)
    bad_splats = [s for s in all_splats
                  if not any(p.search("\n".join(s)) for p in allowed)]
    why = panic(console) if ended_by != "hang" else None
    notes = {}
    started = res["planned"] is not None
    where = f" in {res['running']}" if res["running"] else ""
    if why:
        notes["panic"] = why + where
    elif ended_by == "qemu":
        notes["qemu"] = "the emulator failed, see qemu.log"
    elif not started:
        notes["boot"] = "no result from the guest's init"
    elif ended_by == "hang":
        notes["hang"] = "the guest stopped answering" + where
    elif res["bail"]:
        notes["hang"] = res["bail"]
    elif not res["ended"] or res["done"] != res["planned"]:
        notes["no-result"] = (f"{res['done']} of {res['planned']} tests have a "
                              f"result" + (f", it ended{where}" if where else ""))
    if res["running"]:
        what = next((k for k in ("panic", "hang", "qemu", "no-result") if k in notes),
                    "no-result")
        res["rows"].append(Row(res["running"], "fail", f"{what} while it ran"))
    late = [r for r in res["rows"] if r.status == "timeout"]
    if late:
        notes["timeout"] = ", ".join(r.name for r in late)
    if bad_splats:
        notes["splat"] = f"{len(bad_splats)}, first: {bad_splats[0][0]}"
    failed = [r for r in res["rows"] if r.status == "fail"]
    if failed:
        notes["test"] = f"{len(failed)} of {len(res['rows'])} rows fail"
    res.update(kinds=[k for k in KINDS if k in notes], notes=notes,
               splats=bad_splats, allowed_splats=len(all_splats) - len(bad_splats))
    return res
