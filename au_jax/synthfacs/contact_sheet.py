"""Draws a contact sheet of synthfacs: some people neutral and with each AU, then frames as the presets have them.

python -m au_jax.synthfacs.contact_sheet --out=sheet.png
"""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from PIL import Image, ImageDraw

from au_jax import files
from au_jax.labels import AU_NAMES
from au_jax.synthfacs.presets import AUS, get_preset
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
    """Returns captioned pictures of a person: neutral, and each AU alone, [size + caption, size, 3] uint8.

    Example:
      >>> pictures = expressions(5, size=100, intensity=4.5)  # compiles the renderer first  # doctest: +SKIP
      >>> len(pictures), pictures[0].shape  # neutral and 12 AUs  # doctest: +SKIP
      (13, (115, 100, 3))
    """
    pictures, _ = draw_faces(identity, [{}, *({au: intensity} for au in AUS)], size, steady=True)
    captions = ["neutral", *(f"{au} {AU_NAMES[au]}" for au in AUS)]
    return [_tile(picture, caption) for picture, caption in zip(pictures, captions, strict=True)]


def random_frames(preset_name: str, view: str, size: int, count: int, seed: int) -> list[np.ndarray]:
    """Returns one captioned frame, some way into its video, of each of `count` people of a preset.

    Example:
      >>> pictures = random_frames("tiny", "scene", size=100, count=3, seed=0)  # compiles the renderer first  # doctest: +SKIP
      >>> len(pictures), pictures[0].shape  # doctest: +SKIP
      (3, (115, 100, 3))
    """
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
    """Returns the contact sheet as [H, 7 * size, 3] uint8.

    Example:
      >>> contact_sheet([5], size=100).shape  # 4 rows of 100 + 15 pixels; compiles the renderer first  # doctest: +SKIP
      (460, 700, 3)
    """
    rows = []
    for identity in identities:
        tiles = expressions(identity, size, intensity)
        frontal = draw_face(identity, {6: 3.0, 12: 3.5}, size, "scene", yaw=0.25)[0]
        rows.append(_sheet([*tiles, _tile(frontal, "6 + 12, head turned")]))
    rows.append(_sheet(random_frames("bp4d_like", "scene", size, COLUMNS, seed)))
    rows.append(_sheet(random_frames("gft_like", "scene", size, COLUMNS, seed)))
    return np.concatenate(rows, axis=0)


def write_contact_sheet(out: str, people: list[str], size: int, intensity: float, seed: int) -> None:
    """Draws the sheet of `contact_sheet` into a file, .png or .jpg.

    Example:
      >>> out = str(folder / "sheet.png")
      >>> write_contact_sheet(out, people=["5", "17"], size=168, intensity=4.5, seed=0)  # doctest: +SKIP
    """
    picture = contact_sheet([int(person) for person in people], size, intensity, seed)
    jpeg = out.lower().endswith((".jpg", ".jpeg"))
    options: dict[str, Any] = {"format": "JPEG", "quality": 88} if jpeg else {"format": "PNG"}
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, **options)
    files.write_bytes(Path(out), stream.getvalue())


if __name__ == "__main__":
    OUT = flags.DEFINE_string("out", None, "Picture to write: .png or .jpg.", required=True)
    PEOPLE = flags.DEFINE_list("people", ["5", "17"], "Seeds of the people with all AUs.")
    SIZE = flags.DEFINE_integer("size", 168, "Side of one picture, pixels.", lower_bound=16)
    INTENSITY = flags.DEFINE_float("intensity", 4.5, "Intensity of the AUs.", lower_bound=0.0, upper_bound=5.0)
    SEED = flags.DEFINE_integer("seed", 0, "Seed of the rows of random frames.")
    app.run(lambda _: write_contact_sheet(OUT.value, PEOPLE.value, SIZE.value, INTENSITY.value, SEED.value))
