"""An independent face tracker finds the synthetic faces, and finds their landmarks where we say they are."""

import dataclasses
import importlib.util
import pathlib

import numpy as np
import pytest

from au_jax.synthfacs import render_video, subject_names
from au_jax.synthfacs.presets import CLEAR

IBUG = [*range(17, 60), 61, 62, 63, 65, 66, 67]


def _predictor():
    dlib = pytest.importorskip("dlib")
    # The package's __init__ imports pkg_resources, which new setuptools lacks: find the file without importing it.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        pytest.skip("face_recognition_models is not installed")
    path = pathlib.Path(spec.origin).parent / "models" / "shape_predictor_68_face_landmarks.dat"
    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(path))


@pytest.mark.slow
def test_dlib_finds_the_faces_and_their_landmarks():
    detector, predictor = _predictor()
    preset = dataclasses.replace(
        CLEAR,
        subjects=10,
        subject_prefix="S",
        videos_per_subject=1,
        frames_per_video=8,
        length_spread=0.0,
        occlusion_rate=0.0,
        tracker_error=0.0,
        rest_seconds=(0.0, 0.01),
    )
    found, errors = 0, []
    for subject in subject_names(preset):
        chunk = next(render_video(preset, 11, subject, "T1", "scene", 256, chunk=8))
        for frame in (0, 7):
            picture, landmarks = chunk.frames[frame], chunk.landmarks[frame]
            boxes = detector(picture, 0)
            if not boxes:
                continue
            found += 1
            parts = predictor(picture, max(boxes, key=lambda box: box.area())).parts()
            seen = np.array([(point.x, point.y) for point in parts])[IBUG]
            errors.append(np.linalg.norm(seen - landmarks, axis=1) / np.linalg.norm(landmarks[19] - landmarks[28]))
    assert found >= 19
    errors = np.array(errors)
    for name, points in {"eye corners": [19, 22, 25, 28], "brows": range(10), "mouth corners": [31, 37]}.items():
        assert np.median(errors[:, list(points)]) < 0.06, name
