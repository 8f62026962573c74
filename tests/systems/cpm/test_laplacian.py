"""CPM's spatio-temporal Laplacian by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.systems.cpm import laplacian

# gausswin's shape at 1/2 and 1 of the half width.
NEAR, FAR = np.exp(-0.5 * 1.25**2), np.exp(-0.5 * 2.5**2)
NEAR, FAR = 0.5 * NEAR / (NEAR + FAR), 0.5 * FAR / (NEAR + FAR)


def matrix(rows, video, positive, half_width=2):
    """W as a matrix: what it does to the unit vectors."""
    weights = laplacian.edges(
        jnp.asarray(rows, jnp.float32), jnp.asarray(video, jnp.int32), jnp.asarray(positive), half_width
    )
    return np.asarray(laplacian.differences(weights, jnp.eye(len(rows), dtype=jnp.float32)))


def test_weights_of_one_side_are_a_gaussian_that_sums_to_a_half():
    np.testing.assert_allclose(laplacian.window_weights(2), [NEAR, FAR], rtol=1e-6)
    np.testing.assert_allclose(laplacian.window_weights(1), [0.5])
    assert float(laplacian.window_weights(7).sum()) == pytest.approx(0.5)


def test_laplacian_of_four_frames_by_hand():
    n, f = NEAR, FAR
    expected = [
        [n + f, -n, -f, 0],
        [-n, 2 * n + f, -n, -f],
        [-f, -n, 2 * n + f, -n],
        [0, -f, -n, n + f],
    ]
    np.testing.assert_allclose(matrix(np.zeros((4, 1)), [0] * 4, [False] * 4), expected, atol=1e-7)


def test_frames_of_other_videos_and_without_a_face_are_not_joined():
    n, f = NEAR, FAR
    # Frames 0 and 2 of one video with no face between them, then another video.
    expected = [[f, 0, -f, 0, 0], [0] * 5, [-f, 0, f, 0, 0], [0, 0, 0, n, -n], [0, 0, 0, -n, n]]
    np.testing.assert_allclose(matrix(np.zeros((5, 1)), [0, -1, 0, 1, 1], [False] * 5), expected, atol=1e-7)


def test_edges_between_frames_that_look_too_different_are_cut():
    rows = [[0.0], [1.0], [2.1], [2.2]]
    # Confident positives 0 and 1 are at squared distance 1: edges longer than 1.5 go, which is 1.21 but not 1.44.
    cut = matrix(rows, [0] * 4, [True, True, False, False])
    n, f = NEAR, FAR
    expected = [[n, -n, 0, 0], [-n, 2 * n + f, -n, -f], [0, -n, 2 * n, -n], [0, -f, -n, n + f]]
    np.testing.assert_allclose(cut, expected, atol=1e-7)


def test_fewer_than_two_confident_positives_cut_nothing():
    rows = 100.0 * np.arange(4.0)[:, None]
    whole = matrix(np.zeros((4, 1)), [0] * 4, [False] * 4)
    np.testing.assert_allclose(matrix(rows, [0] * 4, [False, True, False, False]), whole, atol=1e-7)


def test_mean_distance_is_that_of_all_pairs():
    rows = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    chosen = np.array([True, False, True, True, False, True, False])
    pairs = [((a - b) ** 2).sum() for i, a in enumerate(rows[chosen]) for b in rows[chosen][i + 1 :]]
    got = laplacian.mean_squared_distance(jnp.asarray(rows), jnp.asarray(chosen))
    assert float(got) == pytest.approx(np.mean(pairs), rel=1e-5)
