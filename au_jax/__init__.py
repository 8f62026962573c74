"""Facial action unit detection from spatial and temporal cues, after Chu, De la Torre & Cohn (FG 2017).

What most programs need is here, and is imported when it is first asked for:

    import au_jax

    table = au_jax.Detector.from_run("runs/demo").detect("clip.mp4")    # AUs of a video
    run = au_jax.load_run("runs/demo")                                 # a finished run: run.results, run.scores("hybrid")
    faces = au_jax.load_dataset(run.config.data)                       # its registered faces, labels and landmarks
    f1 = au_jax.metrics.f1(au_jax.metrics.counts(labels, scores))      # the metrics, from arrays
    detector = au_jax.exported.load("detector.zip")                    # a detector in one file, with JAX alone
    config = au_jax.load_config("demo:smoke")                          # a configuration, to be changed and run

`experiments/walkthrough.py` goes through all of it.
"""

import importlib as _importlib
import importlib.metadata as _metadata
import os as _os
import typing as _typing

# Before TensorFlow is imported, by whatever part of au_jax.
_os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow only reads and decodes here, which oneDNN has no part in; it announces it with four lines.
_os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from au_jax import xla_flags as _xla_flags  # noqa: F401, before JAX makes its first array

if _typing.TYPE_CHECKING:
    from au_jax.config import get_config as get_config
    from au_jax.config import load as load_config
    from au_jax.data.dataset import FaceDataset as FaceDataset
    from au_jax.data.preparation import load_dataset as load_dataset
    from au_jax.data.tfds_builder import AuFaces as AuFaces
    from au_jax.errors import CommandError as CommandError
    from au_jax.errors import ConfigError as ConfigError
    from au_jax.errors import DataError as DataError
    from au_jax.errors import UserError as UserError
    from au_jax.evaluation import metrics as metrics
    from au_jax.inference import exported as exported
    from au_jax.inference.detector import Detector as Detector
    from au_jax.inference.writers import Detections as Detections
    from au_jax.run_dir import load_run as load_run

    __version__: str

# Public name -> its module, and its name there; "" is the module itself.
_HOMES = {
    "AuFaces": ("au_jax.data.tfds_builder", "AuFaces"),
    "CommandError": ("au_jax.errors", "CommandError"),
    "ConfigError": ("au_jax.errors", "ConfigError"),
    "DataError": ("au_jax.errors", "DataError"),
    "Detections": ("au_jax.inference.writers", "Detections"),
    "Detector": ("au_jax.inference.detector", "Detector"),
    "FaceDataset": ("au_jax.data.dataset", "FaceDataset"),
    "UserError": ("au_jax.errors", "UserError"),
    "exported": ("au_jax.inference.exported", ""),
    "get_config": ("au_jax.config", "get_config"),
    "load_config": ("au_jax.config", "load"),
    "load_dataset": ("au_jax.data.preparation", "load_dataset"),
    "load_run": ("au_jax.run_dir", "load_run"),
    "metrics": ("au_jax.evaluation.metrics", ""),
}

__all__ = [
    "AuFaces",
    "CommandError",
    "ConfigError",
    "DataError",
    "Detections",
    "Detector",
    "FaceDataset",
    "UserError",
    "__version__",
    "exported",
    "get_config",
    "load_config",
    "load_dataset",
    "load_run",
    "metrics",
]


def __getattr__(name: str):
    # On demand: the networks' modules import without TensorFlow, which the dataset's do not.
    if name == "__version__":
        return _metadata.version("au-jax")
    if name not in _HOMES:
        raise AttributeError(f"module 'au_jax' has no attribute {name!r}")
    module, inner = _HOMES[name]
    globals()[name] = getattr(_importlib.import_module(module), inner) if inner else _importlib.import_module(module)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__", "__name__", "__path__"])
