"""Frames as they are shown: square pixels, upright, progressive, the whole range."""

import io
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av")

from au_jax.errors import UserError  # noqa: E402
from au_jax.faces import containers, decoding  # noqa: E402
from au_jax.faces.decoding import probe, read_video  # noqa: E402
from au_jax.faces.frame_pixels import FrameConverter, deinterlaced, rotation  # noqa: E402


def write(path, images, codec="libx264", pixels="yuv420p", options=None, aspect=None, form="rgb24"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.options = pixels, options or {}
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=form)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def disc(height, width, y_radius, x_radius):
    y, x = np.mgrid[0:height, 0:width]
    inside = ((y - height / 2) / y_radius) ** 2 + ((x - width / 2) / x_radius) ** 2 < 1
    return np.where(inside[..., None], np.uint8(230), np.uint8(30)).repeat(3, 2)


@pytest.mark.parametrize(
    ("aspect", "stored", "shown"),
    [
        (Fraction(64, 45), (144, 180), (144, 256)),
        (Fraction(8, 9), (120, 180), (135, 180)),
        (None, (144, 180), (144, 180)),
    ],
)
def test_pixels_become_square_and_a_disc_round(tmp_path, aspect, stored, shown):
    ratio = float(aspect or 1)
    path = write(tmp_path / "v.mp4", [disc(*stored, 50, 50 / ratio)], aspect=aspect)
    facts, image = probe(path), next(read_video(path)).image
    assert image.shape[:2] == shown == (facts.height, facts.width)
    bright = image[..., 0] > 128
    tall, wide = bright.any(1).sum(), bright.any(0).sum()
    assert abs(int(tall) - int(wide)) <= 2
    assert bool(facts.notes) == bool(aspect)
    if aspect:
        assert f"{shown[1]} x {shown[0]}" in facts.notes[0] and "not square" in facts.notes[0]


def test_pixels_are_made_square_before_the_picture_is_turned(tmp_path):
    path = write(tmp_path / "v.mp4", [disc(144, 180, 50, 35)], aspect=Fraction(64, 45))
    assert next(read_video(path, rotate=90)).image.shape == (256, 144, 3)


def test_a_header_that_would_stretch_a_picture_beyond_the_bound_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "v.mp4", [disc(48, 60, 20, 20)], aspect=Fraction(8, 1))
    monkeypatch.setattr(containers, "MAX_PIXELS", 48 * 60 * 7)
    with pytest.raises(UserError, match="480 x 48"):
        probe(path)


def test_an_aspect_that_cannot_be_is_told_and_not_used():
    stream = SimpleNamespace(sample_aspect_ratio=Fraction(100), codec_context=SimpleNamespace(name="h264"))
    convert = FrameConverter(stream)
    frame = av.VideoFrame.from_ndarray(disc(48, 60, 20, 20), format="rgb24")
    assert convert(frame).shape == (48, 60, 3)
    (note,) = convert.notes()
    assert "pixels of 100" in note and "square" in note


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_rotate_turns_clockwise(tmp_path, rotate):
    image = np.full((48, 96, 3), 60, np.uint8)
    image[:24, :24] = 250
    path = write(tmp_path / "v.mp4", [image])
    Image.fromarray(image).save(tmp_path / "1.png")
    expected = np.array(Image.fromarray(image).rotate(-rotate, expand=True))
    for frames in (read_video(path, rotate=rotate), decoding.read_pictures(path, rotate=rotate)):
        np.testing.assert_array_equal(next(frames).image > 150, expected > 150)
    Image.fromarray(image).save(tmp_path / "1.png")
    path.unlink()
    np.testing.assert_array_equal(next(decoding.read_pictures(tmp_path, rotate=rotate)).image, expected)


def test_other_turns_are_refused(tmp_path):
    with pytest.raises(UserError, match="turned by 45 degrees; choose one of 0, 90, 180, 270"):
        next(read_video(tmp_path / "v.mp4", rotate=45))


