"""Boots a kernel in QEMU, follows its results, and asks it for its stacks
before it is killed for not answering."""
import contextlib
import filecmp
import json
import mmap
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

from steps import host, verdict

BOOT_LIMIT = 60     # seconds until the first line of results, before scaling
SILENCE_LIMIT = 60  # without any line, the guest's heartbeat comes every 5
STACKS_WAIT = 20    # for an answer to the request for stacks
STACKS_QUIET = 2    # an answer without a new word for that long is whole
KMSG = "kmsg"       # what an arch's key "ktap" says that has one serial port alone
HALTED = b"Reboot failed -- System halted"  # the kernel's own words on many arches
# name, default, largest: a soft lockup is twice the first
WATCHDOGS = [("watchdog_thresh", 10, 60), ("rcupdate.rcu_cpu_stall_timeout", 21, 300),
             ("sysctl.kernel.hung_task_timeout_secs", 120, 10000)]


def version(arch):
    """What QEMU says of itself, or that there is none."""
    if arch["run"]:
        if os.uname().machine != arch["host"]:
            raise host.Failure("harness", f"{arch['name']} runs on {arch['host']} alone")
        return "none, the kernel is a program"
    return subprocess.run([arch["qemu"], "--version"], text=True, check=True,
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE).stdout.splitlines()[0]


def command(arch, accel, kernel, initrd, sockets, console_log, ktap_log, append=""):
    """QEMU's command line as a list, or that of a kernel that is a program."""
    line = f"console={arch['console']} panic=-1 printk.devkmsg=on "
    line += f"limit_scale={scale(arch, accel)} {watchdogs(scale(arch, accel))} "
    line += f"{'ktap=/dev/kmsg ' if one_channel(arch) else ''}{arch.get('append', '')} {append}"
    if arch["run"]:
        words = {"kernel": kernel, "initrd": initrd, "console": console_log,
                 "ktap": ktap_log, "dir": sockets}
        return ["sh", "-c", arch["run"].format(append=" ".join(line.split()), **{
            name: shlex.quote(str(word)) for name, word in words.items()})]
    machine = shlex.split(arch["machine"])
    machine += shlex.split(arch["machine-kvm" if accel == "kvm" else "machine-tcg"])
    args = [arch["qemu"], *([] if "-accel" in machine else ["-accel", accel]), *machine]
    args += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-kernel", str(kernel)]
    if initrd:
        args += ["-initrd", str(initrd)]
    both = f"{sockets}/serial" if one_channel(arch) else console_log
    args += ["-append", " ".join(line.split()),
             "-chardev", f"socket,id=console,path={sockets}/console,server=on,"
                         f"wait=off,logfile={both}",
             "-serial", "chardev:console",
             "-qmp", f"unix:{sockets}/qmp,server=on,wait=off"]
    if not one_channel(arch):
        args += ["-chardev", f"file,id=ktap,path={ktap_log}", *shlex.split(arch["ktap"])]
    return args


def one_channel(arch):
    """Whether the results come over the console, as lines of the kernel's log."""
    return arch.get("ktap") == KMSG


def scale(arch, accel):
    """How many times slower than real hardware a guest may be."""
    return (1 if accel == "kvm" else int(arch["limit-scale"])) * arch.get("slower", 1)


def watchdogs(factor):
    """Boot parameters that give the kernel's own watchdogs that much more time:
    their defaults times the factor, up to the largest that the kernel takes."""
    return " ".join(f"{name}={min(largest, default * factor)}"
                    for name, default, largest in WATCHDOGS)


