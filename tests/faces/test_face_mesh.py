"""The landmarks of iBUG are where the mesh has them, steady, and found in faces that dlib does not see."""

import concurrent.futures
import math

import numpy as np
import pytest
from PIL import Image

from au_jax.faces import blazeface, face_mesh
from au_jax.faces.blazeface import Square
from au_jax.faces.face_mesh import MeshFace, MeshTracker, Track, mesh_landmarks, smooth
from au_jax.faces.registration import MIRROR
from au_jax.faces.tracking import inner_landmarks

needs_models = pytest.mark.skipif(not blazeface.is_installed(), reason="the face mesh is not installed: make mesh")


def test_there_are_68_landmarks_in_the_order_of_ibug():
    lengths = {part: len(vertices) for part, vertices in face_mesh.VERTICES.items()}
    assert lengths == {
        "jaw": 17, "right brow": 5, "left brow": 5, "nose bridge": 4, "nose base": 5, "right eye": 6, "left eye": 6,
        "outer lip": 12, "inner lip": 8,
    }  # fmt: skip
    # Of MediaPipe's map: chin 152, outer eye corners 33 and 263, inner 133 and 362, corners of the mouth 61 and 291.
    numbers = np.arange(468.0).repeat(2).reshape(468, 2)
    assert mesh_landmarks(numbers)[[8, 36, 45, 39, 42, 48, 54], 0].tolist() == [152, 33, 263, 133, 362, 61, 291]


def test_a_vertex_stands_for_one_side_only_and_no_vertex_twice_for_one_landmark():
    pairs = face_mesh._PAIRS
    assert pairs.shape == (68, 2) and 0 <= pairs.min() and pairs.max() < 468
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == 68


class _Network:
    """In place of the mesh network: an upright face in the middle of its square, and a score for every call."""

    side = 192

    def __init__(self, scores, drift=0.0):
        self.scores, self.calls, self.drift = list(scores), 0, drift

    def __call__(self, pixels):
        points = np.zeros((468, 3), np.float32)
        points[:, 0], points[:, 1] = np.linspace(32, 160, 468), np.linspace(160, 32, 468)
        points[33, :2], points[263, :2] = (60, 80), (132, 80)
        points[:, 0] += self.drift
        score = self.scores[min(self.calls, len(self.scores) - 1)]
        self.calls += 1
        return [points.reshape(1, 1, 1, 1404), np.array([[[[score]]]], np.float32)]


@pytest.fixture
def network(monkeypatch):
    """Makes the stand-in of the network, and of the detector, which sees one face; tells how often it was run."""

    def make(scores, drift=0.0, seen=True):
        network, runs = _Network(scores, drift), []

        def detect(image, model="near", least=0.5):
            runs.append(model)
            keypoints = np.array([[90, 80], [130, 80], [110, 100], [110, 120], [80, 90], [140, 90]], np.float32)
            return [blazeface.Detection((80.0, 60.0, 60.0, 60.0), 0.9, keypoints)] if seen else []

        monkeypatch.setattr(face_mesh, "load", lambda name: network)
        monkeypatch.setattr(face_mesh, "detect", detect)
        return network, runs

    return make


def test_the_square_of_a_mesh_is_half_as_large_again_and_turned_with_the_eyes():
    rng = np.random.default_rng(0)
    mesh = rng.uniform(-40, 40, (468, 2))
    mesh[0], mesh[1], mesh[2], mesh[3] = (-50, 0), (50, 0), (0, -40), (0, 60)
    mesh[33], mesh[263] = (-20, 5), (20, 5)
    for angle in (0.0, 0.4, 2.0, -1.5):
        cos, sin = math.cos(angle), math.sin(angle)
        turned = mesh @ np.array([[cos, sin], [-sin, cos]]) + [200, 150]
        square = face_mesh.square_of_mesh(turned)
        assert (square.side, square.angle) == pytest.approx((150, angle))
        # The middle of what the mesh spans, level: (0, 10).
        np.testing.assert_allclose((square.x, square.y), (200 - 10 * sin, 150 + 10 * cos), atol=1e-9)


def test_a_followed_face_needs_no_detector_and_one_network_run_a_frame(network):
    mesh, runs = network([30.0])
    tracker, picture = MeshTracker("anyone"), np.zeros((240, 320, 3), np.uint8)
    first = tracker.find(picture)
    assert isinstance(first, MeshFace) and first.confidence > 0.99 and runs == ["far"] and mesh.calls == 2
    for _ in range(12):
        assert tracker.find(picture) is not None
    assert runs == ["far"] and mesh.calls == 2 + 12


