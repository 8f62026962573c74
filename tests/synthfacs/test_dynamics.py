"""AU intensities over time: base rates, correlations, durations, and labels."""

import dataclasses

import numpy as np
import pytest

from au_jax.synthfacs import AUS, dynamics
from au_jax.synthfacs.presets import BP4D_RATES, CLEAR, get_preset
from au_jax.synthfacs.video import subject_names, video_codes, video_intensities, video_names

# Published numbers of BP4D.
CORRELATIONS = {
    (6, 12): 0.54,
    (6, 7): 0.54,
    (10, 12): 0.53,
    (6, 10): 0.50,
    (1, 2): 0.46,
    (17, 24): 0.42,
    (4, 12): -0.26,
}
MEDIAN_EVENT = (32, 34, 32, 82, 77, 87, 123, 62, 19, 20, 18, 24)


@pytest.fixture(scope="module")
def bp4d():
    """Presence [T, 12] of every video of BP4D's people, lengths and base rates."""
    preset = CLEAR
    return [
        video_intensities(preset, 0, subject, video)[0] >= 1.0
        for subject in subject_names(preset)
        for video in video_names(preset, subject)
    ]


def test_base_rates_are_those_of_bp4d(bp4d):
    rates = np.concatenate(bp4d).mean(0)
    np.testing.assert_allclose(rates, BP4D_RATES, atol=0.03)
    assert abs(rates.sum() - 4.05) < 0.15  # AUs active in a frame


def test_correlations_are_those_of_bp4d(bp4d):
    matrix = np.corrcoef(np.concatenate(bp4d).T.astype(float))
    for (a, b), published in CORRELATIONS.items():
        assert abs(matrix[AUS.index(a), AUS.index(b)] - published) < 0.12, (a, b)


def test_events_last_as_long_as_in_bp4d(bp4d):
    for k, published in enumerate(MEDIAN_EVENT):
        lengths = []
        for video in bp4d:
            edges = np.diff(np.concatenate([[0], video[:, k].astype(int), [0]]))
            lengths += list(np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0))
        assert 0.5 < np.median(lengths) / published < 1.4, AUS[k]


def test_videos_open_at_rest_and_onsets_take_time():
    preset = CLEAR  # the numbers below are frames at 25 a second
    steps, peaks = [], []
    for subject in subject_names(preset)[:12]:
        intensities, _ = video_intensities(preset, 1, subject, "T1")
        assert intensities[:7].max() < 0.5
        steps.append(np.diff(intensities, axis=0).max())
        peaks.append(intensities.max())
    assert max(steps) < 1.5  # nothing jumps by two FACS levels between frames
    assert max(peaks) > 4.0


def test_offsets_are_slower_than_onsets():
    intensities = np.concatenate([video_intensities(CLEAR, 2, s, "T1")[0] for s in ("F001", "F002", "M001", "M002")])
    steps = np.diff(intensities, axis=0)
    assert np.percentile(steps[steps > 0.02], 95) > 1.2 * np.percentile(-steps[steps < -0.02], 95)


def test_people_differ_in_their_rates():
    preset = dataclasses.replace(CLEAR, videos_per_subject=4)
    rates = [
        np.concatenate([video_intensities(preset, 0, s, f"T{v}")[0] >= 1 for v in (1, 2, 3, 4)]).mean(0)
        for s in subject_names(preset)[:16]
    ]
    assert np.std(rates, axis=0).mean() > 0.08


def test_gft_like_has_half_the_rates_at_level_b():
    preset = dataclasses.replace(get_preset("gft_like"), frames_per_video=600)
    present = [video_codes(preset, 0, s, "T1")[0] >= 2.0 for s in subject_names(preset)]
    assert abs(np.concatenate(present).mean(0).sum() - 2.025) < 0.35


