"""The renderer: one frame is drawn by asking, for every output pixel, which point of the person it sees.

A video's static layers (skin texture, relief, resting shape, depth) are drawn once. Per frame, the map from the picture
back to the resting face is solved on a coarse grid (head pose with parallax, then the expression's movement), the
texture with the frame's furrows is read through it, lit, and eyes, mouth, glasses, neck, occluders and the camera are
added. Pure functions of arrays, jitted, and mapped over a batch of frames.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from au_jax.synthfacs import camera as camera_model
from au_jax.synthfacs.camera import COARSE, LEFT, TOP, Grid
from au_jax.synthfacs.expression import NUM_MOVING, movement_basis
from au_jax.synthfacs.features import draw_eyes, draw_glasses, draw_mouth, draw_occluder, layer, soft_step
from au_jax.synthfacs.relief import PARTS, relief_basis

PIVOT = (100.0, 75.0)
"""The canonical point about which the head turns; camera coordinates have their origin there at rest."""

_ITERATIONS = 6

_WINDOW = (20.0, 180.0, -2.0, 180.0)  # where furrows can be: x from, to, y from, to


def texel_for(unit: float) -> float:
    """Returns the texel size (canonical units) for an output pixel of `unit` canonical units.

    Example:
      >>> texel_for(1.0), texel_for(2.0), texel_for(5.0)  # pictures of 200, 100 and 40 px
      (1.0, 1.44, 2.5)
    """
    return float(np.clip(round(0.72 * unit, 2), 1.0, 2.5))


def _window(texel: float) -> tuple[slice, slice]:
    columns = slice(int((_WINDOW[0] - LEFT) / texel), int((_WINDOW[1] - LEFT) / texel))
    rows = slice(int((_WINDOW[2] - TOP) / texel), int((_WINDOW[3] - TOP) / texel))
    return rows, columns


@functools.lru_cache(maxsize=4)
def constants(texel: float) -> dict[str, jax.Array]:
    """Returns what all people share at a texel size: furrow layers in their window, and the moving drivers'
    movements."""
    rows, columns = _window(texel)
    furrows = relief_basis(texel)[:, rows, columns]
    moves = movement_basis(COARSE.points())[:NUM_MOVING]
    return {
        "furrows": jnp.asarray(furrows.reshape(len(PARTS) * 2, -1)),
        "moves": jnp.asarray(moves.reshape(NUM_MOVING * 2, -1).astype(np.float32)),
    }


def _place(x, y, left, top, step, width, height):
    """Index of the table row before a point, and how far the point lies between it and its neighbours, 0..1."""
    u = jnp.clip((x - left) / step, 0.0, width - 1.001)
    v = jnp.clip((y - top) / step, 0.0, height - 1.001)
    column, row = jnp.floor(u), jnp.floor(v)
    return row.astype(jnp.int32) * width + column.astype(jnp.int32), u - column, v - row


def _read(table, index, fx, fy, width):
    """Bilinear reading of a [height * width, C] table: [..., C]."""
    fx, fy = fx[..., None], fy[..., None]
    above = table.at[index].get(mode="promise_in_bounds") * (1.0 - fx)
    above = above + table.at[index + 1].get(mode="promise_in_bounds") * fx
    below = table.at[index + width].get(mode="promise_in_bounds") * (1.0 - fx)
    below = below + table.at[index + width + 1].get(mode="promise_in_bounds") * fx
    return above * (1.0 - fy) + below * fy


def _upsampler(size: int, step: int) -> np.ndarray:
    """[size, n] float32: linear interpolation from points at pixels 0, step, 2 step, ... to every pixel."""
    count = -(-(size - 1) // step) + 1
    place = np.arange(size) / step
    low = np.minimum(place.astype(int), count - 2)
    out = np.zeros((size, count), np.float32)
    out[np.arange(size), low] = 1 - (place - low)
    out[np.arange(size), low + 1] = place - low
    return out


def _see(frame, still, shared, size, texel, step):
    """Which point each pixel sees.

    Returns:
      [size, size] arrays: canonical coordinates moved (2), camera coordinates (2), background colour (3); and the place
      of the canonical point at rest in the texture (index, fx, fy).
    """
    move = (frame["drive"] @ shared["moves"]).reshape(-1, 2)
    moved = jnp.concatenate([still["rest_move"] + move, still["depth"]], axis=1)
    up = _upsampler(size, step)
    coarse = jnp.arange(up.shape[1], dtype=jnp.float32) * step
    column, row = jnp.meshgrid(coarse, coarse)
    to_camera = frame["to_camera"]
    cx = to_camera[0, 0] * column + to_camera[0, 1] * row + to_camera[0, 2]
    cy = to_camera[1, 0] * column + to_camera[1, 1] * row + to_camera[1, 2]
    inverse, depth_shift, shift = frame["pose_inverse"], frame["pose_depth"], frame["pose_shift"]

    def unpose(z):
        hx, hy = cx - shift[0] - depth_shift[0] * z, cy - shift[1] - depth_shift[1] * z
        px = inverse[0, 0] * hx + inverse[0, 1] * hy + PIVOT[0]
        py = inverse[1, 0] * hx + inverse[1, 1] * hy + PIVOT[1]
        return px, py

    def nearer(_, state):
        _, _, qx, qy = state
        found = _read(moved, *_place(qx, qy, LEFT, TOP, COARSE.texel, COARSE.width, COARSE.height), COARSE.width)
        px, py = unpose(found[..., 2])
        # Less than a full step: the nose is steep enough to make the plain iteration swing.
        return px, py, 0.3 * qx + 0.7 * (px - found[..., 0]), 0.3 * qy + 0.7 * (py - found[..., 1])

    start = unpose(jnp.full_like(cx, 50.0))
    # A loop, not five copies: XLA would fuse the copies and compute the first one again for every later one.
    px, py, qx, qy = jax.lax.fori_loop(0, _ITERATIONS, nearer, (*start, *start))
    side = still["background"].shape[0]
    flat = still["background"].reshape(side * side, 3)
    behind = _read(flat, *_place(cx, cy, -230.0, -230.0, 460.0 / (side - 1), side, side), side)
    packed = jnp.concatenate([jnp.stack([px, py, qx, qy, cx, cy], axis=0), jnp.moveaxis(behind, -1, 0)], axis=0)
    packed = jnp.einsum("lk,ij,cjk->cil", up, up, packed)
    px, py, qx, qy, cx, cy, *rgb = (packed[i] for i in range(9))
    grid = Grid(texel)
    return (px, py, cx, cy, *rgb), _place(qx, qy, LEFT, TOP, texel, grid.width, grid.height)


def _carve(frame, still, shared, texel):
    """The person's texture with this frame's furrows and bulges in it: [height * width, 8]."""
    rows, columns = _window(texel)
    carved = (frame["relief"] @ shared["furrows"]).reshape(rows.stop - rows.start, columns.stop - columns.start, 3)
    texture = still["texture"]
    part = texture[rows, columns]
    skin = part[..., 7:8]
    keep = 1.0 - jnp.clip(carved[..., 2:3], 0.0, 0.85) * skin
    fresh = jnp.concatenate([part[..., :3] * keep, part[..., 3:5] + carved[..., :2] * skin, part[..., 5:]], axis=-1)
    return jax.lax.dynamic_update_slice(texture, fresh, (rows.start, columns.start, 0)).reshape(-1, 8)


def _lit(slope_x, slope_y, frame, skin):
    """Diffuse light (three arrays) and the highlight on a surface with the given slopes."""
    light, view = frame["light"], frame["view"]
    scale = jax.lax.rsqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
    nx, ny, nz = -slope_x * scale, -slope_y * scale, scale
    facing = nx * light[0] + ny * light[1] + nz * light[2]
    # Skin lets light through: red wraps further round the terminator than blue.
    wrapped = [jnp.maximum(0.0, (facing + w * skin) / (1.0 + w * skin)) for w in (0.30, 0.16, 0.11)]
    sky = 0.75 - 0.25 * ny
    diffuse = [frame["key"] * frame["color"][i] * wrapped[i] + frame["fill"] * sky for i in range(3)]
    half = (light[0] + view[0], light[1] + view[1], light[2] + view[2])
    size = jax.lax.rsqrt(half[0] ** 2 + half[1] ** 2 + half[2] ** 2)
    spark = jnp.maximum(0.0, (nx * half[0] + ny * half[1] + nz * half[2]) * size)
    spark2 = spark * spark
    spark8 = spark2 * spark2 * spark2 * spark2
    return diffuse, frame["key"] * spark8 * spark8 * spark2


def _body(rgb, cx, cy, frame, still, edge):
    """Paints clothes and neck in front of the background (the head comes over them)."""
    head, torso = frame["neck_top"], still["torso"]
    drop = torso[1] + 0.0026 * jnp.minimum(jnp.abs(cx - torso[0]), 140.0) ** 2 - 6.0
    cloth = soft_step(cy - drop, edge + 1.0)
    folds = 0.85 + 0.15 * jnp.cos(0.045 * (cx - torso[0]) + 0.02 * cy)
    rgb = layer(rgb, [still["cloth"][i] * folds for i in range(3)], cloth)
    blend = jnp.clip((cy - head[1]) / jnp.maximum(torso[1] - head[1], 30.0), 0.0, 1.2)
    middle = head[0] + (torso[0] - head[0]) * blend
    half = still["neck"] * (1.0 + 0.45 * jnp.clip(blend - 0.72, 0.0, 1.0) ** 2 * 4.0) * frame["scale"]
    u = (cx - middle) / half
    throat = soft_step((1.0 - jnp.abs(u)) * half, edge) * soft_step(cy - head[1] - 0.0 * u, 4.0)
    collar = soft_step(torso[1] + 16.0 - 20.0 * u * u - cy, edge + 0.6)
    round_ = jnp.clip(u, -0.97, 0.97)
    slope = -round_ * jax.lax.rsqrt(1.0 - round_ * round_)
    light, _ = _lit(-slope * 0.0 + slope, jnp.full_like(slope, -0.15), frame, 1.0)
    shade = 1.0 - 0.58 * jnp.exp(-jnp.maximum(cy - frame["chin"], 0.0) / (16.0 * frame["scale"]))
    tendon = 1.0 + 0.05 * jnp.cos(9.0 * u)
    skin = [still["skin"][i] * (light[i]) * shade * tendon * 0.92 for i in range(3)]
    return layer(rgb, skin, throat * collar)


def _rows(registered: bool, size: int, first: float, last: float) -> tuple[int, int]:
    """Rows of the picture in which a feature can be: known for registered faces, all of them in a scene."""
    return (int(first / 200 * size), int(np.ceil(last / 200 * size))) if registered else (0, size)


def _shade(frame, still, coordinates, seen):
    """Lights the skin and what is behind it: three arrays of the face and three of the background, linear."""
    _, _, cx, cy, *rgb = coordinates
    red, green, blue, slope_x, slope_y, gloss, _, skin = (seen[..., i] for i in range(8))
    behind = _body([c * still["backlight"] for c in rgb], cx, cy, frame, still, 0.6 * still["unit"])
    diffuse, spark = _lit(slope_x, slope_y, frame, skin)
    return [albedo * diffuse[i] + 0.055 * gloss * spark for i, albedo in enumerate((red, green, blue))], behind


def _eyes(frame, still, face, x, y, visible):
    """Draws eyes and glasses on some rows."""
    edge = 0.6 * still["unit"]
    facing = frame["key"] * 0.8 * jnp.maximum(frame["light"][2], 0.15) + frame["fill"]
    face = draw_eyes(face, facing, x, y, frame["eyes"], still["iris"], still["lashes"], visible, edge)
    return draw_glasses(face, facing, x, y, still["eye_centres"], still["glasses"], edge)


def _mouth(frame, still, face, x, y, below_x, below_y, visible):
    """Draws the mouth on some rows; it lies on the skin's relief, softened."""

    def light(slope_x, slope_y):
        return _lit(0.5 * below_x + slope_x, 0.25 * below_y + slope_y, frame, 1.0)[0]

    return draw_mouth(face, light, x, y, frame["mouth"], still["lips"], visible, 0.6 * still["unit"])


