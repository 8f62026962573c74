"""Means over seeds against values by hand and SciPy's intervals; two runs on the same people against counting and resampling."""

import numpy as np
import pytest
from scipy import stats

from au_jax.errors import DataError
from au_jax.evaluation import tables
from au_jax.evaluation.comparison import (
    average_differences,
    check_same_frames,
    comparison_markdown,
    over_seeds,
    paired_differences,
    seeds_markdown,
)
from au_jax.evaluation.metrics import auc
from au_jax.evaluation.tables import Scored

RUNS = {1: {"hog_svm": 50.0, "anet": 60.0}, 0: {"hog_svm": 54.0, "anet": 61.0}}


def test_mean_deviation_and_interval_are_those_of_the_seeds():
    document = over_seeds(RUNS)
    assert document["seeds"] == [0, 1]
    anet = document["systems"]["anet"]
    assert anet["values"] == [61.0, 60.0] and anet["mean"] == 60.5
    # Squares of 0.5 and 0.5 over one; Student's t with one degree of freedom is 12.706.
    assert anet["sd"] == pytest.approx(0.5**0.5)
    assert anet["interval"] == pytest.approx([60.5 - 12.706 / 2, 60.5 + 12.706 / 2], abs=1e-3)


def test_differences_are_paired_by_seed():
    (name, spread), *others = over_seeds(RUNS)["differences"].items()
    assert name == "anet - hog_svm" and not others
    assert spread["values"] == [7.0, 10.0] and spread["mean"] == 8.5
    assert spread["interval"] == pytest.approx(stats.ttest_1samp([7.0, 10.0], 0.0).confidence_interval(0.95))


def test_runs_elsewhere_are_compared_seed_by_seed_on_the_systems_that_both_have():
    elsewhere = over_seeds(RUNS, {0: {"anet": 61.5}, 1: {"anet": 59.0}})["elsewhere"]
    assert list(elsewhere) == ["anet"]
    assert elsewhere["anet"]["values"] == [0.5, -1.0] and elsewhere["anet"]["mean"] == -0.25
    with pytest.raises(ValueError, match="same"):
        over_seeds(RUNS, {0: {"anet": 61.5}})


def test_a_single_seed_has_no_deviation_and_an_undefined_metric_stays_undefined():
    document = over_seeds({3: {"hog_svm": 50.0, "anet": np.nan}})
    assert document["systems"]["hog_svm"] == {"values": [50.0], "mean": 50.0, "sd": None, "interval": None}
    assert np.isnan(document["differences"]["anet - hog_svm"]["mean"])
    table = seeds_markdown(document, "F1-frame")
    assert "SD" not in table and "nan" not in table and "50.0" in table


def test_the_table_has_a_row_per_seed():
    lines = seeds_markdown(
        over_seeds(RUNS, RUNS), "F1-frame", {"hog_svm": "HOG+SVM", "anet": "ANet"}.__getitem__
    ).splitlines()
    assert lines[0] == "F1-frame in percent over 2 seeds."
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert cells[0] == ["seed", "HOG+SVM", "ANet"]
    assert cells[2:5] == [["0", "54.0", "61.0"], ["1", "50.0", "60.0"], ["mean", "52.0", "60.5"]]
    assert ["ANet - HOG+SVM", "+8.50", "-10.56 to +27.56", "2.12", "+10.00"] in cells
    assert ["ANet", "+0.00", "+0.00 to +0.00", "0.00", "+0.00"] in cells


def scored(skill, aus=3, subjects=6, seed=0):
    """Two folds of made-up scores; labels and frames follow from `seed` alone."""
    rng = np.random.default_rng(seed)
    folds = {}
    for fold in range(2):
        labels = {
            f"S{n}/T{t}": rng.choice([-1, 0, 1], (30, aus)).astype(np.int8)
            for n in range(fold, subjects, 2)
            for t in "12"
        }
        noise = {key: rng.normal(size=rows.shape) for key, rows in labels.items()}
        scores = {key: (skill * rows + noise[key]).round(1).astype(np.float32) for key, rows in labels.items()}
        folds[fold] = Scored(scores, labels, {key: np.arange(30) for key in labels})
    return folds


def merged(folds):
    whole = Scored({}, {}, {})
    for part in folds.values():
        whole.scores.update(part.scores)
        whole.labels.update(part.labels)
        whole.frames.update(part.frames)
    return whole


OPTIONS = {"replicates": 40, "level": 0.9, "f1_norm": "jeni", "seed": 3}


def test_paired_metrics_are_those_of_each_run_by_itself():
    first, second = scored(0.5), scored(1.0)
    pairs = paired_differences(first, second, aus=(1, 2, 12), **OPTIONS)
    for side, folds in (("a", first), ("b", second)):
        alone = tables.results({"x": folds}, aus=(1, 2, 12), **OPTIONS)["systems"]["x"]
        for name in ("f1_frame", "f1_micro", "f1_norm", "f1_event", "auc"):
            assert {au: pair[side] for au, pair in pairs[name].items()} == alone[name]
    for name, by_au in pairs.items():
        assert list(by_au) == (["average"] if name == "f1_micro" else ["1", "2", "12", "average"])
        for pair in by_au.values():
            assert pair["difference"] == pytest.approx(pair["b"] - pair["a"], abs=2e-3)
            assert pair["interval"][0] <= pair["difference"] + 5 and pair["interval"][0] < pair["interval"][1]


def test_the_interval_of_f1_is_that_of_the_table_of_one_run():
    first, second = scored(0.5), scored(1.0)
    pairs = paired_differences(first, second, aus=(1, 2, 12), **OPTIONS)
    table = tables.results({"a": first, "b": second}, aus=(1, 2, 12), **OPTIONS)["differences"]["b - a"]
    assert pairs["f1_frame"]["average"]["difference"] == pytest.approx(table["f1_frame"], abs=2e-3)
    # Subjects stand in another order there, so that the same draws meet other people.
    np.testing.assert_allclose(pairs["f1_frame"]["average"]["interval"], table["interval"], atol=4.0)


def test_areas_of_a_replicate_are_those_of_the_repeated_frames():
    from au_jax.evaluation.comparison import _resampled_auc

    folds, subjects = scored(0.7), [f"S{n}" for n in range(6)]
    areas = _resampled_auc(folds, subjects, 5, seed=1)
    draws = np.random.default_rng(1).multinomial(6, np.full(6, 1 / 6), size=5)
    for weights, row in zip(draws, areas, strict=True):
        of_folds = []
        for part in folds.values():
            keys = [key for key in part.scores for _ in range(weights[subjects.index(key.split("/")[0])])]
            if keys:
                of_folds.append(
                    auc(*(np.concatenate([rows[key] for key in keys]) for rows in (part.labels, part.scores)))
                )
        expected = np.nanmean(of_folds, 0)
        np.testing.assert_allclose(row, [*expected, expected.mean()])


def test_the_same_scores_differ_by_nothing_in_any_resampling():
    same = paired_differences(scored(0.5), scored(0.5), aus=(1, 2, 12), **OPTIONS)
    for by_au in same.values():
        assert all(pair["difference"] == 0 and pair["interval"] == [0, 0] for pair in by_au.values())


def test_an_au_that_never_occurs_is_undefined_on_both_sides():
    first, second = scored(0.5), scored(1.0)
    for folds in (first, second):
        for part in folds.values():
            for rows in part.labels.values():
                rows[:, 1] = np.minimum(rows[:, 1], -1)
    pairs = paired_differences(first, second, aus=(1, 2, 12), **OPTIONS)
    assert np.isfinite(pairs["f1_micro"]["average"]["difference"])
    for by_au in (pairs[name] for name in pairs if name != "f1_micro"):
        assert np.isnan([by_au["2"]["a"], by_au["2"]["difference"], *by_au["2"]["interval"]]).all()
        assert np.isfinite(by_au["average"]["difference"])
    run = {"name": "r", "system": "anet", "seconds": None, "peak_memory_mib": 3.0}
    text = comparison_markdown(
        {"runs": [run, run], "subjects": 6, "level": 0.9, "f1_norm": "jeni", "metrics": pairs}, str.upper
    )
    assert "nan" not in text and "# ANET and ANET on the same people" in text


def test_other_people_videos_frames_and_labels_are_refused_in_one_line():
    def refused(change, match):
        second = merged(scored(0.5))
        change(second)
        with pytest.raises(DataError, match=match) as caught:
            check_same_frames(merged(scored(0.5)), second, ("runs/a", "runs/b"))
        assert "\n" not in str(caught.value)

    check_same_frames(merged(scored(0.5)), merged(scored(1.0)), ("runs/a", "runs/b"))
    refused(
        lambda s: [s.scores.pop(key) for key in ("S3/T1", "S3/T2")], "runs/a and runs/b test different subjects .S3:"
    )
    refused(lambda s: s.scores.pop("S3/T1"), "different videos .S3/T1:")
    refused(lambda s: s.frames.update({"S3/T1": np.arange(29)}), "different frames of S3/T1")
    refused(lambda s: s.labels.update({"S3/T1": -s.labels["S3/T1"]}), "different labels of S3/T1")


def test_differences_of_many_systems_are_the_paired_ones_of_two():
    first, second = scored(0.5), scored(1.0)
    options = {"replicates": 40, "level": 0.9, "seed": 3}
    found = average_differences({"a": first, "b": second}, ["a"], **options)
    pairs = paired_differences(first, second, aus=(1, 2, 12), **OPTIONS)
    for name in ("f1_frame", "f1_micro", "f1_event"):
        pair = pairs[name]["average"]
        assert found["a"][name] == {"value": pair["a"], "a": {"difference": 0.0, "interval": [0.0, 0.0]}}
        assert found["b"][name] == {
            "value": pair["b"], "a": {name: pair[name] for name in ("difference", "interval")},
        }  # fmt: skip
