"""JPML's problem against generic and independent solvers; its steps never raise the objective."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from sklearn.linear_model import LogisticRegression

from au_jax.systems.jpml import patch_learning
from au_jax.systems.jpml.patch_learning import EPSILON, PatchProblem

PATCHES, AUS = 4, 3
TOGETHER = np.array([[0.0, 0.6, 0.0], [0.6, 0.0, 0.3], [0.0, 0.3, 0.0]])
COMPETE = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])


def frames(seed=0, size=3, scale=1.0):
    """60 rows of four patches; AU 0 shows in patch 0, AU 1 in patch 1, AU 2 in patch 3; a tenth of the labels is missing."""
    generator = np.random.default_rng(seed)
    rows = scale * generator.normal(size=(60, PATCHES * size))
    truth = np.zeros((PATCHES, size, AUS))
    truth[[0, 1, 3], :, [0, 1, 2]] = 1.5
    labels = np.sign(rows @ truth.reshape(-1, AUS) + 0.8 * scale * generator.normal(size=(60, AUS)))
    labels[generator.random(labels.shape) < 0.1] = 0.0
    return rows, labels


def problem(rows, labels, alpha=0.02, beta_together=0.05, beta_compete=0.03):
    parts = (rows, labels, TOGETHER, COMPETE, alpha, beta_together, beta_compete)
    return PatchProblem(*(jnp.asarray(part, jnp.float32) for part in parts))


def smooth(weights, rows, labels, beta_together=0.05, beta_compete=0.03):
    """The objective without the group lasso, sum by sum as it is written, in double precision."""
    scores = rows @ weights
    total = 0.0
    for au in range(AUS):
        known = labels[:, au] != 0
        total += np.log1p(np.exp(-labels[known, au] * scores[known, au])).mean()
        for other in range(au):
            sizes = np.sqrt(scores[:, [au, other]] ** 2 + EPSILON).sum(1)
            apart = scores[:, au] - scores[:, other]
            total += beta_together * 0.5 * TOGETHER[au, other] * (apart**2).mean()
            total += beta_compete * 0.5 * COMPETE[au, other] * (sizes**2).mean()
    return total


def lengths(weights):
    return np.sqrt((weights.reshape(PATCHES, -1, weights.shape[1]) ** 2).sum(1))


def solved(*arguments, steps=5000, **penalties):
    state = patch_learning.solve(problem(*arguments, **penalties), PATCHES, steps, 1e-7)
    return np.asarray(state.weights, np.float64), state


def test_objective_is_what_is_written():
    rows, labels = frames()
    weights = np.random.default_rng(1).normal(size=(12, AUS))
    expected = smooth(weights, rows, labels) + 0.02 * lengths(weights).sum()
    got = patch_learning.objective(jnp.asarray(weights, jnp.float32), problem(rows, labels), PATCHES)
    assert float(got) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_no_step_raises_the_objective(scale):
    rows, labels = frames(scale=scale)
    given = problem(rows, labels)
    step, state = jax.jit(patch_learning.step, static_argnums=(2, 3)), patch_learning.first_state(given)
    values, momenta = [float(state.objective)], []
    for _ in range(150):
        state = step(state, given, PATCHES, 0.0)
        values.append(float(state.objective))
        momenta.append(float(state.momentum))
        weights = np.asarray(state.weights, np.float64)
    assert values[0] == pytest.approx(smooth(np.zeros((12, AUS)), rows, labels), rel=1e-5)
    assert values[-1] == pytest.approx(smooth(weights, rows, labels) + 0.02 * lengths(weights).sum(), rel=1e-4)
    assert (np.diff(values) <= 0).all()
    assert values[-1] < values[10] < values[0]
    # It went faster and faster until it overshot, and a step was refused.
    assert max(momenta) > 5 and 1.0 in momenta


@pytest.mark.parametrize("penalties", [{}, {"beta_together": 0.0, "beta_compete": 0.0}, {"beta_compete": 0.5}])
def test_optimality_conditions_hold(penalties):
    """The problem is convex: nothing else is lower than where these hold."""
    rows, labels = frames()
    alpha = 0.05
    weights, state = solved(rows, labels, alpha=alpha, **penalties)
    assert bool(state.done)
    slope = approx_fprime(
        weights.ravel(), lambda flat: smooth(flat.reshape(weights.shape), rows, labels, **penalties), 1e-6
    ).reshape(weights.shape)
    sizes = lengths(weights)
    assert 0 < (sizes == 0).sum() < sizes.size
    balance = (slope + alpha * weights / np.repeat(np.maximum(sizes, 1e-12), 3, 0)).reshape(PATCHES, 3, AUS)
    kept = np.moveaxis(balance, 1, 2)[sizes > 0]
    np.testing.assert_allclose(kept, 0.0, atol=1e-3)
    assert (lengths(slope)[sizes == 0] <= alpha + 1e-4).all()


def test_optimum_is_that_of_a_generic_solver():
    rows, labels = frames(seed=2)
    weights, state = solved(rows, labels)
    # L-BFGS wants a smooth function: lengths are rounded off at the tip, less and less.
    flat = np.full(weights.size, 0.01)
    for tip in (1e-3, 1e-5, 1e-7, 1e-9):
        flat = minimize(
            lambda flat, tip=tip: (
                smooth(flat.reshape(weights.shape), rows, labels)
                + 0.02 * np.sqrt(lengths(flat.reshape(weights.shape)) ** 2 + tip).sum()
            ),
            flat,
            method="L-BFGS-B",
            options={"maxfun": 10**6, "maxiter": 10**4, "ftol": 1e-15, "gtol": 1e-10},
        ).x
    generic = flat.reshape(weights.shape)
    lowest = smooth(generic, rows, labels) + 0.02 * lengths(generic).sum()
    assert float(state.objective) == pytest.approx(lowest, rel=2e-4)
    np.testing.assert_allclose(weights, generic, atol=5e-3)


def convex(cvxpy, rows, labels, alpha, beta_together, beta_compete):
    """Weights [D, 3] and the objective, by CVXPY's interior point solver."""
    weights = cvxpy.Variable((rows.shape[1], AUS))
    scores = rows @ weights
    terms = []
    for au in range(AUS):
        known = np.flatnonzero(labels[:, au])
        margins = cvxpy.multiply(labels[known, au], scores[known, au])
        terms.append(cvxpy.sum(cvxpy.logistic(-margins)) / len(known))
        terms += [alpha * cvxpy.norm2(weights[part, au]) for part in np.split(np.arange(rows.shape[1]), PATCHES)]
        for other in range(au):
            apart = cvxpy.sum_squares(scores[:, au] - scores[:, other]) / len(rows)
            tips = np.full((1, len(rows)), np.sqrt(EPSILON))
            sizes = sum(
                cvxpy.norm2(cvxpy.vstack([cvxpy.reshape(scores[:, k], (1, len(rows)), order="C"), tips]), axis=0)
                for k in (au, other)
            )
            terms.append(0.5 * beta_together * TOGETHER[au, other] * apart)
            terms.append(0.5 * beta_compete * COMPETE[au, other] * cvxpy.sum(cvxpy.square(sizes)) / len(rows))
    problem = cvxpy.Problem(cvxpy.Minimize(sum(terms)))
    problem.solve(solver=cvxpy.CLARABEL)
    return weights.value, problem.value


