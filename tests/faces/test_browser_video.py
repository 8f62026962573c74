"""Which videos a page can show as they are, found from real files of each kind."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

from au_jax.errors import DataError  # noqa: E402
from au_jax.faces.browser_video import media_type, why_not_played  # noqa: E402
from au_jax.faces.video_writer import VideoWriter  # noqa: E402


def video(path, codec, pixels="yuv420p", begin=0, **context):
    """Five grey frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24").reformat(
                format=pixels
            )
            frame.pts, frame.time_base = number + begin, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "why"),
    [
        ("a.mp4", "libx264", "yuv420p", ""),
        ("a.MOV", "libx264", "yuv420p", ""),
        ("a.webm", "libvpx-vp9", "yuv420p", ""),
        ("a.mkv", "libx264", "yuv420p", "browsers do not play h264 in .mkv"),
        ("a.mp4", "libx264", "yuv422p", "browsers do not play h264 of yuv422p"),
        ("a.avi", "mpeg4", "yuv420p", "browsers do not play mpeg4"),
        ("a.avi", "mjpeg", "yuvj420p", "browsers do not play mjpeg"),
    ],
)
def test_codec_container_and_pixels_decide(tmp_path, name, codec, pixels, why):
    if codec not in av.codecs_available:
        pytest.skip(f"FFmpeg has no {codec} here")
    assert why_not_played(video(tmp_path / name, codec, pixels)) == why


def test_a_clock_that_does_not_begin_at_zero_is_told(tmp_path):
    with VideoWriter(tmp_path / "late.mp4", 25, 64, 48) as writer:
        for number in range(3):
            writer.write(np.zeros((48, 64, 3), np.uint8), timestamp=2 + number / 25)
    assert why_not_played(tmp_path / "late.mp4") == "its clock begins at 2 s"


def test_what_is_changed_before_it_is_scored_is_not_shown_unchanged(tmp_path):
    pq = video(tmp_path / "pq.mp4", "libx264", color_trc=16, color_primaries=9, colorspace=9)
    assert "HDR" in why_not_played(pq) or "PQ" in why_not_played(pq)


def test_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match="not a video that can be read"):
        why_not_played(tmp_path / "a.mp4")


def test_types_are_those_of_the_suffix():
    assert [media_type(name) for name in ("a.webm", "a.m4v", "a.MP4", "a")] == ["video/webm", *["video/mp4"] * 3]
