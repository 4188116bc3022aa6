"""Makes the guest's initramfs: init, its plan, and the programs of the plan."""
import fnmatch
import os
import subprocess

from steps import tables
from steps.host import CI, Failure

FOLDERS = ("bin", "dev", "guest", "huge", "modules", "proc", "sys", "tip", "tmp", "vm")


def plan(rows, patterns, own, tip, guest):
    """Choose what runs and where each program comes from.

    rows: tables.tests().  patterns: globs of test names, empty for all; the
    ROW of a pattern NAME/ROW takes the place of the argument "{rows}", for a
    program that can run a choice of its rows.  own, tip: installed selftests
    of the tree under test and of the patched one.  Return (lines of the plan,
    files as {path in the guest: path here}, tests left out as {name: why}).
    """
    lines, files, absent = [], {}, {}
    for _, words in rows:
        if words[0] != "test":
            lines.append(" ".join(words))
            continue
        name, seconds, user = words[1:4]
        chosen = [p for p in patterns if fnmatch.fnmatchcase(name, p.split("/")[0])]
        if patterns and not chosen:
            continue
        for command in tables.alternatives(words[4:]):
            program = command[0].removeprefix("./")
            if program.startswith("/guest/"):
                folder, here = "/guest", guest / os.path.basename(program)
            elif (own / program).exists():
                folder, here = "/vm", own / program
            elif (tip / program).exists():
                folder, here = "/tip", tip / program
            else:
                continue
            files[f"{folder}/{os.path.basename(program)}"] = here
            args = " ".join(command[1:]).replace(
                "{rows}", " ".join(p.split("/", 1)[1] for p in chosen if "/" in p))
            lines.append(" ".join(["test", name, seconds, user, folder,
                                   f"./{os.path.basename(program)}", *args.split()]))
            break
        else:
            absent[name] = f"neither tree has {words[4].removeprefix('./')}"
    return lines, files, absent


def make(kernel, tip_kernel, guest, rows, patterns, out, extra_lines=(), own=None):
    """Write out/plan and out/initrd for a kernel; return tests left out.

    own: the kernel whose selftests are taken first, when not its own.
    """
    lines, files, absent = plan(rows, patterns, (own or kernel) / "selftests" / "vm",
                                tip_kernel / "selftests" / "vm", guest)
    modules = sorted(kernel.glob("*.ko"))
    built_beside = [text.split()[0] for _, text in tables.lines(CI / "instruments")]
    for path in built_beside:
        name = os.path.basename(path)[:-2] + ".ko"
        if (kernel / name).exists():
            lines.insert(0, f"insmod /modules/{name}")
    lines = [*extra_lines, *lines]
    if not any(line.startswith("test ") for line in lines):
        raise Failure("harness", "no test of that name; ci/tests lists them")
    (out / "plan").write_text("\n".join(lines) + "\n")
    os.utime(out / "plan", (0, 0))      # the same plan is the same image, at any time
    spec = [f"dir /{name} 755 0 0" for name in FOLDERS]
    # Tests of hugetlbfs look for it in their own folder.
    spec += [f"slink /{name}/huge /huge 777 0 0" for name in ("vm", "tip")]
    spec += ["nod /dev/console 600 0 0 c 5 1", f"file /init {guest / 'init'} 755 0 0",
             f"file /plan {out / 'plan'} 644 0 0"]
    spec += [f"file {there} {here} 755 0 0" for there, here in files.items()]
    spec += [f"file /modules/{path.name} {path} 644 0 0" for path in modules]
    (out / "initrd.spec").write_text("\n".join(spec) + "\n")
    with open(out / "initrd", "wb") as image:
        done = subprocess.run([kernel / "gen_init_cpio", "-t", "0", out / "initrd.spec"],
                              stdout=image, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise Failure("harness", f"gen_init_cpio: {done.stderr.decode().strip()}")
    return absent