def _compose(frame, still, face, behind, cover, cx, cy):
    """Puts head and occluders before the background, and exposes: three [size, size] arrays of display values."""
    edge = 0.6 * still["unit"]
    rgb = layer(behind, face, jnp.clip(cover, 0.0, 1.0))
    hidden, tilt_x, tilt_y, crease = draw_occluder(cx, cy, frame["occluder"], edge)
    lit, _ = _lit(tilt_x, tilt_y, frame, 1.0)
    rgb = layer(rgb, [frame["occluder_color"][i] * lit[i] * crease for i in range(3)], hidden)
    return [camera_model.tone(c * frame["exposure"], still["camera"][i]) for i, c in enumerate(rgb)]


def _record(frame, still, rgb, clean):
    """Colours, blur and noise of the camera: [size, size, 3] uint8, and whether all was finite."""
    image = camera_model.color(rgb, still["camera"])
    if not clean:
        image = camera_model.blur(image, frame["blur"])
        key = jax.random.wrap_key_data(frame["noise_key"], impl="threefry2x32")
        image = camera_model.add_noise(image, key, frame["noise"])
    return (jnp.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(jnp.uint8), jnp.isfinite(image).all()


def _stage(function, still_axis: int = 1, static: tuple[int, ...] = ()):
    """Jits a stage for a batch of frames: all arguments but the still one and the static ones have a leading frame
    axis."""

    def batched(*args):
        axes = tuple(None if i == still_axis or i in static else 0 for i in range(len(args)))
        fixed = {i: args[i] for i in static}
        free = [arg for i, arg in enumerate(args) if i not in static]
        free_axes = tuple(axis for i, axis in enumerate(axes) if i not in static)

        def one(*values):
            values = iter(values)
            return function(*(fixed[i] if i in fixed else next(values) for i in range(len(args))))

        return jax.vmap(one, in_axes=free_axes)(*free)

    return jax.jit(batched, static_argnums=static)


_shade_all, _eyes_all, _mouth_all, _compose_all = _stage(_shade), _stage(_eyes), _stage(_mouth), _stage(_compose)
_record_all = _stage(_record, static=(3,))


@functools.partial(jax.jit, static_argnums=(2, 3))
def _cut(arrays, seen, rows, channels):
    return [a[:, rows[0] : rows[1]] for a in arrays], [seen[:, rows[0] : rows[1], :, c] for c in channels]


@functools.partial(jax.jit, static_argnums=2)
def _paste(face, drawn, first):
    return [jax.lax.dynamic_update_slice(c, d, (0, first, 0)) for c, d in zip(face, drawn, strict=True)]


@functools.partial(jax.jit, static_argnames=("size", "texel", "step"))
def _see_all(frames, still, shared, size, texel, step):
    return jax.vmap(lambda frame: _see(frame, still, shared, size, texel, step))(frames)


@functools.partial(jax.jit, static_argnames=("texel",))
def _read_all(frames, still, shared, places, texel):
    def read(frame, place):
        index, fx, fy = place
        return _read(_carve(frame, still, shared, texel), index, fx, fy, Grid(texel).width)

    return jax.vmap(read)(frames, places)


def render_frames(
    frames, still, shared, *, size: int, texel: float, step: int, clean: bool = False, registered: bool = False
):
    """Draws a batch of frames.

    Args:
      frames: dict of arrays with a leading axis of frames, from `scene.frame_inputs`.
      still: dict of the video's static arrays, from `scene.still_inputs`.
      shared: `constants(texel)`.
      size: side of the picture in pixels; texel: of the texture, canonical units; step: of the coarse grid, pixels.
      clean: no blur and no noise; registered: the faces lie on the template, which saves work.

    Returns:
      pictures: [T, size, size, 3] uint8; finite: [T] bool, False where a float picture was not finite.

    Example:
      >>> pictures, finite = render_frames(  # doctest: +SKIP
      ...     frames, still, constants(2.5), size=40, texel=2.5, step=1, registered=True
      ... )
      >>> pictures.shape  # of 8 frames  # doctest: +SKIP
      (8, 40, 40, 3)
    """
    # A chain of small programs, not one: XLA on CPUs fuses without measure, and computes a pixel's place again for each
    # of its 32 reads, its light again for every layer above it.
    coordinates, places = _see_all(frames, still, shared, size, texel, step)
    seen = _read_all(frames, still, shared, places, texel)
    px, py, cx, cy = coordinates[:4]
    face, behind = _shade_all(frames, still, coordinates, seen)
    for rows, draw, channels in (
        (_rows(registered, size, 36.0, 98.0), _eyes_all, (7,)),
        (_rows(registered, size, 100.0, 178.0), _mouth_all, (3, 4, 7)),
    ):
        (*below, x, y), read = _cut((*face, px, py), seen, rows, channels)
        face = _paste(face, draw(frames, still, below, x, y, *read), rows[0])
    rgb = _compose_all(frames, still, face, behind, seen[..., 6], cx, cy)
    return _record_all(frames, still, rgb, clean)
