"""ci/model/run: it says so when a model does not do what it says of itself."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

MODEL = pathlib.Path(__file__).resolve().parents[1] / "model"
TEXT = """
/*
 * needed: %s
 * spare: %s
 * reached: %s
 */
#include "order.h"
byte x;
init {
#ifdef NO_ORDER
	x = 1;
#endif
	assert(x == 0);
#ifdef SHOW_END
	assert(x);
#endif
}
"""


@unittest.skipUnless(shutil.which("spin"), "no spin")
class Model(unittest.TestCase):
    """What a model says of itself is asked of spin."""

    def judge(self, text):
        """Exit status and output of ci/model/run for one model."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(MODEL / "order.h", folder)
            model = pathlib.Path(folder) / "x.pml"
            model.write_text(text)
            done = subprocess.run([MODEL / "run", model], text=True, check=False,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def test_good(self):
        status, said = self.judge(TEXT % ("ORDER", "OTHER", "END"))
        self.assertEqual((status, said.count("ok: ")), (0, 5), said)

    def test_not_needed(self):
        status, said = self.judge(TEXT % ("OTHER", "OTHER", "END"))
        self.assertEqual(status, 1)
        self.assertIn("NOT OK: x without OTHER: none", said)

    def test_not_spare(self):
        status, said = self.judge(TEXT % ("ORDER", "ORDER", "END"))
        self.assertEqual(status, 1)
        self.assertIn("NOT OK: x without ORDER, which is spare: a violation", said)

    def test_not_reached(self):
        status, said = self.judge(TEXT % ("ORDER", "OTHER", "NOWHERE"))
        self.assertEqual(status, 1)
        self.assertIn("NOT OK: x comes to NOWHERE: none", said)

    def test_violated(self):
        status, said = self.judge(TEXT.replace("x == 0", "x == 2") % ("ORDER", "OTHER", "END"))
        self.assertEqual(status, 1)
        self.assertIn("NOT OK: x as it is: a violation", said)

    def test_broken(self):
        self.assertEqual(self.judge(TEXT.replace("byte x", "byte") % ("A", "B", "C"))[0], 5)


if __name__ == "__main__":
    unittest.main()
