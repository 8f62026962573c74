"""Jensen-Shannon divergence against SciPy, the squeeze by hand, a bootstrap that tells order from chance; neighbours' votes
against scikit-learn and by hand, and an embedding that keeps clusters apart.
"""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.neighbors import KNeighborsClassifier

from au_jax.explain import feature_space


def test_divergence_is_that_of_scipy():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.full(30, 0.3), size=6)
    rows[0, :5] = 0.0  # a zero takes part in no term
    rows[0] /= rows[0].sum()
    matrix = feature_space.js_matrix(rows)
    expected = [[jensenshannon(p, q) ** 2 for q in rows] for p in rows]
    np.testing.assert_allclose(matrix, expected, atol=1e-12)
    np.testing.assert_array_equal(matrix, matrix.T)
    # Two distributions that share nothing are log 2 apart.
    assert feature_space.js_divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(2))


def test_squeeze_by_hand():
    rows = feature_space.distributions(np.array([[0.0, 2.0, 4.0]]))
    squeezed = 1 / (1 + np.exp(-np.array([0.0, 1.0, 2.0])))  # the median is 2
    np.testing.assert_allclose(rows[0], squeezed / squeezed.sum())


def test_medians_of_zero_and_below_are_defined():
    means = np.array([[0.0, 0.0, 0.0, 3.0], [-4.0, -2.0, -2.0, 6.0]])
    rows = feature_space.distributions(means)
    # With a median of zero all that is positive saturates.
    np.testing.assert_allclose(rows[0], np.array([0.5, 0.5, 0.5, 1.0]) / 2.5)
    squeezed = 1 / (1 + np.exp(np.array([2.0, 1.0, 1.0, -3.0])))
    np.testing.assert_allclose(rows[1], squeezed / squeezed.sum())
    # Of the magnitudes 4, 2, 2, 6 the median is 3.
    squeezed = 1 / (1 + np.exp(np.array([4.0, 2.0, 2.0, -6.0]) / 3.0))
    np.testing.assert_allclose(feature_space.distributions(means, "abs")[1], squeezed / squeezed.sum())
    with pytest.raises(ValueError, match="'mean'"):
        feature_space.distributions(means, "mean")


def test_figures_by_hand():
    found = feature_space.readings(np.array([1e-4, 1e-3]), 100)
    np.testing.assert_allclose(found["sum"], [1e-4, 1e-3])
    np.testing.assert_allclose(found["by_log_dimensions"], np.array([1e-4, 1e-3]) / np.log(100))
    np.testing.assert_allclose(found["log_of_millionths"], [2.0, 3.0])


def made_up(spread, subjects=20, seed=0):
    means = np.abs(1.0 + spread * np.random.default_rng(seed).normal(size=(subjects, 200)))
    return feature_space.js_matrix(feature_space.distributions(means))


def test_bootstrap_is_centred_and_has_the_figure_within():
    matrices = {"near": made_up(0.05), "far": made_up(0.3)}
    values = feature_space.bootstrap_divergences(matrices, 400, seed=1)
    for name, matrix in matrices.items():
        figure = np.log10(1e6 * matrix.sum(1)).mean()
        assert abs(values[name].mean() - figure) < 0.03
        assert values[name].std() < 0.2


def test_bootstrap_tells_a_clear_order_and_leaves_a_tie_open():
    clear = feature_space.order_shares(
        feature_space.bootstrap_divergences(
            {"a": made_up(0.05), "b": made_up(0.1, seed=1), "c": made_up(0.3, seed=2)}, 200, seed=0
        )
    )
    assert clear == {"a < b": 1.0, "b < c": 1.0, "a < b < c": 1.0}
    tie = feature_space.order_shares(
        feature_space.bootstrap_divergences({"a": made_up(0.1), "b": made_up(0.1, seed=1)}, 400, seed=0)
    )
    assert list(tie) == ["a < b"]
    assert 0.02 < tie["a < b"] < 0.98
    reverse = feature_space.order_shares(
        {"c": np.array([3.0, 1.0]), "b": np.array([2.0, 2.0]), "a": np.array([1.0, 3.0])}
    )
    assert reverse == {"c < b": 0.5, "b < a": 0.5, "c < b < a": 0.5}


