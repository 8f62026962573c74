"""Jensen-Shannon divergence against SciPy, the squeeze by hand, and a bootstrap that tells order from chance."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from au_jax.explain import divergence


def test_divergence_is_that_of_scipy():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.full(30, 0.3), size=6)
    rows[0, :5] = 0.0  # a zero takes part in no term
    rows[0] /= rows[0].sum()
    matrix = divergence.js_matrix(rows)
    expected = [[jensenshannon(p, q) ** 2 for q in rows] for p in rows]
    np.testing.assert_allclose(matrix, expected, atol=1e-12)
    np.testing.assert_array_equal(matrix, matrix.T)
    # Two distributions that share nothing are log 2 apart.
    assert divergence.js_divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(2))


def test_squeeze_by_hand():
    rows = divergence.distributions(np.array([[0.0, 2.0, 4.0]]))
    squeezed = 1 / (1 + np.exp(-np.array([0.0, 1.0, 2.0])))  # the median is 2
    np.testing.assert_allclose(rows[0], squeezed / squeezed.sum())


def test_medians_of_zero_and_below_are_defined():
    means = np.array([[0.0, 0.0, 0.0, 3.0], [-4.0, -2.0, -2.0, 6.0]])
    rows = divergence.distributions(means)
    # With a median of zero all that is positive saturates.
    np.testing.assert_allclose(rows[0], np.array([0.5, 0.5, 0.5, 1.0]) / 2.5)
    squeezed = 1 / (1 + np.exp(np.array([2.0, 1.0, 1.0, -3.0])))
    np.testing.assert_allclose(rows[1], squeezed / squeezed.sum())
    # Of the magnitudes 4, 2, 2, 6 the median is 3.
    squeezed = 1 / (1 + np.exp(np.array([4.0, 2.0, 2.0, -6.0]) / 3.0))
    np.testing.assert_allclose(divergence.distributions(means, "abs")[1], squeezed / squeezed.sum())
    with pytest.raises(ValueError, match="'mean'"):
        divergence.distributions(means, "mean")


def test_figures_by_hand():
    found = divergence.figures(np.array([1e-4, 1e-3]), 100)
    np.testing.assert_allclose(found["sum"], [1e-4, 1e-3])
    np.testing.assert_allclose(found["by_log_dimensions"], np.array([1e-4, 1e-3]) / np.log(100))
    np.testing.assert_allclose(found["log_of_millionths"], [2.0, 3.0])


def made_up(spread, subjects=20, seed=0):
    means = np.abs(1.0 + spread * np.random.default_rng(seed).normal(size=(subjects, 200)))
    return divergence.js_matrix(divergence.distributions(means))


def test_bootstrap_is_centred_and_has_the_figure_within():
    matrices = {"near": made_up(0.05), "far": made_up(0.3)}
    values = divergence.bootstrap(matrices, 400, seed=1)
    for name, matrix in matrices.items():
        figure = np.log10(1e6 * matrix.sum(1)).mean()
        assert abs(values[name].mean() - figure) < 0.03
        assert values[name].std() < 0.2


def test_bootstrap_tells_a_clear_order_and_leaves_a_tie_open():
    clear = divergence.order_shares(
        divergence.bootstrap({"a": made_up(0.05), "b": made_up(0.1, seed=1), "c": made_up(0.3, seed=2)}, 200, seed=0)
    )
    assert clear == {"a < b": 1.0, "b < c": 1.0, "a < b < c": 1.0}
    tie = divergence.order_shares(divergence.bootstrap({"a": made_up(0.1), "b": made_up(0.1, seed=1)}, 400, seed=0))
    assert list(tie) == ["a < b"]
    assert 0.02 < tie["a < b"] < 0.98
    reverse = divergence.order_shares({"c": np.array([3.0, 1.0]), "b": np.array([2.0, 2.0]), "a": np.array([1.0, 3.0])})
    assert reverse == {"c < b": 0.5, "b < a": 0.5, "c < b < a": 0.5}


def test_two_subjects_have_no_order_to_test():
    with pytest.raises(ValueError, match="2 subjects"):
        divergence.bootstrap({"a": made_up(0.1, subjects=2)}, 10, seed=0)
