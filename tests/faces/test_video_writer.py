"""Writing videos: times, odd sizes, and what stays on disk where something goes wrong."""

import numpy as np
import pytest

from au_jax.errors import UserError
from au_jax.faces import decoding
from au_jax.faces.video_writer import VideoWriter

av = pytest.importorskip("av")

H, W = 48, 96


def _frame(brightness: int) -> np.ndarray:
    return np.full((H, W, 3), brightness, np.uint8)


def test_written_video_is_read_back(tmp_path):
    path = tmp_path / "w.mp4"
    ticks = [0.0, 0.04, 0.05, 0.5]
    with VideoWriter(path, 25, 33, 31) as writer:
        for index, seconds in enumerate(ticks):
            writer.write(np.full((31, 33, 3), 60 * index, np.uint8), seconds)
        assert not path.exists()
    pictures = list(decoding.read_video(path))
    assert [picture.timestamp for picture in pictures] == ticks
    for index, picture in enumerate(pictures):
        assert picture.image.shape == (32, 34, 3)  # yuv420p knows even sizes only
        np.testing.assert_allclose(picture.image.astype(float), 60 * index, atol=4)
    assert list(tmp_path.iterdir()) == [path]


def test_written_video_steps_by_its_rate(tmp_path):
    with VideoWriter(tmp_path / "w.mp4", 30000 / 1001, W, H) as writer:
        for index in range(5):
            writer.write(_frame(index))
        with pytest.raises(ValueError, match="uint8"):
            writer.write(_frame(0)[1:])
    times = [picture.timestamp for picture in decoding.read_video(tmp_path / "w.mp4")]
    np.testing.assert_allclose(times, np.arange(5) * 1001 / 30000, rtol=1e-9)
    with pytest.raises(UserError, match="no folder"):
        VideoWriter(tmp_path / "absent" / "w.mp4", 25, W, H)


def test_nothing_is_written_where_no_frame_came(tmp_path):
    with pytest.raises(UserError, match="the true reason"), VideoWriter(tmp_path / "w.mp4", 25, W, H):
        raise UserError("the true reason")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frames", [1, 200])
def test_a_disk_that_fills_up_is_one_line_and_leaves_the_older_file(small_disk, tmp_path, frames):
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    path = tmp_path / "w.mp4"
    path.write_bytes(b"older")
    unwritable = pytest.raises(UserError, match=r"w\.mp4 cannot be written")
    with small_disk(), unwritable, VideoWriter(path, 25, 320, 240) as writer:
        for _ in range(frames):
            writer.write(noise)
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.mp4"] and path.read_bytes() == b"older"


@pytest.mark.parametrize("size", [(96, 64), (1280, 720)])
def test_colours_are_said_and_come_back(tmp_path, size):
    """Players take untagged pictures of 720 lines for BT.709 and smaller ones for BT.601: red would differ by 13 levels."""
    colour = (200, 60, 40)
    with VideoWriter(tmp_path / "v.mp4", 25, *size) as video:
        video.write(np.full((size[1], size[0], 3), colour, np.uint8))
    with av.open(str(tmp_path / "v.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
        luma = int(frame.to_ndarray()[0, 0])
    # BT.709: Y = 16 + 219 (0.2126 R + 0.7152 G + 0.0722 B) / 255
    assert abs(luma - (16 + 219 * (0.2126 * 200 + 0.7152 * 60 + 0.0722 * 40) / 255)) <= 1
    image = next(decoding.read_video(tmp_path / "v.mp4")).image
    np.testing.assert_allclose(image[size[1] // 2, size[0] // 2], colour, atol=3)
