"""Settings of every test: two virtual devices, strict promotion, no accelerator."""

import contextlib
import fcntl
import functools
import gc
import importlib.machinery
import importlib.metadata
import logging
import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import types
import unittest.mock
import warnings
from pathlib import Path

# Before JAX is imported: two devices on the CPU, so that data parallelism is tested everywhere. Tests run most programs a few
# times only, so compiling quickly saves more than running quickly; commands that tests start inherit it.
os.environ["XLA_FLAGS"] = " ".join(
    (
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=2",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
        # Half the time of compiling. A version that does not know a flag ends the process.
        "--xla_cpu_use_fusion_emitters=false" if importlib.metadata.version("jaxlib").startswith("0.10.") else "",
    )
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import hypothesis
import jax
import pytest
from beartype import BeartypeConf, beartype
from jax._src import lru_cache
from jaxtyping import _import_hook, install_import_hook

if os.environ.get("AU_JAX_TYPECHECK") != "0":
    # Every annotated type and shape of the package is checked whenever a function is called; an int may stand for a float.
    _checker = types.ModuleType("au_jax_type_checker")
    _checker.__dict__["check"] = beartype(conf=BeartypeConf(is_pep484_tower=True))
    sys.modules[_checker.__name__] = _checker
    install_import_hook("au_jax", f"{_checker.__name__}.check")

    def _get_code(loader, name, read=_import_hook._JaxtypingLoader.get_code):
        tag = functools.partial(_import_hook._optimized_cache_from_source, loader._typechecker.get_hash())
        with unittest.mock.patch("importlib._bootstrap_external.cache_from_source", tag):
            return read(loader, name)

    # jaxtyping's loader looks for compiled files of its own even of what a checked module imports in its turn: TensorFlow
    # and others would be compiled from source in every process (findings/jaxtyping_hook_imports.sh).
    _import_hook._JaxtypingLoader.get_code = _get_code
    _import_hook._JaxtypingLoader.exec_module = importlib.machinery.SourceFileLoader.exec_module

# Tracing makes many small objects: the collector of rubbish would run at every 700 of them.
gc.set_threshold(50_000)

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("au_jax", deadline=None)
hypothesis.settings.load_profile("au_jax")

# Silent broadcasting over a missing axis is a classic bug of array code.
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_modifyitems(items):
    """Puts the files that need `finished` last but for one: while a worker process makes it, the other has something to do."""
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)

    def waits(path):
        return any("finished" in item.fixturenames for item in files[path])

    first = next((path for path in files if path.stem == "test_docstrings"), None)
    order = sorted(files, key=lambda path: (path != first, waits(path), -len(files[path])))
    items[:] = [item for path in order for item in files[path]]


@pytest.fixture(autouse=True)
def promotion(request):
    """Silent changes of dtype are another; optax's own arithmetic mixes dtypes and is let off where it is marked."""
    mode = "standard" if request.node.get_closest_marker("optax") else "strict"
    with jax.numpy_dtype_promotion(mode):
        yield


def _put(cache, key, program):
    """What JAX's cache does, but for a moment in which another process finds half a file."""
    path = cache.path / f"{key}-cache"
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=cache.path, delete=False) as stream:
            stream.write(program)
        os.replace(stream.name, path)


@pytest.fixture(scope="session", autouse=True)
def compiled(shared):
    """Where compiled programs are kept: what one test has compiled others find there, in the other worker process too."""
    folder = shared / "programs"
    folder.mkdir(exist_ok=True)
    lru_cache.LRUCache.put = _put
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # The name of the folder is else part of what programs are found under (findings/jax_cache_key_folder.sh), and those of
    # `finished` would not be.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    # Commands that tests start read them too, and write none: neither here nor to the home folder.
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1e6",
    }
    return folder


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


