# SPDX-License-Identifier: GPL-2.0
"""A small release that looks like a kernel, a queue on it, and helpers.

Nothing here needs a network or a kernel: the release's checkpatch.pl,
kernel-doc and get_maintainer.pl are a few lines of perl with the same
arguments and the same form of output. test_real.py asks the real ones.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOOLS)

from quilt import base as base_module      # noqa: E402

AUTHOR = "Ada Author <ada@example.org>"

CHECKPATCH = r"""#!/usr/bin/perl
# complains of lines that hold 'UGLY', and of a missing sign-off
my ($ignore, $body, $n, $from, $signed, $bad) = ("", 0, 0, "", "", 0);
while (@ARGV) { my $a = shift; $ignore = shift if $a eq "--ignore"; }
die "no tree\n" unless -d "include";
while (<STDIN>) {
	$n++;
	$from = $1 if /^From: (.*)/ && !$from;
	$signed .= "$1\n" if /^Signed-off-by: (.*)/;
	if (/UGLY/) { print "-:$n: WARNING:UGLY: ugly line\n"; $bad = 1; }
	if (/^Upstream:/) { print "-:$n: ERROR:FIELD: ours\n"; $bad = 1; }
}
if (!$signed && $ignore !~ /MISSING_SIGN_OFF/) {
	print "-:$n: ERROR:MISSING_SIGN_OFF: Missing Signed-off-by\n"; $bad = 1;
} elsif ($signed && index($signed, $from) < 0) {
	print "-:$n: WARNING:NO_AUTHOR_SIGN_OFF: no sign-off by $from\n"; $bad = 1;
}
exit $bad;
"""

KERNEL_DOC = r"""#!/usr/bin/perl
# complains of kernel-doc comments that hold 'BADDOC'
my $f = $ARGV[-1];
open(F, $f) or die;
while (<F>) { print STDERR "$f:$.: warning: bad doc of $1\n" if /BADDOC (\w+)/; }
"""

GET_MAINTAINER = r"""#!/usr/bin/perl
# the M: of every F: that a patch's files start with, from --mpath
my ($m, $f);
while (@ARGV) { my $a = shift; $m = shift if $a eq "--mpath"; $f = $a; }
die "no tree\n" unless -f "MAINTAINERS" && -d "include";
open(P, $f) or die; my $p = join("", <P>);
open(M, $m) or die;
my $who;
while (<M>) {
	$who = $1 if /^M:\s*(.*)/;
	if (/^F:\s*(.*)/ && $p =~ m{^\+\+\+ b/\Q$1\E}m) { print "$who\n"; }
}
print "linux-mm\@kvack.org\n";
"""

MEMORY = "".join("int line_%d;\n" % i for i in range(1, 61))
FILES = {
    "Makefile": "VERSION = 1\nPATCHLEVEL = 2\nSUBLEVEL = 3\n",
    "MAINTAINERS": "MEMORY\nM:\tMel Memory <mel@example.org>\nF:\tmm/\n\n"
                   "FILES\nM:\tFil\u00e9 Systems <file@example.org>\nF:\tfs/\n",
    ".gitattributes": "*.c diff=cpp\nDocumentation/* export-ignore\n",
    ".gitignore": "*.o\n",
    "mm/memory.c": MEMORY,
    "mm/swap.c": MEMORY.replace("line", "swap"),
    "mm/left.o": "kept although git would ignore it\n",
    "fs/file.c": MEMORY.replace("line", "file"),
    "include/linux/mm.h": "#define MM 1\n",
    "Documentation/with space.txt": "words\n",
    "scripts/checkpatch.pl": CHECKPATCH,
    "scripts/kernel-doc": KERNEL_DOC,
    "scripts/get_maintainer.pl": GET_MAINTAINER,
    "drivers/nonfree/blob.c": "int blob;\n",
    "drivers/cops.c": "int cops;\n",
}
EXCLUDED = ("drivers/nonfree", "drivers/cop*")


def git(*args, cwd, **kw):
    env = dict(os.environ, GIT_CONFIG_GLOBAL=os.devnull,
               GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="Ada Author",
               GIT_AUTHOR_EMAIL="ada@example.org", GIT_EDITOR="true",
               GIT_COMMITTER_NAME="Ada Author",
               GIT_COMMITTER_EMAIL="ada@example.org")
    env.update(kw.pop("env", {}))
    done = subprocess.run(["git", "-C", cwd] + list(args), env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, **kw)
    if done.returncode:
        raise AssertionError("git %s: %s%s" % (args, done.stdout, done.stderr))
    return done.stdout


def put(top, name, text):
    path = os.path.join(top, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def get(top, name):
    with open(os.path.join(top, name), encoding="utf-8") as f:
        return f.read()


def snapshot(top):
    """name -> sha256 of all files below top."""
    found = {}
    for here, _, files in os.walk(top):
        for name in files:
            path = os.path.join(here, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, top)] = \
                    hashlib.sha256(f.read()).hexdigest()
    return found


class Release:
    """The release as a folder, a tarball and a git tree, and its data."""

    def __init__(self, top):
        self.top = top
        self.source = os.path.join(top, "linux-1.2.3")
        for name, text in FILES.items():
            put(self.source, name, text)
        os.chmod(os.path.join(self.source, "scripts/checkpatch.pl"), 0o755)
        os.symlink("memory.c", os.path.join(self.source, "mm/link.c"))
        self.tarball = os.path.join(top, "linux-1.2.3.tar.xz")
        subprocess.run(["tar", "-C", top, "-cJf", self.tarball, "linux-1.2.3"],
                       check=True)
        self.repo = os.path.join(top, "repo")
        shutil.copytree(self.source, self.repo, symlinks=True)
        git("init", "-q", cwd=self.repo)
        git("add", "-A", "-f", cwd=self.repo)
        git("commit", "-qm", "v1.2.3", cwd=self.repo)
        content = base_module.Content()
        index = os.path.join(top, "index")
        git("read-tree", "HEAD", cwd=self.repo, env={"GIT_INDEX_FILE": index})
        for line in git("ls-files", "-s", "-z", cwd=self.repo).split("\0")[:-1]:
            mode, blob, rest = line.split(" ", 2)
            name = rest.partition("\t")[2]
            if name.startswith(("drivers/nonfree/", "drivers/cop")):
                git("rm", "-q", "--cached", name, cwd=self.repo,
                    env={"GIT_INDEX_FILE": index})
            else:
                path = os.path.join(self.repo, name)
                if mode == "120000":
                    data = os.fsencode(os.readlink(path))
                else:
                    with open(path, "rb") as f:
                        data = f.read()
                content.add(mode, name, data)
        self.tree = git("write-tree", cwd=self.repo,
                        env={"GIT_INDEX_FILE": index}).strip()
        self.data = {"version": "1.2.3", "date": "1000000000 +0000",
                     "tree": self.tree, "sha256": content.sha256(),
                     "url": "file://" + self.tarball}

    def write_data(self, queue, **changes):
        data = dict(self.data, **changes)
        put(queue, "bases/v1.2.3", "# test\n" + "".join(
            "%s: %s\n" % i for i in data.items() if i[1]) + "".join(
            "exclude: %s\n" % e for e in EXCLUDED))


class Case(unittest.TestCase):
    """A test with a release, a cache and an empty queue of its own."""

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="mmquilt-test-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.release = Release(cls.shared)

    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="mmquilt-test-")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.queue = os.path.join(self.top, "queue")
        self.dir = os.path.join(self.top, "tree")
        # The cache may be shared by the tests of a class; see fresh_cache().
        self.env = dict(os.environ, HOME=self.top, LC_ALL="C.UTF-8",
                        XDG_CACHE_HOME=os.path.join(self.shared, "cache"))
        self.env.pop("GIT_DIR", None)
        os.makedirs(os.path.join(self.queue, "patches"))
        self.release.write_data(self.queue)
        put(self.queue, "series", "# base: v1.2.3\n")

    def fresh_cache(self):
        self.env["XDG_CACHE_HOME"] = os.path.join(self.top, "cache")
        return os.path.join(self.top, "cache", "mmquilt")

    def popen(self, tool, *args, **kw):
        return subprocess.Popen(
            [os.path.join(TOOLS, tool), "-q", self.queue] + list(args),
            env=self.env, cwd=self.top, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)

    def run_tool(self, tool, *args, **kw):
        """(status, stdout, stderr)"""
        p = self.popen(tool, *args, **kw)
        out, err = p.communicate(timeout=120)
        return p.returncode, out, err

    def ok(self, tool, *args):
        status, out, err = self.run_tool(tool, *args)
        self.assertEqual(status, 0, out + err)
        return out

    def fails(self, expect, tool, *args, status=1, **kw):
        """The tool fails with one line that holds what is expected."""
        got, out, err = self.run_tool(tool, *args, **kw)
        self.assertEqual(got, status, out + err)
        self.assertNotIn("Traceback", err)
        last = [l for l in err.splitlines() if not l.startswith("[")][-1]
        self.assertIn(expect, last)
        return last

    # A queue with two topics, four patches.

    def commit(self, file, old, new, message, cwd=None):
        """Edit one line of a file in the tree and commit it."""
        top = cwd or self.dir
        text = get(top, file)
        self.assertIn(old, text)
        put(top, file, text.replace(old, new, 1))
        git("commit", "-qam", message, cwd=top)

    def fill_in(self, **changes):
        """Give every patch complete header fields."""
        for here, _, files in os.walk(os.path.join(self.queue, "patches")):
            for name in files:
                if name.endswith(".patch"):
                    text = get(here, name)
                    text = text.replace("\nUpstream:\n", "\nUpstream: none "
                                        "nobody has met this\n")
                    text = text.replace("\nProof:\n",
                                        "\nProof: cow/ro-pin x86_64,arm64\n")
                    put(here, name, text)

    def make_queue(self):
        """The queue and its tree, made once for all tests of a class."""
        made = os.path.join(self.shared, "made-" + type(self).__name__)
        if not os.path.isdir(made):
            self._make_queue()
            os.mkdir(made)
            for path in (self.queue, self.dir):
                shutil.copytree(path, os.path.join(
                    made, os.path.basename(path)), symlinks=True)
        else:
            shutil.rmtree(self.queue)
            for path in (self.queue, self.dir):
                shutil.copytree(os.path.join(made, os.path.basename(path)),
                                path, symlinks=True)
        self.names = [l for l in get(self.queue, "series").splitlines()
                      if l and l[0] != "#"]
        self.assertEqual(len(self.names), 4)
        self.tip = git("rev-parse", "HEAD", cwd=self.dir).strip()

    def _make_queue(self):
        put(self.queue, "series",
            "# base: v1.2.3\n#\n# what this is\n"
            "# topic: one -- first things (state: local)\n"
            "# topic: two -- second things (state: posted v1 https://x.org/1)"
            "\n# the end\n")
        for topic in ("one", "two"):
            put(self.queue, "patches/%s/00-cover.txt" % topic,
                "mm: the topic %s\n\nWhat it is about.\n" % topic)
        self.ok("apply", self.dir)
        self.commit("mm/memory.c", "line_10;", "line_10a;",
                    "mm: change line 10\n\nIt was wrong.")
        self.commit("mm/swap.c", "swap_10;", "swap_10a;",
                    "mm: change swap 10\n\nIt was wrong, too.\n\n"
                    "Fixes: 0123456789ab (\"mm: first\")")
        self.ok("export", self.dir, "--topic", "one")
        self.commit("fs/file.c", "file_10;", "file_10a;",
                    "fs: change file 10\n\nFrom here on it is right.\n"
                    ">From there, too.")
        self.commit("mm/memory.c", "line_50;", "line_50a;",
                    "mm: a subject that is long enough to make git fold the "
                    "header line, \u00e9\u00e8\n\nIt was wrong.")
        self.ok("export", self.dir, "--topic", "two")
        self.fill_in()
