"""CPM's two problems against SciPy's L-BFGS, and its rounds against a plain version that is written from the paper; easy
and hard samples by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from au_jax.systems.cpm import classifiers, model

SETTINGS = classifiers.CPMSettings(
    gamma_s=0.08, gamma_d=0.5, gamma_t=0.1, gamma_i=0.3, gamma_tpn=0.2, relabelling="localized", tau=0.9, window=2,
    iterations=20, tolerance=1e-5,
)  # fmt: skip


def generic(value, size):
    found = minimize(value, np.zeros(size), method="L-BFGS-B", options={"maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-9})
    return found.x, found.fun


def hinge(targets, scores):
    return (np.abs(targets) * np.maximum(1 - targets * scores, 0) ** 2).sum()


def frames(generator, count, size=4, shift=0.0):
    """Rows of unit length and a column of ones, as CPM has them."""
    rows = generator.normal(size=(count, size)) + shift
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.concatenate([rows, np.ones((count, 1))], 1)


def single(*arrays):
    return [jnp.asarray(array, jnp.float32) for array in arrays]


def pair_value(pair, rows, targets, own, tie):
    return (
        SETTINGS.gamma_s * (pair**2).sum()
        + SETTINGS.gamma_d * ((pair[0] - pair[1]) ** 2).sum()
        + sum(hinge(target, part @ pair.T) for part, target in zip(rows, targets, strict=True))
        + tie * ((pair - own) ** 2).sum()
    )


def laplacian(video, cut):
    """W of the notes for a window of 2, written from its definition."""
    near = np.exp(-0.5 * (2.5 * np.array([0.5, 1.0])) ** 2)
    near *= 0.5 / near.sum()
    matrix = np.zeros((len(video), len(video)))
    for i in range(len(video)):
        for j in range(len(video)):
            if 0 < abs(i - j) <= 2 and video[i] == video[j] >= 0 and not cut[i, j]:
                matrix[i, j] -= near[abs(i - j) - 1]
                matrix[i, i] += near[abs(i - j) - 1]
    return matrix


def too_different(rows, virtual):
    squared = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    chosen = np.flatnonzero(virtual > 0)
    if len(chosen) < 2:
        return np.zeros(squared.shape, bool)
    return squared > 1.5 * np.mean([squared[i, j] for i in chosen for j in chosen if i != j])


def own_value(own, rows, video, virtual, pair):
    rough = laplacian(video, too_different(rows, virtual)) @ rows @ own
    return (
        SETTINGS.gamma_t * (own**2).sum()
        + hinge(virtual, rows @ own)
        + SETTINGS.gamma_tpn * ((own - pair) ** 2).sum()
        + SETTINGS.gamma_i * (rough**2).sum()
    )


def test_confident_pair_is_the_minimum_that_a_generic_solver_finds():
    generator = np.random.default_rng(0)
    rows = [frames(generator, 60), frames(generator, 20)]
    targets = [np.sign(generator.normal(size=(60, 2))), np.sign(generator.normal(size=(20, 2)))]
    own = generator.normal(size=5)
    best, lowest = generic(lambda flat: pair_value(flat.reshape(2, 5), rows, targets, own, 0.7), 10)
    pair, value = classifiers.confident_pair(
        single(*rows), single(*targets), jnp.zeros((2, 5)), *single(own, 0.7, np.eye(5)), SETTINGS
    )
    np.testing.assert_allclose(pair, best.reshape(2, 5), atol=2e-3)
    assert float(value) == pytest.approx(lowest, rel=1e-5)
    assert np.abs(pair[0] - pair[1]).max() > 0.1


def test_own_classifier_is_the_minimum_that_a_generic_solver_finds():
    generator = np.random.default_rng(1)
    rows, pair = frames(generator, 30), generator.normal(size=(2, 5))
    video = np.repeat([0, 1, -1, 1], [10, 10, 2, 8])
    virtual = np.where(generator.random(30) < 0.6, np.sign(generator.normal(size=30)), 0.0) * (video >= 0)
    assert 0 < (too_different(rows, virtual) & (laplacian(video, np.zeros((30, 30))) < 0)).sum()
    best, lowest = generic(lambda own: own_value(own, rows, video, virtual, pair), 5)
    own, value = classifiers.own_classifier(
        classifiers.Subject(*single(rows), jnp.asarray(video)), *single(virtual, pair, np.zeros(5), np.eye(5)), SETTINGS
    )
    np.testing.assert_allclose(own, best, atol=2e-3)
    assert float(value) == pytest.approx(lowest, rel=1e-5)


def plain_rounds(rows, labels, subject, video):
    """Iterative CPM as the paper's algorithm reads, with a generic solver: (w_t, rounds, whether it is the subject's)."""
    squared = ((rows[:, None] - rows[None]) ** 2).sum(-1)

    def fit_pair(targets, virtual, own, tie):
        parts, wanted = [rows, subject], [targets, np.stack([virtual, virtual], 1)]
        best, value = generic(lambda flat: pair_value(flat.reshape(2, -1), parts, wanted, own, tie), 2 * rows.shape[1])
        return best.reshape(2, -1), value

    virtual, own, values, personal = np.zeros(len(subject)), np.zeros(rows.shape[1]), np.full(2, np.inf), False
    pair, _ = fit_pair(np.stack([labels, labels], 1), virtual, own, 0.0)
    for number in range(SETTINGS.iterations):
        hard = (np.sign(rows @ pair.T) != labels[:, None]).any(1) & (labels != 0)
        targets = np.stack([labels, labels], 1)
        for side, column in ((1, 0), (-1, 1)):
            same = np.flatnonzero(hard & (labels == side))
            for row in np.flatnonzero(hard & (labels == -side)):
                if len(same) and squared[row, same].min() <= SETTINGS.tau:
                    targets[row, column] = side
        pair, first = fit_pair(targets, virtual, own, SETTINGS.gamma_tpn if number else 0.0)
        signs = np.sign(subject @ pair.T)
        virtual = np.where((signs[:, 0] == signs[:, 1]) & (video >= 0), signs[:, 0], 0.0)
        personal = (virtual > 0).any() and (virtual < 0).any()
        own, second = pair.mean(0), 0.0
        if personal:
            own, second = generic(lambda w, pair=pair, virtual=virtual: own_value(w, subject, video, virtual, pair), 5)
        virtual = np.where(np.sign(subject @ own) == virtual, virtual, 0.0)
        change, values = np.abs(values - [first, second]), np.array([first, second])
        if (change <= SETTINGS.tolerance * np.maximum(np.abs(values), 1)).all():
            break
    return own, number + 1, personal


@pytest.mark.slow
def test_rounds_for_several_subjects_at_once_are_those_of_the_plain_algorithm_for_each():
    generator = np.random.default_rng(2)
    rows, truth = frames(generator, 60), generator.normal(size=5)
    labels = np.sign(rows @ truth + 0.6 * generator.normal(size=60))
    labels[::9] = 0.0
    # Two people, one who never shows the AU, and one whose face is never found.
    subjects = np.stack([frames(generator, 16, shift=shift) for shift in (0.0, 0.7, -6.0 * truth[:4], 0.0)])
    video = np.tile(np.repeat([0, 1, -1], [7, 7, 2]), (4, 1))
    video[3] = -1
    known = model.examples(*single(rows, labels), SETTINGS)
    adapted = model.adapt(
        known,
        model.initial_pair(known, SETTINGS),
        classifiers.Subject(*single(subjects), jnp.asarray(video)),
        SETTINGS,
    )
    expected = [plain_rounds(rows, labels, subject, own) for subject, own in zip(subjects, video, strict=True)]
    for number, (own, rounds, personal) in enumerate(expected):
        assert bool(adapted.personal[number]) == personal
        # At the end of the last round single precision may say "no change" a round sooner or later.
        assert abs(int(adapted.rounds[number]) - rounds) <= 1
        np.testing.assert_allclose(adapted.weights[number], own, atol=5e-3)
    assert [personal for _, _, personal in expected] == [True, True, False, False]
    assert max(rounds for _, rounds, _ in expected) > 2


def test_adaptation_learns_what_tells_in_this_person_alone():
    """Training knows one poor sign of the AU; in this person another sign tells it well."""
    generator = np.random.default_rng(4)

    def people(count, own):
        truth = np.sign(generator.normal(size=count))
        known, unknown = truth + generator.normal(size=count), own * truth + 0.3 * generator.normal(size=count)
        return truth, np.stack([known, unknown, np.ones(count)], 1)

    labels, rows = people(300, own=0.0)
    truth, person = people(80, own=2.0)
    settings = classifiers.CPMSettings(**{**SETTINGS.__dict__, "gamma_tpn": 1e-4, "gamma_d": 0.08})
    known = model.examples(*single(rows, labels), settings)
    start = model.initial_pair(known, settings)
    subject = classifiers.Subject(*single(person[None]), jnp.zeros((1, 80), jnp.int32))
    own = np.asarray(model.adapt(known, start, subject, settings).weights[0])
    assert 0.7 < np.mean(np.sign(person @ np.asarray(start[0])) == truth) < 0.95
    assert np.mean(np.sign(person @ own) == truth) > 0.98


def floats(*values):
    return jnp.asarray(values, jnp.float32)


def test_easy_is_what_both_classifiers_get_right():
    scores = floats([2.0, 1.0], [2.0, -1.0], [-1.0, -3.0], [1.0, 1.0], [0.0, 1.0])
    easy = model.easy(scores, floats(1, 1, -1, -1, 1))
    assert easy.tolist() == [True, False, True, False, False]


def test_holistic_relabelling_gives_all_hard_rows_to_each_side_in_turn():
    labels, easy = floats(1, -1, 1, -1, 0), jnp.array([True, True, False, False, False])
    targets = model.relabel(labels, easy, jnp.zeros((5, 5)), "holistic")
    # Rows: easy +, easy -, hard +, hard -, no label; columns: w+, w-.
    assert targets.tolist() == [[1, 1], [-1, -1], [1, -1], [1, -1], [0, 0]]


def test_localized_relabelling_keeps_labels_of_hard_rows_far_from_hard_rows_of_the_other_class():
    labels = floats(1, -1, -1, 1, -1)
    easy = jnp.array([False, False, False, True, False])
    near = np.eye(5, dtype=np.float32)
    # Hard - 1 lies beside hard + 0; hard - 2 beside easy + 3 alone, which counts for nothing; hard - 4 beside no other.
    near[0, 1] = near[1, 0] = near[2, 3] = near[3, 2] = 1.0
    targets = model.relabel(labels, easy, jnp.asarray(near), "localized")
    assert targets.tolist() == [[1, -1], [1, -1], [-1, -1], [1, 1], [-1, -1]]


def test_virtual_labels_are_the_signs_on_which_the_pair_agrees():
    scores = floats([0.5, 2.0], [-0.5, -2.0], [0.5, -2.0], [-0.5, 2.0], [0.0, 1.0])
    assert model.virtual_labels(scores).tolist() == [1, -1, 0, 0, 0]


@pytest.mark.parametrize("swap", [1, -1])
def test_radius_is_where_the_rarer_class_stops_keeping_to_itself(swap):
    # Three rare rows at mutual squared distance 0.1, four others at 0.7 and 0.9 from each of them, one row unlabelled.
    squared = np.full((8, 8), 0.0)
    squared[:3, :3] = 0.1 * (1 - np.eye(3))
    squared[:3, 3:5] = squared[3:5, :3] = 0.7
    squared[:3, 5:] = squared[5:, :3] = 0.9
    labels = swap * np.array([1, 1, 1, -1, -1, -1, -1, 0])
    # Up to 0.7 there are 6 pairs within the class and none across, then 6 and 6.
    got = model.class_radius(jnp.asarray(squared, jnp.float32), floats(*labels))
    assert float(got) == pytest.approx(0.7, abs=2e-3)
