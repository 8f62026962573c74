"""Intensities: ICC and MAE by hand, by the definition from mean squares, and beside pingouin."""

import numpy as np
import pytest

from au_jax.evaluation import agreement
from au_jax.evaluation.intensity import (
    intensity_counts,
    intensity_icc,
    intensity_mae,
    intensity_results,
    mean_intensity,
    subject_intensity_counts,
)


def drawn(frames=80, seed=0, noise=0.7):
    generator = np.random.default_rng(seed)
    grades = generator.integers(0, 6, (frames, 2)).astype(np.int8)
    return grades, np.clip(grades + noise * generator.normal(size=grades.shape), 0, 5).astype(np.float32)


def test_the_errors_are_those_of_known_frames_by_hand():
    grades = np.array([[0, 3], [2, -1], [4, 1], [-1, 5]], np.int8)
    estimates = np.array([[0.5, 1.0], [2.0, 9.9], [3.25, np.nan], [0.0, 5.0]])
    counts = intensity_counts(grades, estimates)
    assert counts.frames.tolist() == [3, 2]
    assert intensity_mae(counts) == pytest.approx([(0.5 + 0 + 0.75) / 3, (2 + 0) / 2])
    assert mean_intensity(counts) == pytest.approx([2.0, 4.0])


def test_icc_is_that_of_its_mean_squares():
    grades, estimates = drawn()
    table = np.stack([grades[:, 0], np.round(estimates[:, 0].astype(float), 2)], 1).astype(float)
    between = 2 * table.mean(1).var(ddof=1)
    residual = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    error = (residual**2).sum() / (len(table) - 1)
    assert intensity_icc(intensity_counts(grades, estimates))[0] == pytest.approx((between - error) / (between + error))


def test_icc_of_letters_is_that_of_two_coders():
    grades = drawn()[0]
    others = np.clip(grades + np.random.default_rng(1).integers(-1, 2, grades.shape), 0, 5).astype(np.int8)
    present = np.ones_like(grades)
    expected = agreement.icc(
        agreement.agreement_counts(present, present, first_intensities=grades, second_intensities=others)
    )
    np.testing.assert_allclose(intensity_icc(intensity_counts(grades, others.astype(np.float32))), expected)


@pytest.mark.parametrize("seed", range(3))
def test_icc_agrees_with_pingouin(seed):
    pingouin, pandas = pytest.importorskip("pingouin"), pytest.importorskip("pandas")
    grades, estimates = drawn(30, seed)
    frame = pandas.DataFrame(
        {
            "frame": np.tile(np.arange(30), 2),
            "rater": np.repeat(["coder", "model"], 30),
            "rating": np.concatenate([grades[:, 0], np.round(estimates[:, 0], 2)]),
        }
    )
    rows = pingouin.intraclass_corr(frame, targets="frame", raters="rater", ratings="rating").set_index("Type")
    name = "ICC3" if "ICC3" in rows.index else "ICC(C,1)"
    assert intensity_icc(intensity_counts(grades, estimates))[0] == pytest.approx(
        float(rows.loc[name, "ICC"]), abs=1e-4
    )


def test_a_shift_is_consistent_and_an_estimate_of_one_value_is_not():
    grades = drawn()[0]
    assert intensity_icc(intensity_counts(grades, grades + 0.25)) == pytest.approx([1, 1])
    assert intensity_icc(intensity_counts(grades, np.full(grades.shape, 1.5))) == pytest.approx([0, 0])
    nobody = intensity_counts(np.full((3, 2), -1, np.int8), np.zeros((3, 2)))
    assert np.isnan([*intensity_icc(nobody), *intensity_mae(nobody), *mean_intensity(nobody)]).all()


def test_videos_of_a_subject_add_up_and_the_results_are_of_all_subjects():
    grades, estimates = drawn()
    parts = {"S1/T1": slice(0, 20), "S1/T2": slice(20, 50), "S2/T1": slice(50, 80)}
    by_subject = subject_intensity_counts(
        {key: grades[part] for key, part in parts.items()}, {key: estimates[part] for key, part in parts.items()}
    )
    assert list(by_subject) == ["S1", "S2"] and by_subject["S1"].frames.tolist() == [50, 50]
    results = intensity_results(list(by_subject.values()), (6, 12), replicates=50, level=0.9, seed=0)
    whole = intensity_counts(grades, estimates)
    assert [results["icc"][au] for au in ("6", "12")] == pytest.approx(intensity_icc(whole), abs=5e-4)
    assert results["mae"]["average"] == pytest.approx(intensity_mae(whole).mean(), abs=5e-4)
    assert results["frames"] == {"6": 80, "12": 80}
    low, high = results["intervals"]["mae"]["6"]
    assert low <= results["mae"]["6"] <= high and low < high


def test_an_au_without_estimates_is_undefined_and_left_out_of_the_average():
    grades, estimates = drawn()
    estimates[:, 1] = np.nan
    results = intensity_results([intensity_counts(grades, estimates)] * 2, (6, 12), replicates=5, level=0.9, seed=0)
    assert np.isnan(results["icc"]["12"]) and results["icc"]["average"] == results["icc"]["6"]
    assert results["frames"]["12"] == 0 and np.isnan(results["intervals"]["mae"]["12"]).all()
