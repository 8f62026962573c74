"""Bootstrap intervals over subjects: against a plain loop, and where the answer is known."""

import numpy as np
import pytest

from au_jax.evaluation.bootstrap import interval, replicate
from au_jax.evaluation.events import EventCounts, event_counts, f1_event, pooled_events
from au_jax.evaluation.metrics import Counts, average, f1, pooled


def _subjects(number=9, seed=0):
    rng = np.random.default_rng(seed)
    return [Counts(*rng.integers(0, 50, size=(4, 12))) for _ in range(number)]


def test_replicates_agree_with_adding_up_the_drawn_subjects_one_by_one():
    subjects = _subjects()
    values = replicate(subjects, f1, replicates=20, seed=3)
    weights = np.random.default_rng(3).multinomial(9, np.full(9, 1 / 9), size=20)
    for value, weight in zip(values, weights, strict=True):
        drawn = [subject for subject, times in zip(subjects, weight, strict=True) for _ in range(times)]
        assert len(drawn) == 9
        np.testing.assert_allclose(value, f1(pooled(drawn)))


def test_event_counts_resample_the_same_way():
    rng = np.random.default_rng(0)
    subjects = []
    for _ in range(5):
        labels, scores = rng.choice([-1, 1], size=(2, 60, 12))
        subjects.append(event_counts(labels, scores, np.zeros(60, int)))
    values = replicate(subjects, f1_event, replicates=7, seed=1)
    weights = np.random.default_rng(1).multinomial(5, np.full(5, 1 / 5), size=7)
    drawn = [subject for subject, times in zip(subjects, weights[0], strict=True) for _ in range(times)]
    np.testing.assert_allclose(values[0], f1_event(pooled_events(drawn)))
    assert isinstance(drawn[0], EventCounts) and values.shape == (7, 12)


def test_interval_holds_the_pooled_value_and_widens_with_its_level():
    subjects = _subjects(20)
    metric = lambda count: average(f1(count))[0]  # noqa: E731
    point = metric(pooled(subjects))
    narrow = interval(subjects, metric, replicates=2000, level=0.5, seed=0)
    wide = interval(subjects, metric, replicates=2000, level=0.95, seed=0)
    assert wide[0] < narrow[0] < point < narrow[1] < wide[1]


def test_equal_subjects_have_an_interval_of_no_width():
    lower, upper = interval(_subjects(1) * 6, f1, replicates=50, level=0.95, seed=0)
    np.testing.assert_allclose(lower, upper)


def test_interval_of_a_mean_agrees_with_the_normal_approximation():
    # Subject i has i hits of 100: the pooled recall is a mean over subjects, with a known standard error.
    hits = np.arange(100)
    subjects = [Counts(*(np.array([v]) for v in (h, 0, 100 - h, 0))) for h in hits]
    lower, upper = interval(subjects, lambda c: c.tp / (c.tp + c.fn), replicates=4000, level=0.95, seed=0)
    error = hits.std() / 100 / np.sqrt(100)
    assert lower[0] == pytest.approx(0.495 - 1.96 * error, abs=0.005)
    assert upper[0] == pytest.approx(0.495 + 1.96 * error, abs=0.005)


def test_a_seed_repeats_itself():
    subjects = _subjects()
    np.testing.assert_array_equal(replicate(subjects, f1, 30, seed=5), replicate(subjects, f1, 30, seed=5))
    assert np.any(replicate(subjects, f1, 30, seed=5) != replicate(subjects, f1, 30, seed=6))


def test_undefined_replicates_are_left_out():
    present = Counts(*(np.array([v, 0]) for v in (5, 1, 2, 8)))
    absent = Counts(*(np.array([v, 0]) for v in (0, 1, 0, 8)))
    values = replicate([present, absent], f1, replicates=64, seed=0)
    assert np.isnan(values[:, 0]).any() and not np.isnan(values[:, 0]).all()
    lower, upper = interval([present, absent], f1, replicates=64, level=0.9, seed=0)
    assert 0 < lower[0] <= upper[0] <= 1
    assert np.isnan(lower[1]) and np.isnan(upper[1])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="cannot resample 0 subjects 10 times"):
        replicate([], f1, 10, seed=0)
    with pytest.raises(ValueError, match="level is 95"):
        interval(_subjects(), f1, 10, level=95.0, seed=0)
