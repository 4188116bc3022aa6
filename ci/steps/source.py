"""Where trees come from: the base and each patch as commits of one bare repo."""
import hashlib
import os
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


def base(queue, tree=None):
    """(bare repo, commit) of a queue's base, which is fetched when it is not there."""
    return _tool("base", "-q", str(queue), *(["--tree", str(tree)] if tree else [])).split()


def _files(tree):
    """The files of a work tree, as bytes; without what its git ignores."""
    if (tree / ".git").exists():
        return subprocess.run(["git", "-C", str(tree), "ls-files", "-z", "-co",
                               "--exclude-standard"], check=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE).stdout.split(b"\0")
    top = os.fsencode(tree)
    return [os.path.relpath(os.path.join(folder, name), top)
            for folder, folders, files in os.walk(top)
            for name in files + [f for f in folders if os.path.islink(os.path.join(folder, f))]]


class Source:
    """A queue's commits: .base, .tip, and .patches as (commit, tree, topic, file)."""
    def __init__(self, queue, tree=None):
        extra = ["--tree", str(tree)] if tree else []
        self.git_dir, self.base = base(queue, tree)
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

    def has(self, commit, what):
        """Whether a commit has a file; of "FILE WORD", whether the word is in it."""
        path, _, word = what.partition(" ")
        return bool(self.grep(commit, word, path) if word else
                    self.git("ls-tree", "--name-only", commit, path))

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
            with self._worktrees():
                self.git("worktree", "prune")
                self.git("worktree", "add", "-f", "--no-checkout", "--detach", "-q", str(path), commit)
        subprocess.run(["git", "-C", str(path), "checkout", "-q", "-f", "--detach", commit],
                       check=True, stdin=subprocess.DEVNULL)
        return path

    def drop(self, slot):
        """Remove a work tree that checkout() made."""
        with self._worktrees():
            self.git("worktree", "remove", "--force", str(host.cache() / "trees" / slot))

    @staticmethod
    def _worktrees():
        """Only one may add or remove one: the last to go takes the folder of all along."""
        return host.locked(host.cache() / "worktrees.lock")

    def adopt(self, tree):
        """The files of any other kernel tree, as they are now, as a commit.

        The tree is only read.  Of a git work tree, what git ignores is left out.
        """
        tree = tree.resolve()
        if not (tree / "Kconfig").is_file():
            raise Failure("harness", f"{tree} has no Kconfig: name a work tree of a kernel")
        with host.locked(host.cache() / "vs.lock"):
            index = host.cache() / f"vs-{hashlib.sha256(bytes(tree)).hexdigest()[:12]}.index"
            git = ["git", "-c", "core.compression=1", "-c", "core.autocrlf=false",
                   "-c", "core.bare=false", "--git-dir", self.git_dir, "--work-tree", str(tree)]
            env = {**os.environ, "GIT_INDEX_FILE": str(index)}
            for who in ("AUTHOR", "COMMITTER"):
                env.update({f"GIT_{who}_NAME": "mmquilt", f"GIT_{who}_EMAIL": "mmquilt@localhost",
                            f"GIT_{who}_DATE": "@0 +0000"})

            def do(*args, **kwargs):
                return subprocess.run([*git, *args], check=True, env=env, cwd=tree,
                                      stdout=subprocess.PIPE, **kwargs).stdout
            say(f"reading {tree}")
            names = {*_files(tree), *do("ls-files", "-z").split(b"\0")} - {b""}
            do("update-index", "--add", "--remove", "--replace", "-z", "--stdin", input=b"\0".join(names))
            made = do("commit-tree", "-m", "adopted",
                      do("write-tree").decode().strip()).decode().strip()
            do("update-ref", f"refs/vs/{index.stem}", made)
        return made

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
