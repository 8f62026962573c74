"""Settings of every test: two virtual devices, strict promotion, no accelerator."""

import contextlib
import fcntl
import os
import resource
import signal
import subprocess
import sys
import types
from pathlib import Path

# Before JAX is imported: two devices on the CPU, so that data parallelism is tested everywhere.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import jax
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

if os.environ.get("AU_JAX_TYPECHECK") != "0":
    # Every annotated type and shape of the package is checked whenever a function is called; an int may stand for a float.
    _checker = types.ModuleType("au_jax_type_checker")
    _checker.__dict__["check"] = beartype(conf=BeartypeConf(is_pep484_tower=True))
    sys.modules[_checker.__name__] = _checker
    install_import_hook("au_jax", f"{_checker.__name__}.check")

# Silent broadcasting over a missing axis is a classic bug of array code.
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True)
def promotion(request):
    """Silent changes of dtype are another; optax's own arithmetic mixes dtypes and is let off where it is marked."""
    mode = "standard" if request.node.get_closest_marker("optax") else "strict"
    with jax.numpy_dtype_promotion(mode):
        yield


@pytest.fixture
def small_disk():
    """Makes a block in which no file grows beyond 10 kB: writing on fails as it does on a full disk."""

    @contextlib.contextmanager
    def limited():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The system would send a signal as well, which ends a process.
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)

    return limited


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder of the whole session, that of the other worker processes as well."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def data_directory(tmp_path_factory):
    """Where this process's datasets are prepared, once for all its tests."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def main_command():
    """Makes the command line of a small run: (workdir, data directory, *further options) -> arguments."""
    root = Path(__file__).parents[1]
    # For the commands that tests start: they import what is tested here, wherever it is installed.
    os.environ["PYTHONPATH"] = str(root)

    def make(workdir, data_directory, *more):
        return [
            sys.executable, "-m", "au_jax.main", f"--config={root / 'configs/demo.py'}:smoke", f"--workdir={workdir}",
            f"--config.data.directory={data_directory}", "--config.protocol.folds=2", "--config.evaluation.bootstrap=20",
            *more,
        ]  # fmt: skip

    return make


@pytest.fixture(scope="session")
def finished(shared, main_command):
    """A whole run through the command line, made once, which tests read, or copy and compare with."""
    workdir = shared / "whole"
    with open(shared / "lock", "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if not (workdir / "report.html").exists():
            subprocess.run(main_command(workdir, shared / "data"), check=True, capture_output=True)
    return workdir


@pytest.fixture(scope="session")
def scene():
    """A filmed person of synthfacs in front of a room: pictures [37, 240, 240, 3] uint8, and labels [37, 12] int8."""
    import dataclasses

    import numpy as np

    from au_jax import synthfacs

    preset = dataclasses.replace(synthfacs.get_preset("bp4d_like"), frames_per_video=37, length_spread=0.0)
    chunks = list(synthfacs.render_video(preset, 4, "F002", "T1", view="scene", size=240))
    return np.concatenate([chunk.frames for chunk in chunks]), np.concatenate([chunk.labels for chunk in chunks])


@pytest.fixture
def config(data_directory):
    """The smoke configuration on one small prepared dataset, shared by many tests."""
    from au_jax.config import load

    config = load("demo:smoke")
    config.data.directory = str(data_directory)
    config.protocol.folds = 2
    config.evaluation.bootstrap = 20
    return config


@pytest.fixture(scope="session")
def dataset(data_directory):
    """That dataset: six people."""
    from au_jax.config import load
    from au_jax.data.dataset import FaceDataset
    from au_jax.data.preparation import prepare

    config = load("demo:smoke")
    config.data.directory = str(data_directory)
    with jax.numpy_dtype_promotion("standard"):
        return FaceDataset(prepare(config.data))


@pytest.fixture
def context(config, data_directory, tmp_path):
    """A fold of one system, without a run around it."""
    from au_jax.logs import Costs, RunLog
    from au_jax.systems.base import FoldContext

    jax.config.update("jax_compilation_cache_dir", str(data_directory / "compiled"))
    log = RunLog(tmp_path)
    yield FoldContext(config, 0, tmp_path / "fold_00", log, Costs(tmp_path))
    log.close()


@pytest.fixture
def parts(dataset):
    """Training, validation and test subjects, all with labels."""
    from au_jax.data.dataset import FaceSet

    return tuple(FaceSet(dataset, group) for group in (("S001", "S002", "S003"), ("S004",), ("S005", "S006")))
