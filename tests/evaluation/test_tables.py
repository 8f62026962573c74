"""Results from saved scores: pooled over folds, trivial predictors beside, undefined AUs shown as such."""

import numpy as np
import pytest

from au_jax import files
from au_jax.evaluation import tables
from au_jax.labels import PAPER_AUS


def scored(rows, subject="A"):
    """Videos of one subject; rows: video -> (scores of AU 1, labels of AU 1). The other AUs are never present."""
    scores, labels, frames = {}, {}, {}
    for video, (score, label) in rows.items():
        key = f"{subject}/{video}"
        scores[key] = np.full((len(score), 12), -1.0, np.float32)
        labels[key] = np.full((len(score), 12), -1, np.int8)
        scores[key][:, 0], labels[key][:, 0] = score, label
        frames[key] = np.arange(1, len(score) + 1, dtype=np.int32)
    return tables.Scored(scores, labels, frames)


def merged(*parts):
    """Several subjects' scores as those of one fold."""
    columns = ("scores", "labels", "frames")
    return tables.Scored(
        *({key: row for part in parts for key, row in getattr(part, name).items()} for name in columns)
    )


def computed(folds):
    return tables.results({"anet": folds}, aus=PAPER_AUS, replicates=20, level=0.95, f1_norm="jeni", seed=0)


FOLDS = {
    0: scored({"1": ([1, 1, -1], [1, -1, 1])}, "A"),  # tp 1, fp 1, fn 1
    1: scored({"1": ([1, -1, -1], [1, 0, -1])}, "B"),  # tp 1, tn 1, one frame missing
}


def test_frames_of_all_folds_are_pooled():
    anet = computed(FOLDS)["systems"]["anet"]
    assert anet["counts"]["1"] == {"tp": 2, "fp": 1, "fn": 1, "tn": 1}
    assert anet["f1_frame"]["1"] == pytest.approx(100 * 4 / 6, abs=1e-3)


def test_the_mean_of_folds_is_told_beside():
    assert computed(FOLDS)["systems"]["anet"]["f1_frame_folds"]["1"] == pytest.approx((50 + 100) / 2)


def test_always_present_and_persistence_stand_beside():
    document = computed(FOLDS)
    # Five labelled frames, three positive: 2 p / (1 + p).
    assert document["always_present"]["f1_frame"]["1"] == pytest.approx(100 * 6 / 8, abs=1e-3)
    # Of fold 0 it says absent, present, absent; of fold 1 absent, present, present: no hit.
    assert document["persistence"]["f1_frame"]["1"] == 0.0


def test_differences_of_neighbouring_systems_are_paired_over_subjects():
    # The second system is right wherever the first is, and in one frame more, for each of twenty subjects.
    worse = {0: merged(*(scored({"1": ([1, 1, -1, -1], [1, -1, 1, 1])}, f"S{n:02d}") for n in range(20)))}
    better = {0: merged(*(scored({"1": ([1, 1, 1, -1], [1, -1, 1, 1])}, f"S{n:02d}") for n in range(20)))}
    document = tables.results(
        {"a": worse, "b": better}, aus=PAPER_AUS, replicates=20, level=0.95, f1_norm="jeni", seed=0
    )
    # tp 1, fp 1, fn 2: F1 2/5; tp 2, fp 1, fn 1: F1 4/6. Every replicate has this very difference.
    expected = pytest.approx(100 * (4 / 6 - 2 / 5), abs=1e-3)
    assert document["differences"] == {"b - a": {"f1_frame": expected, "interval": [expected, expected]}}


def test_f1_micro_is_of_all_aus_together_and_stands_in_the_table():
    folds = {0: scored({"1": ([1, 1, -1], [1, -1, 1])}, "A"), 1: scored({"1": ([1, -1, -1], [1, 0, -1])}, "B")}
    # AU 2 is present in two of A's frames, and called in one of these: tp 1, fn 1. With AU 1's tp 2, fp 1, fn 1: 6 / 9.
    folds[0].labels["A/1"][:, 1], folds[0].scores["A/1"][:, 1] = [1, -1, 1], [1, -1, -1]
    document = computed(folds)
    anet = document["systems"]["anet"]
    assert anet["f1_micro"] == {"average": pytest.approx(100 * 6 / 9, abs=1e-3)}
    low, high = anet["intervals"]["f1_micro"]["average"]
    # A replicate is A twice (tp 2, fp 1, fn 2: 4 / 7), B twice (tp 1: 1) or both.
    assert low == pytest.approx(100 * 4 / 7, abs=1e-3) and high == pytest.approx(100.0)
    text = tables.results_markdown({**document, "folds": {"finished": [0, 1], "all": 2}, "seed": 7})
    (row,) = [line for line in text.splitlines() if "F1-micro" in line]
    assert row.split("|")[3].strip() == "66.7"


