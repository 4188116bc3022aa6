"""Boots the guests of the table "detectors" and compares what the harness says
of each with what the table says it must."""
import pathlib
import re

from steps import boot, image, tables, verdict
from steps.host import Failure

TABLE = pathlib.Path(__file__).with_name("detectors")
SILENCE = 8  # seconds before scaling: hung guests need not be waited for as long


def table():
    """(name, kinds, options, crash points) of each line."""
    for number, text in tables.lines(TABLE):
        match = re.match(r"(\S+)\s+(\S+)\s+((?:\w+=\S+\s+)*)--\s*(.*)$", text)
        if not match:
            raise Failure("harness", f"{TABLE}:{number}: NAME KINDS [option=WORD] -- CRASHPOINT...")
        name, kinds, options, points = match.groups()
        yield (name, [] if kinds == "none" else kinds.split(","),
               dict(o.split("=", 1) for o in options.split()), points)


def run(name, options, points, arch, accel, kernel, guest, out, say):
    """Boot one broken guest and judge it."""
    where = out / name
    where.mkdir(parents=True, exist_ok=True)
    arch = dict(arch)
    if "machine" in options:
        arch["machine"] = "-machine " + options["machine"]
    rows = [(0, ["test", name, "2", "root", "/guest/provoke", *points.split()])]
    image.make(kernel, kernel, guest, rows, [], where, ["insmod /modules/lkdtm.ko"])
    ended = boot.run(arch, accel, kernel / "kernel", where / "initrd", where, say,
                     append=options.get("append", ""), silence=SILENCE)
    (where / "initrd").unlink()

    def text(file):
        path = where / file
        return path.read_text(errors="replace") if path.exists() else ""
    (where / "ended-by").write_text(ended + "\n")
    return verdict.judge(text("console.log"), text("ktap.log"), ended), text("console.log")


def complaint(name, kinds, options, arch, judged, console):
    """None if the judgement is what the table says, else one line."""
    ways = arch["stacks"].split()
    wanted = options["stacks"] in ways if "stacks" in options else ways
    got = judged["kinds"]
    # A kernel that spins is free to complain about that, too.
    if "hang" in kinds:
        got = [k for k in got if k != "splat"]
        if wanted and "call trace" not in console.lower():
            return f"{name}: hung, and no stack was had of it"
    if got != kinds:
        return f"{name}: expected {','.join(kinds) or 'none'}, got {','.join(got) or 'none'}"
    return None
