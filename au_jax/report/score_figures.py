"""Precision-recall curves: a panel per AU, a line per system, and where threshold 0 lies on it.

AU co-occurrence, truth against predictions: two matrices side by side.

Learning curves: losses, validation F1-frame and learning rate of every trained network, all folds together.

The facial patches that JPML selects per AU, drawn on the face to which all are registered.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from au_jax import files
from au_jax.evaluation import metrics
from au_jax.evaluation.metrics import Curve, cooccurrence, mean_precision, precision_recall
from au_jax.evaluation.tables import Scored
from au_jax.faces.registration import TEMPLATE
from au_jax.labels import AU_NAMES, AUS, MISSING, PRESENT
from au_jax.logs import read_metrics
from au_jax.report import style
from au_jax.run_dir import FoldDir, RunDir, display_name

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
                _precision_recall_line(axes, curves, operating_point(folds)[index], series[name])
        if not axes.lines:
            axes.text(0.5, 0.5, "undefined", ha="center", va="center", color=style.GREY)
    for axes in panels.flat:
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.grid()
    figure.supxlabel("recall")
    figure.supylabel("precision")
    means = {name: float(np.mean(values)) if values else float("nan") for name, values in areas.items()}
    figure.legend(handles=_precision_recall_legend(series, means), loc="outside upper center", ncols=4)
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


def precision_recall_rows(systems: Folds) -> Iterator[dict[str, object]]:
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


def _precision_recall_line(
    axes: Axes, curves: Sequence[Curve], point: tuple[float, float], series: style.Series
) -> None:
    base = float(np.mean([curve.base_rate for curve in curves]))
    axes.plot([0, 1], [base, base], color=style.GREY, linewidth=1)
    precision = mean_precision(curves, RECALLS)
    axes.plot(RECALLS, precision, color=series.colour, linestyle=series.line, linewidth=1.6)
    axes.plot(*point, marker=series.marker, color=series.colour, markersize=7, markeredgecolor="white", clip_on=False)


def _precision_recall_legend(series: Mapping[str, style.Series], means: Mapping[str, float]) -> list[Line2D]:
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


MARKED = 0.1
"""Difference from the truth, as a share of frames, from which a cell of the predictions is framed."""

_SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", style.SKY, style.BLUE, "#003B5C"])


def draw_cooccurrence(system: str, scored: Scored) -> style.Drawing:
    """Draws how often the column's AU is there while the row's is, as labelled and as a system finds it."""
    truth, found = matrices(scored)
    figure = Figure(figsize=(10.0, 5.4))
    left, right = figure.subplots(1, 2)
    left.set_ylabel("of the frames with ..")
    _matrix(left, truth, "labels")
    _matrix(right, found, f"predictions of {display_name(system)}")
    apart = np.abs(found - truth)
    for row, column in zip(*np.nonzero(apart >= MARKED), strict=True):
        right.add_patch(
            Rectangle((column - 0.45, row - 0.45), 0.9, 0.9, fill=False, edgecolor=style.VERMILLION, linewidth=1.5)
        )
    pairs = ~np.eye(len(AUS), dtype=bool) & np.isfinite(apart)
    mean = f"{100 * apart[pairs].mean():.1f} points" if pairs.any() else "undefined"
    return style.Drawing(
        figure,
        alt=f"How often AUs come together, by labels and by {display_name(system)}: mean difference {mean}.",
        caption="Percent of the frames with the row's AU that have the column's AU too; on the diagonal, percent of all "
        f"frames. Framed: {100 * MARKED:.0f} points or more from the labels. The mean difference of two AUs is {mean}.",
    )


def matrices(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Co-occurrence of labels and of predictions on the same frames, [12, 12] each."""
    labels, scores = joined(scored)
    known = labels != MISSING
    return cooccurrence(labels == PRESENT, known), cooccurrence(scores > 0, known)


def cooccurrence_rows(systems: dict[str, Scored]) -> Iterator[dict[str, object]]:
    """A row per pair of AUs: share by labels, then by every system."""
    found = {name: matrices(scored) for name, scored in systems.items()}
    truth = next(iter(found.values()))[0]
    for i, first in enumerate(AUS):
        for j, second in enumerate(AUS):
            shares = {name: both[1][i, j] for name, both in found.items()}
            yield {"while_au": first, "au": second, "labels": truth[i, j], **shares}


