"""The paper's Figure 4: how far apart people are by shape, Gabor, HOG and fc7.

    python -m experiments.fig4 --run=runs/demo [--other=runs/gft]

With --other, both datasets are shown, each with fc7 of the CNN that was trained on the other one (the paper's way); without,
the fold's own CNN describes the fold's test subjects. Writes fig4.png, fig4.svg, fig4.csv, fig4_order.csv (the order tested
by bootstrap over subjects) and fig4_subjects.csv (raw sums) into the run's figures/.
"""

from pathlib import Path

from absl import flags

from au_jax.command_line import optional_path, run_command
from au_jax.errors import UserError
from au_jax.explain import divergence
from au_jax.report.page import save_figure
from au_jax.report.paper_figures import ORDER, Dataset, divergence_rows, draw_divergences, order_rows, subject_rows
from au_jax.run_dir import TrainedFold
from experiments.samples import descriptors, draw_sample


def fig4(
    run: Path,
    other: Path | None = None,
    fold: int = 0,
    people: int = 100,
    frames: int = 200,
    median_of: str = "values",
    out: Path | None = None,
) -> None:
    """Compares the mean features of at most `people` people (0 = all), from at most `frames` frames of each."""
    if median_of not in divergence.MEDIANS:
        raise UserError(f"--median_of={median_of}: choose one of {', '.join(divergence.MEDIANS)}")
    own = TrainedFold(run, fold)
    if other:
        second = TrainedFold(other)
        pairs = [(own, second, own.dataset.subjects), (second, own, second.dataset.subjects)]
    else:
        pairs = [(own, own, own.test_subjects)]
    datasets = [_dataset(faces, network, subjects, people, frames, median_of) for faces, network, subjects in pairs]
    tables = {"": divergence_rows(datasets), "order": order_rows(datasets), "subjects": subject_rows(datasets)}
    save_figure(out or run / "figures", "fig4", lambda: draw_divergences(datasets), tables, run)


def _dataset(
    faces: TrainedFold, network: TrainedFold, subjects: tuple[str, ...], people: int, frames: int, median_of: str
) -> Dataset:
    sample = draw_sample(faces.dataset, subjects, people, frames)
    if len(sample.subjects) < 3:
        raise UserError(
            f"{faces.folder}: {len(sample.subjects)} people are too few to compare; give --people=3 or more"
        )
    describe = descriptors(sample, network)
    matrices, dimensions = {}, {}
    for feature in ORDER:
        means = sample.subject_means(describe[feature]())
        dimensions[feature] = means.shape[1]
        matrices[feature] = divergence.js_matrix(divergence.distributions(means, median_of))
    evaluation = faces.config.evaluation
    replicates = divergence.bootstrap(matrices, evaluation.bootstrap, faces.config.seed)
    return Dataset(faces.title, network.title, matrices, dimensions, replicates, evaluation.level, sample.subjects)


if __name__ == "__main__":
    RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    OTHER = flags.DEFINE_string("other", None, "A run on another dataset; each CNN then describes the other's faces.")
    FOLD = flags.DEFINE_integer("fold", 0, "Fold of --run.")
    PEOPLE = flags.DEFINE_integer("people", 100, "At most so many people; 0 = all.")
    FRAMES = flags.DEFINE_integer("frames", 200, "At most so many frames of each.")
    MEDIAN_OF = flags.DEFINE_string("median_of", "values", "Median of the logistic squeeze: of the values, or abs.")
    OUT = flags.DEFINE_string("out", None, "Folder of the files; the run's figures/ unless given.")
    run_command(
        lambda: fig4(
            Path(RUN.value),
            optional_path(OTHER.value),
            FOLD.value,
            PEOPLE.value,
            FRAMES.value,
            MEDIAN_OF.value,
            optional_path(OUT.value),
        )
    )
