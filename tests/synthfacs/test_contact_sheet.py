"""The contact sheet: rows of seven captioned pictures, written as a file."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from au_jax.synthfacs import AUS, VideoChunk, contact_sheet


@pytest.fixture
def plain(monkeypatch):
    """Grey pictures in place of drawn ones; tells which expressions were asked for."""
    asked = []

    def draw_faces(identity, expressions, size, **_):
        asked.extend(expressions)
        return np.full((len(expressions), size, size, 3), 128, np.uint8), None

    def render_video(preset, seed, subject, video, view, size, chunk):
        labels = np.full((chunk, len(AUS)), -1, np.int8)
        labels[-1, AUS.index(12)] = 1
        whole = VideoChunk(
            np.full((chunk, size, size, 3), 99, np.uint8), labels, np.zeros((chunk, 49, 2), np.float32), np.ones(chunk, bool),
            np.zeros((chunk, len(AUS)), np.float32), np.arange(chunk, dtype=np.int32),
        )  # fmt: skip
        assert dataclasses.is_dataclass(preset) and preset.frames_per_video == 48
        yield whole

    monkeypatch.setattr(contact_sheet, "draw_faces", draw_faces)
    monkeypatch.setattr(contact_sheet, "draw_face", lambda *args, **_: (np.zeros((32, 32, 3), np.uint8), None))
    monkeypatch.setattr(contact_sheet, "render_video", render_video)
    return asked


def test_each_person_is_shown_neutral_and_with_every_au(plain, tmp_path):
    path = tmp_path / "sheet.png"
    contact_sheet.write_contact_sheet(str(path), ["5"], size=32, intensity=4.0, seed=0)
    assert plain == [{}, *({au: 4.0} for au in AUS)]
    with Image.open(path) as sheet:
        # 14 pictures of the person in two rows, and a row of each of two presets; captions are 15 pixels high.
        assert sheet.size == (7 * 32, 4 * (32 + 15))
        pixels = np.asarray(sheet)
    assert (pixels[:32, : 7 * 32] == 128).all() and (pixels[3 * 47 : 3 * 47 + 32] == 99).all()
