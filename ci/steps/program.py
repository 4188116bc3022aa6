"""What the commands share: how they end, and where their files go."""
import os
import signal
import subprocess
import sys
import time

from steps import host
from steps.host import Failure


def folder(name=""):
    """A fresh folder out/[NAME-]<date>; out/latest[-NAME] points to the last one."""
    top = host.TOP / "out"
    name = name and name + "-"
    stamp = name + time.strftime("%Y%m%d-%H%M%S")
    for number in range(1, 100):
        path = top / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            continue
    latest = f"latest-{name}".rstrip("-")
    link = top / f".{latest}.{os.getpid()}"
    link.symlink_to(path.name)
    link.rename(top / latest)
    return path


def elapsed():
    return f"{time.monotonic() - host.START:.0f} s"


def run(main):
    """Call main() as the program; turn how it ends into an exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"FAIL {failure.kind}: {failure.why}"
              + (f"\n  log: {failure.log}" if failure.log else ""), file=sys.stderr)
        sys.exit(5 if failure.kind == "harness" else 1)
    except KeyboardInterrupt:
        host.STOP.set()
        print("stopped; what was done is kept, the same command goes on from there",
              file=sys.stderr)
        sys.exit(5)
    except subprocess.CalledProcessError as error:
        print(f"FAIL harness: {' '.join(map(str, error.cmd[:4]))}... ended with "
              f"{error.returncode}", file=sys.stderr)
        sys.exit(5)
    except OSError as error:
        print(f"FAIL harness: {error}", file=sys.stderr)
        sys.exit(5)
