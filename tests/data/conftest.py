"""Tiny copies of raw recordings, and a stand-in for the search for faces."""

import numpy as np
import pytest
from PIL import Image

from au_jax.config import get_config
from au_jax.data.readers import make_reader
from au_jax.faces import absence, tracking
from au_jax.faces.tracking import Face, RegisteredFace


def write_picture(path, number=0):
    """A 16 x 12 picture whose grey value is its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 16, 3), number, np.uint8)).save(path, quality=95)


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_video(path, frames):
    pytest.importorskip("av")
    from au_jax.faces.video_writer import VideoWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    # The writer makes MP4 only; decoders go by the content and not by the suffix.
    made = path.with_name("made.mp4")
    with VideoWriter(made, 25.0, 32, 32) as writer:
        for number in range(1, frames + 1):
            writer.write(np.full((32, 32, 3), 2 * number, np.uint8))
    made.rename(path)


@pytest.fixture
def stand_in(monkeypatch):
    """Takes every picture for a face but those of grey value 0; tells which frames were asked for."""
    asked = []

    def register_pictures(pictures, size=200, tracker=None):
        image = np.zeros((size, size, 3), np.uint8)
        for picture in pictures:
            asked.append(picture.number)
            seen = picture.image is not None and picture.image.mean() > 0.5
            if seen:
                image = np.asarray(Image.fromarray(picture.image).resize((size, size)))
            landmarks = np.full((49, 2), picture.number, np.float32)
            face = Face((0.0, 0.0, 16.0, 12.0), 1.0, np.zeros((68, 2), np.float32)) if seen else None
            yield RegisteredFace(picture.number, picture.timestamp, picture.image, image, landmarks, face)

    monkeypatch.setattr(tracking, "register_pictures", register_pictures)
    # Whether a face lies on its side is not asked either.
    monkeypatch.setitem(absence._SCORES, "dlib", lambda picture: -1.0)
    return asked


@pytest.fixture
def reader(tmp_path):
    """Makes a reader of the recordings below tmp_path/raw."""

    def make(source, **fields):
        data = get_config().data
        data.source, data.raw, data.image_size = source, str(tmp_path / "raw"), 8
        data.update(fields)
        return make_reader(data)

    return make


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder
