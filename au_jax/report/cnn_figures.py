"""The paper's Figs. 2 and 5: what a trained CNN has learned, the filters of its first layer and the optimal input of each AU."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from tqdm import tqdm

from au_jax.errors import CommandError, DataError
from au_jax.evaluation.tables import read_scores
from au_jax.explain import activation
from au_jax.explain.activation import UNTRAINED_SHARE, chromatic_share, chromatic_shares, filter_pictures
from au_jax.faces.registration import TEMPLATE_SIZE
from au_jax.report import style
from au_jax.report.page import save_figure
from au_jax.run_dir import TrainedFold, add_systems
from au_jax.synthfacs.expression import DRIVERS, movement_basis


def save_fig2(run: Path, other: Path | None = None, fold: int = 0, out: Path | None = None) -> None:
    """Writes Fig. 2 (d, e): fig2.png, .svg and .csv, conv1 of a fold's CNN, beside that of another run.

    Args:
      run: folder of a finished run.
      other: a run on another dataset, shown beside it.
      fold: of `run`.
      out: folder of the files; the run's figures/ if None.

    Raises:
      UserError: no run, or a CNN that is not trained to its end.

    Example:
      >>> save_fig2(run_folder)  # doctest: +ELLIPSIS
      Filters of conv1. Chromatic share of their energy: ...
    """
    runs = [TrainedFold(run, fold), *([TrainedFold(other)] if other else [])]
    networks = [(one.title, one.cnn["params"]["conv1"]["kernel"]) for one in runs]
    save_figure(out or run / "figures", "fig2", draw_filters(networks), {"": filter_rows(networks)}, run)


Network = tuple[str, Float[np.ndarray, "K K 3 C"]]
"""A title and kernels [K, K, 3, C]."""


@style.context()
def draw_filters(networks: Sequence[Network]) -> style.Drawing:
    """Draws Fig. 2: each network's filters, from grey to colour, with the share of their energy that is chromatic below.

    Args:
      networks: one or more, side by side.

    Example:
      >>> draw_filters([("a net", np.random.default_rng(0).normal(size=(5, 5, 3, 8)).astype(np.float32))]).alt[:60]
      'Filters of conv1. Chromatic share of their energy: a net 65 '
    """
    mosaics = [_mosaic(kernels, 2.0 / len(networks)) for _, kernels in networks]
    height = max(mosaic.shape[0] / mosaic.shape[1] for mosaic in mosaics) * 9.6 / len(networks)
    figure = Figure(figsize=(10.0, height + 1.0))
    cast(ConstrainedLayoutEngine, figure.get_layout_engine()).set(wspace=0.1)
    all_shares = []
    panels = figure.subplots(1, len(networks), squeeze=False)[0]
    for axes, mosaic, (title, kernels) in zip(panels, mosaics, networks, strict=True):
        axes.imshow(mosaic, interpolation="nearest")
        axes.set_title(title)
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(False)
        share = f"{100 * chromatic_share(kernels):.0f} %"
        blobs = int((chromatic_shares(kernels) > 0.5).sum())
        axes.set_xlabel(f"chromatic: {share} of the energy\n{blobs} of {kernels.shape[-1]} filters are mostly colour")
        all_shares.append(f"{title} {share}")
    return style.Drawing(
        figure,
        alt=f"Filters of conv1. Chromatic share of their energy: {', '.join(all_shares)}.",
        caption="Filters of conv1 from the least to the most colourful, each scaled by itself; grey is zero. Chromatic is "
        "what is left of a filter without the mean of its three channels: "
        f"{100 * UNTRAINED_SHARE:.0f} % before training.",
    )


def filter_rows(networks: Sequence[Network]) -> Iterator[dict[str, object]]:
    """A row for each network's filters together, then one per filter: energy and chromatic share.

    Args:
      networks: as drawn.

    Example:
      >>> grey = np.ones((2, 2, 3, 1), np.float32)
      >>> [(row["filter"], float(row["energy"]), float(row["chromatic_share"])) for row in filter_rows([("a net", grey)])]
      [('all', 12.0, 0.0), (0, 12.0, 0.0)]
    """
    for title, kernels in networks:
        energy = np.square(kernels.astype(np.float64)).sum((0, 1, 2))
        shares = chromatic_shares(kernels)
        both = {"energy": float(energy.sum()), "chromatic_share": chromatic_share(kernels)}
        yield {"network": title, "filter": "all", **both}
        for index, (own, share) in enumerate(zip(energy, shares, strict=True)):
            yield {"network": title, "filter": index, "energy": own, "chromatic_share": share}


def _mosaic(kernels: Float[np.ndarray, "K K 3 C"], aspect: float) -> Float[np.ndarray, "H W 3"]:
    """Filters in rows, [H, W, 3] of about `aspect` = W / H, with a white line of a tenth of a filter between."""
    shares = np.nan_to_num(chromatic_shares(kernels))
    images = filter_pictures(kernels)[np.argsort(shares, kind="stable")]
    enlarged = images.repeat(8, axis=1).repeat(8, axis=2)
    ideal = math.ceil(math.sqrt(aspect * len(images)))
    # Full rows look better where there are some.
    columns = next((number for number in range(ideal, 2 * ideal) if len(images) % number == 0), ideal)
    gap = enlarged.shape[1] // 10
    cell = enlarged.shape[1] + gap
    mosaic = np.ones((math.ceil(len(images) / columns) * cell - gap, columns * cell - gap, 3))
    for index, image in enumerate(enlarged):
        y, x = cell * (index // columns), cell * (index % columns)
        mosaic[y : y + len(image), x : x + len(image)] = image
    return mosaic


def save_fig5(
    run: Path, preset: str = "paper", iterations: int = 0, fold: int = 0, seed: int = 0, out: Path | None = None
) -> None:
    """Writes Fig. 5 (IV-E): fig5.png, .svg, .csv (score of every image under every AU), fig5_energy.csv (where its energy lies).

    Args:
      run: folder of a finished run.
      preset: of `activation.ASCENT_PRESETS`: the paper's, or one of Yosinski's four.
      iterations: of the ascent; 0 = the preset's.
      fold: whose CNN it is.
      seed: of the random start.
      out: folder of the files; the run's figures/ if None.

    Raises:
      CommandError: an unknown preset, a negative number of iterations.
      UserError: no run, or a CNN that is not trained and scored.

    Example:
      >>> save_fig5(run_folder, preset="yosinski1", iterations=4)  # doctest: +ELLIPSIS
      The optimal input of each AU of ...
    """
    trained = TrainedFold(run, fold)
    aus, settings, window = tuple(trained.config.data.aus), ascent_settings(preset, iterations), trained.window
    mean = trained.cnn["mean"][window, window]
    network = score_function(trained)
    climb = begin = activation.random_start(jax.random.key(seed), len(aus), *mean.shape[:2])
    with tqdm(total=settings.iterations, desc=f"fig5 {preset}", unit="step", mininterval=1.0) as progress:
        for climb in activation.ascend(network, mean, settings, begin):
            # Dispatched ahead of time, steps would all be counted before the first is done.
            climb.score.block_until_ready()
            progress.update(min(activation.STEPS_PER_CALL, settings.iterations - progress.n))
    images = np.asarray(climb.best)
    regions, known = moved_regions(trained.config.data.image_size, window, aus)
    inputs = OptimalInputs(
        title=trained.title,
        preset=preset,
        iterations=settings.iterations,
        aus=aus,
        images=images,
        mean=mean,
        scores=standardised(trained, np.asarray(network(climb.best))),
        energy=np.where(known, activation.energy_shares(images, regions), np.nan),
        area=np.where(known, regions.mean((1, 2)), np.nan),
    )
    tables = {"": optimal_score_rows(inputs), "energy": optimal_energy_rows(inputs)}
    save_figure(out or run / "figures", "fig5", draw_optimal_inputs(inputs), tables, run)


def ascent_settings(preset: str, iterations: int) -> activation.AscentSettings:
    """A preset, with another number of iterations if that is not 0.

    Args:
      preset: of `activation.ASCENT_PRESETS`.
      iterations: 0 = the preset's.

    Raises:
      CommandError: an unknown preset, a negative number.

    Example:
      >>> ascent_settings("paper", 7).iterations, ascent_settings("paper", 0).iterations
      (7, 10000)
    """
    if preset not in activation.ASCENT_PRESETS:
        raise CommandError(f"--preset={preset}: choose one of {', '.join(activation.ASCENT_PRESETS)}")
    if iterations < 0:
        raise CommandError(f"--iterations={iterations}: give 1 or more, or 0 for the preset's own number")
    settings = activation.ASCENT_PRESETS[preset]
    return dataclasses.replace(settings, iterations=iterations or settings.iterations)


def score_function(trained: TrainedFold) -> activation.Score:
    """The fold's CNN as a function of images minus the mean, without dropout: all logits.

    Args:
      trained: the fold.

    Example:
      >>> score_function(TrainedFold(run_folder))(jnp.zeros((1, 36, 36, 3))).shape
      (1, 12)
    """
    model, params = trained.model, jax.device_put(trained.cnn["params"])

    def score(images: jax.Array) -> jax.Array:
        return jnp.asarray(model.apply({"params": params}, images, train=False)[0])

    return score


def standardised(trained: TrainedFold, logits: Float[np.ndarray, "N A"]) -> Float[np.ndarray, "N A"]:
    """Logits minus the mean, in standard deviations, of the AU's scores of the fold's test faces.

    AUs have logits of different height and spread; only so can they be compared on one image.

    Args:
      trained: the fold.
      logits: [N, A] of its CNN.

    Raises:
      DataError: the CNN has not scored its test subjects.

    Example:
      >>> standardised(TrainedFold(run_folder), np.zeros((1, 12), np.float32)).shape
      (1, 12)
    """
    path = trained.files.scores("anet")
    if not path.exists():
        raise DataError(f"{path} is missing; {add_systems(trained.folder, trained.config, ('anet',))}")
    thresholds, scores = trained.thresholds, read_scores(path).joined()[1]
    return (logits - thresholds - scores.mean(0)) / scores.std(0)


def moved_regions(
    size: int, window: slice, aus: Sequence[int]
) -> tuple[Bool[np.ndarray, "A C C"], Bool[np.ndarray, " A"]]:
    """Where each AU moves a registered face, from synthfacs' movement fields.

    Args:
      size: of the face, in pixels.
      window: rows and columns of the crop, C of them.
      aus: [A] AU numbers.

    Returns:
      [A, C, C] bool of the crop, and [A] bool: False for an AU that synthfacs does not move.

    Example:
      >>> regions, known = moved_regions(40, slice(2, 38), (12, 28))
      >>> regions.shape, known.tolist()
      ((2, 36, 36), [True, False])
    """
    pixels = np.arange(size)[window] * (TEMPLATE_SIZE / size)
    x, y = np.meshgrid(pixels, pixels)
    # Both sides of the face together.
    movement = movement_basis(np.stack([x.ravel(), y.ravel()], 1)).sum(1)
    known = np.array([f"AU{au}" in DRIVERS for au in aus])
    regions = np.zeros((len(aus), *x.shape), bool)
    for index in np.flatnonzero(known):
        field = movement[DRIVERS.index(f"AU{aus[int(index)]}")].reshape(*x.shape, 2)
        regions[index] = activation.moved_region(field)
    return regions, known


@dataclass(frozen=True)
class OptimalInputs:
    """The outcome of an ascent of A AUs: an input image for each, at which its unit of the CNN is highest.

    Attributes:
      title: of the network.
      preset: name of the ascent's settings.
      iterations: how many.
      aus: [A] their numbers.
      images: [A, H, W, 3] float32 minus the mean, in order of the AUs.
      mean: [H, W, 3] float32 in 0..255.
      scores: [A, A], row: image, column: AU; in standard deviations of the AU's scores on test faces.
      energy: [A, A], share of the image's (row) energy where the AU (column) moves the face; NaN where that is not known.
      area: [A] share of the image where the AU moves the face; NaN likewise.

    Example:
      >>> images = np.zeros((2, 8, 8, 3), np.float32)
      >>> inputs = OptimalInputs("a net", "paper", 9, (6, 12), images, images[0], np.eye(2), np.eye(2), np.full(2, 0.1))
      >>> inputs.own_is_highest.tolist(), inputs.others_energy.tolist()
      ([True, True], [0.0, 0.0])
    """

    title: str
    preset: str
    iterations: int
    aus: tuple[int, ...]
    images: Float[np.ndarray, "A H W 3"]
    mean: Float[np.ndarray, "H W 3"]
    scores: Float[np.ndarray, "A A"]
    energy: Float[np.ndarray, "A A"]
    area: Float[np.ndarray, " A"]

    @property
    def own_is_highest(self) -> Bool[np.ndarray, " A"]:
        """[A] bool: no AU scores higher on the image than the one that it was made for."""
        return self.scores.argmax(1) == np.arange(len(self.aus))

    @property
    def best_of_all(self) -> Bool[np.ndarray, " A"]:
        """[A] bool: the AU scores no other image higher than its own."""
        return self.scores.argmax(0) == np.arange(len(self.aus))

    @property
    def own_energy(self) -> Float[np.ndarray, " A"]:
        """[A] share of each image's energy where its AU moves the face."""
        return np.diag(self.energy)

    @property
    def others_energy(self) -> Float[np.ndarray, " A"]:
        """[A] mean share of the other AUs' images' energy there."""
        others = len(self.aus) - 1
        return (self.energy.sum(0) - self.own_energy) / others if others else np.full(1, np.nan)


