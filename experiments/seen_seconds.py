"""How the gain of time grows with the seconds of a person that have been seen: a curve of finished runs.

    python -m experiments.seen_seconds --run=runs/long --out=runs/long_curve

Cuts the test subjects' frames by how long the person has been seen until then, over the person's videos one after the other, and
compares every system with ANet in each part, with paired intervals over subjects. Writes seen_seconds.md, .json, .png and .svg.
Made for the config `long`; of several runs of other seeds on the same people (--run=a,b) frames are counted together.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from matplotlib.figure import Figure

from au_jax import files
from au_jax.command_line import run_command
from au_jax.config import Config
from au_jax.errors import CommandError
from au_jax.evaluation.comparison import average_differences
from au_jax.evaluation.tables import Scored, aligned
from au_jax.report import style
from au_jax.run_dir import load_run
from au_jax.synthfacs import get_preset
from au_jax.systems import display

EDGES: tuple[float, ...] = (0, 5, 10, 20, 40, 80, 160, 320)
"""Seconds at which one part ends and the next begins."""

REPLICATES, LEVEL = 1000, 0.95


def seen_seconds(scored: Scored, fps: float) -> dict[str, np.ndarray]:
    """How long a person has been seen at every frame.

    Args:
      scored: of whole videos.
      fps: frames a second.

    Returns:
      Video key -> [T] float64 seconds since the beginning of the person's first video, videos end to end in the order of their
      names; frame numbers count, so that frames without scores took their time as well.
    """
    seconds, before = {}, {}
    for key in sorted(scored.frames):
        subject, numbers = key.rpartition("/")[0], scored.frames[key].astype(np.float64)
        since = (numbers - numbers[0]) / fps
        seconds[key] = before.get(subject, 0.0) + since
        before[subject] = seconds[key][-1] + 1 / fps
    return seconds


def between(scored: Scored, fps: float, start: float, stop: float) -> Scored:
    """The frames before which a person has been seen for `start` to `stop` seconds."""
    chosen = {key: (when >= start) & (when < stop) for key, when in seen_seconds(scored, fps).items()}
    kept = [key for key in scored.scores if chosen[key].any()]
    return Scored(
        *({key: column[key][chosen[key]] for key in kept} for column in (scored.scores, scored.labels, scored.frames))
    )


def curve(
    systems: Mapping[str, Mapping[int, Scored]], fps: float, edges: Sequence[float], reference: str = "anet"
) -> list[dict[str, Any]]:
    """Every part of the curve: {"start", "stop", "subjects", "frames", and system -> as of `average_differences`}.

    Args:
      systems: name -> fold -> scores, on the same frames.
      fps: frames a second.
      edges: seconds; parts without frames are left out.
      reference: the system that the others are compared with.
    """
    parts = []
    for start, stop in pairwise(edges):
        cut = {
            name: {fold: part for fold, scored in folds.items() if (part := between(scored, fps, start, stop)).scores}
            for name, folds in systems.items()
        }
        if not cut[reference]:
            continue
        rows = [(key, len(rows)) for scored in cut[reference].values() for key, rows in scored.scores.items()]
        found = average_differences(cut, [reference], replicates=REPLICATES, level=LEVEL, seed=0)
        parts.append(
            {
                "start": start,
                "stop": stop,
                "subjects": len({key.rpartition("/")[0] for key, _ in rows}),
                "frames": sum(count for _, count in rows),
                **found,
            }
        )
    return parts


def frames_per_second(config: Config) -> float:
    """Of a run's recordings; the preset's for synthetic faces."""
    return get_preset(config.data.preset).fps if config.data.source == "synthfacs" else config.data.fps


def _points(pair: Mapping[str, Any]) -> str:
    low, high = pair["interval"]
    return f"{pair['difference']:+.1f} ({low:+.1f} to {high:+.1f})"


def seen_seconds_table(document: Mapping[str, Any]) -> str:
    """The table of seen_seconds.json."""
    others = document["systems"][1:]
    head = ["seconds seen", "people", "frames", "ANet"]
    head += [f"{display.label(name)}, {title}" for name in others for title in ("F1-frame", "F1-event")]
    rows = [head]
    for part in document["parts"]:
        cells = [_points(part[name][metric]["anet"]) for name in others for metric in ("f1_frame", "f1_event")]
        anet = f"{part['anet']['f1_frame']['value']:.1f}"
        rows.append(
            [f"{part['start']:g} to {part['stop']:g}", f"{part['subjects']}", f"{part['frames']}", anet, *cells]
        )
    return (
        f"Difference to ANet in points, by how long a person has been seen, of {', '.join(document['runs'])}; {LEVEL:.0%} "
        f"intervals by bootstrap over subjects. ANet: F1-frame in percent.\n\n{aligned(rows)}\n"
    )


def draw_seen_seconds(document: Mapping[str, Any]) -> style.Drawing:
    """The difference to ANet in F1-frame over the seconds of a person that have been seen, a line per system."""
    others, parts = document["systems"][1:], document["parts"]
    places, told = np.arange(len(parts)), []
    with style.context():
        figure = Figure(figsize=(8.0, 4.5))
        axes: Any = figure.subplots()
        axes.axhline(0.0, color=style.GREY, linewidth=1.0)
        for number, (name, series) in enumerate(style.system_series(others).items()):
            pairs = [part[name]["f1_frame"]["anet"] for part in parts]
            x, y = places + 0.08 * number, [pair["difference"] for pair in pairs]
            axes.plot(x, y, series.line, color=series.colour, marker=series.marker, label=display.label(name))
            for at, pair in zip(x, pairs, strict=True):
                axes.plot([at, at], pair["interval"], color=series.colour, linewidth=1.2)
            told.append(f"{display.label(name)} {', '.join(f'{value:+.1f}' for value in y)}")
        axes.set_xticks(places, [f"{part['start']:g} to {part['stop']:g}" for part in parts])
        axes.set_xlabel("seconds of the person seen")
        axes.set_ylabel("F1-frame, points to ANet")
        axes.grid(axis="y")
        axes.legend()
    return style.Drawing(
        figure,
        alt=f"Difference to ANet in F1-frame by the seconds of a person seen: {'; '.join(told)}.",
        caption=f"Whiskers are {LEVEL:.0%} intervals by bootstrap over subjects, both sides resampled with the same ones.",
    )


def write_curve(folders: Sequence[str], out: str | Path, edges: Sequence[float]) -> dict[str, Any]:
    """Writes the table and the picture, and prints the table.

    Raises:
      CommandError: no run, seconds that do not increase, or runs without ANet beside another system.
      DataError: a folder is no finished run.
    """
    if not folders or len(edges) < 2 or any(stop <= start for start, stop in pairwise(edges)):
        raise CommandError(
            f"--run={','.join(folders)} --seconds={','.join(map(str, edges))}: give runs, and rising seconds"
        )
    runs = [load_run(folder) for folder in folders]
    names = [name for name in runs[0].systems if all(name in run.systems for run in runs)]
    others = [name for name in names if name != "anet"]
    if "anet" not in names or not others:
        raise CommandError(
            f"{', '.join(folders)} have {', '.join(names) or 'no system'}; they need anet and another system"
        )
    fps = {frames_per_second(run.config) for run in runs}
    if len(fps) > 1:
        raise CommandError(
            f"{', '.join(folders)} have recordings of {sorted(fps)} frames a second; give runs on one dataset"
        )
    systems = {
        name: dict(enumerate(part for run in runs for part in run.folded_scores()[name])) for name in ("anet", *others)
    }
    document = {"runs": list(map(str, folders)), "systems": list(systems), "parts": curve(systems, fps.pop(), edges)}
    stem = Path(out) / "seen_seconds"
    files.write_json(stem.with_suffix(".json"), document)
    files.write_text(stem.with_suffix(".md"), seen_seconds_table(document))
    drawing = draw_seen_seconds(document)
    with style.context():
        files.write_bytes(stem.with_suffix(".png"), style.to_png(drawing))
        files.write_bytes(stem.with_suffix(".svg"), style.to_svg(drawing))
    print(seen_seconds_table(document))
    return document


def main() -> None:
    """Runs the command line."""
    runs = flags.DEFINE_list("run", None, "Folders of finished runs with ANet and other systems.", required=True)
    out = flags.DEFINE_string("out", "tables", "Folder of table and picture.")
    seconds = flags.DEFINE_list("seconds", list(map(str, EDGES)), "Where one part ends and the next begins.")

    def command() -> None:
        try:
            edges = [float(number) for number in seconds.value]
        except ValueError:
            raise CommandError(f"--seconds={','.join(seconds.value)}: give numbers") from None
        write_curve(runs.value, out.value, edges)

    run_command(command)


if __name__ == "__main__":
    main()
