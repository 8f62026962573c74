"""High dynamic range as phones film it (PQ or HLG), brought into the range of ordinary video.

Display-referred, as ITU-R BT.2408 has it: reference white of 203 cd/m2 becomes white, what is darker than 70 % of it keeps its
light exactly, and what is brighter up to 1000 cd/m2 is compressed, so that a face in the sun keeps its relief. Colours leave
BT.2020 or Display P3 for BT.709 by their matrix; those outside it are clipped. Code values follow BT.1886 (gamma 2.4).
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

WHITE: float = 203.0
"""Light of reference white in HDR, cd/m2 (ITU-R BT.2408-7)."""

PEAK: float = 1000.0
"""Light that becomes white at the most, cd/m2: the peak of HLG's reference display, and of most phones' PQ."""

KNEE: float = 0.7
"""Share of reference white below which light is kept as it is."""

TRANSFERS: dict[int, str] = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}
"""Transfer functions of high dynamic range, by their number in ITU-T H.273."""

_LUT_SIZE = 33
# Rows: BT.709's red, green and blue of BT.2020 and of Display P3, from their primaries and the white D65 (ITU-R BT.2407).
_TO_BT709 = {
    9: np.array([[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]),
    12: np.array([[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098274]]),
}


def pq_light(codes: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Light of PQ code values in cd/m2 (ITU-R BT.2100, table 4).

    Args:
      codes: 0 to 1.

    Example:
      >>> pq_light(np.array([0.0, 0.508, 0.581, 1.0])).round(0).tolist()
      [0.0, 100.0, 204.0, 10000.0]
    """
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.clip(codes, 0, 1) ** (1 / m2)
    return 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


def hlg_light(codes: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Light of HLG code values on the reference display of 1000 cd/m2 (ITU-R BT.2100, table 5).

    Args:
      codes: [..., 3] 0 to 1; red, green and blue of BT.2020.

    Example:
      >>> hlg_light(np.array([[0.75, 0.75, 0.75], [1.0, 1.0, 1.0]])).round(0).tolist()
      [[203.0, 203.0, 203.0], [1000.0, 1000.0, 1000.0]]
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    codes = np.clip(codes, 0, 1)
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return PEAK * scene * luminance[..., None] ** 0.2


def compress(light: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Light in shares of reference white, with what is above `KNEE` rolled off so that `PEAK` becomes 1.

    Example:
      >>> compress(np.array([0.2, 0.7, 1.0, PEAK / WHITE])).round(3).tolist()
      [0.2, 0.7, 0.856, 1.0]
    """
    room = 1 - KNEE
    above = np.maximum(light - KNEE, 0) / room
    most = (PEAK / WHITE - KNEE) / room
    # Slope 1 at the knee, 1 at the peak.
    return np.minimum(np.where(light > KNEE, KNEE + room * above / (1 + above * (1 - 1 / most)), light), 1.0)


def to_sdr(codes: Float[np.ndarray, "*n 3"], transfer: int, primaries: int) -> Float[np.ndarray, "*n 3"]:
    """Code values of ordinary video (BT.709, BT.1886) for those of high dynamic range.

    Args:
      codes: [..., 3] 0 to 1, red, green, blue.
      transfer: one of `TRANSFERS`.
      primaries: of ITU-T H.273: 9 BT.2020, 12 Display P3; others are taken for those of BT.709.

    Returns:
      [..., 3] 0 to 1.

    Example:
      >>> grey = np.full((1, 3), 0.508)  # 100 cd/m2: 49 % of white
      >>> to_sdr(grey, transfer=16, primaries=9).round(3).tolist()
      [[0.744, 0.744, 0.744]]
    """
    light = (pq_light(codes) if transfer == 16 else hlg_light(codes)) / WHITE
    if primaries in _TO_BT709:
        light = np.maximum(light @ _TO_BT709[primaries].T, 0)
    # All three channels by one factor: the hue stays.
    most = np.maximum(light.max(-1, keepdims=True), 1e-9)
    return np.clip(light * (compress(most) / most), 0, 1) ** (1 / 2.4)


def with_lut(transfer: int, primaries: int, use: Callable[[Path], None]) -> None:
    """Calls `use` with a .cube file of `to_sdr`, as FFmpeg's filter lut3d reads it; the file is gone afterwards.

    Example:
      >>> with_lut(16, 9, lambda path: print(path.read_text().splitlines()[0]))
      LUT_3D_SIZE 33
    """
    steps = np.linspace(0, 1, _LUT_SIZE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    table = to_sdr(np.stack([red, green, blue], -1).reshape(-1, 3), transfer, primaries)
    handle, name = tempfile.mkstemp(suffix=".cube")
    try:
        with open(handle, "w") as stream:
            stream.write(f"LUT_3D_SIZE {_LUT_SIZE}\n")
            stream.writelines(f"{r:.6f} {g:.6f} {b:.6f}\n" for r, g, b in table.tolist())
        use(Path(name))
    finally:
        os.unlink(name)
