"""Two runs on the same people as files: Markdown, JSON and a figure of their paired differences."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from au_jax import files
from au_jax.errors import CommandError, DataError
from au_jax.evaluation.comparison import (
    PAIRED_METRICS,
    check_same_frames,
    comparison_markdown,
    paired_differences,
    per_au,
)
from au_jax.report import style
from au_jax.run_dir import FinishedRun, RunDir, defined, load_run
from au_jax.systems import display


def compare_runs(folders: Sequence[str | Path], systems: Sequence[str], out: str | Path) -> dict[str, Any]:
    """Writes compare.md, .json, .png and .svg of two runs, and prints the table.

    Args:
      folders: of run a and run b; they may be the same where two systems are compared.
      systems: one, which both runs have, or two: that of run a and that of run b.
      out: folder of the files.

    Returns:
      The content of compare.json.

    Raises:
      CommandError: not two runs, not one or two systems, or a system that its run does not have.
      DataError: a run that cannot be read, or runs of different subjects, frames, labels or AUs.

    Example:
      >>> import tempfile
      >>> document = compare_runs([run_folder] * 2, ["anet", "hybrid"], tempfile.mkdtemp())  # doctest: +ELLIPSIS
      # ANet and Hybrid on the same people
      ...
      >>> [run["system"] for run in document["runs"]], list(document["metrics"])
      (['anet', 'hybrid'], ['f1_frame', 'f1_micro', 'f1_norm', 'f1_event', 'auc'])
    """
    if len(folders) != 2:
        raise CommandError(
            f"--runs={','.join(map(str, folders))}: give the folders of two finished runs, --runs=runs/a,runs/b"
        )
    if len(systems) not in (1, 2):
        raise CommandError(
            f"--systems={','.join(systems)}: give one system, or that of the first and that of the second run"
        )
    runs = [load_run(folder) for folder in folders]
    names = [systems[0], systems[-1]]
    for run, name in zip(runs, names, strict=True):
        if name not in run.systems:
            raise CommandError(f"{run.workdir} has no system {name!r}; choose one of {', '.join(run.systems)}")
    first, second = runs
    if first.aus != second.aus:
        aus = [", ".join(map(str, run.aus)) for run in runs]
        raise DataError(
            f"{first.workdir} is of AUs {aus[0]}, {second.workdir} of AUs {aus[1]}; compare runs of the same AUs"
        )
    check_same_frames(first.scores(names[0]), second.scores(names[1]), (str(first.workdir), str(second.workdir)))
    evaluation = first.config.evaluation
    by_fold = [
        dict(zip(run.folds, run.folded_scores()[name], strict=True)) for run, name in zip(runs, names, strict=True)
    ]
    document = {
        "runs": [
            {"name": str(run.workdir), "system": name, **system_cost(run, name)}
            for run, name in zip(runs, names, strict=True)
        ],
        "subjects": len({key.rpartition("/")[0] for key in first.scores(names[0]).scores}),
        "level": evaluation.level,
        "replicates": evaluation.bootstrap,
        "f1_norm": evaluation.f1_norm,
        "seed": first.results["seed"],
        "metrics": paired_differences(
            *by_fold,
            aus=first.aus,
            replicates=evaluation.bootstrap,
            level=evaluation.level,
            f1_norm=evaluation.f1_norm,
            seed=first.results["seed"],
        ),
    }
    text, stem = comparison_markdown(document, display.label), Path(out) / "compare"
    files.write_text(stem.with_suffix(".md"), text)
    files.write_json(stem.with_suffix(".json"), document)
    drawing = draw_paired_differences(document)
    with style.context():
        files.write_bytes(stem.with_suffix(".png"), style.to_png(drawing))
        files.write_bytes(stem.with_suffix(".svg"), style.to_svg(drawing))
    print(text)
    print(f"{stem}.md, .json, .png and .svg hold it.")
    return document


def system_cost(run: FinishedRun, system: str) -> dict[str, float | None]:
    """What a system's own stages cost, over all folds.

    Args:
      run: a finished one.
      system: its name. What it shares with another system, such as the hybrid ANet's CNN, counts for that one.

    Returns:
      {"seconds": in total, "peak_memory_mib": the highest}, None where costs.json does not say.

    Example:
      >>> sorted(system_cost(load_run(run_folder), "hybrid"))
      ['peak_memory_mib', 'seconds']
    """
    path = RunDir(run.workdir).costs_path
    costs = files.read_json(path) if path.exists() else {}
    own = [cost for stage, cost in costs.items() if stage.split("/")[1:2] == [system]]
    return {
        "seconds": round(sum(cost["seconds"] for cost in own), 1) if own else None,
        "peak_memory_mib": max((cost["peak_memory_mib"] for cost in own), default=None),
    }


@style.context()
def draw_paired_differences(document: Mapping[str, Any]) -> style.Drawing:
    """Draws a panel per metric: the difference of every AU and of the average, with its interval; filled where it holds no 0.

    Args:
      document: as compare.json.

    Example:
      >>> one = {"a": 40.0, "b": 45.0, "difference": 5.0, "interval": [1.0, 9.0]}
      >>> metrics = {name: {"12": one, "average": one} for name in PAIRED_METRICS if name != "f1_micro"}
      >>> metrics["f1_micro"] = {"average": one}
      >>> runs = [{"name": "runs/a", "system": "anet"}, {"name": "runs/b", "system": "hybrid"}]
      >>> draw_paired_differences({"runs": runs, "subjects": 9, "level": 0.95, "metrics": metrics}).alt[:56]
      'Hybrid (runs/b) minus ANet (runs/a) on 9 people: F1-fram'
    """
    a, b = (f"{display.label(run['system'])} ({run['name']})" for run in document["runs"])
    colour = style.system_series([document["runs"][1]["system"]])[document["runs"][1]["system"]].colour
    figure = Figure(figsize=(10.0, 7.4))
    panels = per_au(document["metrics"])
    for axes, (metric, title) in zip(figure.subplots(2, 2, sharex=True).flat, panels.items(), strict=True):
        by_au = document["metrics"][metric]
        # A gap sets the average apart.
        places = np.arange(len(by_au)) + 0.4 * np.array([name == "average" for name in by_au])
        axes.axvspan(places[-1] - 0.5, places[-1] + 0.5, color="#F2F2F2", linewidth=0)
        axes.axhline(0.0, color=style.GREY, linewidth=1.0)
        for x, pair in zip(places, by_au.values(), strict=True):
            difference, (low, high) = defined(pair["difference"]), map(defined, pair["interval"])
            if difference is None:
                continue
            apart = low is not None and high is not None and (low > 0 or high < 0)
            if low is not None and high is not None:
                axes.plot([x, x], [low, high], color=colour, linewidth=1.4)
            axes.plot([x], [difference], "o", color=colour, markerfacecolor=colour if apart else "white", markersize=6)
        axes.set_title(title)
        axes.set_xticks(places, [name if name == "average" else f"AU {name}" for name in by_au], rotation=60)
        axes.set_xlim(places[0] - 0.6, places[-1] + 0.6)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    figure.supylabel("difference in points")
    figure.suptitle(f"{b}\nminus {a}")
    looks = {"color": colour, "marker": "o", "linestyle": "none", "markersize": 6}
    entries = [
        Line2D([], [], label="interval holds no 0", **looks),
        Line2D([], [], label="interval holds 0", markerfacecolor="white", **looks),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=2)
    averages = ", ".join(
        f"{title} {_points(document['metrics'][metric]['average'])}" for metric, title in PAIRED_METRICS.items()
    )
    return style.Drawing(
        figure,
        alt=f"{b} minus {a} on {document['subjects']} people: {averages}.",
        caption=f"Whiskers are {100 * document['level']:g} % intervals of the difference by bootstrap over subjects, both "
        "sides resampled with the same subjects.",
    )


def _points(pair: Mapping[str, Any]) -> str:
    value = defined(pair["difference"])
    return "undefined" if value is None else f"{value:+.1f}"
