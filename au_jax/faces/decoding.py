"""Videos, folders of frames and cameras as upright RGB frames with exact numbers and times, by PyAV and Pillow.

PyAV decodes as fast as OpenCV, which ends a video at the first damaged frame or passes it off as good: PyAV says which frame
is damaged, so that those behind it are read and keep their numbers. What is in a file is never trusted: no other file or
address is opened for it, and its size is checked before memory is taken.
"""

import heapq
import math
import re
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from au_jax.errors import DataError, UserError

MAX_PIXELS: int = 8192 * 8192
"""Larger images are refused by what their header says, before memory is taken for them."""

_SUFFIXES = (".jpg", ".jpeg", ".png")
_LARGEST = np.iinfo(np.int32).max  # frame numbers are int32 in recordings


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video, a folder or a camera.

    Attributes:
      number: videos and cameras: 1, 2, ... in order of presentation; frame folders: the number in the file's name.
      timestamp: seconds since the first frame; folders: (number - first number) / fps.
      image: [H, W, 3] uint8 RGB, upright; None where the frame could not be read.

    Example:
      >>> frame = VideoFrame(3, 0.08, np.zeros((2, 4, 3), np.uint8))
      >>> frame.number, frame.timestamp, frame.image.shape
      (3, 0.08, (2, 4, 3))
    """

    number: int
    timestamp: float
    image: UInt8[np.ndarray, "H W 3"] | None


@dataclass(frozen=True)
class VideoFacts:
    """What a video's header says, which may be wrong, and its first frame.

    Attributes:
      frames: how many; None where the header does not say.
      width, height: pixels, upright.
      fps: mean frames per second; 25 where the header does not say.
      seconds: duration; None where the header does not say.
      rotation: degrees by which the stored frames are turned counter-clockwise to be upright (and then mirrored, where
        the header says so): 0, 90, 180 or 270.

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


def read_pictures(source: str | Path | int, fps: float = 25.0) -> Iterator[VideoFrame]:
    """Reads a video file, a folder of numbered frames, or a camera.

    Args:
      source: path, or the camera's index such as 0 or "0".
      fps: frames per second in a folder of frames.

    Raises:
      DataError: as `read_video`, `read_folder` and `read_camera`, here or at the first frame.

    Example:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> for number in (3, 5):
      ...     Image.new("RGB", (4, 2)).save(folder / f"frame_{number}.png")
      >>> [(frame.number, frame.timestamp, frame.image.shape) for frame in read_pictures(folder, fps=20.0)]
      [(3, 0.0, (2, 4, 3)), (5, 0.1, (2, 4, 3))]
    """
    if isinstance(source, int) or (isinstance(source, str) and source.isdecimal() and not Path(source).exists()):
        return read_camera(int(source))
    return read_folder(source, fps) if Path(source).is_dir() else read_video(source)


def read_video(path: str | Path) -> Iterator[VideoFrame]:
    """Decodes a video frame by frame; memory does not grow with its length.

    A frame that the decoder reports as damaged keeps its number and time and has no image. A file that breaks off ends
    where it breaks off: `probe` tells how many frames its header promised. Where a file gives a frame no time, or one
    that is not later than the frame before, the frame follows it at the mean rate.

    Yields:
      VideoFrame, in order of presentation.

    Raises:
      DataError: no such file, not a video, too large, or not one frame can be decoded; at the first or last frame.

    Example:
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "read.mp4", 25, 64, 48) as video:
      ...     for _ in range(2):
      ...         video.write(np.zeros((48, 64, 3), np.uint8))
      >>> [(frame.number, frame.timestamp, frame.image.shape) for frame in read_video(folder / "read.mp4")]
      [(1, 0.0, (48, 64, 3)), (2, 0.04, (48, 64, 3))]
    """
    with opened(path) as (container, stream):
        good = 0
        for frame in _video_frames(container, stream):
            good += frame.image is not None
            yield frame
    if not good:
        raise _undecodable(path)


def read_folder(path: str | Path, fps: float = 25.0) -> Iterator[VideoFrame]:
    """Reads a folder of numbered frames in the order of their numbers.

    Args:
      path: of the folder; files whose name does not end in a number are left out.
      fps: frames per second.

    Raises:
      DataError: no such folder, no frames in it, two frames of one number, an image too large, or none readable.

    Example:
      >>> place = folder / "frames"
      >>> place.mkdir()
      >>> for number in (3, 5):
      ...     Image.new("RGB", (4, 2)).save(place / f"{number}.png")
      >>> [(frame.number, frame.timestamp) for frame in read_folder(place, fps=20.0)]
      [(3, 0.0), (5, 0.1)]
    """
    if not fps > 0:
        raise DataError(f"{path} cannot be read at {fps} frames per second; give a positive rate")
    files = frame_files(path)
    if not files:
        raise DataError(f"{path} holds no frames: no .jpg, .jpeg or .png whose name ends in a number")
    first, good = next(iter(files)), 0
    for number, file in files.items():
        image = read_picture(file)
        good += image is not None
        yield VideoFrame(number, (number - first) / fps, image)
    if not good:
        raise DataError(f"{path}: none of its {len(files)} images can be read; copy them again")


