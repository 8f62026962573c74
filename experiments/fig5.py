"""The paper's Figure 5: the faces that each AU's unit of a trained CNN wants to see.

    python -m experiments.fig5 --run=runs/demo [--preset=yosinski1] [--iterations=1000]

Presets: paper, and Yosinski's four (yosinski1 to yosinski4). Writes fig5.png, fig5.svg, fig5.csv (score of every picture under
every AU) and fig5_energy.csv (how much of it lies where the AU moves a face) into the run's figures/.
"""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from tqdm import tqdm

from au_jax.command_line import optional_path, run_command
from au_jax.errors import UserError
from au_jax.evaluation.tables import read_scores
from au_jax.explain import activation
from au_jax.faces.registration import TEMPLATE_SIZE
from au_jax.labels import AUS, NUM_AUS
from au_jax.report.page import save_figure
from au_jax.report.paper_figures import Wanted, draw_wanted, energy_rows, score_rows
from au_jax.report.score_figures import joined
from au_jax.run_dir import TrainedFold
from au_jax.synthfacs.expression import DRIVERS, movement_basis


def fig5(
    run: Path, preset: str = "paper", iterations: int = 0, fold: int = 0, seed: int = 0, out: Path | None = None
) -> None:
    """Climbs for all AUs at once; `iterations` 0 = the preset's."""
    trained = TrainedFold(run, fold)
    settings = ascent_settings(preset, iterations)
    window = trained.window
    mean = trained.cnn["mean"][window, window]
    network = make_score(trained)
    climb = begin = activation.start(jax.random.key(seed), NUM_AUS, *mean.shape[:2])
    with tqdm(total=settings.iterations, desc=f"fig5 {preset}", unit="step", mininterval=1.0) as progress:
        for climb in activation.ascend(network, mean, settings, begin):
            # Handed over ahead of time, steps would all be counted before the first is done.
            climb.score.block_until_ready()
            progress.update(min(activation.STEPS, settings.iterations - progress.n))
    pictures = np.asarray(climb.best)
    regions = moved_regions(trained.config.data.image_size, window)
    wanted = Wanted(
        title=trained.title,
        preset=preset,
        iterations=settings.iterations,
        pictures=pictures,
        mean=mean,
        scores=standardised(trained, np.asarray(network(climb.best))),
        energy=activation.energy_shares(pictures, regions),
        area=regions.mean((1, 2)),
    )
    tables = {"": score_rows(wanted), "energy": energy_rows(wanted)}
    save_figure(out or run / "figures", "fig5", lambda: draw_wanted(wanted), tables, run)


def ascent_settings(preset: str, iterations: int) -> activation.Settings:
    """A preset, with another number of iterations if that is not 0."""
    if preset not in activation.PRESETS:
        raise UserError(f"--preset={preset}: choose one of {', '.join(activation.PRESETS)}")
    if iterations < 0:
        raise UserError(f"--iterations={iterations}: give 1 or more, or 0 for the preset's own number")
    settings = activation.PRESETS[preset]
    return dataclasses.replace(settings, iterations=iterations or settings.iterations)


def make_score(trained: TrainedFold) -> activation.Score:
    """The fold's CNN as a function of pictures minus the mean, without dropout: all logits."""
    model, params = trained.model, jax.device_put(trained.cnn["params"])

    def score(pictures: jax.Array) -> jax.Array:
        return jnp.asarray(model.apply({"params": params}, pictures, train=False)[0])

    return score


def standardised(trained: TrainedFold, logits: np.ndarray) -> np.ndarray:
    """Logits [N, 12] minus the mean, in standard deviations, of the AU's scores of the fold's test faces.

    AUs have logits of different height and spread; only so can they be compared on one picture.
    """
    path = trained.files.scores("anet")
    if not path.exists():
        raise UserError(f"{path} is missing; run au_jax.main with the system anet on this workdir")
    thresholds, scores = trained.thresholds, joined(read_scores(path))[1]
    return (logits - thresholds - scores.mean(0)) / scores.std(0)


def moved_regions(size: int, window: slice) -> np.ndarray:
    """Where each AU moves a registered face of `size` px, [12, c, c] bool of the crop: from synthfacs' movement fields."""
    pixels = np.arange(size)[window] * (TEMPLATE_SIZE / size)
    x, y = np.meshgrid(pixels, pixels)
    # Both sides of the face together.
    movement = movement_basis(np.stack([x.ravel(), y.ravel()], 1)).sum(1)
    fields = [movement[DRIVERS.index(f"AU{au}")].reshape(*x.shape, 2) for au in AUS]
    return np.stack([activation.moved_region(field) for field in fields])


if __name__ == "__main__":
    RUN = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    PRESET = flags.DEFINE_string("preset", "paper", f"Settings of the ascent: {', '.join(activation.PRESETS)}.")
    ITERATIONS = flags.DEFINE_integer("iterations", 0, "Another number of iterations than the preset's; 0 = its own.")
    FOLD = flags.DEFINE_integer("fold", 0, "Fold whose CNN it is.")
    SEED = flags.DEFINE_integer("seed", 0, "Seed of the random start.")
    OUT = flags.DEFINE_string("out", None, "Folder of the files; the run's figures/ unless given.")
    run_command(
        lambda: fig5(Path(RUN.value), PRESET.value, ITERATIONS.value, FOLD.value, SEED.value, optional_path(OUT.value))
    )
