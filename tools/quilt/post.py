# SPDX-License-Identifier: GPL-2.0
"""A topic as a posting: cover letter, numbered mails, threads, addresses."""

import email.header
import email.utils
import hashlib
import os
import quopri
import re
import shutil
import subprocess
import tempfile
import textwrap

from . import checking, checkpatch, commits, export, patch
from .kernel import kernel
from .queue import TOPIC
from .run import (Failure, Progress, TOOL, environment, git, git_command,
                  need)

PEOPLE = re.compile(r"^(?:Cc|[A-Z][a-z]+(?:-[a-z]+)*-by): *"
                    r"(.*<[^<>\s]+@[^<>\s]+>)", re.M)


class Posting:
    def __init__(self, queue, topic, signers, to, version, tag):
        self.queue, self.topic = queue, topic
        self.signers, self.to, self.tag = signers, to, tag
        self.sender = signers[-1]
        if topic not in queue.topics:
            raise Failure("no topic %s in %s; topics: %s" % (
                topic, queue.series, " ".join(queue.topics) or "none"))
        self.version = version or self._next_version()
        self.repo, self.base, made = commits.of_queue(queue, topic)
        self.made = [c for c in made if c.topic == topic]
        if not self.made:
            raise Failure("topic %s has no patches yet" % topic)
        self.before = made[:len(made) - len(self.made)]
        self.kernel = kernel(self.repo, self.base)
        self.subject, self.text = self._read_cover()

    def _next_version(self):
        for line in self.queue.lines:
            match = TOPIC.match(line)
            if match and match.group(1) == self.topic:
                posted = re.match(r"posted v(\d+)", match.group(3) or "")
                return int(posted.group(1)) + 1 if posted else 1

    def _read_cover(self):
        path = self.queue.cover(self.topic)
        try:
            with open(path, encoding="utf-8") as f:
                subject, _, text = f.read().partition("\n")
        except FileNotFoundError:
            raise Failure("no %s; write one: a line of subject, an empty "
                          "line, a text" % path)
        if not subject.strip() or not text.strip():
            raise Failure("%s: must be a line of subject, an empty line, a "
                          "text" % path)
        return subject.strip(), text.strip("\n")

    def sign(self):
        """The topic's commits again, with the sign-offs; the last one."""
        parent = self.before[-1].commit if self.before else self.base
        trailers = []
        for signer in self.signers:
            trailers += ["--trailer", "Signed-off-by: " + signer]
        date = None
        for c in self.made:
            name, mail, date, message = git(
                "log", "-1", "--no-notes", "--format=%an%n%ae%n%ad%n%B",
                "--date=raw", c.commit, repo=self.repo).split("\n", 3)
            message = git("interpret-trailers", "--if-exists=addIfDifferent",
                          *trailers, repo=self.repo, input=message)
            who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail,
                   "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
            who.update(self._committer())
            parent = git("commit-tree", "-p", parent, c.tree, repo=self.repo,
                         input=message, env=who).strip()
        self.date = date
        return parent

    def _committer(self):
        name, mail = email.utils.parseaddr(self.sender)
        return {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail}

    def mails(self):
        """The mails of the posting, the cover letter first."""
        start = self.before[-1].commit if self.before else self.base
        tip = self.sign()
        self._checkpatch(start, tip)
        flags = [f for f in export.FLAGS if f not in (
            "--no-numbered", "--no-cover-letter", "--subject-prefix=PATCH")]
        flags += ["--numbered", "--cover-letter", "--from=" + self.sender,
                  "--subject-prefix=" + self.tag, "--base=" + self.base]
        if self.version > 1:
            flags.append("--reroll-count=%d" % self.version)
        mails = export.format_patches(
            self.repo, "", start, tip, flags,
            dict(self._committer(), GIT_COMMITTER_DATE=self.date))
        mails[0] = self._cover(mails[0])
        people = [self._maintainers(m) for m in mails[1:]]
        people.insert(0, list(dict.fromkeys(sum(people, []))))
        ids = [self._id(number, mail) for number, mail in enumerate(mails)]
        out = []
        for number, mail in enumerate(mails):
            lines = [b"To: " + _fold(self.to)]
            if people[number]:
                lines.append(b"Cc: " + _fold(people[number]))
            lines.append(b"Message-Id: " + ids[number])
            if number:
                lines += [b"In-Reply-To: " + ids[0], b"References: " + ids[0]]
            mail = _unfold(_plain_from(_add_header(mail, lines)))
            out.append(mail.rstrip(b"\n") + b"\n")
        return out

    def _id(self, number, mail):
        digest = hashlib.sha256(mail).hexdigest()[:16]
        domain = email.utils.parseaddr(self.sender)[1].rpartition("@")[2]
        return ("<%s-v%d-%02d-%s@%s>" % (self.topic, self.version, number,
                                         digest, domain)).encode()

    def _cover(self, mail):
        text = self.text + "\n\n" + self._where() + "\n"
        subject = self.subject
        if not subject.isascii():
            subject = email.header.Header(subject, "utf-8").encode()
        mail = mail.replace(b"*** SUBJECT HERE ***", subject.encode(), 1)
        mail = mail.replace(b"*** BLURB HERE ***\n", text.encode(), 1)
        if not mail.isascii() and b"\nContent-Type:" not in \
                mail.partition(b"\n\n")[0]:
            mail = _add_header(mail, [
                b"MIME-Version: 1.0",
                b"Content-Type: text/plain; charset=UTF-8",
                b"Content-Transfer-Encoding: 8bit"])
        return mail

    def _where(self):
        """What the topic stands on, for those who have only this mail."""
        data = self.queue.base_data()
        text = "This applies to %s" % data.name
        if self.before:
            topics = list(dict.fromkeys(c.topic for c in self.before))
            text += (" after the %d patches of %s, whose patch ids are below"
                     % (len(self.before), ", ".join(topics)))
        return _wrap(text + ". base-commit is that release as one commit with "
                     "the git tree %s; with this topic the tree is %s."
                     % (data["tree"], self.made[-1].tree))

    def _checkpatch(self, start, tip):
        """checkpatch must be content with the sign-offs in."""
        excepted = [e for e in checking.read_exceptions(self.queue)[0]
                    if e.check == "checkpatch"]
        wrong = []
        progress = Progress("checkpatch")
        plain = export.format_patches(self.repo, "", start, tip)
        for c, mail in zip(self.made, plain):
            progress.tick(c.name)
            file = "patches/" + c.name
            text = checking.remember(
                "checkpatch", (self.base, checkpatch.NEVER, mail),
                lambda: checkpatch.ask(mail, self.kernel))
            for kind, _, message in checkpatch.read(text):
                if not any(e.matches(file, kind) for e in excepted):
                    wrong.append("%s: %s: %s" % (file, kind, message))
        if wrong:
            raise Failure("checkpatch with sign-offs has %d findings, first: "
                          "%s; mend it, or let its author sign off too "
                          "(--signoff may repeat)" % (len(wrong), wrong[0]))

    def _maintainers(self, mail):
        """Who is to get a patch: get_maintainer.pl and its own trailers."""
        need("perl")
        tip = self.made[-1].commit
        with tempfile.TemporaryDirectory(prefix="mmquilt-") as home:
            path = os.path.join(home, "MAINTAINERS")
            with open(path, "wb") as f:
                f.write(git("cat-file", "blob", tip + ":MAINTAINERS",
                            repo=self.repo, raw=True))
            with open(os.path.join(home, "mail"), "wb") as f:
                f.write(mail)
            done = subprocess.run(
                ["perl", "scripts/get_maintainer.pl", "--nogit",
                 "--nogit-fallback", "--nofixes", "--norolestats",
                 "--mpath", path, os.path.join(home, "mail")],
                cwd=self.kernel, env=environment(HOME=home),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise Failure("get_maintainer.pl failed: %s" % (
                done.stderr.strip().splitlines() or ["no reason given"])[-1],
                TOOL)
        found = [l for l in done.stdout.splitlines() if "@" in l]
        message = mail.partition(b"\n---\n")[0].partition(b"\n\n")[2]
        found += PEOPLE.findall(message.decode(errors="replace"))
        skip = {email.utils.parseaddr(a)[1].lower()
                for a in self.to + [self.sender]}
        unique = {}
        for address in found:
            key = email.utils.parseaddr(address)[1].lower()
            if key and key not in skip:
                unique.setdefault(key, address)
        return list(unique.values())


def _wrap(text):
    return "\n".join(textwrap.wrap(text, 72, break_long_words=False,
                                   break_on_hyphens=False))


def _fold(addresses):
    """An address list as a header's value."""
    out = []
    for address in addresses:
        name, mail = email.utils.parseaddr(address)
        out.append(email.utils.formataddr((name, mail)).encode())
    return b",\n ".join(out)


def _add_header(mail, lines):
    header, rest = patch.split_header(mail)
    at = 1 + max(i for i, l in enumerate(header)
                 if l.lower().startswith(b"subject:"))
    return b"\n".join(header[:at] + lines + header[at:] + [rest])


def _plain_from(mail):
    """A line of the body that starts with 'From ' would end the mail in an
    mbox; such a mail is sent as quoted-printable, which all readers undo."""
    header, rest = patch.split_header(mail)
    if not re.search(rb"^>*From ", rest[1:], re.M):
        return mail
    body = quopri.encodestring(rest[1:])
    body = re.sub(rb"^(>*)From ", lambda m: b"=3E" * len(m.group(1)) +
                  b"=46rom ", body, flags=re.M)
    names = (b"mime-version:", b"content-type:", b"content-transfer-encoding:")
    header = [h for h in header if not h.lower().startswith(names)]
    header += [b"MIME-Version: 1.0",
               b"Content-Type: text/plain; charset=UTF-8",
               b"Content-Transfer-Encoding: quoted-printable"]
    return b"\n".join(header) + b"\n\n" + body


def _unfold(mail):
    """Subject on one line, however long: b4 0.12 stumbles over a fold."""
    header, rest = patch.split_header(mail)
    header = [re.sub(rb"\n\s+", b" ", h)
              if h.lower().startswith(b"subject:") else h for h in header]
    return b"\n".join(header + [rest])


def write(posting, mails, folder):
    """The mails in folder: as files, and as two mboxes. git am stops at a
    cover letter, so one mbox has the patches only and the other the thread."""
    work = folder.rstrip("/") + ".tmp%d" % os.getpid()
    patches, thread = posting.topic + ".mbox", posting.topic + "-thread.mbox"
    if os.path.isdir(folder) and os.listdir(folder) and \
            not os.path.exists(os.path.join(folder, thread)):
        raise Failure("%s is there and is no posting of %s; name another "
                      "folder with --out" % (folder, posting.topic))
    names = ["%04d-%s.patch" % (number, "cover-letter" if not number else
                                os.path.basename(posting.made[number - 1]
                                                 .name)[:-len(".patch")])
             for number in range(len(mails))]
    files = dict(zip(names, mails))
    files[patches] = b"\n".join(mails[1:])
    files[thread] = b"\n".join(mails)
    try:
        os.makedirs(work)
        for name, content in files.items():
            with open(os.path.join(work, name), "wb") as f:
                f.write(content)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return [os.path.join(folder, n) for n in [patches, thread] + names]


def smtp(posting, files, server):
    """Hand the mails to git send-email, which asks nothing."""
    need("git-send-email")
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit():
        raise Failure("--smtp %s: must be HOST:PORT" % server)
    command = ["send-email", "--quiet", "--confirm=never", "--no-annotate",
               "--no-thread", "--no-chain-reply-to", "--no-format-patch",
               "--no-xmailer", "--suppress-cc=author", "--suppress-cc=self",
               "--suppress-cc=body", "--suppress-cc=cccmd",
               "--from=" + posting.sender,
               "--smtp-server=" + host, "--smtp-server-port=" + port]
    command += ["--to=" + a for a in posting.to]
    done = subprocess.run(git_command(command + files, posting.repo),
                          env=environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode:
        said = [l for l in done.stdout.splitlines() if l.strip()]
        raise Failure("git send-email failed: %s; nothing or a part was sent"
                      % (said[-1] if said else done.returncode), TOOL)
