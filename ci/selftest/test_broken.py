"""ci/broken with made-up files, and ours."""
import pathlib
import subprocess
import tempfile
import unittest

from steps import broken, host, proof, tables, trial
from steps.host import Failure

DIFF = "\ndiff --git a/mm/a.c b/mm/a.c\n--- a/mm/a.c\n+++ b/mm/a.c\n@@ -1,2 +1 @@\n one\n-two\n"
FILE = f"It forgets two.\n\nPatch: t/a.patch\nRed: a/x x86_64\nRed: b x86_64,arm64\n{DIFF}"
OUTCOME = {word: trial.Outcome(word, "") for word in (*trial.RED, "pass", "skip", "absent")}


class Parse(unittest.TestCase):
    def test_good(self):
        one = broken.parse("n", FILE)
        self.assertEqual((one.words, one.patches), (["It forgets two."], ["t/a.patch"]))
        self.assertEqual(broken.values(one), ["a/x x86_64", "b x86_64,arm64"])

    def test_bad(self):
        for text in (DIFF, FILE.replace("It forgets two.", ""), FILE.replace(DIFF, ""),
                     FILE.replace("Patch: t/a.patch\n", ""), FILE.replace("Red: ", "# "),
                     FILE.replace("a/x x86_64", "a/x"), FILE.replace("Red: b", "Rde: b"),
                     FILE.replace("Red: a/x x86_64\nRed: b x86_64,arm64", "Red: none why")):
            with self.assertRaises(Failure, msg=text):
                broken.parse("n", text)


class Verdict(unittest.TestCase):
    def say(self, bad, tip):
        return proof.verdict(OUTCOME[bad], OUTCOME[tip], where=broken.WHERE)

    def test_red_then_green(self):
        for red in trial.RED:
            self.assertEqual(self.say(red, "pass"), "")

    def test_everything_else_is_an_error(self):
        for bad, tip, why in (("pass", "pass", "green on the broken kernel"),
                              ("absent", "pass", "never ran on the broken kernel"),
                              ("skip", "pass", "skipped on the broken kernel"),
                              ("fail", "fail", "red on the tip"),
                              ("fail", "skip", "skipped on the tip"),
                              ("fail", "absent", "never ran on the tip")):
            self.assertIn(why, self.say(bad, tip))


class Commit(unittest.TestCase):
    """The diff meets a tree as the series has it, or not."""
    def commit(self, content):
        with tempfile.TemporaryDirectory() as name:
            top = pathlib.Path(name)
            (top / "w" / "mm").mkdir(parents=True)
            (top / "w" / "mm" / "a.c").write_text(content)
            (top / "n.patch").write_text(FILE)

            def git(*args):
                return subprocess.run(["git", "-C", str(top / "w"), "-c", "user.name=a",
                                       "-c", "user.email=a@b", *args], check=True, text=True,
                                      stdout=subprocess.PIPE).stdout.strip()
            git("init", "-q")
            git("add", "-A")
            git("commit", "-q", "-m", "tip")

            class Source:
                git_dir, tip = str(top / "w" / ".git"), git("rev-parse", "HEAD")
            one = broken.parse("n", FILE, top / "n.patch")
            made = [broken.commit(Source, one) for _ in range(2)]
            self.assertEqual(made[0], made[1])
            self.assertEqual(git("status", "--porcelain"), "")
            return git("show", f"{made[0]}:mm/a.c")

    def test_applies(self):
        self.assertEqual(self.commit("one\ntwo\n"), "one")

    def test_has_to_be_refreshed(self):
        with self.assertRaises(Failure) as caught:
            self.commit("one\n2\n")
        self.assertEqual(caught.exception.kind, "apply")
        self.assertIn("n.patch has to be refreshed for t/a.patch", caught.exception.why)


