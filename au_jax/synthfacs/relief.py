"""The relief: the head's height field, and the furrows and bulges that are carved into it.

All of it is linear: relief = head + sum of weights x parts. The parts are the same for everybody; weights are a
person's (a hollow cheek, a deep fold at rest) or an expression's (crow's feet of AU 6). The gradients that shading
needs are linear too, so that a frame's relief is one matrix product.
"""

import functools
from typing import cast

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import linalg

from au_jax.synthfacs.camera import BOTTOM, COARSE, LEFT, TOP, Grid

# Half the width of the head over y, from the crown to the chin.
_OUTLINE_Y = [-54, -50, -40, -25, -5, 20, 45, 70, 95, 115, 132, 148, 160, 170, 177, 181.5]
_OUTLINE_W = [0, 21, 41, 55, 64.5, 69.5, 71, 71, 69, 65.5, 60.5, 53, 44.5, 34.5, 21.5, 0]


def outline(y: np.ndarray) -> np.ndarray:
    """Returns half the width of the mean head at height y (0 above the crown and below the chin), canonical units.

    Example:
      >>> float(outline(np.array([-1e6]))[0]), bool(outline(np.array([100.0]))[0] > 50)
      (0.0, True)
    """
    return np.interp(y, _OUTLINE_Y, _OUTLINE_W, left=0.0, right=0.0)


@functools.lru_cache(maxsize=1)
def _head_coarse() -> tuple[np.ndarray, Grid]:
    """The bare head, inflated from its outline: the square root of the solution of a Poisson equation inside it."""
    grid = Grid(2.5)
    x, y = grid.axes()
    half = ndimage.gaussian_filter1d(np.broadcast_to(outline(y), (grid.height, 1)), 2.0, axis=0)
    inside = np.abs(x - 100.0) < half
    index = -np.ones(inside.shape, int)
    index[inside] = np.arange(inside.sum())
    rows, cols, values = [], [], []
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        neighbour = np.roll(index, (-dy, -dx), (0, 1))[inside]
        ok = neighbour >= 0
        rows.append(np.flatnonzero(ok))
        cols.append(neighbour[ok])
        values.append(np.full(ok.sum(), -1.0))
    count = int(inside.sum())
    rows.append(np.arange(count))
    cols.append(np.arange(count))
    values.append(np.full(count, 4.0))
    matrix = sparse.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))))
    solution = np.zeros(inside.shape)
    solution[inside] = cast(np.ndarray, linalg.spsolve(matrix.tocsc(), np.ones(count)))
    height = 92.0 * np.sqrt(solution / solution.max())
    # Beyond the outline the surface goes on backwards, so that hair and ears have a depth.
    distance = cast(np.ndarray, ndimage.distance_transform_edt(~inside)) * grid.texel
    return ndimage.gaussian_filter(height - 26.0 * (1 - np.exp(-distance / 14.0)), 1.2), grid


