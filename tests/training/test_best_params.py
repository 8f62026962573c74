"""The parameters of a stage's best epoch, beside its checkpoints."""

import json
import subprocess
import sys

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import DataError
from au_jax.training.best_params import best_epoch, best_params, keep_best_params
from au_jax.training.checkpoints import Checkpoints

PARAMS = {"conv1": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}, "scale": np.array(3, np.float32)}


@pytest.fixture
def stage(tmp_path):
    """A finished stage whose best epoch is 3, with a checkpoint that has other numbers than best.npz, to tell them apart."""
    stage = tmp_path / "fold_00" / "anet"
    checkpoints = Checkpoints(stage / "checkpoints", maximise=False)
    checkpoints.save(3, {"params": {"scale": np.array(7, np.float32)}}, value=0.5)
    checkpoints.close()
    files.write_json(stage / "finished.json", {"best_epoch": 3}, seal=True)
    keep_best_params(stage, 3, PARAMS)
    return stage


def test_parameters_come_back_with_their_names_shapes_and_types(stage):
    params = best_params(stage)
    assert sorted(params) == ["conv1", "scale"] and best_epoch(stage) == 3
    for found, kept in ((params["conv1"]["kernel"], PARAMS["conv1"]["kernel"]), (params["scale"], PARAMS["scale"])):
        np.testing.assert_array_equal(found, kept)
        assert found.dtype == np.float32 and found.shape == kept.shape


def test_a_stage_of_an_earlier_version_is_read_from_its_checkpoint(stage):
    (stage / "best.npz").unlink()
    assert best_params(stage)["scale"] == 7


def test_damage_is_told_with_what_helps_and_the_checkpoint_then_serves(stage):
    content = bytearray((stage / "best.npz").read_bytes())
    content[200] ^= 1
    (stage / "best.npz").write_bytes(content)
    with pytest.raises(
        DataError, match=r"anet/best\.npz is damaged .*; delete it, and the checkpoint beside it is read"
    ):
        best_params(stage)
    (stage / "best.npz").unlink()
    assert best_params(stage)["scale"] == 7


def test_a_file_of_another_epoch_or_fold_is_refused(stage):
    content = (stage / "best.npz").read_bytes()
    keep_best_params(stage, 2, PARAMS)
    with pytest.raises(DataError, match=r"best\.npz is not of epoch 3, which finished\.json names"):
        best_params(stage)
    other = stage.parents[1] / "fold_01" / "anet"
    files.write_json(other / "finished.json", {"best_epoch": 3}, seal=True)
    (other / "best.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"best\.npz is the file fold_00/anet/best\.npz of a run"):
        best_params(other)


def test_what_is_there_is_not_written_again_and_what_is_damaged_is(stage, monkeypatch):
    monkeypatch.setattr("absl.logging.warning", lambda *text: None)
    before = (stage / "best.npz").stat().st_mtime_ns
    keep_best_params(stage, 3, PARAMS)
    assert (stage / "best.npz").stat().st_mtime_ns == before
    (stage / "best.npz").write_bytes(b"PK")
    keep_best_params(stage, 3, PARAMS)
    assert best_params(stage)["scale"] == 3


@pytest.mark.parametrize("params", [(np.zeros(2),), {"a/b": np.zeros(2)}, {"a": np.array([None])}, {}])
def test_parameters_that_a_file_of_names_cannot_hold_stay_in_the_checkpoint(stage, params):
    keep_best_params(stage, 3, params)
    assert not (stage / "best.npz").exists() and best_params(stage)["scale"] == 7


def test_reading_takes_no_orbax(stage):
    program = (
        "import json, pathlib, sys\n"
        "from au_jax.training.best_params import best_params\n"
        f"best_params(pathlib.Path({str(stage)!r}))\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert not {"orbax", "tensorstore", "jax", "flax", "optax"} & set(json.loads(told))
