import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from au_jax.faces.registration import MIRROR, TEMPLATE, register, similarity


def _turn(points, angle, scale, shift):
    cos, sin = np.cos(angle), np.sin(angle)
    return scale * points @ np.array([[cos, sin], [-sin, cos]]) + shift


def test_template_has_the_published_geometry():
    left, right = TEMPLATE[19:25].mean(0), TEMPLATE[25:31].mean(0)
    np.testing.assert_allclose(right[0] - left[0], 65.0, atol=0.01)
    np.testing.assert_allclose([left[1], right[1]], 65.0, atol=0.01)
    np.testing.assert_allclose(TEMPLATE[[31, 37], 1], 132.0)
    assert TEMPLATE[:10, 1].min() == 38.0 and TEMPLATE[:10, 1].max() == 46.0
    assert TEMPLATE.shape == (49, 2) and TEMPLATE.dtype == np.float32


def test_mirror_is_an_involution_that_maps_the_template_onto_itself():
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(49))
    flipped = TEMPLATE * [-1, 1] + [200, 0]
    np.testing.assert_allclose(flipped[MIRROR], TEMPLATE, atol=1e-5)


def test_similarity_recovers_a_known_transform():
    target = _turn(TEMPLATE.astype(np.float64), 0.4, 1.7, np.array([12.0, -30.0]))
    matrix = similarity(TEMPLATE, target)
    np.testing.assert_allclose(
        matrix, [[1.7 * np.cos(0.4), -1.7 * np.sin(0.4), 12], [1.7 * np.sin(0.4), 1.7 * np.cos(0.4), -30]]
    )


def test_similarity_never_reflects():
    flipped = TEMPLATE * [-1.0, 1.0]
    assert np.linalg.det(similarity(TEMPLATE, flipped)[:, :2]) > 0


def test_similarity_minimises_the_squared_distance():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(49, 2)), TEMPLATE.astype(np.float64)
    best = similarity(source, target)
    error = lambda m: ((source @ m[:, :2].T + m[:, 2] - target) ** 2).sum()  # noqa: E731
    for _ in range(20):
        a, b, x, y = 0.01 * rng.normal(size=4)
        assert error(best) <= error(best + np.array([[a, -b, x], [b, a, y]]))


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        (np.ones((49, 2)), TEMPLATE, "coincide"),
        (TEMPLATE[:1], TEMPLATE[:1], "N >= 2"),
        (TEMPLATE, TEMPLATE[:48], "found"),
        (TEMPLATE * np.nan, TEMPLATE, "finite"),
    ],
)
def test_similarity_refuses_degenerate_points(source, target, text):
    with pytest.raises(ValueError, match=text):
        similarity(source, target)


def _dots(size, points, radius):
    """A black picture with a white disc at every point."""
    y, x = np.mgrid[:size, :size]
    picture = np.zeros((size, size, 3), np.uint8)
    for px, py in points:
        picture[(x - px) ** 2 + (y - py) ** 2 <= radius**2] = 255
    return picture


@pytest.mark.parametrize("scale", [1.0, 4.5])
def test_register_brings_pixels_to_where_it_says_the_landmarks_are(scale):
    points = _turn(TEMPLATE.astype(np.float64), 0.2, scale, np.array([80.0, 60.0]))
    picture = _dots(int(330 * scale), points[[19, 28, 31]], 4 * scale)
    face, landmarks = register(picture, points, 200)
    np.testing.assert_allclose(landmarks, TEMPLATE, atol=1e-3)
    assert face.shape == (200, 200, 3) and face.dtype == np.uint8 and landmarks.dtype == np.float32
    y, x = np.mgrid[:200, :200]
    for index in (19, 28, 31):
        near = ((x - TEMPLATE[index, 0]) ** 2 + (y - TEMPLATE[index, 1]) ** 2 < 100) * face[..., 0].astype(float)
        centre = [(near * x).sum() / near.sum(), (near * y).sum() / near.sum()]
        np.testing.assert_allclose(centre, TEMPLATE[index], atol=0.3)


