"""How far apart people are in each feature space (paper Fig. 4), ours beside the paper's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from au_jax.explain import divergence
from au_jax.report import style

ORDER: tuple[str, ...] = ("fc7", "HOG", "Gabor", "Shape")
"""The paper's order, from low to high divergence."""

PAPER: dict[str, dict[str, tuple[float, float]]] = {
    "BP4D": {"Shape": (5.38, 0.40), "Gabor": (4.63, 0.16), "HOG": (3.87, 0.12), "fc7": (3.58, 0.09)},
    "GFT": {"Shape": (5.43, 0.39), "Gabor": (4.74, 0.23), "HOG": (3.41, 0.25), "fc7": (0.89, 0.13)},
}
"""Mean and standard deviation over subjects, as printed in Fig. 4."""


@dataclass(frozen=True)
class Dataset:
    """A dataset's people: divergences of every pair by every feature.

    Attributes:
      title: of the faces.
      network: title of the network of fc7.
      matrices: feature -> [S, S], in `ORDER`.
      dimensions: feature -> length of its vectors.
      replicates: feature -> bootstrapped means of log10(1e6 S), [R].
      level: of their intervals.
      subjects: names, in order of the matrices.
    """

    title: str
    network: str
    matrices: dict[str, np.ndarray]
    dimensions: dict[str, int]
    replicates: dict[str, np.ndarray]
    level: float
    subjects: tuple[str, ...]

    def figures(self, feature: str) -> dict[str, np.ndarray]:
        """The readings of every subject's sum (`divergence.figures`)."""
        return divergence.figures(self.matrices[feature].sum(1), self.dimensions[feature])

    def interval(self, feature: str) -> tuple[float, float]:
        """Of the mean of log10(1e6 S), by bootstrap over subjects."""
        tail = 50.0 * (1.0 - self.level)
        low, high = np.percentile(self.replicates[feature], [tail, 100.0 - tail])
        return float(low), float(high)


def draw_divergences(datasets: Sequence[Dataset]) -> style.Drawing:
    """Draws a panel per dataset: a point per feature, ours filled, the paper's hollow, deviations as whiskers."""
    figure = Figure(figsize=(10.0, 5.2))
    for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False, sharey=True)[0], datasets, strict=True):
        _panel(axes, dataset)
    figure.axes[0].set_ylabel("log10(1e6 x sum of divergences)")
    figure.legend(handles=_legend(), loc="outside upper center", ncols=4)
    told = "; ".join(f"{dataset.title}: {_order(dataset)}" for dataset in datasets)
    return style.Drawing(
        figure,
        alt=f"Jensen-Shannon divergence between people, mean over people: {told}.",
        caption="Each person's sum of divergences to all others, as mean and standard deviation over people, on the scale "
        "whose values are of the size that the paper prints. Only the order is comparable: the sums grow with the number "
        "of people, and the faces are not the paper's. Shares below: of resamplings of the people.",
    )


def _panel(axes: Axes, dataset: Dataset) -> None:
    features = [feature for feature in reversed(ORDER) if feature in dataset.matrices]
    for place, feature in enumerate(features):
        values = dataset.figures(feature)["log_of_millionths"]
        ours = {"color": style.BLUE, "markersize": 9, "elinewidth": 1.6, "capsize": 4}
        axes.errorbar(place - 0.12, values.mean(), values.std(), fmt="o", **ours)
        for (_, printed), shift, (colour, marker) in zip(
            PAPER.items(), (0.1, 0.24), _PAPER_LOOKS.values(), strict=True
        ):
            mean, deviation = printed[feature]
            theirs = {"color": colour, "markersize": 7, "markerfacecolor": "white", "elinewidth": 1.0, "capsize": 3}
            axes.errorbar(place + shift, mean, deviation, fmt=marker, **theirs)
        axes.annotate(f"{values.mean():.2f}", (place - 0.2, values.mean()), ha="right", va="center", fontsize=9)
    axes.set_xticks(range(len(features)), features)
    axes.set_xlim(-0.75, len(features) - 0.5)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_title(f"{dataset.title}\nfc7 of {dataset.network}")
    shares = divergence.order_shares(dataset.replicates)
    lines = [f"{pair}: {100 * share:.0f} %" for pair, share in shares.items()]
    axes.set_xlabel("\n".join([", ".join(lines[:-1]), lines[-1]]))


def _order(dataset: Dataset) -> str:
    means = {name: float(dataset.figures(name)["log_of_millionths"].mean()) for name in dataset.matrices}
    return ", ".join(f"{name} {means[name]:.2f}" for name in sorted(means, key=lambda name: means[name]))


_PAPER_LOOKS = {"BP4D": (style.VERMILLION, "s"), "GFT": (style.GREEN, "D")}


def _legend() -> list[Line2D]:
    entries = [Line2D([], [], color=style.BLUE, marker="o", markersize=9, linestyle="none", label="ours")]
    return entries + [
        Line2D([], [], color=colour, marker=marker, markersize=7, markerfacecolor="white", linestyle="none",
               label=f"the paper, {name}")
        for name, (colour, marker) in _PAPER_LOOKS.items()
    ]  # fmt: skip


def rows(datasets: Sequence[Dataset]) -> Iterator[dict[str, object]]:
    """Dataset, feature: mean and deviation of every reading, the interval of the last, and the paper's values."""
    for dataset in datasets:
        for feature in dataset.matrices:
            readings = dataset.figures(feature)
            spread = {
                key: value
                for name, values in readings.items()
                for key, value in ((f"{name}_mean", values.mean()), (f"{name}_std", values.std()))
            }
            low, high = dataset.interval(feature)
            paper = {f"paper_{name.lower()}": printed[feature][0] for name, printed in PAPER.items()}
            yield {
                "dataset": dataset.title,
                "fc7_of": dataset.network,
                "feature": feature,
                "dimensions": dataset.dimensions[feature],
                "subjects": len(dataset.subjects),
                **spread,
                "low": low,
                "high": high,
                **paper,
            }


def order_rows(datasets: Sequence[Dataset]) -> Iterator[dict[str, object]]:
    """Dataset, order: share of the resamplings of subjects that have it."""
    for dataset in datasets:
        for order, share in divergence.order_shares(dataset.replicates).items():
            yield {"dataset": dataset.title, "order": order, "share_of_resamplings": share}


def subject_rows(datasets: Sequence[Dataset]) -> Iterator[dict[str, object]]:
    """Dataset, subject: the raw sum of divergences by every feature."""
    for dataset in datasets:
        sums: Mapping[str, np.ndarray] = {name: matrix.sum(1) for name, matrix in dataset.matrices.items()}
        for index, subject in enumerate(dataset.subjects):
            yield {"dataset": dataset.title, "subject": subject, **{name: row[index] for name, row in sums.items()}}
