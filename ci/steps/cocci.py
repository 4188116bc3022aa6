"""The tree's coccinelle rules on single C files, as scripts/coccicheck runs them.

What a rule says depends on the file's text only, so it is kept by that.
"""
import concurrent.futures
import pathlib
import re
import subprocess
import tempfile

from steps import build, facts, host
from steps.host import say

LIMIT = 30  # seconds for a rule on a file; a few rules never end on some files


class Rules:
    """The rules of a commit's scripts/coccinelle; but: not those that this commit has."""
    def __init__(self, source, commit, arch, jobs, but=None):
        self.source, self.jobs = source, jobs
        self.version = subprocess.run(["spatch", "--version"], text=True, check=True,
                                      stdout=subprocess.PIPE).stdout
        names = self.names(commit)
        if but:
            there = self.names(but)
            names = [n for n in names if n not in there]
        self.texts = {n: source.git("show", f"{commit}:scripts/coccinelle/{n}") for n in names}
        self.id = (build.digest(*self.texts, *self.texts.values()) if but else
                   source.git("rev-parse", f"{commit}:scripts/coccinelle"))
        self.folder = host.cache() / "trees" / "each"
        self.includes = [a for i in (f"arch/{arch['make'].partition('=')[2]}/include", "include")
                         for a in ("-I", str(self.folder / i))]

    def names(self, commit):
        """The files of a commit's rules."""
        listed = self.source.git("ls-tree", "-r", "--name-only", f"{commit}:scripts/coccinelle")
        return [n for n in listed.splitlines() if n.endswith(".cocci")]

    def look(self, commit, file):
        """{rule: lines} of what is said of a file, with "" for what gave no answer."""
        if not self.texts or not self.source.has(commit, file):
            return {}
        blob = self.source.git("rev-parse", f"{commit}:{file}")
        key = build.digest(blob, file, self.id, self.version, str(LIMIT))
        known = facts.load("cocci", key)
        if "said" in known:
            return known["said"]
        say(f"coccinelle: {len(self.texts)} rules on {file}")
        with tempfile.TemporaryDirectory(prefix="mmquilt-") as work:
            work = pathlib.Path(work)
            (work / file).parent.mkdir(parents=True)
            (work / file).write_text(self.source.git("show", f"{commit}:{file}") + "\n")
            for name, text in self.texts.items():
                (work / "rules" / name).parent.mkdir(parents=True, exist_ok=True)
                (work / "rules" / name).write_text(text + "\n")
            with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
                jobs = {name: pool.submit(self.apply, name, work, file) for name in self.texts}
                try:
                    answers = {name: job.result() for name, job in jobs.items()}
                except BaseException:
                    host.STOP.set()
                    pool.shutdown(cancel_futures=True)
                    raise
        said = {name: lines for name, lines in answers.items() if lines}
        facts.store("cocci", key, {"said": said})
        return said

    def apply(self, name, work, file):
        """One rule on the file; None in the list stands for no answer."""
        if host.STOP.is_set():
            return []
        option = re.search(r"^// *Options: *(.*)$", self.texts[name], re.MULTILINE)
        options = option.group(1).split() if option else []
        try:
            done = subprocess.run(
                ["spatch", "-D", "report", "--no-show-diff", "--very-quiet", "--cocci-file",
                 work / "rules" / name, *options, file, *self.includes],
                cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                stderr=subprocess.DEVNULL, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return [None]
        if done.returncode:
            return [None]
        return sorted(reports(done.stdout, file))


def reports(text, file):
    """The reports in spatch's output, without what moves when code moves."""
    for line in text.splitlines():
        match = re.match(re.escape(file) + r":\d+(?::\d+(?:-\d+)?)?: *(.*)", line)
        if match:
            yield f"{file}: " + re.sub(r"\bline \d+", "line N", match.group(1))


def silent(said):
    """The rules that gave no answer."""
    return sorted(name for name, lines in said.items() if None in lines)


def lines(said, *but):
    """All reports of a file, without those of the rules named."""
    return [line for name, found in said.items() if name not in but
            for line in found if line is not None]
