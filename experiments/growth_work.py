"""One size of `experiments.growth`: does the work once, small, so that all is loaded and compiled, then measures it.

    python -m experiments.growth_work --work=people --size=3 --run=runs/demo --out=runs/growth

prints seconds of the processor, and MiB of peak memory beyond the peak before, as a line of JSON.
"""

import dataclasses
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from PIL import Image

from au_jax import files
from au_jax.command_line import run_command

FRAMES = 60
"""Of the videos whose frames are not what is raised."""

SIDE = 200
"""Pixels of a person's picture; the picture of several holds two rows of five."""

SHORT = 5.0
"""Seconds below which a work is done twice."""

_DRAWN = 24
"""Frames that are rendered of a person; films show them forward and backward, so that nobody jumps."""


def heads(folder: Path, people: int) -> np.ndarray:
    """Films of people of synthfacs, [P, 24, 200, 200, 3] uint8; rendered once and kept.

    Args:
      folder: where they are kept.
      people: how many.
    """
    path = folder / f"heads_{people}.npz"
    if not path.exists():
        from au_jax import synthfacs
        from au_jax.synthfacs.video import subject_names

        preset = dataclasses.replace(synthfacs.presets.CLEAR, frames_per_video=_DRAWN, length_spread=0.0)
        drawn = []
        for name in subject_names(preset)[:people]:
            chunks = synthfacs.render_video(preset, 4, name, "T1", view="scene", size=SIDE)
            drawn.append(np.concatenate([chunk.frames for chunk in chunks]))
        files.write_npz(path, {"heads": np.stack(drawn)})
    return files.read_npz(path)["heads"]


def crowd(films: np.ndarray, frames: int, count: int) -> Iterator[np.ndarray]:
    """A wall of 1000 x 400 pixels with so many people in front of it, each in a place of their own.

    Args:
      films: [P, T, 200, 200, 3] uint8 of at least so many people.
      frames: of the film.
      count: of people.
    """
    wall = np.full((2 * SIDE, 5 * SIDE, 3), 120, np.uint8)
    for number in _there_and_back(frames, films.shape[1]):
        picture = wall.copy()
        for place, film in enumerate(films[:count]):
            top, left = place // 5 * SIDE, place % 5 * SIDE
            picture[top : top + SIDE, left : left + SIDE] = film[number]
        yield picture


def enlarged(film: np.ndarray, frames: int, pixels: int) -> Iterator[np.ndarray]:
    """A person's film in pictures of about so many pixels.

    Args:
      film: [T, 200, 200, 3] uint8.
      frames: of the film.
      pixels: of a picture.
    """
    side = round(pixels**0.5 / 2) * 2
    large = [np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)) for picture in film]
    for number in _there_and_back(frames, len(film)):
        yield large[number]


def _there_and_back(frames: int, length: int) -> Iterator[int]:
    for number in range(frames):
        place = number % (2 * length - 2)
        yield min(place, 2 * length - 2 - place)


def _predicting(
    run: str, faces: str, film: Callable[[int], Iterator[np.ndarray]], frames: int
) -> Callable[[bool], None]:
    from au_jax.faces.video_writer import VideoWriter
    from au_jax.inference.detector import Detector
    from au_jax.inference.streaming import predict

    detector = Detector.from_run(run)
    folder = Path(tempfile.mkdtemp())
    for name, count in (("small", 40), ("whole", frames)):
        pictures = film(count)
        first = next(pictures)
        with VideoWriter(folder / f"{name}.mp4", 25, first.shape[1], first.shape[0]) as video:
            video.write(first)
            for picture in pictures:
                video.write(picture)

    def work(small: bool) -> None:
        name = "small" if small else "whole"
        counts = predict(detector, folder / f"{name}.mp4", folder / f"{name}.csv", faces=faces)
        if counts["faces"] < counts["frames"] / 2:
            raise RuntimeError(f"of {counts['frames']} frames {counts['faces']} have a face")

    return work


def _frames(size: int, run: str, out: Path) -> Callable[[bool], None]:
    films = heads(out, 10)
    return _predicting(run, "largest", lambda frames: crowd(films, frames, 1), size)


def _people(size: int, run: str, out: Path) -> Callable[[bool], None]:
    films = heads(out, 10)
    return _predicting(run, "all", lambda frames: crowd(films, frames, size), FRAMES)


def _pixels(size: int, run: str, out: Path) -> Callable[[bool], None]:
    films = heads(out, 10)
    return _predicting(run, "largest", lambda frames: enlarged(films[0], frames, size), FRAMES)


def _subjects(size: int, run: str, out: Path) -> Callable[[bool], None]:
    del run, out
    from au_jax.config import get_config
    from au_jax.data.preparation import prepare

    def work(small: bool) -> None:
        data = get_config().data
        data.preset, data.subjects, data.videos, data.frames = "tiny", 2 if small else size, 1, 24
        data.image_size, data.crop_size, data.directory = 40, 36, tempfile.mkdtemp()
        prepare(data)

    return work


def _tables(subjects: int, aus: int) -> Callable[[bool], None]:
    """results.json and its table, of two systems, three folds, videos of 300 frames and 1000 replicates."""
    from au_jax.evaluation import tables

    rng = np.random.default_rng(0)

    def scored(names: list[str]) -> tables.Scored:
        labels = {name: rng.choice(np.array([-1, 1], np.int8), size=(300, aus)) for name in names}
        scores = {name: (rows + rng.normal(size=rows.shape)).astype(np.float32) for name, rows in labels.items()}
        return tables.Scored(scores, labels, {name: np.arange(300) for name in names})

    def work(small: bool) -> None:
        names = [f"S{number:03d}/T1" for number in range(3 if small else subjects)]
        folds = {fold: names[fold::3] for fold in range(3)}
        systems = {system: {fold: scored(part) for fold, part in folds.items()} for system in ("anet", "hybrid")}
        numbers = tuple(range(1, aus + 1))
        document = tables.results(systems, aus=numbers, replicates=1000, level=0.95, f1_norm="jeni", seed=0)
        tables.results_markdown({**document, "folds": {"finished": [0, 1, 2], "all": 3}, "seed": 0})

    return work


WORKS: dict[str, Callable[[int, str, Path], Callable[[bool], None]]] = {
    "frames": _frames,
    "people": _people,
    "pixels": _pixels,
    "subjects": _subjects,
    "scored": lambda size, run, out: _tables(size, 12),
    "aus": lambda size, run, out: _tables(30, size),
}
"""Name of `growth.GROWTHS` -> (size, run, folder of films) -> work, which is done small first and then in full."""


def measure(work: Callable[[bool], None]) -> dict[str, float]:
    """Seconds of the processor, of the faster time of two where that is short, and MiB of peak memory, once all is loaded.

    Args:
      work: small or in full.
    """
    work(True)
    before, began = _peak_mib(), time.process_time()
    work(False)
    middle = time.process_time()
    seconds, mib = middle - began, _peak_mib() - before
    if seconds < SHORT:
        work(False)
        seconds = min(seconds, time.process_time() - middle)
    return {"seconds": seconds, "mib": mib}


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Runs the command line."""
    work = flags.DEFINE_enum("work", None, list(WORKS), "What is done.", required=True)
    size = flags.DEFINE_integer("size", None, "Of it.", required=True, lower_bound=1)
    run = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    out = flags.DEFINE_string("out", None, "Folder of films.", required=True)

    def command() -> None:
        made: Any = WORKS[work.value](size.value, run.value, Path(out.value))
        print(json.dumps(measure(made)))

    run_command(command)


if __name__ == "__main__":
    main()
