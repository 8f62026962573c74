"""Figures of a run's scores: precision against recall of every AU, and which AUs come together."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from au_jax.evaluation import metrics
from au_jax.evaluation.metrics import Curve, cooccurrence, mean_precision, precision_recall
from au_jax.evaluation.tables import Scored
from au_jax.labels import MISSING, PRESENT
from au_jax.report import style
from au_jax.systems import display

RECALLS: Float[np.ndarray, "100"] = np.linspace(0.01, 1.0, 100)
"""Where the curves of folds are averaged."""

Folds = Mapping[str, Sequence[Scored]]
"""System -> scores of every fold."""


@style.context()
def draw_precision_recall(systems: Folds, aus: Sequence[int]) -> style.Drawing:
    """Draws a panel per AU: all systems' curves, averaged over folds, with a marker at threshold 0, all folds pooled.

    Args:
      systems: system -> scores of every fold.
      aus: [A] AU numbers of the scores' columns.

    Example:
      >>> labels = np.array([[1], [-1], [1]], np.int8)
      >>> fold = Scored({"S1/T1": labels * np.float32(0.5)}, {"S1/T1": labels}, {"S1/T1": np.arange(3)})
      >>> draw_precision_recall({"anet": [fold]}, aus=(12,)).alt
      'Precision against recall of every AU; mean average precision: ANet 100.0 %.'
    """
    series = style.system_series(list(systems))
    figure, panels = style.au_panels(aus, height=2.6, margin=0.8, sharex=True, sharey=True)
    areas: dict[str, list[float]] = {name: [] for name in systems}
    for index, (au, axes) in enumerate(zip(aus, panels, strict=True)):
        axes.set_title(style.au_title(au), fontsize=9.5)
        for name, folds in systems.items():
            curves = fold_curves(folds, index)
            if not curves:
                continue
            areas[name].append(float(np.mean([curve.average_precision for curve in curves])))
            base = float(np.mean([curve.base_rate for curve in curves]))
            look = {"marker": series[name].marker, "markersize": 7, "markeredgecolor": "white", "clip_on": False}
            axes.plot([0, 1], [base, base], color=style.GREY, linewidth=1)
            precision = mean_precision(curves, RECALLS)
            axes.plot(RECALLS, precision, color=series[name].colour, linestyle=series[name].line, linewidth=1.6)
            axes.plot(*operating_points(folds)[index], color=series[name].colour, **look)
        if not axes.lines:
            axes.text(0.5, 0.5, "undefined", ha="center", va="center", color=style.GREY)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.grid()
    figure.supxlabel("recall")
    figure.supylabel("precision")
    means = {name: f"{100 * float(np.mean(values)):.1f} %" if values else "undefined" for name, values in areas.items()}
    entries = [
        Line2D(
            [], [], color=one.colour, linestyle=one.line, marker=one.marker, markersize=7, markeredgecolor="white",
            label=f"{display.label(name)}, AP {means[name]}",
        )
        for name, one in series.items()
    ]  # fmt: skip
    entries.append(Line2D([], [], color=style.GREY, linewidth=1, label="share of frames"))
    figure.legend(handles=entries, loc="outside upper center", ncols=4)
    precisions = ", ".join(f"{display.label(name)} {mean}" for name, mean in means.items())
    return style.Drawing(
        figure,
        alt=f"Precision against recall of every AU; mean average precision: {precisions}.",
        caption="Mean over folds of the precision at each recall; the marker is threshold 0, the grey line the share of "
        "frames that have the AU. AP: average precision, mean over AUs.",
    )


def fold_curves(folds: Sequence[Scored], au: int) -> list[Curve]:
    """The curves of one AU in the folds where it is defined.

    Args:
      folds: scores of every fold.
      au: index of its column.

    Example:
      >>> labels = np.array([[1, -1], [-1, -1]], np.int8)
      >>> fold = Scored({"S1/T1": labels * 0.5}, {"S1/T1": labels}, {})
      >>> [len(fold_curves([fold, fold], au)) for au in (0, 1)]
      [2, 0]
    """
    curves = [precision_recall(*(rows[:, au] for rows in fold.joined())) for fold in folds]
    return [curve for curve in curves if curve is not None]


def operating_points(folds: Sequence[Scored]) -> list[tuple[float, float]]:
    """Recall and precision of every AU at threshold 0, pooled over folds; NaN where undefined.

    Args:
      folds: scores of every fold.

    Example:
      >>> labels = np.array([[1], [-1], [1]], np.int8)
      >>> operating_points([Scored({"S1/T1": np.array([[1.0], [1.0], [-1.0]])}, {"S1/T1": labels}, {})])
      [(0.5, 0.5)]
    """
    total = metrics.pooled([metrics.counts(*fold.joined()) for fold in folds])
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = total.tp / (total.tp + total.fn), total.tp / (total.tp + total.fp)
    return list(zip(recall.tolist(), precision.tolist(), strict=True))


def precision_recall_rows(systems: Folds, aus: Sequence[int]) -> Iterator[dict[str, object]]:
    """The curves as a table: AU, system, recall, mean precision over folds.

    Args:
      systems: system -> scores of every fold.
      aus: [A] AU numbers of the scores' columns.

    Example:
      >>> labels = np.array([[1], [-1]], np.int8)
      >>> fold = Scored({"S1/T1": labels * np.float32(0.5)}, {"S1/T1": labels}, {})
      >>> [(row["au"], row["recall"], float(row["precision"])) for row in precision_recall_rows({"anet": [fold]}, (12,))][0]
      (12, 0.01, 1.0)
    """
    for index, au in enumerate(aus):
        for name, folds in systems.items():
            curves = fold_curves(folds, index)
            if curves:
                for recall, precision in zip(RECALLS, mean_precision(curves, RECALLS), strict=True):
                    yield {"au": au, "system": name, "recall": round(float(recall), 2), "precision": precision}


def summary_rows(systems: Folds, aus: Sequence[int]) -> Iterator[dict[str, object]]:
    """AU, system: average precision, base rate (means over folds), recall and precision at threshold 0 (pooled).

    Args:
      systems: system -> scores of every fold.
      aus: [A] AU numbers of the scores' columns.

    Example:
      >>> labels = np.array([[1], [-1]], np.int8)
      >>> fold = Scored({"S1/T1": labels * np.float32(0.5)}, {"S1/T1": labels}, {})
      >>> [(row["au"], row["average_precision"], row["base_rate"]) for row in summary_rows({"anet": [fold]}, (12,))]
      [(12, 1.0, 0.5)]
    """
    for index, au in enumerate(aus):
        for name, folds in systems.items():
            curves = fold_curves(folds, index)
            if curves:
                recall, precision = operating_points(folds)[index]
                yield {
                    "au": au,
                    "system": name,
                    "average_precision": float(np.mean([curve.average_precision for curve in curves])),
                    "base_rate": float(np.mean([curve.base_rate for curve in curves])),
                    "recall_at_0": recall,
                    "precision_at_0": precision,
                }


MARKED = 0.1
"""Difference from the truth, as a share of frames, from which a cell of the predictions is framed."""

_SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", style.SKY, style.BLUE, "#003B5C"])


@style.context()
def draw_cooccurrence(system: str, scored: Scored, aus: Sequence[int]) -> style.Drawing:
    """Draws how often the column's AU is present while the row's is, by labels and by a system's predictions.

    Args:
      system: its name.
      scored: its scores of all test subjects.
      aus: [A] AU numbers of the scores' columns.

    Example:
      >>> labels = np.array([[1, 1], [1, -1]], np.int8)
      >>> draw_cooccurrence("anet", Scored({"S1/T1": labels * 0.5}, {"S1/T1": labels}, {}), aus=(6, 12)).alt
      'How often AUs come together, by labels and by ANet: mean difference 0.0 points.'
    """
    truth, predicted = cooccurrences(scored)
    figure = Figure(figsize=(10.0, 5.4))
    left, right = figure.subplots(1, 2)
    left.set_ylabel("of the frames with ..")
    # Numbers of more than 12 AUs are smaller.
    size = min(8.0, 8.0 * 12 / len(aus))
    for axes, shares, title in (
        (left, truth, "labels"),
        (right, predicted, f"predictions of {display.label(system)}"),
    ):
        axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
        axes.set_title(title)
        axes.set_xticks(range(len(aus)), [str(au) for au in aus])
        axes.set_yticks(range(len(aus)), [f"AU {au}" for au in aus])
        axes.set_xlabel(".. percent that have AU")
        axes.tick_params(length=0, **({"labelsize": size + 1} if len(aus) > 12 else {}))
        axes.spines[:].set_visible(False)
        for (row, column), share in np.ndenumerate(shares):
            text = f"{100 * share:.0f}" if np.isfinite(share) else "–"
            look = {
                "fontweight": "bold" if row == column else "normal",
                "color": "white" if share > 0.55 else style.BLACK,
            }
            axes.text(column, row, text, ha="center", va="center", fontsize=size, **look)
    apart = np.abs(predicted - truth)
    for row, column in zip(*np.nonzero(apart >= MARKED), strict=True):
        right.add_patch(
            Rectangle((column - 0.45, row - 0.45), 0.9, 0.9, fill=False, edgecolor=style.VERMILLION, linewidth=1.5)
        )
    pairs = ~np.eye(len(aus), dtype=bool) & np.isfinite(apart)
    mean = f"{100 * apart[pairs].mean():.1f} points" if pairs.any() else "undefined"
    return style.Drawing(
        figure,
        alt=f"How often AUs come together, by labels and by {display.label(system)}: mean difference {mean}.",
        caption="Percent of the frames with the row's AU that have the column's AU too; on the diagonal, percent of all "
        f"frames. Framed: {100 * MARKED:.0f} points or more from the labels. The mean difference of two AUs is {mean}.",
    )


def cooccurrences(scored: Scored) -> tuple[Float[np.ndarray, "A A"], Float[np.ndarray, "A A"]]:
    """Co-occurrence of labels and of predictions on the same frames (`metrics.cooccurrence`).

    Args:
      scored: scores of all test subjects.

    Example:
      >>> labels = np.array([[1, 1], [1, -1]], np.int8)
      >>> cooccurrences(Scored({"S1/T1": labels * 0.5}, {"S1/T1": labels}, {}))[0].tolist()
      [[1.0, 0.5], [1.0, 0.5]]
    """
    labels, scores = scored.joined()
    known = labels != MISSING
    return cooccurrence(labels == PRESENT, known), cooccurrence(scores > 0, known)


def cooccurrence_rows(systems: Mapping[str, Scored], aus: Sequence[int]) -> Iterator[dict[str, object]]:
    """A row per pair of AUs: share by labels, then by every system.

    Args:
      systems: system -> scores of all test subjects.
      aus: [A] AU numbers of the scores' columns.

    Example:
      >>> labels = np.array([[1], [-1]], np.int8)
      >>> list(cooccurrence_rows({"anet": Scored({"S1/T1": labels * 0.5}, {"S1/T1": labels}, {})}, (12,)))[0]["while_au"]
      12
    """
    matrices = {name: cooccurrences(scored) for name, scored in systems.items()}
    truth = next(iter(matrices.values()))[0]
    for i, first in enumerate(aus):
        for j, second in enumerate(aus):
            shares = {name: predicted[i, j] for name, (_, predicted) in matrices.items()}
            yield {"while_au": first, "au": second, "labels": truth[i, j], **shares}
