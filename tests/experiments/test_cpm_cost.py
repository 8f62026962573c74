"""CPM's time: made-up descriptors, and the exponent of growth."""

import numpy as np
import pytest

from experiments import cpm_cost

SMALL = cpm_cost.Size(training=110, frames=30, features=20, people=2)


def test_the_exponent_of_seconds_that_grow_with_the_square_is_two():
    assert cpm_cost.exponent((1, 2, 4, 8), [3.0, 12.0, 48.0, 192.0]) == pytest.approx(2.0)


def test_descriptors_are_of_unit_length_with_a_one_behind_and_every_person_differs():
    rows, labels, subjects = cpm_cost.random_descriptors(SMALL)
    assert rows.shape == (110, 21) and labels.shape == (110,) and subjects.rows.shape == (2, 30, 21)
    np.testing.assert_allclose(np.linalg.norm(rows[:, :-1], axis=1), 1.0, rtol=1e-5)
    assert (np.asarray(rows)[:, -1] == 1.0).all() and set(np.asarray(labels)) == {-1.0, 1.0}
    first, second = np.asarray(subjects.rows).mean(1)
    assert np.abs(first - second).max() > 0.05


def test_descriptors_tell_the_au_only_in_part():
    rows, labels, _ = cpm_cost.random_descriptors(cpm_cost.Size(training=4000, features=50))
    rows, labels = np.asarray(rows, np.float64), np.asarray(labels)
    weights = np.linalg.lstsq(rows, labels, rcond=None)[0]
    right = (np.sign(rows @ weights) == labels).mean()
    assert 0.75 < right < 0.97


def test_a_size_is_measured_by_running_cpm():
    seconds, rounds = cpm_cost.measure(SMALL)
    assert seconds > 0.0 and 1.0 <= rounds <= 20.0
