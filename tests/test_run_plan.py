"""The plan of a run: steps, room on disk and time to go, against what runs do."""

import copy

import numpy as np
import pytest

from au_jax.config import get_config, load
from au_jax.data.dataset import FaceSet
from au_jax.data.preparation import load_dataset
from au_jax.data.splits import Fold
from au_jax.run import disk, plan, seconds_to_go, time_text
from au_jax.run_dir import RunDir
from au_jax.systems import get_system


@pytest.fixture(scope="module")
def small(finished):
    config = RunDir(finished).config()
    return config, load_dataset(config.data)


def test_steps_are_those_of_the_run(finished, small):
    config, dataset = small
    train = FaceSet(dataset, tuple(RunDir(finished).split()["folds"][0]["train"]))
    lines = {name: get_system(name).plan_line(config, train) for name in config.systems}
    rows = int((train.labels != 0).any(-1).sum())
    assert lines["anet"] == f"CNN, 2 epochs of about {-(-rows // 16)} steps (16 frames)"
    assert lines["hybrid"] == "the CNN of ANet; LSTM, 2 epochs of 2 steps; fusion, 2 epochs"
    assert lines["hog_svm"] == "HOG of every frame, 12 linear SVMs on every 4th frame"
    config = load("demo:smoke")
    config.systems = ("hybrid",)
    config.fusion.train_on = "out_of_fold"
    line = get_system("hybrid").plan_line(config, train)
    assert line.startswith("CNN, 2 epochs") and line.endswith("3 times more on parts")


def test_room_on_disk_is_enough_for_the_run_and_not_far_more(finished, small):
    config, dataset = small
    count = sum(len(records.frame_numbers) for records in dataset.load(dataset.subjects))
    needed = sum(
        path.stat().st_size
        for fold in ("fold_00", "fold_01")
        for path in (finished / fold).rglob("*")
        if path.is_file()
    )
    assert needed <= disk(config, count, 2, 12) <= 5 * needed


def test_full_networks_take_room_for_five_checkpoints_of_weights_and_momentum():
    config = get_config()
    config.systems = ("anet",)
    # 45,383,052 parameters and their momentum, 4 bytes each: the newest two, the best two, and the one that is being
    # written; the best parameters once more, alone; the mean picture and the scores are small.
    assert disk(config, 1000, 3, 12) == pytest.approx(3 * (5 * 2 + 1) * 4 * 45_383_052, rel=0.01)


def test_time_to_go_is_the_mean_of_the_finished_folds():
    stages = {
        "prepare": {"seconds": 500.0},
        "fold_00/anet/cnn": {"seconds": 100.0},
        "fold_00/anet/score": {"seconds": 20.0},
        "fold_01/anet/cnn": {"seconds": 140.0},
    }
    assert seconds_to_go(stages, [0, 1], 3) == 3 * 130.0
    assert seconds_to_go(stages, [], 3) is None
    assert [time_text(seconds) for seconds in (7.4, 187, 3787)] == ["7 s", "3:07", "1:03:07"]


def test_plan_tells_what_is_done_and_warns_of_a_full_disk(finished, small, monkeypatch):
    config, dataset = small
    folds = RunDir(finished).split()["folds"]
    folds = [Fold(*(tuple(fold[group]) for group in ("train", "validation", "test"))) for fold in folds]
    text = plan(config, RunDir(finished), dataset, folds, {1: ["hybrid"]})
    assert "2 folds of 2, 3 systems; 6 people" in text and "done before: 5 of 6 (fold, system)" in text
    assert "TOO LITTLE" not in text
    assert "no codes" not in text
    monkeypatch.setattr("au_jax.run.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1000})())
    assert "1 kB free - TOO LITTLE" in plan(config, RunDir(finished), dataset, folds, {1: ["hybrid"]})


def test_plan_names_the_aus_without_codes_and_how_to_leave_them_out(finished, small, monkeypatch):
    config, dataset = small
    folds = RunDir(finished).split()["folds"]
    folds = [Fold(*(tuple(fold[group]) for group in ("train", "validation", "test"))) for fold in folds]
    load_all = dataset.load

    def without_two(subjects):
        records = [copy.copy(record) for record in load_all(subjects)]
        for record in records:
            object.__setattr__(record, "labels", record.labels * ~np.isin(dataset.aus, (7, 24)))
        return records

    monkeypatch.setattr(dataset, "load", without_two)
    text = plan(config, RunDir(finished), dataset, folds, {})
    assert "  no codes of AU 7, 24, which cannot be learned" in text
    assert '--config.data.aus="(1,2,4,6,10,12,14,15,17,23,)"' in text
