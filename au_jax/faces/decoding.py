"""Videos, folders of frames and cameras as upright RGB frames with exact numbers and times, by PyAV and Pillow.

PyAV decodes as fast as OpenCV, which ends a video at the first damaged frame or passes it off as good: PyAV says which frame
is damaged, so that those behind it are read and keep their numbers. What is in a file is never trusted: no other file or
address is opened for it, and its size is checked before memory is taken. `prepare` and `predict` read by this module alone.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from au_jax.errors import DataError
from au_jax.faces.containers import decoded, has_no_times, mean_rate, open_video, pyav, reason, seconds_before
from au_jax.faces.frame_folder import folder_bits, folder_notes, frame_files, order_frames, read_picture
from au_jax.faces.frame_pixels import QUARTERS, FrameConverter, deinterlaced, rotation, turned

FOLDER_FPS: float = 25.0
"""Frames per second of a folder of frames of which nobody says it."""

CLOCKS: tuple[str, ...] = ("player", "first_frame")
"""Where a video's times begin: where players and coders' programs begin to count, or at its first frame."""


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video, a folder or a camera.

    Attributes:
      number: videos and cameras: 1, 2, ... in order of presentation; frame folders: the number in the file's name.
      timestamp: seconds on the source's clock; folders: (number - first number) / fps.
      image: [H, W, 3] uint8 RGB, upright, of square pixels; None where the frame could not be read.
      named: whether the number is that of a file's name.

    Example:
      >>> frame = VideoFrame(3, 0.08, np.zeros((2, 4, 3), np.uint8))
      >>> frame.number, frame.timestamp, frame.image.shape
      (3, 0.08, (2, 4, 3))
    """

    number: int
    timestamp: float
    image: UInt8[np.ndarray, "H W 3"] | None
    named: bool = False


@dataclass(frozen=True)
class VideoFacts:
    """What a video's header says, which may be wrong, and its first frame.

    Attributes:
      frames: how many are shown; None where the header does not say.
      width, height: pixels of the images that are read: upright, of square pixels.
      fps: mean frames per second; 25 where the header does not say.
      seconds: duration; None where the header does not say.
      rotation: degrees by which the stored frames are turned counter-clockwise to be upright (and then mirrored, where
        the header says so): 0, 90, 180 or 270.
      notes: what is done to the frames that is not said by the file's name, such as tone mapping, in lines.

    Example:
      >>> facts = VideoFacts(frames=50, width=64, height=48, fps=25.0, seconds=2.0, rotation=0)
      >>> facts.frames == facts.fps * facts.seconds
      True
    """

    frames: int | None
    width: int
    height: int
    fps: float
    seconds: float | None
    rotation: int
    notes: tuple[str, ...] = ()


def is_camera(source: str | Path | int) -> bool:
    """Whether a source is the index of a camera; what exists on disk is none.

    Example:
      >>> is_camera(0), is_camera("1"), is_camera("clip.mp4")
      (True, True, False)
    """
    return isinstance(source, int) or (isinstance(source, str) and source.isdecimal() and not Path(source).exists())


_NO_TIMES = "it has no times"


def read_pictures(
    source: str | Path | int, fps: float | None = None, rotate: int = 0, clock: str = "player"
) -> Iterator[VideoFrame]:
    """Reads a video file, a folder of numbered frames, or a camera.

    Args:
      source: path, or the camera's index such as 0 or "0".
      fps: frames per second of a folder of frames or a raw stream; None: `FOLDER_FPS`, or as the stream says.
      rotate: degrees by which pictures are turned clockwise, one of `QUARTERS`.
      clock: one of `CLOCKS`.

    Raises:
      DataError: as `read_video`, `read_folder` and `read_camera`, here or at the first frame.

    Example:
      >>> import tempfile
      >>> from PIL import Image
      >>> folder = Path(tempfile.mkdtemp())
      >>> for number in (3, 5):
      ...     Image.new("RGB", (4, 2)).save(folder / f"frame_{number}.png")
      >>> [(frame.number, frame.timestamp, frame.image.shape) for frame in read_pictures(folder, fps=20.0)]
      [(3, 0.0, (2, 4, 3)), (5, 0.1, (2, 4, 3))]
    """
    if isinstance(source, int) or is_camera(source):
        return read_camera(int(str(source)), fps, rotate)
    if Path(source).is_dir():
        return read_folder(source, fps, rotate)
    return read_video(source, fps, rotate, clock)


