"""The shape descriptor is the landmarks, at the scale of a 200-px face."""

import numpy as np

from au_jax.descriptors.shape import shape
from au_jax.faces.registration import TEMPLATE


def test_coordinates_are_those_of_a_200_px_face():
    faces = np.stack([TEMPLATE, TEMPLATE + 1.0]) * np.float32(72 / 200)
    descriptor = shape(faces, 72)
    assert descriptor.shape == (2, 98) and descriptor.dtype == np.float32
    np.testing.assert_allclose(descriptor[0, :4], [43.0, 46.0, 53.0, 40.5], rtol=1e-6)
    np.testing.assert_allclose(descriptor[1] - descriptor[0], 1.0, atol=1e-4)
