"""What a CNN's units look for: the faces that its AUs respond to most, and the filters of its first layer (Figs. 5 and 2).

The faces come from gradient ascent on the image (paper section IV-E, Eq. 6). Of the filters of conv1, the share is measured
that is colour (section III-A, Fig. 2d and 2e: "less color blob detectors").

The paper names the regularisers, "a sequential operation of L2 decay, clipping pixels with small norm, and Gaussian blur",
after Yosinski et al. (2015), and gives no constants. One step, in the order of their published code: clip image plus mean to
0..255; step along the gradient of the AU's logit; decay; blur every few steps; zero the pixels of small norm, or those that
contribute little. All AUs climb at once: a batch of images in one compiled loop.
"""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Float64, Key

START_DEVIATION = 10.0
"""Standard deviation of the random start, in grey levels of 0..255."""

STEPS_PER_CALL = 4
"""Iterations in the compiled program."""

UNTRAINED_SHARE = 2.0 / 3.0
"""Chromatic share of filters whose three channels are drawn independently, as before training."""

Score = Callable[[jax.Array], jax.Array]
"""A network: images minus the mean, [A, H, W, 3] float32 -> scores of all AUs [A, A], each row from its image."""


@dataclass(frozen=True)
class AscentSettings:
    """How an image climbs.

    Attributes:
      decay: share of the image that is lost at every step (L2 decay).
      blur: standard deviation of the Gaussian blur in pixels; 0 = none.
      blur_every: steps from one blur to the next, beginning with the first step.
      norm_percentile: pixels whose norm over the channels is below this percentile are set to zero; 0 = none.
      contribution_percentile: likewise for the magnitude of gradient times pixel, summed over the channels; 0 = none.
      rate: a constant step size, or None: such that the score should rise by `progress`, and at most `largest_rate`.
      iterations: forward passes, the first one included.

    Example:
      >>> AscentSettings(decay=0.3).blur_every, ASCENT_PRESETS["paper"].iterations
      (4, 10000)
    """

    decay: float = 0.0
    blur: float = 0.0
    blur_every: int = 4
    norm_percentile: float = 0.0
    contribution_percentile: float = 0.0
    rate: float | None = None
    progress: float = 2.0
    largest_rate: float = 100.0
    iterations: int = 1000


ASCENT_PRESETS: dict[str, AscentSettings] = {
    # The paper's three regularisers and its 10,000 iterations; the constants are ours, between Yosinski's presets 1 and 3.
    "paper": AscentSettings(
        decay=1e-4, blur=1.0, norm_percentile=20.0, progress=0.5, largest_rate=1e8, iterations=10_000
    ),
    "yosinski1": AscentSettings(blur=0.5, norm_percentile=50.0, iterations=500),
    "yosinski2": AscentSettings(decay=0.3, norm_percentile=20.0, rate=100.0, iterations=750),
    "yosinski3": AscentSettings(decay=1e-4, blur=1.0, rate=100.0, iterations=1000),
    "yosinski4": AscentSettings(blur=0.5, contribution_percentile=90.0, largest_rate=1e8, iterations=1000),
}
"""The paper's setting and the four of Yosinski et al. (2015, Table 1)."""


class Climb(NamedTuple):
    """Images on their way: of each AU the present one, the best one so far, and their scores.

    Attributes:
      picture: [A, H, W, 3] float32, minus the mean.
      score: [A] float32 of the last image that the network has seen; -inf before.
      best: [A, H, W, 3], the image of the highest score, clipped as the network saw it.
      best_score: [A].

    Example:
      >>> random_start(jax.random.key(0), units=2, height=8, width=6).score.tolist()
      [-inf, -inf]
    """

    picture: Float32[Array, "A H W 3"]
    score: Float32[Array, " A"]
    best: Float32[Array, "A H W 3"]
    best_score: Float32[Array, " A"]