# name: rows of (centre x, centre y, width x, width y, height); mirrored unless on the midline.
BUMPS: dict[str, list[tuple[float, float, float, float, float]]] = {
    "face": [
        (74, 47, 20, 6, 3.5), (69, 60, 14, 8, -6.0), (86, 62, 6, 8, -6.0), (67.5, 65, 11, 8, 4.5), (54, 90, 15, 12, 4.0),
        (57, 124, 14, 15, -3.0), (100, 131, 24, 15, 7.0), (100, 151.5, 13, 3.6, -2.6), (100, 165, 13, 9, 6.0),
        (38, 42, 9, 18, -3.5), (80, 14, 20, 15, 2.0), (97, 118, 2.0, 4.5, 0.5), (100, 117, 1.8, 4.5, -0.8),
    ],
    "nose": [
        (100, 62, 5.5, 9, 3.0), (100, 74, 6.0, 9, 7.0), (100, 87, 6.8, 9, 11.0), (100, 99, 7.6, 7.0, 14.0),
        (88.5, 104.5, 5.0, 5.2, 6.5), (100, 108, 3.6, 3.5, 4.0), (93.3, 109.8, 2.8, 1.6, -2.6), (83, 104, 2.0, 4.5, -1.5),
    ],
    "brow_ridge": [(76, 47, 20, 6, 3.5)],
    "cheekbone": [(53, 90, 13, 10, 4.5), (57, 122, 13, 15, -4.5)],
    "fat_cheek": [(58, 122, 18, 20, 6.0), (72, 168, 18, 12, 3.0)],
    "chin": [(100, 166, 11, 8, 5.0)],
    "eye_bag": [(68, 76, 11, 3.2, 2.2), (68, 81, 12, 2.2, -1.6)],
    "bulge6": [(60, 90, 13, 8, 5.0), (67, 77, 11, 2.6, 1.6)],
    "bulge7": [(67.5, 73.5, 12, 2.4, 2.2)],
    "bulge10": [(74, 99, 7, 9, 3.6), (84, 117, 7, 6, 2.2)],
    "bulge12": [(59, 104, 12, 10, 6.0), (60, 128, 6, 10, 2.0)],
    "bulge14": [(59, 133, 4.5, 11, 3.6), (70, 132, 3.2, 4.2, -4.6)],
    "bulge15": [(73, 146, 6, 5, 3.2), (66, 141, 3, 6, -2.0)],
    "bulge17": [(100, 163, 11, 8, 4.5), (100, 153.5, 13, 2.2, -2.4)],
    "bulge23": [(90, 118.5, 9, 3.4, 1.6), (90, 149, 9, 3.4, 1.6), (72, 132, 2.6, 5.0, -1.5)],
    "bulge24": [(88, 119, 12, 3.6, 4.2), (88, 149, 12, 3.6, 4.2), (70.5, 132.5, 2.8, 3.6, -4.0), (100, 119, 6, 3, -0.8)],
}  # fmt: skip

# name: rows of (points, width, depth). Points for the side at smaller x; mirrored into the second side.
FURROWS: dict[str, list[tuple[list[tuple[float, float]], float, float]]] = {
    "forehead_mid": [
        ([(72, 29), (84, 24), (100, 22.5)], 1.3, 1.5), ([(74, 20), (86, 15), (100, 13.5)], 1.3, 1.4),
        ([(78, 11), (88, 6.5), (100, 5)], 1.2, 1.1),
    ],
    "forehead_side": [
        ([(38, 31), (48, 25), (60, 23), (72, 26)], 1.3, 1.5), ([(38, 22), (48, 16), (60, 14), (74, 17)], 1.3, 1.4),
        ([(44, 11), (54, 7), (64, 6), (74, 8)], 1.2, 1.0),
    ],
    "glabella": [
        ([(92.5, 33), (93.5, 43), (91.5, 54)], 1.5, 2.6), ([(98, 37), (98, 48)], 1.1, 0.8), ([(90, 58), (100, 57)], 1.2, 1.1),
    ],
    "crow": [
        ([(46, 63), (39, 59), (32, 53)], 1.1, 1.7), ([(45, 66), (38, 65), (29, 62.5)], 1.1, 1.8),
        ([(45, 69), (38, 71), (30, 72.5)], 1.1, 1.7), ([(47, 72.5), (41, 77), (34, 81)], 1.1, 1.4),
    ],
    "lower_lid": [([(52, 74), (60, 80), (70, 82), (81, 78)], 1.3, 1.6), ([(50, 78), (58, 85), (67, 87)], 1.2, 1.0)],
    "lid_pad": [([(54, 73.5), (62, 77), (72, 77.2), (82, 72.5)], 1.1, 1.3)],
    "nasolabial": [([(84, 103), (76, 110), (69, 118), (64.5, 127), (63, 135)], 1.7, 2.6)],
    "nasolabial_low": [([(64.5, 127), (62, 136), (62.5, 145)], 1.6, 1.8)],
    "nasolabial_high": [([(85, 100), (78, 103), (71, 110), (66.5, 119)], 1.7, 2.8)],
    "nose_wing": [([(85, 99.5), (82.6, 104), (84.5, 110)], 1.3, 1.6)],
    "dimple": [([(65.5, 124), (62.6, 132), (64.5, 141)], 1.4, 2.8)],
    "corner_down": [([(73, 136), (69.5, 141), (67, 149)], 1.4, 2.2), ([(78, 147), (88, 152), (100, 152.5)], 1.3, 1.0)],
    "chin_crease": [([(80, 156), (88, 152.2), (100, 151)], 1.4, 2.0)],
    "lip_lines": [
        *[([(100 - d, 116.5), (100 - d * 0.95, 122.5)], 0.75, 0.9) for d in (5, 9.5, 14, 18.5, 22.5)],
        *[([(100 - d * 0.95, 145.5), (100 - d, 151)], 0.75, 0.8) for d in (3, 7.5, 12, 16.5, 20.5)],
    ],
    "lip_border": [
        ([(76, 128), (84, 123.2), (92, 121.2), (100, 121.8)], 1.1, 1.2), ([(78, 139), (86, 144.8), (100, 146.8)], 1.1, 1.2),
    ],
    "lid_crease": [([(52.5, 61), (60, 56), (68, 54.6), (76, 56.2), (83, 62)], 1.2, 1.6)],
    "jowl": [([(67, 142), (64, 150), (64, 159)], 1.8, 1.6)],
}  # fmt: skip

