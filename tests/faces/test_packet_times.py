"""Times of a video's packets are those of its decoded frames, at constant and variable rates."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

from au_jax.faces.decoding import read_video  # noqa: E402
from au_jax.faces.packet_times import packet_times  # noqa: E402


def write(path, codec, pts, rate=25, base=Fraction(1, 1000), options=None, form=None):
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        for number, moment in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = moment, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


CASES = {
    "constant.mp4": ("mpeg4", [40 * n for n in range(12)], {}),
    "variable.mkv": ("mpeg4", [0, 40, 80, 200, 240, 250, 400, 900, 940], {}),
    "reordered.mp4": ("libx264", [40 * n for n in range(12)], {"bf": "2"}),
    "late.mkv": ("mpeg4", [800 + 40 * n for n in range(6)], {}),
    "constant.avi": ("mpeg4", [40 * n for n in range(12)], {}),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_packets_tell_the_times_that_decoding_gives(tmp_path, name):
    codec, pts, options = CASES[name]
    if codec not in av.codecs_available:
        pytest.skip(f"FFmpeg without {codec}")
    base = Fraction(1, 25) if name.endswith("avi") else Fraction(1, 1000)
    write(tmp_path / name, codec, [int(moment / 1000 / base) for moment in pts], options=options, base=base)
    times, start = packet_times(tmp_path / name)
    np.testing.assert_allclose(times, [frame.timestamp for frame in read_video(tmp_path / name)], atol=1e-6)
    np.testing.assert_allclose(times, (np.array(pts) - pts[0]) / 1000, atol=1e-3)
    assert start >= 0
