"""Eyes, mouth and glasses, drawn over the skin at every pixel from the curves of expression.py, and things in front.

All functions take canonical coordinates [S, S] of one frame and scalars, and return [S, S] layers. Colours are linear.
"""

import jax.numpy as jnp

from au_jax.synthfacs.expression import LID_FIELDS, LIP_FIELDS, OUTER_TIP, lid_curves, lip_curves


def soft_step(value, softness):
    """0 below zero, 1 above, linear-ish over 2 x softness: the antialiased edge of everything drawn.

    Example:
      >>> soft_step(jnp.array([-1.0, 0.0, 0.25, 1.0]), softness=0.5).tolist()
      [0.0, 0.5, 0.75, 1.0]
    """
    return jnp.clip(0.5 + 0.5 * value / softness, 0.0, 1.0)


def layer(below, color, alpha):
    """Paints a colour (three arrays or scalars) over three arrays.

    Example:
      >>> layer([0.0, 0.0, 1.0], color=[1.0, 0.5, 0.0], alpha=0.5)
      [0.5, 0.25, 0.5]
    """
    return [b + (c - b) * alpha for b, c in zip(below, color, strict=True)]


def draw_eyes(rgb, light, x, y, eyes, iris_color, lashes, visible, edge):
    """Paints both eyes.

    Args:
      rgb: three [S, S] arrays, the picture so far.
      light: [S, S] diffuse light that reaches a surface facing the camera here.
      x, y: [S, S] canonical coordinates.
      eyes: [2, len(LID_FIELDS)].
      iris_color: [3]; lashes: scalar darkness of the lashes; visible: [S, S] 0 where hair lies over the eye.
      edge: softness of edges, canonical units.

    Example:
      >>> import jax
      >>> x, y = jnp.array([[67.5, 67.5]]), jnp.array([[65.0, 120.0]])  # a pupil, and a cheek
      >>> eyes = jnp.array([[52.0, 65, 83, 65, 6, 4, 67.5, 65], [148.0, 65, 117, 65, 6, 4, 132.5, 65]])
      >>> skin, one, iris = [jnp.full((1, 2), 0.5)] * 3, jnp.ones((1, 2)), jnp.array([0.1, 0.05, 0.02])
      >>> red, green, blue = jax.jit(draw_eyes)(skin, one, x, y, eyes, iris, 0.9, one, 0.6)
      >>> [round(float(value), 2) for value in red[0]]  # the cheek is left as it was
      [0.01, 0.5]
    """
    left = x < 100.0
    eye = [jnp.where(left, eyes[0, i], eyes[1, i]) for i in range(len(LID_FIELDS))]
    upper, lower, s = lid_curves(eye, x, jnp)
    toward = jnp.where(left, 1.0, -1.0)
    beside = jnp.minimum((x - eye[0]) * toward + OUTER_TIP * jnp.abs(eye[2] - eye[0]), (eye[2] - x) * toward)
    inside = soft_step(y - upper, edge) * soft_step(lower - y, edge) * soft_step(beside + 0.3, edge) * visible

    dx, dy = x - eye[6], y - eye[7]
    radius = jnp.sqrt(dx * dx + dy * dy + 1e-6)
    under_lid = jnp.exp(-jnp.maximum(y - upper, 0.0) / 2.4)
    ball = 0.60 * (1.0 - 0.55 * under_lid) * (1.0 - 0.30 * (2.0 * s - 1.0) ** 2)
    white = [ball * 0.86, ball * 0.80, ball * 0.77]
    inner_pink = jnp.exp(-(((s - 1.0) / 0.10) ** 2))
    white = layer(white, [0.50, 0.24, 0.21], 0.75 * inner_pink)
    iris = soft_step(6.4 - radius, edge)
    ring = 1.0 - 0.55 * jnp.exp(-(((radius - 5.9) / 0.9) ** 2))
    rays = 1.0 + 0.25 * jnp.cos(9.0 * jnp.arctan2(dy, dx + 1e-6)) * soft_step(radius - 2.5, 1.0)
    glow = (0.75 + 0.10 * dy) * ring * rays * (1.0 - 0.45 * under_lid)
    color = layer(white, [iris_color[i] * 1.5 * glow for i in range(3)], iris)
    color = layer(color, [0.008, 0.007, 0.007], soft_step(2.4 - radius, edge))
    color = [c * light for c in color]
    spark = jnp.exp(-((dx + 1.8) ** 2 + (dy + 2.0) ** 2) / 0.9) * (1.0 - 0.7 * under_lid)
    color = layer(color, [0.95, 0.95, 0.95], 0.85 * spark)
    rgb = layer(rgb, color, inside)

    # Lashes: a dark line along the upper lid, thicker outwards, and a faint one below.
    along = soft_step(beside + 1.2, 0.8)
    thick = 0.75 + 0.45 * (1.0 - s) + 0.6 * edge
    top = jnp.exp(-(((y - upper + 0.4) / thick) ** 2)) * along
    bottom = jnp.exp(-(((y - lower - 0.2) / (0.55 + 0.6 * edge)) ** 2)) * along
    dark = jnp.clip(0.9 * lashes * top + 0.38 * lashes * bottom, 0.0, 0.92) * visible
    return layer(rgb, [0.02, 0.014, 0.012], dark)


def draw_mouth(rgb, diffuse, x, y, mouth, lip_color, visible, edge):
    """Paints lips, teeth and the inside of the mouth.

    Args:
      rgb: three [S, S] arrays, the picture so far.
      diffuse: function of (slope_x, slope_y) -> three [S, S] arrays of light.
      x, y: [S, S] canonical coordinates.
      mouth: [len(LIP_FIELDS)]; lip_color: [3]; visible: [S, S]; edge: softness, canonical units.

    Example:
      >>> import jax
      >>> x, y = jnp.array([[100.0, 100.0]]), jnp.array([[140.0, 60.0]])  # the lower lip, and the bridge of the nose
      >>> mouth = jnp.array([74.0, 132, 126, 132, 0, 0, 0, 0, 8, 8, 13, 13, 0, 0, 0, 0])
      >>> skin, one, red = [jnp.full((1, 2), 0.5)] * 3, jnp.ones((1, 2)), jnp.array([0.4, 0.1, 0.1])
      >>> drawn = jax.jit(lambda mouth: draw_mouth(skin, lambda *slope: [one] * 3, x, y, mouth, red, one, 0.6))(mouth)
      >>> [[round(float(value), 1) for value in channel[0]] for channel in drawn]  # red lip; the nose is left as it was
      [[0.4, 0.5], [0.1, 0.5], [0.1, 0.5]]
    """
    fields = [mouth[i] for i in range(len(LIP_FIELDS))]
    tighten, press, smile, pout = fields[12:16]
    width = jnp.maximum(fields[2] - fields[0], 10.0)
    s = (x - fields[0]) / width
    outer_up, inner_up, parting, inner_low, outer_low = lip_curves(fields, s, jnp)
    beside = jnp.minimum(s, 1.0 - s) * width
    within = soft_step(beside, edge + 0.4) * visible
    span_up = jnp.maximum(inner_up - outer_up, 0.3)
    span_low = jnp.maximum(outer_low - inner_low, 0.3)
    v_up = jnp.clip((y - outer_up) / span_up, 0.0, 1.0)
    v_low = jnp.clip((y - inner_low) / span_low, 0.0, 1.0)
    upper = y < parting

    # The upper lip faces down, the lower lip first up, then under. Pressing flattens both.
    flat = 1.0 - 0.55 * press
    slope_up = (-0.15 - 0.75 * v_up * v_up) * flat
    slope_low = (0.75 - 1.35 * v_low - 0.25 * pout) * flat
    slope_y = jnp.where(upper, slope_up, slope_low)
    lines = jnp.sin(x * 2.05) + 0.6 * jnp.sin(x * 1.27 + 1.0)
    slope_x = (0.05 + 0.75 * tighten) * lines + (2.0 * s - 1.0) * 0.35
    crease = 1.0 - (0.02 + 0.20 * tighten) * jnp.maximum(lines, 0.0)
    tone = jnp.where(upper, 0.80, 1.0) * crease * (1.0 - 0.22 * press)
    light = diffuse(slope_x, slope_y)
    lip = [lip_color[i] * tone * light[i] for i in range(3)]
    shine = jnp.exp(-(((v_low - 0.38) / 0.22) ** 2)) * jnp.exp(-(((s - 0.47) / 0.22) ** 2)) * jnp.where(upper, 0.0, 1.0)
    lip = [c + 0.07 * shine * flat * (1.0 - tighten * 0.6) * light[i] for i, c in enumerate(lip)]
    # The red melts into the skin over about a unit, more at the lower border.
    border_up = soft_step(y - outer_up, edge + 0.7)
    border_low = soft_step(outer_low - y, edge + 1.2)
    rgb = layer(rgb, lip, border_up * border_low * within * 0.94)

    # Between the lips: dark, with the upper teeth where there is room.
    gap = inner_low - inner_up
    hole = soft_step(y - inner_up, edge) * soft_step(inner_low - y, edge) * soft_step(gap - 0.55, 0.4) * within
    arch = jnp.clip(4.0 * s * (1.0 - s), 0.0, 1.0)
    deep = 0.30 + 0.70 * arch
    teeth = soft_step(gap - 1.2, 0.6) * soft_step(inner_up + 8.0 - y, 0.8) * soft_step(beside - 4.0, 2.5)
    gaps = 1.0 - 0.22 * jnp.exp(-((jnp.sin((x - 0.5 * (fields[0] + fields[2])) * 0.46) / 0.20) ** 2))
    shade = (0.25 + 0.75 * soft_step(y - inner_up - 0.6, 1.6)) * deep * gaps
    facing = diffuse(0.0 * x, 0.0 * x)
    inner = layer(
        [0.030, 0.010, 0.009], [0.66 * shade * facing[0], 0.62 * shade * facing[1], 0.54 * shade * facing[2]], teeth
    )
    rgb = layer(rgb, inner, hole)

    # The parting line, straighter and darker when lips press; small shadows at the corners.
    line = jnp.exp(-(((y - parting) / (0.75 + 0.5 * edge + 0.35 * press)) ** 2)) * soft_step(beside + 1.5, 1.0)
    closed = 1.0 - soft_step(gap - 1.0, 0.6)
    rgb = [c * (1.0 - jnp.clip(0.62 + 0.25 * press, 0.0, 0.9) * line * closed * visible) for c in rgb]
    corners = jnp.zeros_like(x)
    for cx, cy in ((fields[0], fields[1]), (fields[2], fields[3])):
        corners = corners + jnp.exp(-(((x - cx) / 2.4) ** 2 + ((y - cy) / 1.9) ** 2))
    return [c * (1.0 - (0.34 + 0.25 * press + 0.12 * smile) * jnp.minimum(corners, 1.0) * visible) for c in rgb]


