"""Films of three people of synthfacs who walk about in one room: heads cut out of their own scenes, on paths."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from au_jax import synthfacs

HEIGHT, WIDTH, SIDE = 360, 640, 240
PEOPLE = ("F002", "M003", "F007")

# Person -> frame -> left and top of the cut head, None where the person is not there. Later people stand in front.
Path = Callable[[int], tuple[float, float] | None]


def heads(frames: int, people: tuple[str, ...] = PEOPLE) -> list[np.ndarray]:
    """[T, 240, 240, 3] of each person."""
    preset = dataclasses.replace(synthfacs.presets.CLEAR, frames_per_video=frames, length_spread=0.0)
    made = []
    for name in people:
        chunks = list(synthfacs.render_video(preset, 4, name, "T1", view="scene", size=SIDE))
        made.append(np.concatenate([chunk.frames for chunk in chunks]))
    return made


def film(heads: list[np.ndarray], paths: list[Path], only: int | None = None) -> Iterator[np.ndarray]:
    """The room, with all people or one of them."""
    down, right = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    # The head with its hair and ears, and a soft border.
    inside = np.sqrt(((right - 118) / 62) ** 2 + ((down - 100) / 78) ** 2)
    mask = np.clip((1.08 - inside) / 0.08, 0, 1)[..., None]
    wall, across = np.mgrid[:HEIGHT, :WIDTH]
    room = np.stack([120 + 20 * np.sin(across / 40), 130 + wall / 12, 140 - across / 16], -1).astype(np.float32)
    for frame in range(len(heads[0])):
        picture = np.pad(room, ((SIDE, SIDE), (SIDE, SIDE), (0, 0)))
        for person, path in enumerate(paths):
            place = path(frame)
            if place is not None and only in (None, person):
                x, y = round(place[0]) + SIDE, round(place[1]) + SIDE
                part = picture[y : y + SIDE, x : x + SIDE]
                part[:] = part * (1 - mask) + heads[person][frame] * mask
        yield np.clip(picture[SIDE:-SIDE, SIDE:-SIDE], 0, 255).astype(np.uint8)


def easy(frames: int) -> list[Path]:
    """They stand apart; the second leaves for a while, the third comes later and goes."""
    return [
        lambda t: (-20 + 10 * np.sin(t / 15), 60 + 8 * np.sin(t / 11)),
        lambda t: None if 0.4 * frames < t < 0.6 * frames else (190 + 8 * np.sin(t / 9), 70),
        lambda t: (400 + 6 * np.sin(t / 13), 50) if 0.2 * frames < t < 0.85 * frames else None,
    ]


def hard(frames: int) -> list[Path]:
    """Two change places behind and before a third, who leaves and comes back on the other side."""

    def walk(start: float, stop: float, t: int) -> float:
        return start + (stop - start) * float(np.clip((t - 0.2 * frames) / (0.35 * frames), 0, 1))

    return [
        lambda t: (walk(-30, 420, t), 55),
        lambda t: (walk(410, -20, t), 75),
        lambda t: (185, 95) if t < 0.6 * frames else (200, 40) if t > 0.8 * frames else None,
    ]


def centre(place: tuple[float, float]) -> np.ndarray:
    """About where the face is."""
    return np.array(place) + [118, 110]
