"""Head pose: the convention by hand, and angles against the true ones of synthetic heads."""

import dataclasses

import numpy as np
import pytest

from au_jax.faces.head_pose import MODEL, euler_angles, head_pose
from au_jax.synthfacs.identity import draw_identity, expression_drive
from au_jax.synthfacs.motion import still_motion
from au_jax.synthfacs.presets import AUS
from au_jax.synthfacs.scene import rotations, track

NOSE_TIP, LEFT_EYE, RIGHT_EYE = 13, 19, 28


def turned(pitch=0.0, yaw=0.0, roll=0.0):
    """The mean face turned by degrees about x (right), y (down) and z (away), each by the textbook's matrix."""
    a, b, c = np.radians([pitch, yaw, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return (MODEL @ (about_x @ about_y @ about_z).T)[:, :2]


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, 0, 0), (0, -35, 0), (0, 0, 50), (-25, 30, -20), (10, 60, 5)])
def test_a_turned_model_has_the_angles_that_it_was_turned_by(angles):
    placed = 3.7 * turned(*angles) + [412.0, -55.0]  # scale and place do not matter
    np.testing.assert_allclose(head_pose(placed[None])[0], angles, atol=1e-3)


def test_signs_are_those_that_the_page_tells():
    still = turned()
    nose = still[NOSE_TIP] - (still[LEFT_EYE] + still[RIGHT_EYE]) / 2
    moved = {name: turned(**{name: 20.0}) for name in ("pitch", "yaw", "roll")}
    towards = {name: face[NOSE_TIP] - (face[LEFT_EYE] + face[RIGHT_EYE]) / 2 - nose for name, face in moved.items()}
    assert towards["pitch"][1] > 5  # looks down: the nose goes down in the picture
    assert towards["yaw"][0] < -5  # to the left of the picture
    assert moved["roll"][RIGHT_EYE][1] > moved["roll"][LEFT_EYE][1]  # clockwise


def test_angles_of_a_rotation_are_read_in_the_order_of_openface():
    pitch, yaw, roll = 0.3, -0.5, 0.7
    sines, cosines = np.sin([pitch, yaw, roll]), np.cos([pitch, yaw, roll])
    # The first row and last column of Rx Ry Rz, multiplied out by hand.
    matrix = np.zeros((1, 3, 3))
    matrix[0, 0] = cosines[1] * cosines[2], -cosines[1] * sines[2], sines[1]
    matrix[0, 1, 2], matrix[0, 2, 2] = -sines[0] * cosines[1], cosines[0] * cosines[1]
    np.testing.assert_allclose(euler_angles(matrix), [[pitch, yaw, roll]])


@pytest.mark.parametrize(("spread", "expressive", "bounds"), [(0, 0, (0.5, 0.3, 0.2)), (1, 1, (4.0, 3.0, 1.0))])
def test_angles_are_those_of_synthetic_heads(spread, expressive, bounds):
    """20 people who differ in shape, with and without expressions; median errors in degrees."""
    chance, frames = np.random.default_rng(0), 30
    angles = chance.uniform(-1, 1, (frames, 3)) * np.radians([35, 25, 30])  # yaw, pitch, roll of synthfacs
    motion = dataclasses.replace(still_motion(frames), angles=angles)
    mirror = np.diag([1.0, 1.0, -1.0])  # z of synthfacs points to the camera
    true = np.degrees(euler_angles(mirror @ rotations(angles) @ mirror))
    errors = []
    for seed in range(20):
        person = draw_identity(np.random.default_rng(seed + 1), spread=float(spread))
        intensities = expressive * chance.uniform(0, 5, (frames, len(AUS))) * (chance.random((frames, len(AUS))) < 0.4)
        drive = expression_drive(person, intensities, 1.0, np.zeros(frames))
        errors.append(np.abs(head_pose(track(person, drive, motion).landmarks) - true))
    assert (np.median(np.concatenate(errors), axis=0) < bounds).all()


def test_frames_without_a_face_have_no_pose():
    faces = np.stack([turned(yaw=10.0), np.full((49, 2), np.nan)])
    poses = head_pose(faces)
    assert poses[0, 1] == pytest.approx(10) and np.isnan(poses[1]).all()
    assert np.isnan(head_pose(np.zeros((1, 49, 2)))).all()  # points that coincide
    assert head_pose(faces[:0]).shape == (0, 3) and np.isnan(head_pose(faces[1:])).all()