def read_video(
    path: str | Path, fps: float | None = None, rotate: int = 0, clock: str = "player"
) -> Iterator[VideoFrame]:
    """Decodes a video frame by frame; memory does not grow with its length.

    Images are as `frame_pixels.FrameConverter` makes them, interlaced frames deinterlaced before. A frame that the decoder
    reports as damaged keeps its number and time and has no image. A file that breaks off ends where it breaks off: `probe`
    tells how many frames its header promised. Where a file gives a frame no time, or one that is not later than the frame
    before, the frame follows it at the mean rate.

    Args:
      path: of the video.
      fps: frames per second of a raw stream, which has no times; None: as its codec says.
      rotate: degrees by which images are turned clockwise, one of `QUARTERS`.
      clock: one of `CLOCKS`; a raw stream has only its first frame to count from.

    Yields:
      VideoFrame, in order of presentation.

    Raises:
      DataError: no such file, not a video, too large, a rate for a file with times of its own, or not one frame can be
        decoded; at the first or last frame.

    Example:
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "read.mp4", 25, 64, 48) as video:
      ...     for _ in range(2):
      ...         video.write(np.zeros((48, 64, 3), np.uint8))
      >>> [(frame.number, frame.timestamp, frame.image.shape) for frame in read_video(folder / "read.mp4")]
      [(1, 0.0, (48, 64, 3)), (2, 0.04, (48, 64, 3))]
    """
    _check(rotate, clock)
    with open_video(path) as (container, stream):
        _check_rate(path, container, fps)
        good = 0
        for frame in _video_frames(container, stream, fps, rotate, clock):
            good += frame.image is not None
            yield frame
    if not good:
        raise _undecodable(path)


def read_folder(
    path: str | Path, fps: float | None = None, rotate: int = 0, between: tuple[int, int] | None = None
) -> Iterator[VideoFrame]:
    """Reads a folder of numbered frames in the order of their numbers (`frame_folder.order_frames`).

    Args:
      path: of the folder; files without a number in their names are left out.
      fps: frames per second; None: `FOLDER_FPS`.
      rotate: degrees by which images are turned clockwise, one of `QUARTERS`.
      between: first and last number to be read; None: all, of which one at least must be readable.

    Raises:
      DataError: no such folder, no frames in it, two frames of one number, an image too large, or none readable.

    Example:
      >>> from PIL import Image
      >>> place = folder / "frames"
      >>> place.mkdir()
      >>> for number in (3, 5):
      ...     Image.new("RGB", (4, 2)).save(place / f"{number}.png")
      >>> [(frame.number, frame.timestamp) for frame in read_folder(place, fps=20.0)]
      [(3, 0.0), (5, 0.1)]
    """
    _check(rotate)
    fps = FOLDER_FPS if fps is None else fps
    if not fps > 0:
        raise DataError(f"{path} cannot be read at {fps} frames per second; give a positive rate")
    files = frame_files(path)
    if not files:
        raise DataError(f"{path} holds no frames: no .jpg, .png, .bmp or .tif with a number in its name")
    begin, good, bits = next(iter(files)), 0, folder_bits(files)
    first, last = between or (begin, next(reversed(files)))
    for number, file in files.items():
        if first <= number <= last:
            image = read_picture(file, bits)
            good += image is not None
            yield VideoFrame(number, (number - begin) / fps, None if image is None else turned(image, rotate), True)
    if not good and between is None:
        raise DataError(f"{path}: none of its {len(files)} images can be read; copy them again")


def read_camera(index: int, fps: float | None = None, rotate: int = 0) -> Iterator[VideoFrame]:
    """Reads a camera (Video4Linux or AVFoundation) until it is unplugged or the reader stops.

    Args:
      index: 0 is the first.
      fps: None; a camera has times of its own.
      rotate: degrees by which images are turned clockwise, one of `QUARTERS`.

    Raises:
      DataError: there is no such camera, it may not be opened, or a rate is given; at the first frame.

    Example:
      >>> for frame in read_camera(0):  # doctest: +SKIP
      ...     print(frame.number, frame.image.shape)
    """
    _check(rotate)
    if fps is not None:
        raise DataError(f"camera {index} has times of its own; leave out --fps")
    av = pyav()
    mac = sys.platform == "darwin"
    # AVFoundation's own default rate is one that most of its cameras refuse.
    options = {"framerate": "30"} if mac else {}
    device, form = (str(index), "avfoundation") if mac else (f"/dev/video{index}", "v4l2")
    try:
        container = av.open(device, format=form, options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"camera {index} ({device}) cannot be opened ({reason(error)}); choose another") from error
    with container:
        yield from _video_frames(container, container.streams.video[0], None, rotate, "first_frame")


