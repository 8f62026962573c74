"""The loop resumes exactly, keeps the best epoch, follows the plateau and stops at what is not finite."""

import dataclasses
import types

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from au_jax import files
from au_jax.errors import ConfigError
from au_jax.training import trainer
from au_jax.training.optimizers import make_optimizer
from au_jax.training.trainer import Plateau, TrainSpec, train

pytestmark = pytest.mark.optax

TARGET = np.array([1.0, -2.0, 3.0], np.float32)


def optimizer(rate=0.05):
    config = ml_collections.ConfigDict(
        {
            "name": "sgd",
            "learning_rate": rate,
            "arguments": "momentum=0.9",
            "clip": 0.0,
            "schedule": {"name": "cosine_decay_schedule", "arguments": ""},
        }
    )
    return make_optimizer(config, 4, 24)


def loss(params, constants, example, key):
    del constants, key
    error = jnp.sum(example["x"] * params["w"]) - example["y"]
    return error**2 * example["mask"], example["mask"]


def batches(epoch):
    generator = np.random.default_rng([7, epoch])
    for _ in range(4):
        x = generator.normal(size=(5, 3)).astype(np.float32)
        yield {"x": x, "y": x @ TARGET, "mask": np.ones(5, np.float32)}


def stage(directory, **changes):
    defaults = {
        "name": "fold_00/toy",
        "directory": directory,
        "init": lambda key: {"w": jnp.zeros(3)},
        "loss": loss,
        "constants": {},
        "batches": batches,
        "steps_per_epoch": 4,
        "epochs": 6,
        "optimizer": optimizer(),
        "validate": lambda params: {"loss": float(np.sum((np.asarray(params["w"]) - TARGET) ** 2))},
        "monitor": "loss",
        "maximise": False,
        "patience": 0,
        "plateau": Plateau(1.0, 1000, 1.0),
        "seed": 0,
    }
    return TrainSpec(**{**defaults, **changes})


def quiet(*row):
    """A log that keeps nothing."""


class Killed(Exception):
    pass


def test_a_run_killed_in_the_first_a_middle_or_the_last_epoch_ends_in_the_same_parameters(tmp_path):
    whole = train(stage(tmp_path / "whole"), quiet)
    for victim in (0, 3, 5):

        def dying(epoch, victim=victim):
            for number, batch in enumerate(batches(epoch)):
                if epoch == victim and number == 2:
                    raise Killed
                yield batch

        directory = tmp_path / f"killed_{victim}"
        with pytest.raises(Killed):
            train(stage(directory, batches=dying), quiet)
        resumed = train(stage(directory), quiet)
        np.testing.assert_array_equal(resumed["w"], whole["w"])


def test_a_finished_stage_is_not_trained_again(tmp_path):
    first = train(stage(tmp_path), quiet)

    def never(epoch):
        raise AssertionError("trained again")

    np.testing.assert_array_equal(train(stage(tmp_path, batches=never), quiet)["w"], first["w"])


def test_the_best_epoch_is_returned_not_the_last(tmp_path):
    losses = iter([5.0, 1.0, 3.0, 2.0, 4.0, 6.0])
    seen = []

    def validate(params):
        seen.append(np.asarray(params["w"]))
        return {"loss": next(losses)}

    params = train(stage(tmp_path, validate=validate), quiet)
    np.testing.assert_array_equal(params["w"], seen[1])
    assert files.read_json(tmp_path / "finished.json") == {"best_epoch": 1, "loss": 1.0}


def test_more_is_better_where_the_stage_says_so(tmp_path):
    values = iter([0.1, 0.5, 0.3, 0.5, 0.2, 0.0])
    rows = stage(tmp_path, validate=lambda params: {"loss": 1.0, "f1": next(values)}, monitor="f1", maximise=True)
    train(rows, quiet)
    assert files.read_json(tmp_path / "finished.json")["best_epoch"] == 3


def test_patience_ends_training(tmp_path):
    epochs = []
    worse = iter(range(100))
    rows = stage(tmp_path, validate=lambda params: {"loss": float(next(worse))}, patience=2)
    train(rows, lambda name, epoch, metrics: epochs.append(epoch))
    assert epochs == [0, 1, 2]


def test_the_plateau_lowers_the_learning_rate(tmp_path):
    rates = []
    rows = stage(
        tmp_path,
        optimizer=dataclasses.replace(optimizer(), schedule=lambda step: 0.1),
        validate=lambda params: {"loss": 1.0},
        plateau=Plateau(0.1, 2, 1e-3),
    )
    train(rows, lambda name, epoch, metrics: rates.append(metrics["learning_rate"]))
    # The first epoch sets the best loss; two epochs without gain after it lower the rate for the fourth.
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-5)


def test_a_loss_that_is_not_finite_names_stage_step_and_checkpoint(tmp_path):
    def poisoned(epoch):
        for number, batch in enumerate(batches(epoch)):
            if epoch == 2 and number == 1:
                batch["x"][0, 0] = np.nan
            yield batch

    with pytest.raises(ConfigError, match=r"fold_00/toy: loss is not finite at step 9; .*checkpoints/1"):
        train(stage(tmp_path, batches=poisoned), quiet)


def test_a_stage_that_never_was_finite_says_so(tmp_path):
    rows = stage(tmp_path, validate=lambda params: {"loss": float("nan")})
    with pytest.raises(ConfigError, match="validation loss is not finite at step 4; there is no checkpoint yet"):
        train(rows, quiet)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_parameter_that_is_not_finite_names_stage_step_and_checkpoint(tmp_path, value):
    rows = stage(
        tmp_path,
        # The last update of epoch 1 spoils the parameters; its loss was computed before, and validation does not notice.
        optimizer=dataclasses.replace(optimizer(), schedule=lambda step: jnp.where(step == 7, value, 0.01)),
        validate=lambda params: {"loss": 1.0},
    )
    with pytest.raises(ConfigError, match=r"fold_00/toy: a parameter is not finite at step 8; .*checkpoints/0; lower"):
        train(rows, quiet)


def test_a_long_stage_says_its_time_for_all_folds_once(tmp_path, monkeypatch, capsys):
    clock = iter((0.0, 600.0))  # looked at after the first step and ten steps later: a minute each
    monkeypatch.setattr(trainer, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    train(stage(tmp_path, folds_to_go=3), quiet)
    lines = [line for line in capsys.readouterr().out.splitlines() if "a step" in line]
    assert len(lines) == 1
    # 6 epochs of 4 steps are 24 minutes, three folds 72.
    assert "60.00 s a step; 6 epochs of 4 steps are 24:00 at most, 1:12:00 for 3 folds" in lines[0]


def test_a_short_stage_keeps_to_its_progress_bar(tmp_path, capsys):
    train(stage(tmp_path), quiet)
    assert "a step" not in capsys.readouterr().out


def test_an_undefined_metric_stops_only_the_stage_that_chooses_by_it(tmp_path):
    def validate(params):
        return {"loss": float(np.sum((np.asarray(params["w"]) - TARGET) ** 2)), "f1": float("nan")}

    train(stage(tmp_path / "loss", validate=validate), quiet)
    with pytest.raises(ConfigError, match=r"fold_00/toy: validation f1 is undefined, for no validation subject"):
        train(stage(tmp_path / "f1", validate=validate, monitor="f1", maximise=True), quiet)
