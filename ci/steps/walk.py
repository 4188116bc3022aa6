"""One work tree that walks along the commits and is compiled with W=1 at each,
so that only what changed is compiled; what was said of each object is kept."""
import json
import os
import pathlib
import re
import shutil
import tempfile

from steps import boot, build, config, facts, host, image, prefixes, verdict, warnings
from steps.host import Failure, say

SLOT = "each"
ENVIRONMENT = re.compile(r"No space left|Killed|ccache: error|Cannot allocate")

# An arch's Makefile may say -Werror, to its own: what W=1 adds is no error there, either.
LENIENT = " ".join(f"-Wno-error={name}" for name in (
    "unused", "unused-but-set-variable", "unused-const-variable", "missing-declarations",
    "missing-prototypes", "suggest-attribute=format", "old-style-definition",
    "old-style-declaration", "missing-include-dirs", "stringop-truncation", "empty-body",
    "override-init", "cast-function-type", "packed-not-aligned"))


class Walk:
    """The state of the walk for one arch."""
    def __init__(self, source, arch, jobs, out):
        self.source, self.arch, self.jobs, self.out = source, arch, jobs, out
        self.compiler = build.compiler(arch)

    def wanted(self, commit):
        return config.wanted(config.fragments(self.arch, [],
                                              lambda path: self.source.has(commit, path)))

    def key(self, commit):
        """The same for two commits whose kernels are built from the same files."""
        return build.digest(prefixes.kernel_id(self.source, commit, self.arch),
                            "\n".join(self.wanted(commit).values()), self.compiler,
                            self.arch["make"], self.arch["target"], "W=1 1")

    def look(self, commit, name, sparse=(), alive=False):
        """The facts of a commit's kernel; compile it if they are not known.

        warnings: {object: lines}; sparse: {C file: lines, or None when no
        object is made of it}; alive: "" when it boots, else why not; or error:
        the first line of a build that failed.
        """
        key = self.key(commit)
        known = facts.load("kernel", key)
        known.setdefault("sparse", {})
        lacks = [f for f in sparse if f not in known["sparse"]]
        if "warnings" in known and not lacks and (not alive or known.get("alive") == ""):
            return known
        with host.locked(host.cache() / "trees" / f"{SLOT}.lock"):
            try:
                folder, make = self.compile(commit, name)
            except Failure as failure:
                if failure.kind not in ("build", "config") or ENVIRONMENT.search(failure.why):
                    raise
                return {"error": failure.why, "log": str(failure.log), "sparse": {}}
            known["warnings"] = json.loads((folder / "said.json").read_text())
            known["sparse"].update(self.check(folder, make, lacks, name))
            if alive:
                known["alive"] = self.boot(folder, name)
            facts.store("kernel", key, known)
        return known

    def compile(self, commit, name):
        """Bring the work tree to a commit and compile what differs."""
        tree = self.source.checkout(commit, SLOT)
        folder = tree / f".each-{self.arch['name']}"
        log = self.out / f"{name}.build.log"
        if folder.exists() and not (folder / "said.json").exists():
            shutil.rmtree(folder)
        args = build.make_args(self.arch)
        want = self.wanted(commit)
        config.make(tree, folder, args, want, log)
        if not (folder / "said.json").exists():
            (folder / "said.json").write_text("{}")
        make = ["make", "-C", tree, f"O={folder}", f"-j{self.jobs}", "-k", "--output-sync=target",
                "W=1", *args, f"KCFLAGS={self.arch['cflags']} {LENIENT}"]
        said = folder / "make.log"
        self.absorb(tree, folder)        # of a run that was killed
        try:
            build.run([*make, self.arch["target"], "modules"], said, f"compile {name}")
        except Failure as failure:
            raise Failure(failure.kind, failure.why.partition(": ")[2], log) from failure
        finally:
            if said.exists():
                with open(log, "a") as file:
                    file.write(said.read_text(errors="replace"))
            self.absorb(tree, folder)
        return folder, make

    @staticmethod
    def absorb(tree, folder):
        """Take what the last make said into the state; forget objects that are gone."""
        path, said = folder / "make.log", folder / "said.json"
        if not path.exists():
            return
        state = json.loads(said.read_text())
        state.update(warnings.groups(path.read_text(errors="replace")))
        for target in list(state):
            stem, end = os.path.splitext(target)
            if end == ".o" and not any((top / (stem + source)).exists()
                                       for top in (tree, folder) for source in (".c", ".S")):
                del state[target]
        new = said.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.rename(said)
        path.unlink()

    def check(self, folder, make, files, name):
        """What sparse says of C files: {file: lines}, None where there is no object."""
        tree = folder.parent
        out = {f: None if (tree / f).exists() else [] for f in files}
        objects = [f[:-2] + ".o" for f in files
                   if (tree / f).exists() and (folder / f"{f[:-2]}.o").exists()]
        if not objects:
            return out
        log = self.out / f"{name}.sparse.log"
        log.unlink(missing_ok=True)
        try:
            build.run([*make, "C=2", "CHECK=sparse", *objects], log, f"sparse {name}")
        except Failure as failure:
            # An error that sparse found is in the log, and judged below.
            if ENVIRONMENT.search(failure.why):
                raise
        said = warnings.groups(log.read_text(errors="replace"), {"CHECK"})
        for object_ in objects:
            file = object_[:-2] + ".c"
            if file not in said:
                raise Failure("harness", f"sparse did not look at {file}", log)
            out[file] = said[file]
        return out

    def boot(self, folder, name):
        """Boot the kernel with a test that passes; "" or why it is not well."""
        where = self.out / f"{name}.boot"
        where.mkdir(exist_ok=True)
        guest = build.guest(self.arch, self.out / "guest.log")
        with tempfile.TemporaryDirectory(prefix="mmquilt-") as made:
            made = pathlib.Path(made)
            build.run(["gcc", "-O2", "-w", "-o", made / "gen_init_cpio",
                       folder.parent / "usr/gen_init_cpio.c"], self.out / "guest.log",
                      "gen_init_cpio")
            rows = [(0, ["test", "alive", "30", "root", "/guest/exists", "/proc/self"])]
            image.make(made, made, guest, rows, [], where)
        kernel = folder / self.arch["kernel"]
        accel = boot.pick_accel(self.arch, kernel, say)
        ended = boot.run(self.arch, accel, kernel, where / "initrd", where,
                         lambda text: None)
        (where / "initrd").unlink()

        def text(file):
            path = where / file
            return path.read_text(errors="replace") if path.exists() else ""
        judged = verdict.judge(text("console.log"), text("ktap.log"), ended)
        return "; ".join(f"{k}: {v}" for k, v in judged["notes"].items())
