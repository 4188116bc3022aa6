# SPDX-License-Identifier: GPL-2.0
"""tools/send: what arrives is what was applied, by every road."""

import contextlib
import email
import email.header
import email.utils
import mailbox
import os
import re
import shutil
import socketserver
import subprocess
import threading
import unittest

from synthetic import AUTHOR, Case, get, git, put, snapshot

SENDER = "Sam Sender <sam@example.com>"


class Sink(socketserver.StreamRequestHandler):
    """Enough of SMTP to take mails: server.mails gets (recipients, bytes)."""

    def handle(self):
        self.say("220 sink")
        to = []
        for line in self.rfile:
            word = line.split()[0].upper() if line.split() else b""
            if word == b"EHLO":
                self.say("250-sink", "250 8BITMIME")
            elif word == b"RCPT":
                to.append(re.search(rb"<(.*?)>", line).group(1).decode())
                self.say("250 ok")
            elif word == b"DATA":
                self.say("354 go")
                lines = []
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    lines.append(line[1:] if line[:1] == b"." else line)
                self.server.mails.append(
                    (to, b"".join(lines).replace(b"\r\n", b"\n")))
                to = []
                self.say("250 taken")
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, *lines):
        for line in lines:
            self.wfile.write(line.encode() + b"\r\n")


