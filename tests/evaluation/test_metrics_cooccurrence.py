"""Co-occurrence by hand, with missing labels."""

import numpy as np

from au_jax.evaluation.metrics import cooccurrence


def test_shares_by_hand():
    present = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    shares = cooccurrence(present, np.ones((4, 3), bool))
    np.testing.assert_allclose(shares[:2], [[3 / 4, 2 / 3, 0], [1, 1 / 2, 0]])
    assert np.isnan(shares[2, :2]).all() and shares[2, 2] == 0


def test_missing_labels_are_left_out_for_each_pair_by_itself():
    present = np.array([[1, 1], [1, 1], [1, 0], [0, 1]], bool)
    known = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], bool)
    # AU 0 is known in three frames and there in all; two of them know AU 1, one has it.
    np.testing.assert_allclose(cooccurrence(present, known), [[1, 1 / 2], [1, 2 / 3]])
