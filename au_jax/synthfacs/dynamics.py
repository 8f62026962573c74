"""When the AUs happen: correlated latent processes, thresholds, intensities A to E, and ramps of onset and offset.

A latent Gaussian per AU, z = person + video + time, is correlated between AUs (a Gaussian copula) and smooth in time.
Where z passes a threshold, an event of an intensity begins; the face follows with a limited speed, faster on the way
up. An AU is present while its intensity is at least A (or B), so that every event has faint frames before and after its
label.
Arrays have an AU axis A in the order of `presets.AUS`.
Source: the base rates, correlations and durations of BP4D as published.
"""

import functools

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtri

from au_jax.labels import ABSENT, MISSING, PRESENT
from au_jax.synthfacs.motion import drift
from au_jax.synthfacs.presets import AUS, Preset

LEVELS: dict[str, float] = {"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0, "E": 5.0}
"""FACS intensity letters as numbers."""

_PAIRS: dict[tuple[int, int], float] = {
    (1, 2): 0.71, (1, 4): 0.25, (2, 4): 0.10, (4, 7): 0.25, (6, 7): 0.74, (6, 10): 0.69, (6, 12): 0.74,
    (7, 10): 0.60, (7, 12): 0.55, (10, 12): 0.71, (6, 14): 0.35, (7, 14): 0.25, (10, 14): 0.35, (12, 14): 0.35,
    (15, 17): 0.55, (17, 23): 0.30, (17, 24): 0.70, (23, 24): 0.35, (14, 17): 0.20, (14, 24): 0.15, (15, 24): 0.20,
    (15, 23): 0.15, (4, 17): 0.20, (4, 15): 0.15, (1, 15): 0.15, (12, 15): -0.20, (12, 17): -0.25, (12, 24): -0.35,
    (10, 24): -0.30, (6, 24): -0.20, (2, 7): -0.15, (2, 6): -0.10, (6, 15): -0.10, (6, 17): -0.10, (4, 12): -0.46,
    (4, 6): -0.05,
}  # fmt: skip

# Seconds from nothing to full intensity and back, at full strength: brows are quick, the cheek's large muscles slow.
_ONSET = np.array([0.35, 0.35, 0.45, 0.55, 0.5, 0.55, 0.6, 0.5, 0.35, 0.35, 0.35, 0.4])
_OFFSET_RATIO = 1.6

# Fitted: the latent time constant as a multiple of the median event that it leads to, with `bp4d_like`'s ramps.
_STRETCH = np.array([0.88, 0.95, 0.88, 0.85, 0.74, 0.71, 1.08, 0.68, 0.72, 0.58, 0.72, 0.86])


def latent_correlation() -> np.ndarray:
    """Returns the [A, A] float64 correlation matrix of the latent processes (positive definite, ones on the
    diagonal).

    Example:
      >>> matrix = latent_correlation()
      >>> round(float(matrix[AUS.index(6), AUS.index(12)]), 1)  # a smile raises the cheeks
      0.7
      >>> round(float(matrix[AUS.index(12), AUS.index(24)]), 1)  # and does not go with pressed lips
      -0.3
    """
    matrix = np.eye(len(AUS))
    for (a, b), value in _PAIRS.items():
        i, j = AUS.index(a), AUS.index(b)
        matrix[i, j] = matrix[j, i] = value
    # Raising eigenvalues to a small floor keeps the Cholesky factor well-behaved and moves no entry by more than .03.
    values, vectors = np.linalg.eigh(matrix)
    matrix = (vectors * np.maximum(values, 0.02)) @ vectors.T
    scale = np.sqrt(np.diag(matrix))
    return matrix / np.outer(scale, scale)


def _smooth_noise(rng: np.random.Generator, length: int, time_constants: np.ndarray) -> np.ndarray:
    """[T, A] independent unit-variance processes: AR(1) smoothed by a second, quicker AR(1), so that crossings are
    few."""
    out = np.empty((length, len(AUS)))
    for k, tau in enumerate(time_constants):
        slow, quick = np.exp(-1.0 / tau), np.exp(-1.0 / max(0.35 * tau, 1e-3))
        warm = int(6 * tau) + 1
        noise = rng.standard_normal(length + warm)
        wave = lfilter([1.0], [1.0, -(slow + quick), slow * quick], noise)[warm:]
        # Variance of an AR(2) process with poles slow and quick.
        product = slow * quick
        variance = (1 + product) / ((1 - product) * (1 - slow**2) * (1 - quick**2))
        out[:, k] = wave / np.sqrt(variance)
    return out


def _follow(target: np.ndarray, fps: float, opening: np.ndarray) -> np.ndarray:
    """[N, T, A] intensities that follow [N, T, A] targets with the speed of muscles, from rest at the opening's
    end."""
    up = 1.0 / (_ONSET * fps)
    down = up / _OFFSET_RATIO
    value = np.zeros(target[:, 0].shape)
    smooth = np.zeros_like(value)
    out = np.empty_like(target)
    for t in range(target.shape[1]):
        goal = np.where((t < opening)[:, None], 0.0, target[:, t])
        # Speed grows with the goal, so that the duration of an onset stays about the same (Cohn & Schmidt 2004).
        rate = 1.0 + 0.8 * np.maximum(goal, value)
        step = np.clip(goal - value, -rate * down, rate * up)
        value = value + step
        smooth = smooth + 0.55 * (value - smooth)  # rounds the corners of the ramp
        out[:, t] = smooth
    return np.clip(out, 0.0, 5.0)


def _targets(latent: np.ndarray, thresholds: np.ndarray, level: float, strength: np.ndarray) -> np.ndarray:
    """Intensity that the muscle aims at: `level` where the latent passes its threshold, rising beyond it."""
    excess = latent - thresholds
    aim = level + 0.45 + 1.9 * strength * excess
    below = np.maximum(0.0, 0.5 * level * (1.0 + 3.0 * excess))  # faint, unlabelled activity just under the threshold
    return np.where(excess > 0, np.clip(aim, 0.0, 5.0), below)


def _time_constants(preset: Preset) -> np.ndarray:
    return np.asarray(preset.event_seconds) * _STRETCH * preset.fps


def _latents(
    rng: np.random.Generator, length: int, preset: Preset, person: np.ndarray, video: np.ndarray
) -> np.ndarray:
    """[T, A] correlated standard-normal latents from the correlated shifts of person and video and a wave of their
    own."""
    within = 1.0 - preset.subject_effect - preset.video_effect
    wave = correlated(_smooth_noise(rng, length, _time_constants(preset)))
    return np.sqrt(preset.subject_effect) * person + np.sqrt(preset.video_effect) * video + np.sqrt(within) * wave


def correlated(normal: np.ndarray) -> np.ndarray:
    """Gives independent [..., A] normal numbers the correlations of `latent_correlation`.

    Example:
      >>> normal = np.random.default_rng(0).standard_normal((100_000, len(AUS)))
      >>> found = np.corrcoef(correlated(normal).T)
      >>> bool(abs(found - latent_correlation()).max() < 0.02)
      True
    """
    return normal @ np.linalg.cholesky(latent_correlation()).T


def people_effects(rng: np.random.Generator, preset: Preset) -> tuple[np.ndarray, np.ndarray]:
    """Draws what is the people's own.

    The shifts of each AU are spread evenly over the normal distribution, one person in each of `preset.subjects` equal
    parts of it: a few dozen people then have the wanted base rates, as far as people decide them.

    Returns:
      [subjects, A] latent shifts (standard normal, correlated) and [subjects, A] strengths (about 1).

    Example:
      >>> from au_jax.synthfacs.presets import get_preset
      >>> shift, strength = people_effects(np.random.default_rng(0), get_preset("tiny"))
      >>> shift.shape, strength.shape
      ((6, 12), (6, 12))
      >>> (shift > 0).sum(axis=0).tolist()  # half of the six people show an AU more often than the median person
      [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]
    """
    shape = (preset.subjects, len(AUS))
    order = correlated(rng.standard_normal(shape)).argsort(axis=0).argsort(axis=0)
    shift = ndtri(np.clip((order + rng.random(shape)) / preset.subjects, 1e-4, 1 - 1e-4))
    return shift, np.exp(preset.amplitude_spread * rng.standard_normal(shape))


@functools.lru_cache(maxsize=16)
def _calibrated(
    rates: tuple[float, ...],
    event_seconds: tuple[float, ...],
    fps: float,
    level: str,
    frames: int,
    rest: tuple[float, float],
    effects: tuple[float, float, float],
    seen: tuple[float, float],
) -> np.ndarray:
    """[A] thresholds at which the share of frames coded as present is the wanted one, in spite of ramps, the opening at
    rest and the coder's error."""
    people, videos = 120, 3
    preset = Preset(
        "calibration", people, 1, frames, 8, fps=fps, level=level, rates=rates, event_seconds=event_seconds, rest_seconds=rest,
        subject_effect=effects[0], video_effect=effects[1], amplitude_spread=effects[2],
    )  # fmt: skip
    length = min(frames, 600)
    rng = np.random.Generator(np.random.Philox(key=[20170530, 1]))
    latent, strength, opening = [], [], []
    # Antithetic people (the second half is the negative of the first) take the luck of the draw out of the thresholds.
    for shift, strong in zip(*people_effects(rng, preset), strict=True):
        for _ in range(videos):
            z = _latents(rng, length, preset, shift, correlated(rng.standard_normal(len(AUS))))
            latent += [z, -z]
            strength += [strong, strong]
            opening += [_opening(rng, preset)] * 2
    latent, strength, opening = np.stack(latent), np.stack(strength)[:, None], np.asarray(opening)
    wanted = np.asarray(rates)
    thresholds = -ndtri(wanted)
    faintness, error = seen
    chance = np.random.Generator(np.random.Philox(key=[20170530, 2]))
    shape = (len(latent), len(AUS))
    errors = error * _coder_errors(chance, length, fps, shape).swapaxes(0, 1) if error else None
    for _ in range(7):
        shown = _follow(_targets(latent, thresholds, LEVELS[level], strength), fps, opening)
        if errors is not None:
            shown = misjudged(faint(shown, LEVELS[level], faintness), LEVELS[level], errors)
        got = (shown >= LEVELS[level]).mean((0, 1))
        thresholds = thresholds - (ndtri(wanted) - ndtri(np.clip(got, 1e-4, 1 - 1e-4)))
    return thresholds


def thresholds_for(preset: Preset) -> np.ndarray:
    """Returns the [A] float64 latent thresholds of a preset (found once per process, about a second).

    Example:
      >>> from au_jax.synthfacs.presets import get_preset
      >>> thresholds = thresholds_for(get_preset("tiny"))
      >>> bool(thresholds[AUS.index(24)] > thresholds[AUS.index(12)])  # AU 24 is the rarer one
      True
    """
    return _calibrated(
        preset.rates,
        preset.event_seconds,
        preset.fps,
        preset.level,
        preset.frames_per_video,
        preset.rest_seconds,
        (preset.subject_effect, preset.video_effect, preset.amplitude_spread),
        (preset.faintness, preset.coder_error),
    )


def _opening(rng: np.random.Generator, preset: Preset) -> int:
    return int(round(rng.uniform(*preset.rest_seconds) * preset.fps))


def simulate(
    rng: np.random.Generator,
    length: int,
    preset: Preset,
    person_shift: np.ndarray,
    person_strength: np.ndarray,
    video_shift: np.ndarray,
) -> np.ndarray:
    """Draws the AU intensities of one video.

    Args:
      rng: source of the video's own chance.
      length: number of frames.
      preset: rates, durations, level and effects.
      person_shift, person_strength: [A], a row of `people_effects`.
      video_shift: [A] correlated standard-normal shift of this video (what its task is about).

    Returns:
      [length, A] float32 in 0..5: 0 none, 1 to 5 the FACS intensities A to E. The first frames are at rest.

    Example:
      >>> from au_jax.synthfacs.presets import get_preset
      >>> rng, preset = np.random.default_rng(0), get_preset("tiny")
      >>> shift, strength = people_effects(rng, preset)
      >>> intensities = simulate(rng, 24, preset, shift[0], strength[0], np.zeros(len(AUS)))
      >>> intensities.shape, float(intensities[0].max())  # the first frame is at rest
      ((24, 12), 0.0)
    """
    latent = _latents(rng, length, preset, person_shift, video_shift)
    opening = _opening(rng, preset)
    target = _targets(latent, thresholds_for(preset), LEVELS[preset.level], person_strength)
    shown = _follow(target[None], preset.fps, np.array([opening]))[0]
    return faint(shown, LEVELS[preset.level], preset.faintness).astype(np.float32)


def faint(intensities: np.ndarray, level: float, power: float) -> np.ndarray:
    """Crowds the intensities above a level just over it: their share of the way from there to E, to a power.

    What lies below the level, and with it what is present, stays.

    Args:
      intensities: [..., A] float, 0..5.
      level: 1 (A) to 5 (E).
      power: 1 changes nothing.

    Example:
      >>> faint(np.array([0.5, 1.0, 3.0, 5.0]), level=1.0, power=2.0).tolist()  # half of the way becomes a quarter
      [0.5, 1.0, 2.0, 5.0]
    """
    if power == 1.0:
        return intensities
    way = np.maximum((intensities - level) / (5.0 - level), 0.0)
    return np.where(intensities > level, level + (5.0 - level) * way**power, intensities)


def coded(rng: np.random.Generator, intensities: np.ndarray, level: float, error: float, fps: float) -> np.ndarray:
    """Draws what a coder sees of one video's intensities.

    Coders differ in when an AU begins and ends, by `error` times a quarter of a second, and in how strong a faint AU is, by
    a factor whose logarithm has the standard deviation `error` up to the level, and none from two letters above it. They
    agree on a face that shows nothing, and on one that shows an AU clearly. Half of the variance of the factor stays for the
    whole video, the rest comes and goes in seconds.

    Args:
      rng: the coder's own chance.
      intensities: [T, A] float, 0..5.
      level: from which an AU counts as present, 1 (A) to 5 (E).
      error: 0 sees what is there.
      fps: frames a second.

    Returns:
      [T, A] float of the same kind, 0..5.

    Example:
      >>> intensities = np.array([[0.0] * 10 + [1.2, 4.0]] * 500)
      >>> seen = coded(np.random.default_rng(0), intensities, level=1.0, error=0.2, fps=25.0)
      >>> float(seen[:, 0].max()), bool(seen[:, 10].std() > 0.05), float(seen[:, 11].min())
      (0.0, True, 4.0)
      >>> coded(np.random.default_rng(0), intensities, level=1.0, error=0.0, fps=25.0) is intensities
      True
    """
    if error == 0.0:
        return intensities
    length, aus = intensities.shape
    factors = _coder_errors(rng, length, fps, (aus,))
    lags = _CODER_SECONDS * error * fps * drift(rng, length, 2.0, fps, (aus,))
    times = np.clip(np.arange(length)[:, None] - lags, 0, length - 1)
    frames = np.arange(length)
    late = np.stack([np.interp(times[:, k], frames, intensities[:, k]) for k in range(aus)], axis=1)
    return misjudged(late, level, error * factors).astype(intensities.dtype)


_CODER_SECONDS = 0.25


def misjudged(intensities: np.ndarray, level: float, errors: np.ndarray) -> np.ndarray:
    """Multiplies intensities by the exponential of errors, in full up to a level and not at all from two letters above it.

    Example:
      >>> misjudged(np.array([0.0, 1.0, 2.0, 3.0]), 1.0, np.log([2.0, 2.0, 4.0, 9.0])).tolist()
      [0.0, 2.0, 4.0, 3.0]
    """
    share = np.clip((level + 2.0 - intensities) / 2.0, 0.0, 1.0)
    return np.clip(intensities * np.exp(share * errors), 0.0, 5.0)


def _coder_errors(rng: np.random.Generator, length: int, fps: float, shape: tuple[int, ...]) -> np.ndarray:
    """[T, *shape] standard normal: half of the variance stays, the other half comes and goes in a second."""
    return np.sqrt(0.5) * (rng.standard_normal(shape) + drift(rng, length, 1.0, fps, shape))


def missing_frames(rng: np.random.Generator, length: int, share: float) -> np.ndarray:
    """Draws [length] bool: frames that the coder left out, in bursts of 4 to 50 frames, `share` of all frames on
    average.

    Example:
      >>> rng = np.random.default_rng(0)
      >>> bool(0.04 < missing_frames(rng, 100_000, share=0.05).mean() < 0.06)
      True
      >>> missing_frames(rng, 3, share=0.0).tolist()
      [False, False, False]
    """
    out = np.zeros(length, bool)
    if share <= 0:
        return out
    # Log-normal with median 16, clipped: mean 18.6. A share is lost where bursts overlap or run over the end.
    count = rng.poisson(length * share * 1.06 / 18.6)
    for _ in range(count):
        burst = int(np.clip(round(np.exp(rng.normal(np.log(16.0), 0.6))), 4, 50))
        start = int(rng.integers(-burst + 4, max(length - 3, 1)))
        out[max(start, 0) : start + burst] = True
    return out


def to_labels(intensities: np.ndarray, level: str, missing: np.ndarray | None = None) -> np.ndarray:
    """Turns intensities into labels.

    Args:
      intensities: [T, A] float, 0..5.
      level: "A" to "E", the intensity from which an AU counts as present.
      missing: [T] bool, frames without labels.

    Returns:
      [T, A] int8 in {-1, 0, +1}.

    Raises:
      ValueError: the level is not a FACS intensity letter.

    Example:
      >>> intensities = np.array([[0.5, 1.0], [2.0, 0.0], [3.0, 3.0]])
      >>> to_labels(intensities, "A", missing=np.array([False, False, True])).tolist()
      [[-1, 1], [1, -1], [0, 0]]
      >>> to_labels(intensities, "B").tolist()
      [[-1, -1], [1, -1], [1, 1]]
    """
    if level not in LEVELS:
        raise ValueError(f"AU intensity level {level!r} is none of {', '.join(LEVELS)}")
    labels = np.where(np.asarray(intensities) >= LEVELS[level], PRESENT, ABSENT).astype(np.int8)
    if missing is not None:
        labels[np.asarray(missing, bool)] = MISSING
    return labels
