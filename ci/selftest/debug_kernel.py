#!/usr/bin/env python3
"""The kernel of ci/run --debug on guests that are broken in ways that only it
notices.  It has to be built, so ci/test does not run this:
    ci/selftest/debug_kernel.py [DETECTOR]"""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from selftest import detectors  # noqa: E402
from steps import boot, build, config, program, source, tables  # noqa: E402
from steps.host import TOP, say  # noqa: E402

# lkdtm's crash point, and what the kernel must say of it.
NOTICED = {
    "READ_AFTER_FREE": "BUG: KASAN: use-after-free in lkdtm_READ_AFTER_FREE",
    "SPINLOCKUP": "WARNING: lock held when returning to user space!",
}


class Debug(unittest.TestCase):
    def notices(self, point):
        arch = config.tuned(tables.arch(tables.native()), ["debug"])
        src = source.Source(TOP)
        out = program.folder("debug-kernel")
        kernel = build.kernel(src, src.tip, "patched", arch, ["debug"], os.cpu_count() or 1,
                              out / "build.log")
        guest = build.guest(arch, out / "guest.log")
        accel = boot.pick_accel(arch, kernel / "kernel", say)
        judged, console = detectors.run(point, {}, point, arch, accel, kernel, guest, out,
                                        lambda text: say(f"{point}: {text}"))
        self.assertIn("splat", judged["kinds"])
        self.assertIn(NOTICED[point], console)
        self.assertNotIn("BUG", console.split("init: begin")[0])


for name in NOTICED:
    setattr(Debug, f"test_{name}", lambda self, name=name: self.notices(name))

if __name__ == "__main__":
    unittest.main(verbosity=2)
