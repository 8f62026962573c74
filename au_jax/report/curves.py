"""Learning curves: losses, validation F1-frame and learning rate of every trained network, all folds together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from au_jax import files
from au_jax.logs import read_metrics
from au_jax.report import style

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
            _line(axes["train_loss" if field == "validation_loss" else field], rows, field, series[fold], ring)
    _dress(axes)
    figure.suptitle(stage)
    _legend(figure, series, kept_any, any("validation_loss" in row for rows in folds.values() for row in rows))
    last = [f"{_fold_title(fold)} ends at {rows[-1]['train_loss']:.3g}" for fold, rows in folds.items()]
    return style.Drawing(
        figure,
        alt=f"Learning curves of {stage} over {max(len(rows) for rows in folds.values())} epochs; "
        f"training loss of {', '.join(last)}.",
        caption=f"{stage}: " + ("the epoch that was kept has a ring." if kept_any else "training is not finished."),
    )


def _line(axes: Axes, rows: Rows, field: str, series: style.Series, kept: int | None) -> None:
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


def _legend(figure: Figure, series: Mapping[str, style.Series], kept: bool, validation: bool) -> None:
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