def mux_encoded(path, codec, pixels, pictures, size):
    """Muxes encoded pictures as they are, with their EXIF, as `ffmpeg -c copy` does."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for number, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.duration = stream, number, number, 1
            packet.time_base = Fraction(1, 25)
            container.mux(packet)
    return path


@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
@pytest.mark.parametrize(
    ("name", "codec", "form"), [("v.avi", "mjpeg", "JPEG"), ("v.mov", "mjpeg", "JPEG"), ("v.mov", "png", "PNG")]
)
def test_videos_of_pictures_with_exif_are_read_and_upright(tmp_path, name, codec, form, orientation):
    image = np.full((48, 96, 3), 60, np.uint8)
    image[:24, :24] = 250
    exif = Image.Exif()
    exif[0x010F] = "a camera's maker"
    if orientation:
        exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form, exif=exif)
    path = mux_encoded(
        tmp_path / name, codec, "yuvj420p" if codec == "mjpeg" else "rgb24", [stream.getvalue()] * 3, (96, 48)
    )
    turns = {None: 0, 1: 0, 3: 2, 6: 3, 8: 1}[orientation]  # counter-clockwise, by EXIF 2.32's table
    expected = np.rot90(image, turns)
    frames = list(read_video(path))
    assert len(frames) == 3
    for frame in frames:
        np.testing.assert_array_equal(frame.image > 150, expected > 150)
    assert probe(path).rotation == 90 * turns


def test_side_data_that_pyav_cannot_name_is_never_asked_for(tmp_path):
    class Frame:
        rotation = -90

        @property
        def side_data(self):
            raise ValueError("31 is not a valid Type")

    assert rotation(Frame(), "h264") == 270

    class Forbidden(Frame):
        @property
        def side_data(self):
            raise AssertionError("was seen to end the process")

    assert rotation(Forbidden(), "png") == 270


@pytest.mark.parametrize(("bits", "levels"), [(10, 200), (12, 240), (14, 240), (16, 240)])
def test_grey_video_of_16_bits_is_stretched_by_what_it_uses(tmp_path, bits, levels):
    top = (1 << bits) - 1
    ramp = np.linspace(0, top, 64 * 96).reshape(64, 96).astype(np.uint16)
    dark = (ramp * 0.6).astype(np.uint16)
    path = write(tmp_path / "v.mkv", [ramp, dark], "ffv1", "gray16le", form="gray16le")
    first, second = (frame.image for frame in read_video(path))
    assert len(np.unique(first)) >= levels and first.max() == 255
    assert abs(int(second.max()) - 0.6 * 255) <= 1  # darker by as much as it is
    notes = probe(path).notes
    assert (notes == ()) if bits == 16 else (f"{bits} bits" in notes[0])


def interlaced(number, height=64, width=96, step=6):
    """A bar that moves by `step` between the half pictures: odd lines show it earlier than even ones (bottom field first)."""
    image = np.full((height, width, 3), 60, np.uint8)
    for parity in (0, 1):
        left = (2 * number + 1 - parity) * step
        image[parity::2, left : left + 12] = 240
    return image


def combing(image):
    """How much neighbouring lines differ beyond those two apart."""
    rows = image[..., 1].astype(float)
    return np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean()


def test_half_pictures_are_woven_into_whole_ones_and_keep_numbers_and_times(tmp_path):
    images = [interlaced(number) for number in range(6)]
    options = {"x264-params": "tff=1", "crf": "4"}
    path = write(tmp_path / "i.mp4", images, options=options)
    frames = list(read_video(path))
    assert [frame.number for frame in frames] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose([frame.timestamp for frame in frames], np.arange(6) / 25)
    for number, frame in enumerate(frames):
        assert combing(frame.image) < combing(images[number]) / 3
        # The first half picture's bar: where the odd lines had it.
        left = 2 * number * 6
        assert frame.image[30, left + 2 : left + 10, 0].min() > 180
    assert "interlaced" in probe(path).notes[0] and "bwdif" in probe(path).notes[0]


def test_a_progressive_video_never_meets_the_filter(tmp_path):
    images = [interlaced(number) for number in range(3)]  # combed, but not marked as interlaced
    path = write(tmp_path / "p.mp4", images, options={"crf": "4"})
    with av.open(str(path)) as container:
        plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for frame, image in zip(read_video(path), plain, strict=True):
        np.testing.assert_array_equal(frame.image, image)
    assert probe(path).notes == ()


def test_a_damaged_frame_within_an_interlaced_video_keeps_its_place(tmp_path):
    path = write(
        tmp_path / "i.mp4", [interlaced(n) for n in range(6)], options={"x264-params": "tff=1:bframes=0", "crf": "4"}
    )
    with containers.open_video(path) as (container, stream):
        frames = list(containers.decoded(container, stream))
        frames[2] = (frames[2][0], None)
        woven = list(deinterlaced(iter(frames), stream))
    assert [pts for pts, _, _ in woven] == [pts for pts, _ in frames]
    assert [frame is None for _, frame, _ in woven] == [False, False, True, False, False, False]
