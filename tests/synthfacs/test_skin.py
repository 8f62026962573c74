"""The texture of a person: its channels, and that it is the person's own."""

import numpy as np

from au_jax.synthfacs.camera import Grid
from au_jax.synthfacs.identity import draw_identity
from au_jax.synthfacs.skin import CHANNELS, static_texture


def test_a_texture_has_its_channels_and_is_the_persons_own():
    grid = Grid(2.5)
    one, other = (draw_identity(np.random.default_rng(seed)) for seed in (0, 1))
    texture = static_texture(one, 2.5)
    assert texture.shape == (grid.height, grid.width, len(CHANNELS)) and texture.dtype == np.float32
    assert np.isfinite(texture).all()
    channel = dict(zip(CHANNELS, np.moveaxis(texture, -1, 0), strict=True))
    for name in ("red", "green", "blue", "cover", "skin"):
        assert 0 <= channel[name].min() and channel[name].max() <= 1.0001, name
    # The middle of the cheek is skin that covers the room; the corner of the plane covers nothing.
    row, column = round((110 + 80) / 2.5), round((100 + 30) / 2.5)
    assert channel["skin"][row, column] > 0.9 and channel["cover"][row, column] > 0.9 and channel["cover"][0, 0] < 0.1
    np.testing.assert_array_equal(static_texture(one, 2.5), texture)
    assert np.abs(static_texture(other, 2.5) - texture).mean() > 0.01
