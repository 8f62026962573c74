"""The filters of conv1 as small pictures, network beside network (paper Fig. 2d and 2e).

t-SNE pictures of frames, coloured by an AU and by subject, with neighbours' accuracies below (paper Fig. 3).

How far apart people are in each feature space (paper Fig. 4), ours beside the paper's.

The pictures that a CNN's AUs want to see, and whether they are what they claim to be (paper Fig. 5).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from au_jax.explain import divergence
from au_jax.explain.filters import UNTRAINED_SHARE, chromatic_share, chromatic_shares, filter_pictures
from au_jax.labels import ABSENT, AU_NAMES, AUS, MISSING, PRESENT
from au_jax.report import style

Network = tuple[str, np.ndarray]
"""A title and kernels [K, K, 3, C]."""


def draw_filters(networks: Sequence[Network]) -> style.Drawing:
    """Draws each network's filters, from grey to colour, with the share of their energy that is chromatic below."""
    mosaics = [_mosaic(kernels, 2.0 / len(networks)) for _, kernels in networks]
    height = max(mosaic.shape[0] / mosaic.shape[1] for mosaic in mosaics) * 9.6 / len(networks)
    figure = Figure(figsize=(10.0, height + 1.0))
    cast(ConstrainedLayoutEngine, figure.get_layout_engine()).set(wspace=0.1)
    told = []
    panels = figure.subplots(1, len(networks), squeeze=False)[0]
    for axes, mosaic, (title, kernels) in zip(panels, mosaics, networks, strict=True):
        axes.imshow(mosaic, interpolation="nearest")
        axes.set_title(title)
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(False)
        share = f"{100 * chromatic_share(kernels):.0f} %"
        blobs = int((chromatic_shares(kernels) > 0.5).sum())
        axes.set_xlabel(f"chromatic: {share} of the energy\n{blobs} of {kernels.shape[-1]} filters are mostly colour")
        told.append(f"{title} {share}")
    return style.Drawing(
        figure,
        alt=f"Filters of conv1. Chromatic share of their energy: {', '.join(told)}.",
        caption="Filters of conv1 from the least to the most colourful, each scaled by itself; grey is zero. Chromatic is "
        "what is left of a filter without the mean of its three channels: "
        f"{100 * UNTRAINED_SHARE:.0f} % before training.",
    )


def filter_rows(networks: Sequence[Network]) -> Iterator[dict[str, object]]:
    """A row for each network's filters together, then one per filter: energy and chromatic share."""
    for title, kernels in networks:
        energy = np.square(kernels.astype(np.float64)).sum((0, 1, 2))
        shares = chromatic_shares(kernels)
        both = {"energy": float(energy.sum()), "chromatic_share": chromatic_share(kernels)}
        yield {"network": title, "filter": "all", **both}
        for index, (own, share) in enumerate(zip(energy, shares, strict=True)):
            yield {"network": title, "filter": index, "energy": own, "chromatic_share": share}


