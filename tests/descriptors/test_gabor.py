"""The Gabor bank against convolution with kernels written down by hand, and against scikit-image's kernels."""

import numpy as np
import pytest
from scipy import ndimage

from au_jax.descriptors import gabor as bank
from au_jax.descriptors.gabor import gabor


def kernel(wavelength, orientation):
    """Lades' wavelet on a grid, by its formula."""
    k, s = 2 * np.pi / wavelength, np.pi
    reach = int(5 * s / k) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    angle = np.pi * orientation / 8
    wave = np.exp(1j * k * (np.cos(angle) * x + np.sin(angle) * y)) - np.exp(-(s**2) / 2)
    return k**2 / s**2 * np.exp(-(k**2) * (x**2 + y**2) / (2 * s**2)) * wave


@pytest.mark.parametrize("size", [72, 200])
def test_responses_are_those_of_a_convolution(size):
    image = np.random.default_rng(size).uniform(0, 255, (size, size))
    image = ndimage.gaussian_filter(image, 1.0).astype(np.float32)
    landmarks = np.array([[size // 2, size // 3], [5, size - 2], [0, 0]], np.float32)
    ours = np.asarray(gabor(image[None], landmarks[None])).reshape(3, 5, 8)
    for scale, wavelength in enumerate(8 * 2 ** (np.arange(5) / 2) * size / 200):
        for orientation in (0, 1, 4, 7):
            psi = kernel(wavelength, orientation)
            reach = len(psi) // 2
            padded = np.pad(image.astype(np.float64), reach, mode="edge")
            for place, (x, y) in enumerate(landmarks.astype(int)):
                patch = padded[y : y + len(psi), x : x + len(psi)]
                expected = abs((patch * psi).sum())
                assert ours[place, scale, orientation] == pytest.approx(expected, rel=2e-3, abs=0.05)


def test_kernels_are_those_of_scikit_image():
    filters = pytest.importorskip("skimage.filters")
    point = np.zeros((201, 201), np.float32)
    point[100, 100] = 1.0
    grid = np.stack(np.meshgrid(np.arange(90, 111), np.arange(90, 111)), -1).reshape(1, -1, 2).astype(np.float32)
    # The answer to a point, looked at from places around it, is the magnitude of the kernel.
    ours = np.asarray(gabor(point[None], grid)).reshape(21, 21, 5, 8)
    for scale, orientation in ((0, 0), (2, 3), (4, 6)):
        wavelength = bank.WAVELENGTHS[scale] * 201 / 200
        deviation = wavelength / 2  # pi / k
        theirs = filters.gabor_kernel(
            1 / wavelength, theta=np.pi * orientation / 8, sigma_x=deviation, sigma_y=deviation, n_stds=4
        )
        half = np.array(theirs.shape) // 2
        theirs = 2 * np.pi * theirs[half[0] - 10 : half[0] + 11, half[1] - 10 : half[1] + 11]
        # Theirs has no term against flat pictures, which is exp(-pi^2 / 2) of the envelope.
        bell = np.abs(theirs)
        np.testing.assert_allclose(
            ours[:, :, scale, orientation], np.abs(theirs - np.exp(-(np.pi**2) / 2) * bell), atol=2e-6
        )


def test_a_grating_is_answered_at_its_wavelength_and_orientation():
    y, x = np.mgrid[:200, :200]
    for scale, orientation in ((1, 0), (2, 2), (3, 5), (2, 4)):
        angle = np.pi * orientation / 8
        phase = 2 * np.pi / bank.WAVELENGTHS[scale] * (np.cos(angle) * x + np.sin(angle) * y)
        image = (128 + 100 * np.sin(phase)).astype(np.float32)
        found = np.asarray(gabor(image[None], np.full((1, 1, 2), 100.0, np.float32))).reshape(5, 8)
        assert np.unravel_index(found.argmax(), found.shape) == (scale, orientation)


def test_flat_faces_answer_with_nothing_and_brightness_does_not_matter():
    flat = np.full((1, 72, 72, 3), 200, np.uint8)
    places = np.random.default_rng(0).uniform(0, 71, (1, 49, 2)).astype(np.float32)
    found = np.asarray(gabor(flat, places))
    assert found.shape == (1, 1960) and found.dtype == np.float32
    assert found.max() < 0.02
    image = np.random.default_rng(1).uniform(0, 100, (1, 72, 72, 3)).astype(np.float32)
    np.testing.assert_allclose(gabor(image, places), gabor(image + 100.0, places), atol=0.02)


def test_faces_of_two_sizes_give_nearly_the_same():
    def face(size):
        y, x = (np.mgrid[:size, :size] + 0.5) / size
        return (128 + 60 * np.sin(40 * x + 9 * y) + 40 * np.cos(55 * y - 20 * x)).astype(np.float32)[None]

    small = np.asarray(gabor(face(100), np.full((1, 1, 2), 49.5, np.float32)))
    large = np.asarray(gabor(face(200), np.full((1, 1, 2), 99.5, np.float32)))
    np.testing.assert_allclose(small, large, rtol=0.05, atol=0.02 * large.max())
