"""Draws a contact sheet of synthfacs: some people neutral and with each AU, then frames as the presets have them.

python -m au_jax.synthfacs.contact_sheet --out sheet.png
"""

import argparse
import dataclasses
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from au_jax.labels import AU_NAMES, AUS
from au_jax.synthfacs.presets import get_preset
from au_jax.synthfacs.video import draw_face, draw_faces, render_video, subject_names

COLUMNS = 7
_CAPTION = 15  # pixels of text under a picture


def _tile(picture: np.ndarray, caption: str) -> np.ndarray:
    canvas = Image.new("RGB", (picture.shape[1], picture.shape[0] + _CAPTION), "white")
    canvas.paste(Image.fromarray(picture), (0, 0))
    ImageDraw.Draw(canvas).text((3, picture.shape[0] + 2), caption, fill="black")
    return np.asarray(canvas)


def _sheet(tiles: list[np.ndarray]) -> np.ndarray:
    tiles = tiles + [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    return np.concatenate(
        [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)], axis=0
    )


def expressions(identity: int, size: int, intensity: float) -> list[np.ndarray]:
    """Returns captioned pictures of a person: neutral, and each AU alone, [size + caption, size, 3] uint8."""
    pictures, _ = draw_faces(identity, [{}, *({au: intensity} for au in AUS)], size, steady=True)
    captions = ["neutral", *(f"{au} {AU_NAMES[au]}" for au in AUS)]
    return [_tile(picture, caption) for picture, caption in zip(pictures, captions, strict=True)]


def random_frames(preset_name: str, view: str, size: int, count: int, seed: int) -> list[np.ndarray]:
    """Returns one captioned frame, some way into its video, of each of `count` people of a preset."""
    preset = dataclasses.replace(
        get_preset(preset_name), frames_per_video=48, length_spread=0.0, rest_seconds=(0.1, 0.3)
    )
    names = subject_names(preset)
    tiles = []
    for i in range(count):
        subject = names[i * len(names) // count]
        chunk = list(render_video(preset, seed, subject, "T1", view, size, chunk=16))[-1]
        active = " ".join(str(au) for au, label in zip(AUS, chunk.labels[-1], strict=True) if label > 0)
        tiles.append(_tile(chunk.frames[-1], f"{preset_name}: {active or 'none'}"))
    return tiles


def contact_sheet(identities: list[int], size: int = 168, intensity: float = 4.5, seed: int = 0) -> np.ndarray:
    """Returns the contact sheet as [H, 7 * size, 3] uint8."""
    rows = []
    for identity in identities:
        tiles = expressions(identity, size, intensity)
        frontal = draw_face(identity, {6: 3.0, 12: 3.5}, size, "scene", yaw=0.25)[0]
        rows.append(_sheet([*tiles, _tile(frontal, "6 + 12, head turned")]))
    rows.append(_sheet(random_frames("bp4d_like", "scene", size, COLUMNS, seed)))
    rows.append(_sheet(random_frames("gft_like", "scene", size, COLUMNS, seed)))
    return np.concatenate(rows, axis=0)


def main() -> None:
    """Reads the command line and writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="picture to write: .png or .jpg")
    parser.add_argument("--people", type=int, nargs="+", default=[5, 17], help="seeds of the people with all AUs")
    parser.add_argument("--size", type=int, default=168, help="side of one picture, pixels")
    parser.add_argument("--intensity", type=float, default=4.5, help="intensity of the AUs, 0 to 5")
    parser.add_argument("--seed", type=int, default=0, help="seed of the rows of random frames")
    args = parser.parse_args()
    picture = contact_sheet(args.people, args.size, args.intensity, args.seed)
    options: dict[str, Any] = {"quality": 88} if args.out.lower().endswith((".jpg", ".jpeg")) else {}
    Image.fromarray(picture).save(args.out, **options)


if __name__ == "__main__":
    main()