def _matrix(axes: Axes, shares: np.ndarray, title: str) -> None:
    axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
    axes.set_title(title)
    places = range(len(AUS))
    axes.set_xticks(places, [str(au) for au in AUS])
    axes.set_yticks(places, [f"AU {au}" for au in AUS])
    axes.set_xlabel(".. percent that have AU")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for row in places:
        for column in places:
            share = shares[row, column]
            axes.text(
                column,
                row,
                f"{100 * share:.0f}" if np.isfinite(share) else "–",
                ha="center",
                va="center",
                fontsize=8,
                fontweight="bold" if row == column else "normal",
                color="white" if share > 0.55 else style.BLACK,
            )


Rows = list[dict[str, Any]]


def trained_stages(workdir: Path) -> dict[str, dict[str, Rows]]:
    """The logged epochs of all trained networks: stage without its fold, such as "anet/cnn" -> fold -> rows."""
    stages: dict[str, dict[str, Rows]] = {}
    for name, rows in read_metrics(workdir).items():
        fold, _, stage = name.partition("/")
        # PCA and SVM log single figures too; only networks have a curve.
        curve = [row for row in rows if "train_loss" in row]
        if stage and curve:
            stages.setdefault(stage, {})[fold] = curve
    return {stage: dict(sorted(folds.items())) for stage, folds in stages.items()}


def draw_curves(workdir: Path, stage: str, folds: Mapping[str, Rows]) -> style.Drawing:
    """Draws a stage's curves side by side: loss, validation F1-frame where it was logged, learning rate.

    Args:
      workdir: folder of the run.
      stage: such as "anet/cnn".
      folds: "fold_00" -> epochs with train_loss and perhaps validation_loss, validation_f1, learning_rate.
    """
    panels = ["train_loss"] + [
        field
        for field in ("validation_f1", "learning_rate")
        if any(field in row for rows in folds.values() for row in rows)
    ]
    figure = Figure(figsize=(10.0, 3.5))
    axes = dict(zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True))
    series = dict(zip(folds, style.fold_series(len(folds)), strict=True))
    kept_any = False
    for fold, rows in folds.items():
        kept = _kept_epoch(workdir, fold, stage)
        kept_any |= kept is not None
        for field in (*panels, "validation_loss"):
            # The kept epoch was chosen by validation, so that it is marked on validation curves.
            ring = kept if field.startswith("validation") else None
            _curve_line(axes["train_loss" if field == "validation_loss" else field], rows, field, series[fold], ring)
    _dress(axes)
    figure.suptitle(stage)
    _curve_legend(figure, series, kept_any, any("validation_loss" in row for rows in folds.values() for row in rows))
    last = [f"{_fold_title(fold)} ends at {rows[-1]['train_loss']:.3g}" for fold, rows in folds.items()]
    return style.Drawing(
        figure,
        alt=f"Learning curves of {stage} over {max(len(rows) for rows in folds.values())} epochs; "
        f"training loss of {', '.join(last)}.",
        caption=f"{stage}: " + ("the epoch that was kept has a ring." if kept_any else "training is not finished."),
    )


def _curve_line(axes: Axes, rows: Rows, field: str, series: style.Series, kept: int | None) -> None:
    factor = 100.0 if field == "validation_f1" else 1.0
    # It shares its panel with the training loss.
    apart = field == "validation_loss"
    points = {row["epoch"]: factor * row[field] for row in rows if field in row}
    axes.plot(
        list(points),
        list(points.values()),
        color=series.colour,
        linestyle="--" if apart else "-",
        linewidth=1.4,
        marker=series.marker,
        markerfacecolor="white" if apart else series.colour,
        # A few markers are enough to tell curves apart; a short curve shows all.
        markevery=max(1, len(points) // 8),
        markersize=4,
    )
    if kept is not None and kept in points:
        axes.plot([kept], [points[kept]], "o", markersize=11, markerfacecolor="none", markeredgecolor=series.colour)


def _dress(axes: Mapping[str, Axes]) -> None:
    titles = {"train_loss": "loss", "validation_f1": "validation F1-frame (%)", "learning_rate": "learning rate"}
    for field, panel in axes.items():
        panel.set_title(titles[field])
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        panel.grid(axis="y")
    if "learning_rate" in axes:
        _dress_rates(axes["learning_rate"])


def _dress_rates(axes: Axes) -> None:
    """Powers of ten where the rate falls far, else an axis from zero."""
    rates = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
    if rates.min() > 0 and rates.max() / rates.min() > 5:
        axes.set_yscale("log")
        # Formulas are off in these pictures, and so is the usual notation of powers.
        axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, 1.1 * rates.max() or 1.0)


