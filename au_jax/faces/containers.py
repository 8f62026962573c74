"""Containers of videos by PyAV: opened safely, their packets and frames in order, their rates and clocks."""

import heapq
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from au_jax.cores import usable_cores
from au_jax.errors import DataError, UserError
from au_jax.faces.frame_folder import MAX_PIXELS
from au_jax.faces.frame_pixels import pixel_aspect, stretched

_FASTEST = 1000  # frames per second; a raw DV file claims 60000
_NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS of FFmpeg's avformat.h


@contextmanager
def open_video(path: str | Path) -> Iterator[tuple[Any, Any]]:
    """Opens a video safely and yields its container and first video stream, with no frame decoded yet.

    Raises:
      DataError: no such file, empty, not a video, no video stream, a codec unknown here, or larger than `MAX_PIXELS`.

    Example:
      >>> import numpy as np
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "opened.mp4", 25, 64, 48) as video:
      ...     video.write(np.zeros((48, 64, 3), np.uint8))
      >>> with open_video(folder / "opened.mp4") as (container, stream):
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
        context = stream.codec_context
        width, height = stretched(context.width, context.height, pixel_aspect(stream))
        if width * height > MAX_PIXELS:
            size = f"{width} x {height}"
            raise DataError(f"{path} has frames of {size} pixels, more than {MAX_PIXELS}; scale it down")
        context.options = {"max_pixels": str(MAX_PIXELS)}
        # Threads over frames would report a damaged frame late, as if it were another, or not at all.
        stream.thread_type = "SLICE"
        # Alone, a thread of FFmpeg 8's VP8 decoder shows a damaged frame as if it were whole; two or more report it.
        context.thread_count = max(2, usable_cores())
        yield container, stream


def decoded(container: Any, stream: Any) -> Iterator[tuple[int | None, Any]]:
    """Yields presentation time, in units of the stream's time base, and frame, in order of presentation.

    The time is None where the file has none; the frame is None in place of one that the decoder gave up.

    Example:
      >>> import numpy as np
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "decoded.mp4", 25, 64, 48) as video:
      ...     for _ in range(2):
      ...         video.write(np.zeros((48, 64, 3), np.uint8))
      >>> with open_video(folder / "decoded.mp4") as (container, stream):
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
    """The mean frames per second of a stream, 25 where it does not know; a rate that no camera has is not believed.

    Example:
      >>> from types import SimpleNamespace
      >>> codec, container = SimpleNamespace(framerate=None), SimpleNamespace(format=SimpleNamespace(flags=0))
      >>> rest = {"codec_context": codec, "container": container}
      >>> mean_rate(SimpleNamespace(average_rate=Fraction(60000), guessed_rate=Fraction(30), **rest))
      Fraction(30, 1)
      >>> mean_rate(SimpleNamespace(average_rate=None, guessed_rate=None, **rest))
      Fraction(25, 1)
    """
    own = stream.codec_context.framerate
    rates = (
        (own, stream.guessed_rate)
        if has_no_times(stream.container)
        else (stream.average_rate, stream.guessed_rate, own)
    )
    return next((rate for rate in rates if rate and 0 < rate <= _FASTEST), Fraction(25))


def has_no_times(container: Any) -> bool:
    """Whether a container is a raw stream, whose times FFmpeg makes up.

    Example:
      >>> from types import SimpleNamespace
      >>> has_no_times(SimpleNamespace(format=SimpleNamespace(flags=0x180)))
      True
    """
    return bool(container.format.flags & _NO_TIMESTAMPS)


def seconds_before(container: Any, moment: Fraction) -> float:
    """Seconds on the player's clock of a moment in a file: players count from where its first stream begins.

    Example:
      >>> from types import SimpleNamespace
      >>> seconds_before(SimpleNamespace(start_time=500_000), Fraction(3, 2))
      1.0
    """
    if container.start_time is None:
        return 0.0
    seconds = float(moment) - container.start_time / 1_000_000
    return seconds if seconds > 1e-5 else 0.0  # the container's own start is rounded


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
