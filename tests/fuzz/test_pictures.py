"""Damaged pictures and videos: read, marked as unreadable, or refused in one line; times go on and numbers too."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import UserError
from au_jax.faces.decoding import probe, read_picture, read_video
from au_jax.faces.tracking import register_pictures
from au_jax.faces.video_writer import VideoWriter

from .conftest import amounts, mutate

av = pytest.importorskip("av")


def encoded(form, mode, **options):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)).convert(mode)
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(stream, form, exif=exif, **options)
    return stream.getvalue()


PICTURES = {
    "jpeg": lambda: encoded("JPEG", "RGB"),
    "progressive": lambda: encoded("JPEG", "RGB", progressive=True),
    "cmyk": lambda: encoded("JPEG", "CMYK"),
    "png": lambda: encoded("PNG", "RGB"),
    "palette": lambda: encoded("PNG", "P"),
    "alpha": lambda: encoded("PNG", "RGBA"),
    "deep": lambda: encoded("PNG", "I;16"),
}


@amounts(usual=15, slow=100)
@pytest.mark.parametrize("kind", PICTURES)
def test_a_damaged_picture_is_read_or_is_none(tmp_path, kind, seeds):
    content, path = PICTURES[kind](), tmp_path / "1.jpg"
    for seed in seeds:
        path.write_bytes(mutate(content, np.random.default_rng([seed, 31])))
        try:
            image = read_picture(path)
        except UserError as error:
            assert "1.jpg" in str(error) and "\n" not in str(error)
            continue
        assert image is None or (image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3)


@pytest.fixture(scope="module")
def clips(tmp_path_factory, scene):
    """The filmed person, 12 frames of 160 x 160, in four containers and codecs."""
    folder = tmp_path_factory.mktemp("clips")
    pictures = [np.asarray(Image.fromarray(picture).resize((160, 160))) for picture in scene[0][:12]]
    with VideoWriter(folder / "a.mp4", 25.0, 160, 160) as writer:
        for picture in pictures:
            writer.write(picture)
    forms = ("b.avi", "mjpeg", "yuvj420p"), ("c.mkv", "libx264", "yuv420p"), ("d.webm", "libvpx", "yuv420p")
    for name, codec, pixels in forms:
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width = stream.height = 160
            stream.pix_fmt = pixels
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
    return sorted(folder.iterdir())


def damaged(clips, folder, seed):
    generator = np.random.default_rng([seed, 32])
    clip = clips[seed % len(clips)]
    path = folder / clip.name
    path.write_bytes(mutate(clip.read_bytes(), generator))
    return path


@amounts(usual=40, slow=500)
def test_a_damaged_video_ends_or_is_refused_in_one_line(clips, tmp_path, seeds):
    for seed in seeds:
        path = damaged(clips, tmp_path, seed)
        number, before = 0, -1.0
        try:
            probe(path)
            for number, picture in enumerate(itertools.islice(read_video(path), 500), 1):
                assert picture.number == number and before < picture.timestamp < np.inf, seed
                before = picture.timestamp
                assert picture.image is None or picture.image.dtype == np.uint8
        except UserError as error:
            assert path.name in str(error) and "\n" not in str(error)
        assert number < 500, seed


@amounts(usual=4, slow=60)
def test_faces_are_followed_through_damaged_videos(clips, tmp_path, seeds):
    pytest.importorskip("dlib")
    for seed in seeds:
        path = damaged(clips, tmp_path, 1000 + seed)
        try:
            for face in register_pictures(read_video(path), 40):
                assert face.image.shape == (40, 40, 3) and np.isfinite(face.landmarks).all(), seed
        except UserError as error:
            assert "\n" not in str(error)
