"""The plane of the face and the camera: grids, tone, colour, blur and noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.synthfacs import camera
from au_jax.synthfacs.camera import BOTTOM, LEFT, RIGHT, TOP, Grid


def test_a_grid_reaches_from_border_to_border():
    for texel in (1.0, 2.5, 5.0):
        points = Grid(texel).points()
        assert points.shape == (Grid(texel).width * Grid(texel).height, 2)
        assert points[0].tolist() == [LEFT, TOP] and points[-1].tolist() == [RIGHT, BOTTOM]
        assert points[1, 0] - points[0, 0] == texel


def test_an_unknown_camera_is_refused_with_the_names():
    with pytest.raises(ValueError, match="no camera 'phone'; choose one of lab, group"):
        camera.camera_vector("phone")


def test_more_light_is_brighter_and_black_stays_black():
    values = camera.tone(jnp.linspace(0.0, 2.0, 50, dtype=jnp.float32), jnp.float32(1.0))
    assert (jnp.diff(values) > 0).all() and values[0] < 0.01 and 0.9 < values[-1] < 1.5


def test_the_lab_camera_keeps_colours_and_the_group_camera_pales_them():
    rgb = [jnp.full((2, 2), value, jnp.float32) for value in (0.9, 0.4, 0.1)]
    lab, group = (camera.color(rgb, jnp.asarray(camera.camera_vector(name))) for name in ("lab", "group"))
    np.testing.assert_allclose(lab[0, 0], [0.9, 0.4, 0.1], atol=1e-6)
    assert np.ptp(group[0, 0]) < 0.7 * np.ptp(lab[0, 0])


def test_blur_spreads_light_and_noise_has_the_wanted_size():
    point = jnp.zeros((21, 21, 3), jnp.float32).at[10, 10].set(1.0)
    blurred = camera.blur(point, jnp.float32(1.5))
    assert abs(float(blurred[..., 0].sum()) - 1) < 1e-3 and blurred[10, 10, 0] < 0.1
    np.testing.assert_allclose(camera.blur(point, jnp.float32(0.0)), point, atol=1e-6)
    grey = jnp.full((64, 64, 3), 0.5, jnp.float32)
    noise = camera.add_noise(grey, jax.random.key(0), jnp.float32(0.1)) - grey
    assert abs(float(noise.std()) - 0.1) < 0.01 and abs(float(noise.mean())) < 0.005