def test_register_averages_where_the_face_shrinks():
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    face, _ = register(stripes, TEMPLATE * 4.0, 200)
    np.testing.assert_allclose(face[50:150, 50:150].astype(float), 127.5, atol=3)


def test_register_scales_the_template_with_the_size():
    face, landmarks = register(np.full((200, 200, 3), 90, np.uint8), TEMPLATE, 72)
    assert face.shape == (72, 72, 3)
    np.testing.assert_allclose(landmarks, TEMPLATE * 0.36, atol=1e-3)


def test_register_refuses_what_is_no_picture():
    with pytest.raises(ValueError, match="uint8"):
        register(np.zeros((10, 10, 3)), TEMPLATE)
    with pytest.raises(ValueError, match=r"\[49, 2\]"):
        register(np.asarray(Image.new("RGB", (10, 10))), TEMPLATE[:5])


@settings(max_examples=40, deadline=None)
@given(st.floats(-np.pi, np.pi), st.floats(0.05, 20), st.floats(-500, 500), st.floats(-500, 500), st.integers(0, 999))
def test_similarity_undoes_any_turn_size_and_place(angle, scale, x, y, seed):
    points = TEMPLATE + np.random.default_rng(seed).normal(size=TEMPLATE.shape)
    moved = _turn(points, angle, scale, np.array([x, y]))
    matrix = similarity(moved, points)
    np.testing.assert_allclose(moved @ matrix[:, :2].T + matrix[:, 2], points, atol=1e-6 * (1 + 500 / scale))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.floats(-3.2, 3.2), st.floats(0.1, 3), st.integers(8, 60))
def test_any_picture_gives_a_face_of_the_size_asked_for_with_its_landmarks_inside(width, height, angle, scale, size):
    image = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    landmarks = _turn(TEMPLATE, angle, scale, np.array([width / 2, height / 2]))
    face, moved = register(image, landmarks, size)
    assert face.shape == (size, size, 3) and face.dtype == np.uint8
    np.testing.assert_allclose(moved, TEMPLATE * (size / 200), atol=1e-3)


def _drawn_large(image, landmarks, size, factor=16):
    """The face as it is when every output pixel is the mean of 256 places of the image."""
    matrix = np.vstack([similarity(landmarks, TEMPLATE * (size / 200)), [0, 0, 1]])
    back = np.linalg.inv(matrix)[:2]
    linear = back[:, :2] / factor
    shift = back[:, 2] + 0.5 - back[:, :2] @ [0.5, 0.5]
    coefficients = (*linear[0], shift[0], *linear[1], shift[1])
    large = Image.fromarray(image).transform(
        (size * factor,) * 2, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    return np.asarray(large.reduce(factor)).astype(float)


@pytest.mark.parametrize(("scale", "mean", "largest"), [(1.2, 1.0, 10), (3.9, 0.2, 3), (4.4, 0.5, 4), (9.0, 0.5, 4)])
def test_a_face_of_any_size_is_averaged_over_the_area_of_its_pixels(scale, mean, largest):
    # Smooth noise, as faces are: neighbouring pixels are alike.
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    side = int(80 * scale)
    image = np.asarray(Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC))
    landmarks = _turn(TEMPLATE.astype(np.float64) - 100, 0.1, 0.36 * scale, np.array([40 * scale, 40 * scale]))
    # The template of 72 pixels, `scale` pixels of the image for each.
    face, _ = register(image, landmarks, 72)
    difference = np.abs(face - _drawn_large(image, landmarks, 72))
    assert difference.mean() < mean and difference[4:-4, 4:-4].max() < largest


def test_what_lies_around_a_face_changes_nothing():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (400, 400, 3), dtype=np.uint8)
    landmarks = _turn(TEMPLATE.astype(np.float64), 0.2, 0.5, np.array([150.0, 120.0]))
    alone, _ = register(image[80:350, 90:340], landmarks - [90, 80], 72)
    within, _ = register(image, landmarks, 72)
    np.testing.assert_array_equal(within, alone)


def test_a_face_outside_the_picture_is_black():
    face, _ = register(np.full((100, 100, 3), 200, np.uint8), TEMPLATE + 1000, 60)
    assert not face.any()