class Monitor:
    """A QMP connection, just enough to press a button."""
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(path)
        self.file = self.sock.makefile("rw")
        self.file.readline()
        self.do("qmp_capabilities")

    def do(self, what, **arguments):
        self.file.write(json.dumps({"execute": what, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline() or '{"error": "closed"}')
            if "return" in answer or "error" in answer:
                return answer


def ask_for_stacks(ways, sockets, console_log, log):
    """Make a guest that does not answer print the stacks of its CPUs.

    ways: what the arch has, the words of its key "stacks".  "break" and
    "ctrl-o" begin a SysRq over the console, which an idle or spinning kernel
    answers.  "nmi" goes to each CPU, gets through when interrupts are off and
    makes the kernel panic with a backtrace.
    """
    if not ways:
        log("this arch has no way to ask for them")
        return

    def said(word, size, before):
        until, text = time.monotonic() + STACKS_WAIT, b""
        while time.monotonic() < until:
            quiet = time.monotonic() + STACKS_QUIET
            while time.monotonic() < quiet:
                time.sleep(0.1)
                # A console that nobody reads stops after some hundred bytes.
                with contextlib.suppress(BlockingIOError):
                    while console.recv(65536, socket.MSG_DONTWAIT):
                        pass
            last = text
            with open(console_log, "rb") as file:
                file.seek(before)
                text = file.read()
            if text == last and word in text and len(text) > size:
                return True
        return word in text and len(text) > size

    def sysrq(key, size):
        before = os.path.getsize(console_log)
        if "break" in ways:
            monitor.do("chardev-send-break", id="console")
            time.sleep(0.2)
            console.sendall(key)
        else:
            console.sendall(b"\x0f" + key)
        return said(b"sysrq: ", size, before)

    try:
        monitor = Monitor(f"{sockets}/qmp")
        with socket.socket(socket.AF_UNIX) as console:
            console.connect(f"{sockets}/console")
            if "break" in ways or "ctrl-o" in ways:
                # A kernel in which nothing is blocked has little to say to w.
                if sysrq(b"w", 0) and sysrq(b"l", 200):
                    return
                log("no answer to SysRq")
            if "nmi" not in ways:
                log("this arch has no NMI to ask a stuck kernel with")
                return
            log("sending an NMI")
            before = os.path.getsize(console_log)
            monitor.do("inject-nmi")
            if not said(b"", 200, before):
                log("no answer to the NMI either")
    except (OSError, ValueError) as error:
        log(f"could not ask for stacks: {error}")


def panicked(console_log):
    """Whether a guest that is silent has panicked, and cannot even restart."""
    with contextlib.suppress(FileNotFoundError), open(console_log, errors="replace") as file:
        return verdict.panic(file.read()) is not None
    return False


def halted(console_log):
    """Whether a guest has come to its end and its machine has nothing that restarts it."""
    with contextlib.suppress(FileNotFoundError), open(console_log, "rb") as file:
        file.seek(-min(4096, file.seek(0, os.SEEK_END)), os.SEEK_END)
        return HALTED in file.read()
    return False


def same(image, build_id):
    """Fail if what runs is not the vmlinux that the image lies with: it may have been
    packed from an older one.  No build id will do if the image is that vmlinux."""
    image = pathlib.Path(image)
    vmlinux = next((v for v in (p / "vmlinux" for p in image.parents) if v.exists()), None)
    if not vmlinux:
        raise host.Failure("harness", f"no vmlinux beside {image}, nor above it")
    if not build_id:
        if filecmp.cmp(image, vmlinux, shallow=False):
            return
        raise host.Failure("build", f"{image}: it has no build id, or /sys does not tell it: "
                                    "whether it is what was built is not known")
    with open(vmlinux, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if text.find(bytes.fromhex(build_id)) < 0:
            raise host.Failure("build", f"{image} is not the kernel of {vmlinux} but one with the "
                                        f"build id {build_id}: remove that folder and start again")


class Parted:
    """Parts a serial port's log into the console's and that of the results.

    init writes a line of results into the kernel's log as one record or more, which no
    other message gets into: "ktap:" and a piece of the line, "ktap." and its last one."""
    RECORD = re.compile(rb"(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ktap([.:])(.*)")

    def __init__(self, serial, console, ktap):
        self.serial, self.console, self.ktap = serial, console, ktap
        self.offset, self.tail = 0, b""
        for log in (console, ktap):
            open(log, "wb").close()

    def poll(self, last=False):
        """Part what is new.  last: what is left of a line is one."""
        with contextlib.suppress(FileNotFoundError), open(self.serial, "rb") as file:
            file.seek(self.offset)
            new = file.read()
            self.offset += len(new)
            self.tail += new
        lines = self.tail.split(b"\n")
        self.tail = lines.pop()
        if last and self.tail:
            lines.append(self.tail)
            self.tail = b""
        with open(self.console, "ab") as console, open(self.ktap, "ab") as ktap:
            for line in lines:
                record = self.RECORD.match(line.rstrip(b"\r"))
                if record:
                    ktap.write(record[2] + (b"\n" if record[1] == b"." else b""))
                else:
                    console.write(line + b"\n")


class Progress:
    """Follows the result channel while it grows."""
    def __init__(self, path, kernel, say, begun):
        self.path, self.kernel, self.say, self.begun = path, kernel, say, begun
        self.offset, self.tail = 0, ""
        self.started = False
        self.total = self.done = 0

    def poll(self):
        """Read what is new; return whether there was anything."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                new = file.read()
        except FileNotFoundError:
            return False
        self.offset += len(new)
        lines = (self.tail + new.decode(errors="replace")).split("\n")
        self.tail = lines.pop()
        for line in lines:
            plan = re.match(r"1\.\.(\d+)$", line)
            result = re.match(r"(ok|not ok) \d+ (.*)", line)
            if plan:
                self.started, self.total = True, int(plan.group(1))
                self.begun()
            elif line.startswith("# build-id "):
                same(self.kernel, line.split()[2])
            elif line.startswith("# setup: find its build id"):
                same(self.kernel, "")
            elif result:
                self.done += 1
                self.say(f"{self.done}/{self.total} {result.group(1)} {result.group(2)}")
        return bool(new)


def run(arch, accel, kernel, initrd, out, say, append="", silence=SILENCE_LIMIT,
        begun=lambda: None):
    """Boot a guest and wait for its end.

    out: directory that gets qemu.cmd (the exact command line), qemu.log,
    console.log and ktap.log.  silence: seconds without any line, before
    scaling, after which the guest is taken for hung.  begun: called when the
    first tests begin.  Return how it ended, for verdict.judge().
    """
    console_log, ktap_log = f"{out}/console.log", f"{out}/ktap.log"
    sockets = tempfile.mkdtemp(prefix="mmquilt-")
    args = command(arch, accel, kernel, initrd, sockets, console_log, ktap_log, append)
    with open(f"{out}/qemu.cmd", "w") as file:
        file.write(" ".join(map(shlex.quote, args)) + "\n")
    say(f"QEMU line: {out}/qemu.cmd")
    factor = scale(arch, accel)
    progress = Progress(ktap_log, kernel, say, begun)
    parted = Parted(f"{sockets}/serial", console_log, ktap_log) if one_channel(arch) else None
    try:
        with open(f"{out}/qemu.log", "w") as log:
            guest = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=log)
        with kill_on_exit(guest):
            start = heard = time.monotonic()
            while guest.poll() is None:
                if host.STOP.wait(0.3):
                    raise KeyboardInterrupt
                now = time.monotonic()
                if parted:
                    parted.poll()
                # The console does not count: a kernel that is stuck may complain
                # about that for ever.
                if progress.poll():
                    heard = now
                elif halted(console_log):
                    return "exit"
                late = not progress.started and now - start > BOOT_LIMIT * factor
                silent = progress.started and now - heard > silence * factor
                if (late or silent) and panicked(console_log):
                    return "exit"
                if late or silent:
                    say("no result yet" if late else
                        f"silent for {now - heard:.0f} s" + ", asking for its stacks")
                    ask_for_stacks(arch["stacks"].split(), sockets, console_log, say)
                    return "boot" if not progress.started else "hang"
            if parted:
                parted.poll(last=True)
            progress.poll()
            return "exit" if guest.returncode == 0 else "qemu"
    finally:
        if parted:
            parted.poll(last=True)
        shutil.rmtree(sockets, ignore_errors=True)


@contextlib.contextmanager
def kill_on_exit(process):
    """Never leave a guest behind."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def pick_accel(arch, kernel, say):
    """"kvm" if a guest really runs under it, else "tcg".

    A /dev/kvm that can be opened proves nothing: some hosts have one under
    which every guest hangs.  So boot the kernel, without an init, and see it
    speak.  The answer is kept for as long as the host is up.
    """
    if arch["run"]:
        return "none"
    if os.uname().machine != arch["host"] or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    with open("/proc/sys/kernel/random/boot_id") as file:
        memo = host.cache() / f"kvm-{arch['name']}-{file.read().strip()}"
    if memo.exists():
        return memo.read_text().strip()
    say("/dev/kvm is there: does a guest run under it?")
    answer = "tcg"
    with tempfile.TemporaryDirectory(prefix="mmquilt-") as tmp:
        args = command(arch, "kvm", kernel, None, tmp, f"{tmp}/log", f"{tmp}/ktap")
        guest = subprocess.Popen(args, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with kill_on_exit(guest):
            with contextlib.suppress(subprocess.TimeoutExpired):
                guest.wait(10)
        with contextlib.suppress(OSError), open(f"{tmp}/log", errors="replace") as file:
            if "Kernel panic" in file.read():
                answer = "kvm"
    say(f"using {answer}")
    for old in host.cache().glob(f"kvm-{arch['name']}-*"):
        old.unlink()
    memo.write_text(answer + "\n")
    return answer