def probe(path: str | Path) -> VideoFacts:
    """What a video's header and first decodable frame say.

    Raises:
      DataError: no such file, empty, not a video, no video stream, larger than `MAX_PIXELS`, or nothing decodes.

    Example:
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "probe.mp4", 25, 64, 48) as video:
      ...     video.write(np.zeros((48, 64, 3), np.uint8))
      >>> probe(folder / "probe.mp4")
      VideoFacts(frames=1, width=64, height=48, fps=25.0, seconds=0.04, rotation=0, notes=())
    """
    with open_video(path) as (container, stream):
        shown = (pair for _, *pair in deinterlaced(decoded(container, stream), stream) if pair[0] is not None)
        frame, woven = next(shown, (None, False))
        if frame is None:
            raise _undecodable(path)
        convert = FrameConverter(stream)
        height, width = convert(frame).shape[:2]
        rate = mean_rate(stream)
        frames, seconds = _frames_shown(stream), None
        notes = ["it is interlaced: its half pictures are woven into whole ones by FFmpeg's bwdif"] if woven else []
        notes += convert.notes()
        if has_no_times(container):
            told = "as its codec says" if stream.codec_context.framerate else "which is a guess"
            notes.append(f"{_NO_TIMES}: {float(rate):g} frames/s, {told}, unless --fps is given")
        elif stream.average_rate and stream.average_rate != rate:
            notes.append(
                f"its header claims {float(stream.average_rate):g} frames/s, which cannot be; its times are used"
            )
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration:
            seconds = container.duration / 1e6  # AV_TIME_BASE
        turn = rotation(frame, str(stream.codec_context.name))
        return VideoFacts(frames, width, height, float(rate), seconds, turn, tuple(notes))


def source_notes(source: str | Path | int, fps: float | None = None) -> list[str]:
    """What should be known of how a video or a folder of frames is read, in lines; none of a camera.

    Args:
      source, fps: as `read_pictures` takes them.

    Raises:
      DataError: as `probe` and `frame_folder.order_frames`, or a rate for a source with times of its own.

    Example:
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "noted.mp4", 25, 64, 48) as video:
      ...     video.write(np.zeros((48, 64, 3), np.uint8))
      >>> source_notes(folder / "noted.mp4")
      []
    """
    if isinstance(source, int) or is_camera(source):
        return []
    if Path(source).is_dir():
        return folder_notes(order_frames(source))
    with open_video(source) as (container, _):
        _check_rate(source, container, fps)
    return [note for note in probe(source).notes if fps is None or not note.startswith(_NO_TIMES)]


def _frames_shown(stream: Any) -> int | None:
    """How many frames of a video are shown: trimming leaves more in the file, which its index marks."""
    index = stream.index_entries
    if stream.frames and len(index) == stream.frames:
        return sum(not entry.is_discard for entry in index)
    return stream.frames or None


def _check(rotate: int, clock: str = CLOCKS[0]) -> None:
    if rotate not in QUARTERS:
        raise DataError(f"pictures cannot be turned by {rotate} degrees; choose one of {', '.join(map(str, QUARTERS))}")
    if clock not in CLOCKS:
        raise DataError(f"there is no clock {clock!r}; choose one of {', '.join(CLOCKS)}")


def _check_rate(path: str | Path, container: Any, fps: float | None) -> None:
    if fps is not None and not has_no_times(container):
        raise DataError(f"{path} has times of its own; leave out --fps, which is for folders of frames and raw streams")
    if fps is not None and not fps > 0:
        raise DataError(f"{path} cannot be read at {fps} frames per second; give a positive rate")


def _video_frames(container: Any, stream: Any, fps: float | None, rotate: int, clock: str) -> Iterator[VideoFrame]:
    convert = FrameConverter(stream, rotate)
    raw = has_no_times(container)
    step = float(1 / mean_rate(stream)) if fps is None else 1 / fps
    origin, seconds = None, -step
    for number, (pts, frame, _) in enumerate(deinterlaced(decoded(container, stream), stream), 1):
        follows = seconds + step
        if raw:
            seconds = (number - 1) * step
        else:
            if pts is not None and origin is None:
                start = seconds_before(container, pts * stream.time_base) if clock == "player" else 0.0
                origin = pts * stream.time_base - Fraction(follows) - Fraction(start)
            given = -1.0 if pts is None else float(pts * stream.time_base - origin)
            seconds = given if given > seconds else follows
        image = None if frame is None or frame.is_corrupt else convert(frame)
        yield VideoFrame(number, seconds, image)


def _undecodable(path: str | Path) -> DataError:
    return DataError(f"{path}: not one frame can be decoded; the file is damaged, copy it again")