class Written(unittest.TestCase):
    def setUp(self):
        self.every = {"n": broken.parse("n", FILE)}
        self.results = {"n": {"a/x x86_64": "splat -> pass", "b x86_64,arm64": "fail -> pass"}}
        self.text = broken.write(self.every.values(), self.results, "")

    def test_round_trip(self):
        self.assertEqual(broken.read(self.text), self.results)
        self.assertEqual(broken.compare(self.text, self.every), [])
        self.assertEqual(broken.write(self.every.values(), {}, self.text), self.text)

    def test_one_is_written(self):
        other = broken.parse("o", FILE)
        text = broken.write([*self.every.values(), other],
                            {"o": {"a/x x86_64": "fail -> pass"}}, self.text)
        self.assertEqual(broken.read(text), {**self.results, "o": {
            "a/x x86_64": "fail -> pass", "b x86_64,arm64": "not run"}})

    def test_compare(self):
        for text, why in (("", "does not say what"),
                          (self.text.replace("splat -> pass", "pass -> pass"), "was not seen"),
                          (self.text.replace("splat -> pass", "not run"), "was not seen"),
                          (self.text.replace("a/x x86", "a/y x86"), "does not say what"),
                          (self.text.replace("It forgets", "She forgets"), "words"),
                          (self.text.replace("t/a.patch", "t/b.patch"), "words")):
            self.assertIn(why, "\n".join(broken.compare(text, self.every)))
        self.assertEqual(broken.compare(self.text, {}), ["n is not in ci/broken.d"])

    def test_proves(self):
        def say(row="broken/n", patch="t/a.patch", arches=("x86_64",), text=self.text):
            return broken.proves(row, patch, list(arches), self.every, text)
        self.assertEqual(say(), ("splat -> pass", ""))
        for got, why in ((say("broken/m"), "there is no"), (say(patch="t/b.patch"), "not name"),
                         (say(arches=["s390x"]), "no row has to be red on s390x"),
                         (say(text=""), "does not have it"),
                         (say(text=self.text.replace("fail ->", "pass ->")), "does not have it")):
            self.assertEqual(got[0], "")
            self.assertIn(why, got[1])


class Ours(unittest.TestCase):
    def setUp(self):
        self.every = broken.load(host.TOP)
        self.names = tables.series(host.TOP)[2]

    def test_patches_and_rows_are_there(self):
        self.assertTrue(self.every)
        tests = {words[1] for _, words in tables.tests() if words[0] == "test"}
        for one in self.every.values():
            for patch in one.patches:
                self.assertIn(patch, self.names, one.name)
            for row, arches in one.red:
                self.assertIn(row.split("/")[0], tests, one.name)
                self.assertLessEqual(set(arches), set(tables.arches()), one.name)

    def test_written(self):
        """Documentation/broken.rst has each of ci/broken.d, red and green."""
        path = broken.written(host.TOP)
        self.assertTrue(path.exists(), "run ci/broken --write")
        self.assertEqual(broken.compare(path.read_text(), self.every), [],
                         "run ci/broken --write")

    def test_headers(self):
        """Each Proof: broken/NAME is one that ci/prove accepts."""
        text = broken.written(host.TOP).read_text()
        for name in self.names:
            values = proof.fields((host.TOP / "patches" / name).read_bytes())
            rows = proof.parse(values, name)
            for row, arches in rows if isinstance(rows, list) else []:
                if row.startswith(broken.TEST):
                    self.assertEqual(broken.proves(row, name, arches, self.every, text)[1], "",
                                     name)


class CommandLine(unittest.TestCase):
    def run_it(self, *args):
        done = subprocess.run([str(host.CI / "broken"), *args], text=True, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def test_unknown_name(self):
        code, text = self.run_it("nothing-such")
        self.assertEqual(code, 5)
        self.assertIn("no such file in ci/broken.d", text)

    def test_write_wants_a_run(self):
        code, text = self.run_it("--write", "--apply")
        self.assertEqual(code, 2)
        self.assertIn("nothing that --write could write", text)
