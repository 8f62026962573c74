"""Facial action unit detection from spatial and temporal cues, after Chu, De la Torre & Cohn (FG 2017).

`Detector.from_run("runs/demo").detect("clip.mp4")` finds the AUs of a video with a finished run.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from au_jax.detections import Detections as Detections
    from au_jax.detector import Detector as Detector

__all__ = ["Detections", "Detector"]


def __getattr__(name: str):
    # On demand: the networks' rooms import without TensorFlow, which the detector's do not.
    if name == "Detector":
        from au_jax.detector import Detector

        return Detector
    if name == "Detections":
        from au_jax.detections import Detections

        return Detections
    raise AttributeError(f"module 'au_jax' has no attribute {name!r}")
