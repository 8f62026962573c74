"""A decoded frame as faces are sought in it: upright, of square pixels, progressive, in the range of ordinary video, RGB.

What a camera stores is none of that by itself: old camcorders store pixels that are wider than high and two half pictures in
one frame, phones store frames lying on their side and light beyond white, scientific cameras use part of 16 bits.
"""

import math
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16

from au_jax.faces.tone_mapping import PEAK, TRANSFERS, WHITE, with_lut

QUARTERS: tuple[int, ...] = (0, 90, 180, 270)
"""Degrees by which a picture can be turned."""

_WIDEST = 8  # a pixel of another shape than 1:8 to 8:1 is a damaged header's
# They hand on their EXIF, which PyAV has no name for: to ask for a frame's side data raises, and was seen to end a process.
_WITH_EXIF = ("mjpeg", "png", "apng", "webp", "libwebp_anim", "tiff", "jpegxl", "libjxl")


class FrameConverter:
    """Turns the frames of one stream into RGB images as they are shown.

    Pixels that are not square are stretched in the longer direction: nothing is shrunk. `image_size` is therefore what an
    image, landmarks and an overlay are measured in.

    Args:
      stream: of PyAV, a video.
      rotate: degrees by which images are turned clockwise after all else, one of `QUARTERS`.

    Example:
      >>> from au_jax.faces.decoding import decoded, open_video
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(folder / "sideways.mp4", 25, 64, 48) as video:
      ...     video.write(np.zeros((48, 64, 3), np.uint8))
      >>> with open_video(folder / "sideways.mp4") as (container, stream):
      ...     convert = FrameConverter(stream, rotate=90)
      ...     images = [convert(frame) for _, frame in decoded(container, stream)]
      >>> images[0].shape, convert.notes()
      ((64, 48, 3), [])
    """

    def __init__(self, stream: Any, rotate: int = 0):
        from av.video.reformatter import VideoReformatter

        # One for the whole video: setting up the conversion costs more than the conversion.
        self._reformatter = VideoReformatter()
        self._stream, self._rotate = stream, rotate
        self._aspect = pixel_aspect(stream)
        self._codec = str(stream.codec_context.name)
        self._tone_mapper: tuple[tuple[int, int, int, int], Any] | None = None
        self._bits = 0  # that 16-bit samples use, as far as seen
        self._notes: dict[str, None] = {}
        told = stream.sample_aspect_ratio
        if told and Fraction(told) != self._aspect:
            self._notes[f"its header claims pixels of {told}, which cannot be: they are taken as square"] = None

    def __call__(self, frame: Any) -> UInt8[np.ndarray, "H W 3"]:
        """The image of a frame."""
        width, height = stretched(frame.width, frame.height, self._aspect)
        scaling: dict[str, Any] = {}
        if (width, height) != (frame.width, frame.height):
            scaling = {"width": width, "height": height, "interpolation": "BICUBIC"}
            self._notes[
                f"its pixels are {self._aspect.numerator}:{self._aspect.denominator}, not square: {frame.width} x {frame.height} "
                f"is stretched to {width} x {height}, in which landmarks and overlay are"
            ] = None
        if frame.color_trc in TRANSFERS:
            image = self._tone_mapped(self._reformatter.reformat(frame, format="rgb48le", **scaling))
        elif _has_open_range(frame.format):
            image = self._stretched_range(
                self._reformatter.reformat(frame, format="rgb48le", **scaling)
                .to_ndarray()
                .astype(np.uint16, copy=False)
            )
        else:
            image = self._reformatter.reformat(frame, format="rgb24", **scaling).to_ndarray()
        return turned(upright(image, frame, self._codec), self._rotate)

    def notes(self) -> list[str]:
        """What was done to the frames so far that is not said by the file's name, in lines."""
        return list(self._notes)

    def _tone_mapped(self, frame: Any) -> np.ndarray:
        from av.filter import Graph

        kind = (frame.color_trc, frame.color_primaries, frame.width, frame.height)
        if self._tone_mapper is None or self._tone_mapper[0] != kind:
            graph = Graph()
            size = {"width": frame.width, "height": frame.height}
            source = graph.add_buffer(**size, format=frame.format, time_base=Fraction(1, 1000))
            target, sink = graph.add("format", "rgb24"), graph.add("buffersink")

            def link(path: Path) -> None:
                table = graph.add("lut3d", file=str(path), interp="tetrahedral")
                for first, second in ((source, table), (table, target), (target, sink)):
                    first.link_to(second)
                graph.configure()

            with_lut(*kind[:2], link)
            self._tone_mapper = kind, graph
            self._notes[
                f"it has high dynamic range, {TRANSFERS[frame.color_trc]}: it is tone-mapped to BT.709, {WHITE:g} cd/m2 as white "
                f"and up to {PEAK:g} cd/m2 compressed"
            ] = None
        graph = self._tone_mapper[1]
        graph.push(frame)
        return graph.pull().to_ndarray()

    def _stretched_range(self, image: UInt16[np.ndarray, "H W 3"]) -> np.ndarray:
        # Never down again: what is brighter later in the video must not look darker.
        self._bits = max(self._bits, used_bits(int(image.max())))
        if self._bits < 16:
            self._notes[range_note(self._bits)] = None
        return to_8_bits(image, self._bits)


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a stream's pixels in units of their height; 1 where the file does not say, or cannot mean it.

    Example:
      >>> from types import SimpleNamespace
      >>> pixel_aspect(SimpleNamespace(sample_aspect_ratio=Fraction(64, 45)))
      Fraction(64, 45)
      >>> [pixel_aspect(SimpleNamespace(sample_aspect_ratio=told)) for told in (None, Fraction(900))]
      [Fraction(1, 1), Fraction(1, 1)]
    """
    aspect = stream.sample_aspect_ratio
    if not aspect or not Fraction(1, _WIDEST) <= aspect <= _WIDEST:
        return Fraction(1)
    return Fraction(aspect)


def stretched(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Width and height of a picture whose pixels have become square; neither shrinks.

    Example:
      >>> stretched(720, 576, Fraction(64, 45)), stretched(720, 480, Fraction(8, 9)), stretched(64, 48, Fraction(1))
      ((1024, 576), (720, 540), (64, 48))
    """
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def used_bits(peak: int) -> int:
    """How many bits of 16 a camera uses whose largest value so far is `peak`: 10, 12, 14 or 16; cameras have no others.

    Example:
      >>> used_bits(900), used_bits(1024), used_bits(16383), used_bits(40000)
      (10, 12, 14, 16)
    """
    return next(bits for bits in (10, 12, 14, 16) if peak < 1 << bits)


