"""The pictures that a CNN's AUs want to see, and whether they are what they claim to be (paper Fig. 5)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from au_jax.labels import AU_NAMES, AUS
from au_jax.report import style

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
