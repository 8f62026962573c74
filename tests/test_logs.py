"""costs.json adds up over starts; memory is that of the stage."""

import json
import types

import numpy as np
import pytest

from au_jax import files, logs
from au_jax.errors import DataError
from au_jax.logs import Costs, MemoryWatch

MIB = 2**20


def test_a_resumed_stage_adds_its_seconds_and_weighs_its_waiting(tmp_path):
    rows = []
    for seconds, share in ((30.0, 0.1), (10.0, 0.5)):
        with Costs(tmp_path).measure("fold_00/anet/cnn") as cost:
            cost.noting(lambda *row: rows.append(row))("anet/cnn", 0, {"seconds": seconds, "data_wait": share})
    entry = files.read_json(tmp_path / "costs.json")["fold_00/anet/cnn"]
    # 3 s of 30 and 5 s of 10.
    assert entry["training_seconds"] == 40.0 and entry["data_wait"] == 0.2
    assert all(row[2]["peak_memory_mib"] > 0 for row in rows)


def test_a_stage_without_training_has_no_share_of_waiting(tmp_path):
    with Costs(tmp_path).measure("prepare"):
        pass
    assert set(files.read_json(tmp_path / "costs.json")["prepare"]) == {"seconds", "peak_memory_mib"}


def test_two_runs_on_one_workdir_keep_each_others_costs(tmp_path):
    one, other = Costs(tmp_path), Costs(tmp_path)
    with one.measure("fold_00/anet/cnn"), other.measure("fold_01/anet/cnn"):
        pass
    assert set(files.read_json(tmp_path / "costs.json")) == {"fold_00/anet/cnn", "fold_01/anet/cnn"}


def test_memory_that_was_given_back_stays_in_the_peak():
    with MemoryWatch() as watch:
        before = watch.peaks()["peak_memory_mib"]
        block = np.ones(64 * MIB, np.uint8)
        watch.peaks()
        del block
    assert 50 < watch.peaks()["peak_memory_mib"] - before < 90


class Device:
    """An accelerator whose use of memory is set by hand."""

    def __init__(self, used, mark):
        self.used, self.mark = used, mark

    def memory_stats(self):
        return {
            "bytes_in_use": self.used * MIB,
            "peak_bytes_in_use": self.mark * MIB,
            "bytes_limit": 1000 * MIB,
        }


@pytest.fixture
def devices(monkeypatch):
    both = [Device(100, 400), Device(300, 400)]
    monkeypatch.setattr(logs, "jax", types.SimpleNamespace(local_devices=lambda: both))
    return both


def test_a_new_high_water_mark_of_a_device_is_the_stages(devices):
    with MemoryWatch() as watch:
        devices[0].mark = 700
    assert watch.peaks()["peak_device_memory_mib"] == 700


def test_below_the_old_mark_the_samples_of_the_fullest_device_tell(devices):
    with MemoryWatch() as watch:
        devices[1].used = 350
        watch.peaks()
        devices[1].used = 50
    assert watch.peaks()["peak_device_memory_mib"] == 350


def test_costs_are_written_when_the_held_block_has_ended_well(tmp_path):
    costs = Costs(tmp_path / "run")
    with pytest.raises(ValueError, match="no"), costs.held():
        with costs.measure("prepare"):
            pass
        raise ValueError("no")
    assert not (tmp_path / "run").exists()
    with costs.held():
        with costs.measure("prepare"):
            pass
        assert not (tmp_path / "run").exists()
    assert list(costs.stages) == ["prepare"]


@pytest.mark.parametrize(
    "other", [{"place": "fold_01/anet/checkpoints/1", "default/d": "38d3"}, {"prepare": 3.0}, [1.0]]
)
def test_another_file_in_the_place_of_the_costs_is_refused(tmp_path, other):
    files.write_json(tmp_path / "costs.json", other)
    with pytest.raises(DataError, match=r"costs\.json holds no costs; delete it"):
        Costs(tmp_path).peak_memory_mib  # noqa: B018
    files.write_json(tmp_path / "costs.json", {"prepare": {"seconds": 3.0, "peak_memory_mib": 10}})
    assert Costs(tmp_path).peak_memory_mib == 10


def test_a_line_whose_checksum_has_another_name_is_left_out_and_one_of_an_earlier_version_is_read(tmp_path):
    row = {"stage": "fold_00/anet/cnn", "epoch": 3, "loss": 1.5}
    path = logs.RunDir(tmp_path).metrics_path
    path.parent.mkdir(parents=True)
    lines = [{**row, "checksul": files.checksum(row)[:8]}, {**row, "epoch": 4}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert logs.read_metrics(tmp_path) == {"fold_00/anet/cnn": [{**row, "epoch": 4}]}
