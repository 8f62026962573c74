"""synthfacs: the embedded dataset of synthetic faces whose AUs, landmarks and identities are known exactly."""

import importlib as _importlib
import typing as _typing

from au_jax.synthfacs.presets import AUS, PRESETS, Preset, get_preset

if _typing.TYPE_CHECKING:
    from au_jax.synthfacs.video import VideoChunk as VideoChunk
    from au_jax.synthfacs.video import draw_face as draw_face
    from au_jax.synthfacs.video import draw_faces as draw_faces
    from au_jax.synthfacs.video import render_video as render_video
    from au_jax.synthfacs.video import subject_names as subject_names
    from au_jax.synthfacs.video import video_codes as video_codes
    from au_jax.synthfacs.video import video_intensities as video_intensities
    from au_jax.synthfacs.video import video_length as video_length
    from au_jax.synthfacs.video import video_names as video_names

__all__ = [
    "AUS",
    "PRESETS",
    "Preset",
    "VideoChunk",
    "draw_face",
    "draw_faces",
    "get_preset",
    "render_video",
    "subject_names",
    "video_codes",
    "video_intensities",
    "video_length",
    "video_names",
]


def __getattr__(name: str):
    # On demand: who reads recordings of real people has no use for JAX and SciPy, 200 MB in every worker.
    if name not in __all__:
        raise AttributeError(f"module 'au_jax.synthfacs' has no attribute {name!r}")
    globals()[name] = getattr(_importlib.import_module("au_jax.synthfacs.video"), name)
    return globals()[name]
