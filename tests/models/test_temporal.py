"""Levels and windows over time: against loops in NumPy, in parts as in one, and whatever stands behind a video's end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.models import temporal

ROWS = np.random.default_rng(0).normal(size=(2, 11, 3)).astype(np.float32)
LENGTHS = (7, 9)
PRESENT = np.arange(11) < np.array(LENGTHS)[:, None]


def around(rows, frame, before, after):
    """The window of one frame of one video, by hand: beyond the ends the first and the last frame stand."""
    return np.stack([rows[min(max(place, 0), len(rows) - 1)] for place in range(frame - before, frame + after + 1)])


@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 0), (3, 2), (0, 2)])
def test_windows_hold_the_frames_around_and_repeat_the_ends(before, after):
    carry = temporal.initial_window(2, 3, before, after)
    found, _ = temporal.windows(jnp.asarray(ROWS), jnp.asarray(PRESENT), carry, before, after)
    for video, length in enumerate(LENGTHS):
        for frame in range(length):
            expected = around(ROWS[video, :length], frame, before, after)
            np.testing.assert_array_equal(found[video, frame + after], expected)


def test_the_level_is_the_mean_of_the_first_frames_seen_so_far():
    carry = temporal.initial_level(2, 3)
    found, _ = temporal.opening_level(jnp.asarray(ROWS), jnp.asarray(PRESENT), carry, frames=4)
    for video, length in enumerate(LENGTHS):
        for frame in range(length):
            expected = ROWS[video, : min(frame + 1, 4)].mean(0)
            np.testing.assert_allclose(found[video, frame], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lengths", [(1,) * 11, (3, 4, 4), (10, 1)])
def test_parts_give_what_the_whole_gives(lengths):
    rows, present = jnp.asarray(ROWS), jnp.asarray(PRESENT)
    windows, opening_level = (
        jax.jit(temporal.windows, static_argnums=(3, 4)),
        jax.jit(temporal.opening_level, static_argnums=3),
    )
    whole, _ = windows(rows, present, temporal.initial_window(2, 3, 3, 2), 3, 2)
    whole_level, _ = opening_level(rows, present, temporal.initial_level(2, 3), 4)
    window, level, parts, levels, start = temporal.initial_window(2, 3, 3, 2), temporal.initial_level(2, 3), [], [], 0
    for length in lengths:
        part = rows[:, start : start + length], present[:, start : start + length]
        one, window = windows(*part, window, 3, 2)
        mean, level = opening_level(*part, level, 4)
        parts.append(one)
        levels.append(mean)
        start += length
    # The first two rows are of no frame.
    np.testing.assert_array_equal(jnp.concatenate(parts, 1)[:, 2:], whole[:, 2:])
    np.testing.assert_allclose(jnp.concatenate(levels, 1), whole_level, rtol=1e-5, atol=1e-6)


def test_what_stands_behind_a_video_changes_nothing():
    other = np.where(PRESENT[..., None], ROWS, np.float32(99.0))
    results = [
        (
            temporal.windows(jnp.asarray(rows), jnp.asarray(PRESENT), temporal.initial_window(2, 3, 3, 2), 3, 2)[0],
            temporal.opening_level(jnp.asarray(rows), jnp.asarray(PRESENT), temporal.initial_level(2, 3), 8)[0],
        )
        for rows in (ROWS, other)
    ]
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def held(scores, margin):
    """Hysteresis of one video in a loop."""
    result, past = scores.copy(), None
    for frame, row in enumerate(scores):
        if past is not None:
            result[frame] = row + np.float32(margin) * past
        past = np.where(result[frame] > 0, np.float32(1), np.float32(-1))
    return result


@pytest.mark.parametrize("lengths", [(11,), (1,) * 11, (1, 3, 7)])
@pytest.mark.parametrize("delay", [0, 2])
@pytest.mark.parametrize("margin", [0.3, 2.5])
def test_a_decision_holds_until_a_frame_speaks_against_it_by_more_than_the_margin(lengths, delay, margin):
    rows = ROWS.copy()
    # Right at the margin nothing has spoken for presence yet, and against it everything.
    rows[0, 4, 0], rows[0, 5, 0] = margin, -margin
    carry, parts, start = temporal.initial_decisions(2, 3), [], 0
    for length in lengths:
        part, carry = temporal.hysteresis(rows[:, start : start + length], carry, margin, delay)
        parts.append(part)
        start += length
    found = np.concatenate(parts, 1)
    np.testing.assert_array_equal(found[:, :delay], rows[:, :delay])
    for video in range(2):
        np.testing.assert_allclose(found[video, delay:], held(rows[video, delay:], margin), rtol=1e-6, atol=1e-6)
