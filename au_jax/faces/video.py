"""Videos, frame folders and cameras as a stream of upright RGB pictures with exact numbers and times, and back to MP4.

Decoded and encoded with PyAV, as fast as OpenCV: OpenCV ends a video at the first damaged frame or passes it off as good,
PyAV says which frame is damaged, so that those behind it are read and keep their numbers; and it writes H.264.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from au_jax.errors import UserError
from au_jax.faces.decoding import decoded, mean_rate, opened, pyav, reason, rotation, upright
from au_jax.faces.picture_files import MAX_PIXELS, frame_files, read_picture
from au_jax.faces.video_writer import VideoWriter

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "VideoFacts",
    "VideoWriter",
    "frame_files",
    "probe",
    "read_camera",
    "read_folder",
    "read_pictures",
    "read_video",
]


@dataclass(frozen=True)
class Picture:
    """One frame.

    Attributes:
      number: videos and cameras: 1, 2, ... in order of presentation; frame folders: the number in the file's name.
      timestamp: seconds since the first frame; folders: (number - first number) / fps.
      image: [H, W, 3] uint8 RGB, upright; None where the frame could not be read.
    """

    number: int
    timestamp: float
    image: np.ndarray | None


@dataclass(frozen=True)
class VideoFacts:
    """What a video's header says, which may be wrong, and its first frame.

    Attributes:
      frames: how many; None where the header does not say.
      width, height: pixels, upright.
      fps: mean frames a second; 25 where the header does not say.
      seconds: duration; None where the header does not say.
      rotation: degrees by which the stored pictures are turned counter-clockwise to be upright (and then mirrored, where
        the header says so): 0, 90, 180 or 270.
    """

    frames: int | None
    width: int
    height: int
    fps: float
    seconds: float | None
    rotation: int


def read_pictures(source: str | Path | int, fps: float = 25.0) -> Iterator[Picture]:
    """Reads a video file, a folder of numbered frames (at `fps`), or a camera, given by its index such as 0 or "0".

    Raises:
      UserError: as `read_video`, `read_folder` and `read_camera`, here or at the first picture.
    """
    if isinstance(source, int) or (isinstance(source, str) and source.isdecimal() and not Path(source).exists()):
        return read_camera(int(source))
    return read_folder(source, fps) if Path(source).is_dir() else read_video(source)


def read_video(path: str | Path) -> Iterator[Picture]:
    """Decodes a video frame by frame; memory does not grow with its length.

    A frame that the decoder reports as damaged keeps its number and time and has no image. A file that breaks off ends
    where it breaks off: `probe` tells how many frames its header promised. Where a file gives a frame no time, or one
    that is not later than the frame before, the frame follows it at the mean rate.

    Yields:
      Picture, in order of presentation.

    Raises:
      UserError: no such file, not a video, too large, or not one frame can be decoded; at the first or last picture.
    """
    with opened(path) as (container, stream):
        good = 0
        for picture in _pictures(container, stream):
            good += picture.image is not None
            yield picture
    if not good:
        raise _undecodable(path)


def read_folder(path: str | Path, fps: float = 25.0) -> Iterator[Picture]:
    """Reads a folder of numbered frames in the order of their numbers.

    Raises:
      UserError: no such folder, no frames in it, two frames of one number, a picture too large, or none readable.
    """
    if not fps > 0:
        raise UserError(f"{path} cannot be read at {fps} frames a second; give a positive rate")
    files = frame_files(path)
    if not files:
        raise UserError(f"{path} holds no frames: no .jpg, .jpeg or .png whose name ends in a number")
    first, good = next(iter(files)), 0
    for number, file in files.items():
        image = read_picture(file)
        good += image is not None
        yield Picture(number, (number - first) / fps, image)
    if not good:
        raise UserError(f"{path}: none of its {len(files)} pictures can be read; copy them again")


def read_camera(index: int) -> Iterator[Picture]:
    """Reads a camera (Video4Linux or AVFoundation) until it is unplugged or the reader stops.

    Raises:
      UserError: there is no such camera, or it may not be opened; at the first picture.
    """
    av = pyav()
    mac = sys.platform == "darwin"
    # AVFoundation's own default rate is one that most of its cameras refuse.
    options = {"framerate": "30"} if mac else {}
    device, form = (str(index), "avfoundation") if mac else (f"/dev/video{index}", "v4l2")
    try:
        container = av.open(device, format=form, options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"camera {index} ({device}) cannot be opened ({reason(error)}); choose another") from error
    with container:
        yield from _pictures(container, container.streams.video[0])


def probe(path: str | Path) -> VideoFacts:
    """Returns what a video's header and first decodable frame say.

    Raises:
      UserError: no such file, empty, not a video, no video stream, larger than `MAX_PIXELS`, or nothing decodes.
    """
    with opened(path) as (container, stream):
        for _, frame in decoded(container, stream):
            if frame is not None:
                break
        else:
            raise _undecodable(path)
        seconds = None
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration:
            seconds = container.duration / 1e6  # AV_TIME_BASE
        turned = rotation(frame)
        sizes = (frame.height, frame.width) if turned in (90, 270) else (frame.width, frame.height)
        return VideoFacts(stream.frames or None, *sizes, float(mean_rate(stream)), seconds, turned)


def _pictures(container: Any, stream: Any) -> Iterator[Picture]:
    from av.video.reformatter import VideoReformatter

    # One for the whole video: setting up the conversion costs more than the conversion.
    reformatter = VideoReformatter()
    step = 1 / mean_rate(stream)
    origin, seconds = None, -float(step)
    for number, (pts, frame) in enumerate(decoded(container, stream), 1):
        follows = seconds + float(step)
        if pts is not None and origin is None:
            origin = pts * stream.time_base - Fraction(follows)
        given = -1.0 if pts is None else float(pts * stream.time_base - origin)
        seconds = given if given > seconds else follows
        image = None
        if frame is not None and not frame.is_corrupt:
            image = upright(reformatter.reformat(frame, format="rgb24").to_ndarray(), frame)
        yield Picture(number, seconds, image)


def _undecodable(path: str | Path) -> UserError:
    return UserError(f"{path}: not one frame can be decoded; the file is damaged, copy it again")
