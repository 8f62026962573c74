"""PyAV at its rim: opening a video safely, its frames in order with those that are damaged, and how they are turned."""

import heapq
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from au_jax.errors import UserError
from au_jax.faces.picture_files import MAX_PIXELS


def pyav() -> Any:
    """Returns the module `av`; UserError where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise UserError(
            "videos are decoded by PyAV, which is missing; make video, or pip install 'au_jax[video]'"
        ) from error
    return av


def reason(error: Exception) -> str:
    """Returns what FFmpeg or the system says of an error, without its number."""
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[Any, Any]]:
    """Opens a video and yields its container and first video stream, with no frame decoded yet.

    Raises:
      UserError: no such file, empty, not a video, no video stream, a codec unknown here, or larger than `MAX_PIXELS`.
    """
    av = pyav()
    file = Path(path)
    if not file.is_file():
        raise UserError(f"there is no video file {path}; check the path")
    if not file.stat().st_size:
        raise UserError(f"{path} is empty (0 bytes); copy it again")
    # A playlist under a video's name must not reach for the network, nor a header for all the memory.
    options = {"protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
    try:
        # An absolute path cannot be taken for a protocol, whatever colons are in it.
        container = av.open(str(file.absolute()), options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a video that can be read ({reason(error)}); copy or convert it") from error
    with container:
        # Music files carry their cover as a video stream; FFmpeg draws any .txt as a terminal.
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams or container.format.name == "tty":
            raise UserError(f"{path} has no video stream; name a video file")
        stream = streams[0]
        if stream.codec_context is None:
            raise UserError(f"{path} is coded in a way that FFmpeg cannot decode; convert it to H.264")
        pixels = stream.codec_context.width * stream.codec_context.height
        if pixels > MAX_PIXELS:
            size = f"{stream.codec_context.width} x {stream.codec_context.height}"
            raise UserError(f"{path} has pictures of {size} pixels, more than {MAX_PIXELS}; scale it down")
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        # Threads over frames would report a damaged frame late, as if it were another, or not at all.
        stream.thread_type = "SLICE"
        yield container, stream


def decoded(container: Any, stream: Any) -> Iterator[tuple[int | None, Any]]:
    """Yields presentation time, in units of the stream's time base, and frame, in order of presentation.

    The time is None where the file has none; the frame is None in place of one that the decoder gave up.
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
    """Returns the mean frames a second of a stream, 25 where it does not know."""
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def _display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """How a picture is to be shown: (a, b, c, d) with x' = a x + c y and y' = b x + d y, x to the right and y down."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), np.int32)[:5])
    return a, b, c, d


def rotation(frame: Any) -> int:
    """Returns by how many degrees, 0 to 270, a frame is to be turned counter-clockwise, before any mirroring."""
    a, b, c, d = _display_matrix(frame)
    mirrored = a * d < b * c
    return round(math.degrees(math.atan2(-b, -a if mirrored else a)) / 90) % 4 * 90


def upright(image: np.ndarray, frame: Any) -> np.ndarray:
    """Turns and mirrors a picture as its frame's display matrix says, to the nearest quarter turn."""
    a, b, c, d = _display_matrix(frame)
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