def test_faint_intensities_keep_their_order_and_what_is_present():
    intensities = np.array([0.0, 0.9, 1.0, 1.5, 2.0, 3.5, 5.0])
    # At level B: half of the way from 2 to 5, to the power 2, is a quarter of it.
    np.testing.assert_allclose(dynamics.faint(intensities, 2.0, 2.0), [0, 0.9, 1, 1.5, 2, 2.75, 5])
    weak = dynamics.faint(np.linspace(0, 5, 101), 1.0, 1.4)
    assert (np.diff(weak) >= 0).all() and ((weak >= 1) == (np.linspace(0, 5, 101) >= 1)).all()
    assert dynamics.faint(intensities, 1.0, 1.0) is intensities


def test_coders_differ_on_faint_aus_and_nowhere_else():
    # Every AU stays as it is for the whole video: nothing can be early or late.
    truth = np.tile([0.0, 0.0, 0.3, 0.6, 0.9, 1.0, 1.1, 1.4, 2.0, 3.0, 4.0, 5.0], (4000, 1))
    one, two = (dynamics.coded(np.random.default_rng(seed), truth, 1.0, 0.2, 25.0) for seed in (1, 2))
    differ = ((one >= 1.0) != (two >= 1.0)).mean(0)
    assert (differ[[0, 1, 2, 9, 10, 11]] == 0).all() and differ[[4, 5, 6]].max() > 0.1
    np.testing.assert_array_equal(one[:, 9:], truth[:, 9:])
    assert not one[:, :2].any()


def test_coders_differ_in_when_an_au_begins_and_ends():
    truth = np.zeros((500, 12))
    truth[200:300] = 5.0
    seen = dynamics.coded(np.random.default_rng(0), truth, 1.0, 0.8, 25.0) >= 1.0
    onsets = seen.argmax(0)
    # A deviation of 0.8 * 0.25 s * 25 frames = 5 frames.
    assert len(set(onsets)) > 4 and np.abs(onsets - 200).max() < 25
    assert not seen[:150].any() and seen[230:270].all()


def test_a_coders_error_leaves_the_base_rates_and_lowers_the_agreement():
    preset = dataclasses.replace(CLEAR, videos_per_subject=1, frames_per_video=200)
    careless = dataclasses.replace(preset, coder_error=0.4)

    def codes(which, coder):
        return np.concatenate([video_codes(which, 0, name, "T1", coder)[1] for name in subject_names(which)])

    exact = codes(preset, 0)
    np.testing.assert_array_equal(exact, codes(preset, 1))
    first, second = codes(careless, 0), codes(careless, 1)
    known = first != 0
    assert 0.02 < (first != second)[known].mean() < 0.2
    present = [(labels == 1).sum() / (labels != 0).sum() for labels in (exact, first)]
    assert abs(present[0] - present[1]) < 0.03


def test_labels_by_level_and_missing_frames():
    intensities = np.array([[0.4] * 12, [1.0] * 12, [1.9] * 12, [2.0] * 12], np.float32)
    missing = np.array([False, False, True, False])
    np.testing.assert_array_equal(dynamics.to_labels(intensities, "A", missing)[:, 0], [-1, 1, 0, 1])
    np.testing.assert_array_equal(dynamics.to_labels(intensities, "B")[:, 5], [-1, -1, -1, 1])
    assert dynamics.to_labels(intensities, "A").dtype == np.int8
    with pytest.raises(ValueError, match="level 'X'"):
        dynamics.to_labels(intensities, "X")


def test_missing_bursts_have_the_wanted_share_and_lengths():
    rng = np.random.default_rng(0)
    mask = np.stack([dynamics.missing_frames(rng, 450, 0.05) for _ in range(300)])
    assert abs(mask.mean() - 0.05) < 0.01
    edges = np.diff(np.pad(mask.astype(int), ((0, 0), (1, 1))), axis=1)
    lengths = np.nonzero(edges < 0)[1] - np.nonzero(edges > 0)[1]
    assert lengths.min() >= 3 and np.median(lengths) < 25
    assert not dynamics.missing_frames(rng, 450, 0.0).any()


def test_latent_correlation_is_positive_definite():
    matrix = dynamics.latent_correlation()
    assert np.linalg.eigvalsh(matrix).min() > 0.01
    np.testing.assert_allclose(np.diag(matrix), 1.0)