PARTS: tuple[str, ...] = (*BUMPS, *FURROWS, "orange_peel")
"""Names of the parts, each of which has two sides (0 at smaller x)."""


def _bumps(rows: list[tuple], x: np.ndarray, y: np.ndarray, side: int) -> np.ndarray:
    out = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for cx, cy, sx, sy, height in rows:
        # A bump on the midline belongs half to each side.
        share = 0.5 if cx == 100 else 1.0
        centre = cx if side == 0 else 200.0 - cx
        out += share * height * np.exp(-0.5 * (((x - centre) / sx) ** 2 + ((y - cy) / sy) ** 2))
    return out


def _spline(points: list[tuple], count: int) -> np.ndarray:
    """[count, 2] points along a curve through the given points (quadratic or cubic by their number)."""
    knots = np.asarray(points, np.float64)
    degree = min(3, len(knots) - 1)
    t = np.linspace(0.0, 1.0, len(knots))
    return np.stack([np.polyval(np.polyfit(t, knots[:, i], degree), np.linspace(0, 1, count)) for i in (0, 1)], axis=1)


def _furrow(points: list[tuple], width: float, depth: float, x: np.ndarray, y: np.ndarray, side: int):
    """A furrow's height and darkness: a valley with raised rims that tapers at both ends."""
    curve = _spline(points, 28)
    if side == 1:
        curve[:, 0] = 200.0 - curve[:, 0]
    best = np.full(np.broadcast_shapes(x.shape, y.shape), np.inf)
    taper = np.zeros_like(best)
    for i, (cx, cy) in enumerate(curve):
        squared = (x - cx) ** 2 + (y - cy) ** 2
        nearer = squared < best
        best = np.where(nearer, squared, best)
        t = i / (len(curve) - 1)
        # A curve that ends on the midline goes on into its mirror image there: no taper.
        end = 1.0 if points[-1][0] == 100 else min(1.0, 3.5 * (1 - t))
        taper = np.where(nearer, min(1.0, 0.25 + 3.0 * t) * max(end, 0.12), taper)
    if points[-1][0] == 100:
        # Each side ends at the midline, or the two would be added up there.
        taper = taper * 0.5 * (1 + np.tanh(((100 - x) if side == 0 else (x - 100)) / 1.2))
    valley = np.exp(-best / (2 * width**2))
    rim = np.exp(-best / (2 * (2.6 * width) ** 2))
    return depth * taper * (0.65 * rim - 1.25 * valley), 0.42 * min(depth / 2.2, 1.0) * taper * np.exp(
        -best / (2 * (0.85 * width) ** 2)
    )


