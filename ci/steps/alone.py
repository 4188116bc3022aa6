"""Judges each patch against its parent: pure functions of what was found out."""
from steps import cocci, warnings

CHECKS = ("compile", "W=1", "sparse", "coccinelle", "selftests", "boot")
OK, BAD, NOTHING = "ok", "FAIL", "-"


class Judged:
    """A patch's cells {check: ok, FAIL or -}, its complaints and its notes."""
    def __init__(self, prefix):
        self.prefix, self.cells = prefix, {c: NOTHING for c in CHECKS}
        self.complaints, self.notes = [], []

    def good(self):
        return BAD not in self.cells.values()

    def set(self, check, found, word="new"):
        """A cell by what was found to complain of."""
        self.cells[check] = BAD if found else OK
        self.complaints += [f"{check}: {word + ': ' if word else ''}{line}" for line in found]


def of_patch(touched, said):
    """Of {object: lines} those of C files that the patch touches."""
    return {o: lines for o, lines in said.items()
            if o.endswith(".o") and o[:-2] + ".c" in touched.sources()}


def kernel(judged, touched, files, parent, now, same_config=True):
    """compile, W=1 and sparse, from what Walk.look() said of parent and patch.

    Where a fragment of ci/config waits for the patch, the two kernels differ by more
    than the patch, and W=1 is about the files that it touches.
    """
    if "error" in now:
        judged.set("compile", [now["error"] + f" ({now.get('log', '')})"], "")
        return
    judged.set("compile", [])
    if "error" in parent:
        judged.notes.append("W=1 and sparse have nothing to compare with: the parent does "
                            "not compile")
        return
    said = now["warnings"] if same_config else of_patch(touched, now["warnings"])
    judged.set("W=1", warnings.new(parent["warnings"], said, touched.renames))
    absent = sorted(f for f in files if now["sparse"].get(f) is None)
    if absent:
        judged.notes.append("no object is made of " + ", ".join(absent))
    looked = {f: now["sparse"][f] for f in files if now["sparse"].get(f) is not None}
    if looked:
        before = {f: lines for f, lines in parent["sparse"].items() if lines is not None}
        judged.set("sparse", warnings.new(before, looked, touched.renames))


def rules(judged, touched, parent, now):
    """coccinelle, from {file: Rules.look()} of parent (by old name) and patch."""
    found = []
    old_name = {new: old for old, new in touched.renames.items()}
    for file, said in now.items():
        old = old_name.get(file, file)
        silent = cocci.silent(said)
        lost = [r for r in silent if r not in cocci.silent(parent.get(old, {}))
                and old in parent]
        found += warnings.new({file: [warnings.renamed(line, touched.renames) for line in
                                      cocci.lines(parent.get(old, {}), *silent)]},
                              {file: cocci.lines(said, *cocci.silent(parent.get(old, {})))})
        if lost:
            judged.notes.append(f"{file}: no answer any more from {', '.join(lost)}")
    if now:
        judged.set("coccinelle", found)


def programs(judged, touched, parent, now):
    """selftests, from programs.look() of parent and patch."""
    if "error" in now:
        judged.set("selftests", [now["error"] + f" ({now.get('log', '')})"], "")
    elif "error" in parent:
        judged.set("selftests", [])
        judged.notes.append("selftests have nothing to compare with: the parent's do not compile")
    else:
        judged.set("selftests", warnings.new(parent["said"], now["said"], touched.renames))


def table(all_judged, checks):
    """The table patch x check, with what is complained of below it."""
    head = ["patch", *checks]
    lines = [head] + [[j.prefix.short(), *(j.cells[c] for c in checks)] for j in all_judged]
    width = [max(len(line[i]) for line in lines) for i in range(len(head))]
    out = ["  ".join(c.ljust(w) for c, w in zip(line, width)).rstrip() for line in lines]
    out.insert(1, "-" * sum(width, 2 * len(width) - 2))
    for kind in ("complaints", "notes"):
        more = [f"{j.prefix.short()}: {line}" for j in all_judged for line in getattr(j, kind)]
        out += ["", *more] if more else []
    return "\n".join(out)
