"""Facial action unit detection from spatial and temporal cues, after Chu, De la Torre & Cohn (FG 2017).

What most programs need is here, and is imported when it is first asked for:

    import au_jax

    table = au_jax.Detector.from_run("runs/demo").detect("clip.mp4")    # AUs of a video
    run = au_jax.load_run("runs/demo")                                 # a finished run: run.results, run.scores("hybrid")
    faces = au_jax.load_dataset(run.config.data)                       # its registered faces, labels and landmarks
    f1 = au_jax.metrics.f1(au_jax.metrics.counts(labels, scores))      # the metrics, from arrays
    detector = au_jax.inference.exported.load("detector.zip")                    # a detector in one file, with JAX alone

`experiments/walkthrough.py` goes through all of it.
"""

import importlib
import importlib.metadata
import os
from typing import TYPE_CHECKING

# Before TensorFlow is imported, by whatever part of au_jax.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow only reads and decodes here, which oneDNN has no part in; it announces it with four lines.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from au_jax import xla_flags as xla_flags  # before JAX makes its first array

if TYPE_CHECKING:
    from au_jax.data.dataset import FaceDataset as FaceDataset
    from au_jax.data.tfds_builder import AuFaces as AuFaces
    from au_jax.evaluation import metrics as metrics
    from au_jax.inference import exported as exported
    from au_jax.inference.detector import Detector as Detector
    from au_jax.inference.writers import Detections as Detections
    from au_jax.run_dir import load_dataset as load_dataset
    from au_jax.run_dir import load_run as load_run

    __version__: str

_HOMES = {
    "AuFaces": "au_jax.data.tfds_builder",
    "Detections": "au_jax.inference.writers",
    "Detector": "au_jax.inference.detector",
    "FaceDataset": "au_jax.data.dataset",
    "exported": "au_jax.inference.exported",
    "load_dataset": "au_jax.run_dir",
    "load_run": "au_jax.run_dir",
    "metrics": "au_jax.evaluation.metrics",
}

__all__ = [
    "AuFaces",
    "Detections",
    "Detector",
    "FaceDataset",
    "exported",
    "load_dataset",
    "load_run",
    "metrics",
]


def __getattr__(name: str):
    # On demand: the networks' rooms import without TensorFlow, which the detector's do not.
    if name == "__version__":
        return importlib.metadata.version("au-jax")
    if name not in _HOMES:
        raise AttributeError(f"module 'au_jax' has no attribute {name!r}")
    module = importlib.import_module(_HOMES[name])
    globals()[name] = getattr(module, name, module)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