@pytest.mark.parametrize(
    "relations", [(0.05, 0.03), (0.3, 0.2), (0.0, 0.0)], ids=["relations", "strong", "group lasso"]
)
def test_optimum_is_that_of_cvxpy(relations):
    cvxpy = pytest.importorskip("cvxpy", reason="make reference installs CVXPY")
    rows, labels = frames(seed=6)
    expected, lowest = convex(cvxpy, rows, labels, 0.04, *relations)
    weights, state = solved(rows, labels, alpha=0.04, beta_together=relations[0], beta_compete=relations[1])
    assert float(state.objective) == pytest.approx(lowest, rel=1e-5)
    np.testing.assert_allclose(weights, expected, atol=5e-3)
    assert (weights == 0).any() and np.abs(weights).max() > 0.1


def test_without_relations_and_with_patches_of_one_number_it_is_the_lasso_of_scikit_learn():
    rows, labels = frames(seed=3, size=1)
    alpha = 0.03
    weights, _ = solved(rows, labels, alpha=alpha, beta_together=0.0, beta_compete=0.0)
    for au in range(AUS):
        known = labels[:, au] != 0
        lasso = LogisticRegression(
            l1_ratio=1.0,
            solver="liblinear",
            C=1 / (alpha * known.sum()),
            fit_intercept=False,
            tol=1e-8,
            max_iter=10_000,
        )
        lasso.fit(rows[known], labels[known, au])
        np.testing.assert_allclose(weights[:, au], lasso.coef_[0], atol=1e-2)
    assert (weights == 0).any() and (weights != 0).any()


