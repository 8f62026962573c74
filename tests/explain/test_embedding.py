"""Neighbours' votes against scikit-learn and by hand, and an embedding that keeps clusters apart."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from au_jax.explain import embedding


def test_votes_agree_with_scikit_learn_leaving_the_group_out():
    rng = np.random.default_rng(0)
    targets, groups = rng.integers(0, 3, 90), np.repeat(np.arange(9), 10)
    features = rng.normal(size=(90, 5)) + targets[:, None]
    right = 0
    for group in range(9):
        own = groups == group
        classifier = KNeighborsClassifier(1).fit(features[~own], targets[~own])
        right += (classifier.predict(features[own]) == targets[own]).sum()
    assert embedding.neighbour_accuracy(features, targets, groups, neighbours=1) == right / 90


def test_majority_wins_and_the_nearest_of_equals():
    # On a line; with two neighbours each frame has its nearest first, and a tie goes to that one.
    features = np.array([[0.0], [1.0], [2.1], [10.0]])
    targets = np.array([0, 0, 1, 1])
    # Neighbours of 0: 1, 2 (classes 0, 1: 0, right); of 1: 0, 2 (0, right); of 2: 1, 0 (0, wrong); of 10: 2, 1 (1, right).
    assert embedding.neighbour_accuracy(features, targets, np.arange(4), neighbours=2) == 0.75
    # With three, the majority: 0, 1, 1 -> 1 (wrong); 0, 1, 1 (wrong); 0, 0, 1 (wrong); 1, 0, 0 (wrong).
    assert embedding.neighbour_accuracy(features, targets, np.arange(4), neighbours=3) == 0.0
    with pytest.raises(ValueError, match="leaves 3 frames"):
        embedding.neighbour_accuracy(features, targets, np.arange(4), neighbours=4)


def test_frames_of_the_same_moment_do_not_vote_for_each_other():
    # Pairs of equal frames, each pair a group of its own with a class of its own: only the own group would tell.
    features = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 2, axis=0)
    targets = np.repeat(np.arange(20), 2)
    assert embedding.neighbour_accuracy(features, targets, targets, neighbours=1) == 0.0
    assert embedding.neighbour_accuracy(features, targets, np.arange(40), neighbours=1) == 1.0


def test_distances_hold_where_features_lie_far_from_zero():
    targets = np.arange(12) // 6
    features = 1e4 + (np.arange(12.0) + 3.0 * targets)[:, None]
    assert embedding.neighbour_accuracy(features, targets, np.arange(12), neighbours=1) == 1.0


def test_components_keep_distances_and_the_embedding_keeps_clusters():
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(3), 20)
    features = rng.normal(size=(60, 80)) + 20.0 * np.eye(3)[targets] @ rng.normal(size=(3, 80))
    components = embedding.reduced(features)
    assert components.shape == (60, 50) and components.dtype == np.float32
    few = embedding.reduced(features[:, :7])
    np.testing.assert_allclose(
        np.linalg.norm(few[3] - few[9]), np.linalg.norm(features[3, :7] - features[9, :7]), rtol=1e-5
    )
    points = embedding.tsne(components, seed=0, perplexity=10)
    assert points.shape == (60, 2)
    assert embedding.neighbour_accuracy(points, targets, np.arange(60), neighbours=5) == 1.0
    np.testing.assert_array_equal(points, embedding.tsne(components, seed=0, perplexity=10))


def test_chance_is_the_share_of_the_largest_class():
    assert embedding.chance(np.array([1, 1, -1, 1])) == 0.75
