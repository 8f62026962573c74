"""Precision-recall curves: a panel per AU, a line per system, and where threshold 0 lies on it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from au_jax.evaluation import metrics
from au_jax.evaluation.precision_recall import Curve, mean_precision, precision_recall
from au_jax.evaluation.tables import Scored
from au_jax.labels import AU_NAMES, AUS
from au_jax.report import style
from au_jax.report.finished import display_name

RECALLS = np.linspace(0.01, 1.0, 100)
"""Where the curves of folds are averaged."""

Folds = Mapping[str, Sequence[Scored]]
"""System -> scores of every fold."""


def draw_precision_recall(systems: Folds) -> style.Drawing:
    """Draws all systems' curves, averaged over folds; a marker shows the decisions at threshold 0, all folds pooled."""
    series = style.system_series(list(systems))
    figure = Figure(figsize=(10.0, 8.6))
    panels = figure.subplots(3, 4, sharex=True, sharey=True)
    areas: dict[str, list[float]] = {name: [] for name in systems}
    for index, (au, axes) in enumerate(zip(AUS, panels.flat, strict=True)):
        axes.set_title(f"AU {au}  {AU_NAMES[au]}", fontsize=9.5)
        for name, folds in systems.items():
            curves = fold_curves(folds, index)
            if curves:
                areas[name].append(average_precision(curves))
                _line(axes, curves, operating_point(folds)[index], series[name])
        if not axes.lines:
            axes.text(0.5, 0.5, "undefined", ha="center", va="center", color=style.GREY)
    for axes in panels.flat:
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.grid()
    figure.supxlabel("recall")
    figure.supylabel("precision")
    means = {name: float(np.mean(values)) if values else float("nan") for name, values in areas.items()}
    figure.legend(handles=_legend(series, means), loc="outside upper center", ncols=4)
    told = ", ".join(f"{display_name(name)} {_percent(value)}" for name, value in means.items())
    return style.Drawing(
        figure,
        alt=f"Precision against recall of every AU; mean average precision: {told}.",
        caption="Mean over folds of the precision at each recall; the marker is threshold 0, the grey line the share of "
        "frames that have the AU. AP: average precision, mean over AUs.",
    )


def fold_curves(folds: Sequence[Scored], au: int) -> list[Curve]:
    """The curves of one AU (by its index) in the folds where it is defined."""
    curves = [precision_recall(*(rows[:, au] for rows in joined(fold))) for fold in folds]
    return [curve for curve in curves if curve is not None]


def average_precision(curves: Sequence[Curve]) -> float:
    """Mean over folds."""
    return float(np.mean([curve.average_precision for curve in curves]))


def operating_point(folds: Sequence[Scored]) -> list[tuple[float, float]]:
    """Recall and precision of every AU at threshold 0, pooled over folds; NaN where undefined."""
    total = metrics.pooled([metrics.counts(*joined(fold)) for fold in folds])
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = total.tp / (total.tp + total.fn), total.tp / (total.tp + total.fp)
    return list(zip(recall.tolist(), precision.tolist(), strict=True))


def joined(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of all videos of a fold, [N, 12] each."""
    labels, scores = (np.concatenate([rows[key] for key in scored.scores]) for rows in (scored.labels, scored.scores))
    return labels, scores


def rows(systems: Folds) -> Iterator[dict[str, object]]:
    """The curves as a table: AU, system, recall, mean precision over folds."""
    for index, au in enumerate(AUS):
        for name, folds in systems.items():
            curves = fold_curves(folds, index)
            if curves:
                for recall, precision in zip(RECALLS, mean_precision(curves, RECALLS), strict=True):
                    yield {"au": au, "system": name, "recall": round(float(recall), 2), "precision": precision}


def summary_rows(systems: Folds) -> Iterator[dict[str, object]]:
    """AU, system: average precision, base rate (means over folds), recall and precision at threshold 0 (pooled)."""
    for index, au in enumerate(AUS):
        for name, folds in systems.items():
            curves = fold_curves(folds, index)
            if curves:
                recall, precision = operating_point(folds)[index]
                yield {
                    "au": au,
                    "system": name,
                    "average_precision": average_precision(curves),
                    "base_rate": float(np.mean([curve.base_rate for curve in curves])),
                    "recall_at_0": recall,
                    "precision_at_0": precision,
                }


def _line(axes: Axes, curves: Sequence[Curve], point: tuple[float, float], series: style.Series) -> None:
    base = float(np.mean([curve.base_rate for curve in curves]))
    axes.plot([0, 1], [base, base], color=style.GREY, linewidth=1)
    precision = mean_precision(curves, RECALLS)
    axes.plot(RECALLS, precision, color=series.colour, linestyle=series.line, linewidth=1.6)
    axes.plot(*point, marker=series.marker, color=series.colour, markersize=7, markeredgecolor="white", clip_on=False)


def _legend(series: Mapping[str, style.Series], means: Mapping[str, float]) -> list[Line2D]:
    entries = [
        Line2D(
            [], [], color=one.colour, linestyle=one.line, marker=one.marker, markersize=7, markeredgecolor="white",
            label=f"{display_name(name)}, AP {_percent(means[name])}",
        )
        for name, one in series.items()
    ]  # fmt: skip
    return [*entries, Line2D([], [], color=style.GREY, linewidth=1, label="share of frames")]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if np.isfinite(value) else "undefined"
