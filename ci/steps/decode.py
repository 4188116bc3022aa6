"""Splats with source lines, by the kernel tree's own script."""
import subprocess


def write(splats, kernel, src, out):
    """Write out/splats.txt; as the kernel printed it where decoding fails.

    splats: lists of lines.  kernel: a directory of build.kernel(), with vmlinux
    and modules.  src: the source.Source to take the script from.
    """
    if not splats:
        return
    script = out / "decode_stacktrace.sh"
    script.write_text(src.git("show", f"{src.base}:scripts/decode_stacktrace.sh") + "\n")
    with open(out / "splats.txt", "w") as file:
        for splat in splats:
            text = "\n".join(splat) + "\n"
            done = subprocess.run(["bash", script, kernel / "vmlinux", "auto", kernel],
                                  input=text, text=True, timeout=300, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            file.write((done.stdout if done.stdout.strip() else text) + "\n")
    script.unlink()
