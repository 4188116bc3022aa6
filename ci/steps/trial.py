"""Boots commits of the series with chosen tests, and says how each ended.

The tests are those of the tip, so that they exist on every commit.
"""
import collections
import fnmatch
import hashlib
import re

from steps import boot, build, config, facts, image, prefixes, tables, verdict
from steps.host import Failure, say

SLOT = "proof"
RED = ("fail", "timeout", "panic", "hang", "no-result", "splat")
DIED = ("panic", "hang", "qemu", "no-result")
Outcome = collections.namedtuple("Outcome", "word why")


def console_of(console, test):
    """What the kernel said while a test ran."""
    match = re.search(rf"init: begin {re.escape(test)}\s*$(.*?)(?:init: end {re.escape(test)}\s*$|\Z)",
                      console, re.MULTILINE | re.DOTALL)
    return match.group(1) if match else ""


def outcome(run, console, row, allowed=()):
    """How a row (NAME, NAME/ROW or a glob) ended in a judged run: an Outcome.

    Words: pass, fail, timeout, skip; panic, hang, no-result when the guest
    ended while the test ran; splat when it passed and the kernel complained
    meanwhile; mixed when the rows of a glob differ; absent when it never ran.
    """
    test = row.split("/")[0]
    whole = next((r for r in run["rows"] if r.name == test), None)
    found = [r for r in run["rows"] if fnmatch.fnmatchcase(r.name, row)]
    if not found and row == test:
        found = [r for r in run["rows"] if r.name.startswith(test + "/")]
    if run.get("running") == test and (not found or whole in found):
        word = next((k for k in DIED if k in run["notes"]), "no-result")
        return Outcome(word, run["notes"].get(word, whole.why if whole else ""))
    if not found:
        if whole is not None and whole.status in ("timeout", "skip"):
            return Outcome(whole.status, whole.why)
        return Outcome("absent", f"{test} had no such row" if whole is not None or any(
            r.name.startswith(test + "/") for r in run["rows"]) else "it did not run")
    words = {r.status for r in found}
    if row == test and words > {"pass"}:
        words.discard("skip")           # a program whose rows partly have to be skipped
    if row == test and len(words) > 1:
        words.discard("pass")           # a program is red when a row of it is
    if len(words) > 1:
        return Outcome("mixed", ", ".join(f"{r.name} {r.status}" for r in found))
    word = words.pop()
    if word == "pass":
        splats = [s for s in verdict.splats(console_of(console, test))
                  if not any(p.search("\n".join(s)) for p in allowed)]
        if splats:
            return Outcome("splat", splats[0][0])
    return Outcome(word, next((r.why for r in found if r.status == word and r.why), ""))


class Trial:
    """Kernels, guests and boots for one arch."""
    def __init__(self, source, arch, jobs, out, accel=None, rows=None, fragments=()):
        self.source, self.jobs, self.out = source, jobs, out
        self.arch, self.fragments = config.tuned(arch, fragments), list(fragments)
        self.rows = rows or tables.tests()
        self.allowed = [a.regexp for a in tables.allowed_splats() if tables.any_glob(arch["name"], a.arch)]
        self.tip = build.kernel(source, source.tip, SLOT, self.arch, self.fragments, jobs,
                                out / "tip.log")
        self.guest = build.guest(arch, out / "guest.log")
        self.accel = accel or boot.pick_accel(arch, self.tip / "kernel", say)
        self.first = {}         # kernel id -> the first commit that has it
        for commit in (source.base, *(c for c, *_ in source.patches)):
            self.first.setdefault(prefixes.kernel_id(source, commit, arch), commit)
        self.boots = 0

    def has(self, row):
        """Whether the plan has that test."""
        return any(w[0] == "test" and w[1] == row.split("/")[0] for _, w in self.rows)

    def same_kernel(self, commit):
        """The first commit of the series with the very kernel of this one, or itself."""
        return self.first.get(prefixes.kernel_id(self.source, commit, self.arch), commit)

    def kernel(self, commit, own=False):
        """A commit's kernel; with its own selftests, too, if they are wanted."""
        if not own and self.same_kernel(commit) == self.same_kernel(self.source.tip):
            return self.tip
        return build.kernel(self.source, commit, SLOT, self.arch, self.fragments, self.jobs,
                            self.out / f"{commit[:12]}.build.log", programs=own)

    def boot(self, commit, rows, own=False):
        """Boot a commit once with those rows; return (judged, console)."""
        kernel = self.kernel(commit, own)
        self.boots += 1
        where = self.out / f"{self.boots:03}-{commit[:12]}"
        where.mkdir()
        image.make(kernel, self.tip, self.guest, self.rows, rows, where,
                   own=kernel if own else self.tip)
        ended = boot.run(self.arch, self.accel, kernel / "kernel", where / "initrd", where,
                         lambda text: say(f"{commit[:12]}: {text}"))
        (where / "initrd").unlink()

        def text(file):
            path = where / file
            return path.read_text(errors="replace") if path.exists() else ""
        judged = verdict.judge(text("console.log"), text("ktap.log"), ended, self.allowed)
        for bad in ("qemu", "boot"):
            if bad in judged["kinds"]:
                raise Failure(bad, judged["notes"][bad], where)
        return judged, text("console.log")

    def programs(self, commit, row):
        """A digest of what the tip adds to a commit's kernel for a row: programs, modules."""
        vm = self.tip / "selftests" / "vm"
        _, files, _ = image.plan(self.rows, [row], vm, vm, self.guest)
        return build.digest(*build.blobs_of(self.source, build.instruments(self.source, commit)),
                            *(hashlib.sha256(files[there].read_bytes()).hexdigest()
                              for there in sorted(files)))

    def key(self, commit, row, own):
        plan = " ".join(" ".join(words) for _, words in self.rows)
        files = self.source.tree_id(commit) if own else self.programs(commit, row)
        return build.digest(prefixes.kernel_id(self.source, commit, self.arch), files, plan, row,
                            self.guest.name, build.compiler(self.arch), self.accel,
                            self.arch.get("append", ""), *(p.pattern for p in self.allowed),
                            *self.fragments)

    def outcomes(self, commit, rows, own=False, fresh=False):
        """{row: Outcome} of a commit; own: with its own selftests.

        A guest that dies takes the tests behind it along: they get another
        one.  A splat among several rows of one program is nobody's: each row
        gets a guest of its own.
        """
        if not own:
            commit = self.same_kernel(commit)
        found = {}
        if not fresh:
            for row in rows:
                known = facts.load("trials", self.key(commit, row, own))
                if known:
                    found[row] = Outcome(known["word"], known["why"])
        new = run_all([r for r in rows if r not in found],
                      lambda some: self.boot(commit, some, own), self.allowed)
        for row, got in new.items():
            facts.store("trials", self.key(commit, row, own), got._asdict())
        return {**found, **new}


def run_all(rows, boot_once, allowed=()):
    """{row: Outcome}; boot_once(rows) gives (judged, console) of one guest."""
    found, queue = {}, [list(rows)] if rows else []
    while queue:
        batch = queue.pop(0)
        run, console = boot_once(batch)
        dead = run.get("running")
        again = []
        for row in batch:
            got = outcome(run, console, row, allowed)
            beside = [r for r in batch if r.split("/")[0] == row.split("/")[0]]
            if got.word == "absent" and dead and row.split("/")[0] != dead:
                again.append(row)
            elif got.word == "splat" and len(beside) > 1:
                queue.append([row])
            else:
                found[row] = got
        if again:
            queue.append(again)
    return found