@contextlib.contextmanager
def _locked(path):
    """A block in which no other worker process makes the same."""
    with open(path.with_name(f"{path.name}.lock"), "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def prepared(shared):
    """A folder with the prepared faces of the smoke configuration, made once for all worker processes; not written to."""
    from au_jax.config import load
    from au_jax.data.preparation import prepare

    directory = shared / "data"
    with _locked(directory):
        if not (shared / "data.made").exists():
            config = load("demo:smoke")
            config.data.directory = str(directory)
            with jax.numpy_dtype_promotion("standard"):
                prepare(config.data)
            (shared / "data.made").touch()
    return directory


@pytest.fixture(scope="session")
def data_directory(prepared, tmp_path_factory):
    """Where this process's datasets are prepared, once for all its tests; that of the smoke configuration is there.

    A copy: JAX's compiled programs, which are kept there, are not written by several processes at once.
    """
    directory = tmp_path_factory.mktemp("data")
    shutil.copytree(prepared, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("compiled"))
    return directory


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs a command as `python -m` does, in this process: (module, *options) -> what subprocess.run returns, as text.

    A process of its own takes seconds to import TensorFlow. That commands start in one is tested by `finished`, by
    test_command_line.py and by test_wheel.py.
    """
    from absl import flags
    from absl import logging as absl_logging

    from au_jax import console

    def run(module, *options):
        monkeypatch.setattr(sys, "argv", [module, *map(str, options)])
        monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
        monkeypatch.setattr(console._Settings, "quiet", console._Settings.quiet)
        root, before = logging.getLogger(), set(flags.FLAGS)
        handlers, verbosity = list(root.handlers), absl_logging.get_verbosity()
        capsys.readouterr()
        status = 0
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
                runpy.run_module(module, run_name="__main__")
        except SystemExit as ended:
            status = ended.code
            if isinstance(status, str):
                # As the interpreter does at its end.
                print(status, file=sys.stderr)
                status = 1
        finally:
            root.handlers[:] = handlers
            absl_logging.set_verbosity(verbosity)
            for name in set(flags.FLAGS) - before:
                # absl defines its own only once.
                if flags.FLAGS.find_module_defining_flag(name) != "absl.app":
                    delattr(flags.FLAGS, name)
            flags.FLAGS.unparse_flags()
        told = capsys.readouterr()
        return subprocess.CompletedProcess([module, *options], status or 0, told.out, told.err)

    return run


HYSTERESIS = 0.1
"""Of the tests' runs: what predict, detectors and exported files make of it is compared with what the run scored."""


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
            f"--config.fusion.hysteresis={HYSTERESIS}", *more,
        ]  # fmt: skip

    return make


@pytest.fixture(scope="session")
def finished(shared, prepared, main_command, compiled):
    """A whole run through the command line, made once, which tests read, or copy and compare with."""
    workdir, programs = shared / "whole", shared / "compiled"
    with _locked(workdir):
        if not (workdir / "report.html").exists():
            command = main_command(workdir, prepared, f"--config.compiled={programs}")
            environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(programs)}
            subprocess.run(command, check=True, capture_output=True, env=environment)
            # Its networks are those of the fixture `config`.
            for path in programs.iterdir():
                shutil.copy(path, compiled.with_name("part"))
                os.replace(compiled.with_name("part"), compiled / path.name)
    return workdir


@pytest.fixture(scope="session")
def graded(finished, prepared, shared):
    """That run with the system anet_intensity added to its first fold, made once; not written to. No table is made of it."""
    from au_jax.config import replace
    from au_jax.data.preparation import load_dataset
    from au_jax.data.splits import Fold
    from au_jax.logs import Costs, RunLog
    from au_jax.run import run_system
    from au_jax.run_dir import RunDir
    from au_jax.systems.base import FoldContext

    workdir = shared / "graded"
    with _locked(workdir):
        if not (workdir / "made").exists():
            shutil.copytree(finished, workdir, dirs_exist_ok=True)
            run = RunDir(workdir)
            config = replace(run.config(), **{"anet_intensity.penalties": (1e-2,)})
            fold = Fold(**{name: tuple(people) for name, people in run.split()["folds"][0].items()})
            log = RunLog(workdir)
            context = FoldContext(config, 0, run.fold(0), log, Costs(workdir))
            with jax.numpy_dtype_promotion("standard"):
                run_system("anet_intensity", context, load_dataset(config.data), fold)
            log.close()
            (workdir / "made").touch()
    return workdir


@pytest.fixture(scope="session")
def scene(shared):
    """A filmed person of synthfacs in front of a room: pictures [37, 240, 240, 3] uint8, and labels [37, 12] int8."""
    import dataclasses

    import numpy as np

    from au_jax import synthfacs

    path = shared / "scene.npz"
    with _locked(path):
        if not path.exists():
            preset = dataclasses.replace(synthfacs.presets.CLEAR, frames_per_video=37, length_spread=0.0)
            chunks = list(synthfacs.render_video(preset, 4, "F002", "T1", view="scene", size=240))
            pictures, labels = (
                np.concatenate([getattr(part, name) for part in chunks]) for name in ("frames", "labels")
            )
            np.savez(path, pictures=pictures, labels=labels)
        with np.load(path) as arrays:
            return arrays["pictures"], arrays["labels"]


@pytest.fixture
def config(data_directory, compiled):
    """The smoke configuration on one small prepared dataset, shared by many tests."""
    from au_jax.config import load

    config = load("demo:smoke")
    config.data.directory = str(data_directory)
    config.compiled = str(compiled)
    config.protocol.folds = 2
    config.evaluation.bootstrap = 20
    config.fusion.hysteresis = HYSTERESIS
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
def context(config, tmp_path):
    """A fold of one system, without a run around it."""
    from au_jax.logs import Costs, RunLog
    from au_jax.systems.base import FoldContext

    log = RunLog(tmp_path)
    yield FoldContext(config, 0, tmp_path / "fold_00", log, Costs(tmp_path))
    log.close()


@pytest.fixture
def parts(dataset):
    """Training, validation and test subjects, all with labels."""
    from au_jax.data.dataset import FaceSet

    return tuple(FaceSet(dataset, group) for group in (("S001", "S002", "S003"), ("S004",), ("S005", "S006")))
