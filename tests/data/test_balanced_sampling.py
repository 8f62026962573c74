"""Multi-label balanced sampling: what a batch holds, and that nothing comes twice before it must."""

import numpy as np

from au_jax.data.balanced_sampling import balanced_rows


def skewed_labels():
    """2,000 frames: AU 1 in one of fifty, AU 12 in half, AU 6 in a quarter, some without AUs and some without labels."""
    generator = np.random.default_rng(0)
    labels = np.full((2000, 12), -1, np.int8)
    labels[generator.choice(2000, 40, replace=False), 0] = 1
    labels[generator.choice(2000, 1000, replace=False), 6] = 1
    labels[(labels[:, 6] < 0) & (generator.random(2000) < 0.5), 3] = 1
    labels[:50] = 0
    return labels


def sample(labels, **changes):
    arguments = {"seed": 0, "epoch": 0, "batches": 20, "batch_size": 60, "draw": 4, **changes}
    return np.array(list(balanced_rows(labels, **arguments))).reshape(arguments["batches"], arguments["batch_size"])


def test_every_batch_holds_a_rare_au_about_as_often_as_a_frequent_one():
    labels = skewed_labels()
    for rows in sample(labels):
        rare, frequent = (labels[rows, 0] > 0).sum(), (labels[rows, 6] > 0).sum()
        assert rare >= 12  # 60 frames at random would hold one
        assert frequent <= 28  # and thirty of these


def test_frames_without_aus_have_their_share_and_frames_without_labels_are_never_sampled():
    labels = skewed_labels()
    rows = sample(labels)
    neutral = (labels[rows] < 0).all(-1)
    assert (neutral.sum(-1) >= 10).all()
    assert rows.min() >= 50


def test_no_frame_of_a_class_comes_twice_before_the_class_has_run_out():
    labels = skewed_labels()
    members = set(np.flatnonzero(labels[:, 0] > 0).tolist())
    rows = [row for row in sample(labels).ravel().tolist() if row in members]
    first = rows[: len(members) - 4]
    assert len(set(first)) == len(first)
    assert len(rows) > len(members)  # and then it is filled again


def test_samples_follow_from_seed_and_epoch():
    labels = skewed_labels()
    np.testing.assert_array_equal(sample(labels), sample(labels))
    assert (sample(labels) != sample(labels, epoch=1)).any()
    assert (sample(labels) != sample(labels, seed=1)).any()


def test_a_class_smaller_than_a_draw_is_used_whole():
    labels = np.full((30, 12), -1, np.int8)
    labels[0, 2] = 1
    rows = sample(labels, batches=3, batch_size=10, draw=4)
    assert ((rows == 0).sum(-1) >= 1).all()