def read_camera(index: int) -> Iterator[VideoFrame]:
    """Reads a camera (Video4Linux or AVFoundation) until it is unplugged or the reader stops.

    Raises:
      DataError: there is no such camera, or it may not be opened; at the first frame.

    Example:
      >>> for frame in read_camera(0):  # doctest: +SKIP
      ...     print(frame.number, frame.image.shape)
    """
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
        yield from _video_frames(container, container.streams.video[0])


def probe(path: str | Path) -> VideoFacts:
    """What a video's header and first decodable frame say.

    Raises:
      DataError: no such file, empty, not a video, no video stream, larger than `MAX_PIXELS`, or nothing decodes.

    Example:
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "probe.mp4", 25, 64, 48) as video:
      ...     video.write(np.zeros((48, 64, 3), np.uint8))
      >>> probe(folder / "probe.mp4")
      VideoFacts(frames=1, width=64, height=48, fps=25.0, seconds=0.04, rotation=0)
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


def frame_files(folder: str | Path) -> dict[int, Path]:
    """The files of a folder that are frames, by number and in order; other files are left out.

    A frame is a .jpg, .jpeg or .png (in any case) whose name ends in digits: their integer value is its number, so that
    `5.jpg`, `0005.jpg` and `clip_5.JPG` are all frame 5.

    Raises:
      DataError: no such folder, two files of one number, or a number beyond 32 bits.

    Example:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> for name in ("clip_10.jpg", "9.PNG", "notes.txt"):
      ...     (folder / name).touch()
      >>> [(number, path.name) for number, path in frame_files(folder).items()]
      [(9, '9.PNG'), (10, 'clip_10.jpg')]
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder of frames {folder}; check the path")
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        digits = re.search(r"[0-9]+$", path.stem)
        if path.suffix.lower() not in _SUFFIXES or digits is None or path.name.startswith("."):
            continue
        number = int(digits.group())
        if number > _LARGEST:
            raise DataError(f"{path} has frame number {number}, more than {_LARGEST}; rename the frames")
        if number in files:
            raise DataError(f"{folder}: {files[number].name} and {path.name} are both frame {number}; remove one")
        files[number] = path
    return dict(sorted(files.items()))


def read_picture(path: str | Path) -> UInt8[np.ndarray, "H W 3"] | None:
    """Reads an image file, turned as its EXIF entry says.

    16-bit samples are scaled to 8 bits, grey becomes RGB, and what is transparent lies on black.

    Returns:
      [H, W, 3] uint8 RGB, or None where the file is damaged, cut off or no image.

    Raises:
      DataError: the image is larger than `MAX_PIXELS`, or the file may not be read.

    Example:
      >>> Image.new("L", (4, 2), 200).save(folder / "grey.png")
      >>> read_picture(folder / "grey.png")[0, 0].tolist()
      [200, 200, 200]
      >>> (folder / "cut.jpg").touch()
      >>> read_picture(folder / "cut.jpg") is None
      True
    """
    try:
        # Pillow would open many more by their content, and start another program for some.
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_large(path, f"{image.width} x {image.height}")
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, "very many") from error
    except (FileNotFoundError, PermissionError) as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its name and permissions") from error
    except UserError:
        raise
    # What Pillow raises for damaged files, depending on the format and on where the damage is.
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, struct.error, zlib.error):
        return None


