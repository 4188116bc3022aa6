"""The series' rule about page-table walks from a copy: silent on the tip, not on a kernel
whose fast pins are broken that way."""
import re
import shutil
import unittest

from steps import broken, cocci, host, source, tables

RULE = "misc/pgtable_copy.cocci"
BROKEN = "gup-copies"
SITES = ["p4d_offset", "pmd_offset", "pud_offset"]


@unittest.skipUnless(shutil.which("spatch"), "there is no spatch")
class Walks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.src = source.Source(host.TOP)
        cls.rules = cocci.Rules(cls.src, cls.src.tip, tables.arch(tables.native()), 1,
                                but=cls.src.base)

    def look(self, commit, file):
        return self.rules.look(commit, file).get(RULE, [])

    def test_tip(self):
        self.assertIn(RULE, self.rules.texts)
        names = self.src.git("grep", "-lE", r"\bp[4um]d_offset(_[a-z]+)?\(", self.src.tip,
                             "--", "*.c", "*.h", ":!tools")
        files = [name.partition(":")[2] for name in names.splitlines()]
        self.assertIn("mm/gup.c", files)
        self.assertEqual([line for file in files for line in self.look(self.src.tip, file)], [])

    def test_planted(self):
        commit = broken.commit(self.src, broken.load(host.TOP)[BROKEN])
        said = [re.search(r": (\w+)\(\) on the address of a copy", line).group(1)
                for line in self.look(commit, "mm/gup.c")]
        self.assertEqual(sorted(said), SITES)


if __name__ == "__main__":
    unittest.main()
