"""Videos: the same seed gives the same frames, and labels, landmarks and pixels belong together."""

import dataclasses
import functools

import numpy as np
import pytest

from au_jax.faces.registration import TEMPLATE, similarity
from au_jax.synthfacs import get_preset, render_video, scene, video_length
from au_jax.synthfacs import video as video_module

TINY = get_preset("tiny")


def _all(preset=TINY, seed=0, subject="S001", video="T1", **options):
    chunks = list(render_video(preset, seed, subject, video, **options))
    return {f.name: np.concatenate([getattr(c, f.name) for c in chunks]) for f in dataclasses.fields(chunks[0])}


@functools.cache
def _first():
    return _all()


def test_shapes_dtypes_and_ranges():
    first = _first()
    length = video_length(TINY, 0, "S001", "T1")
    assert first["frames"].shape == (length, 40, 40, 3) and first["frames"].dtype == np.uint8
    assert first["labels"].shape == (length, 12) and first["labels"].dtype == np.int8
    assert set(np.unique(first["labels"])) <= {-1, 0, 1}
    assert first["landmarks"].shape == (length, 49, 2) and first["landmarks"].dtype == np.float32
    assert first["found"].shape == (length,) and first["found"].dtype == bool
    assert (
        first["intensities"].dtype == np.float32 and 0 <= first["intensities"].min() <= first["intensities"].max() <= 5
    )
    np.testing.assert_array_equal(first["frame_numbers"], np.arange(1, length + 1))
    assert first["frames"].std() > 20  # a picture, not a plane


def test_the_same_seed_gives_the_same_video_whatever_the_chunk():
    first = _first()
    again = _all(chunk=7)
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_the_last_chunk_is_shorter():
    lengths = [len(chunk.frames) for chunk in render_video(TINY, 0, "S001", "T1", chunk=10)]
    assert lengths[:-1] == [10] * (len(lengths) - 1) and 0 < lengths[-1] <= 10


@pytest.mark.parametrize("change", [{"seed": 1}, {"subject": "S002"}, {"video": "T2"}])
def test_other_seeds_people_and_videos_differ(change):
    first = _first()
    other = _all(**change)
    count = min(len(other["frames"]), len(first["frames"]))
    assert np.abs(other["frames"][:count].astype(int) - first["frames"][:count]).mean() > 4
    assert np.abs(other["intensities"][:count] - first["intensities"][:count]).max() > 0.5


def test_a_person_looks_the_same_in_all_videos():
    a = video_module.subject_identity(TINY, 0, "S003")
    b = video_module.subject_identity(dataclasses.replace(TINY, noise=0.1), 0, "S003")
    np.testing.assert_array_equal(a.shape, b.shape)


def test_registered_landmarks_hit_the_template():
    first = _first()
    scaled = TEMPLATE * (40 / 200)
    np.testing.assert_allclose(
        first["landmarks"].mean(1), np.tile(scaled.mean(0), (len(first["landmarks"]), 1)), atol=0.01
    )
    assert np.abs(first["landmarks"] - scaled).mean() < 1.0


def test_labels_are_zero_where_the_face_is_not_found():
    preset = dataclasses.replace(TINY, occlusion_rate=12.0, missing=0.0)
    videos = [_all(preset, seed=s) for s in range(4)]
    lost = np.concatenate([~v["found"] for v in videos])
    labels = np.concatenate([v["labels"] for v in videos])
    assert 0 < lost.sum() < len(lost)
    assert (labels[lost] == 0).all() and (labels[~lost] != 0).all()


def test_noise_and_blur_are_new_in_every_frame():
    preset = dataclasses.replace(
        TINY, noise=0.1, pose=0.0, talking=0.0, blinks=0.0, occlusion_rate=0.0, rest_seconds=(0.5, 0.5)
    )
    frames = _all(preset)["frames"].astype(float)
    still = frames[2:5] - frames[1:4]
    assert 15 < still.std() < 60  # 0.1 * 255 * sqrt(2), a little less in the dark
    assert abs(np.corrcoef(still[0].ravel(), still[2].ravel())[0, 1]) < 0.1


def test_cameras_differ():
    lab = _all(dataclasses.replace(TINY, camera="lab"))["frames"][:4].astype(float)
    group = _all(dataclasses.replace(TINY, camera="group"))["frames"][:4].astype(float)
    assert group.std() < 0.9 * lab.std()
    assert np.percentile(group, 1) > np.percentile(lab, 1) + 10  # its black is not black


def test_identity_spread_zero_gives_everybody_the_mean_shape():
    preset = dataclasses.replace(TINY, identity_spread=0.0)
    shapes = [video_module.subject_identity(preset, 0, f"S00{i}").shape for i in (1, 2)]
    np.testing.assert_array_equal(shapes[0], shapes[1])


def test_a_picture_that_is_not_finite_raises(monkeypatch):
    honest = scene.still_inputs

    def broken(*args, **kwargs):
        still = honest(*args, **kwargs)
        return {**still, "iris": still["iris"] * np.nan}

    monkeypatch.setattr(scene, "still_inputs", broken)
    with pytest.raises(FloatingPointError, match="not finite"):
        _all()


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no subject 'S099'"):
        next(render_video(TINY, 0, "S099", "T1"))
    with pytest.raises(ValueError, match="no video 'T9'"):
        next(render_video(TINY, 0, "S001", "T9"))


def test_a_tracker_bias_moves_landmarks_but_not_the_registration():
    fair = get_preset("tiny")
    biased = dataclasses.replace(fair, tracker_bias=0.15)
    clean, wrong = (next(iter(render_video(preset, 0, "S001", "T1"))) for preset in (fair, biased))
    shift = wrong.landmarks - clean.landmarks
    # 0.15 of an inter-ocular distance of 13 pixels, the same in every frame.
    assert 1.0 < shift.std() < 3.0
    assert np.abs(shift - shift.mean(0)).max() < 1.0
    assert np.abs(shift.mean((0, 1))).max() < 0.1
    bias = video_module._tracker_bias(biased, 0, 3)
    # Least squares: the similarity that fits the biased landmarks is the identity, but for a common shrinking.
    matrix = similarity(TEMPLATE + bias, TEMPLATE)
    np.testing.assert_allclose(matrix[:, :2] / matrix[0, 0], np.eye(2), atol=1e-6)
    assert 0.9 < matrix[0, 0] < 1.0
