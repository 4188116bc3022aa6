# SPDX-License-Identifier: GPL-2.0
"""The branch back to patch files and series.

Only this module writes patch files. It writes what git format-patch gives
with pinned flags and without any configuration, puts our fields in, and
before it touches a file it makes the commits of what it would write and
compares them with the branch: tree, message, author and date.
"""

import email.header
import os
import shutil
import signal
import tempfile

from . import commits, patch, worktree
from .queue import NAME, TOPIC
from .run import Failure, git

FLAGS = ("--no-numbered", "--zero-commit", "--no-signature", "--full-index",
         "--no-renames", "--diff-algorithm=myers", "--stat=80", "--unified=3",
         "--inter-hunk-context=0", "--src-prefix=a/", "--dst-prefix=b/",
         "--no-thread", "--no-attach", "--no-cover-letter",
         "--subject-prefix=PATCH", "--suffix=.patch", "-O/dev/null")


def format_patches(repo, objects, base, tip, flags=FLAGS, env=None):
    """The mails of base..tip, by git format-patch in the cache's repository:
    its configuration and attributes are ours, the objects are the tree's."""
    with tempfile.TemporaryDirectory(prefix="mmquilt-") as work:
        env = dict(env or {}, GIT_ALTERNATE_OBJECT_DIRECTORIES=objects)
        git("format-patch", "-q", *flags, "-o", work, "%s..%s" % (base, tip),
            repo=repo, env=env)
        mails = []
        for name in sorted(os.listdir(work)):
            with open(os.path.join(work, name), "rb") as f:
                mails.append(f.read())
    return mails


class Work:
    """One commit of the branch, on its way to a patch file."""

    def __init__(self, line):
        (self.commit, self.tree, self.parents, self.slug, self.author,
         self.subject) = line.split("\0")
        self.slug = self.slug[:64].strip(".-_")
        self.short = "%s (%s)" % (self.commit[:12], self.subject[:50])
        self.old = []           # names of the patches that it was before
        self.topic = self.name = self.content = None


def read_branch(tree, base):
    """The branch's commits, in order, after the checks of its shape."""
    tip = tree.ref(worktree.BRANCH)
    if tree.git("merge-base", base, tip, ok=(0, 1)).strip() != base:
        raise Failure("%s: branch quilt is not on the base %.12s; rebase it "
                      "on refs/quilt/base" % (tree.path, base))
    lines = tree.git("log", "--reverse", "--topo-order", "-z", "--no-notes",
                     "--no-show-signature", "--encoding=UTF-8",
                     "--format=%H%x01%T%x01%P%x01%f%x01%an <%ae> %ad%x01%s",
                     "--date=raw", "%s..%s" % (base, tip)).split("\0")
    work = [Work(l.replace("\x01", "\0", 5)) for l in lines if l]
    parent, parent_tree = base, tree.git(
        "rev-parse", base + "^{tree}").strip()
    for w in work:
        if w.parents != parent:
            raise Failure("%s is a merge or follows one; rebase the branch to "
                          "a line of commits" % w.short)
        if not w.subject.strip():
            raise Failure("commit %.12s has no subject; give it one with git "
                          "rebase -i" % w.commit)
        if w.tree == parent_tree:
            raise Failure("%s changes nothing; drop it with git rebase -i"
                          % w.short)
        parent, parent_tree = w.commit, w.tree
    return work, tip


def name_patches(work, notes, queue, kept, rename, new_topic):
    """Give each commit its topic and its name."""
    claimed = {}
    for w in work:
        w.old = [n for n in worktree.names_in(notes.get(w.commit, ""))
                 if n in queue.topic_of]
        for name in w.old[:1]:
            if name in claimed:
                raise Failure("%s and %s both are patches/%s; take the note "
                              "from one: git notes --ref quilt remove %.12s"
                              % (claimed[name].short, w.short, name, w.commit))
            claimed[name] = w
    adopt([w for w in work if not w.old], queue,
          [n for n in queue.names if n not in claimed and n not in kept
           and not any(n in w.old for w in work)])
    give_topics(work, queue, new_topic)
    taken = {n: "patches/" + n for n in list(kept) + list(queue.held)}
    for w in work:
        base = w.slug + ".patch"
        if w.old and not rename:
            base = os.path.basename(w.old[0])
        w.name = "%s/%s" % (w.topic, base) if w.topic else base
        if not NAME.match(w.name):
            raise Failure("%s: no file name from its subject; begin it with a "
                          "letter" % w.short)
        if w.name in taken:
            raise Failure("%s would be patches/%s, and so would %s; change "
                          "one subject" % (w.short, w.name, taken[w.name]))
        taken[w.name] = w.short


