# SPDX-License-Identifier: GPL-2.0
"""Get the base's tarball: Debian's source package, else kernel.org's.

Debian's mirror is found in the machine's own apt configuration and asked
through an apt state of our own; the machine's apt is left as it is.
"""

import glob
import hashlib
import os
import re
import shutil
import subprocess

from .run import Failure, Progress, TOOL, environment, full, need

APT = "/etc/apt"
ENTRY = re.compile(r"\s*deb(?:-src)?\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)")


def _one_line_entries(text):
    for line in text.splitlines():
        match = ENTRY.match(line)
        if match:
            options, uri, suite = match.groups()
            signed = re.search(r"signed-by=(\S+)", options or "")
            yield uri, suite, signed.group(1) if signed else None


def _deb822_entries(text):
    for stanza in re.split(r"\n\s*\n", text):
        field, key = {}, None
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in " \t" and key:
                field[key] += "\n" + line
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                field[key] = value.strip()
        if field.get("enabled", "yes").lower() in ("no", "false"):
            continue
        signed = field.get("signed-by", "").strip()
        if "\n" in signed:
            signed = ""             # a key in the file itself: use apt's own
        for uri in field.get("uris", "").split():
            for suite in field.get("suites", "").split():
                yield uri, suite, signed or None


def apt_entries(folder=APT):
    """(uri, suite, signed-by) of every source that apt knows."""
    files = [os.path.join(folder, "sources.list")]
    files += sorted(glob.glob(os.path.join(folder, "sources.list.d", "*")))
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        if path.endswith(".sources"):
            yield from _deb822_entries(text)
        elif path.endswith(".list"):
            yield from _one_line_entries(text)


def debian_line(suite, component, folder=APT):
    """The deb-src line for suite, or None when no mirror of it is known.

    Security suites live on an archive of their own: the URI of any entry
    with a suite of the same kind serves.
    """
    security = suite.endswith("-security")
    for uri, known, signed in apt_entries(folder):
        if known.endswith("-security") != security or known.endswith("/"):
            continue
        option = "[signed-by=%s] " % signed if signed else ""
        return "deb-src %s%s %s %s" % (option, uri, suite, component)
    return None


APT_CONF = """\
Dir::State "%(d)s/state";
Dir::State::status "/dev/null";
Dir::Cache "%(d)s/cache";
Dir::Etc::SourceList "%(d)s/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Sandbox::User "";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
"""


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def from_debian(data, work):
    """The path of Debian's orig tarball below work, or None with a note."""
    package, version, suite, component, file, sha256 = data["debian"].split()
    if not shutil.which("apt-get"):
        return None, "no apt-get here"
    line = debian_line(suite, component)
    if line is None:
        return None, "apt knows no mirror for %s" % suite
    progress = Progress("fetch")
    for part in ("state/lists/partial", "cache/archives/partial", "files"):
        os.makedirs(os.path.join(work, part))
    with open(os.path.join(work, "sources.list"), "w") as f:
        f.write(line + "\n")
    conf = os.path.join(work, "apt.conf")
    with open(conf, "w") as f:
        f.write(APT_CONF % {"d": work})
    for command in (["update"], ["source", "--download-only", "--tar-only",
                                 "%s=%s" % (package, version)]):
        progress.tick("apt-get " + command[0])
        done = subprocess.run(["apt-get", "-q", "-c", conf] + command,
                              cwd=os.path.join(work, "files"),
                              env=environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if full(done.stdout):
            raise Failure("disk full while fetching %s; free some space, or "
                          "point XDG_CACHE_HOME at a larger disk" % file, TOOL)
        if done.returncode:
            said = [l for l in done.stdout.splitlines()
                    if l.startswith("E:")] or ["E: apt-get failed"]
            return None, "apt-get %s: %s" % (command[0], said[-1][3:])
    path = os.path.join(work, "files", file)
    if not os.path.exists(path):
        return None, "apt-get fetched no %s" % file
    if _sha256(path) != sha256:
        return None, "%s from the mirror has a wrong sha256" % file
    progress.done(file)
    return path, None


def from_url(data, downloads):
    """kernel.org's tarball; a download that broke off is resumed."""
    need("curl")
    url = data["url"]
    os.makedirs(downloads, exist_ok=True)
    path = os.path.join(downloads, os.path.basename(url))
    progress = Progress("fetch")
    progress.tick(url)
    for _ in range(2):
        was_there = os.path.exists(path)
        done = subprocess.run(
            ["curl", "-fsSL", "--retry", "3", "--connect-timeout", "20",
             "-C", "-", "-o", path, url],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=environment())
        if not was_there or done.returncode not in (22, 33, 36):
            break
        os.unlink(path)         # cannot be resumed: perhaps it is complete
    if done.returncode == 23 or full(done.stderr):
        os.path.exists(path) and os.unlink(path)
        raise Failure("disk full while fetching %s; free some space, or point "
                      "XDG_CACHE_HOME at a larger disk" % url, TOOL)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["curl failed"])[-1]
        return None, "%s: %s" % (url, said)
    progress.done(os.path.basename(url))
    return path, None
