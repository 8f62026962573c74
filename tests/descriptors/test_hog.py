"""The HOG descriptor against a loop over pixels, and on images whose gradients are known."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.descriptors.hog import hog


def _by_loops(image, landmarks, patch_size, gaussian):
    """One face's descriptors, pixel by pixel: [H, W, 3] and [L, 2] -> [L * 128]."""
    grey = (image.astype(np.float64) * [0.299, 0.587, 0.114]).sum(axis=2)
    height, width = grey.shape

    def pixel(row, column):
        return grey[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]

    cell, result = patch_size / 4, []
    reach = math.ceil(2.5 * cell) + 1
    for x, y in landmarks:
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
        histogram = np.zeros((4, 4, 8))
        for row in range(math.floor(y) - reach, math.floor(y) + reach + 2):
            for column in range(math.floor(x) - reach, math.floor(x) + reach + 2):
                dx = (pixel(row, column + 1) - pixel(row, column - 1)) / 2
                dy = (pixel(row + 1, column) - pixel(row - 1, column)) / 2
                magnitude, angle = math.hypot(dx, dy), math.atan2(dy, dx) / (2 * math.pi) * 8 % 8
                if gaussian:
                    magnitude *= math.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * (patch_size / 2) ** 2))
                for i in range(4):
                    for j in range(4):
                        down = 1 - abs((row - y) / cell - (i - 1.5))
                        across = 1 - abs((column - x) / cell - (j - 1.5))
                        if down > 0 and across > 0:
                            low = int(angle)
                            histogram[i, j, low % 8] += magnitude * down * across * (1 - (angle - low))
                            histogram[i, j, (low + 1) % 8] += magnitude * down * across * (angle - low)
        vector = histogram.ravel()
        for bound in (0.2, np.inf):
            vector = vector / max(np.linalg.norm(vector), 1e-6)
            vector = np.minimum(vector, bound)
        result.append(vector)
    return np.concatenate(result)


@pytest.mark.parametrize("gaussian", [False, True])
def test_descriptor_agrees_with_a_loop_over_pixels(gaussian):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(2, 60, 50, 3), dtype=np.uint8)
    # Inside, between pixels, at the border, in a corner, and outside of the image.
    landmarks = np.array([[25, 30], [20.3, 17.8], [0.4, 30], [49, 59], [-7, 80]], np.float32)
    ours = hog(images, np.stack([landmarks, landmarks + 0.25]), patch_size=13.0, gaussian=gaussian)
    assert ours.shape == (2, 5 * 128) and ours.dtype == jnp.float32
    for n in range(2):
        expected = _by_loops(images[n], landmarks.astype(np.float64) + 0.25 * n, 13.0, gaussian)
        np.testing.assert_allclose(ours[n], expected, atol=2e-4)


def test_a_face_gives_6272_numbers_of_unit_patches():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(1, 72, 72, 3), dtype=np.uint8)
    descriptor = hog(images, rng.uniform(5, 67, size=(1, 49, 2)).astype(np.float32))
    assert descriptor.shape == (1, 6272)
    np.testing.assert_allclose(np.linalg.norm(descriptor.reshape(49, 128), axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(("right", "down", "orientation"), [(1, 0, 0), (1, 1, 1), (0, 1, 2), (-1, 0, 4), (0, -1, 6)])
def test_a_ramp_has_one_orientation_in_every_cell(right, down, orientation):
    rows, columns = np.mgrid[:64, :64]
    image = (2.0 * (right * columns + down * rows) + 200)[None, :, :, None].repeat(3, axis=3).astype(np.float32)
    descriptor = hog(image, np.full((1, 1, 2), 32.0, np.float32), patch_size=16.0).reshape(16, 8)
    np.testing.assert_allclose(descriptor[:, orientation], 0.25, rtol=1e-3)  # 16 equal entries of a unit vector
    np.testing.assert_allclose(np.delete(np.asarray(descriptor), orientation, axis=1), 0.0, atol=1e-3)


def test_a_quarter_turn_of_the_image_turns_cells_and_orientations():
    image = np.random.default_rng(0).uniform(0, 255, size=(41, 41, 3)).astype(np.float32)
    centre = np.full((1, 1, 2), 20.0, np.float32)
    plain = np.asarray(hog(image[None], centre, patch_size=20.0)).reshape(4, 4, 8)
    turned = np.asarray(hog(np.rot90(image)[None].copy(), centre, patch_size=20.0)).reshape(4, 4, 8)
    # Turned to the left, a gradient to the right points upwards: orientation 0 becomes 6.
    np.testing.assert_allclose(turned, np.roll(np.rot90(plain), -2, axis=2), atol=1e-4)


def test_a_flat_patch_is_zero_and_contrast_does_not_matter():
    flat = np.full((1, 40, 40, 3), 128, np.uint8)
    centre = np.full((1, 1, 2), 20.0, np.float32)
    np.testing.assert_array_equal(hog(flat, centre), np.zeros((1, 128)))
    image = np.random.default_rng(0).uniform(0, 100, size=(1, 40, 40, 3)).astype(np.float32)
    np.testing.assert_allclose(hog(image, centre), hog(2.0 * image + 30.0, centre), atol=1e-5)


def test_the_patch_scales_with_the_face():
    # The same smooth image at two sizes: descriptors of the same place nearly agree when the patch goes along.
    def face(size):
        rows, columns = np.mgrid[:size, :size] / size
        wave = 100 + 60 * np.sin(9 * columns + 3 * rows) + 40 * np.cos(11 * rows - 2 * columns)
        return wave[None, :, :, None].repeat(3, axis=3).astype(np.float32)

    small = hog(face(100), np.full((1, 1, 2), 49.5, np.float32))
    large = hog(face(200), np.full((1, 1, 2), 99.5, np.float32))
    assert float(jnp.vdot(small, large)) > 0.995
    assert float(jnp.vdot(small, hog(face(200), np.full((1, 1, 2), 99.5, np.float32), patch_size=18.0))) < 0.99


def test_the_descriptor_moves_little_with_its_landmark():
    image = np.random.default_rng(0).uniform(0, 255, size=(1, 50, 50, 3)).astype(np.float32)
    here, near = (hog(image, np.full((1, 1, 2), x, np.float32), patch_size=16.0) for x in (25.0, 25.01))
    assert float(jnp.linalg.norm(here - near)) < 0.01