def draw_glasses(rgb, light, x, y, centres, darkness, edge):
    """Paints rims, bridge and temples of glasses; `darkness` 0 means none. centres: [2, 2] of the eyes at rest.

    Example:
      >>> x, y = jnp.array([[46.0, 46.0]]), jnp.array([[67.5, 120.0]])  # on a rim, and on a cheek
      >>> skin, centres = [jnp.full((1, 2), 0.5)] * 3, jnp.array([[67.0, 65.0], [133.0, 65.0]])
      >>> red = draw_glasses(skin, jnp.ones((1, 2)), x, y, centres, darkness=0.9, edge=0.6)[0]
      >>> [round(float(value), 2) for value in red[0]]
      [0.02, 0.5]
      >>> red = draw_glasses(skin, jnp.ones((1, 2)), x, y, centres, darkness=0.0, edge=0.6)[0]
      >>> [round(float(value), 2) for value in red[0]]  # none are drawn
      [0.5, 0.5]
    """
    rim = jnp.zeros_like(x)
    lens = jnp.zeros_like(x)
    for side in range(2):
        dx, dy = jnp.abs(x - centres[side, 0]) / 21.0, jnp.abs(y - centres[side, 1] - 2.5) / 15.5
        squircle = jnp.sqrt(jnp.sqrt(dx**4 + dy**4 + 1e-9))
        distance = (squircle - 1.0) * 17.0
        rim = jnp.maximum(rim, soft_step(1.25 - jnp.abs(distance), edge))
        lens = jnp.maximum(lens, soft_step(-distance, edge))
    top = centres[0, 1] - 2.0
    middle = 0.5 * (centres[0, 0] + centres[1, 0])
    half = 0.5 * (centres[1, 0] - centres[0, 0])
    off = jnp.abs(x - middle)
    bridge = soft_step(1.2 - jnp.abs(y - top + 0.02 * (x - middle) ** 2), edge) * soft_step(half - 20.0 - off, edge)
    temple = (
        soft_step(1.2 - jnp.abs(y - top), edge) * soft_step(off - half - 20.0, edge) * soft_step(half + 42.0 - off, 2.0)
    )
    present = jnp.where(darkness > 0.0, 1.0, 0.0)
    frame = jnp.clip(rim + bridge + 0.8 * temple, 0.0, 1.0) * present
    rgb = [c + 0.018 * lens * present * light for c in rgb]
    return layer(
        rgb, [0.10 * (1.0 - darkness) + 0.01, 0.08 * (1.0 - darkness) + 0.01, 0.07 * (1.0 - darkness) + 0.01], frame
    )


