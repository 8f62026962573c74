"""One person: bounded, the same for the same seed, and moved by AUs up to what a muscle can."""

import numpy as np

from au_jax.synthfacs.expression import DRIVERS
from au_jax.synthfacs.identity import draw_identity, expression_drive, relief_weights, shape_drive
from au_jax.synthfacs.presets import AUS
from au_jax.synthfacs.relief import PARTS


def person(seed=0, **options):
    return draw_identity(np.random.default_rng(seed), **options)


def test_people_are_bounded_and_follow_from_their_seed():
    people = [person(seed) for seed in range(30)]
    assert all(
        np.abs(one.shape).max() < 4 and 0.6 <= one.au_strength.min() <= one.au_strength.max() <= 1.4 for one in people
    )
    assert all((0.04 <= one.skin).all() and (one.skin <= 0.9).all() for one in people)
    np.testing.assert_array_equal(person(3).shape, people[3].shape)
    assert (people[1].shape != people[2].shape).any()
    assert not person(4, woman=True).beard["beard"] and not shape_drive(person(5, spread=0.0)).any()


def test_an_intensity_drives_its_au_and_no_other():
    identity, jaw = person(), np.array([0.0, 0.5])
    intensities = np.zeros((2, len(AUS)))
    intensities[1, AUS.index(12)] = 5.0
    drive = expression_drive(identity, intensities, 1.0, jaw)
    moved = drive[1] - drive[0]
    assert {DRIVERS[row] for row in np.flatnonzero(moved.any(1))} == {"AU12", "jaw"}
    assert 0.5 < drive[1, AUS.index(12)].min() <= drive[1, AUS.index(12)].max() <= 1.35
    strong = expression_drive(identity, intensities, 10.0, jaw)
    assert strong[1, AUS.index(12)].max() <= 1.35


def test_a_smile_carves_the_nasolabial_fold_and_nothing_is_carved_at_rest():
    identity = person()
    intensities = np.zeros((2, len(AUS)))
    intensities[1, AUS.index(12)] = 4.0
    weights = relief_weights(identity, expression_drive(identity, intensities, 1.0, np.zeros(2)))
    assert not weights[0].any()
    assert {PARTS[row] for row in np.flatnonzero(weights[1].any(1))} == {"nasolabial", "nasolabial_low", "bulge12"}


def test_ages_and_skins_stay_where_they_are_asked_for():
    young = [person(seed, ages=(0.0, 0.2), skins=(1.2, 2.8)) for seed in range(200)]
    assert max(one.age for one in young) <= 0.2
    # The mean of a beta distribution is a / (a + b).
    assert abs(np.mean([one.melanin for one in young]) - 0.3) < 0.05
    plain, same = person(3), person(3, ages=(0.0, 1.0), skins=(0.9, 1.1))
    assert (plain.age, plain.melanin) == (same.age, same.melanin)
