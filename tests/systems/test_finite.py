"""Weights, features and scores that are not finite stop with fold, stage and place."""

import jax
import numpy as np
import pytest

from au_jax.data.dataset import FaceSet
from au_jax.data.splits import Fold
from au_jax.errors import UserError
from au_jax.run import run_system, score_path
from au_jax.systems import SYSTEMS
from au_jax.systems.anet import ANet, initial_params, make_cnn
from au_jax.systems.base import validation_metrics
from au_jax.systems.hog_svm import descriptors
from au_jax.training.trainer import train

from ..training.test_trainer import quiet, stage

pytestmark = pytest.mark.optax


def mean_square(scores, labels):
    return (scores**2).mean(-1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_validation_scores_that_are_not_finite_stop_the_stage(tmp_path, value):
    scores, labels = np.zeros((4, 12), np.float32), np.ones((4, 12), np.int8)
    # Of one class alone, F1 would be undefined.
    labels[0] = -1
    assert set(validation_metrics(scores, labels, mean_square).values()) == {0.0}
    scores[2, 3] = value
    figures = validation_metrics(scores, labels, mean_square)
    assert np.isnan(figures["loss"])
    with pytest.raises(UserError, match="fold_00/toy: validation loss is not finite at step 4"):
        train(stage(tmp_path, validate=lambda params: figures), quiet)


def test_features_that_are_not_finite_name_fold_frame_and_checkpoints(context, parts):
    anet = ANet(context)
    anet._mean = np.zeros((40, 40, 3), np.float32)
    params = initial_params(make_cnn(context.config.cnn, 12), context.config.data.crop_size, jax.random.key(0))
    anet._params = jax.tree.map(lambda leaf: leaf.at[...].set(np.nan), params)
    with pytest.raises(
        UserError, match=r"fold_00/anet: scores of S004/T1, frame 1, are not finite; .*anet/checkpoints"
    ):
        anet.extract_features(parts[1])


def test_landmarks_that_are_not_finite_are_named(dataset, parts):
    faces = FaceSet(dataset, ("S004",))
    faces.__dict__["landmarks"] = parts[1].landmarks.copy()
    faces.landmarks[7, 3, 1] = np.inf
    frame = faces.frame_numbers[7]
    with pytest.raises(UserError, match=rf"landmarks of S004/T1, frame {frame}, are not finite"):
        descriptors(faces, 1)


@pytest.mark.parametrize("subject", ["S004", "S005"])
def test_scores_that_are_not_finite_are_neither_calibrated_nor_saved(context, dataset, monkeypatch, subject):
    class Broken:
        def __init__(self, context):
            pass

        def fit(self, train, validation):
            pass

        def score(self, faces):
            return faces.by_video(np.where(np.isin(faces.subjects, subject).any(), np.nan, np.ones((len(faces), 12))))

    monkeypatch.setitem(SYSTEMS, "hog_svm", Broken)
    fold = Fold(("S001", "S002", "S003"), ("S004",), ("S005", "S006"))
    with pytest.raises(UserError, match=rf"fold_00/hog_svm: scores of {subject}/T1 are not finite"):
        run_system("hog_svm", context, dataset, fold)
    assert not score_path(context.directory, "hog_svm").exists()