def to_8_bits(values: UInt16[np.ndarray, "*n"], bits: int) -> UInt8[np.ndarray, "*n"]:
    """Values of 0 to 2**bits - 1 as 0 to 255.

    Example:
      >>> to_8_bits(np.array([0, 2048, 4095], np.uint16), 12).tolist()
      [0, 128, 255]
    """
    return np.rint(values * (255 / ((1 << bits) - 1))).clip(0, 255).astype(np.uint8)


def range_note(bits: int) -> str:
    """How to say that 16-bit pictures were stretched.

    Example:
      >>> range_note(12)
      'its 16-bit pixels use 12 bits: values up to 4095 are stretched to the whole range'
    """
    return f"its 16-bit pixels use {bits} bits: values up to {(1 << bits) - 1} are stretched to the whole range"


def _has_open_range(form: Any) -> bool:
    """Whether a pixel format leaves open how much of its 16 bits a camera fills: grey and RGB; YUV has levels."""
    components = form.components
    return components[0].bits == 16 and (form.is_rgb or len(components) <= 2)


def rotation(frame: Any, codec: str = "") -> int:
    """By how many degrees, 0 to 270, a frame is to be turned counter-clockwise, before any mirroring.

    Example:
      >>> from types import SimpleNamespace
      >>> matrix = np.array([-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30], np.int32)  # x and y both change their sign
      >>> rotation(SimpleNamespace(side_data={"DISPLAYMATRIX": matrix.tobytes()})), rotation(SimpleNamespace(side_data={}))
      (180, 0)
    """
    a, b, c, d = _display_matrix(frame, codec)
    mirrored = a * d < b * c
    return round(math.degrees(math.atan2(-b, -a if mirrored else a)) / 90) % 4 * 90


