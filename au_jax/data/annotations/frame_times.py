"""Which frame a time means, at a constant or a variable rate.

The rule: **the nearest frame by the video's own times, within half a frame**. Half a frame is half of the gap to the next
frame on that side; where the recording pauses (a gap of more than `PAUSE_RATIO` usual frames), and before the first and
behind the last frame, half of the usual gap. In the very middle between two frames the earlier counts, which is still on
screen. So a time that was rounded to milliseconds, or that a player put into the first half of a frame, finds its frame at
any rate.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int32

from au_jax.errors import DataError

PAUSE_RATIO: float = 4.0
"""A gap between frames of more than so many usual ones is a pause of the recording."""

SLACK: float = 1e-6
"""Seconds by which times may differ and still be equal: sums of floats."""

_ALONE = 0.04  # seconds that a video of one frame is taken to last


@dataclass(frozen=True)
class FrameClock:
    """The frames of a recording with their times.

    Attributes:
      numbers: [T] int32, increasing: from 1 in a video, the files' own in a folder of frames.
      times: [T] float64 seconds since the first frame.
      start: seconds on the player's clock at which the first frame is shown; above 0 where the sound begins earlier.

    Example:
      >>> clock = FrameClock(np.array([1, 2, 3], np.int32), np.array([0.0, 0.04, 0.08]))
      >>> round(clock.fps, 6), clock.start
      (25.0, 0.0)
    """

    numbers: Int32[np.ndarray, " T"]
    times: Float64[np.ndarray, " T"]
    start: float = 0.0

    @property
    def fps(self) -> float:
        """Frames a second between most frames; 25 for a single one."""
        return 1 / float(np.median(np.diff(self.times))) if len(self.times) > 1 else 1 / _ALONE


def regular_clock(frames: int, fps: int | float, first: int = 1) -> FrameClock:
    """The clock of so many frames at a constant rate.

    Example:
      >>> regular_clock(3, 25).times.tolist()
      [0.0, 0.04, 0.08]
    """
    return FrameClock(np.arange(first, first + frames, dtype=np.int32), np.arange(frames) / fps)


def frame_edges(times: Float[np.ndarray, " T"]) -> tuple[Float64[np.ndarray, " T"], Float64[np.ndarray, " T"]]:
    """From when to when a time means each frame: half a frame around it.

    Args:
      times: [T] seconds, increasing.

    Raises:
      DataError: no frames, or times that do not increase.

    Example:
      >>> [edge.round(3).tolist() for edge in frame_edges(np.array([0.0, 0.04, 0.08, 2.0]))]
      [[-0.02, 0.02, 0.06, 1.98], [0.02, 0.06, 0.1, 2.02]]
    """
    times = np.asarray(times, np.float64)
    gaps = np.diff(times)
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all() or (gaps <= 0).any():
        raise DataError("the video's frame times do not increase; write it anew with constant frame times")
    usual = float(np.median(gaps)) if len(gaps) else _ALONE
    reach = np.where(gaps > PAUSE_RATIO * usual, usual / 2, gaps / 2)
    return times - np.concatenate([[usual / 2], reach]), times + np.concatenate([reach, [usual / 2]])


def frame_of_time(times: Float[np.ndarray, " T"], seconds: Float[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
    """Index of the frame that each time means: the nearest within half a frame; -1 where there is none.

    Args:
      times: [T] seconds of the frames, increasing; seconds: [N].

    Example:
      >>> times = np.arange(300) * 1001 / 30000
      >>> frame_of_time(times, np.array([0.334, 0.333, 0.35, -0.1, 12.0])).tolist()
      [10, 10, 10, -1, -1]
    """
    lower, upper = frame_edges(times)
    seconds = np.asarray(seconds, np.float64)
    index = np.searchsorted(upper + SLACK, seconds, side="left")
    near = np.minimum(index, len(upper) - 1)
    return np.where((index < len(upper)) & (seconds >= lower[near] - SLACK), index, -1).astype(np.int32)


def covered_frames(
    edges: tuple[Float64[np.ndarray, " T"], Float64[np.ndarray, " T"]], onset: int | float, offset: int | float | None
) -> tuple[int, int]:
    """First frame of an event in seconds, and the one behind its last; equal where it meets none.

    Args:
      edges: from `frame_edges`; onset, offset: seconds; offset None: to the last frame.

    Example:
      >>> edges = frame_edges(np.arange(5) / 25)
      >>> covered_frames(edges, 0.04, 0.12), covered_frames(edges, 0.12, None), covered_frames(edges, 9.0, 9.5)
      ((1, 3), (3, 5), (5, 5))
    """
    lower, upper = edges
    start = int(np.searchsorted(upper + SLACK, onset, side="left"))
    stop = len(upper) if offset is None else int(np.searchsorted(upper + SLACK, offset, side="left"))
    if stop <= start < len(upper):
        # Shorter than a frame; not where it lies in a pause or before the video.
        stop = start + int(max(onset, onset if offset is None else offset) >= lower[start] - SLACK)
    return start, stop


def frame_ends(times: Float[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """When each frame leaves the screen: at the next one's time; before a pause and at the end, after a usual frame.

    Example:
      >>> frame_ends(np.array([0.0, 0.04, 0.08, 2.0])).round(3).tolist()
      [0.04, 0.08, 0.12, 2.04]
    """
    frame_edges(times)  # checks them
    gaps = np.diff(times)
    usual = float(np.median(gaps)) if len(gaps) else _ALONE
    return times + np.concatenate([np.where(gaps > PAUSE_RATIO * usual, usual, gaps), [usual]])
