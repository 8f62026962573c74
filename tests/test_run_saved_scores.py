"""Saved scores are those of the fold, the people and the dataset that they are counted for."""

import numpy as np
import pytest

from au_jax import files
from au_jax.data.dataset import FaceSet
from au_jax.data.splits import make_folds, partition_of
from au_jax.errors import DataError
from au_jax.run import check_saved_scores, summarise
from au_jax.run_dir import RunDir


@pytest.fixture
def folds(config, dataset):
    return make_folds(partition_of(config, dataset.subjects), config.protocol.validation, config.seed)


def arrays_of(dataset, subjects):
    test = FaceSet(dataset, subjects)
    labels, frames = test.by_video(test.labels), test.by_video(test.frame_numbers)
    arrays = {"thresholds": np.zeros(len(test.aus), np.float32)}
    for key in labels:
        arrays |= {
            f"{key}/scores": labels[key].astype(np.float32),
            f"{key}/labels": labels[key],
            f"{key}/frames": frames[key],
        }
    return arrays


@pytest.fixture
def saved(config, dataset, folds, tmp_path):
    """A run of one system whose scores are the labels."""
    config.systems = ("anet",)
    for index, fold in enumerate(folds):
        files.write_npz(RunDir(tmp_path).score_path(index, "anet"), arrays_of(dataset, fold.test))
    return RunDir(tmp_path)


def test_scores_of_the_right_people_and_labels_are_counted(config, dataset, folds, saved):
    check_saved_scores(saved, config, dataset, folds)
    assert summarise(saved, config, folds)["systems"]["anet"]["f1_frame"]["average"] == 100.0


def changed(arrays, column, change):
    name = next(name for name in arrays if name.endswith(f"/{column}"))
    return arrays | {name: change(arrays[name])}


@pytest.mark.parametrize("column", ["labels", "frames"])
def test_labels_and_frames_of_another_dataset_are_named_before_any_work(config, dataset, folds, saved, column):
    path = saved.score_path(1, "anet")
    other = {"labels": lambda rows: -rows, "frames": lambda rows: rows + np.int32(1)}[column]
    files.write_npz(path, changed(arrays_of(dataset, folds[1].test), column, other))
    with pytest.raises(
        DataError, match=r"fold_01/scores/anet\.npz has other labels or frames of .* than the dataset"
    ) as caught:
        check_saved_scores(saved, config, dataset, folds)
    assert "\n" not in str(caught.value)


def test_rows_that_were_cut_off_with_their_labels_are_named(config, dataset, folds, saved):
    path, arrays = saved.score_path(0, "anet"), arrays_of(dataset, folds[0].test)
    key = next(name for name in arrays if "/" in name).rpartition("/")[0]
    files.write_npz(
        path, arrays | {f"{key}/{part}": arrays[f"{key}/{part}"][:-3] for part in ("scores", "labels", "frames")}
    )
    with pytest.raises(DataError, match=rf"has other labels or frames of {key}"):
        check_saved_scores(saved, config, dataset, folds)


def test_scores_of_another_folds_people_are_counted_nowhere(config, dataset, folds, saved):
    files.write_npz(saved.score_path(0, "anet"), arrays_of(dataset, folds[1].test))
    for use in (lambda: check_saved_scores(saved, config, dataset, folds), lambda: summarise(saved, config, folds)):
        with pytest.raises(DataError, match="whom split.json does not name for this fold"):
            use()
    assert not saved.results_path.exists()