def upright(image: UInt8[np.ndarray, "H W 3"], frame: Any, codec: str = "") -> UInt8[np.ndarray, "h w 3"]:
    """Turns and mirrors an image as its frame's display matrix says, to the nearest quarter turn.

    Args:
      image: [H, W, 3] uint8 RGB.
      frame: of PyAV, that the image was made from.
      codec: that it was decoded by; of those with EXIF the rotation alone is known.

    Example:
      >>> from types import SimpleNamespace
      >>> matrix = np.array([-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30], np.int32)  # upside down
      >>> image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1).repeat(3, axis=2)
      >>> upright(image, SimpleNamespace(side_data={"DISPLAYMATRIX": matrix.tobytes()}))[..., 0].tolist()
      [[3, 2], [1, 0]]
    """
    a, b, c, d = _display_matrix(frame, codec)
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def turned(image: UInt8[np.ndarray, "H W 3"], degrees: int) -> UInt8[np.ndarray, "h w 3"]:
    """Turns an image clockwise by a multiple of 90 degrees.

    Example:
      >>> turned(np.array([[[1, 1, 1], [2, 2, 2]]], np.uint8), 90)[..., 0].tolist()
      [[1], [2]]
    """
    return np.ascontiguousarray(np.rot90(image, -degrees // 90)) if degrees % 360 else image


def _display_matrix(frame: Any, codec: str) -> tuple[int, int, int, int]:
    """How a frame is to be shown: (a, b, c, d) with x' = a x + c y and y' = b x + d y, x to the right and y down."""
    data = None
    if codec not in _WITH_EXIF:
        try:
            data = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:  # side data of a kind that PyAV has no name for
            codec = _WITH_EXIF[0]
    if codec in _WITH_EXIF:
        return {0: (1, 0, 0, 1), 1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}[round(frame.rotation / 90) % 4]
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), np.int32)[:5])
    return a, b, c, d


def deinterlaced(frames: Iterator[tuple[int | None, Any]], stream: Any) -> Iterator[tuple[int | None, Any, bool]]:
    """Yields time, frame and whether it was interlaced; every interlaced frame is replaced by a progressive one.

    FFmpeg's bwdif makes one frame out of each (its first half picture, the other lines from its neighbours), so that numbers
    and times stay. Progressive frames pass as they are, and a video without interlaced ones never meets the filter.

    Args:
      frames: presentation time and frame, None in place of a lost one.
      stream: that they come from.

    Example:
      >>> frames = iter([(0, None), (1, None)])
      >>> list(deinterlaced(frames, None))
      [(0, None, False), (1, None, False)]
    """
    from av.filter import Graph

    for pts, frame in frames:
        if frame is None or not frame.interlaced_frame:
            yield pts, frame, False
            continue
        waiting: deque[tuple[int | None, Any]] = deque()
        graph = Graph()
        source, sink = graph.add_buffer(template=stream), graph.add("buffersink")
        weave = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        source.link_to(weave)
        weave.link_to(sink)
        graph.configure()
        shape = (frame.width, frame.height, frame.format.name)
        while frame is not None and not frame.is_corrupt and (frame.width, frame.height, frame.format.name) == shape:
            waiting.append((pts, frame))
            # The filter's own clock does not matter, but it has to run.
            graph.push(frame)
            yield from _woven(graph, waiting)
            pts, frame = next(frames, (None, None))
            if frame is None and pts is None:
                graph.push(None)
                yield from _woven(graph, waiting)
                return
        graph.push(None)
        yield from _woven(graph, waiting)
        yield pts, frame, False


def _woven(graph: Any, waiting: deque[tuple[int | None, Any]]) -> Iterator[tuple[int | None, Any, bool]]:
    """What a filter has ready, with the times of the frames that went into it."""
    import av

    while waiting:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        pts, original = waiting.popleft()
        yield pts, frame, bool(original.interlaced_frame)
