"""Means over seeds against values by hand and SciPy's intervals."""

import numpy as np
import pytest
from scipy import stats

from au_jax.evaluation.comparison import markdown, over_seeds

RUNS = {1: {"hog_svm": 50.0, "anet": 60.0}, 0: {"hog_svm": 54.0, "anet": 61.0}}


def test_mean_deviation_and_interval_are_those_of_the_seeds():
    found = over_seeds(RUNS)
    assert found["seeds"] == [0, 1]
    anet = found["systems"]["anet"]
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


def test_a_single_seed_has_no_deviation_and_an_undefined_figure_stays_undefined():
    found = over_seeds({3: {"hog_svm": 50.0, "anet": np.nan}})
    assert found["systems"]["hog_svm"] == {"values": [50.0], "mean": 50.0, "sd": None, "interval": None}
    assert np.isnan(found["differences"]["anet - hog_svm"]["mean"])
    table = markdown(found, "F1-frame")
    assert "SD" not in table and "nan" not in table and "50.0" in table


def test_the_table_has_a_row_per_seed():
    lines = markdown(over_seeds(RUNS, RUNS), "F1-frame").splitlines()
    assert lines[0] == "F1-frame in percent over 2 seeds."
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert cells[0] == ["seed", "HOG+SVM", "ANet"]
    assert cells[2:5] == [["0", "54.0", "61.0"], ["1", "50.0", "60.0"], ["mean", "52.0", "60.5"]]
    assert ["ANet - HOG+SVM", "+8.50", "-10.56 to +27.56", "2.12", "+10.00"] in cells
    assert ["ANet", "+0.00", "+0.00 to +0.00", "0.00", "+0.00"] in cells
