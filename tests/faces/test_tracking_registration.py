"""Pictures become registered faces one for one, with a face, without one, or unreadable."""

import importlib.util
import weakref

import numpy as np
import pytest
from PIL import Image

from au_jax.faces.decoding import VideoFrame
from au_jax.faces.registration import TEMPLATE
from au_jax.faces.tracking import Face, FaceTracker, register_pictures

needs_dlib = pytest.mark.skipif(
    not (importlib.util.find_spec("dlib") and importlib.util.find_spec("face_recognition_models")),
    reason="needs dlib and its landmark model",
)


class _Follower(FaceTracker):
    """Finds the face on the template's place, shifted by the picture's first value; black pictures have none."""

    def find(self, image):
        shift = int(image[0, 0, 0])
        if not shift:
            return None
        landmarks = np.zeros((68, 2), np.float32)
        landmarks[[*range(17, 60), 61, 62, 63, 65, 66, 67]] = TEMPLATE + np.float32(shift)
        return Face((0.0, 0.0, 200.0, 200.0), 0.9, landmarks)


def _picture(number, value):
    """A uniform picture with one light column at x = 150."""
    if value is None:
        return VideoFrame(number, number / 25, None)
    image = np.full((300, 320, 3), value, np.uint8)
    image[:, 150] = 255 if value else 0
    return VideoFrame(number, number / 25, image)


@needs_dlib
def test_photograph_comes_to_lie_on_the_template():
    photograph = pytest.importorskip("skimage.data").astronaut()
    for turned, size in ((0, 200), (15, 200), (0, 72)):
        # Turned about the face, as a head is tilted.
        image = np.asarray(Image.fromarray(photograph).rotate(turned, Image.Resampling.BICUBIC, center=(225, 125)))
        (face,) = register_pictures([VideoFrame(1, 0.0, image)], size)
        assert face.face is not None and face.picture is image and (face.number, face.timestamp) == (1, 0.0)
        assert face.image.shape == (size, size, 3) and face.image.dtype == np.uint8
        assert face.landmarks.dtype == np.float32
        centres = np.stack([face.landmarks[19:25].mean(0), face.landmarks[25:31].mean(0)]) * 200 / size
        np.testing.assert_allclose(centres, [[67.5, 65], [132.5, 65]], atol=3)
        # A broad smile lifts the corners of the mouth from 132.
        np.testing.assert_allclose(face.landmarks[[31, 37], 1] * 200 / size, 122, atol=4)
        # Pupils are the darkest near the eyes' centres.
        for x, y in centres * size / 200:
            eye = face.image[int(y) - size // 20 : int(y) + size // 20, int(x) - size // 8 : int(x) + size // 8]
            darkest = np.unravel_index(eye.astype(int).sum(2).argmin(), eye.shape[:2])
            assert abs(darkest[1] - size // 8) < size / 16


def test_every_picture_gives_one_face_and_gaps_repeat_the_last():
    values = [None, 0, 10, None, 0, 30]
    faces = list(register_pictures([_picture(5 + 2 * i, value) for i, value in enumerate(values)], 200, _Follower()))
    assert [face.number for face in faces] == [5, 7, 9, 11, 13, 15]
    assert [face.timestamp for face in faces] == [n / 25 for n in (5, 7, 9, 11, 13, 15)]
    assert [face.face is None for face in faces] == [True, True, False, True, True, False]
    assert [face.picture is None for face in faces] == [True, False, False, True, False, False]
    for early in faces[:2]:
        assert not early.image.any()
        np.testing.assert_array_equal(early.landmarks, TEMPLATE)
    # The light column at 150 of a face that is shifted by 10.
    assert faces[2].image[100].argmax(0).tolist() == [140] * 3
    for gap in faces[3:5]:
        np.testing.assert_array_equal(gap.image, faces[2].image)
        np.testing.assert_array_equal(gap.landmarks, faces[2].landmarks)
    assert faces[5].image[100].argmax(0).tolist() == [120] * 3


def test_template_before_the_first_face_has_the_size_asked_for():
    (face,) = register_pictures([_picture(1, None)], 72, _Follower())
    assert face.image.shape == (72, 72, 3)
    np.testing.assert_allclose(face.landmarks, TEMPLATE * 0.36, rtol=1e-6)


def test_memory_does_not_grow_with_the_video():
    pictures, faces = [], []

    def video():
        for number in range(1, 201):
            picture = _picture(number, 10 + number % 9)
            pictures.append(weakref.ref(picture.image))
            yield picture

    for face in register_pictures(video(), 72, _Follower()):
        faces.append(weakref.ref(face.image))
        for kept in (pictures, faces):
            assert sum(image() is not None for image in kept) <= 2
    assert len(faces) == 200


def test_nothing_in_nothing_out():
    assert list(register_pictures([], 200, _Follower())) == []
