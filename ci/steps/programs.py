"""What the compiler says of a commit's own tools/testing/selftests/vm."""
import re
import shutil

from steps import build, facts, host, walk, warnings
from steps.host import Failure

COMMAND = re.compile(r"^\S*(?:ccache )?\S*gcc .* -o (\S+)")


def groups(log):
    """{program: lines} of a make log that shows the commands."""
    out, now = {}, None
    for line in log.splitlines():
        command = COMMAND.match(line)
        if command:
            now = command.group(1).rpartition("/")[2]
            out[now] = []
        elif now and warnings.LOUD.search(line) and not line.startswith(("make", "+ ")):
            out[now].append(warnings.normal(line))
    return out


def look(walker, commit, name):
    """{"said": {program: lines}} or {"error": first line} of a commit's programs."""
    source, arch = walker.source, walker.arch
    key = build.digest(source.tree_id(commit), walker.compiler, arch["make"], "1")
    known = facts.load("selftests", key)
    if known:
        return known
    log = walker.out / f"{name}.selftests.log"
    log.unlink(missing_ok=True)
    with host.locked(host.cache() / "trees" / f"{walk.SLOT}.lock"):
        tree = source.checkout(commit, walk.SLOT)
        folder = tree / f".programs-{arch['name']}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make = ["make", *build.make_args(arch, "programs")]
        try:
            build.run([*make, "-s", "-C", tree, f"O={folder}", f"INSTALL_HDR_PATH={tree}/usr",
                       "headers_install"], log, f"headers {name}")
            build.run([*make, "-j", walker.jobs, "--output-sync=target", "-C",
                       tree / "tools/testing/selftests", "TARGETS=vm", "LDFLAGS=-static",
                       "KSFT_KHDR_INSTALL_DONE=1", f"O={folder}", f"OUTPUT={folder}"], log,
                      f"selftests {name}")
        except Failure as failure:
            if failure.kind != "build" or walk.ENVIRONMENT.search(failure.why):
                raise
            return {"error": failure.why.partition(": ")[2], "log": str(log)}
    known = {"said": groups(log.read_text(errors="replace"))}
    if not known["said"]:
        raise Failure("harness", "no compiler command in the log of the selftests", log)
    facts.store("selftests", key, known)
    return known
