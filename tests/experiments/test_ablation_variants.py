"""Variants of the hybrid on a finished fold: the same thing again is the same, and what they see of landmarks."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from au_jax import files
from au_jax.config import Config, typed
from au_jax.data.dataset import FaceSet
from au_jax.evaluation.tables import read_scores
from au_jax.logs import Costs, RunLog
from au_jax.run import check_config
from au_jax.run_dir import RunDir
from au_jax.systems.base import FoldContext
from experiments.ablation_variants import (
    MOTION_COMPONENTS,
    VARIANTS,
    Variant,
    keep_test_features,
    landmark_motion,
    run_variant,
    variant_config,
)


@pytest.fixture
def fold(finished, dataset, tmp_path):
    """Fold 0 of the finished run, its people, and a folder with its test subjects' features."""
    run = RunDir(finished)
    context = FoldContext(run.config(), 0, run.fold(0), RunLog(tmp_path), Costs(tmp_path))
    split = run.split()["folds"][0]
    groups = tuple(FaceSet(dataset, tuple(split[name])) for name in ("train", "validation", "test"))
    features = tmp_path / "features"
    keep_test_features(context, groups, features)
    return context, groups, features


@pytest.mark.slow
def test_the_same_again_gives_the_runs_scores(fold, finished, tmp_path):
    context, groups, features = fold
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.npz")}
    path = run_variant(context, VARIANTS[0], tmp_path / "again", features, groups)
    ours, theirs = read_scores(path), read_scores(RunDir(finished).score_path(0, "hybrid"))
    for key, rows in theirs.scores.items():
        np.testing.assert_allclose(ours.scores[key], rows, atol=1e-5)
        np.testing.assert_array_equal(ours.labels[key], theirs.labels[key])
    # 12 scales and offsets and 10 taps for each branch, and the LSTM: 16 inputs, 128 units.
    lstm = 4 * 128 * (16 + 128 + 1) + 12 * 129
    assert files.read_json(tmp_path / "again/fold_00/cost.json")["parameters"] == lstm + 2 * (24 + 10)
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*.npz")}


@pytest.mark.slow
@pytest.mark.parametrize("together", ["cnn", "scratch"])
def test_cnn_and_lstm_are_trained_in_one_go(fold, tmp_path, together):
    context, groups, features = fold
    variant = dataclasses.replace(next(one for one in VARIANTS if one.together == together), changes={"cnn.epochs": 1})
    scored = read_scores(run_variant(context, variant, tmp_path / together, features, groups))
    assert {key: rows.shape for key, rows in scored.scores.items()} == {
        key: rows.shape for key, rows in scored.labels.items()
    }
    assert all(np.isfinite(rows).all() and rows.std() > 0 for rows in scored.scores.values())
    cost = files.read_json(tmp_path / together / "fold_00/cost.json")
    assert cost["parameters"] == 4 * 128 * (16 + 128 + 1) + 12 * 129 + 2 * (24 + 10) and cost["seconds"] > 0


@pytest.mark.slow
def test_a_finished_variant_is_not_trained_again_and_motion_makes_the_lstm_wider(fold, tmp_path, monkeypatch):
    context, groups, features = fold
    motion = next(one for one in VARIANTS if one.motion)
    path = run_variant(context, motion, tmp_path / "motion", features, groups)
    cost = files.read_json(tmp_path / "motion/fold_00/cost.json")
    assert cost["parameters"] == 4 * 128 * (16 + MOTION_COMPONENTS + 128 + 1) + 12 * 129 + 2 * (24 + 10)
    monkeypatch.setattr("experiments.ablation_variants.AblatedHybrid", None)
    assert run_variant(context, motion, tmp_path / "motion", features, groups) == path


def test_every_variant_changes_one_thing_and_makes_a_config(config):
    base = typed(config)
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    for variant in VARIANTS[1:]:
        changed = variant_config(base, variant)
        check_config(changed)
        assert (changed == base) == (not variant.changes)
        # Hysteresis is for what does without frames to come: it differs in one thing from "causal".
        if not variant.together and variant.name != "causal_hysteresis":
            assert len(variant.changes) + variant.motion + (variant.joins != "both") == 1, variant.name
    shared = {variant.name for variant in VARIANTS if not variant.trains_lstm}
    assert shared == {
        "again",
        "lstm_alone",
        "lstm_filter",
        "mean",
        "stacked",
        "features",
        "causal",
        "causal_hysteresis",
        "no_opening",
    }


def test_the_motion_of_landmarks_worked_by_hand():
    # One person; every landmark moves by 1 pixel a frame, and the face of frame 2 is not found.
    points = np.broadcast_to(np.arange(5.0)[:, None, None], (5, 49, 2)).astype(np.float32)
    detected = np.array([True, True, False, True, True])
    faces = SimpleNamespace(landmarks=points, face_detected=detected, by_video=lambda rows: {"A/1": rows})
    motion = landmark_motion(faces, opening=2)
    assert motion.shape == (5, 196)
    np.testing.assert_array_equal(motion[:, 0], [0, 1, 0, 0, 1])
    # From the mean of the frames 0 and 1, as far as they have been seen.
    np.testing.assert_array_equal(motion[:, 98], [0, 0.5, 0, 2.5, 3.5])


def test_a_variant_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Variant("a", "b", "c").name = "d"
    assert isinstance(variant_config(Config(), VARIANTS[0]), Config)
