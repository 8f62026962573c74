"""Figures of what a run has trained: learning curves of its networks, and the facial patches that JPML selects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from au_jax import files
from au_jax.faces.registration import TEMPLATE
from au_jax.logs import read_metrics
from au_jax.report import style
from au_jax.run_dir import FoldDir, RunDir

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
      >>> draw_patches(folder, (0,), aus=(12,)).alt[-19:]
      'AU 12 uses 1 of 49.'
    """
    models = [files.read_npz(FoldDir(RunDir(workdir).fold(fold)).model("jpml")) for fold in folds]
    weights = patch_weights(np.stack([model["patch_norms"] for model in models]))
    # The words beside the scale need more than one row's height.
    figure, panels = style.au_panels(aus, height=2.4, margin=0.0 if len(aus) > 4 else 1.2)
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