class Send(Case):
    def setUp(self):
        super().setUp()
        self.make_queue()
        self.out = os.path.join(self.top, "out")

    def send(self, topic, *args, signoff=(AUTHOR,)):
        for signer in signoff:
            args += ("--signoff", signer)
        return self.ok("send", topic, "--out", self.out, *args)

    def mails(self, topic):
        """The mails of the thread."""
        with contextlib.closing(mailbox.mbox(self.mbox(topic, True))) as box:
            return [email.message_from_bytes(bytes(m)) for m in box]

    def mbox(self, topic, thread=False):
        return os.path.join(self.out, topic + (
            "-thread.mbox" if thread else ".mbox"))

    def tree(self, topic):
        """The tree that tools/commits has after a topic."""
        return self.ok("commits", "--to", topic).splitlines()[-1].split()[1]

    def arrive(self, start, *command, **kw):
        """The tree after git am of a file on a commit of the series."""
        where = os.path.join(self.top, "receiver")
        shutil.rmtree(where, ignore_errors=True)
        git("clone", "-q", self.dir, where, cwd=self.top)
        git("checkout", "-q", start, cwd=where)
        git("am", "-q", *command, cwd=where)
        self.log = git("log", "--reverse", "--format=%an <%ae>%n%B",
                       start + "..", cwd=where)
        return git("rev-parse", "HEAD^{tree}", cwd=where).strip()

    def start(self, topic):
        lines = self.ok("commits").splitlines()
        first = next(i for i, l in enumerate(lines)
                     if l.split()[2] == topic)
        return lines[first - 1].split()[0] if first else \
            self.ok("base").split()[1]

    def test_git_am_gives_the_same_tree(self):
        for topic in ("one", "two"):
            out = self.send(topic)
            self.assertEqual(out, "%s\n%s\n" % (self.mbox(topic),
                                                self.mbox(topic, True)))
            self.assertEqual(self.arrive(
                self.start(topic), self.mbox(topic)), self.tree(topic))
            self.assertEqual(self.log.count("Signed-off-by: " + AUTHOR), 2)
            shutil.rmtree(self.out)
        self.assertIn("\nFrom here on it is right.\n>From there, too.\n",
                      self.log)
        self.assertIn("\u00e9\u00e8", self.log)

    def test_b4_am_gives_the_same_tree(self):
        put(self.top, ".gitconfig", "[user]\n\tname = R\n\temail = r@x.org\n"
            "[b4]\n\tattestation-policy = off\n")
        for topic in ("one", "two"):
            self.send(topic)
            mails = self.mails(topic)
            for thread, first in ((True, mails[0]), (False, mails[1])):
                self.b4(topic, self.mbox(topic, thread),
                        first["Message-Id"].strip("<>"))
            shutil.rmtree(self.out)

    def b4(self, topic, mbox, message_id):
        folder = os.path.join(self.top, "b4")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        done = subprocess.run(
            ["b4", "am", "-m", mbox, "-o", folder, message_id], cwd=self.top,
            env=self.env, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        found = [n for n in os.listdir(folder) if n.endswith(".mbx")]
        self.assertEqual(len(found), 1, done.stdout)
        self.assertEqual(self.arrive(self.start(topic), os.path.join(
            folder, found[0])), self.tree(topic))
        self.assertEqual(self.log.count("Signed-off-by: " + AUTHOR), 2)

    def test_threads_numbers_and_people(self):
        self.send("two", "--to", "list@example.org")
        mails = self.mails("two")
        self.assertEqual(len(mails), 3)
        subjects = [str(email.header.make_header(email.header.decode_header(
            m["Subject"]))).replace("\n", "") for m in mails]
        self.assertEqual(subjects[:2], ["[PATCH v2 0/2] mm: the topic two",
                                        "[PATCH v2 1/2] fs: change file 10"])
        self.assertTrue(subjects[2].startswith("[PATCH v2 2/2] mm: a subject"))
        cover = mails[0]["Message-Id"]
        self.assertEqual(len({m["Message-Id"] for m in mails}), 3)
        self.assertNotIn("In-Reply-To", mails[0])
        for mail in mails[1:]:
            self.assertEqual(mail["In-Reply-To"], cover)
            self.assertEqual(mail["References"], cover)
        for mail in mails:
            self.assertEqual(mail["To"], "list@example.org")
            for field in ("Origin", "Upstream", "Differs", "Proof"):
                self.assertNotIn(field, mail)
            self.assertIn("linux-mm@kvack.org", mail["Cc"])
            self.assertNotIn("ada@example.org", mail["Cc"])

        def people(m):
            return re.findall(r"\w+@example\.org", m["Cc"])
        self.assertEqual(people(mails[1]), ["file@example.org"])
        self.assertEqual(people(mails[2]), ["mel@example.org"])
        self.assertEqual(people(mails[0]), ["file@example.org",
                                            "mel@example.org"])

    def test_maintainers_at_the_tip(self):
        """A patch that adds itself to MAINTAINERS is heard."""
        self.ok("apply", self.dir)
        put(self.dir, "MAINTAINERS", get(self.dir, "MAINTAINERS") +
            "\nNEW\nM:\tNew One <new@example.org>\nF:\tfs/\n")
        git("commit", "-qam", "MAINTAINERS: new\n\nText.\n\nReported-by: Rex "
            "<rex@example.org>", cwd=self.dir)
        self.ok("export", self.dir)
        self.send("two")
        mails = self.mails("two")
        self.assertIn("new@example.org", mails[1]["Cc"])
        self.assertIn("rex@example.org", mails[3]["Cc"])

    def test_cover_letter(self):
        put(self.queue, "patches/two/00-cover.txt",
            "mm: caf\u00e9\n\nLine one.\nFrom here.\n\nLast line.\n")
        self.send("two")
        cover = self.mails("two")[0]
        self.assertEqual(str(email.header.make_header(
            email.header.decode_header(cover["Subject"]))),
            "[PATCH v2 0/2] mm: caf\u00e9")
        text = cover.get_payload(decode=True).decode()
        base = self.ok("base").split()[1]
        self.assertTrue(text.startswith(
            "Line one.\nFrom here.\n\nLast line.\n\nThis applies to v1.2.3 "
            "after the 2 patches of one, whose patch ids are\nbelow."), text)
        self.assertIn("\nbase-commit: %s\n" % base, text)
        self.assertIn(self.release.tree, text)
        self.assertIn(self.tree("two"), text)
        self.assertIn("Ada Author (2):\n  fs: change file 10\n", text)
        self.assertIn(" 2 files changed, 2 insertions(+), 2 deletions(-)",
                      text)
        ids = []
        for line in self.ok("commits", "--to", "one").splitlines():
            shown = git("show", line.split()[0], cwd=self.dir)
            ids.append(git("patch-id", "--stable", cwd=self.dir,
                           input=shown).split()[0])
        self.assertEqual(re.findall(r"prerequisite-patch-id: (\w+)", text),
                         ids)

    def test_twice_is_the_same(self):
        self.send("two")
        first = snapshot(self.out)
        self.send("two")
        self.assertEqual(snapshot(self.out), first)

    def test_sender_who_is_not_the_author(self):
        line = self.fails("NO_AUTHOR_SIGN_OFF", "send", "one", "--out",
                          self.out, "--signoff", SENDER)
        self.assertIn("--signoff may repeat", line)
        self.assertFalse(os.path.exists(self.out))
        self.send("one", signoff=(AUTHOR, SENDER))
        for mail in self.mails("one"):
            self.assertEqual(mail["From"], SENDER)
        self.assertTrue(self.mails("one")[1].get_payload().startswith(
            "From: %s\n\nIt was wrong." % AUTHOR))
        self.assertEqual(self.arrive(self.start("one"), os.path.join(
            self.out, "one.mbox")), self.tree("one"))
        self.assertIn(AUTHOR + "\nmm: change line 10", self.log)
        self.assertIn("Signed-off-by: %s\nSigned-off-by: %s\n"
                      % (AUTHOR, SENDER), self.log)

    def test_trailer_goes_after_the_others(self):
        self.send("one")
        self.assertIn('\n\nFixes: 0123456789ab ("mm: first")\nSigned-off-by: '
                      'Ada Author <ada@example.org>\n---\n',
                      self.mails("one")[2].get_payload())

    def test_checkpatch_must_be_content(self):
        self.ok("apply", self.dir)
        self.commit("fs/file.c", "file_40;", "UGLY;", "fs: ugly\n\nText.")
        self.ok("export", self.dir)
        args = ("send", "two", "--signoff", AUTHOR, "--out", self.out)
        self.fails("patches/two/fs-ugly.patch: UGLY: ugly line", *args)
        put(self.queue, "exceptions", "patches/two/fs-ugly.patch checkpatch "
            "UGLY -- it must be\n")
        self.ok(*args)

    def test_bad_input(self):
        self.fails("no topic three in", "send", "three", "--signoff", AUTHOR)
        self.fails('must be "Name <mail>"', "send", "one", "--signoff",
                   "ada@example.org", status=5)
        os.unlink(os.path.join(self.queue, "patches/one/00-cover.txt"))
        self.fails("00-cover.txt; write one", "send", "one", "--signoff",
                   AUTHOR)
        put(self.queue, "patches/one/00-cover.txt", "only a subject\n")
        self.fails("must be a line of subject", "send", "one", "--signoff",
                   AUTHOR)
        put(self.out, "mine", "x\n")
        self.fails("is no posting of two", "send", "two", "--out", self.out,
                   "--signoff", AUTHOR)
        self.assertEqual(get(self.out, "mine"), "x\n")

    def test_smtp_gets_the_mails_of_the_mbox(self):
        put(self.top, ".gitconfig", "[sendemail]\n\tbcc = spy@example.org\n"
            "\tconfirm = always\n\tannotate = yes\n\tsuppresscc = all\n")
        self.ok("apply", self.dir)
        git("commit", "-q", "--amend", "-m", "mm: t\n\nText.\n\nCc: Cy "
            "<cy@example.org>", cwd=self.dir)
        self.ok("export", self.dir)
        with socketserver.TCPServer(("127.0.0.1", 0), Sink) as server:
            server.mails = []
            threading.Thread(target=server.serve_forever, daemon=True).start()
            out = self.send("two", "--smtp", "127.0.0.1:%d"
                            % server.server_address[1],
                            signoff=(AUTHOR, SENDER))
            server.shutdown()
        self.assertIn("3 mails sent", out)
        mails = self.mails("two")
        self.assertEqual(len(server.mails), len(mails))

        def text(mail):
            return mail.get_payload(decode=True).decode().rstrip("\n")

        def header(mail, name):
            value = str(email.header.make_header(email.header.decode_header(
                mail[name] or "")))
            return re.sub(r"\s+", " ", value)
        for (to, data), want in zip(server.mails, mails):
            got = email.message_from_bytes(data)
            for name in ("From", "To", "Cc", "Subject", "Message-Id",
                         "In-Reply-To", "References"):
                self.assertEqual(header(got, name), header(want, name), name)
            self.assertEqual(text(got), text(want))
            people = email.utils.getaddresses([want["To"], want["Cc"]])
            self.assertEqual(sorted(to), sorted(a for _, a in people))
        self.assertIn("cy@example.org", server.mails[2][0])

    def test_smtp_that_does_not_answer(self):
        with socketserver.TCPServer(("127.0.0.1", 0), Sink) as server:
            port = server.server_address[1]
        self.fails("git send-email failed", "send", "one", "--out", self.out,
                   "--signoff", AUTHOR, "--smtp", "127.0.0.1:%d" % port,
                   status=5)


if __name__ == "__main__":
    unittest.main()
