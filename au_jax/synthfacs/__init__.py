"""synthfacs: the embedded dataset of synthetic faces whose AUs, landmarks and identities are known exactly."""

from au_jax.synthfacs.presets import AUS, PRESETS, Preset, get_preset
from au_jax.synthfacs.video import (
    VideoChunk,
    draw_face,
    draw_faces,
    render_video,
    subject_names,
    video_intensities,
    video_length,
    video_names,
)

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
    "video_intensities",
    "video_length",
    "video_names",
]
