"""Two processes train as one: the same parameters, and one writer."""

import contextlib
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from au_jax.errors import CommandError
from au_jax.training import multihost, parallel

SCRIPT = Path(__file__).with_name("mesh_run.py")


TASK = """
from au_jax.training import multihost
multihost.start(None, None, None)
import jax
print("task", jax.process_index(), jax.process_count(), jax.config.read("jax_cuda_visible_devices"), flush=True)
input()
"""


def python(*arguments, **variables):
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin", **variables}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def start(*arguments):
    return python(SCRIPT, *arguments)


def joined(task):
    """What a task tells when it has found the others; Gloo speaks before."""
    return next((line.split() for line in task.stdout if line.startswith("task")), None)


@contextlib.contextmanager
def slurm_step(nodes, count=2, **variables):
    """Tasks as `srun --nodes=<nodes> --ntasks=<count>` starts them, all on this machine."""
    with socket.create_server(("localhost", 0)) as probe:
        port = probe.getsockname()[1]
    step = {"JOB_ID": 7, "STEP_NODELIST": "127.0.0.[1-2]" if nodes == 2 else "127.0.0.1", "NTASKS": count}
    step |= {"STEP_NUM_NODES": nodes, "STEP_NUM_TASKS": count}
    tasks = []
    for index in range(count):
        known = {f"SLURM_{k}": str(v) for k, v in (step | {"PROCID": index, "LOCALID": index // nodes}).items()}
        tasks.append(python("-c", TASK, JAX_PLATFORMS="cpu", JAX_COORDINATOR_PORT=str(port), **known, **variables))
    try:
        yield tasks
    finally:
        for task in tasks:
            task.kill()
            task.communicate()


def finish(process):
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors[-2000:]
    return {line.split()[0]: line.split()[1:] for line in out.splitlines() if line and line[0] in "pet"}


@pytest.mark.slow
def test_two_processes_of_two_devices_end_where_one_device_does(tmp_path):
    with socket.create_server(("localhost", 0)) as probe:
        coordinator = f"localhost:{probe.getsockname()[1]}"
    both = [start(tmp_path / "both", 2, coordinator, 2, index) for index in range(2)]
    first, second = map(finish, both)
    alone = finish(start(tmp_path / "alone", 1))
    expected = np.array(alone["params"], float)
    for told in (first, second):
        np.testing.assert_allclose(np.array(told["params"], float), expected, rtol=1e-5, atol=1e-6)
        assert told["epochs"] == ["0", "1", "2", "3"]
    # The last checkpoint and the best, in the first process's folder alone.
    assert sorted(path.name for path in (tmp_path / "both/checkpoints").iterdir() if path.name.isdigit())
    assert not list(tmp_path.glob("both_scratch/checkpoints/*"))
    # What stops the first stops all.
    assert first["told"][0] == "OSError"
    assert second["told"][0] == "UserError" and "the disk is full" in " ".join(second["told"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "nodes, variables, visible",
    [
        (2, {}, ["all", "all"]),
        (1, {}, ["0", "1"]),
        (2, {"JAX_LOCAL_DEVICE_IDS": "0,1"}, ["0,1", "0,1"]),
    ],
    ids=["alone", "together", "told"],
)
def test_a_task_of_slurm_has_all_devices_of_its_node_unless_it_shares_it(nodes, variables, visible):
    with slurm_step(nodes, **variables) as tasks:
        told = [joined(task) for task in tasks]
    assert told == [["task", str(index), "2", devices] for index, devices in enumerate(visible)]


@pytest.mark.slow
def test_processes_that_are_told_to_end_do_so_at_once():
    with slurm_step(2) as tasks:
        for task in tasks:
            assert joined(task)
        for task in tasks:
            task.terminate()
        assert [task.wait(timeout=10) for task in tasks] == [-signal.SIGTERM] * 2


@pytest.fixture
def eight_of_sixteen(monkeypatch):
    """The second of two processes with eight devices each."""
    for name, value in {"device_count": 16, "local_device_count": 8, "process_count": 2, "process_index": 1}.items():
        monkeypatch.setattr(parallel.jax, name, lambda value=value: value)


def test_a_process_takes_its_rows_and_fills_them_up(eight_of_sixteen):
    # 196 rows on 16 devices are 13 each: 104 for the first process, 92 and 12 masked ones for the second.
    assert parallel.process_rows(196) == slice(104, 208)
    batch = {"x": np.arange(196.0), "mask": np.ones(196)}
    own = parallel.take_process_rows(batch)
    np.testing.assert_array_equal(own["x"], [*range(104, 196), *[0] * 12])
    assert own["mask"].sum() == 92
    # As the devices get them: the same number of rows each.
    assert parallel.shard(own, 8)["x"].shape == (8, 13)


def test_a_process_behind_the_end_of_a_small_batch_has_masked_rows_only(eight_of_sixteen):
    own = parallel.take_process_rows({"x": np.arange(5.0), "mask": np.ones(5)})
    assert own["x"].shape == (8,) and own["mask"].sum() == 0


def test_a_batch_of_the_paper_on_eight_devices():
    rows = parallel.shard({"x": np.arange(196.0), "mask": np.ones(196)}, 8)
    assert rows["x"].shape == (8, 25) and rows["mask"].sum() == 196


def test_alone_a_process_is_the_first_and_asks_nobody():
    assert multihost.is_process_zero()
    assert multihost.broadcast_from_process_zero(lambda: 7) == 7
    led = multihost.ProcessZeroProxy(dict)
    led.update({"a": 1})
    assert led.get("a") == 1


def test_processes_that_cannot_be_joined_say_how_to(monkeypatch):
    with pytest.raises(CommandError, match=r"cannot be joined .*--coordinator=HOST:PORT"):
        multihost.start(None, None, None)
