"""Where trees come from: the base and each patch as commits of one bare repo."""
import subprocess

from steps import host
from steps.host import TOP, Failure, say


def _tool(*args):
    done = subprocess.run([str(TOP / "tools" / args[0]), *args[1:]], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise Failure("harness" if done.returncode == 5 else "apply",
                      f"tools/{args[0]} failed, its reason is above")
    return done.stdout


class Source:
    """A queue's commits: .base, .tip, and .patches as (commit, tree, topic, file)."""
    def __init__(self, queue, tree=None):
        extra = ["--tree", str(tree)] if tree else []
        self.git_dir, self.base = _tool("base", "-q", str(queue), *extra).split()
        out = _tool("commits", "-q", str(queue), *extra)
        self.patches = [tuple(line.split()) for line in out.splitlines()]
        self.tip = self.patches[-1][0] if self.patches else self.base

    def git(self, *args):
        """Run git on the bare repo and return what it prints."""
        return subprocess.run(["git", "--git-dir", self.git_dir, *args], text=True,
                              check=True, stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL).stdout.strip()

    def tree_id(self, commit):
        return self.git("rev-parse", f"{commit}^{{tree}}")

    def has(self, commit, path):
        """Whether a commit has that file."""
        return bool(self.git("ls-tree", "--name-only", commit, path))

    def grep(self, commit, text, where):
        """The files of a commit that have that text."""
        done = subprocess.run(["git", "--git-dir", self.git_dir, "grep", "-lF", text, commit,
                               "--", where], text=True, stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, check=False)
        return [line.partition(":")[2] for line in done.stdout.splitlines()]

    def checkout(self, commit, slot):
        """Bring a work tree of the cache to a commit and return its path.

        Only the files that differ are written, so that make has little to do.
        The caller holds the slot's lock.
        """
        path = host.cache() / "trees" / slot
        if not (path / ".git").exists():
            say(f"checking out a first tree into {path}")
            self.git("worktree", "prune")
            self.git("worktree", "add", "-f", "--detach", "-q", str(path), commit)
        subprocess.run(["git", "-C", str(path), "checkout", "-q", "-f", "--detach", commit],
                       check=True, stdin=subprocess.DEVNULL)
        return path

    def applied(self, name):
        """(topics, patches) that are in the series up to a patch or topic; None
        is all.  A topic counts once its last patch is there."""
        last = [commit for commit, *_ in self.patches].index(self.upto(name)) \
            if self.patches else -1
        patches = [path.removeprefix("patches/") for _, _, _, path in self.patches[:last + 1]]
        later = {topic for _, _, topic, _ in self.patches[last + 1:]}
        topics = {topic for _, _, topic, _ in self.patches[:last + 1]} - later
        return topics, patches

    def upto(self, name):
        """The commit of a patch or of the last patch of a topic; None is the tip."""
        if not name:
            return self.tip
        found = [commit for commit, _, topic, path in self.patches
                 if path.removesuffix(".patch").endswith("/" + name.removesuffix(".patch"))
                 or name == topic]
        if not found:
            raise Failure("harness", f"no patch or topic {name!r} in the series")
        return found[-1]