def test_a_frame_without_the_face_is_marked_at_once_and_the_detector_looks_for_it(network):
    # Two runs begin to follow; then a frame with the face, and one without it: followed, checked, and sought from afar and near.
    mesh, runs = network([30.0, 30.0, 30.0, *[-8.0] * 6, 25.0])
    tracker, picture = MeshTracker("anyone"), np.zeros((240, 320, 3), np.uint8)
    assert tracker.find(picture) is not None and tracker.find(picture) is not None and runs == ["far"]
    assert tracker.find(picture) is None and runs == ["far", "far", "near"]
    assert tracker.find(picture) is not None


def test_a_face_that_drifts_out_of_the_picture_is_lost(network, monkeypatch):
    network([30.0], drift=12.0)
    tracker, picture = MeshTracker("anyone"), np.zeros((140, 160, 3), np.uint8)
    assert tracker.find(picture) is not None
    monkeypatch.setattr(face_mesh, "detect", lambda image, model="near", least=0.5: [])
    faces = [tracker.find(picture) is not None for _ in range(40)]
    assert faces[0] and not faces[-1]


def test_where_nobody_is_seen_from_afar_it_looks_from_near_and_at_times_into_parts(network):
    _, runs = network([30.0], seen=False)
    tracker, picture = MeshTracker("anyone"), np.zeros((360, 640, 3), np.uint8)
    assert tracker.find(picture) is None
    # Whole at 480 pixels, whole at 640, and in six squares of 320: two rows, of 360 pixels, and three columns.
    assert runs == ["far", "near"] + ["far", "near"] + ["far"] * 6
    runs.clear()
    assert tracker.find(picture) is None and runs == ["far", "near"]


def test_smoothing_is_the_1_euro_filter():
    before, still = np.zeros((2, 2), np.float32), np.zeros((2, 2))
    now = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    after, speed = smooth(before, still, now, 100.0)
    # By the formulas of the paper: alpha = 1 / (1 + 1 / (2 pi f)) at a rate of 1.
    alpha = [1 / (1 + 1 / (2 * math.pi * f)) for f in (0.3, 0.1 + 20 * 5 * 1 / (1 + 1 / (2 * math.pi * 0.3)) / 100)]
    np.testing.assert_allclose(speed, alpha[0] * now, rtol=1e-6)
    np.testing.assert_allclose(after, alpha[1] * now, rtol=1e-6)


def test_smoothing_calms_what_stands_and_follows_what_moves():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.5, (200, 68, 2)).astype(np.float32)

    def smoothed(points):
        rows, speed = [points[0]], np.zeros((68, 2))
        for now in points[1:]:
            after, speed = smooth(rows[-1], speed, now, 100.0)
            rows.append(after)
        return np.stack(rows)

    steps = np.abs(np.diff(smoothed(noise)[20:], axis=0)).mean()
    assert steps < 0.55 * np.abs(np.diff(noise[20:], axis=0)).mean()
    # A hundredth of the face a frame, as a head that turns: less than a frame behind.
    moving = noise + np.arange(200, dtype=np.float32)[:, None, None]
    assert np.abs((smoothed(moving) - moving + noise)[50:].mean()) < 1.0


def test_confidence_grows_with_the_score_and_its_usual_cuts_are_within_reach():
    values = [face_mesh.confidence_of(score) for score in range(0, 40, 2)]
    assert (np.diff(values) > 0).all() and values[0] < 0.5 and 0.8 < face_mesh.confidence_of(7.0) and values[-1] > 0.99


@needs_models
def test_landmarks_of_a_photograph_are_where_a_person_sees_them():
    photograph = pytest.importorskip("skimage.data").astronaut()
    face = MeshTracker().find(photograph)
    assert face is not None and face.landmarks.dtype == np.float32 and face.confidence > 0.9
    points = inner_landmarks(face.landmarks)
    # Read off an enlarged print, to about a pixel; the eyes are 43 pixels apart.
    pupils, nose, mouth = [[203.7, 101.0], [246.3, 103.3]], [225.3, 127.5], [[205.0, 140.0], [243.3, 140.8]]
    np.testing.assert_allclose([points[19:25].mean(0), points[25:31].mean(0)], pupils, atol=2)
    np.testing.assert_allclose(points[13], nose, atol=4)
    np.testing.assert_allclose(points[[31, 37]], mouth, atol=6)


@needs_models
def test_a_mirrored_picture_has_the_mirrored_landmarks(scene):
    """Left and right of the table belong together: a vertex of the wrong side would lie half a face away."""
    image = scene[0][5]
    plain, mirrored = (inner_landmarks(MeshTracker().find(each).landmarks) for each in (image, image[:, ::-1].copy()))
    back = mirrored[MIRROR] * [-1, 1] + [image.shape[1] - 1, 0]
    eyes = np.linalg.norm(plain[19] - plain[28])
    assert np.linalg.norm(plain - back, axis=1).max() < 0.12 * eyes


