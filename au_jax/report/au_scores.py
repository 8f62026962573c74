"""F1-frame of every AU and system with its interval, beside the predictor that says that every AU is always there."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from au_jax.labels import AUS
from au_jax.report import style
from au_jax.report.finished import FinishedRun, defined, display_name


def draw_au_scores(run: FinishedRun) -> style.Drawing:
    """Draws a group of points per AU, and one for the average."""
    names = [*(str(au) for au in AUS), "average"]
    # A gap sets the average apart.
    positions = np.arange(len(names)) + 0.4 * (np.array(names) == "average")
    series = style.system_series(run.systems)
    figure = Figure(figsize=(10.0, 4.6))
    axes = figure.subplots()
    axes.axvspan(positions[-1] - 0.5, positions[-1] + 0.6, color="#F2F2F2", linewidth=0)
    values = [defined(run.results["always_present"]["f1_frame"][name]) for name in names]
    known = [(x, value) for x, value in zip(positions, values, strict=True) if value is not None]
    if known:
        centres, heights = zip(*known, strict=True)
        axes.hlines(heights, np.array(centres) - 0.42, np.array(centres) + 0.42, color=style.GREY, linewidth=2.5)
    axes.plot([], [], color=style.GREY, linewidth=2.5, label=display_name("always_present"))
    step = 0.66 / max(len(run.systems), 1)
    for number, system in enumerate(run.systems):
        shift = (number - (len(run.systems) - 1) / 2) * step
        _points(axes, positions + shift, run.results["systems"][system], names, series[system], display_name(system))
    for x, name in zip(positions, names, strict=True):
        if all(defined(figures["f1_frame"][name]) is None for figures in run.columns.values()):
            axes.text(x, 2, "undefined", rotation=90, ha="center", va="bottom", color=style.GREY)
    axes.set_xticks(positions, [name if name == "average" else f"AU {name}" for name in names])
    axes.set_xlim(positions[0] - 0.6, positions[-1] + 0.6)
    axes.set_ylim(0, 100)
    axes.set_ylabel("F1-frame (%)")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=6)
    evaluation: Any = run.config.evaluation
    return style.Drawing(
        figure,
        alt=f"F1-frame of every AU for {', '.join(display_name(name) for name in run.systems)}, with intervals, "
        "beside always present; the table above has the same figures.",
        caption=f"Whiskers are {100 * evaluation.level:g} % intervals by bootstrap over subjects. The bar across each "
        "group is what saying “always present” would give.",
    )


def _points(axes, positions, figures, names, series: style.Series, label: str) -> None:
    rows = []
    for x, name in zip(positions, names, strict=True):
        value = defined(figures["f1_frame"][name])
        if value is not None:
            low, high = (defined(bound) for bound in figures["intervals"]["f1_frame"][name])
            # An interval need not hold the estimate when few subjects show the AU; whiskers are never negative.
            rows.append(
                (
                    x,
                    value,
                    max(value - low, 0.0) if low is not None else 0.0,
                    max(high - value, 0.0) if high is not None else 0.0,
                )
            )
    x, value, below, above = np.array(rows).reshape(-1, 4).T
    axes.errorbar(
        x,
        value,
        yerr=[below, above],
        fmt=series.marker,
        color=series.colour,
        markersize=6,
        elinewidth=1.4,
        capsize=2.5,
        label=label,
    )