@functools.lru_cache(maxsize=4)
def head_height(texel: float) -> np.ndarray:
    """Returns the bare head's height at a grid's points, [height, width] float64 canonical units."""
    height, fine = _head_coarse()
    grid = Grid(texel)
    x, y = grid.axes()
    rows = (np.broadcast_to(y, (grid.height, grid.width)) - TOP) / fine.texel
    cols = (np.broadcast_to(x, (grid.height, grid.width)) - LEFT) / fine.texel
    return ndimage.map_coordinates(height, [rows, cols], order=3, mode="nearest")


@functools.lru_cache(maxsize=4)
def part_heights(texel: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns [parts, 2, height, width] float32 height and darkness of every part and side on a grid."""
    grid = Grid(texel)
    x, y = grid.axes()
    shape = (len(PARTS), 2, grid.height, grid.width)
    height, dark = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    widen = max(1.0, 0.55 * texel)  # a furrow narrower than a texel would alias
    for index, name in enumerate(PARTS):
        for side in range(2):
            if name in BUMPS:
                height[index, side] = _bumps(BUMPS[name], x, y, side)
            elif name in FURROWS:
                for points, width, depth in FURROWS[name]:
                    carved, shade = _furrow(points, width * widen, depth, x, y, side)
                    height[index, side] += carved
                    dark[index, side] = np.maximum(dark[index, side], shade)
            else:
                height[index, side], dark[index, side] = _orange_peel(grid, side)
    return height, dark


def _orange_peel(grid: Grid, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The chin boss pulled into small dents by AU 17."""
    rng = np.random.Generator(np.random.Philox(key=[17, 17]))
    x, y = grid.axes()
    out = np.zeros((grid.height, grid.width))
    for _ in range(46):
        cx, cy = rng.normal(0, 9.0), rng.normal(163, 5.5)
        out += np.exp(-((x - 100 - cx) ** 2 + (y - cy) ** 2) / (2 * 1.5**2))
    zone = np.exp(-0.5 * (((x - 100) / 13) ** 2 + ((y - 163) / 8) ** 2))
    half = 0.5 * (1 + np.tanh((100 - x if side == 0 else x - 100) / 3.0))
    return -1.0 * out * zone * half, 0.22 * np.minimum(out, 1.2) * zone * half


def gradients(height: np.ndarray, texel: float) -> np.ndarray:
    """Returns d(height)/dx and d(height)/dy, stacked last: [..., height, width, 2].

    Example:
      >>> gradients(np.array([[0.0, 2.0], [1.0, 3.0]]), texel=2.0)[0, 0].tolist()
      [1.0, 0.5]
    """
    gy, gx = np.gradient(height, texel, axis=(-2, -1))
    return np.stack([gx, gy], axis=-1)


@functools.lru_cache(maxsize=4)
def relief_basis(texel: float) -> np.ndarray:
    """Returns [parts * 2, height, width, 3] float32: gradient x, gradient y and darkness per unit of (part, side)."""
    height, dark = part_heights(texel)
    basis = np.concatenate([gradients(height, texel), dark[..., None]], axis=-1)
    return basis.reshape(-1, *basis.shape[2:]).astype(np.float32)


@functools.lru_cache(maxsize=1)
def coarse_parts() -> tuple[np.ndarray, np.ndarray]:
    """Returns the bare head [h, w] and the parts [parts, 2, h, w] as heights on the `COARSE` grid."""
    return head_height(COARSE.texel), part_heights(COARSE.texel)[0]


def depth_at(points: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Reads a depth map on the `COARSE` grid at [..., 2] canonical points, bilinearly, clamped to its borders.

    Example:
      >>> rows = int(round((BOTTOM - TOP) / COARSE.texel)) + 1
      >>> depth_at(np.array([[LEFT, TOP]]), np.full((rows, 4), 7.0)).tolist()
      [7.0]
    """
    rows = np.clip((points[..., 1] - TOP) / COARSE.texel, 0, (BOTTOM - TOP) / COARSE.texel)
    cols = np.clip((points[..., 0] - LEFT) / COARSE.texel, 0, depth.shape[1] - 1)
    return ndimage.map_coordinates(depth, [rows, cols], order=1, mode="nearest")