def test_two_subjects_have_no_order_to_test():
    with pytest.raises(ValueError, match="2 subjects"):
        feature_space.bootstrap_divergences({"a": made_up(0.1, subjects=2)}, 10, seed=0)


def test_votes_agree_with_scikit_learn_leaving_the_group_out():
    rng = np.random.default_rng(0)
    targets, groups = rng.integers(0, 3, 90), np.repeat(np.arange(9), 10)
    features = rng.normal(size=(90, 5)) + targets[:, None]
    right = 0
    for group in range(9):
        own = groups == group
        classifier = KNeighborsClassifier(1).fit(features[~own], targets[~own])
        right += (classifier.predict(features[own]) == targets[own]).sum()
    assert feature_space.neighbour_accuracy(features, targets, groups, neighbours=1) == right / 90


def test_majority_wins_and_the_nearest_of_equals():
    # On a line; with two neighbours each frame has its nearest first, and a tie goes to that one.
    features = np.array([[0.0], [1.0], [2.1], [10.0]])
    targets = np.array([0, 0, 1, 1])
    # Neighbours of 0: 1, 2 (classes 0, 1: 0, right); of 1: 0, 2 (0, right); of 2: 1, 0 (0, wrong); of 10: 2, 1 (1, right).
    assert feature_space.neighbour_accuracy(features, targets, np.arange(4), neighbours=2) == 0.75
    # With three, the majority: 0, 1, 1 -> 1 (wrong); 0, 1, 1 (wrong); 0, 0, 1 (wrong); 1, 0, 0 (wrong).
    assert feature_space.neighbour_accuracy(features, targets, np.arange(4), neighbours=3) == 0.0
    with pytest.raises(ValueError, match="leaves 3 frames"):
        feature_space.neighbour_accuracy(features, targets, np.arange(4), neighbours=4)


def test_frames_of_the_same_moment_do_not_vote_for_each_other():
    # Pairs of equal frames, each pair a group of its own with a class of its own: only the own group would tell.
    features = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 2, axis=0)
    targets = np.repeat(np.arange(20), 2)
    assert feature_space.neighbour_accuracy(features, targets, targets, neighbours=1) == 0.0
    assert feature_space.neighbour_accuracy(features, targets, np.arange(40), neighbours=1) == 1.0


def test_distances_hold_where_features_lie_far_from_zero():
    targets = np.arange(12) // 6
    features = 1e4 + (np.arange(12.0) + 3.0 * targets)[:, None]
    assert feature_space.neighbour_accuracy(features, targets, np.arange(12), neighbours=1) == 1.0


def test_components_keep_distances_and_the_embedding_keeps_clusters():
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(3), 20)
    features = rng.normal(size=(60, 80)) + 20.0 * np.eye(3)[targets] @ rng.normal(size=(3, 80))
    components = feature_space.reduced(features)
    assert components.shape == (60, 50) and components.dtype == np.float32
    few = feature_space.reduced(features[:, :7])
    np.testing.assert_allclose(
        np.linalg.norm(few[3] - few[9]), np.linalg.norm(features[3, :7] - features[9, :7]), rtol=1e-5
    )
    points = feature_space.tsne(components, seed=0, perplexity=10)
    assert points.shape == (60, 2)
    assert feature_space.neighbour_accuracy(points, targets, np.arange(60), neighbours=5) == 1.0
    np.testing.assert_array_equal(points, feature_space.tsne(components, seed=0, perplexity=10))


def test_chance_is_the_share_of_the_largest_class():
    assert feature_space.chance(np.array([1, 1, -1, 1])) == 0.75
