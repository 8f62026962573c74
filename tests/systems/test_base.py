"""Weights, features and scores that are not finite stop with fold, stage and place."""

import dataclasses

import jax
import numpy as np
import pytest

from au_jax.config import typed
from au_jax.errors import DataError, UserError
from au_jax.labels import PAPER_AUS
from au_jax.systems.base import check_finite, checkpoint_bytes, validation_metrics
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
    assert set(validation_metrics(scores, labels, mean_square, PAPER_AUS).values()) == {0.0}
    scores[2, 3] = value
    metrics = validation_metrics(scores, labels, mean_square, PAPER_AUS)
    assert np.isnan(metrics["loss"])
    with pytest.raises(UserError, match="fold_00/toy: validation loss is not finite at step 4"):
        train(stage(tmp_path, validate=lambda params: metrics), quiet)


def test_rows_that_are_not_finite_name_their_frame(parts):
    faces = parts[2]
    rows = np.zeros((len(faces), 3), np.float32)
    check_finite(faces, rows, "features", "mend it")
    rows[-1, 1] = np.nan
    last = faces.videos[-1].key, faces.frame_numbers[-1]
    with pytest.raises(DataError, match=rf"features of {last[0]}, frame {last[1]}, are not finite; mend it"):
        check_finite(faces, rows, "features", "mend it")


def test_parts_of_a_fold_have_seeds_and_names_of_their_own(context):
    part = context.part("inner_01", 1)
    assert context.name("anet/cnn") == "fold_00/anet/cnn" and part.name("anet/cnn") == "fold_00/inner_01/anet/cnn"
    assert part.files.mean == context.directory / "inner_01/anet/mean.npz"
    assert len({context.seed(1), context.seed(2), part.seed(1), part.seed(2)}) == 4
    assert context.folds_to_go == 2


def test_checkpoints_are_counted_with_what_the_optimizer_keeps(context):
    init = lambda key: {"w": jax.random.normal(key, (10, 10))}  # noqa: E731
    # The weights and both of Adam's moments, 100 numbers each, in each of five checkpoints; its counters; and the best weights.
    assert 16 * 400 <= checkpoint_bytes(init, (), typed(context.config).cnn.optimizer) <= 16 * 400 + 200


def test_checkpoints_of_a_training_with_warm_up_are_counted(context):
    def init(key):
        return {"kernel": jax.random.normal(key, (10, 10))}

    plain = typed(context.config).cnn.optimizer
    schedule = dataclasses.replace(plain.schedule, name="warmup_cosine_decay_schedule", arguments="warmup_steps=50")
    assert checkpoint_bytes(init, (), dataclasses.replace(plain, schedule=schedule)) == checkpoint_bytes(
        init, (), plain
    )
