"""What a run leaves for machines: run.json of one arch.

It is written anew at the begin of each step, so it is there however the run
ends; steps/html.py makes the report of it.
"""
import contextlib
import json
import os
import shlex
import sys
import threading
import time

STEPS = ("source", "config", "build", "image", "boot", "tests", "splats")
UNFINISHED = "not finished"
TAIL = 40  # lines of a log that are kept when something went wrong


def tail(path):
    """The last lines of a text file; empty when there is none."""
    try:
        with open(path, errors="replace") as file:
            return "\n".join(file.read().splitlines()[-TAIL:])
    except OSError:
        return ""


def write(path, text):
    """Write a file as a whole or not at all."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8", errors="replace")
        half.rename(path)
    finally:
        half.unlink(missing_ok=True)


class Record:
    """The record of one arch; a context in which a failure is the arch's own.

    data is what run.json holds.  data["steps"][STEP][KERNEL] has a step's status
    (running, ok, failed, stopped), its seconds and a reason; KERNEL is empty for
    what both kernels share.  A step that is not there was not reached.
    """
    def __init__(self, out, arch, kernels, options):
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.lock, self.start, self.open = out, threading.Lock(), None, {}
        self.data = {
            "arch": arch, "options": options, "verdict": UNFINISHED, "failure": None,
            "started": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            "command": shlex.join(["ci/run", *sys.argv[1:]]), "seconds": None, "steps": {},
            "facts": {}, "kernels": {name: {} for name in kernels}, "known": {},
            "complaints": []}
        self.save()

    def save(self):
        write(self.out / "run.json", json.dumps(self.data, indent=1) + "\n")

    def __enter__(self):
        self.start = time.monotonic()
        return self

    def __exit__(self, kind, error, trace):
        self.data["seconds"] = round(time.monotonic() - self.start, 1)
        if error:
            self.failed(error)
        self.save()

    def failed(self, error):
        """Remember the first failure; what is stopped because of it comes later."""
        if self.data["failure"]:
            return
        stopped = isinstance(error, KeyboardInterrupt)
        log = getattr(error, "log", None)
        self.data["verdict"] = "stopped" if stopped else "FAIL"
        self.data["failure"] = {
            "kind": "stopped" if stopped else getattr(error, "kind", "harness"),
            "why": "stopped by its user" if stopped else str(error) or repr(error),
            "log": str(log or ""), "tail": tail(log) if log else ""}

    @contextlib.contextmanager
    def steps(self, kernel=""):
        """Give begin(STEP, NOTE), which also ends the step before it."""
        def begin(step, note=""):
            with self.lock:
                self._end(kernel, "ok")
                now = self.data["steps"].setdefault(step, {}).setdefault(
                    kernel, {"seconds": 0, "why": note})
                now["status"] = "running"
                self.open[kernel] = now, time.monotonic()
                self.save()

        status, why = "ok", ""
        try:
            yield begin
        except BaseException as error:
            status = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            why = "" if status == "stopped" else str(error)
            self.failed(error)
            raise
        finally:
            with self.lock:
                self._end(kernel, status, why)
                self.save()

    def _end(self, kernel, status, why=""):
        now, since = self.open.pop(kernel, (None, None))
        if now:
            now["status"], now["why"] = status, why or now["why"]
            now["seconds"] = round(now["seconds"] + time.monotonic() - since, 2)

    def judged(self, kernel, run, kinds, where):
        """Take over what became of a kernel; kinds: what is not known to fail."""
        steps, notes = self.data["steps"], dict(run["notes"])
        for kind, status in (("test", "fail"), ("timeout", "timeout")):
            red = [r.name for r in run["rows"] if r.status == status and not r.known]
            if kind in kinds:
                notes[kind] = f"{len(red)} unexpected: {', '.join(red[:3])}" + \
                    (", ..." if len(red) > 3 else "")
        for kind in kinds:
            step = "splats" if kind == "splat" else \
                "tests" if kernel in steps.get("tests", {}) else "boot"
            now = steps.setdefault(step, {}).setdefault(kernel, {"seconds": 0, "why": ""})
            now["status"] = "failed"
            now["why"] = "; ".join(filter(None, [now["why"], f"{kind}: {notes[kind]}"]))
        rows = []
        for row in run["rows"]:
            known = row.known
            if known not in (None, "fixed"):
                self.data["known"][known.where] = [known.rows, known.until, known.why]
                known = known.where
            rows.append([row.name, row.status, row.why, row.seconds, known])
        died = {"qemu", "boot", "panic", "hang", "no-result"} & set(kinds)
        splats = where / "splats.txt"
        self.data["kernels"][kernel].update(
            kinds=kinds, notes=notes, rows=rows, seconds=run["seconds"],
            setup=run["setup"], absent=run.get("absent", {}),
            allowed_splats=run["allowed_splats"],
            splats=splats.read_text(errors="replace") if run["splats"] else "",
            console=tail(where / "console.log") if died else "",
            qemu_log=tail(where / "qemu.log") if died else "",
            qemu=tail(where / "qemu.cmd"))