def random_start(key: Key[Array, ""], units: int, height: int, width: int) -> Climb:
    """Random zero-centred images, one for each of `units` AUs.

    Args:
      key: of the random numbers.
      units: number of AUs.
      height, width: of the images, in pixels.

    Example:
      >>> random_start(jax.random.key(0), units=2, height=8, width=6).picture.shape
      (2, 8, 6, 3)
    """
    picture = START_DEVIATION * jax.random.normal(key, (units, height, width, 3), jnp.float32)
    lowest = jnp.full(units, -jnp.inf, jnp.float32)
    return Climb(picture, lowest, picture, lowest)


def make_ascent(
    score: Score, mean: Float32[np.ndarray, "H W 3"], settings: AscentSettings
) -> Callable[[Climb, int], Climb]:
    """Compiles a few iterations of the ascent of all units.

    Args:
      score: the network.
      mean: [H, W, 3] float32, what was subtracted from images of 0..255.
      settings: such as one of `ASCENT_PRESETS`.

    Returns:
      (climb, first) -> the climb after iterations first..first + STEPS - 1; AU number k climbs by image number k.
      The last of `settings.iterations` only scores the image, as in the published code, and so do any after it.

    Example:
      >>> def score(images):  # one AU, which responds to bright images
      ...     return images.mean((1, 2, 3))[:, None]
      >>> step = make_ascent(score, np.zeros((4, 4, 3), np.float32), AscentSettings(iterations=12))
      >>> step(random_start(jax.random.key(0), 1, 4, 4), 0).best.shape
      (1, 4, 4, 3)
    """
    low, high = -jnp.asarray(mean, jnp.float32), 255.0 - jnp.asarray(mean, jnp.float32)

    def scores_of_own_units(picture: jax.Array) -> tuple[jax.Array, jax.Array]:
        # An image's score depends on no other image: the gradient of the sum holds the gradients of all.
        own = jnp.diagonal(score(picture)).astype(jnp.float32)
        return own.sum(), own

    def iterate(climb: Climb, iteration: jax.Array) -> tuple[Climb, None]:
        picture = jnp.clip(climb.picture, low[None], high[None])
        gradient, own = jax.grad(scores_of_own_units, has_aux=True)(picture)
        better = own > climb.best_score
        best = jnp.where(better[:, None, None, None], picture, climb.best)
        stepped = jax.vmap(functools.partial(_step, settings))(picture, gradient)
        if settings.blur > 0:
            due = iteration % settings.blur_every == 0
            stepped = jax.lax.cond(due, lambda x: gaussian_blur(x, settings.blur), lambda x: x, stepped)
        stepped = jax.vmap(functools.partial(_clear, settings))(stepped, gradient)
        after = jnp.where(iteration < settings.iterations - 1, stepped, picture)
        return Climb(after, own, best, jnp.maximum(own, climb.best_score)), None

    # XLA's CPU backend makes gradients of convolutions ten times slower within a loop than outside.
    unroll = jax.default_backend() == "cpu"
    return jax.jit(
        lambda climb, first: jax.lax.scan(
            iterate, climb, first + jnp.arange(STEPS_PER_CALL), unroll=STEPS_PER_CALL if unroll else 1
        )[0]
    )


def ascend(score: Score, mean: Float32[np.ndarray, "H W 3"], settings: AscentSettings, climb: Climb) -> Iterator[Climb]:
    """Climbs to the end of `settings.iterations`; yields the climb after every few iterations, the end as the last.

    Example:
      >>> def score(images):  # one AU, which responds to bright images
      ...     return images.mean((1, 2, 3))[:, None]
      >>> begun = random_start(jax.random.key(0), 1, 4, 4)
      >>> *_, end = ascend(score, np.zeros((4, 4, 3), np.float32), AscentSettings(iterations=12), begun)
      >>> bool(end.best_score[0] > score(begun.picture)[0, 0])
      True
    """
    step = make_ascent(score, mean, settings)
    for first in range(0, settings.iterations, STEPS_PER_CALL):
        climb = step(climb, first)
        yield climb


def _step(settings: AscentSettings, picture: jax.Array, gradient: jax.Array) -> jax.Array:
    """One image [H, W, 3] a step along its gradient, and decayed."""
    if settings.rate is None:
        # A gradient of zero leads nowhere whatever the rate.
        steepness = jnp.maximum(jnp.sum(jnp.square(gradient)), jnp.finfo(jnp.float32).tiny)
        rate = jnp.minimum(settings.largest_rate, settings.progress / steepness)
    else:
        rate = settings.rate
    return (picture + rate * gradient) * (1.0 - settings.decay)


