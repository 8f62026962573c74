"""Writing videos (H.264 in MP4) with PyAV."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from au_jax import files
from au_jax.errors import UserError
from au_jax.faces.containers import pyav, reason

_TICKS = 90_000  # units of time in a second, as in MPEG
_BT709, _LIMITED = 1, 1  # in ITU-T H.273 and FFmpeg's AVColorRange


class _Discarded(Exception):
    """Tells `files.opened` that nothing is to be kept."""


class VideoWriter:
    """Writes an MP4 (H.264, yuv420p, BT.709) that browsers play; the file appears under its name when it is closed.

    Odd sizes, which yuv420p does not know, grow by one pixel that repeats the edge.

    Args:
      path: file to write.
      fps: frames per second, where frames are written without a time.
      width, height: of the frames, in pixels.

    Raises:
      UserError: the file cannot be made there, or PyAV is not installed.

    Example:
      >>> import tempfile
      >>> from au_jax.faces.decoding import probe
      >>> path = Path(tempfile.mkdtemp()) / "grey.mp4"
      >>> with VideoWriter(path, 25, 64, 48) as video:
      ...     for _ in range(5):
      ...         video.write(np.full((48, 64, 3), 90, np.uint8))
      >>> probe(path).frames
      5
    """

    def __init__(self, path: str | Path, fps: float, width: int, height: int):
        av = pyav()
        self._path, self._size, self._fps = Path(path), (height, width), fps
        self._ticks = -1
        if not self._path.parent.is_dir():
            raise UserError(f"{path} cannot be written: there is no folder {self._path.parent}; make it")
        self._output = contextlib.ExitStack()
        try:
            self._container = av.open(self._output.enter_context(files.opened(path)), "w", format="mp4")
            self._stream: Any = self._container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        except (av.FFmpegError, OSError, ValueError, OverflowError) as error:
            self._discard()
            raise UserError(f"{path} cannot be written ({reason(error)}); choose another place") from error
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)
        self._stream.options = {"preset": "veryfast", "crf": "20"}
        # Players guess what is not said, by the picture's size: the same colours would differ from video to video.
        context = self._stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._reformatter = av.video.reformatter.VideoReformatter()

    def write(self, image: UInt8[np.ndarray, "H W 3"], timestamp: float | None = None) -> None:
        """Appends a frame.

        Args:
          image: [height, width, 3] uint8 RGB.
          timestamp: seconds since the first frame; one step of `fps` after the frame before where None.

        Raises:
          ValueError: an image of another size or type.
          UserError: the disk is full or not writable, or a time cannot be written; an older file stays as it was.
        """
        height, width = self._size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(f"this video takes [{height}, {width}, 3] uint8, found {image.shape} {image.dtype}")
        if timestamp is None:
            timestamp = self._ticks / _TICKS + 1 / self._fps if self._ticks >= 0 else 0.0
        self._ticks = max(self._ticks + 1, round(timestamp * _TICKS))
        even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        with self._writing():
            frame = self._reformatter.reformat(
                frame, format="yuv420p", dst_colorspace="ITU709", dst_color_range=_LIMITED
            )
            frame.pts, frame.time_base = self._ticks, Fraction(1, _TICKS)
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finishes the file, where a frame has been written; closing again does nothing. Raises as `write`."""
        if self._container is None:
            return
        with self._writing():
            if self._ticks >= 0:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            self._container = None
            if self._ticks < 0:
                self._discard()
            else:
                self._output.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        av = pyav()
        try:
            yield
        # Times beyond 64 bits overflow.
        except (av.FFmpegError, OSError, OverflowError) as error:
            container, self._container = self._container, None
            if container is not None:
                # It tries to write the rest.
                with contextlib.suppress(av.FFmpegError, OSError):
                    container.close()
            self._discard()
            text = f"{self._path} cannot be written ({reason(error)}); make space there, or choose another place"
            raise UserError(text) from error

    def _discard(self) -> None:
        """Ends without a file: what is there stays as it is."""
        with contextlib.suppress(_Discarded):
            self._output.__exit__(_Discarded, _Discarded(), None)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *_) -> None:
        self.close()
