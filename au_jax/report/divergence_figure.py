"""The paper's Fig. 4 (IV-C): how far apart people are by shape, Gabor, HOG and fc7, beside the paper's values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from au_jax.errors import CommandError, DataError
from au_jax.explain import feature_space
from au_jax.report import style
from au_jax.report.face_samples import extract_descriptor, sample_faces
from au_jax.report.page import save_figure
from au_jax.run_dir import TrainedFold

ORDER: tuple[str, ...] = ("fc7", "HOG", "Gabor", "Shape")
"""The paper's order, from low to high divergence."""

PAPER: dict[str, dict[str, tuple[float, float]]] = {
    "BP4D": {"Shape": (5.38, 0.40), "Gabor": (4.63, 0.16), "HOG": (3.87, 0.12), "fc7": (3.58, 0.09)},
    "GFT": {"Shape": (5.43, 0.39), "Gabor": (4.74, 0.23), "HOG": (3.41, 0.25), "fc7": (0.89, 0.13)},
}
"""Mean and standard deviation over subjects, as printed in Fig. 4."""


@dataclass(frozen=True)
class Divergences:
    """How far apart a dataset's people are: divergences of every pair by every feature.

    Attributes:
      title: of the faces.
      network: title of the network of fc7.
      matrices: feature -> [P, P], in `ORDER`.
      dimensions: feature -> length of its vectors.
      replicates: feature -> bootstrapped means of log10(1e6 S), [R].
      level: of their intervals.
      subjects: names, in order of the matrices.

    Example:
      >>> matrix = np.array([[0.0, 1e-3], [1e-3, 0.0]])
      >>> people = Divergences("", "", {"fc7": matrix}, {"fc7": 4096}, {"fc7": np.array([3.0, 3.0])}, 0.95, ("S1", "S2"))
      >>> people.readings("fc7")["log_of_millionths"].round(3).tolist(), people.interval("fc7")
      ([3.0, 3.0], (3.0, 3.0))
    """

    title: str
    network: str
    matrices: dict[str, Float[np.ndarray, "P P"]]
    dimensions: dict[str, int]
    replicates: dict[str, Float[np.ndarray, " R"]]
    level: float
    subjects: tuple[str, ...]

    def readings(self, feature: str) -> dict[str, np.ndarray]:
        """The readings of every subject's sum (`feature_space.readings`)."""
        return feature_space.readings(self.matrices[feature].sum(1), self.dimensions[feature])

    def interval(self, feature: str) -> tuple[float, float]:
        """Of the mean of log10(1e6 S), by bootstrap over subjects."""
        tail = 50.0 * (1.0 - self.level)
        low, high = np.percentile(self.replicates[feature], [tail, 100.0 - tail])
        return float(low), float(high)


def save_fig4(
    run: Path,
    other: Path | None = None,
    fold: int = 0,
    people: int = 100,
    frames: int = 200,
    median_of: str = "values",
    out: Path | None = None,
) -> None:
    """Writes Fig. 4: fig4.png, .svg, .csv, fig4_order.csv (the order tested by bootstrap), fig4_subjects.csv (raw sums).

    Args:
      run: folder of a finished run.
      other: a run on another dataset; both are shown, each with fc7 of the other's CNN (the paper's way). None: the fold's own
        CNN describes the fold's test subjects.
      fold: of `run`.
      people: at most so many; 0 = all.
      frames: of each, at most.
      median_of: of `feature_space.MEDIANS`.
      out: folder of the files; the run's figures/ if None.

    Raises:
      CommandError: an unknown median, or fewer than three people.
      UserError: a run or dataset that cannot be read.

    Example:
      >>> save_fig4(run_folder, people=3, frames=4)  # doctest: +ELLIPSIS
      Jensen-Shannon divergence between people, mean over people: ...
    """
    if median_of not in feature_space.MEDIANS:
        raise CommandError(f"--median_of={median_of}: choose one of {', '.join(feature_space.MEDIANS)}")
    own = TrainedFold(run, fold)
    if other:
        second = TrainedFold(other)
        pairs = [(own, second, own.dataset.subjects), (second, own, second.dataset.subjects)]
    else:
        pairs = [(own, own, own.test_subjects)]
    datasets = []
    for faces, network, subjects in pairs:
        sample = sample_faces(faces.dataset, subjects, people, frames)
        if len(sample.subjects) < 3:
            if len(subjects) >= 3 and 0 < people < 3:
                raise CommandError(f"--people={people} are too few to compare; give --people=3 or more, or 0 for all")
            whose = "test people of this fold" if subjects == faces.test_subjects else "people"
            raise DataError(
                f"{faces.folder} shows faces of {len(sample.subjects)} {whose}, and 3 are the least to compare; choose another "
                "run, with fewer folds or more people"
            )
        matrices, dimensions = {}, {}
        for feature in ORDER:
            means = sample.subject_means(extract_descriptor(feature, sample, network))
            dimensions[feature] = means.shape[1]
            matrices[feature] = feature_space.js_matrix(feature_space.distributions(means, median_of))
        evaluation = faces.config.evaluation
        replicates = feature_space.bootstrap_divergences(matrices, evaluation.bootstrap, faces.config.seed)
        datasets.append(
            Divergences(faces.title, network.title, matrices, dimensions, replicates, evaluation.level, sample.subjects)
        )
    tables = {"": divergence_rows(datasets), "order": order_rows(datasets), "subjects": subject_rows(datasets)}
    save_figure(out or run / "figures", "fig4", draw_divergences(datasets), tables, run)


