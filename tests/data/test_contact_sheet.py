"""Faces of prepared recordings with their codes, in one picture: events, the least sure faces, the least sure recording first."""

import numpy as np
import pytest
from PIL import Image

from au_jax.data.contact_sheet import Confidence, chosen_frames, write_sheet, write_strip
from au_jax.data.recordings import Faces, RecordingId, write_recording


def part(grey, labels, confidence, first=1):
    number = len(labels)
    return Faces(
        np.full((number, 8, 8, 3), grey, np.uint8),
        np.asarray(labels, np.int8),
        np.zeros((number, 49, 2), np.float32),
        np.arange(first, first + number, dtype=np.int32),
        np.asarray(confidence) > 0,
        confidence=np.asarray(confidence, np.float32),
    )


def prepare(folder, name, grey, confidence):
    recording = RecordingId("anna", name)
    labels = np.full((len(confidence), 2), -1)
    watched = Confidence()
    write_recording(folder, recording, watched.watch(iter([part(grey, labels, confidence)])), 95)
    write_strip(folder / "strips", folder, recording, watched.values, (6, 12))
    return recording


def test_the_middles_of_the_longest_events_come_first_and_then_the_least_sure_faces():
    labels = np.full((20, 3), -1, np.int8)
    labels[2:5, 0] = labels[8:18, 1] = labels[0:2, 1] = 1
    sure = np.full(20, 0.9)
    sure[[7, 19]], sure[10] = (0.3, 0.1), 0.0
    assert chosen_frames(labels, sure, events=4, unsure=2) == [13, 3, 19, 7]
    # Where nobody says how sure the detector was, the first frames stand in.
    assert chosen_frames(np.zeros((5, 1), np.int8), np.full(5, np.nan), unsure=2) == [0, 1]


def test_the_recording_of_lowest_confidence_is_on_top(tmp_path):
    recordings = [prepare(tmp_path, "sure", 60, [0.9, 0.95]), prepare(tmp_path, "unsure", 200, [0.9, 0.2, 0.0])]
    assert write_sheet(tmp_path / "sheet.png", tmp_path / "strips", recordings) == 2
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    half = len(sheet) // 2
    assert sheet[60, 40].tolist() == pytest.approx([200] * 3, abs=2)
    assert sheet[half + 60, 40].tolist() == pytest.approx([60] * 3, abs=2)


def test_a_sheet_shows_no_more_than_it_can_hold_and_none_without_strips(tmp_path, monkeypatch):
    monkeypatch.setattr("au_jax.data.contact_sheet.MOST_RECORDINGS", 2)
    assert write_sheet(tmp_path / "none.png", tmp_path, [RecordingId("anna", "clip")]) == 0
    assert not (tmp_path / "none.png").exists()
    recordings = [prepare(tmp_path, f"clip{n}", 50, [0.5]) for n in range(3)]
    assert write_sheet(tmp_path / "sheet.png", tmp_path / "strips", recordings) == 2
