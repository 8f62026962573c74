"""CPM's easy and hard samples by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.systems.cpm import sample_selection


def floats(*values):
    return jnp.asarray(values, jnp.float32)


def test_easy_is_what_both_classifiers_get_right():
    scores = floats([2.0, 1.0], [2.0, -1.0], [-1.0, -3.0], [1.0, 1.0], [0.0, 1.0])
    easy = sample_selection.easy(scores, floats(1, 1, -1, -1, 1))
    assert easy.tolist() == [True, False, True, False, False]


def test_holistic_relabelling_gives_all_hard_rows_to_each_side_in_turn():
    labels, easy = floats(1, -1, 1, -1, 0), jnp.array([True, True, False, False, False])
    targets = sample_selection.relabel(labels, easy, jnp.zeros((5, 5)), "holistic")
    # Rows: easy +, easy -, hard +, hard -, no label; columns: w+, w-.
    assert targets.tolist() == [[1, 1], [-1, -1], [1, -1], [1, -1], [0, 0]]


def test_localized_relabelling_keeps_labels_of_hard_rows_far_from_hard_rows_of_the_other_class():
    labels = floats(1, -1, -1, 1, -1)
    easy = jnp.array([False, False, False, True, False])
    near = np.eye(5, dtype=np.float32)
    # Hard - 1 lies beside hard + 0; hard - 2 beside easy + 3 alone, which counts for nothing; hard - 4 beside no other.
    near[0, 1] = near[1, 0] = near[2, 3] = near[3, 2] = 1.0
    targets = sample_selection.relabel(labels, easy, jnp.asarray(near), "localized")
    assert targets.tolist() == [[1, -1], [1, -1], [-1, -1], [1, 1], [-1, -1]]


def test_virtual_labels_are_the_signs_on_which_the_pair_agrees():
    scores = floats([0.5, 2.0], [-0.5, -2.0], [0.5, -2.0], [-0.5, 2.0], [0.0, 1.0])
    assert sample_selection.virtual_labels(scores).tolist() == [1, -1, 0, 0, 0]


@pytest.mark.parametrize("swap", [1, -1])
def test_radius_is_where_the_rarer_class_stops_keeping_to_itself(swap):
    # Three rare rows at mutual squared distance 0.1, four others at 0.7 and 0.9 from each of them, one row unlabelled.
    squared = np.full((8, 8), 0.0)
    squared[:3, :3] = 0.1 * (1 - np.eye(3))
    squared[:3, 3:5] = squared[3:5, :3] = 0.7
    squared[:3, 5:] = squared[5:, :3] = 0.9
    labels = swap * np.array([1, 1, 1, -1, -1, -1, -1, 0])
    # Up to 0.7 there are 6 pairs within the class and none across, then 6 and 6.
    got = sample_selection.class_radius(jnp.asarray(squared, jnp.float32), floats(*labels))
    assert float(got) == pytest.approx(0.7, abs=2e-3)
