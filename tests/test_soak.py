"""Predict on an hour of video and more: the same memory at the end as at the beginning, and every frame at its time.

`pytest -m slow tests/test_soak.py`; 100,000 frames are a quarter of an hour on two cores.
"""

import csv
import resource
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from au_jax.inference.detector import Detector
from au_jax.inference.streaming import predict

av = pytest.importorskip("av")
pytest.importorskip("dlib")

RATE = Fraction(30_000, 1001)  # no whole number of ticks of MP4's or Matroska's clocks
GROWTH = 32  # MiB


class Watched(Detector):
    """Notes how much memory the process holds after every chunk."""

    def stream(self, frames, chunk):
        self.memory = []
        for part in super().stream(frames, chunk):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.memory.append(pages * resource.getpagesize() / 2**20)
            yield part


def write_loop(path, pictures, frames):
    """A video that shows the same pictures again and again: encoded once, and then copied packet by packet."""
    tick = Fraction(1, 30_000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width = stream.height = pictures.shape[1]
        stream.pix_fmt, stream.options = "yuv420p", {"bf": "0", "crf": "28"}
        stream.codec_context.time_base = tick
        encoded = []
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = 1001 * number, tick
            encoded += stream.encode(frame)
        packets = [(bytes(packet), packet.is_keyframe) for packet in [*encoded, *stream.encode(None)]]
        assert len(packets) == len(pictures)
        for number in range(frames):
            content, key = packets[number % len(packets)]
            packet = av.Packet(content)
            packet.stream, packet.is_keyframe, packet.time_base = stream, key, tick
            packet.pts = packet.dts = 1001 * number
            container.mux(packet)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("frames", [10_000, 100_000])
def test_memory_stays_and_times_do_not_drift(finished, scene, tmp_path, frames):
    pictures = np.stack([np.asarray(Image.fromarray(picture).resize((160, 160))) for picture in scene[0]])
    write_loop(tmp_path / "loop.mp4", pictures, frames)
    detector = Watched.from_run(finished, folds=[0])
    counts = predict(detector, tmp_path / "loop.mp4", tmp_path / "out.csv")
    assert counts["frames"] == frames and counts["faces"] > 0.5 * frames
    start, end = len(detector.memory) // 10, -len(detector.memory) // 10
    grown = max(detector.memory[end:]) - max(detector.memory[:start])
    print(f"{frames} frames, {frames / counts['seconds']:.0f} a second, {grown:+.1f} MiB")
    assert grown < GROWTH
    with open(tmp_path / "out.csv", newline="") as stream:
        rows = [(int(row["frame"]), float(row["timestamp"])) for row in csv.DictReader(stream)]
    assert [number for number, _ in rows] == list(range(1, frames + 1))
    # Half a tick of the container's clock, whatever the number of the frame.
    np.testing.assert_allclose([time for _, time in rows], np.arange(frames) * float(1 / RATE), atol=1e-4)
