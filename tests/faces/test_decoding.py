"""Videos, frame folders and cameras: numbers, times, rotation, damage, memory."""

import os
import struct
import weakref
import zlib
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import UserError
from au_jax.faces import containers, decoding
from au_jax.faces.frame_folder import frame_files, read_picture

av = pytest.importorskip("av")

H, W = 48, 96
MARK = (250, 40, 30)


def _frame(brightness: int) -> np.ndarray:
    """A grey picture with a red upper left corner."""
    image = np.full((H, W, 3), brightness, np.uint8)
    image[: H // 2, : W // 4] = MARK
    return image


def _encode(path, ticks, codec="libx264", options=None, pixels="yuv420p"):
    """Writes frame i, of brightness 5 i modulo 250, at presentation time ticks[i] / 1000; independent of `VideoWriter`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = W, H, pixels
        stream.options = options or {}
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(_frame(5 * index % 250), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _damage(path, hit):
    """Overwrites the packets of the frames with these presentation numbers."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        packets = sorted((packet.pts, packet.pos, packet.size) for packet in packets)
    data = bytearray(path.read_bytes())
    for number in hit:
        _, start, size = packets[number - 1]
        data[start + 8 : start + size] = bytes(size - 8)
    path.write_bytes(data)


def test_variable_frame_rate_keeps_every_frames_own_time(tmp_path):
    ticks = [500, 540, 547, 700, 1500, 1501, 1900, 4000]
    # B-frames are stored out of order: numbers and times are those of presentation.
    path = _encode(tmp_path / "v.mkv", ticks, options={"bf": "2"})
    pictures = list(decoding.read_video(path))
    assert [picture.number for picture in pictures] == list(range(1, 9))
    assert [picture.timestamp for picture in pictures] == [float(Fraction(tick - 500, 1000)) for tick in ticks]
    assert [round(float(p.image[-1, -1, 0]) / 5) for p in pictures] == list(range(8))


def test_frames_without_times_follow_at_the_mean_rate(tmp_path):
    path = _encode(tmp_path / "raw.h264", range(0, 400, 40), options={"bf": "0"})
    times = [picture.timestamp for picture in decoding.read_video(path)]
    np.testing.assert_allclose(times, np.arange(10) / float(decoding.probe(path).fps))


def test_a_clock_that_jumps_back_never_repeats_a_time():
    stream = _Fake((7, 8, None, 10, 3, 4, 20))
    times = [picture.timestamp for picture in decoding._video_frames(stream, stream, None, 0, "player")]
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.3])


def test_a_camera_without_a_new_frame_is_waited_for():
    stream = _Fake((50, 51, 52), stalls=2)
    assert [picture.number for picture in decoding._video_frames(stream, stream, None, 0, "player")] == [1, 2, 3]
    assert stream.stalls == 0


# As ISO/IEC 14496-12 has it: x' = a x + c y and y' = b x + d y, with x to the right and y down.
@pytest.mark.parametrize(
    ("a", "b", "c", "d", "degrees", "expected"),
    [
        (1, 0, 0, 1, 0, lambda image: image),
        (0, -1, 1, 0, 90, lambda image: np.rot90(image)),
        (-1, 0, 0, -1, 180, lambda image: np.rot90(image, 2)),
        (0, 1, -1, 0, 270, lambda image: np.rot90(image, 3)),
        (-1, 0, 0, 1, 0, lambda image: image[:, ::-1]),
        (0, -1, -1, 0, 90, lambda image: np.rot90(image)[:, ::-1]),
    ],
)
def test_pictures_stand_upright_as_the_display_matrix_says(tmp_path, a, b, c, d, degrees, expected):
    path = _encode(tmp_path / "r.mp4", [0, 40])
    data = bytearray(path.read_bytes())
    # The matrix of the track header, version 0, in 16.16 numbers.
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    wanted = expected(_frame(0))
    facts = decoding.probe(path)
    assert facts.rotation == degrees and (facts.height, facts.width) == wanted.shape[:2]
    image = next(decoding.read_video(path)).image
    assert image.shape == wanted.shape and image.flags.c_contiguous
    np.testing.assert_array_equal(image[..., 0] > 120, wanted[..., 0] > 120)


def test_probe_tells_what_the_header_says(tmp_path):
    facts = decoding.probe(_encode(tmp_path / "p.mp4", range(0, 1000, 40)))
    assert facts == decoding.VideoFacts(frames=25, width=W, height=H, fps=25.0, seconds=1.0, rotation=0)