@needs_models
@pytest.mark.parametrize("turns", [1, 3])
def test_a_face_on_its_side_is_found_with_the_same_landmarks(scene, turns):
    image = scene[0][5]
    upright = inner_landmarks(MeshTracker().find(image).landmarks)
    face = MeshTracker().find(np.ascontiguousarray(np.rot90(image, turns)))
    assert face is not None
    points, last = inner_landmarks(face.landmarks), image.shape[0] - 1
    # np.rot90 turns counter-clockwise: (x, y) comes to (y, last - x), and after three times to (last - y, x).
    turned = upright[:, ::-1] * [1, -1] + [0, last] if turns == 1 else upright[:, ::-1] * [-1, 1] + [last, 0]
    assert np.linalg.norm(points - turned, axis=1).mean() < 0.08 * np.linalg.norm(upright[19] - upright[28])


@needs_models
def test_only_an_upright_face_counts_as_upright(scene):
    image = scene[0][5]
    upright, *turned = (face_mesh.upright_score(np.ascontiguousarray(np.rot90(image, turns))) for turns in range(4))
    assert upright > 25 and max(turned) < 0.4 * upright


@needs_models
def test_all_faces_of_a_picture_are_found_in_a_window_and_in_whole(scene):
    both = np.concatenate([scene[0][0], scene[0][20]], axis=1)
    faces = face_mesh.detect_faces(both, (0.0, 0.0, 480.0, 240.0), 1.0, 0.0)
    assert sorted(box[0] > 240 for box, _ in faces) == [False, True] and all(score > 5 for _, score in faces)
    ((box, _),) = face_mesh.detect_faces(both, (230.0, -20.0, 900.0, 300.0), 1.0, 0.0)
    whole = max(faces, key=lambda each: each[0][0])[0]
    np.testing.assert_allclose(box, whole, atol=0.1 * whole[2])
    near = face_mesh.landmarked(both, whole)
    assert near.confidence > 0.8 and abs(near.box[0] - whole[0]) < 0.1 * whole[2]


@needs_models
def test_moving_face_is_followed_steadily(scene):
    tracker, faces = MeshTracker(), []
    for picture in scene[0]:
        face = tracker.find(picture)
        assert face is not None
        faces.append(inner_landmarks(face.landmarks))
    # The head drifts by a pixel or two a frame; the mesh does not jump about it.
    assert np.abs(np.diff(np.stack(faces), axis=0)).mean() < 1.5


@needs_models
def test_trackers_in_threads_do_not_see_each_others_faces(scene):
    videos = [scene[0][:6], scene[0][:6][:, :, ::-1].copy()]

    def follow(video):
        tracker = MeshTracker()
        return np.stack([tracker.find(picture).landmarks for picture in video])

    alone = [follow(video) for video in videos]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        together = list(pool.map(follow, videos))
    np.testing.assert_array_equal(together, alone)


@needs_models
def test_pictures_without_a_face_have_none(scene):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for picture in (noise, np.zeros((60, 40, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8)):
        assert MeshTracker().find(picture) is None
    tracker = MeshTracker()
    assert tracker.find(scene[0][0]) is not None
    assert tracker.find(noise[:40, :50]) is None  # the size may change, as in folders of frames
    assert face_mesh.detect_faces(noise, (500.0, 500.0, 20.0, 20.0), 1.0, 0.0) == []


def test_a_track_is_a_face_that_keeps_its_track():
    landmarks = np.random.default_rng(0).uniform(0, 90, (68, 2)).astype(np.float32)
    track = Track(np.zeros((468, 2)), 10.0, landmarks, np.zeros((68, 2)))
    face = track.face
    assert face.track is track and face.box == track.box and face.confidence == face_mesh.confidence_of(10.0)


def test_small_pictures_are_larger_in_the_square_of_the_network(network):
    mesh, _ = network([9.0])
    points, score = face_mesh.find_mesh(np.zeros((20, 20, 3), np.uint8), Square(10.0, 10.0, 19.2, 0.0))
    # A pixel of the network is a tenth of one of the picture: 60 and 132 of 192 are 3.6 left and right of the middle.
    np.testing.assert_allclose(points[[33, 263]], [[6.4, 8.4], [13.6, 8.4]], atol=1e-5)
    assert score == 9.0


def test_a_resized_face_has_the_same_landmarks(scene):
    if not blazeface.is_installed():
        pytest.skip("the face mesh is not installed: make mesh")
    image = scene[0][5]
    large = np.asarray(Image.fromarray(image).resize((720, 720), Image.Resampling.BICUBIC))
    one, other = (inner_landmarks(MeshTracker().find(each).landmarks) for each in (image, large))
    # Centres of pixels are at whole numbers: x in the small picture is 3 x + 1 in the large one.
    apart = np.linalg.norm(3 * one + 1 - other, axis=1).mean()
    assert apart < 0.03 * np.linalg.norm(other[19] - other[28])
