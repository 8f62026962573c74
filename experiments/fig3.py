"""The paper's Figure 3: t-SNE of frames by HOG, VGG-Face and fc7, coloured by AU 12 and by subject.

    python -m experiments.fig3 --run=runs/demo [--vgg_face=vgg_face.mat] [--other=runs/gft]

With --other, fc7 is that of the other run's CNN, which has seen nobody of this dataset (the paper's way); without, it is that
of the fold's own CNN on the fold's test subjects. Writes fig3.png, fig3.svg, fig3.csv (accuracies of neighbours, in the
descriptor's space and in the picture) and fig3_points.csv into the run's figures/.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags

from au_jax.command_line import optional_path, run_command
from au_jax.descriptors.vgg_face import SOURCE, read_vgg_face
from au_jax.explain import embedding
from au_jax.labels import AUS
from au_jax.report.page import save_figure
from au_jax.report.paper_figures import Accuracy, Panel, draw_embeddings
from au_jax.run_dir import TrainedFold
from experiments.samples import Sample, descriptors, draw_sample

AU = 12
SHOWN = ("HOG", "VGG-Face", "fc7")


def fig3(
    run: Path,
    other: Path | None = None,
    vgg_face: Path | None = None,
    fold: int = 0,
    people: int = 40,
    frames: int = 200,
    out: Path | None = None,
) -> None:
    """Embeds at most `frames` frames of at most `people` people (0 = all) by every descriptor."""
    own = TrainedFold(run, fold)
    network = TrainedFold(other) if other else own
    vgg = read_vgg_face(vgg_face) if vgg_face else None
    if vgg is None:
        print(f"VGG-Face is left out: get vgg_face.mat (archive vgg_face_matconvnet) from {SOURCE} and give --vgg_face")
    sample = draw_sample(own.dataset, own.dataset.subjects if other else own.test_subjects, people, frames)
    seed, panels, table, points = own.config.seed, [], [], []
    for name, describe in descriptors(sample, network, vgg).items():
        if name in SHOWN:
            components = embedding.reduced(describe())
            picture = embedding.tsne(components, seed)
            found = {"descriptor": accuracies(components, sample), "picture": accuracies(picture, sample)}
            panels.append(Panel(name, picture, found["descriptor"]["au"], found["descriptor"]["subject"]))
            table += _table(name, found)
            points += _points(name, picture, sample)
    source = f"Faces of {own.title}; fc7 of {network.title}, whose training has seen none of these people."
    save_figure(
        out or run / "figures",
        "fig3",
        lambda: draw_embeddings(panels, AU, _labels(sample), sample.subject, sample.subjects, source),
        {"": table, "points": points},
        run,
    )


def _labels(sample: Sample) -> np.ndarray:
    return sample.labels[:, AUS.index(AU)]


def accuracies(features: np.ndarray, sample: Sample) -> dict[str, Accuracy]:
    """How well neighbours tell AU 12 ("au", among other people) and the subject (outside of one's own half)."""
    labels = _labels(sample)
    known = labels != 0
    au = embedding.neighbour_accuracy(features[known], labels[known], sample.subject[known])
    subject = embedding.neighbour_accuracy(features, sample.subject, 2 * sample.subject + sample.half)
    return {
        "au": Accuracy(au, embedding.chance(labels[known])),
        "subject": Accuracy(subject, embedding.chance(sample.subject)),
    }


def _table(name: str, found: dict[str, dict[str, Accuracy]]) -> Iterator[dict[str, object]]:
    for space, by_target in found.items():
        for target, accuracy in by_target.items():
            yield {
                "descriptor": name,
                "neighbours_in": space,
                "target": f"AU {AU}" if target == "au" else target,
                "accuracy": accuracy.value,
                "chance": accuracy.chance,
            }


def _points(name: str, picture: np.ndarray, sample: Sample) -> Iterator[dict[str, object]]:
    for row, (x, y) in enumerate(picture):
        yield {
            "descriptor": name,
            "subject": sample.subjects[sample.subject[row]],
            "video": sample.videos[row],
            "frame": sample.frames[row],
            f"au{AU}": _labels(sample)[row],
            "x": x,
            "y": y,
        }


if __name__ == "__main__":
    RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    OTHER = flags.DEFINE_string("other", None, "A run on another dataset, whose CNN gives fc7.")
    VGG_FACE = flags.DEFINE_string("vgg_face", None, f"The file vgg_face.mat, from {SOURCE}.")
    FOLD = flags.DEFINE_integer("fold", 0, "Fold of --run.")
    PEOPLE = flags.DEFINE_integer("people", 40, "At most so many people; 0 = all.")
    FRAMES = flags.DEFINE_integer("frames", 200, "At most so many frames of each.")
    OUT = flags.DEFINE_string("out", None, "Folder of the files; the run's figures/ unless given.")
    run_command(
        lambda: fig3(
            Path(RUN.value),
            optional_path(OTHER.value),
            optional_path(VGG_FACE.value),
            FOLD.value,
            PEOPLE.value,
            FRAMES.value,
            optional_path(OUT.value),
        )
    )
