"""Damaged checkpoints are recognised, named and stepped over; training ends in the same parameters."""

import json
import re
import shutil

import jax
import numpy as np
import pytest
from absl import logging

from au_jax.errors import DataError
from au_jax.training.checkpoints import Checkpoints, restore_state
from au_jax.training.trainer import train

from .test_trainer import quiet, stage

pytestmark = pytest.mark.optax

LIKE = {"params": {"w": np.zeros((50, 100), np.float32)}, "best": np.float32(0), "epochs_since_best": np.int32(0)}


def state(epoch):
    return jax.tree.map(lambda leaf: leaf + np.asarray(epoch, leaf.dtype), LIKE)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoints")
    checkpoints = Checkpoints(directory, maximise=False)
    for epoch, value in enumerate([3.0, 1.0, 2.0, 4.0, 5.0]):
        checkpoints.save(epoch, state(epoch), value)
    checkpoints.close()
    return directory


@pytest.fixture
def copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *rest: lines.append(text % rest))
    return lines


def delete(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def test_the_newest_two_and_the_best_two_are_kept(written):
    checkpoints = Checkpoints(written, maximise=False)
    assert checkpoints.epochs() == [4, 3, 2, 1] and checkpoints.best_epoch() == 1
    np.testing.assert_array_equal(checkpoints.restore(4, LIKE)["params"]["w"], state(4)["params"]["w"])
    checkpoints.close()


@pytest.mark.parametrize("damage", [delete, empty, truncate, change_a_byte])
def test_damage_to_any_file_of_the_newest_is_seen_and_the_one_before_is_used(copy, warnings, damage):
    names = [path.relative_to(copy) for path in sorted((copy / "4").rglob("*")) if path.is_file()]
    # What lies beside the items belongs to Orbax's own bookkeeping, and no value depends on it.
    names = [name for name in names if name.parts[1] in ("default", "metrics") and (copy / name).stat().st_size]
    assert len(names) > 5
    for name in names:
        shutil.copytree(copy, copy.parent / "hit")
        damage(copy.parent / "hit" / name)
        checkpoints = Checkpoints(copy.parent / "hit", maximise=False)
        assert checkpoints.epochs() == [3, 2, 1], name
        np.testing.assert_array_equal(checkpoints.restore(3, LIKE)["params"]["w"], state(3)["params"]["w"])
        checkpoints.save(4, state(4), 5.0)
        checkpoints.close()
        assert len(warnings) == 1 and "hit/4 is damaged" in warnings.pop()
        with pytest.raises(DataError, match=r"checkpoints/4|hit/4"):
            damage(copy.parent / "hit" / "4" / "default" / "manifest.ocdbt")
            restore_state(copy.parent / "hit", 4)
        shutil.rmtree(copy.parent / "hit")


def test_a_full_disk_is_one_error_and_what_was_saved_stays(copy, small_disk, capfd):
    checkpoints = Checkpoints(copy, maximise=False)
    noise = np.random.default_rng(0).normal(size=(50, 100)).astype(np.float32)
    with small_disk(), pytest.raises(OSError, match=r"File too large: '.*copy/5'$"):
        checkpoints.save(5, {**state(5), "params": {"w": noise}}, 6.0)
        checkpoints.epochs()
    checkpoints.close()
    assert "rror" not in capfd.readouterr().err.replace("RuntimeError: Event loop is closed", "")
    again = Checkpoints(copy, maximise=False)
    assert again.epochs() == [4, 3, 2, 1]
    again.save(5, state(5), 6.0)
    assert again.epochs() == [5, 4, 2, 1]
    again.close()


def test_damaged_checksums_count_as_damage(copy, warnings):
    (copy / "4" / "checksums.json").write_text("[1]")
    Checkpoints(copy, maximise=False).close()
    assert "copy/4 is damaged" in warnings[0]


def test_checkpoints_without_checksums_are_used(copy, warnings):
    for epoch in (1, 2, 3, 4):
        (copy / str(epoch) / "checksums.json").unlink()
    checkpoints = Checkpoints(copy, maximise=False)
    np.testing.assert_array_equal(checkpoints.restore(4, LIKE)["params"]["w"], state(4)["params"]["w"])
    np.testing.assert_array_equal(restore_state(copy, 4)["params"]["w"], state(4)["params"]["w"])
    empty(copy / "3" / "default" / "manifest.ocdbt")
    assert checkpoints.restore(3, LIKE) is None and "copy/3 is damaged" in warnings[0]
    assert checkpoints.epochs() == [4, 2, 1]
    checkpoints.close()


@pytest.mark.parametrize("best", [0, 1, 3])
def test_training_with_a_damaged_newest_checkpoint_ends_in_the_same_parameters(tmp_path, warnings, best):
    def validation():
        losses = iter([0.5 if epoch == best else 1.0 + epoch for epoch in range(6)])
        return lambda params: {"loss": next(losses)}

    whole = train(stage(tmp_path / "whole", validate=validation()), quiet)
    calls = []

    def dying(params):
        if len(calls) == 4:
            raise InterruptedError
        calls.append(None)
        return {"loss": 0.5 if len(calls) - 1 == best else float(len(calls))}

    with pytest.raises(InterruptedError):
        train(stage(tmp_path / "hit", validate=dying), quiet)
    truncate(tmp_path / "hit/checkpoints/3/default/manifest.ocdbt")
    losses = iter([0.5 if best == 3 else 4.0, 5.0, 6.0])
    resumed = train(stage(tmp_path / "hit", validate=lambda params: {"loss": next(losses)}), quiet)
    np.testing.assert_array_equal(resumed["w"], whole["w"])
    assert len(warnings) == 1 and "checkpoints/3 is damaged" in warnings[0]
    assert next(losses, None) is None  # epochs 0 to 2 were not trained again


@pytest.mark.parametrize(
    "like, line",
    [
        ({**LIKE, "best": np.int32(0)}, r"best is float32 \[\], int32 \[\] is expected"),
        (
            {**LIKE, "params": {"w": np.zeros(7, np.float32)}},
            r"params/w is float32 \[50, 100\], float32 \[7\] is expected",
        ),
        ({"params": LIKE["params"], "best": LIKE["best"]}, r"epochs_since_best is int32 \[\], none is expected"),
        ({**LIKE, "more": np.zeros(2, np.float32)}, r"more is missing, float32 \[2\] is expected"),
    ],
    ids=["dtype", "shape", "one too many", "one too few"],
)
def test_a_checkpoint_of_another_state_is_damaged(copy, warnings, like, line):
    checkpoints = Checkpoints(copy, maximise=False)
    assert checkpoints.restore(4, like) is None
    assert re.search(rf"copy/4 is damaged \({line}\)", warnings[0])
    np.testing.assert_array_equal(checkpoints.restore(3, LIKE)["params"]["w"], state(3)["params"]["w"])
    checkpoints.close()


def test_with_no_whole_checkpoint_training_starts_again(tmp_path, warnings):
    whole = train(stage(tmp_path / "whole", epochs=2), quiet)
    train(stage(tmp_path / "hit", epochs=2), quiet)
    (tmp_path / "hit/finished.json").unlink()
    for epoch in (0, 1):
        empty(tmp_path / f"hit/checkpoints/{epoch}/metrics/metrics")
    np.testing.assert_array_equal(train(stage(tmp_path / "hit", epochs=2), quiet)["w"], whole["w"])
    assert len(warnings) == 2


def test_a_finished_stage_whose_best_checkpoint_is_damaged_is_trained_from_before_it(tmp_path, warnings):
    whole = train(stage(tmp_path), quiet)
    best = json.loads((tmp_path / "finished.json").read_text())["best_epoch"]
    change_a_byte(next((tmp_path / f"checkpoints/{best}").rglob("ocdbt.process_0/manifest.ocdbt")))
    np.testing.assert_array_equal(train(stage(tmp_path), quiet)["w"], whole["w"])
    assert json.loads((tmp_path / "finished.json").read_text())["best_epoch"] == best


def test_a_checkpoint_whose_best_one_is_lost_is_not_gone_on_with(tmp_path, warnings):
    def validation():
        losses = iter([4.0, 1.0, 2.0, 3.0])
        return lambda params: {"loss": next(losses)}

    whole = train(stage(tmp_path / "whole", epochs=4, validate=validation()), quiet)
    train(stage(tmp_path / "hit", epochs=4, validate=validation()), quiet)
    empty(tmp_path / "hit/checkpoints/1/default/_METADATA")
    np.testing.assert_array_equal(
        train(stage(tmp_path / "hit", epochs=4, validate=validation()), quiet)["w"], whole["w"]
    )
    assert "the best until then, is missing" in " ".join(warnings)