@pytest.fixture
def one_core():
    """The process may use one core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize("codec, name", [("mjpeg", "d.avi"), ("libvpx", "d.webm"), ("libvpx-vp9", "d.webm")])
@pytest.mark.parametrize("cores", ["all", "one"])
def test_damaged_frames_keep_their_numbers_and_times(tmp_path, request, codec, name, cores):
    if cores == "one":
        request.getfixturevalue("one_core")
    path = _encode(tmp_path / name, range(0, 1000, 40), codec, pixels="yuvj420p" if codec == "mjpeg" else "yuv420p")
    _damage(path, (11, 12, 20))
    pictures = list(decoding.read_video(path))
    assert [picture.number for picture in pictures] == list(range(1, 26))
    np.testing.assert_allclose([picture.timestamp for picture in pictures], np.arange(25) / 25)
    assert [picture.number for picture in pictures if picture.image is None] == [11, 12, 20]


def test_damaged_frames_of_a_stream_with_b_frames_are_marked_in_their_place(tmp_path):
    path = _encode(tmp_path / "d.mp4", range(0, 1000, 40), options={"bf": "2", "g": "5"})
    _damage(path, (12,))
    pictures = list(decoding.read_video(path))
    assert [picture.number for picture in pictures] == list(range(1, 26))
    np.testing.assert_allclose([picture.timestamp for picture in pictures], np.arange(25) / 25)
    assert 12 in [picture.number for picture in pictures if picture.image is None]


def test_a_file_that_breaks_off_ends_there(tmp_path):
    path = _encode(tmp_path / "t.mkv", range(0, 4000, 40), options={"g": "10"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    pictures = list(decoding.read_video(path))
    assert 20 < len(pictures) < 100
    assert all(picture.image is not None for picture in pictures[:-1])
    assert [picture.number for picture in pictures] == list(range(1, len(pictures) + 1))


def test_what_is_no_video_is_refused_in_one_line(tmp_path):
    paths = {
        name: tmp_path / name for name in ("empty.mp4", "text.mp4", "text.txt", "sound.mp4", "cut.mp4", "none.mp4")
    }
    paths["empty.mp4"].touch()
    for name in ("text.mp4", "text.txt"):
        paths[name].write_text("frame, AU1, AU2\n1, 0, 1\n" * 50)
    with av.open(str(paths["sound.mp4"]), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    _encode(paths["cut.mp4"], range(0, 1000, 40))
    paths["cut.mp4"].write_bytes(paths["cut.mp4"].read_bytes()[:-400])  # the index stands at the end
    texts = {"empty.mp4": "0 bytes", "text.mp4": "not a video", "text.txt": "no video stream"}
    texts |= {"sound.mp4": "no video stream", "cut.mp4": "not a video", "none.mp4": "no video file"}
    for name, path in paths.items():
        for read in (decoding.probe, lambda path: next(decoding.read_video(path))):
            with pytest.raises(UserError, match=texts[name]) as caught:
                read(path)
            assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_video_of_which_nothing_decodes_is_refused(tmp_path):
    path = _encode(tmp_path / "x.avi", [0, 40, 80], "mjpeg", pixels="yuvj420p")
    _damage(path, (1, 2, 3))
    with pytest.raises(UserError, match="not one frame can be decoded"):
        list(decoding.read_video(path))
    with pytest.raises(UserError, match="x.avi"):
        decoding.probe(path)


def test_pictures_beyond_the_bound_are_refused_by_their_header(tmp_path, monkeypatch):
    path = _encode(tmp_path / "v.mp4", [0, 40])
    monkeypatch.setattr(containers, "MAX_PIXELS", H * W - 1)
    with pytest.raises(UserError, match=f"v.mp4 .*{W} x {H}"):
        decoding.probe(path)


def test_memory_does_not_grow_with_the_length(tmp_path):
    path = _encode(tmp_path / "m.mp4", range(0, 12000, 40))
    images = []
    for picture in decoding.read_video(path):
        images.append(weakref.ref(picture.image))
        assert sum(image() is not None for image in images) <= 2
    assert len(images) == 300


def test_folder_is_read_in_order_of_numbers(tmp_path):
    for name in ("10.jpg", "9.JPG", "0011.png", "clip_012.jpeg", "cover.jpg", "notes5.txt", "._13.jpg"):
        Image.new("RGB", (8, 6), (int(len(name)), 0, 0)).save(tmp_path / name, format="PNG")
    assert [path.name for path in frame_files(tmp_path).values()] == ["9.JPG", "10.jpg", "0011.png", "clip_012.jpeg"]
    pictures = list(decoding.read_pictures(tmp_path, fps=20.0))
    assert [(picture.number, picture.timestamp) for picture in pictures] == [(9, 0), (10, 0.05), (11, 0.1), (12, 0.15)]
    assert [picture.image[0, 0, 0] for picture in pictures] == [5, 6, 8, 13]


def test_unreadable_frames_of_a_folder_are_marked(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for number, suffix in ((1, "png"), (2, "jpg"), (3, "png"), (4, "jpg"), (6, "jpg")):
        Image.fromarray(noise).save(tmp_path / f"{number}.{suffix}")
    for name in ("2.jpg", "3.png"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (tmp_path / "4.jpg").write_bytes(b"")
    (tmp_path / "5.jpg").write_text("no picture")
    pictures = list(decoding.read_folder(tmp_path))
    assert [(picture.number, picture.image is None) for picture in pictures] == [
        (1, False), (2, True), (3, True), (4, True), (5, True), (6, False)
    ]  # fmt: skip


def test_folders_without_frames_or_with_two_of_one_number_are_refused(tmp_path):
    with pytest.raises(UserError, match="no frames"):
        list(decoding.read_folder(tmp_path))
    with pytest.raises(UserError, match="no folder"):
        frame_files(tmp_path / "absent")
    (tmp_path / "5.jpg").write_text("no picture")
    with pytest.raises(UserError, match="none of its 1 images"):
        list(decoding.read_folder(tmp_path))
    (tmp_path / "0005.jpg").touch()
    with pytest.raises(UserError, match=r"0005\.jpg and 5\.jpg are both frame 5"):
        frame_files(tmp_path)
    with pytest.raises(UserError, match="frames per second"):
        list(decoding.read_folder(tmp_path, fps=0))


def test_every_kind_of_picture_becomes_8_bit_rgb(tmp_path):
    deep = np.array([[0, 257, 65535, 128 * 257]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "deep.png"), np.repeat([[[0], [1], [255], [128]]], 3, 2))
    Image.new("L", (3, 2), 77).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "grey.png"), np.full((2, 3, 3), 77))
    Image.new("LA", (3, 2), (200, 0)).save(tmp_path / "clear.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "clear.png"), np.zeros((2, 3, 3)))
    Image.new("RGBA", (3, 2), (200, 100, 50, 51)).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "alpha.png"), np.full((2, 3, 3), (40, 20, 10)))
    Image.new("RGB", (3, 2), (9, 8, 7)).quantize(4).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "palette.png"), np.full((2, 3, 3), (9, 8, 7)))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn
    Image.fromarray(_frame(0)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "turned.png"), np.rot90(_frame(0), 3))


def test_pictures_too_large_are_refused_before_they_are_decoded(tmp_path):
    path = tmp_path / "1.png"
    Image.new("L", (1, 1)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (9000).to_bytes(4, "big") * 2  # width and height in the IHDR chunk, and its check sum
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"1\.png .*9000 x 9000"):
        list(decoding.read_folder(tmp_path))


def test_source_is_told_by_what_it_is(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="camera 97"):
        next(decoding.read_pictures("97"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "97").mkdir()
    with pytest.raises(UserError, match="holds no frames"):
        next(decoding.read_pictures("97"))
    assert next(decoding.read_pictures(str(_encode(tmp_path / "a b:c%03d.mp4", [0, 40])))).number == 1


class _FakeFrame:
    is_corrupt, interlaced_frame = True, False  # the picture does not matter

    def __init__(self, pts):
        self.pts = pts


class _Fake:
    """A container and stream, 10 frames a second, of frames with given times; it has none ready `stalls` times."""

    time_base, average_rate, start_time, sample_aspect_ratio = Fraction(1, 10), Fraction(10), None, None
    format = SimpleNamespace(flags=0)
    codec_context = SimpleNamespace(name="fake", framerate=None)
    guessed_rate = None

    @property
    def container(self):
        return self

    def __init__(self, times, stalls=0):
        self.times, self.stalls = times, stalls

    def demux(self, stream):
        if self.stalls:
            self.stalls -= 1
            raise av.BlockingIOError(11, "Resource temporarily unavailable")
        return iter(())

    def decode(self, packet):
        return [_FakeFrame(pts) for pts in self.times]
