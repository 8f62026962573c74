"""Movement that no coder notes: a person's own at rest, what comes and goes, and where muscles pull."""

import dataclasses

import numpy as np

from au_jax.synthfacs import AUS, habits, render_video
from au_jax.synthfacs.presets import get_preset

TINY = get_preset("tiny")


def shown(intensities, person=0, video=0, **fields):
    preset = dataclasses.replace(TINY, **fields)
    return habits.shown(np.random.default_rng(person), np.random.default_rng(100 + video), intensities, preset)


def test_a_face_at_rest_is_the_persons_own_in_every_frame_and_video():
    nothing = np.zeros((5, len(AUS)))
    first = shown(nothing, resting=0.5)
    assert (first == first[0]).all() and first[0].min() > 0
    np.testing.assert_array_equal(first, shown(nothing, video=1, resting=0.5))
    assert (first[0] != shown(nothing, person=1, resting=0.5)[0]).all()
    np.testing.assert_allclose(shown(nothing, resting=1.0), 2 * first)


def test_what_is_uncoded_comes_and_goes_and_differs_between_videos():
    nothing = np.zeros((400, len(AUS)))
    first = shown(nothing, uncoded=1.0)
    assert first.min() == 0 and (first.std(0) > 0.2).all()
    assert np.abs(np.diff(first, axis=0)).max() < 0.5  # it does not jump
    assert (first != shown(nothing, video=1, uncoded=1.0)).any()


def test_an_au_pulls_at_its_own_half_of_the_face_only():
    matrix = habits.mixing(np.random.default_rng(3), 0.25)
    upper = np.isin(AUS, habits.UPPER)
    assert (matrix[np.ix_(upper, ~upper)] == 0).all() and (matrix[np.ix_(~upper, upper)] == 0).all()
    assert (np.diag(matrix) == 1).all()
    # 5 * 4 + 7 * 6 shares of a standard deviation of 0.25.
    shares = matrix[(matrix != 0) & ~np.eye(len(AUS), dtype=bool)]
    assert len(shares) == 62 and 0.2 < shares.std() < 0.3


def test_what_is_shown_is_the_sum_and_never_negative():
    smile = np.zeros((1, len(AUS)))
    smile[0, AUS.index(12)] = 4.0
    # The generator of the person draws what is at rest first.
    rng = np.random.default_rng(0)
    at_rest, shares = habits.resting(rng, 0.5), habits.mixing(rng, 0.25)
    expected = np.maximum(at_rest + 4.0 * shares[AUS.index(12)], 0.0)
    np.testing.assert_allclose(shown(smile, resting=0.5, mixing=0.25)[0], expected)
    assert shown(smile, mixing=3.0).min() == 0.0


def test_pictures_show_it_and_labels_do_not_know_of_it():
    plain = dataclasses.replace(TINY, frames_per_video=6)
    (one,), (two,) = (list(render_video(p, 0, "S001", "T1")) for p in (plain, dataclasses.replace(plain, resting=2.0)))
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.intensities, two.intensities)
    assert np.abs(one.frames.astype(int) - two.frames).mean() > 1