def test_the_event_curve_is_told_with_its_area():
    anet = computed(FOLDS)["systems"]["anet"]
    curve = np.array(anet["f1_event_curve"]["1"])
    assert curve.shape == (101,)
    assert curve[0] == 100.0
    assert anet["f1_event"]["1"] == pytest.approx(curve[:-1].mean(), abs=1e-3)
    np.testing.assert_array_equal(anet["f1_event_curve"]["average"], curve)  # the only AU that is defined


def test_an_au_that_never_occurs_is_undefined_and_not_averaged():
    anet = computed(FOLDS)["systems"]["anet"]
    assert np.isnan(anet["f1_frame"]["24"])
    assert anet["defined_aus"] == 1
    assert anet["f1_frame"]["average"] == anet["f1_frame"]["1"]


@pytest.mark.parametrize("truth", [[1, 1, 1], [-1, -1, -1], [0, 0, 0], [1, 0, 1]])
def test_an_au_whose_labels_are_missing_or_of_one_class_is_undefined_by_whatever_it_was_called(truth):
    for answer in ([1, 1, 1], [-1, -1, -1], [1, -1, 1]):
        anet = computed({0: FOLDS[0], 1: scored({"2": (answer, truth)}, "B")})["systems"]["anet"]
        for name in ("f1_frame", "f1_norm", "f1_frame_folds", "auc"):
            assert np.isnan(anet[name]["2"]), name
            assert anet[name]["average"] == pytest.approx(anet[name]["1"], nan_ok=True)
        assert np.isnan(anet["intervals"]["f1_frame"]["2"]).all()


def test_a_fold_in_which_an_au_has_one_class_takes_no_part_in_the_mean_of_folds():
    folds = {**FOLDS, 2: scored({"1": ([1, 1], [1, 1])}, "C")}
    assert computed(folds)["systems"]["anet"]["f1_frame_folds"]["1"] == pytest.approx((50 + 100) / 2)


def test_the_interval_holds_the_subjects():
    low, high = computed(FOLDS)["systems"]["anet"]["intervals"]["f1_frame"]["1"]
    # A replicate is A twice (50), B twice (100) or both (66.7).
    assert low == pytest.approx(50.0)
    assert high == pytest.approx(100.0)


def test_scores_come_back_from_a_file(tmp_path):
    rows = FOLDS[0]
    arrays = {"thresholds": np.zeros(12)}
    for column in ("scores", "labels", "frames"):
        arrays.update({f"{key}/{column}": value for key, value in getattr(rows, column).items()})
    files.write_npz(tmp_path / "anet.npz", arrays)
    back = tables.read_scores(tmp_path / "anet.npz")
    assert list(back.scores) == ["A/1"]
    np.testing.assert_array_equal(back.labels["A/1"], rows.labels["A/1"])


def test_the_table_has_every_au_the_average_and_dashes():
    document = {**computed(FOLDS), "folds": {"finished": [0, 1], "all": 3}, "seed": 7}
    text = tables.results_markdown(document, lambda name: {"anet": "ANet"}.get(name, name.replace("_", " ")))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == ["AU", "always present", "ANet"]
    assert [row[0] for row in rows[2:14]] == [str(au) for au in PAPER_AUS]
    assert rows[2][1:] == ["**75.0**", "66.7"]
    assert rows[13][1:] == ["-", "-"]
    assert "2 of 3 folds, seed 7" in text


@pytest.mark.parametrize("aus", [(12,), tuple(range(1, 8)), tuple(range(1, 26))])
def test_results_are_of_the_aus_that_were_scored(aus):
    rng = np.random.default_rng(0)
    labels = {f"S{n}/1": rng.choice([-1, 1], (20, len(aus))).astype(np.int8) for n in range(3)}
    scores = {key: (rows + rng.normal(size=rows.shape)).astype(np.float32) for key, rows in labels.items()}
    fold = tables.Scored(scores, labels, {key: np.arange(20) for key in labels})
    document = tables.results({"anet": {0: fold}}, aus=aus, replicates=9, level=0.95, f1_norm="jeni", seed=0)
    anet = document["systems"]["anet"]
    assert list(anet["f1_frame"]) == [*map(str, aus), "average"] and list(anet["counts"]) == [*map(str, aus)]
    assert tables.result_aus(document) == aus
    average = np.mean([anet["f1_frame"][str(au)] for au in aus])
    assert anet["f1_frame"]["average"] == pytest.approx(average, abs=1e-3)
    text = tables.results_markdown({**document, "folds": {"finished": [0], "all": 1}, "seed": 0})
    heads = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert heads[2 : 2 + len(aus) + 1] == [*map(str, aus), "average"]


def test_a_column_without_an_au_number_is_refused():
    with pytest.raises(ValueError, match="zip"):
        tables.results({"anet": FOLDS}, aus=(1, 2), replicates=9, level=0.95, f1_norm="jeni", seed=0)
