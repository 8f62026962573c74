"""Movement that no coder notes: what a face shows at rest, what comes and goes, and how far a person's muscles pull elsewhere.

All of it is in units of intensity, 1 (A) to 5 (E), and is added to what the face shows before it is drawn; labels do not
know of it.
Source: FACS codes change from a person's neutral face (Ekman, Friesen & Hager 2002).
"""

import numpy as np

from au_jax.synthfacs.motion import drift
from au_jax.synthfacs.presets import AUS, Preset

UPPER: tuple[int, ...] = (1, 2, 4, 6, 7)
"""AUs of the upper half of the face; the others are of the lower half."""
_SECONDS = 1.5  # in which uncoded movement comes and goes


def resting(rng: np.random.Generator, scale: float) -> np.ndarray:
    """Draws what a person's face shows of each AU at rest: [A] float64, half-normal.

    Example:
      >>> shown = resting(np.random.default_rng(0), scale=0.5)
      >>> shown.shape, bool(shown.min() >= 0), bool(resting(np.random.default_rng(0), scale=0.0).any())
      ((12,), True, False)
    """
    return scale * np.abs(rng.standard_normal(len(AUS)))


def uncoded(rng: np.random.Generator, length: int, scale: float, fps: float) -> np.ndarray:
    """Draws what comes and goes of each AU in one video: [T, A] float64, at least 0, and 0 half of the time.

    Example:
      >>> wave = uncoded(np.random.default_rng(0), 5000, scale=2.0, fps=25.0)
      >>> bool(wave.min() == 0), bool(0.4 < (wave == 0).mean() < 0.6), bool(1.1 < np.sqrt((wave**2).mean()) < 1.7)
      (True, True, True)
    """
    return scale * np.maximum(drift(rng, length, _SECONDS, fps, (len(AUS),)), 0.0)


def mixing(rng: np.random.Generator, deviation: float) -> np.ndarray:
    """Draws how a person's AUs pull at each other's places.

    Args:
      rng: the person's own chance.
      deviation: of the share that an AU gives to each other one of the same half of the face.

    Returns:
      [A, A] float64: row j is where the movement of AU j goes; ones on the diagonal, zeros between the halves.

    Example:
      >>> matrix = mixing(np.random.default_rng(0), deviation=0.2)
      >>> [float(matrix[AUS.index(12), AUS.index(other)]) for other in (12, 4)], bool(matrix[AUS.index(12), AUS.index(14)])
      ([1.0, 0.0], True)
    """
    upper = np.isin(AUS, UPPER)
    near = upper[:, None] == upper[None, :]
    shares = np.where(near, deviation * rng.standard_normal((len(AUS), len(AUS))), 0.0)
    np.fill_diagonal(shares, 1.0)
    return shares


def shown(
    person: np.random.Generator, video: np.random.Generator, intensities: np.ndarray, preset: Preset
) -> np.ndarray:
    """Adds to a video's intensities the movement that no coder notes.

    Args:
      person: chance that is the same in all videos of a person; video: that is this video's own.
      intensities: [T, A] float, 0..5.
      preset: `resting`, `uncoded`, `mixing`.

    Returns:
      [T, A], at least 0; the same array where the preset has none of it.

    Example:
      >>> from au_jax.synthfacs.presets import get_preset
      >>> rng, intensities = np.random.default_rng(0), np.zeros((3, len(AUS)))
      >>> shown(rng, rng, intensities, get_preset("demo")) is intensities
      True
    """
    if not (preset.resting or preset.uncoded or preset.mixing):
        return intensities
    at_rest, shares = resting(person, preset.resting), mixing(person, preset.mixing)
    passing = uncoded(video, len(intensities), preset.uncoded, preset.fps)
    return np.maximum(intensities @ shares + at_rest + passing, 0.0).astype(intensities.dtype)