def _clear(settings: AscentSettings, picture: jax.Array, gradient: jax.Array) -> jax.Array:
    """One image [H, W, 3] without the pixels that are small or contribute little."""
    if settings.norm_percentile > 0:
        picture = clear_below_percentile(picture, jnp.linalg.norm(picture, axis=-1), settings.norm_percentile)
    if settings.contribution_percentile > 0:
        contribution = jnp.abs(jnp.sum(gradient * picture, axis=-1))
        picture = clear_below_percentile(picture, contribution, settings.contribution_percentile)
    return picture


def clear_below_percentile(
    picture: Float32[Array, "H W 3"], size: Float32[Array, "H W"], percent: float
) -> Float32[Array, "H W 3"]:
    """Sets the pixels of [H, W, 3] to zero whose size [H, W] (not negative) is below a percentile of all sizes.

    Example:
      >>> clear_below_percentile(jnp.ones((1, 3, 3)), jnp.array([[1.0, 2.0, 3.0]]), 50.0)[0, :, 0].tolist()
      [0.0, 1.0, 1.0]
    """
    return jnp.where((size < percentile(size.reshape(-1), percent))[..., None], 0.0, picture)


def percentile(values: Float32[Array, " N"], percent: float) -> Float32[Array, ""]:
    """The linearly interpolated percentile of [N] float32 >= 0, as NumPy's, by bisection: sorting is slow on CPUs.

    Patterns of bits of such numbers are in the order of the numbers, so that 31 halvings find one of them exactly.

    Example:
      >>> float(percentile(jnp.array([4.0, 1.0, 3.0, 2.0]), 50.0))
      2.5
    """
    place = percent / 100.0 * (values.shape[0] - 1)
    below = int(place)
    bits = jax.lax.bitcast_convert_type(values, jnp.int32)

    def halve(_: jax.Array, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = low + (high - low) // 2
        enough = jnp.sum(bits <= middle) > below
        return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

    infinity = jnp.int32(0x7F800000)
    found, _ = jax.lax.fori_loop(0, 31, halve, (jnp.int32(0), infinity))
    value = jax.lax.bitcast_convert_type(found, jnp.float32)
    following = jnp.min(jnp.where(bits > found, values, jnp.inf))
    following = jnp.where(jnp.sum(bits <= found) > below + 1, value, following)
    return value if place == below else value + (place - below) * (following - value)


def gaussian_blur(pictures: Float32[Array, "A H W 3"], deviation: float) -> Float32[Array, "A H W 3"]:
    """Blurs [A, H, W, 3] along height and width as scipy.ndimage.gaussian_filter does: reflected, cut at 4 deviations.

    Example:
      >>> bool(jnp.allclose(gaussian_blur(jnp.ones((1, 8, 8, 3)), 1.0), 1.0))
      True
    """
    radius = int(4.0 * deviation + 0.5)
    weights = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / deviation))
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (1, 2):
        edges = [(radius, radius) if number == axis else (0, 0) for number in range(4)]
        padded = jnp.pad(pictures, edges, mode="symmetric")
        length = pictures.shape[axis]
        shifted = [jax.lax.slice_in_dim(padded, place, place + length, axis=axis) for place in range(2 * radius + 1)]
        pictures = functools.reduce(jnp.add, [weight * part for weight, part in zip(weights, shifted, strict=True)])
    return pictures


def moved_region(movement: Float[np.ndarray, "H W C"], share: float = 0.8) -> Bool[np.ndarray, "H W"]:
    """Where an AU moves the face: the fewest pixels that hold a share of all squared movement.

    Args:
      movement: [H, W, C] float, how far each pixel moves (or by how much it changes).
      share: 0..1.

    Returns:
      [H, W] bool.

    Raises:
      ValueError: nothing moves.

    Example:
      >>> moved_region(np.array([[[3.0], [0.0], [1.0]]])).tolist()
      [[True, False, False]]
    """
    squares = np.square(np.asarray(movement, np.float64)).sum(-1)
    if not squares.sum() > 0:
        raise ValueError("nothing moves: there is no region to compare with")
    order = np.argsort(-squares, axis=None, kind="stable")
    enough = int(np.searchsorted(np.cumsum(squares.ravel()[order]), share * squares.sum())) + 1
    region = np.zeros(squares.size, bool)
    region[order[:enough]] = True
    return region.reshape(squares.shape)


