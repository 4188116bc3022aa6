"""A kernel's configuration: allnoconfig plus fragments, each line verified."""
import math
import re
import subprocess

from steps import tables
from steps.host import CI, Failure


def fragments(arch, names, has_file):
    """The fragments for an arch: common, the arch's own, and those asked for.

    A fragment that begins with "# only: FILE" or "# only: FILE WORD" is left
    out, wherever it was asked for, when the tree lacks that file, or the word in
    it; those of no arch that begin so are always asked for.
    """
    folder = CI / "config"
    of_arches = {name for other in tables.arches()
                 for name in tables.arch(other)["config"].split()}
    always = sorted(p.stem for p in folder.glob("*.config")
                    if p.read_text().startswith("# only: ") and p.stem not in of_arches)
    out = []
    for name in ["common", *arch["config"].split(), *always, *names]:
        path = folder / f"{name}.config"
        if not path.is_file():
            raise Failure("config", f"no fragment {path}")
        first = path.read_text().splitlines()[0]
        if not first.startswith("# only: ") or has_file(first[8:].strip()):
            out.append(path)
    return out


def notes(names, key):
    """What the fragments note under a key, as "# KEY: TEXT", one text a note.

    slower: how many times slower it makes a kernel.  append: boot parameters.
    """
    text = "\n".join((CI / "config" / f"{name}.config").read_text() for name in names)
    return re.findall(rf"^# {key}: (.+)$", text, re.MULTILINE)


def tuned(arch, names):
    """The arch for a kernel with those fragments."""
    return {**arch, "slower": math.prod(map(int, notes(names, "slower"))),
            "append": " ".join([arch.get("append", ""), *notes(names, "append")])}


def wanted(paths):
    """Merge fragments, a later line for a symbol replaces an earlier one."""
    want = {}
    for path in paths:
        for text in path.read_text().splitlines():
            if text.startswith("CONFIG_"):
                want[text.split("=")[0]] = text
            elif text.startswith("# CONFIG_") and text.endswith(" is not set"):
                want[text.split()[1]] = text
            elif text.strip() and not text.startswith("#"):
                raise Failure("config", f"{path}: not a config line: {text}")
    return want


def lost(want, config):
    """The lines that were asked for and that .config does not have.

    A symbol that .config does not mention at all is not set.
    """
    have = set(config.splitlines())
    mentioned = {text.split("=")[0] for text in have if text.startswith("CONFIG_")}
    return [text for symbol, text in want.items()
            if text not in have and not (text.startswith("#") and symbol not in mentioned)]


def make(tree, build, make_args, want, log, strict=True):
    """Write build/.config and, when strict, check it against what was asked for."""
    build.mkdir(parents=True, exist_ok=True)
    asked = build / "want.config"
    asked.write_text("\n".join(want.values()) + "\n")
    with open(log, "a") as file:
        done = subprocess.run(["make", "-s", "-C", str(tree), f"O={build}", *make_args,
                               f"KCONFIG_ALLCONFIG={asked}", "allnoconfig"],
                              stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False)
    if done.returncode:
        raise Failure("config", f"make allnoconfig failed, see {log}", log)
    missing = lost(want, (build / ".config").read_text())
    if missing and strict:
        raise Failure("config", f"{len(missing)} lines did not survive Kconfig: "
                                + ", ".join(missing[:6]), log)
