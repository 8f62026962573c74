"""The relief: the head's outline and height, its parts on both sides, and its gradients."""

import numpy as np

from au_jax.synthfacs import relief
from au_jax.synthfacs.camera import COARSE


def test_the_head_ends_at_crown_and_chin():
    assert relief.outline(np.array([-60.0, 45.0, 190.0])).tolist() == [0.0, 71.0, 0.0]


def test_every_part_stands_out_on_both_sides_alike():
    height, dark = relief.part_heights(5.0)
    assert height.shape == dark.shape == (len(relief.PARTS), 2, COARSE.height, COARSE.width)
    assert (dark >= 0).all()
    for index, name in enumerate(relief.PARTS):
        if name != "orange_peel":  # its dents are scattered
            np.testing.assert_allclose(height[index, 1], height[index, 0, :, ::-1], atol=1e-5, err_msg=name)
        assert np.abs(height[index]).max() > 0.1, name


def test_the_nose_is_nearer_than_cheek_and_ear():
    nose, cheek, outside = relief.depth_at(
        np.array([[100.0, 100.0], [60.0, 100.0], [20.0, 100.0]]), relief.head_height(5.0)
    )
    assert nose > cheek > outside


def test_gradients_are_those_of_a_plane():
    x, y = COARSE.axes()
    slopes = relief.gradients(0.3 * x - 0.1 * y, COARSE.texel)
    np.testing.assert_allclose(slopes, np.broadcast_to([0.3, -0.1], slopes.shape), atol=1e-9)


def test_a_depth_map_is_read_between_its_points():
    x, y = COARSE.axes()
    points = np.array([[3.3, 71.2], [120.4, -11.7]])
    np.testing.assert_allclose(relief.depth_at(points, 2 * x + y), 2 * points[:, 0] + points[:, 1])
