"""The static layers of one person: albedo, gloss, coverage and fine relief of skin, brows, hair, ears and beard."""

import numpy as np
from scipy import ndimage

from au_jax.synthfacs.camera import Grid
from au_jax.synthfacs.identity import Identity
from au_jax.synthfacs.relief import gradients, head_height, outline, part_heights, relief_basis

CHANNELS = ("red", "green", "blue", "slope_x", "slope_y", "gloss", "cover", "skin")
"""Channels of a texture: linear albedo, gradient of the height, gloss, coverage of the background, skin (1) or hair
(0)."""


def _step(value: np.ndarray, softness: float) -> np.ndarray:
    """0 below zero, 1 above, over about 2 x softness."""
    return 0.5 * (1.0 + np.tanh(value / softness))


def _noise(rng: np.random.Generator, grid: Grid, sigma_x: float, sigma_y: float | None = None) -> np.ndarray:
    """Filtered unit-variance noise; sigmas in canonical units."""
    sigma_y = sigma_x if sigma_y is None else sigma_y
    raw = rng.standard_normal((grid.height, grid.width))
    out = ndimage.gaussian_filter(raw, (sigma_y / grid.texel, sigma_x / grid.texel), mode="wrap")
    return out / out.std()


def _brows(identity: Identity, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Density of the brows' hair, 0..1, along the template's brow landmarks."""
    x, y = grid.axes()
    along = np.abs(x - 100.0)  # 11.5 at the inner end, 57 at the outer
    line = np.interp(along, [9, 11.5, 23, 35, 47, 57, 61], [44.5, 43.8, 39.8, 38.2, 40.6, 46.0, 48.5])
    half = identity.brow["thickness"] * np.interp(
        along, [8, 12, 22, 36, 50, 59, 62], [0.0, 0.95, 1.1, 1.0, 0.75, 0.3, 0.0]
    )
    body = _step((half - np.abs(y - line)) / 1.0, 0.9) * (half > 0.05)
    # Strokes lean outwards: noise stretched along a slanted direction.
    lean = np.where(x < 100, 1.0, -1.0)
    phase = (x * lean * 0.9 + y * 1.0) / 1.5
    strokes = 0.5 + 0.5 * np.sin(phase * 2.2 + 3.0 * _noise(rng, grid, 2.5)) + 0.4 * _noise(rng, grid, 0.8)
    return np.clip(body * (0.70 + 0.26 * strokes), 0, 1) * identity.brow["darkness"]


def _hair(identity: Identity, grid: Grid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coverage, strand brightness and relief of the head's hair."""
    style = identity.hair
    x, y = grid.axes()
    dx = x - 100.0
    jag = _noise(rng, grid, 2.2, 6.0)
    # Hairline: an arch over the forehead, back at the temples, down the sideburns.
    arch = style["hairline"] - 6.0 + 0.006 * dx**2
    temple = style["recession"] * np.exp(-(((np.abs(dx) - 38) / 15) ** 2))
    line = (
        arch
        - temple
        + style["fringe"] * (1 - 0.25 * np.sin(dx / 9.0)) * np.exp(-((np.abs(dx - style["part"] * 0.8) / 50) ** 4))
    )
    above = _step((line - y + 1.6 * jag) / 2.0, 1.4)
    side_edge = outline(y) - 2.5 - 4.0 * np.exp(-(((y - 15) / 22) ** 2))
    sideburn = _step((np.abs(dx) - side_edge + 0.8 * jag) / 1.5, 1.2) * _step((64.0 + 0.0 * x - y) / 4.0, 1.0)
    volume = style["volume"]
    crown = (np.abs(dx) / (72.0 + volume * 0.9)) ** 2.3 + (np.maximum(0.0, 30.0 - y) / (84.0 + volume * 0.65)) ** 2.3
    inside = _step((1.0 - crown) * 40 + 0.7 * jag, 1.5 + 1.5 * style["curl"])
    upper = inside * np.maximum(above, sideburn) * _step((66.0 - y) / 5.0, 1.0)
    cover = upper * (1.0 - style["bald"] * _step((30.0 - y + 0.12 * np.abs(dx) - 12) / 5.0, 1.0))
    if style["bald"]:
        cover = cover * np.clip(_step((np.abs(dx) - outline(y) + 9) / 3.0, 1.0) + 0.0, 0, 1)
    if style["length"] > 0:
        end = 98.0 if style["length"] < 0.75 else 150.0 + 2.6 * volume + 6.0 * np.sin(dx / 4.0)
        outer = np.interp(y, [-20, 10, 40, 90, 150, 215], [64, 73, 77, 82, 86, 80]) + volume * 0.95 + 1.2 * jag
        inner = np.interp(y, [-20, 0, 30, 70, 110, 150, 181, 215], [50, 60, 65, 66.5, 65, 55, 46, 43]) + 0.8 * jag
        band = _step((outer - np.abs(dx)) / 2.0, 1.5) * _step((np.abs(dx) - inner) / 1.8, 1.2)
        band = band * _step((end + 4 * jag - y) / 5.0, 1.0) * _step((y - 4.0) / 8.0, 1.0)
        cover = np.maximum(cover, band)
    # Strands run from the parting over the crown and down the sides.
    angle = np.arctan2(y + 30.0, dx - style["part"])
    radius = np.hypot(dx - style["part"], y + 30.0)
    bend = style["curl"] * 0.5 * np.sin(radius / 7.0 + 3.0 * _noise(rng, grid, 12.0))
    strand = np.zeros_like(angle)
    for count, weight in ((23, 0.5), (51, 0.35), (97, 0.3)):
        strand += weight * np.sin(count * (angle + 0.1 * bend) + 2.0 * _noise(rng, grid, 14.0))
    strand += 0.35 * style["curl"] * _noise(rng, grid, 1.8)
    return np.clip(cover, 0, 1), strand, 2.2 * strand


def static_texture(identity: Identity, texel: float) -> np.ndarray:
    """Draws everything about a person that does not move by itself.

    Args:
      identity: the person.
      texel: canonical units between neighbouring texels.

    Returns:
      [height, width, len(CHANNELS)] float32 on `Grid(texel)`.

    Example:
      >>> from au_jax.synthfacs.identity import draw_identity
      >>> texture = static_texture(draw_identity(np.random.default_rng(0)), texel=5.0)
      >>> texture.shape == (Grid(5.0).height, Grid(5.0).width, len(CHANNELS))
      True
      >>> float(texture[0, 0, CHANNELS.index("cover")].round(2))  # the corner is background
      0.0
    """
    grid = Grid(texel)
    rng = np.random.Generator(np.random.Philox(key=[identity.texture_seed, 3]))
    x, y = grid.axes()
    dx = np.abs(x - 100.0)
    shape = (grid.height, grid.width)

    def spot(cx: int | float, cy: int | float, sx: int | float, sy: int | float) -> np.ndarray:
        """A soft spot on both sides."""
        return np.exp(-0.5 * (((dx - abs(100 - cx)) / sx) ** 2 + ((y - cy) / sy) ** 2))

    # Skin: tone, blotches, redder cheeks, nose, ears and lids, darker around the eyes, pores and freckles.
    fine, mid, wide = _noise(rng, grid, 1.3), _noise(rng, grid, 4.0), _noise(rng, grid, 16.0)
    light = 1.0 - 0.5 * identity.melanin
    tone = 1.0 + 0.030 * fine + 0.030 * mid + 0.045 * wide
    red = (
        (0.5 + identity.redness)
        * (0.6 * spot(58, 103, 14, 13) + 0.6 * spot(100, 101, 9, 8) + 0.3 * spot(100, 165, 12, 8))
        * light
    )
    around_eye = 0.20 * spot(67, 72, 15, 6) + 0.18 * spot(84, 63, 6, 8) + 0.14 * spot(67, 57, 14, 5)
    albedo = np.ones((*shape, 3)) * identity.skin
    albedo = albedo * tone[..., None] * (1 - np.stack([0.02 * red, 0.13 * red, 0.11 * red], -1))
    albedo = albedo * (1 - around_eye[..., None] * np.array([0.85, 1.0, 0.9]))
    if identity.freckles:
        dots = np.clip(_noise(rng, grid, 1.1) - 1.6, 0, 1) * (spot(62, 92, 18, 12) + spot(100, 92, 10, 12))
        albedo = albedo * (1 - 0.6 * identity.freckles * dots[..., None] * np.array([0.6, 0.9, 1.0]))
    for _ in range(int(rng.integers(0, 4))):
        mx, my = rng.uniform(45, 155), rng.uniform(70, 170)
        mole = np.exp(-((x - mx) ** 2 + (y - my) ** 2) / (2 * max(1.1, 0.6 * texel) ** 2))
        albedo = albedo * (1 - 0.6 * mole[..., None])
    # The red of the lips shows faintly beyond the drawn lips; nostrils are dark.
    nostril = spot(92.8, 109.9, 3.0, 1.5)
    under = 0.25 * spot(100, 112.5, 9, 1.6) + 0.20 * spot(84.5, 107.5, 1.8, 3.0)
    albedo = albedo * (1 - np.clip(0.82 * nostril + under, 0, 0.9)[..., None] * np.array([0.92, 1.0, 1.0]))

    height = head_height(texel)
    basis = relief_basis(texel).reshape(-1, *shape, 3)
    rest = np.tensordot(identity.relief.reshape(-1).astype(np.float32), basis, axes=1)
    # Hollows get less light from the sky: compare the surface with its own blur.
    slope = gradients(height, texel) + rest[..., :2]
    cavity = _cavity(identity, texel)
    pores = 0.09 * fine + 0.05 * mid * identity.age
    slope = slope + gradients(pores * min(1.0, 1.2 / texel), texel) * 1.0
    albedo = albedo * (1 - np.clip(rest[..., 2], 0, 0.8))[..., None] * cavity[..., None]
    gloss = 0.55 + 0.5 * spot(100, 95, 7, 12) + 0.3 * spot(100, 15, 26, 16) + 0.25 * spot(60, 90, 12, 9)

    # Ears: outside the outline, behind the cheeks.
    ear_x, ear_y = 74.5, 84.0
    ear = ((dx - ear_x) / 8.5) ** 2 + ((y - ear_y - 0.25 * (dx - ear_x)) / 20.0) ** 2
    ear_cover = _step((1.0 - ear) * 6, 0.8) * (dx > 60)
    ear_inner = np.exp(-0.5 * (((dx - ear_x + 0.5) / 3.2) ** 2 + ((y - ear_y + 1) / 10.0) ** 2))
    # Where there is no head the outline is zero, and so is dx on the midline: push it below.
    face = _step((np.where(outline(y) > 0, outline(y), -9.0) - dx) / 1.6, 0.7)
    only_ear = ear_cover * (1 - face)
    albedo = (
        albedo
        * (1 - only_ear[..., None] * np.array([0.10, 0.22, 0.22]))
        * (1 - 0.45 * (ear_inner * only_ear)[..., None])
    )
    ear_slope = gradients(7.0 * np.sqrt(np.clip(1 - ear, 0.0, 1)) - 5.0 * ear_inner, texel)
    slope = slope * (1 - only_ear[..., None]) + ear_slope * only_ear[..., None]
    cover = np.maximum(face, ear_cover)

    # Beard and stubble follow the jaw; the moustache lies over the upper lip.
    jaw = _step((y - 112 - 0.030 * np.maximum(0, 62 - dx) ** 1.7 + 0.0 * x) / 4.0, 1.0) * face
    jaw = np.clip(jaw - 0.9 * spot(100, 134, 20, 8), 0, 1)
    lip_band = np.exp(-0.5 * ((y - 118.5 - 0.010 * dx**2) / 3.6) ** 2) * _step((25 - dx) / 4, 1.0)
    grain = np.clip(0.6 + 0.4 * _noise(rng, grid, 0.7, 1.4), 0, 1)
    amount = np.clip(jaw * identity.beard["beard"] + lip_band * identity.beard["moustache"], 0, 1) * grain
    amount = np.maximum(amount, 0.30 * identity.beard["stubble"] * np.maximum(jaw, lip_band) * (0.7 + 0.3 * grain))
    brows = _brows(identity, grid, rng)
    facial = np.maximum(amount, brows)
    dark = np.minimum(identity.hair_color * 0.8, identity.skin * 0.35)
    albedo = albedo * (1 - facial[..., None]) + dark * facial[..., None]
    slope = slope + gradients(0.8 * amount * _noise(rng, grid, 0.9, 1.8), texel) * 0.5
    gloss = gloss * (1 - 0.8 * facial)

    hair, strand, raised = _hair(identity, grid, rng)
    shade = np.clip(1.0 + 0.32 * strand, 0.35, 1.8) * (1 - 0.25 * _step((y - 90) / 40, 1.0))
    # Beyond the head a half-covered texel is all hair: mixing in skin would draw a pale rim around it.
    mix = np.maximum(hair, 1 - np.maximum(face, ear_cover))
    albedo = albedo * (1 - mix[..., None]) + (identity.hair_color * shade[..., None]) * mix[..., None]
    slope = slope * (1 - 0.45 * hair[..., None]) + gradients(raised, texel) * (0.35 * hair[..., None])
    # Hair throws a soft shadow onto the skin beside it.
    shadow = ndimage.gaussian_filter(hair, 4.0 / texel) * (1 - hair)
    albedo = albedo * (1 - 0.45 * shadow[..., None])
    gloss = gloss * (1 - hair) + 0.5 * hair
    cover = np.maximum(cover, hair)
    slope = np.clip(slope, -2.6, 2.6)
    skin = 1 - hair
    return np.concatenate(
        [np.clip(albedo, 0.004, 1), slope, gloss[..., None], cover[..., None], skin[..., None]], -1
    ).astype(np.float32)


def _cavity(identity: Identity, texel: float) -> np.ndarray:
    """Ambient light that reaches each texel, about 1, lower in hollows."""
    height = head_height(texel) + np.tensordot(
        identity.relief.reshape(-1), part_heights(texel)[0].reshape(-1, *head_height(texel).shape), 1
    )
    hollow = ndimage.gaussian_filter(height, 7.0 / texel) - height
    return np.clip(1.0 - 0.055 * np.clip(hollow, -1.5, 6.0), 0.6, 1.08)
