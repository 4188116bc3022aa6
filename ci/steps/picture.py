"""Draws the figures of ci/bench: one SVG, by gnuplot."""
import subprocess

from steps import bench
from steps.host import Failure

COLOURS = ("#1b6ca8", "#d95f02", "#4d9221", "#7b3294")
LEAST, MOST = 0.25, 4.0         # the axis of ratios; what is beyond ends there
SCRIPT = """set terminal svg size {width},{height} font "sans,12" background "#ffffff"
set output "{output}"
set multiplot title "{title}" font ",16"
set style fill solid 0.9 noborder
set yrange [{rows}+0.5:0.5]
set ytics font ",11" scale 0 ({tics})
set grid x linecolor "#cccccc"
set border 3
set tmargin at screen {top}
set bmargin at screen {bottom}
set key at screen 0.98,{key} right bottom horizontal noenhanced
set lmargin at screen 0.19
set rmargin at screen 0.62
set logscale x 2
set xrange [{least}:{most}]
set xtics ("1/4" 0.25, "1/2" 0.5, "1" 1, "3/4" 0.75, "3/2" 1.5, "2" 2, "3" 3, "4" 4)
set xlabel "instructions, times {base} (left of 1: fewer)"
set arrow 1 from 1,{rows}+0.5 to 1,0.5 nohead linewidth 1.5 linecolor "#000000"
plot {ratios}
unset arrow 1
unset logscale x
set lmargin at screen 0.66
set rmargin at screen 0.97
set xrange [0:1]
set xtics 0,0.25,1
unset ytics
set xlabel "part of the pages that is copied and need not be"
unset key
plot {copies}
"""


def _bar(place, number, of):
    """(low, high) of a kernel's bar in a row."""
    height = 0.8 / of
    low = place - 0.4 + number * height
    return low, low + height * 0.9


def script(kernels, output, title):
    """The input of gnuplot for {kernel: {row: Count}}; the first is the measure."""
    names = list(kernels)
    base = kernels[names[0]]
    rows = list(dict.fromkeys(r for found in kernels.values() for r in found))
    text, ratios, copies = [], [], []
    for number, name in enumerate(names):
        lines = {"ratio": [], "copy": []}
        for place, row in enumerate(rows, 1):
            count = kernels[name].get(row)
            times = bench.ratio(count, base.get(row))
            if number and times:
                low, high = _bar(place, number - 1, len(names) - 1)
                shown = min(max(times, LEAST), MOST)
                lines["ratio"].append(f"1 {place} {min(1, shown)} {max(1, shown)} {low} {high}")
            if count and count.copies and not count.needed:
                pages = 512 if row.endswith((".thp", ".hugetlb")) else 1
                low, high = _bar(place, number, len(names))
                lines["copy"].append(f"0 {place} 0 {min(1, count.copies / pages)} {low} {high}")
        for what, drawn in lines.items():
            text += [f"${what}{number} << EOD", *(drawn or ["NaN NaN NaN NaN NaN NaN"]), "EOD"]
        colour = "#999999" if not number else COLOURS[(number - 1) % len(COLOURS)]
        style = f'with boxxyerror linecolor "{colour}"'
        ratios.append(f'$ratio{number} using 1:2:3:4:5:6 {style} title "{name}"')
        copies.append(f'$copy{number} using 1:2:3:4:5:6 {style} notitle')
    height = 140 + 18 * len(rows)
    tics = ", ".join(f'"{row}" {place}' for place, row in enumerate(rows, 1))
    return "\n".join(text) + "\n" + SCRIPT.format(
        width=1200, height=height, output=output, title=title, rows=len(rows), tics=tics,
        top=1 - 75 / height, bottom=55 / height, key=1 - 68 / height, least=LEAST, most=MOST,
        base=names[0], ratios=", ".join(ratios), copies=", ".join(copies))


def draw(kernels, output, title):
    """Write the picture."""
    done = subprocess.run(["gnuplot"], input=script(kernels, output, title), text=True,
                          capture_output=True, check=False)
    if done.returncode or done.stderr.strip() or not output.exists():
        raise Failure("harness", f"gnuplot: {done.stderr.strip() or done.returncode}")
