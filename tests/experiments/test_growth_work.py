"""The works whose growth is measured do what they say."""

import numpy as np
import pytest

from experiments import growth_work


def _films(people):
    return np.stack([np.full((24, 200, 200, 3), 10 * person + 1, np.uint8) for person in range(people)])


def test_so_many_people_stand_in_places_of_their_own():
    (picture,) = growth_work.crowd(_films(10), frames=1, count=7)
    assert picture.shape == (400, 1000, 3)
    places = picture[100::200, 100::200, 0]
    assert places.tolist() == [[1, 11, 21, 31, 41], [51, 61, 120, 120, 120]]


def test_films_go_forward_and_backward_without_a_jump():
    numbers = list(growth_work._there_and_back(8, 4))
    assert numbers == [0, 1, 2, 3, 2, 1, 0, 1]


def test_pictures_have_about_the_pixels_asked_for():
    picture = next(growth_work.enlarged(_films(1)[0], frames=2, pixels=10_000))
    assert picture.shape == (100, 100, 3)


@pytest.mark.parametrize(("times", "seconds", "works"), [((5, 11), 6, 2), ((5, 8, 10), 2, 3), ((5, 8, 12), 3, 3)])
def test_only_the_whole_work_is_measured_twice_where_it_is_short(monkeypatch, times, seconds, works):
    clock, peak, done = iter(times), iter([100.0, 130.0]), []
    monkeypatch.setattr(growth_work.time, "process_time", lambda: float(next(clock)))
    monkeypatch.setattr(growth_work, "_peak_mib", lambda: next(peak))
    assert growth_work.measure(done.append) == {"seconds": seconds, "mib": 30.0}
    assert done == [True, False, False][:works]


@pytest.mark.slow
def test_tables_are_made():
    growth_work._tables(subjects=6, aus=2)(False)
