"""The rows of the page's tables, from results made by hand."""

from pathlib import Path

import pytest

from au_jax.config import Config
from au_jax.labels import PAPER_AUS
from au_jax.report import tabulate
from au_jax.run_dir import FinishedRun

NAN = float("nan")


def _metrics(value: float | None, low: float | None = None, high: float | None = None) -> dict:
    keys = [*(str(au) for au in PAPER_AUS), "average"]
    intervals = {"f1_frame": {key: [low, high] for key in keys}}
    return {"f1_frame": dict.fromkeys(keys, value), "auc": dict.fromkeys(keys, value), "intervals": intervals}


def _run(always: float | None, persistence: float = 99.0, **systems: float | None) -> FinishedRun:
    systems = {name: _metrics(value, 10.04, 90.06) for name, value in systems.items()}
    results = {"systems": systems, "always_present": _metrics(always), "persistence": _metrics(persistence)}
    return FinishedRun(Path("runs/x"), Config(), None, results)


def test_cells_have_one_digit_an_interval_where_there_is_one_and_the_best_marked():
    row = tabulate.headline_rows(_run(40.0, anet=50.12, hybrid=49.0))[0]
    assert (row.title, row.name) == ("AU 1", "inner brow raiser")
    assert row.cells == (
        tabulate.Cell("40.0"),
        tabulate.Cell("50.1", "10.0 to 90.1", best=True),
        tabulate.Cell("49.0", "10.0 to 90.1"),
    )


def test_metrics_that_read_the_same_are_equally_good():
    row = tabulate.headline_rows(_run(40.0, anet=50.12, hybrid=50.14))[-1]
    assert row.title == "Average"
    assert [cell.best for cell in row.cells] == [False, True, True]


@pytest.mark.parametrize("undefined", [None, NAN])
def test_undefined_is_a_dash_whether_null_or_nan(undefined):
    row = tabulate.headline_rows(_run(undefined, anet=undefined, hybrid=3.0))[4]
    assert [cell.text for cell in row.cells] == ["–", "–", "3.0"]
    assert [cell.best for cell in row.cells] == [False, False, True]


def test_persistence_is_never_best():
    rows = tabulate.average_rows(_run(40.0, anet=50.0))
    assert [row.title for row in rows] == ["F1-frame", "AUC"]
    assert [cell.best for cell in rows[0].cells] == [False, True, False]


def test_best_system_is_the_later_of_equals_and_never_an_undefined_one():
    assert _run(1.0, anet=50.0, hybrid=50.0).best_system == "hybrid"
    assert _run(1.0, anet=0.0, hybrid=None).best_system == "anet"
    assert _run(1.0, hog_svm=NAN, anet=NAN).best_system == "anet"


def test_verdict_says_whichever_way_it_came_out():
    assert tabulate.verdict(_run(40.0, hog_svm=41.0, anet=55.0)).startswith(
        "ANet has the highest average F1-frame, 55.0"
    )
    assert "No system is better on average" in tabulate.verdict(_run(40.0, anet=39.9))
    assert "undefined" in tabulate.verdict(_run(NAN, anet=NAN))


def test_costs_add_up_over_folds_and_keep_the_highest_memory():
    stages = {
        "prepare": {"seconds": 9.0, "peak_memory_mib": 5.0},
        "fold_00/anet/cnn": {"seconds": 1.0, "peak_memory_mib": 30.0},
        "fold_01/anet/cnn": {"seconds": 2.5, "peak_memory_mib": 20.0},
    }
    assert tabulate.cost_rows(stages) == [
        {"stage": "prepare", "folds": 0, "seconds": 9.0, "peak": 5.0},
        {"stage": "anet/cnn", "folds": 2, "seconds": 3.5, "peak": 30.0},
    ]


def test_intensities_have_two_digits_intervals_and_no_best_one():
    run = _run(40.0, anet=50.0, hybrid=51.0)
    assert tabulate.intensity_rows(run) == ([], [])
    keys = [*(str(au) for au in PAPER_AUS), "average"]
    figures = {"icc": 0.456, "mae": 0.3, "mae_of_zero": 0.5, "frames": 9}
    document = {name: dict.fromkeys(keys, value) for name, value in figures.items()}
    document["mae"]["2"] = None
    bounds = {"icc": [0.4, 0.5], "mae": [None, None]}
    document["intervals"] = {name: dict.fromkeys(keys, value) for name, value in bounds.items()}
    run.results["systems"]["anet"]["intensity"] = document
    columns, rows = tabulate.intensity_rows(run)
    assert columns == ["ANet, ICC(3,1)", "ANet, MAE", "MAE of always 0"]
    assert rows[0].cells == (tabulate.Cell("0.46", "0.40 to 0.50"), tabulate.Cell("0.30"), tabulate.Cell("0.50"))
    assert rows[1].cells[1].text == "–" and rows[-1].title == "Average"
