"""synthfacs as a source: which AUs and sizes it can be asked for, and that labels are columns of what it renders."""

import dataclasses
import sys
import threading

import numpy as np
import pytest

from au_jax import synthfacs
from au_jax.config import get_config
from au_jax.data.readers import make_reader
from au_jax.data.recordings import RecordingId
from au_jax.errors import ConfigError, UserError


def reader(**fields):
    data = get_config().data
    data.preset, data.image_size, data.subjects, data.frames = "tiny", 40, 1, 6
    data.update(fields)
    return make_reader(data)


def test_an_au_that_cannot_be_drawn_is_refused_with_those_that_can():
    with pytest.raises(
        ConfigError, match=r"config.data.aus has 45, which synthfacs does not draw; choose among 1, 2, 4, 6"
    ):
        reader(aus=(12, 45))


def test_a_subset_has_its_columns_and_the_same_pictures():
    all_aus, two = reader(), reader(aus=(12, 1))
    assert (all_aus.name, two.name) == (
        "synthfacs_tiny_1subjects_6frames_40px_seed0", "synthfacs_tiny_1subjects_6frames_aus12_1_40px_seed0",
    )  # fmt: skip
    clip = RecordingId("S001", "T1")
    (whole,), (part,) = list(all_aus.faces(clip)), list(two.faces(clip))
    np.testing.assert_array_equal(part.labels, whole.labels[:, [6, 0]])
    np.testing.assert_array_equal(part.images, whole.images)


def test_names_and_sizes_are_those_of_the_preset_or_of_the_config():
    assert reader(subjects=0, frames=0).name == "synthfacs_tiny_40px_seed0"
    assert reader(subjects=3, videos=1).recordings() == [RecordingId(f"S00{n}", "T1") for n in (1, 2, 3)]
    with pytest.raises(ConfigError, match="config.data.videos is -1"):
        reader(videos=-1)
    with pytest.raises(
        ConfigError, match="config.data.preset: synthfacs has no preset 'huge'; choose one of bp4d_like"
    ):
        reader(preset="huge")


def test_every_preset_draws_the_aus_that_synthfacs_names():
    assert synthfacs.AUS == (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
    for preset in synthfacs.PRESETS.values():
        assert len(preset.rates) == len(preset.event_seconds) == len(synthfacs.AUS)
    (chunk,) = synthfacs.render_video(
        dataclasses.replace(synthfacs.get_preset("tiny"), frames_per_video=6), 0, "S001", "T1"
    )
    assert chunk.labels.shape[1] == chunk.intensities.shape[1] == len(synthfacs.AUS)


def test_a_filmed_preset_goes_through_detector_tracker_and_registration(scene, monkeypatch):
    pytest.importorskip("dlib")
    pictures, labels = scene
    pictures = np.concatenate([pictures[:6], np.zeros_like(pictures[:2]), pictures[6:8]])
    labels = labels[:10]
    strengths = np.where(labels > 0, 1.5, 0.0).astype(np.float32)
    asked = {}

    def film(preset, seed, subject, video, view, size):
        asked.update(view=view, size=size)
        nothing = np.zeros((10, 49, 2), np.float32)
        numbers, found = np.arange(1, 11, dtype=np.int32), np.ones(10, bool)
        yield synthfacs.VideoChunk(pictures, labels, nothing, found, strengths, numbers)

    monkeypatch.setattr(synthfacs, "render_video", film)
    monkeypatch.setattr(synthfacs, "video_codes", lambda *place: (strengths, labels))
    filmed = dataclasses.replace(synthfacs.get_preset("tiny"), filmed=True)
    monkeypatch.setitem(synthfacs.PRESETS, "tiny", filmed)
    source = reader(aus=(12, 1), image_size=80)
    faces = list(source.faces(RecordingId("S001", "T1")))[-1]
    assert asked == {"view": "scene", "size": 256}
    assert faces.images.shape == (10, 80, 80, 3) and faces.frame_numbers.tolist() == list(range(1, 11))
    # Two pictures are black: what is lost on the way has no label and no letter.
    assert faces.face_detected.tolist() == [True] * 6 + [False] * 2 + [True] * 2
    expected = np.where(faces.face_detected[:, None], labels[:, [6, 0]], 0)
    np.testing.assert_array_equal(faces.labels, expected)
    letters = np.where(expected == 0, -1, np.where(expected > 0, 1, 0))
    np.testing.assert_array_equal(faces.intensities, letters)
    clip = RecordingId("S001", "T1")
    assert "faces" in source.origin(clip) and "faces" not in reader(preset="demo").origin(clip)


def test_a_filmed_preset_without_dlib_is_refused_before_anything_is_drawn(monkeypatch):
    filmed = dataclasses.replace(synthfacs.get_preset("tiny"), filmed=True)
    monkeypatch.setitem(synthfacs.PRESETS, "tiny", filmed)
    monkeypatch.setitem(sys.modules, "dlib", None)
    monkeypatch.setattr(synthfacs, "render_video", lambda *place: pytest.fail("a scene was drawn"))
    from au_jax.faces import landmarks

    monkeypatch.setattr(landmarks, "_own", threading.local())
    with pytest.raises(UserError, match="dlib is missing; make video, or pip install"):
        reader().faces(RecordingId("S001", "T1"))