@style.context()
def draw_divergences(datasets: Sequence[Divergences]) -> style.Drawing:
    """Draws Fig. 4, a panel per dataset: a point per feature, ours filled, the paper's hollow, deviations as whiskers.

    Args:
      datasets: one, or two of which each has fc7 of the other's CNN.

    Example:
      >>> matrix = {"fc7": np.ones((3, 3)), "HOG": 2 * np.ones((3, 3))}
      >>> means = feature_space.bootstrap_divergences(matrix, 5, seed=0)
      >>> people = Divergences("a", "b", matrix, {"fc7": 9, "HOG": 9}, means, 0.95, ("S1", "S2", "S3"))
      >>> draw_divergences([people]).alt
      'Jensen-Shannon divergence between people, mean over people: a: fc7 6.48, HOG 6.78.'
    """
    figure = Figure(figsize=(10.0, 5.2))
    for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False, sharey=True)[0], datasets, strict=True):
        _draw_panel(axes, dataset)
    figure.axes[0].set_ylabel("log10(1e6 x sum of divergences)")
    entries = [Line2D([], [], color=style.BLUE, marker="o", markersize=9, linestyle="none", label="ours")]
    for name, (colour, marker) in _PAPER_LOOKS.items():
        look = {"color": colour, "marker": marker, "markersize": 7, "markerfacecolor": "white", "linestyle": "none"}
        entries.append(Line2D([], [], label=f"the paper, {name}", **look))
    figure.legend(handles=entries, loc="outside upper center", ncols=4)
    orders = "; ".join(f"{dataset.title}: {_order(dataset)}" for dataset in datasets)
    return style.Drawing(
        figure,
        alt=f"Jensen-Shannon divergence between people, mean over people: {orders}.",
        caption="Each person's sum of divergences to all others, as mean and standard deviation over people, on the scale "
        "whose values are of the size that the paper prints. Only the order is comparable: the sums grow with the number "
        "of people, and the faces are not the paper's. Shares below: of resamplings of the people.",
    )


def _draw_panel(axes: Axes, dataset: Divergences) -> None:
    features = [feature for feature in reversed(ORDER) if feature in dataset.matrices]
    for place, feature in enumerate(features):
        values = dataset.readings(feature)["log_of_millionths"]
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
    shares = feature_space.order_shares(dataset.replicates)
    lines = [f"{pair}: {100 * share:.0f} %" for pair, share in shares.items()]
    axes.set_xlabel("\n".join([", ".join(lines[:-1]), lines[-1]]))


def _order(dataset: Divergences) -> str:
    means = {name: float(dataset.readings(name)["log_of_millionths"].mean()) for name in dataset.matrices}
    return ", ".join(f"{name} {means[name]:.2f}" for name in sorted(means, key=lambda name: means[name]))


_PAPER_LOOKS = {"BP4D": (style.VERMILLION, "s"), "GFT": (style.GREEN, "D")}


def divergence_rows(datasets: Sequence[Divergences]) -> Iterator[dict[str, object]]:
    """Dataset, feature: mean and deviation of every reading, the interval of the last, and the paper's values.

    Args:
      datasets: as drawn.

    Example:
      >>> matrix = {"fc7": np.ones((3, 3)), "HOG": 2 * np.ones((3, 3))}
      >>> means = feature_space.bootstrap_divergences(matrix, 5, seed=0)
      >>> people = Divergences("a", "b", matrix, {"fc7": 9, "HOG": 9}, means, 0.95, ("S1", "S2", "S3"))
      >>> [(row["feature"], row["subjects"], float(row["sum_mean"])) for row in divergence_rows([people])]
      [('fc7', 3, 3.0), ('HOG', 3, 6.0)]
    """
    for dataset in datasets:
        for feature in dataset.matrices:
            readings = dataset.readings(feature)
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


def order_rows(datasets: Sequence[Divergences]) -> Iterator[dict[str, object]]:
    """Dataset, order: share of the resamplings of subjects that have it.

    Args:
      datasets: as drawn.

    Example:
      >>> matrix = {"fc7": np.ones((3, 3)), "HOG": 2 * np.ones((3, 3))}
      >>> means = feature_space.bootstrap_divergences(matrix, 5, seed=0)
      >>> people = Divergences("a", "b", matrix, {"fc7": 9, "HOG": 9}, means, 0.95, ("S1", "S2", "S3"))
      >>> next(order_rows([people]))
      {'dataset': 'a', 'order': 'fc7 < HOG', 'share_of_resamplings': 1.0}
    """
    for dataset in datasets:
        for order, share in feature_space.order_shares(dataset.replicates).items():
            yield {"dataset": dataset.title, "order": order, "share_of_resamplings": share}


def subject_rows(datasets: Sequence[Divergences]) -> Iterator[dict[str, object]]:
    """Dataset, subject: the raw sum of divergences by every feature.

    Args:
      datasets: as drawn.

    Example:
      >>> matrix = {"fc7": np.ones((3, 3)), "HOG": 2 * np.ones((3, 3))}
      >>> means = feature_space.bootstrap_divergences(matrix, 5, seed=0)
      >>> people = Divergences("a", "b", matrix, {"fc7": 9, "HOG": 9}, means, 0.95, ("S1", "S2", "S3"))
      >>> row = next(subject_rows([people]))
      >>> row["subject"], float(row["HOG"])
      ('S1', 6.0)
    """
    for dataset in datasets:
        sums: Mapping[str, np.ndarray] = {name: matrix.sum(1) for name, matrix in dataset.matrices.items()}
        for index, subject in enumerate(dataset.subjects):
            yield {"dataset": dataset.title, "subject": subject, **{name: row[index] for name, row in sums.items()}}
