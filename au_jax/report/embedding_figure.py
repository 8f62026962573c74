"""The paper's Fig. 3 (IV-C): which descriptors put frames of an AU together, and which frames of a person.

t-SNE of frames by HOG, VGG-Face and fc7, coloured by AU 12 and by subject, with accuracies of nearest neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from au_jax.descriptors.vgg_face import SOURCE, read_vgg_face
from au_jax.errors import CommandError
from au_jax.explain import feature_space
from au_jax.labels import ABSENT, MISSING, PRESENT
from au_jax.report import style
from au_jax.report.face_samples import FaceSample, extract_descriptor, sample_faces
from au_jax.report.page import save_figure
from au_jax.run_dir import TrainedFold

COLOURED = 7
"""Subjects that are told apart; the frames of others are pale."""


@dataclass(frozen=True)
class Accuracy:
    """Share of frames whose class their neighbours have, and the share of the most frequent class.

    Example:
      >>> str(Accuracy(0.81, chance=0.5))
      '81 % (chance 50 %)'
    """

    value: float
    chance: float

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % (chance {100 * self.chance:.0f} %)"


@dataclass(frozen=True)
class Embedding:
    """Frames by a descriptor in the plane: its name, points [N, 2], and accuracies of neighbours in the descriptor's space.

    Example:
      >>> half = Accuracy(0.5, chance=0.5)
      >>> Embedding("HOG", np.zeros((4, 2)), au=half, subject=half).points.shape
      (4, 2)
    """

    name: str
    points: Float[np.ndarray, "N 2"]
    au: Accuracy
    subject: Accuracy


def save_fig3(
    run: Path,
    other: Path | None = None,
    vgg_face: Path | None = None,
    fold: int = 0,
    people: int = 40,
    frames: int = 200,
    out: Path | None = None,
    au: int = 0,
) -> None:
    """Writes Fig. 3: fig3.png, .svg, .csv (accuracies of neighbours, by descriptor and in the plane), fig3_points.csv.

    Args:
      run: folder of a finished run.
      other: a run on another dataset, whose CNN gives fc7: it has seen nobody of this dataset (the paper's way). None: the
        fold's own CNN describes the fold's test subjects.
      vgg_face: the file vgg_face.mat; None leaves that descriptor out.
      fold: of `run`.
      people: at most so many; 0 = all.
      frames: of each, at most.
      out: folder of the files; the run's figures/ if None.
      au: number of the AU; 0: AU 12, as in the paper, or the first where the run has no AU 12.

    Raises:
      CommandError: the run has no such AU; numbers that make no sample.
      UserError: a run or dataset that cannot be read.

    Example:
      >>> save_fig3(run_folder, people=2, frames=12)  # doctest: +ELLIPSIS
      VGG-Face is left out: get vgg_face.mat ...
      t-SNE of 24 frames of 2 people. ...
    """
    own = TrainedFold(run, fold)
    network = TrainedFold(other) if other else own
    aus = tuple(own.config.data.aus)
    au = au or (12 if 12 in aus else aus[0])
    if au not in aus:
        raise CommandError(f"--au={au}: {run} has the AUs {', '.join(map(str, aus))}; choose one of them")
    vgg = read_vgg_face(vgg_face) if vgg_face else None
    if vgg is None:
        print(f"VGG-Face is left out: get vgg_face.mat (archive vgg_face_matconvnet) from {SOURCE} and give --vgg_face")
    sample = sample_faces(own.dataset, own.dataset.subjects if other else own.test_subjects, people, frames)
    labels = sample.labels[:, aus.index(au)]
    embeddings, table, points = [], [], []
    for name in ("HOG", *(["VGG-Face"] if vgg else []), "fc7"):
        components = feature_space.reduced(extract_descriptor(name, sample, network, vgg))
        plane = feature_space.tsne(components, own.config.seed)
        by_space = {
            space: accuracies(rows, sample, labels) for space, rows in (("descriptor", components), ("picture", plane))
        }
        embeddings.append(Embedding(name, plane, by_space["descriptor"]["au"], by_space["descriptor"]["subject"]))
        for space, by_target in by_space.items():
            for target, accuracy in by_target.items():
                table.append(
                    {
                        "descriptor": name,
                        "neighbours_in": space,
                        "target": f"AU {au}" if target == "au" else target,
                        "accuracy": accuracy.value,
                        "chance": accuracy.chance,
                    }
                )
        for row, (x, y) in enumerate(plane):
            points.append(
                {
                    "descriptor": name,
                    "subject": sample.subjects[sample.subject[row]],
                    "video": sample.videos[row],
                    "frame": sample.frames[row],
                    f"au{au}": labels[row],
                    "x": x,
                    "y": y,
                }
            )
    source = f"Faces of {own.title}; fc7 of {network.title}, whose training has seen none of these people."
    drawing = draw_embeddings(embeddings, au, labels, sample.subject, sample.subjects, source)
    save_figure(out or run / "figures", "fig3", drawing, {"": table, "points": points}, run)


def accuracies(
    features: Float[np.ndarray, "N D"], sample: FaceSample, labels: Int[np.ndarray, " N"]
) -> dict[str, Accuracy]:
    """How often a frame's neighbours are of its class.

    Args:
      features: [N, D] of the sample's frames.
      sample: whose they are.
      labels: [N] of one AU, in {-1, 0, 1}.

    Returns:
      "au" (among other people), "subject" (outside of one's own half of the recording).

    Example:
      >>> fold = TrainedFold(run_folder)
      >>> sample = sample_faces(fold.dataset, fold.test_subjects, people=2, per_person=24)
      >>> accuracies(extract_descriptor("HOG", sample, fold), sample, sample.labels[:, 6])["subject"].chance
      0.5
    """
    known = labels != MISSING
    au = feature_space.neighbour_accuracy(features[known], labels[known], sample.subject[known])
    subject = feature_space.neighbour_accuracy(features, sample.subject, 2 * sample.subject + sample.half)
    return {
        "au": Accuracy(au, feature_space.chance(labels[known])),
        "subject": Accuracy(subject, feature_space.chance(sample.subject)),
    }


@style.context()
def draw_embeddings(
    embeddings: Sequence[Embedding],
    au: int,
    labels: Int[np.ndarray, " N"],
    subject: Int[np.ndarray, " N"],
    names: Sequence[str],
    source: str,
) -> style.Drawing:
    """Draws Fig. 3, a column per descriptor: above by AU, below by subject.

    Args:
      embeddings: descriptors, in order.
      au: its number.
      labels: [N] in {-1, 0, 1}.
      subject: [N] index into `names`.
      source: where the faces and fc7 come from, in a few words.

    Example:
      >>> points = np.random.default_rng(0).normal(size=(8, 2))
      >>> one = Embedding("HOG", points, Accuracy(0.75, 0.5), Accuracy(1.0, 0.5))
      >>> rows = np.arange(8) % 2
      >>> draw_embeddings([one], 12, 2 * rows - 1, rows, ["S1", "S2"], "Faces of none.").alt
      't-SNE of 8 frames of 2 people. By the nearest neighbours: HOG: AU 12 75 % (chance 50 %), subject 100 % (chance 50 %).'
    """
    columns = max(len(embeddings), 2)
    figure = Figure(figsize=(10.0, 8.4))
    grid = figure.subplots(2, columns, squeeze=False)
    coloured = np.linspace(0, len(names) - 1, min(COLOURED, len(names))).astype(int)
    people = [names[int(index)] for index in coloured]
    for one, (top, bottom) in zip(embeddings, grid.T, strict=False):
        top.set_title(one.name)
        _scatter_by_au(top, one.points, labels)
        top.set_xlabel(f"AU {au} from neighbours: {one.au}")
        _scatter_by_subject(bottom, one.points, subject, coloured)
        bottom.set_xlabel(f"subject from neighbours: {one.subject}")
    for axes in grid.flat:
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_color(style.PALE)
        axes.spines[:].set_visible(True)
    for axes in grid[:, len(embeddings) :].flat:
        axes.set_axis_off()
    words = {ABSENT: f"without AU {au}", PRESENT: f"with AU {au}", MISSING: "no label"}
    by_au = [_entry(*look, words[code]) for code, look in _AU_LOOKS.items()]
    figure.legend(handles=by_au, loc="outside upper center", ncols=3)
    series = zip(style.fold_series(len(people)), people, strict=True)
    by_subject = [_entry(one.colour, one.marker, _shortened(name)) for one, name in series]
    by_subject.append(_entry(style.PALE, ".", "others"))
    figure.legend(handles=by_subject, loc="outside lower center", ncols=8)
    accuracies = "; ".join(f"{one.name}: AU {au} {one.au}, subject {one.subject}" for one in embeddings)
    return style.Drawing(
        figure,
        alt=f"t-SNE of {len(labels)} frames of {len(names)} people. By the nearest neighbours: {accuracies}.",
        caption=f"{source} Below each picture: how often the majority of a frame's ten nearest neighbours in the "
        f"descriptor's own space is of its class. For AU {au} they are sought among other people's frames, for the subject "
        "outside of the frame's own half of its recording.",
    )


def _scatter_by_au(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    # In one random order, so that neither class covers the other.
    order = np.random.default_rng(0).permutation(len(points))
    for code, (colour, marker) in _AU_LOOKS.items():
        part = order[labels[order] == code]
        axes.scatter(*points[part].T, s=7, color=colour, marker=marker, linewidths=0.5, alpha=0.7, rasterized=True)


def _scatter_by_subject(axes: Axes, points: np.ndarray, subject: np.ndarray, coloured: np.ndarray) -> None:
    others = points[~np.isin(subject, coloured)]
    axes.scatter(*others.T, s=5, color=style.PALE, linewidths=0, rasterized=True)
    for series, index in zip(style.fold_series(len(coloured)), coloured, strict=True):
        own = points[subject == index]
        axes.scatter(*own.T, s=16, color=series.colour, marker=series.marker, linewidths=0, alpha=0.85, rasterized=True)


_AU_LOOKS = {ABSENT: (style.BLUE, "o"), PRESENT: (style.VERMILLION, "^"), MISSING: (style.PALE, ".")}


def _entry(colour: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=6, label=label)


def _shortened(name: str) -> str:
    return name if len(name) <= 10 else f"{name[:4]}…{name[-4:]}"