def energy_shares(
    pictures: Float[np.ndarray, "A H W 3"], regions: Bool[np.ndarray, "R H W"]
) -> Float64[np.ndarray, "A R"]:
    """Share of every image's energy in every region, [A, R] float64.

    Args:
      pictures: [A, H, W, 3] float, minus the mean.
      regions: [R, H, W] bool.

    Example:
      >>> energy_shares(np.ones((1, 1, 4, 3)), np.array([[[True, True, True, False]]])).tolist()
      [[0.75]]
    """
    energy = np.square(np.asarray(pictures, np.float64)).sum(-1)
    inside = np.einsum("ahw,rhw->ar", energy, np.asarray(regions, np.float64))
    return inside / np.maximum(energy.sum((1, 2)), math.ulp(0.0))[:, None]


def chromatic_shares(kernels: Float[np.ndarray, "..."]) -> Float64[np.ndarray, " C"]:
    """Share of each filter's energy that is chromatic: what is left of it without the mean of red, green and blue.

    A filter that looks at brightness alone has 0; one that compares colours and is blind to grey has 1.

    Args:
      kernels: [K, K, 3, C] float, of a first convolution.

    Returns:
      [C] float64 in 0..1; NaN for a filter that is zero.

    Raises:
      ValueError: the kernels are not [K, K, 3, C].

    Example:
      >>> grey, colour = np.ones((5, 5, 3)), np.ones((5, 5, 3)) * [1.0, -1.0, 0.0]
      >>> chromatic_shares(np.stack([grey, colour], axis=-1)).tolist()
      [0.0, 1.0]
    """
    total, chromatic = _energies(kernels)
    return np.divide(chromatic, total, out=np.full(len(total), np.nan), where=total > 0)


def chromatic_share(kernels: Float[np.ndarray, "..."]) -> float:
    """Share of the energy of all filters together that is chromatic; large filters count for more.

    Args:
      kernels: [K, K, 3, C] float.

    Raises:
      ValueError: all filters are zero, or the kernels are not [K, K, 3, C].

    Example:
      >>> grey, colour = np.ones((5, 5, 3)), np.ones((5, 5, 3)) * [1.0, -1.0, 0.0]
      >>> chromatic_share(np.stack([grey, colour], axis=-1))  # 2 of 5 parts of the energy
      0.4
    """
    total, chromatic = _energies(kernels)
    if not total.sum() > 0:
        raise ValueError("the filters are all zero and have no colour")
    return float(chromatic.sum() / total.sum())


def _energies(kernels: Float[np.ndarray, "..."]) -> tuple[np.ndarray, np.ndarray]:
    """Energy of every filter, all of it and its chromatic part, [C] each."""
    kernels = np.asarray(kernels, np.float64)
    if kernels.ndim != 4 or kernels.shape[2] != 3:
        raise ValueError(f"filters of colour images are [K, K, 3, C], found {kernels.shape}")
    grey = kernels.mean(2, keepdims=True)
    return np.square(kernels).sum((0, 1, 2)), np.square(kernels - grey).sum((0, 1, 2))


def filter_pictures(kernels: Float[np.ndarray, "K K 3 C"]) -> Float64[np.ndarray, "C K K 3"]:
    """Filters as images in 0..1: mid-grey is zero, each fills the range by itself.

    Example:
      >>> filter_pictures(np.full((3, 3, 3, 8), -0.01)).max()
      np.float64(0.0)
    """
    images = np.moveaxis(np.asarray(kernels, np.float64), 3, 0)
    peak = np.abs(images).max((1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * images / np.maximum(peak, np.finfo(float).tiny)
