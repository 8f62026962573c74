"""How time and memory grow: a table and a picture, with the exponents, each size measured in a process of its own.

    python -m experiments.growth --run=runs/demo [--out=runs/growth] [--only=people]

One size after the other is raised by a decade: frames of a video, people in view, pixels of a picture, subjects, AUs. Seconds
are of the processor, without starting and compiling; memory is the peak beyond that of a small first pass. Both grow as
size ** exponent, by least squares of the logarithms; the last step's exponent tells what a fixed cost hides in the fit. Writes
growth.md, .json, .png and .svg; films are kept in --out. It can be stopped and typed again: what is measured is read.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from matplotlib.figure import Figure

from au_jax import console, files
from au_jax.command_line import run_command
from au_jax.errors import CommandError, DataError
from au_jax.report import style
from au_jax.report.style import Drawing

LINEAR = 1.15
"""Exponent up to which growth is called linear: what is measured has noise."""

FLAT = 0.1
"""Exponent of memory below which it is called flat."""

FLAT_MIB = 48.0
"""Memory below which its growth is not told: allocators keep as much."""


@dataclass(frozen=True)
class Growth:
    """A size that is raised.

    Attributes:
      name: on the command line.
      work: what is done.
      size: what is raised, as the table says it.
      sizes: a decade.
      colour, marker: in the picture.
      why: where it grows faster than linearly by its method.
    """

    name: str
    work: str
    size: str
    sizes: tuple[int, ...]
    colour: str
    marker: str
    why: str = ""


GROWTHS: tuple[Growth, ...] = (
    Growth("frames", "predict", "frames of a video", (100, 320, 1000), "#0072B2", "o"),
    Growth("people", "predict --faces=all, 60 frames", "people in view", (1, 3, 10), "#D55E00", "s"),
    Growth("pixels", "predict, 60 frames", "pixels of a picture", (100_000, 320_000, 1_000_000), "#009E73", "^"),
    Growth("subjects", "prepare, rendered", "subjects", (6, 19, 60), "#CC79A7", "D"),
    Growth("scored", "tables with intervals", "subjects", (20, 63, 200), "#E69F00", "v"),
    Growth("aus", "tables with intervals, 30 subjects", "AUs", (4, 13, 40), "#56B4E9", "P"),
)
"""What is raised, in the order of the table."""


def growth(run: str, out: Path, only: Sequence[str]) -> None:
    """Measures what is not measured yet, prints the table, and writes table and picture.

    Raises:
      CommandError: an unknown name.
      DataError: a process of a size fails.
    """
    known = [each.name for each in GROWTHS]
    if strangers := [name for name in only if name not in known]:
        raise CommandError(f"--only names {', '.join(strangers)}; choose among {', '.join(known)}")
    kept = out / "growth.json"
    document: dict[str, Any] = files.read_json(kept) if kept.exists() else {}
    for each in GROWTHS:
        for size in each.sizes:
            if (only and each.name not in only) or str(size) in document.get(each.name, {}):
                continue
            document.setdefault(each.name, {})[str(size)] = _measured(each.name, size, run, out)
            files.write_json(kept, document)
            console.tell(f"{each.work}: {size} {each.size}: {document[each.name][str(size)]['seconds']:.2f} s")
    text = markdown(document)
    files.write_text(out / "growth.md", text)
    for suffix, encode in (("png", style.to_png), ("svg", style.to_svg)):
        files.write_bytes(out / f"growth.{suffix}", encode(draw(document)))
    print(text)


def _measured(name: str, size: int, run: str, out: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "experiments.growth_work", f"--work={name}", f"--size={size}"]
    done = subprocess.run([*command, f"--run={run}", f"--out={out}"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"{name} {size} failed: {done.stderr.strip().rpartition(chr(10))[2]}")
    return json.loads(done.stdout.strip().rpartition("\n")[2])


def exponents(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """The exponent with which values grow, over all sizes and over the last step.

    Args:
      sizes: in order.
      values: above 0.
    """
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(values, float))
    return float(np.polyfit(x, y, 1)[0]), float((y[-1] - y[-2]) / (x[-1] - x[-2]))


def _points(document: dict[str, Any], each: Growth, key: str) -> tuple[list[int], list[float]]:
    measured = document.get(each.name, {})
    sizes = [size for size in each.sizes if str(size) in measured]
    return sizes, [measured[str(size)][key] for size in sizes]


def markdown(document: dict[str, Any]) -> str:
    """The table.

    Args:
      document: name -> size -> seconds and mib.
    """
    lines = ["| what | size | from | to | seconds | exponent | last step | memory, MiB | exponent | |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|---:|---|")
    for each in GROWTHS:
        sizes, seconds = _points(document, each, "seconds")
        if len(sizes) < 2:
            continue
        fitted, last = exponents(sizes, seconds)
        mib = _points(document, each, "mib")[1]
        grown = exponents(sizes, np.maximum(mib, 1.0).tolist())[0]
        memory = "flat" if max(mib) < FLAT_MIB or grown < FLAT else f"{grown:.2f}"
        told = each.why if max(fitted, last) > LINEAR else ""
        if max(fitted, last) > LINEAR and not each.why:
            told = "more than linear"
        times, peaks = f"{seconds[0]:.2f} to {seconds[-1]:.2f}", f"{mib[0]:.0f} to {mib[-1]:.0f}"
        lines.append(
            f"| {each.work} | {each.size} | {sizes[0]:,} | {sizes[-1]:,} | {times} | {fitted:.2f} | {last:.2f} | {peaks} | "
            f"{memory} | {told} |"
        )
    return "\n".join(lines) + "\n"


@style.context()
def draw(document: dict[str, Any]) -> Drawing:
    """Seconds and memory over sizes, both relative to the smallest: what is linear lies on the dashed line.

    Args:
      document: name -> size -> seconds and mib.
    """
    figure = Figure(figsize=(9.0, 4.2))
    panels: Any = figure.subplots(1, 2, sharex=True)
    for panel, key, title in zip(panels, ("seconds", "mib"), ("Processor time", "Peak memory"), strict=True):
        for each in GROWTHS:
            sizes, values = _points(document, each, key)
            if len(sizes) < 2:
                continue
            floor = [max(value, 1.0 if key == "mib" else 1e-3) for value in values]
            relative = np.array(sizes) / sizes[0], np.array(floor) / floor[0] if key == "seconds" else np.array(floor)
            label = f"{each.size}: {each.work.partition(',')[0]}"
            panel.plot(*relative, color=each.colour, marker=each.marker, markersize=5, label=label)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(title)
        panel.set_xlabel("size, in units of the smallest")
        panel.set_xticks([1, 3, 10], ["1", "3", "10"])
        panel.minorticks_off()
        panel.grid(True)
    panels[0].plot([1, 10], [1, 10], color="#888888", linestyle="--", linewidth=1, label="linear")
    panels[0].set_yticks([1, 3, 10], ["1", "3", "10"])
    panels[0].minorticks_off()
    panels[0].set_ylabel("in units of the smallest")
    panels[1].set_ylabel("MiB beyond the start")
    panels[1].set_yticks([1, 10, 100], ["1", "10", "100"])
    panels[1].minorticks_off()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8.5)
    told = [
        f"{each.size} {exponents(*_points(document, each, 'seconds'))[0]:.2f}"
        for each in GROWTHS
        if len(_points(document, each, "seconds")[0]) > 1
    ]
    return Drawing(
        figure,
        f"Two panels: processor time and peak memory over sizes raised by a decade. Exponents of time: {', '.join(told)}.",
        "How time and memory grow.",
    )


def main() -> None:
    """Runs the command line."""
    run = flags.DEFINE_string("run", None, "Folder of a finished run, whose networks predict.", required=True)
    out = flags.DEFINE_string("out", "runs/growth", "Folder of table, picture and films.")
    only = flags.DEFINE_list("only", [], f"Of {', '.join(each.name for each in GROWTHS)}; all by default.")
    run_command(lambda: growth(run.value, Path(out.value), only.value))


if __name__ == "__main__":
    main()
