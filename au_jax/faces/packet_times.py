"""When the frames of a video are shown, without decoding them: from the times of its packets."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from au_jax.faces.containers import has_no_times, mean_rate, open_video, seconds_before
from au_jax.faces.decoding import read_video


def packet_times(path: str | Path) -> tuple[Float64[np.ndarray, " T"], float]:
    """Times of a video's frames, as `read_video` gives them, and where the first lies on the player's clock.

    Args:
      path: of a video.

    Returns:
      [T] seconds since the first frame, increasing; and the seconds by which the file begins before it: players, ELAN and
      BORIS count from there. Where packets do not tell the order of frames, the video is decoded.

    Raises:
      DataError: as `read_video`.

    Example:
      >>> from au_jax.faces.video_writer import VideoWriter
      >>> with VideoWriter(Path("three.mp4"), 25, 64, 48) as video:
      ...     for moment in (0.0, 0.04, 0.5):  # the last frame comes late
      ...         video.write(np.zeros((48, 64, 3), np.uint8), moment)
      >>> times, start = packet_times("three.mp4")
      >>> times.tolist(), start
      ([0.0, 0.04, 0.5], 0.0)
    """
    with open_video(path) as (container, stream):
        base, step = stream.time_base, 1 / mean_rate(stream)
        told: list[int | None] = []
        try:
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    told.append(
                        packet.pts if packet.pts is not None or stream.codec_context.has_b_frames else packet.dts
                    )
        except (OSError, ValueError):  # breaks off, as decoding does there
            pass
        if not told or None in told or has_no_times(container):
            times = np.array([frame.timestamp for frame in read_video(path)], np.float64)
            return times - times[0], float(times[0])
        moments = sorted(moment for moment in told if moment is not None)
        start = seconds_before(container, moments[0] * base)
    times = np.array([float((moment - moments[0]) * base) for moment in moments], np.float64)
    for index in range(1, len(times)):
        if times[index] <= times[index - 1]:
            times[index] = times[index - 1] + float(step)
    return times, start
