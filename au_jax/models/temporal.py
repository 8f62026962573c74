"""A person's level, windows over time and decisions that hold: what the hybrid may know of other frames, as it streams.

Half of what a network gets wrong about a person stays the same in all frames: the face looks as if an AU were there. The first
frames of a recording show that level. The functions here run over whole videos and, with a carry, over parts of one; both
give the same numbers but for rounding. A carry of zeros stands for a video's beginning.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

# Plain tuples: `jax.export` writes no other containers.
LevelCarry = tuple[jax.Array, jax.Array]
"""The frames that have counted for the level so far: their sum [B, D] and their number [B]."""

WindowCarry = tuple[jax.Array, jax.Array, jax.Array]
"""The frames before the next one [B, before + after, D], the last of all frames [B, D], and whether there was any [B]."""


HysteresisCarry = tuple[jax.Array, jax.Array]
"""What was decided at the last frame, +1, -1, or 0 before the first [B, A] float32, and how many rows have been seen [B]."""


def initial_level(batch: int, width: int) -> LevelCarry:
    """The carry before the first frame of `batch` videos.

    Example:
      >>> initial_level(1, 3)[0].shape
      (1, 3)
    """
    return jnp.zeros((batch, width), jnp.float32), jnp.zeros(batch, jnp.float32)


def initial_window(batch: int, width: int, before: int, after: int) -> WindowCarry:
    """The carry before the first frame of `batch` videos.

    Example:
      >>> initial_window(1, 3, before=6, after=2)[0].shape
      (1, 8, 3)
    """
    return (
        jnp.zeros((batch, before + after, width), jnp.float32),
        jnp.zeros((batch, width), jnp.float32),
        jnp.zeros(batch, bool),
    )


def initial_decisions(batch: int, width: int) -> HysteresisCarry:
    """The carry before the first frame of `batch` videos.

    Example:
      >>> initial_decisions(1, 3)[0].tolist()
      [[0.0, 0.0, 0.0]]
    """
    return jnp.zeros((batch, width), jnp.float32), jnp.zeros(batch, jnp.float32)


def opening_level(
    rows: Float[Array, "B T D"], present: Bool[Array, "B T"], carry: LevelCarry, frames: int
) -> tuple[Float[Array, "B T D"], LevelCarry]:
    """The mean of a video's first frames, as far as they have been seen at each frame.

    Args:
      rows: [B, T, D] float32, of consecutive frames.
      present: [B, T] bool; False behind a video's end.
      carry: of `initial_level`, or of the call before.
      frames: how many frames count; where a video is shorter, and in its first frames, as many as there are.

    Returns:
      The level [B, T, D], and the carry after these frames.

    Example:
      >>> rows = jnp.array([[[1.0], [3.0], [8.0]]])
      >>> level, _ = opening_level(rows, jnp.ones((1, 3), bool), initial_level(1, 1), frames=2)
      >>> level[0, :, 0].tolist()
      [1.0, 2.0, 2.0]
    """
    past_total, past_count = carry
    number = past_count[:, None] + jnp.cumsum(present.astype(jnp.float32), axis=1)
    counts = (present & (number <= frames)).astype(jnp.float32)
    total = past_total[:, None] + jnp.cumsum(rows * counts[..., None], axis=1)
    count = past_count[:, None] + jnp.cumsum(counts, axis=1)
    return total / jnp.maximum(count, 1.0)[..., None], (total[:, -1], count[:, -1])


def windows(
    rows: Float[Array, "B T D"], present: Bool[Array, "B T"], carry: WindowCarry, before: int, after: int
) -> tuple[Float[Array, "B T W D"], WindowCarry]:
    """The frames around each frame, `after` frames late; beyond a video's ends, its first and its last frame stand.

    Args:
      rows: [B, T, D] float32, of consecutive frames; whatever stands behind a video's end has no effect.
      present: [B, T] bool; False behind a video's end, never before.
      carry: of `initial_window`, or of the call before.
      before: frames before the one in question.
      after: frames after it.

    Returns:
      Row t is of frame t - `after`: the frames from t - after - before to t, [B, T, before + 1 + after, D]. The first `after`
      rows of a video are of no frame, and `after` calls with rows that are not present bring out its last ones. And the carry.

    Example:
      >>> rows = jnp.array([[[1.0], [2.0], [3.0], [0.0]]])
      >>> present = jnp.array([[True, True, True, False]])
      >>> around, _ = windows(rows, present, initial_window(1, 1, 1, 1), before=1, after=1)
      >>> around[0, 1:, :, 0].tolist()
      [[1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 3.0]]
    """
    frames, last, begun = carry
    steps = rows.shape[1]
    # The newest known row at each row, -1 before the first: none that is present follows one that is not.
    newest = jnp.cumsum(present.astype(jnp.int32), axis=1) - 1
    known = jnp.take_along_axis(rows, jnp.maximum(newest, 0)[..., None], 1)
    held = jnp.where((newest >= 0)[..., None], known, last[:, None])
    # Before the first frame stands the first frame.
    past = jnp.where(begun[:, None, None], frames, rows[:, :1])
    joined = jnp.concatenate([past, held], 1)
    width = before + 1 + after
    around = jnp.stack([joined[:, shift : shift + steps] for shift in range(width)], 2)
    return around, (joined[:, steps:], held[:, -1], begun | present.any(1))


def hysteresis(
    scores: Float[Array | np.ndarray, "B T A"], carry: HysteresisCarry, margin: float, delay: int = 0
) -> tuple[Float[Array, "B T A"], HysteresisCarry]:
    """Scores that keep the decision of the frame before until a frame speaks against it by more than a margin.

    To each frame's score `margin` is added where the frame before was decided present, and subtracted where it was decided
    absent; 0 stays the threshold. A frame below it by less than the margin does not end an event, nor does one above it begin
    one, so that a score that flickers around the threshold makes one event of many. It needs no frame to come.

    Args:
      scores: [B, T, A] float32 of consecutive frames, minus the threshold: above 0 present.
      carry: of `initial_decisions`, or of the call before.
      margin: 0 or more, in units of the scores.
      delay: so many rows at a video's beginning are of no frame; they stay as they are.

    Returns:
      [B, T, A] float32, and the carry after these frames.

    Example:
      >>> scores = jnp.array([[[0.125], [-0.125], [1.0], [-0.125], [-1.0]]])
      >>> hysteresis(scores, initial_decisions(1, 1), margin=0.25)[0][0, :, 0].tolist()
      [0.125, 0.125, 1.25, 0.125, -0.75]
    """
    scores = jnp.asarray(scores)
    before, seen = carry
    steps = scores.shape[1]
    number = seen[:, None, None] + jnp.arange(1, steps + 1, dtype=jnp.float32)[None, :, None] - delay
    sure = jnp.where(scores > margin, 1.0, jnp.where(scores <= -margin, -1.0, 0.0))
    # A video's first frame has none before it.
    sure = jnp.where(number == 1, jnp.where(scores > 0, 1.0, -1.0), jnp.where(number > 1, sure, 0.0))
    # A frame that is not sure has the decision of the last one that was: no loop is needed.
    order = jnp.arange(1, steps + 1, dtype=jnp.float32)[None, :, None]
    latest = jnp.where(sure != 0, order, 0.0)
    # One frame needs no such operation, which not every runtime has; a symbolic number of frames is no integer.
    if not (isinstance(steps, int) and steps == 1):
        latest = jax.lax.cummax(latest, axis=1)
    decided = jnp.take_along_axis(sure, jnp.maximum(latest - 1, 0).astype(jnp.int32), 1)
    decided = jnp.where(latest > 0, decided, before[:, None])
    past = jnp.concatenate([before[:, None], decided[:, :-1]], 1)
    return scores + margin * past, (decided[:, -1], seen + steps)