def _mosaic(kernels: np.ndarray, aspect: float) -> np.ndarray:
    """Filters in rows, [H, W, 3] of about `aspect` = W / H, with a white line of a tenth of a filter between."""
    shares = np.nan_to_num(chromatic_shares(kernels))
    pictures = filter_pictures(kernels)[np.argsort(shares, kind="stable")]
    enlarged = pictures.repeat(8, axis=1).repeat(8, axis=2)
    ideal = math.ceil(math.sqrt(aspect * len(pictures)))
    # Full rows look better where there are some.
    columns = next((number for number in range(ideal, 2 * ideal) if len(pictures) % number == 0), ideal)
    gap = enlarged.shape[1] // 10
    cell = enlarged.shape[1] + gap
    mosaic = np.ones((math.ceil(len(pictures) / columns) * cell - gap, columns * cell - gap, 3))
    for index, picture in enumerate(enlarged):
        y, x = cell * (index // columns), cell * (index % columns)
        mosaic[y : y + len(picture), x : x + len(picture)] = picture
    return mosaic


COLOURED = 7
"""Subjects that are told apart; the frames of others are pale."""


@dataclass(frozen=True)
class Accuracy:
    """Share of frames whose neighbours tell the class, and the share of the most frequent class."""

    value: float
    chance: float

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % (chance {100 * self.chance:.0f} %)"


@dataclass(frozen=True)
class Panel:
    """A descriptor's picture: its name, points [N, 2], and what the neighbours in the descriptor's space tell."""

    name: str
    points: np.ndarray
    au: Accuracy
    subject: Accuracy


def draw_embeddings(
    panels: Sequence[Panel], au: int, labels: np.ndarray, subject: np.ndarray, names: Sequence[str], source: str
) -> style.Drawing:
    """Draws a column per descriptor: above by AU, below by subject.

    Args:
      panels: descriptors, in order.
      au: its number.
      labels: [N] in {-1, 0, 1}.
      subject: [N] index into `names`.
      source: where the faces and fc7 come from, in a few words.
    """
    columns = max(len(panels), 2)
    figure = Figure(figsize=(10.0, 8.4))
    grid = figure.subplots(2, columns, squeeze=False)
    coloured = np.linspace(0, len(names) - 1, min(COLOURED, len(names))).astype(int)
    people = [names[int(index)] for index in coloured]
    for panel, (top, bottom) in zip(panels, grid.T, strict=False):
        top.set_title(panel.name)
        _by_au(top, panel.points, labels)
        top.set_xlabel(f"AU {au} from neighbours: {panel.au}")
        _by_subject(bottom, panel.points, subject, coloured)
        bottom.set_xlabel(f"subject from neighbours: {panel.subject}")
    for axes in grid.flat:
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_color(style.PALE)
        axes.spines[:].set_visible(True)
    for axes in grid[:, len(panels) :].flat:
        axes.set_axis_off()
    figure.legend(handles=_au_legend(au), loc="outside upper center", ncols=3)
    figure.legend(handles=_subject_legend(people), loc="outside lower center", ncols=8)
    told = "; ".join(f"{panel.name}: AU {au} {panel.au}, subject {panel.subject}" for panel in panels)
    return style.Drawing(
        figure,
        alt=f"t-SNE of {len(labels)} frames of {len(names)} people. Told by the nearest neighbours: {told}.",
        caption=f"{source} Below each picture: how often the majority of a frame's ten nearest neighbours in the "
        f"descriptor's own space is of its class. For AU {au} they are sought among other people's frames, for the subject "
        "outside of the frame's own half of its recording.",
    )


def _by_au(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    # Drawn in one order of chance, so that neither class covers the other.
    order = np.random.default_rng(0).permutation(len(points))
    for code, (colour, marker) in _AU_LOOKS.items():
        part = order[labels[order] == code]
        axes.scatter(*points[part].T, s=7, color=colour, marker=marker, linewidths=0.5, alpha=0.7, rasterized=True)


def _by_subject(axes: Axes, points: np.ndarray, subject: np.ndarray, coloured: np.ndarray) -> None:
    others = points[~np.isin(subject, coloured)]
    axes.scatter(*others.T, s=5, color=style.PALE, linewidths=0, rasterized=True)
    for series, index in zip(style.fold_series(len(coloured)), coloured, strict=True):
        own = points[subject == index]
        axes.scatter(*own.T, s=16, color=series.colour, marker=series.marker, linewidths=0, alpha=0.85, rasterized=True)


_AU_LOOKS = {ABSENT: (style.BLUE, "o"), PRESENT: (style.VERMILLION, "^"), MISSING: (style.PALE, ".")}


def _au_legend(au: int) -> list[Line2D]:
    words = {ABSENT: f"without AU {au}", PRESENT: f"with AU {au}", MISSING: "no label"}
    return [_entry(*look, words[code]) for code, look in _AU_LOOKS.items()]


def _subject_legend(people: Sequence[str]) -> list[Line2D]:
    looks = zip(style.fold_series(len(people)), people, strict=True)
    return [_entry(one.colour, one.marker, _short(name)) for one, name in looks] + [_entry(style.PALE, ".", "others")]


def _entry(colour: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=6, label=label)


def _short(name: str) -> str:
    return name if len(name) <= 10 else f"{name[:4]}…{name[-4:]}"


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
    figure.legend(handles=_divergence_legend(), loc="outside upper center", ncols=4)
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


def _divergence_legend() -> list[Line2D]:
    entries = [Line2D([], [], color=style.BLUE, marker="o", markersize=9, linestyle="none", label="ours")]
    return entries + [
        Line2D([], [], color=colour, marker=marker, markersize=7, markerfacecolor="white", linestyle="none",
               label=f"the paper, {name}")
        for name, (colour, marker) in _PAPER_LOOKS.items()
    ]  # fmt: skip


def divergence_rows(datasets: Sequence[Dataset]) -> Iterator[dict[str, object]]:
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


_COLUMNS = 3


@dataclass(frozen=True)
class Wanted:
    """The outcome of an ascent of 12 AUs.

    Attributes:
      title: of the network.
      preset: name of the ascent's settings.
      iterations: how many.
      pictures: [12, H, W, 3] float32 minus the mean, in order of the AUs.
      mean: [H, W, 3] float32 in 0..255.
      scores: [12, 12], row: picture, column: AU; in standard deviations of the AU's scores on real test faces.
      energy: [12, 12], share of the picture's (row) energy where the AU (column) moves the face.
      area: [12] share of the picture where the AU moves the face.
    """

    title: str
    preset: str
    iterations: int
    pictures: np.ndarray
    mean: np.ndarray
    scores: np.ndarray
    energy: np.ndarray
    area: np.ndarray

    @property
    def own_is_highest(self) -> np.ndarray:
        """[12] bool: no AU scores higher on the picture than the one that it was made for."""
        return self.scores.argmax(1) == np.arange(len(AUS))

    @property
    def best_of_all(self) -> np.ndarray:
        """[12] bool: the AU scores no other picture higher than its own."""
        return self.scores.argmax(0) == np.arange(len(AUS))

    @property
    def own_energy(self) -> np.ndarray:
        """[12] share of each picture's energy where its AU moves the face."""
        return np.diag(self.energy)

    @property
    def others_energy(self) -> np.ndarray:
        """[12] mean share of the other AUs' pictures' energy there."""
        return (self.energy.sum(0) - self.own_energy) / (len(AUS) - 1)


def draw_wanted(wanted: Wanted) -> style.Drawing:
    """Draws a cell per AU: the picture on the mean face, the picture alone on grey, and its numbers."""
    lines = -(-len(AUS) // _COLUMNS)
    figure = Figure(figsize=(10.0, lines * 2.15))
    # What few pixels reach may be cut off; the same for all would leave most of them grey.
    reach = np.percentile(np.abs(wanted.pictures), 99.5, axis=(1, 2, 3), keepdims=True)
    alone = np.clip(0.5 + 0.5 * wanted.pictures / np.maximum(reach, 1e-6), 0, 1)
    on_mean = np.clip(wanted.pictures + wanted.mean, 0, 255) / 255
    gap = np.ones((len(AUS), alone.shape[1], max(alone.shape[2] // 40, 1), 3))
    both = np.concatenate([on_mean, gap, alone], axis=2)
    for index, (au, axes) in enumerate(zip(AUS, figure.subplots(lines, _COLUMNS).flat, strict=True)):
        axes.imshow(both[index], interpolation="bicubic")
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(False)
        axes.set_title(f"AU {au}  {AU_NAMES[au]}", fontsize=10.5)
        first = int(wanted.scores[index].argmax())
        highest = "highest" if first == index else f"AU {AUS[first]} {wanted.scores[index, first]:.1f}"
        axes.set_xlabel(
            f"score {wanted.scores[index, index]:.1f} ({highest}); {100 * wanted.own_energy[index]:.0f} % of the energy "
            f"on {100 * wanted.area[index]:.0f} %",
            fontsize=8.5,
        )
    chance = wanted.own_energy.sum() / wanted.area.sum()
    others = wanted.own_energy.sum() / max(wanted.others_energy.sum(), 1e-9)
    return style.Drawing(
        figure,
        alt=f"What each AU of {wanted.title} wants to see. On {wanted.own_is_highest.sum()} of 12 pictures the AU that it "
        f"was made for scores highest; {wanted.best_of_all.sum()} of 12 AUs score no other picture higher than their own; "
        f"where their AU moves the face, pictures have {chance:.1f} times the energy of chance and {others:.1f} times "
        "that of other AUs' pictures.",
        caption=f"Gradient ascent, setting {wanted.preset}, {wanted.iterations} iterations: on the mean face, and alone "
        "(grey is no change, contrast stretched). Below: the AU's score in standard deviations of its scores on test faces, "
        "and which AU scores highest; the share of the picture's energy where the AU moves synthfacs' faces, and how much "
        "of the picture that is.",
    )


def score_rows(wanted: Wanted) -> Iterator[dict[str, object]]:
    """A row per picture: the AU that it was made for, and its score under every AU."""
    for index, au in enumerate(AUS):
        scores = {f"au{other}": wanted.scores[index, place] for place, other in enumerate(AUS)}
        yield {"made_for_au": au, **scores, "own_is_highest": bool(wanted.own_is_highest[index])}


def energy_rows(wanted: Wanted) -> Iterator[dict[str, object]]:
    """A row per AU: share of energy where the AU moves the face, beside chance (area) and the other AUs' pictures."""
    for index, au in enumerate(AUS):
        yield {
            "au": au,
            "energy_in_region": wanted.own_energy[index],
            "area_of_region": wanted.area[index],
            "others_energy_in_region": wanted.others_energy[index],
        }
