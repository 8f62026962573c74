"""Figures of a run: precision against recall, AU co-occurrence, learning curves, and the facial patches that JPML selects."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
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
from au_jax.labels import MISSING, PRESENT
from au_jax.logs import read_metrics
from au_jax.report import style
from au_jax.systems import display

RECALLS: Float[np.ndarray, "100"] = np.linspace(0.01, 1.0, 100)
"""Where the curves of folds are averaged."""

Folds = Mapping[str, Sequence[Scored]]
"""System -> scores of every fold."""


@style.look()
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


@style.look()
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


Rows = list[dict[str, Any]]


def trained_stages(workdir: Path) -> dict[str, dict[str, Rows]]:
    """The logged epochs of all trained networks.

    Args:
      workdir: folder of the run.

    Returns:
      Stage without its fold, such as "anet/cnn" -> fold -> rows of logs/metrics.jsonl.

    Example:
      >>> {stage: list(folds) for stage, folds in trained_stages(run_folder).items()}["anet/cnn"][0]
      'fold_00'
    """
    stages: dict[str, dict[str, Rows]] = {}
    for name, rows in read_metrics(workdir).items():
        fold, _, stage = name.partition("/")
        # PCA and SVM log single numbers too; only networks have a curve.
        curve = [row for row in rows if "train_loss" in row]
        if stage and curve:
            stages.setdefault(stage, {})[fold] = curve
    return {stage: dict(sorted(folds.items())) for stage, folds in stages.items()}


_PANELS = {"train_loss": "loss", "validation_f1": "validation F1-frame (%)", "learning_rate": "learning rate"}


@style.look()
def draw_curves(workdir: Path, stage: str, folds: Mapping[str, Rows]) -> style.Drawing:
    """Draws learning curves of a stage, all folds together: loss, validation F1-frame where it was logged, learning rate.

    Args:
      workdir: folder of the run.
      stage: such as "anet/cnn".
      folds: "fold_00" -> epochs with train_loss and perhaps validation_loss, validation_f1, learning_rate.

    Example:
      >>> rows = [{"epoch": epoch, "train_loss": 1.0 / (1 + epoch)} for epoch in range(4)]
      >>> draw_curves(Path("runs/none"), "anet/cnn", {"fold_00": rows}).alt
      'Learning curves of anet/cnn over 4 epochs; training loss of fold 0 ends at 0.25.'
    """
    all_rows = [row for rows in folds.values() for row in rows]
    panels = [field for field in _PANELS if field == "train_loss" or any(field in row for row in all_rows)]
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
    for field, panel in axes.items():
        panel.set_title(_PANELS[field])
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        panel.grid(axis="y")
    if "learning_rate" in axes:
        _scale_rates(axes["learning_rate"])
    figure.suptitle(stage)
    has_validation = any("validation_loss" in row for row in all_rows)
    figure.legend(handles=_curve_legend(series, kept_any, has_validation), loc="outside lower center", ncols=7)
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


def _scale_rates(axes: Axes) -> None:
    """Powers of ten where the rate falls far, else an axis from zero."""
    rates = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
    if rates.min() > 0 and rates.max() / rates.min() > 5:
        axes.set_yscale("log")
        # Formulas are off in these figures, and so is the usual notation of powers.
        axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, 1.1 * rates.max() or 1.0)


def _curve_legend(series: Mapping[str, style.Series], kept: bool, validation: bool) -> list[Line2D]:
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
    return entries


def _kept_epoch(workdir: Path, fold: str, stage: str) -> int | None:
    """The epoch whose parameters were kept, from what a finished stage writes beside its checkpoints."""
    for folder in (workdir / fold / stage, (workdir / fold / stage).parent):
        if (folder / "finished.json").exists():
            return files.read_json(folder / "finished.json").get("best_epoch")
    return None


def _fold_title(fold: str) -> str:
    number = fold.removeprefix("fold_")
    return f"fold {int(number)}" if number.isdecimal() else fold


_HEAVIEST = 130.0  # area of the heaviest patch's dot, in square points
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
_PATCH_SHADES = LinearSegmentedColormap.from_list("patches", ["#CFE3F2", style.BLUE, "#001F3D"])


@style.look()
def draw_patches(workdir: Path, folds: Sequence[int], aus: Sequence[int]) -> style.Drawing:
    """Draws a face per AU with a dot on each of the 49 patches of JPML, as large and dark as the patch weighs.

    Args:
      workdir: folder of the run.
      folds: whose models are drawn: the mean of their weights, of which the heaviest is 1 in each.
      aus: [A] AU numbers of the models' columns.

    Raises:
      FileNotFoundError: a fold's model is gone.
      UserError: a fold's model is damaged.

    Example:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> files.write_npz(folder / "fold_00/jpml/model.npz", {"patch_norms": np.eye(49, 1, dtype=np.float32)})
      >>> draw_patches(folder, (0,), aus=(12,)).alt[-20:]
      'AU 12 uses 1 of 49.'
    """
    models = [files.read_npz(workdir / f"fold_{fold:02d}" / "jpml" / "model.npz") for fold in folds]
    weights = patch_weights(np.stack([model["patch_norms"] for model in models]))
    figure, panels = style.au_panels(aus, height=2.4, margin=0.0)
    shades = None
    for axes, au, of_au in zip(panels, aus, weights.T, strict=True):
        shades = _face(axes, of_au)
        axes.set_title(style.au_title(au))
    assert shades is not None
    figure.colorbar(shades, ax=figure.axes, shrink=0.5, label="weight of the patch (heaviest = 1)")
    kept = (weights > 0).sum(0)
    faces = "A drawn face, for one AU" if len(aus) == 1 else f"{_in_words(len(aus))} drawn faces, one per AU"
    return style.Drawing(
        figure,
        alt=f"{faces}, with a dot on each patch that JPML uses, larger the more it weighs: "
        + ", ".join(f"AU {au} uses {count} of 49" for au, count in zip(aus, kept, strict=True))
        + ".",
        caption="The patch's weight is the length of its weights, mean of the folds; a small cross is a patch that no "
        "fold uses.",
    )


def _in_words(number: int) -> str:
    return "Twelve" if number == 12 else str(number)


def patch_weights(norms: Float[np.ndarray, "F 49 A"]) -> Float[np.ndarray, "49 A"]:
    """Weights of the patches on one scale, mean of the folds.

    Args:
      norms: [F, 49, A] lengths of the patches' weights in every fold.

    Returns:
      [49, A] in 0..1, the heaviest of a fold is 1; 0 for an AU without a classifier.

    Example:
      >>> norms = np.zeros((1, 49, 1))
      >>> norms[0, :2, 0] = 4.0, 1.0
      >>> patch_weights(norms)[:3, 0].tolist()
      [1.0, 0.25, 0.0]
    """
    heaviest = norms.max(1, keepdims=True)
    return (norms / np.where(heaviest > 0, heaviest, 1.0)).mean(0)


def _face(axes: Axes, weights: Shaped[np.ndarray, "49"]) -> PathCollection:
    for line in _LINES:
        axes.plot(*TEMPLATE[list(line)].T, color="#9A9A9A", linewidth=1.0, zorder=1)
    unused = weights == 0
    axes.plot(*TEMPLATE[unused].T, linestyle="none", marker="x", markersize=3, color=style.GREY, zorder=2)
    # Heavy patches over light ones.
    order = np.flatnonzero(~unused)[np.argsort(weights[~unused])]
    shades = axes.scatter(
        *TEMPLATE[order].T,
        s=_HEAVIEST * weights[order],
        c=weights[order],
        cmap=_PATCH_SHADES,
        vmin=0.0,
        vmax=1.0,
        edgecolors="white",
        linewidths=0.5,
        zorder=3,
    )
    axes.set(xlim=(30, 170), ylim=(158, 26), aspect="equal")
    axes.set_axis_off()
    return shades
