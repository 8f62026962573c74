"""Which video files browsers play as they are, on the clock and in the pixels of what was scored."""

from pathlib import Path

from au_jax.faces.containers import open_video
from au_jax.faces.decoding import probe

_CODECS = {"h264": ("mp4", "m4v", "mov"), "vp8": ("webm",), "vp9": ("webm", "mp4"), "av1": ("webm", "mp4")}
_PIXELS = ("yuv420p", "yuvj420p")
_TYPES = {"mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/mp4", "webm": "video/webm"}


def media_type(path: str | Path) -> str:
    """The type under which a page offers a video file.

    Example:
      >>> media_type("clip.MOV"), media_type("clip.webm")
      ('video/mp4', 'video/webm')
    """
    return _TYPES.get(Path(path).suffix.lower().lstrip("."), "video/mp4")


def why_not_played(path: str | Path) -> str:
    """Why browsers would not play a video file, or not show what was scored; "" where they do.

    Chromium, Firefox and Safari play H.264 in MP4, and VP8, VP9 and AV1 in WebM, in 8 bits and 4:2:0. What is changed before
    faces are sought (HDR, half pictures, rates that cannot be) they would show unchanged, and of a container whose clock does
    not begin at 0 they do not agree on the times.

    Args:
      path: of the video file.

    Raises:
      DataError: as `decoding.probe`.

    Example:
      >>> import numpy as np
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "played.mp4", 25, 64, 48) as video:
      ...     video.write(np.zeros((48, 64, 3), np.uint8))
      >>> why_not_played(folder / "played.mp4")
      ''
    """
    with open_video(path) as (container, stream):
        context = stream.codec_context
        suffix = Path(path).suffix.lower().lstrip(".")
        codec, pixels, begin = str(context.name), str(context.pix_fmt), container.start_time
    codec = {"libdav1d": "av1", "libaom-av1": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8"}.get(codec, codec)
    if codec not in _CODECS:
        return f"browsers do not play {codec}"
    if suffix not in _CODECS[codec]:
        return f"browsers do not play {codec} in .{suffix}" if suffix else "its name has no suffix"
    if pixels not in _PIXELS:
        return f"browsers do not play {codec} of {pixels}"
    if begin:
        return f"its clock begins at {begin / 1e6:g} s"
    notes = probe(path).notes
    return notes[0] if notes else ""