def draw_occluder(x, y, capsules, edge):
    """Draws a thing in front of the face.

    Args:
      x, y: [S, S] camera coordinates; capsules: [CAPSULES, 6], radii 0 for none; edge: softness of its border.

    Returns:
      cover: [S, S] 0..1; slope_x, slope_y: [S, S] gradient of its surface; crease: [S, S] 1, lower between its parts.

    Example:
      >>> import jax
      >>> capsules = jnp.zeros((6, 6)).at[0].set(jnp.array([0.0, 0.0, 10.0, 0.0, 30.0, 10.0]))  # one finger, the rest absent
      >>> cover, *_ = jax.jit(draw_occluder)(jnp.array([[0.0, 50.0]]), jnp.array([[15.0, 15.0]]), capsules, 0.6)
      >>> cover.tolist()
      [[1.0, 0.0]]
    """
    x0, y0, r0, x1, y1, r1 = (capsules[:, j][:, None, None] for j in range(6))
    x, y = x[None], y[None]
    ax, ay = x1 - x0, y1 - y0
    along = jnp.clip(((x - x0) * ax + (y - y0) * ay) / jnp.maximum(ax * ax + ay * ay, 1e-3), 0.0, 1.0)
    dx, dy = x - x0 - along * ax, y - y0 - along * ay
    # A radius of zero must not divide: the object is simply not there.
    radius = jnp.maximum(r0 + (r1 - r0) * along, 1e-3)
    squared = dx * dx + dy * dy + 1e-6
    ratio = jnp.minimum(squared / (radius * radius), 1.0)
    there = jnp.where(r0 > 0.01, jnp.clip(0.5 + 0.5 * (radius - jnp.sqrt(squared)) / edge, 0.0, 1.0), 0.0)
    rise = jnp.where(there > 0.0, jnp.sqrt(1.02 - ratio) * radius, -100.0)
    top = rise.max(axis=0, keepdims=True)
    front = rise >= top
    second = jnp.where(front, -100.0, rise).max(axis=0)
    tilt = jnp.where(front, jnp.sqrt(ratio / ((1.05 - ratio) * squared)), 0.0)
    crease = 1.0 - 0.35 * jnp.exp(-(top[0] - second) / 2.5)
    return (
        there.max(axis=0),
        -(tilt * dx).max(axis=0) - (tilt * dx).min(axis=0),
        -(tilt * dy).max(axis=0) - (tilt * dy).min(axis=0),
        crease,
    )
