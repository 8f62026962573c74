"""Faces are compared on the template, a person is known by several pictures, and a cut is a change of the whole picture."""

import numpy as np
import pytest
from PIL import Image

from au_jax.faces.identity import ALIKE, DIFFERENT, Appearance, CutDetector, asked_for, face_look, likeness
from au_jax.faces.registration import TEMPLATE


def pattern(seed, size=200):
    cells = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(cells).resize((size, size), Image.Resampling.BICUBIC))


def test_a_face_looks_the_same_wherever_it_is_and_whatever_its_size():
    face = pattern(1)
    picture = np.full((400, 500, 3), 80, np.uint8)
    picture[100:200, 300:400] = np.asarray(Image.fromarray(face).resize((100, 100)))
    moved = (TEMPLATE / 2 + [300, 100]).astype(np.float32)
    assert likeness(face_look(face, TEMPLATE), face_look(picture, moved)) > ALIKE
    assert likeness(face_look(face, TEMPLATE), face_look(pattern(2), TEMPLATE)) < DIFFERENT


def test_brighter_light_changes_nothing_and_another_colour_does():
    face = (pattern(3) // 3 + 40).astype(np.uint8)
    look = face_look(face, TEMPLATE)
    assert likeness(look, face_look((face * 1.5).astype(np.uint8), TEMPLATE)) > 0.99
    swapped = face_look(np.ascontiguousarray(face[..., ::-1]), TEMPLATE)
    # The grey picture is that of before.
    assert 0.45 < likeness(look, swapped) < 0.9


def test_a_face_half_out_of_the_picture_and_one_without_structure_have_a_look():
    assert np.isfinite(face_look(pattern(1), TEMPLATE + 150)).all()
    assert likeness(face_look(np.zeros((50, 50, 3), np.uint8), TEMPLATE), face_look(pattern(1), TEMPLATE)) == 0


def test_a_person_is_known_by_few_pictures_however_long_the_video_is():
    looks = [face_look(pattern(seed), TEMPLATE) for seed in range(40)]
    appearance = Appearance(looks[0])
    for look in looks:
        appearance.learn(look)
    known = [number for number, look in enumerate(looks) if appearance.likeness(look) > 0.999]
    # The first picture stays, and the newest.
    assert len(known) == 8 and known[0] == 0 and known[-1] == 39


def test_looks_must_be_the_better_the_longer_somebody_was_out_of_sight():
    asked = [asked_for(lost) for lost in range(60)]
    assert asked == sorted(asked) and asked[0] == DIFFERENT and DIFFERENT < asked[-1] < ALIKE


@pytest.mark.parametrize("size", [(18, 32), (240, 320), (1080, 1920), (7, 9)])
def test_another_shot_is_a_cut_and_a_moving_camera_or_changing_light_is_none(size):
    height, width = size
    one, other = (
        np.asarray(Image.fromarray(pattern(seed)).resize((width, height), Image.Resampling.BICUBIC)) for seed in (4, 5)
    )
    cuts = CutDetector()
    moving = np.roll(one, width // 32, axis=1)
    dark = (one * 0.5).astype(np.uint8)
    black = np.zeros_like(one)
    shots = [cuts.look(picture) for picture in (one, moving, dark, one, black, one, other, other, black, one)]
    assert shots == [False] * 6 + [True, False, False, True]