def adopt(fresh, queue, free):
    """A commit without a note (git cherry-pick and git am copy none) is the
    patch that has its subject, if there is just one of each."""
    def words(name):
        text = patch.subject(queue.read(name))
        text = str(email.header.make_header(email.header.decode_header(text)))
        return text[len("[PATCH] "):] if text.startswith("[PATCH] ") else text

    names, commits_ = {}, {}
    for name in free:
        names.setdefault(words(name), []).append(name)
    for w in fresh:
        commits_.setdefault(" ".join(w.subject.split()), []).append(w)
    for subject, found in commits_.items():
        if len(found) == 1 and len(names.get(subject, ())) == 1:
            found[0].old = names[subject]


def give_topics(work, queue, new_topic):
    """A commit stays in its topic as long as the topics' order allows it;
    one that was moved or is new joins the topic of the one before it."""
    if new_topic and new_topic not in queue.topics:
        raise Failure("no topic %s; add '# topic: %s -- one line (state: "
                      "local)' to series first" % (new_topic, new_topic))
    order = {t: i for i, t in enumerate(queue.topics)}
    for w in work:
        if w.old:
            w.topic = queue.topic_of[w.old[0]]
        elif new_topic:
            w.topic = new_topic
    ranked = [w for w in work if w.topic in order]
    # The longest run of commits whose topics are in order keeps them.
    best = []
    for i, w in enumerate(ranked):
        before = max((best[j] for j in range(i)
                      if order[ranked[j].topic] <= order[w.topic]),
                     key=len, default=[])
        best.append(before + [w])
    keep = set(map(id, max(best, key=len, default=[])))
    topic = None
    for w in work:
        if w.topic in order and id(w) not in keep:
            w.topic = None
    for w in work:
        if w.topic is None:
            w.topic = topic
        topic = w.topic
    first = next((w.topic for w in work if w.topic),
                 queue.topics[0] if queue.topics else None)
    for w in work:
        w.topic = w.topic or first
        if w.topic is None:
            raise Failure("series has no topic; add a line '# topic: NAME -- "
                          "one line (state: local)'")


def fill(work, mails, queue):
    """The content of each patch file: the mail and our fields."""
    for w, mail in zip(work, mails):
        old = [patch.fields(queue.read(n)) for n in w.old]
        values = old[0] if old and old[0] else patch.EMPTY
        if len(old) > 1:
            values = patch.join(values, sum(old[1:], []))
        w.content = patch.with_fields(mail, values)
        if b"\r" in w.content:
            raise Failure("%s has a carriage return in it; take it out"
                          % w.short)
        try:
            w.content.decode("utf-8")
        except UnicodeDecodeError:
            raise Failure("%s is not UTF-8 throughout; make it so" % w.short)
        if not w.content.endswith(b"\n"):
            w.content += b"\n"


def compare(tree, work, made, repo):
    """The commits made of the files must be those of the branch."""
    form = ("log", "-1", "--no-notes", "--format=%T%n%an <%ae> %ad%n%B",
            "--date=raw", "--encoding=UTF-8")
    for w, m in zip(work, made):
        if w.commit == m.commit:
            continue
        want, got = tree.git(*form, w.commit), git(*form, m.commit, repo=repo)
        for a, b in zip(want.rstrip().splitlines() + [""],
                        got.rstrip().splitlines() + [""]):
            if a != b:
                raise Failure("%s does not survive as a mail: %r becomes %r; "
                              "reword it" % (w.short, a, b))


def new_series(queue, work, tail):
    """The lines of series with the branch's order; comments stay."""
    wanted = [(w.name, w.topic, w.old[0] if w.old else None) for w in work]
    wanted += [(n, queue.topic_of[n], n) for n in tail]
    # Patches that keep their order among themselves keep their line.
    place = {n: i for i, n in enumerate(queue.names)}
    stay = _rising([(place[old], old) for name, topic, old in wanted
                    if old and queue.topic_of[old] == topic])
    renamed = {old: name for name, topic, old in wanted if old in stay}
    lines = []
    for line in queue.lines:
        name = line.strip()
        if name in queue.topic_of and not line.startswith("#"):
            if name in stay:
                lines.append(renamed[name])
        else:
            lines.append(line)
    before = None
    for name, topic, old in wanted:
        if old not in stay:
            at = lines.index(before[0]) + 1 if before and before[1] == topic \
                else _head(lines, topic)
            lines.insert(at, name)
        before = (name, topic)
    return lines


def _rising(pairs):
    """The second members of the longest rising run of the first."""
    best = []
    for i, (rank, name) in enumerate(pairs):
        before = max((best[j] for j in range(i) if pairs[j][0] < rank),
                     key=len, default=[])
        best.append(before + [(rank, name)])
    return {name for _, name in max(best, key=len, default=[])}


def _head(lines, topic):
    """Where the first patch of a topic goes."""
    for number, line in enumerate(lines):
        match = TOPIC.match(line)
        if match and match.group(1) == topic:
            return number + 1
    return len(lines)