def _too_large(path: str | Path, size: str) -> DataError:
    return DataError(f"{path} is an image of {size} pixels, more than {MAX_PIXELS}; scale it down")


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow would clip it at 255
        grey = np.rint(np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[Any, Any]]:
    """Opens a video safely and yields its container and first video stream, with no frame decoded yet.

    Raises:
      DataError: no such file, empty, not a video, no video stream, a codec unknown here, or larger than `MAX_PIXELS`.

    Example:
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "opened.mp4", 25, 64, 48) as video:
      ...     video.write(np.zeros((48, 64, 3), np.uint8))
      >>> with opened(folder / "opened.mp4") as (container, stream):
      ...     stream.codec_context.name, stream.codec_context.width
      ('h264', 64)
    """
    av = pyav()
    file = Path(path)
    if not file.is_file():
        raise DataError(f"there is no video file {path}; check the path")
    if not file.stat().st_size:
        raise DataError(f"{path} is empty (0 bytes); copy it again")
    # A playlist under a video's name must not reach for the network, nor a header for all the memory.
    options = {"protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
    try:
        # An absolute path cannot be taken for a protocol, whatever colons are in it.
        container = av.open(str(file.absolute()), options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"{path} is not a video that can be read ({reason(error)}); copy or convert it") from error
    with container:
        # Music files carry their cover as a video stream; FFmpeg draws any .txt as a terminal.
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams or container.format.name == "tty":
            raise DataError(f"{path} has no video stream; name a video file")
        stream = streams[0]
        if stream.codec_context is None:
            raise DataError(f"{path} is coded in a way that FFmpeg cannot decode; convert it to H.264")
        pixels = stream.codec_context.width * stream.codec_context.height
        if pixels > MAX_PIXELS:
            size = f"{stream.codec_context.width} x {stream.codec_context.height}"
            raise DataError(f"{path} has frames of {size} pixels, more than {MAX_PIXELS}; scale it down")
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        # Threads over frames would report a damaged frame late, as if it were another, or not at all.
        stream.thread_type = "SLICE"
        yield container, stream


def _video_frames(container: Any, stream: Any) -> Iterator[VideoFrame]:
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
        yield VideoFrame(number, seconds, image)


def decoded(container: Any, stream: Any) -> Iterator[tuple[int | None, Any]]:
    """Yields presentation time, in units of the stream's time base, and frame, in order of presentation.

    The time is None where the file has none; the frame is None in place of one that the decoder gave up.

    Example:
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "decoded.mp4", 25, 64, 48) as video:
      ...     for _ in range(2):
      ...         video.write(np.zeros((48, 64, 3), np.uint8))
      >>> with opened(folder / "decoded.mp4") as (container, stream):
      ...     [float(pts * stream.time_base) for pts, frame in decoded(container, stream)]
      [0.0, 0.04]
    """
    av = pyav()
    lost: list[int] = []
    for packet in _packets(container, stream):
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            when = None if packet is None else packet.pts if packet.pts is not None else packet.dts
            if when is not None and not packet.is_discard:
                heapq.heappush(lost, when)
            continue
        for frame in frames:
            # Damage shows when a packet is decoded, which is before earlier frames have left the decoder.
            while lost and frame.pts is not None and lost[0] < frame.pts:
                yield heapq.heappop(lost), None
            yield frame.pts, frame
    while lost:
        yield heapq.heappop(lost), None


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets up to where the file ends or breaks off, then one that flushes the decoder."""
    av = pyav()
    while True:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    yield packet
            break
        except av.BlockingIOError:  # a camera that has no new frame yet
            time.sleep(0.005)
        except av.FFmpegError:
            break
    yield None


def mean_rate(stream: Any) -> Fraction:
    """The mean frames per second of a stream, 25 where it does not know.

    Example:
      >>> from types import SimpleNamespace
      >>> mean_rate(SimpleNamespace(average_rate=None, guessed_rate=Fraction(30)))
      Fraction(30, 1)
      >>> mean_rate(SimpleNamespace(average_rate=None, guessed_rate=None))
      Fraction(25, 1)
    """
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def rotation(frame: Any) -> int:
    """By how many degrees, 0 to 270, a frame is to be turned counter-clockwise, before any mirroring.

    Example:
      >>> from types import SimpleNamespace
      >>> matrix = np.array([-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30], np.int32)  # x and y both change their sign
      >>> rotation(SimpleNamespace(side_data={"DISPLAYMATRIX": matrix.tobytes()})), rotation(SimpleNamespace(side_data={}))
      (180, 0)
    """
    a, b, c, d = _display_matrix(frame)
    mirrored = a * d < b * c
    return round(math.degrees(math.atan2(-b, -a if mirrored else a)) / 90) % 4 * 90


def upright(image: UInt8[np.ndarray, "H W 3"], frame: Any) -> UInt8[np.ndarray, "h w 3"]:
    """Turns and mirrors an image as its frame's display matrix says, to the nearest quarter turn.

    Example:
      >>> from types import SimpleNamespace
      >>> matrix = np.array([-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30], np.int32)  # upside down
      >>> image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1).repeat(3, axis=2)
      >>> upright(image, SimpleNamespace(side_data={"DISPLAYMATRIX": matrix.tobytes()}))[..., 0].tolist()
      [[3, 2], [1, 0]]
    """
    a, b, c, d = _display_matrix(frame)
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """How a frame is to be shown: (a, b, c, d) with x' = a x + c y and y' = b x + d y, x to the right and y down."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), np.int32)[:5])
    return a, b, c, d


def _undecodable(path: str | Path) -> DataError:
    return DataError(f"{path}: not one frame can be decoded; the file is damaged, copy it again")


def pyav() -> Any:
    """The module `av`.

    Raises:
      UserError: it is not installed.

    Example:
      >>> pyav().__name__
      'av'
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            "videos are decoded by PyAV, which is missing; make video, or pip install 'au_jax[video]'"
        ) from error
    return av


def reason(error: Exception) -> str:
    """What FFmpeg or the system says of an error, without its number.

    Example:
      >>> reason(FileNotFoundError(2, "No such file or directory")), reason(ValueError("bad size"))
      ('No such file or directory', 'bad size')
    """
    return getattr(error, "strerror", None) or str(error)
