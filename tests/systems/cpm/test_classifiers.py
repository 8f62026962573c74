"""CPM's Laplacian by hand; Newton's method for squared hinges against SciPy's L-BFGS in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from au_jax.systems.cpm import classifiers
from au_jax.systems.cpm.classifiers import approximate_inverse, minimise


def problem(seed, scale=1.0, size=(80, 40, 6)):
    """Two parts of rows, targets of two classifiers with missing ones, and a coupling of the two."""
    generator = np.random.default_rng(seed)
    rows = [scale * generator.normal(size=(count, size[2])) for count in size[:2]]
    truth = generator.normal(size=(2, size[2]))
    targets = [np.sign(part @ truth.T + scale * generator.normal(size=(len(part), 2))) for part in rows]
    for part in targets:
        part[generator.random(part.shape) < 0.2] = 0.0
    return rows, targets, generator.normal(size=(2, size[2]))


def quadratic(weights):
    return 0.1 * weights + 0.5 * (weights - weights[::-1])


def value(weights, rows, targets, linear):
    loss = sum(
        (np.abs(target) * np.maximum(1 - target * (part @ weights.T), 0) ** 2).sum()
        for part, target in zip(rows, targets, strict=True)
    )
    return loss + (weights * (quadratic(weights) - 2 * linear)).sum()


def ours(rows, targets, linear, start=None, inverse=None):
    single = [[jnp.asarray(part, jnp.float32) for part in parts] for parts in (rows, targets)]
    start = jnp.zeros(linear.shape, jnp.float32) if start is None else jnp.asarray(start, jnp.float32)
    inverse = approximate_inverse(single[0][0], 0.6) if inverse is None else inverse
    return minimise(*single, start, quadratic, jnp.asarray(linear, jnp.float32), inverse)


@pytest.mark.parametrize(("seed", "scale"), [(0, 1.0), (1, 0.1), (2, 10.0)])
def test_the_minimum_is_that_of_a_generic_solver(seed, scale):
    rows, targets, linear = problem(seed, scale)
    best = minimize(
        lambda flat: value(flat.reshape(linear.shape), rows, targets, linear),
        np.zeros(linear.size),
        method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-9},
    )
    weights, reached = ours(rows, targets, linear)
    np.testing.assert_allclose(weights, best.x.reshape(linear.shape), atol=2e-3 * np.abs(best.x).max())
    assert float(reached) == pytest.approx(best.fun, rel=1e-5)
    assert value(np.asarray(weights, np.float64), rows, targets, linear) <= best.fun + 1e-5 * abs(best.fun)


def test_rows_with_target_zero_do_not_count():
    rows, targets, linear = problem(3)
    targets[1][:] = 0.0
    both, _ = ours(rows, targets, linear)
    first, _ = ours(rows[:1], targets[:1], linear)
    np.testing.assert_allclose(both, first, atol=1e-5)


def test_start_and_preconditioner_do_not_change_the_minimum():
    rows, targets, linear = problem(4)
    weights, _ = ours(rows, targets, linear)
    far = 30.0 * np.random.default_rng(5).normal(size=linear.shape)
    np.testing.assert_allclose(ours(rows, targets, linear, start=far)[0], weights, atol=2e-3)
    np.testing.assert_allclose(ours(rows, targets, linear, inverse=jnp.eye(6))[0], weights, atol=2e-3)


def test_starting_at_the_minimum_stays_there():
    rows, targets, linear = problem(6)
    weights, reached = ours(rows, targets, linear)
    again, value_again = ours(rows, targets, linear, start=weights)
    np.testing.assert_allclose(again, weights, atol=1e-4)
    assert float(value_again) == pytest.approx(float(reached), rel=1e-6)


def test_no_step_raises_the_objective(monkeypatch):
    rows, targets, linear = problem(8, scale=5.0)
    far = 30.0 * np.random.default_rng(9).normal(size=linear.shape)
    values = [value(far, rows, targets, linear)]
    for steps in (1, 2, 3, 5):
        monkeypatch.setattr(classifiers, "MOST_STEPS", steps)
        values.append(float(ours(rows, targets, linear, start=far)[1]))
    assert values[1] < values[0]
    assert (np.diff(values) <= 1e-6 * np.abs(values[1:])).all()


def test_many_problems_at_once_are_those_one_by_one():
    rows, targets, linear = problem(7)
    shared = [jnp.asarray(part, jnp.float32) for part in rows]
    inverse = approximate_inverse(shared[0], 0.6)
    linears = jnp.stack([jnp.asarray(factor * linear, jnp.float32) for factor in (0.0, 1.0, 5.0)])
    singles = [jnp.asarray(part, jnp.float32) for part in targets]
    start = jnp.zeros(linear.shape, jnp.float32)
    batched, _ = jax.vmap(lambda one: minimise(shared, singles, start, quadratic, one, inverse))(linears)
    for one, weights in zip(linears, batched, strict=True):
        alone, _ = minimise(shared, singles, start, quadratic, one, inverse)
        np.testing.assert_allclose(weights, alone, atol=1e-3)


# gausswin's shape at 1/2 and 1 of the half width.
NEAR, FAR = np.exp(-0.5 * 1.25**2), np.exp(-0.5 * 2.5**2)
NEAR, FAR = 0.5 * NEAR / (NEAR + FAR), 0.5 * FAR / (NEAR + FAR)


def matrix(rows, video, positive, half_width=2):
    """W as a matrix: what it does to the unit vectors."""
    weights = classifiers.edges(
        jnp.asarray(rows, jnp.float32), jnp.asarray(video, jnp.int32), jnp.asarray(positive), half_width
    )
    return np.asarray(classifiers.differences(weights, jnp.eye(len(rows), dtype=jnp.float32)))


def test_weights_of_one_side_are_a_gaussian_that_sums_to_a_half():
    np.testing.assert_allclose(classifiers.window_weights(2), [NEAR, FAR], rtol=1e-6)
    np.testing.assert_allclose(classifiers.window_weights(1), [0.5])
    assert float(classifiers.window_weights(7).sum()) == pytest.approx(0.5)


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
    got = classifiers.mean_squared_distance(jnp.asarray(rows), jnp.asarray(chosen))
    assert float(got) == pytest.approx(np.mean(pairs), rel=1e-5)
