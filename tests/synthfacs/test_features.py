"""Layers over the skin: soft edges, painting, and things in front."""

import jax.numpy as jnp
import numpy as np

from au_jax.synthfacs.features import draw_glasses, draw_occluder, layer, soft_step
from au_jax.synthfacs.motion import covered, occluder_form


def grid(size=40, low=-100.0, high=100.0):
    place = jnp.linspace(low, high, size, dtype=jnp.float32)
    return jnp.meshgrid(place, place)


def test_an_edge_is_soft_over_its_softness():
    values = jnp.array([-2.0, -1.0, 0.0, 1.0, 2.0], jnp.float32)
    np.testing.assert_allclose(soft_step(values, 1.0), [0, 0, 0.5, 1, 1])


def test_a_layer_is_painted_by_its_alpha():
    painted = layer([0.0, 0.5, 1.0], [1.0, 1.0, 1.0], 0.25)
    np.testing.assert_allclose(painted, [0.25, 0.625, 1.0])


def test_what_is_drawn_in_front_covers_the_points_that_it_hides():
    x, y = grid()
    capsules = occluder_form("hand", 0.3, 1.0)
    cover, _, _, crease = draw_occluder(x, y, jnp.asarray(capsules, jnp.float32), 0.5)
    hidden = covered(np.stack([x, y], -1).reshape(-1, 2), capsules).reshape(x.shape)
    np.testing.assert_array_equal(np.asarray(cover) > 0.5, hidden)
    assert hidden.any() and not hidden.all() and (crease <= 1).all()


def test_no_object_covers_nothing():
    x, y = grid()
    assert not draw_occluder(x, y, jnp.zeros((6, 6), jnp.float32), 0.5)[0].any()


def test_glasses_of_no_darkness_change_nothing():
    x, y = grid(low=0.0, high=200.0)
    rgb, centres = [jnp.full_like(x, 0.4)] * 3, jnp.array([[67.0, 65.0], [133.0, 65.0]], jnp.float32)
    np.testing.assert_array_equal(draw_glasses(rgb, 1.0, x, y, centres, jnp.float32(0.0), 0.5)[0], rgb[0])
    assert (draw_glasses(rgb, 1.0, x, y, centres, jnp.float32(0.9), 0.5)[0] < 0.2).any()
