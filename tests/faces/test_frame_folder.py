"""Folders of frames: which files, in which order, under which numbers; pictures of every kind."""

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import DataError
from au_jax.faces.decoding import read_folder, source_notes
from au_jax.faces.frame_folder import folder_bits, frame_files, order_frames, read_picture


def fill(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.new("RGB", (4, 2)).save(folder / name)
    return folder


def test_clock_times_are_in_natural_order_and_doubtful(tmp_path):
    names = [f"f-11-{57 + at // 1000}-{at % 1000:03d}.jpg" for at in range(400, 2000, 100)]
    found = order_frames(fill(tmp_path, *reversed(names)))
    assert [path.name for path in found.files.values()] == names and list(found.files) == list(range(1, 17))
    assert "differ in 2 numbers" in found.doubt and "counted from 1" in found.doubt and names[0] in found.doubt
    assert source_notes(tmp_path) == [found.doubt]


def test_numbers_without_leading_zeros_are_in_order_at_every_place(tmp_path):
    found = order_frames(fill(tmp_path, "t9_f100.png", "t10_f2.png", "t10_f11.png", "t9_f7.png"))
    assert [path.name for path in found.files.values()] == ["t9_f7.png", "t9_f100.png", "t10_f2.png", "t10_f11.png"]
    assert found.doubt


@pytest.mark.parametrize(
    "names, numbers",
    [
        (("0003_left.jpg", "0010_left.jpg"), [3, 10]),  # the number stands anywhere
        (("S1-T2-0008.jpg", "S1-T2-0009.jpg"), [8, 9]),  # the others are the same in all
        (("frame2_at_80.png", "frame3_at_120.png"), [80, 120]),  # several grow: the last, as ever
        (("frame2_v1.png", "frame10_v1.png"), [2, 10]),
        (("a1_0007.png", "a2_0003.png", "a3_0001.png"), [1, 2, 3]),  # the last one does not grow, the first does
        (("frame0.bmp", "frame1.tif", "frame2.TIFF"), [0, 1, 2]),
    ],
)
def test_the_frames_number_is_the_one_that_grows(tmp_path, names, numbers):
    found = order_frames(fill(tmp_path, *names))
    assert list(found.files) == numbers and [path.name for path in found.files.values()] == list(names)
    assert found.doubt == ""


def test_names_built_in_several_ways_are_told(tmp_path):
    found = order_frames(fill(tmp_path, "1.png", "2.png", "take_2_7.png"))
    assert list(found.files) == [1, 2, 7] and "several ways" in found.doubt


def test_two_files_of_the_same_numbers_are_refused(tmp_path):
    with pytest.raises(
        DataError, match="1-2.png and 1-02.png are both of the same numbers|1-02.png and 1-2.png are both"
    ):
        frame_files(fill(tmp_path, "1-02.png", "1-2.png", "2-1.png"))


def test_bmp_and_tiff_are_read_as_png_is(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    for suffix in ("png", "bmp", "tif"):
        Image.fromarray(noise).save(tmp_path / f"1.{suffix}")
        np.testing.assert_array_equal(read_picture(tmp_path / f"1.{suffix}"), noise)


def test_16_bit_pictures_are_stretched_by_the_bits_that_the_folder_uses(tmp_path):
    """A 12-bit camera writes 0 to 4095 into 16-bit files, of which 8 bits would leave 16 grey levels."""
    ramp = np.arange(4000, dtype=np.uint16).reshape(40, 100)
    for number, part in ((1, 0.2), (2, 1.0), (3, 0.5)):  # alone, the first looks like one of 10 bits
        Image.fromarray((ramp * part).astype(np.uint16)).save(tmp_path / f"{number}.png")
    images = [frame.image for frame in read_folder(tmp_path)]
    assert len(np.unique(images[1])) > 240
    assert [int(image.max()) for image in images] == [50, 249, 124]  # one scale for all: 255 / 4095
    assert folder_bits(frame_files(tmp_path)) == 12
    (note,) = source_notes(tmp_path)
    assert "12 bits" in note and "4095" in note
    # Read from the middle, as a preparation does, they are the same.
    (part,) = read_folder(tmp_path, between=(3, 3))
    np.testing.assert_array_equal(part.image, images[2])


def test_16_bit_pictures_that_fill_their_range_stay(tmp_path):
    Image.fromarray(np.array([[0, 257, 65535, 128 * 257]], np.uint16)).save(tmp_path / "1.tif")
    (frame,) = read_folder(tmp_path)
    assert frame.image[0, :, 0].tolist() == [0, 1, 255, 128] and source_notes(tmp_path) == []