def test_without_relations_every_au_is_solved_on_its_own_labelled_rows():
    rows, labels = frames(seed=4)
    weights, _ = solved(rows, labels, beta_together=0.0, beta_compete=0.0)
    for au in range(AUS):
        known = labels[:, au] != 0
        alone = np.zeros((known.sum(), AUS))
        alone[:, au] = labels[known, au]
        expected, _ = solved(rows[known], alone, beta_together=0.0, beta_compete=0.0)
        np.testing.assert_allclose(weights[:, au], expected[:, au], atol=1e-2)


def test_the_patches_that_show_an_au_are_kept_and_others_dropped():
    rows, labels = frames(seed=5)
    weights, _ = solved(rows, labels, alpha=0.15)
    sizes = np.asarray(patch_learning.patch_norms(jnp.asarray(weights, jnp.float32), PATCHES))
    np.testing.assert_allclose(sizes, lengths(weights), rtol=1e-5)
    assert [np.flatnonzero(column).tolist() for column in sizes.T] == [[0], [1], [3]]


def test_relations_draw_scores_together_and_apart():
    rows, labels = frames(seed=6)

    def scores(**penalties):
        return rows @ solved(rows, labels, **penalties)[0]

    free = scores(beta_together=0.0, beta_compete=0.0)
    drawn = scores(beta_together=5.0, beta_compete=0.0)
    rivals = scores(beta_together=0.0, beta_compete=0.5)
    assert ((drawn[:, 0] - drawn[:, 1]) ** 2).mean() < 0.2 * ((free[:, 0] - free[:, 1]) ** 2).mean()
    assert np.abs(rivals[:, 0] * rivals[:, 2]).mean() < 0.5 * np.abs(free[:, 0] * free[:, 2]).mean()


def test_a_grid_is_solved_as_one_by_one():
    rows, labels = frames(seed=7)
    alphas, others = np.array([0.01, 0.1]), np.array([0.05, 0.0])
    _, grid = solved(rows, labels, alpha=alphas, beta_together=others, beta_compete=others)
    for number, (alpha, other) in enumerate(zip(alphas, others, strict=True)):
        alone, _ = solved(rows, labels, alpha=alpha, beta_together=other, beta_compete=other)
        np.testing.assert_allclose(grid.weights[number], alone, atol=1e-2)


def test_steps_are_bounded():
    rows, labels = frames()
    _, state = solved(rows, labels, steps=7)
    assert int(state.count) == 7 and not state.done


def test_relations_are_phi_coefficients_of_frames_with_both_labels():
    labels = np.array(
        [[1, 1, -1, 0], [1, 1, -1, 0], [1, -1, -1, 0], [-1, -1, 1, 0], [-1, -1, 1, 0], [0, 1, 1, 1]], np.int8
    )
    together, compete = patch_learning.relations(labels, together=0.3, compete=-0.1)
    # AUs 0 and 1: 2 both, 1 only the first, 2 neither of 5: (2 * 2 - 1 * 0) / sqrt(3 * 2 * 2 * 3).
    assert together[0, 1] == together[1, 0] == pytest.approx(4 / 6)
    # 0 and 2 are opposites; 1 and 2: of 6, 1 both, 2 only the first, 2 only the second, 1 neither: (1 - 4) / 9.
    np.testing.assert_array_equal(compete, [[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    assert (together > 0).sum() == 2
    # A threshold between them leaves the weaker pair out; AU 3 has one class only, so that no phi is defined.
    assert patch_learning.relations(labels, 0.7, -0.4)[1].sum() == 2
    assert patch_learning.relations(labels, 0.7, -0.4)[0].sum() == 0