def write(queue, work, lines, gone):
    """Put all new files beside the old ones, then swap them in."""
    changed = []
    for w in work:
        path = queue.path(w.name)
        if not os.path.exists(path) or queue.read(w.name) != w.content:
            changed.append(("patches/" + w.name, w.content))
    text = ("\n".join(lines) + "\n").encode()
    with open(queue.series, "rb") as f:
        if f.read() != text:
            changed.append(("series", text))
    stage = tempfile.mkdtemp(prefix=".export-", dir=queue.folder)
    try:
        for number, (name, content) in enumerate(changed):
            with open(os.path.join(stage, str(number)), "wb") as f:
                f.write(content)
                f.flush()
                os.fsync(f.fileno())
            os.makedirs(os.path.dirname(os.path.join(queue.folder, name)),
                        exist_ok=True)
        held = {s: signal.signal(s, signal.SIG_IGN)
                for s in (signal.SIGINT, signal.SIGTERM)}
        try:                    # from here on nothing needs room or time
            for number, (name, _) in enumerate(changed):
                target = os.path.join(queue.folder, name)
                fresh = not os.path.exists(target)
                os.chmod(os.path.join(stage, str(number)), 0o644)
                os.rename(os.path.join(stage, str(number)), target)
                print("%s %s" % ("new    " if fresh else "changed", name))
            for name in gone:
                os.unlink(queue.path(name))
                print("gone    patches/" + name)
                try:
                    os.rmdir(os.path.dirname(queue.path(name)))
                except OSError:
                    pass        # it has other patches or a cover letter
        finally:
            for s, handler in held.items():
                signal.signal(s, handler)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return changed


def export(tree, queue, repo, base, rename=False, new_topic=None):
    if not tree.exists() or not tree.is_ours():
        raise Failure("%s is no tree of tools/apply; make one with tools/apply"
                      " %s" % (tree.path, os.path.relpath(tree.path)))
    if tree.ref("refs/quilt/base") != base:
        raise Failure("%s is on another base than %s; name the right queue "
                      "with -q" % (tree.path, queue.series))
    tree.check_idle()
    tree.check_branch()
    tree.check_clean()
    last = tree.git("config", "--get", "quilt.to", ok=(0, 1)).strip()
    if last and last not in queue.topic_of:
        raise Failure("%s was applied up to %s, which is not in series now; "
                      "put it back" % (tree.path, last))
    head = queue.names[:queue.names.index(last) + 1] if last \
        else list(queue.names)
    tail = queue.names[len(head):]

    work, tip = read_branch(tree, base)
    name_patches(work, tree.notes(), queue, tail, rename, new_topic)
    objects = os.path.abspath(os.path.join(tree.path, tree.git(
        "rev-parse", "--git-path", "objects").strip()))
    mails = format_patches(repo, objects, base, tip)
    if len(mails) != len(work):
        raise Failure("git format-patch gave %d mails for %d commits"
                      % (len(mails), len(work)))
    fill(work, mails, queue)
    made = commits.make([(w.name, w.topic, w.content) for w in work], repo,
                        base)
    compare(tree, work, made, repo)
    check_drift(tree, queue, head, work, repo, base)

    lines = new_series(queue, work, tail)
    names = {w.name for w in work} | set(tail)
    gone = [n for n in queue.names if n not in names]
    write(queue, work, lines, gone)
    finish(tree, tip, made, repo, base, bool(last))
    for w in work:
        if not all(v for _, v in patch.fields(w.content)):
            print("fill in the empty fields of patches/" + w.name)
    if tail:
        print("%d later patches of series are left as they are" % len(tail))


def check_drift(tree, queue, head, work, repo, base):
    """Refuse to overwrite what the branch has never seen."""
    if all(os.path.exists(queue.path(w.name)) and
           queue.read(w.name) == w.content for w in work) and \
            {w.name for w in work} == set(head):
        return                          # nothing to write
    stored = tree.ref("refs/quilt/stored")
    try:
        now = commits.make([(n, queue.topic_of[n], queue.read(n))
                            for n in head], repo, base)
        if (now[-1].commit if now else base) == stored:
            return
        reason = ""
    except Failure as failure:
        reason = " (%s)" % failure
    raise Failure("series or a patch changed since %s was applied%s; put the "
                  "queue back to what it was, export, then change it"
                  % (tree.path, reason))


def finish(tree, tip, made, repo, base, partly):
    """Leave the branch as tools/apply makes it: same trees, pinned ids."""
    new = made[-1].commit if made else base
    tree.fetch(repo, new)
    worktree.store(tree, new, made[-1].name if partly and made else None,
                   made)
    if new != tip:
        tree.git("update-ref", "-m", "tools/export", worktree.BRANCH, new, tip)