def _curve_legend(figure: Figure, series: Mapping[str, style.Series], kept: bool, validation: bool) -> None:
    entries = [
        Line2D([], [], color=one.colour, marker=one.marker, markersize=5, label=_fold_title(fold))
        for fold, one in series.items()
    ]
    if validation:
        both = {"color": style.BLACK, "marker": "o", "markersize": 5}
        entries.append(Line2D([], [], linestyle="-", label="training loss", **both))
        entries.append(Line2D([], [], linestyle="--", markerfacecolor="white", label="validation loss", **both))
    if kept:
        ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": style.BLACK}
        entries.append(Line2D([], [], linestyle="none", label="kept epoch", **ring))
    figure.legend(handles=entries, loc="outside lower center", ncols=7)


def _kept_epoch(workdir: Path, fold: str, stage: str) -> int | None:
    """The epoch whose parameters were kept, from the note that a finished stage leaves beside its checkpoints."""
    for folder in (workdir / fold / stage, (workdir / fold / stage).parent):
        if (folder / "finished.json").exists():
            return files.read_json(folder / "finished.json").get("best_epoch")
    return None


def _fold_title(fold: str) -> str:
    number = fold.removeprefix("fold_")
    return f"fold {int(number)}" if number.isdecimal() else fold


_ROWS, _COLUMNS = 3, 4
_LARGEST = 130.0  # area of the heaviest patch's dot, in square points
# Lines of the face through the landmarks; a closed one names its first landmark again.
_LINES = (
    range(5),
    range(5, 10),
    range(10, 14),
    range(14, 19),
    (*range(19, 25), 19),
    (*range(25, 31), 25),
    (*range(31, 43), 31),
    (31, 43, 44, 45, 37, 46, 47, 48, 31),
)
_COLOURS = LinearSegmentedColormap.from_list("patches", ["#CFE3F2", style.BLUE, "#001F3D"])


def draw_patches(workdir: Path, folds: tuple[int, ...]) -> style.Drawing:
    """Draws a face per AU with a dot on each of the 49 patches, as large and dark as the patch weighs.

    Args:
      workdir: folder of the run.
      folds: whose models are drawn: the mean of their weights, of which the heaviest is 1 in each.

    Raises:
      FileNotFoundError: a fold's model is gone.
      UserError: a fold's model is damaged.
    """
    models = [files.read_npz(FoldDir(RunDir(workdir).fold(fold)).model("jpml")) for fold in folds]
    weights = importance(np.stack([model["patch_norms"] for model in models]))
    figure = Figure(figsize=(10.0, 7.2))
    shades = None
    for number, axes in enumerate(figure.subplots(_ROWS, _COLUMNS).flat):
        shades = _face(axes, weights[:, number])
        axes.set_title(f"AU {AUS[number]}  {AU_NAMES[AUS[number]]}")
    assert shades is not None
    figure.colorbar(shades, ax=figure.axes, shrink=0.5, label="weight of the patch (heaviest = 1)")
    kept = (weights > 0).sum(0)
    return style.Drawing(
        figure,
        alt="Twelve drawn faces, one per AU, with a dot on each patch that JPML uses, larger the more it weighs: "
        + ", ".join(f"AU {au} uses {count} of 49" for au, count in zip(AUS, kept, strict=True))
        + ".",
        caption="The patch's weight is the length of its weights, mean of the folds; a small cross is a patch that no "
        "fold uses.",
    )


def importance(norms: np.ndarray) -> np.ndarray:
    """Lengths of patches' weights [folds, 49, 12] -> [49, 12] in 0..1; 0 for an AU without a classifier."""
    heaviest = norms.max(1, keepdims=True)
    return (norms / np.where(heaviest > 0, heaviest, 1.0)).mean(0)


def _face(axes: Axes, weights: np.ndarray):
    for line in _LINES:
        axes.plot(*TEMPLATE[list(line)].T, color="#9A9A9A", linewidth=1.0, zorder=1)
    unused = weights == 0
    axes.plot(*TEMPLATE[unused].T, linestyle="none", marker="x", markersize=3, color=style.GREY, zorder=2)
    # Heavy patches over light ones.
    order = np.flatnonzero(~unused)[np.argsort(weights[~unused])]
    shades = axes.scatter(
        *TEMPLATE[order].T,
        s=_LARGEST * weights[order],
        c=weights[order],
        cmap=_COLOURS,
        vmin=0.0,
        vmax=1.0,
        edgecolors="white",
        linewidths=0.5,
        zorder=3,
    )
    axes.set(xlim=(30, 170), ylim=(158, 26), aspect="equal")
    axes.set_axis_off()
    return shades