@style.context()
def draw_optimal_inputs(inputs: OptimalInputs) -> style.Drawing:
    """Draws Fig. 5, a cell per AU: the image on the mean face, the image alone on grey, and its numbers.

    Args:
      inputs: of the ascent.

    Example:
      >>> images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
      >>> mean = np.full((8, 8, 3), 120, np.float32)
      >>> inputs = OptimalInputs("a net", "paper", 9, (6, 12), images, mean, np.eye(2), np.eye(2), np.full(2, 0.1))
      >>> draw_optimal_inputs(inputs).alt[:58]
      'The optimal input of each AU of a net. On 2 of 2 images th'
    """
    figure, panels = style.au_panels(inputs.aus, height=2.15, margin=0.0, columns=3)
    # What few pixels reach may be cut off; the same for all would leave most of them grey.
    reach = np.percentile(np.abs(inputs.images), 99.5, axis=(1, 2, 3), keepdims=True)
    alone = np.clip(0.5 + 0.5 * inputs.images / np.maximum(reach, 1e-6), 0, 1)
    on_mean = np.clip(inputs.images + inputs.mean, 0, 255) / 255
    gap = np.ones((len(inputs.aus), alone.shape[1], max(alone.shape[2] // 40, 1), 3))
    both = np.concatenate([on_mean, gap, alone], axis=2)
    for index, axes in enumerate(panels):
        axes.imshow(both[index], interpolation="bicubic")
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(False)
        axes.set_title(style.au_title(inputs.aus[int(index)]), fontsize=10.5)
        first = int(inputs.scores[index].argmax())
        highest = "highest" if first == index else f"AU {inputs.aus[first]} {inputs.scores[index, first]:.1f}"
        numbers = f"score {inputs.scores[index, index]:.1f} ({highest})"
        if np.isfinite(inputs.area[index]):
            numbers += f"; {100 * inputs.own_energy[index]:.0f} % of the energy on {100 * inputs.area[index]:.0f} %"
        axes.set_xlabel(numbers, fontsize=8.5)
    known, count = np.isfinite(inputs.area), len(inputs.aus)
    energies = ""
    if known.any():
        chance = inputs.own_energy[known].sum() / inputs.area[known].sum()
        energies = f"; where their AU moves the face, images have {chance:.1f} times the energy of chance"
        if count > 1:
            others = inputs.own_energy[known].sum() / max(inputs.others_energy[known].sum(), 1e-9)
            energies += f" and {others:.1f} times that of other AUs' images"
    return style.Drawing(
        figure,
        alt=f"The optimal input of each AU of {inputs.title}. On {inputs.own_is_highest.sum()} of {count} images the AU that "
        f"it was made for scores highest; {inputs.best_of_all.sum()} of {count} AUs score no other image higher than their "
        f"own{energies}.",
        caption=f"Gradient ascent, setting {inputs.preset}, {inputs.iterations} iterations: on the mean face, and alone "
        "(grey is no change, contrast stretched). Below: the AU's score in standard deviations of its scores on test faces, "
        "and which AU scores highest; the share of the image's energy where the AU moves synthfacs' faces, and how much "
        "of the image that is.",
    )


def optimal_score_rows(inputs: OptimalInputs) -> Iterator[dict[str, object]]:
    """A row per image: the AU that it was made for, and its score under every AU.

    Args:
      inputs: of the ascent.

    Example:
      >>> images = np.zeros((1, 8, 8, 3), np.float32)
      >>> inputs = OptimalInputs("n", "paper", 9, (12,), images, images[0], np.ones((1, 1)), np.ones((1, 1)), np.ones(1))
      >>> next(optimal_score_rows(inputs))["made_for_au"]
      12
    """
    for index, au in enumerate(inputs.aus):
        scores = {f"au{other}": inputs.scores[index, place] for place, other in enumerate(inputs.aus)}
        yield {"made_for_au": au, **scores, "own_is_highest": bool(inputs.own_is_highest[index])}


def optimal_energy_rows(inputs: OptimalInputs) -> Iterator[dict[str, object]]:
    """A row per AU: share of energy where the AU moves the face, beside chance (area) and the other AUs' images.

    Args:
      inputs: of the ascent.

    Example:
      >>> images = np.zeros((1, 8, 8, 3), np.float32)
      >>> inputs = OptimalInputs("n", "paper", 9, (12,), images, images[0], np.ones((1, 1)), np.ones((1, 1)), np.ones(1))
      >>> list(next(optimal_energy_rows(inputs)))
      ['au', 'energy_in_region', 'area_of_region', 'others_energy_in_region']
    """
    for index, au in enumerate(inputs.aus):
        yield {
            "au": au,
            "energy_in_region": inputs.own_energy[index],
            "area_of_region": inputs.area[index],
            "others_energy_in_region": inputs.others_energy[index],
        }
