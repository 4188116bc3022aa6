# SPDX-License-Identifier: GPL-2.0
"""checkpatch.pl of the base's own tree, on a mail from stdin."""

import os
import re
import subprocess
import tempfile

from . import run

# The base has no history to look an id up in; the check "ids" sees its form.
NEVER = "UNKNOWN_COMMIT_ID"
LINE = re.compile(r"-:(\d+): (?:ERROR|WARNING|CHECK):(\w+): (.*)$")


def ask(content, kernel, ignore=None):
    """What checkpatch --strict says, one finding a line."""
    command = ["perl", os.path.join(kernel, "scripts", "checkpatch.pl"),
               "--strict", "--terse", "--show-types", "--no-summary",
               "--color=never", "--ignore", ",".join(filter(None, (NEVER, ignore)))]
    with tempfile.TemporaryDirectory(prefix="mmquilt-") as home:
        done = subprocess.run(command + ["-"], input=content, cwd=kernel,
                              env=run.environment(HOME=home),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode not in (0, 1) or done.stderr.strip():
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise run.Failure("checkpatch.pl failed: %s"
                          % (said[-1] if said else done.returncode), run.TOOL)
    return done.stdout.decode(errors="replace")


def read(text):
    """(type, line number, message) of what ask() gave."""
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            yield match.group(2), int(match.group(1)), match.group(3)
        elif line.strip():
            yield "OTHER", 0, line.strip()
