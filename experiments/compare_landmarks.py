"""dlib and the face mesh side by side, on synthetic scenes whose landmarks are known and on pictures: tables of both backends.

    python -m experiments.compare_landmarks --out=runs/landmarks

follows faces in synthetic scenes of several difficulties, in heads turned by known angles and in pictures that stand still but
for sensor noise, with the tracker of each of `faces.backends`. Errors are distances in percent of that of the outer eye corners,
the mean over the 49 landmarks of a frame; jitter is how far they move from frame to frame beyond what the face does. Times are
of one core. It takes minutes on two cores.

    --pictures=FOLDER    also what either finds in pictures of real people, drawn side by side in pictures.png
    --recordings=FOLDER  writes synthetic recordings there and stops: prepare and train on them with --config.data.landmarks=...
"""

import csv
import dataclasses
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from PIL import Image, ImageDraw

from au_jax import files
from au_jax.command_line import run_command
from au_jax.errors import CommandError
from au_jax.faces.backends import BACKENDS, make_tracker
from au_jax.faces.frame_folder import read_picture
from au_jax.faces.tracking import inner_landmarks
from au_jax.synthfacs import AUS, Preset, draw_faces, get_preset, render_video, subject_names
from au_jax.synthfacs.presets import CLEAR

_ADULTS = {"subjects": 400, "subject_prefix": "S", "videos_per_subject": 1, "length_spread": 0.0, "tracker_error": 0.0}
_FRAMES, _SIDE, _SEED = 16, 256, 53
SCENES: dict[str, dict[str, Any]] = {
    "like BP4D": {},
    "like GFT": {"preset": "gft_like"},
    "turning": {"pose": 3.0},
    "turning far, dark, noisy": {"pose": 4.5, "light": 2.0, "noise": 0.06, "blur": 1.5},
    "often covered": {"occlusion_rate": 6.0},
}
"""Kinds of scenes: what is changed of the preset bp4d_like's clear faces, or of another."""

ANGLES: dict[str, tuple[float, ...]] = {
    "yaw": (0, 15, 30, 45, 60),
    "pitch": (-30, -15, 15, 30),
    "roll": (30, 60, 90, 180),
}
"""Degrees by which heads are turned, by axis; synthfacs draws no profile."""

PARTS: dict[str, range] = {"brows": range(10), "nose": range(10, 19), "eyes": range(19, 31), "lips": range(31, 49)}
"""Rows of the 49 landmarks, by part of the face."""


def scene(kind: str, person: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a person, [T, S, S, 3] uint8, and the landmarks in them, [T, 49, 2]."""
    changes = {**_ADULTS, "frames_per_video": _FRAMES, "rest_seconds": (0.0, 0.01), **SCENES[kind]}
    name = changes.pop("preset", "")
    preset = dataclasses.replace(get_preset(name) if name else CLEAR, **changes)
    (chunk,) = render_video(preset, _SEED, subject_names(preset)[person], "T1", "scene", _SIDE, chunk=_FRAMES)
    return chunk.frames, chunk.landmarks


def turned_head(axis: str, degrees: float, person: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a person whose head is turned, twice, [2, S, S, 3] uint8, and the landmarks in it, [2, 49, 2].

    Heads roll with the picture: what is drawn is turned as a whole.
    """
    if axis != "roll":
        pictures, landmarks = draw_faces(person, [{}], _SIDE, "scene", **{axis: np.radians(degrees)}, world=person)
        return pictures.repeat(2, 0), landmarks.repeat(2, 0)
    pictures, landmarks = draw_faces(person, [{}], _SIDE, "scene", world=person)
    image = Image.fromarray(pictures[0]).rotate(-degrees, Image.Resampling.BILINEAR, fillcolor=(110, 110, 110))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle = (_SIDE - 1) / 2
    moved = (landmarks - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle
    return np.asarray(image)[None].repeat(2, 0), moved.astype(np.float32).repeat(2, 0)


def still_scene(kind: str, person: int) -> tuple[np.ndarray, np.ndarray]:
    """One frame again and again under noise of 5 grey levels, and the landmarks in it."""
    frames, landmarks = scene(kind, person)
    noise = np.random.default_rng(person).normal(0, 5, frames.shape)
    return np.clip(frames[:1] + noise, 0, 255).round().astype(np.uint8), landmarks[:1].repeat(len(frames), 0)


def followed(landmarks: str, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """What a backend finds in the frames of one video.

    Returns:
      [T, 49, 2] landmarks and [T] confidences, NaN where there is no face, and seconds of a core.
    """
    tracker = make_tracker(landmarks)
    points, confidence = np.full((len(frames), 49, 2), np.nan), np.full(len(frames), np.nan)
    start = time.process_time()
    for index, frame in enumerate(frames):
        if (face := tracker.find(frame)) is not None:
            points[index], confidence[index] = inner_landmarks(face.landmarks), face.confidence
    return points, confidence, time.process_time() - start


def errors(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[.., T, 49] distances in percent of that of the outer eye corners."""
    return 100 * np.linalg.norm(points - truth, axis=-1) / _eye_distance(truth)[..., None]


def jitter(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[.., T - 1] how far landmarks move from frame to frame beyond what the face does, mean of 49, in the same percent."""
    moved = np.linalg.norm(np.diff(points - truth, axis=-3), axis=-1).mean(-1)
    return 100 * moved / _eye_distance(truth)[..., 1:]


def _eye_distance(truth: np.ndarray) -> np.ndarray:
    return np.linalg.norm(truth[..., 19, :] - truth[..., 28, :], axis=-1)


def measure(videos: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, dict[str, Any]]:
    """What each backend does with videos and their landmarks: backend -> a row of the table, and "raw" arrays."""
    rows = {}
    truth = np.stack([landmarks for _, landmarks in videos]).astype(np.float64)
    for name in BACKENDS:
        found = [followed(name, frames) for frames, _ in videos]
        points = np.stack([each[0] for each in found])
        apart, moved = errors(points, truth), jitter(points, truth)
        whole = apart.mean(-1)
        rows[name] = {
            "found": float(np.isfinite(whole).mean()),
            "error": _or_none(np.nanmedian, whole),
            "error_p90": _or_none(lambda values: np.nanquantile(values, 0.9), whole),
            "parts": {part: _or_none(np.nanmedian, apart[..., list(rows_)].mean(-1)) for part, rows_ in PARTS.items()},
            "jitter": _or_none(np.nanmedian, moved),
            "milliseconds": 1000 * sum(each[2] for each in found) / whole.size,
            "raw": (whole.ravel(), np.concatenate([each[1] for each in found])),
        }
    return rows


def _or_none(statistic: Any, values: np.ndarray) -> float | None:
    return float(statistic(values)) if np.isfinite(values).any() else None


def calibration(errors_: np.ndarray, confidence: np.ndarray) -> list[dict[str, Any]]:
    """How often landmarks are right (a mean error below 8 %) by their confidence: rows of a table."""
    rows = []
    for low, high in ((0.0, 0.5), (0.5, 0.8), (0.8, 0.9), (0.9, 1.01)):
        chosen = (confidence >= low) & (confidence < high)
        right = float((errors_[chosen] < 8).mean()) if chosen.any() else None
        rows.append({"from": low, "to": min(high, 1.0), "frames": int(chosen.sum()), "right": right})
    return rows


def write_recordings(folder: Path, people: int) -> None:
    """Writes a clip of every person, with its codes, as the source `folder` reads them."""
    from au_jax.faces.video_writer import VideoWriter

    preset = recorded_preset(people)
    for subject in subject_names(preset):
        (folder / subject).mkdir(parents=True, exist_ok=True)
        with VideoWriter(folder / subject / "T1.mp4", preset.fps, 224, 224) as video:
            codes = []
            for chunk in render_video(preset, 5, subject, "T1", "scene", 224):
                codes += chunk.labels.tolist()
                for frame in chunk.frames:
                    video.write(frame)
        rows = [[number, *({1: 1, -1: 0, 0: ""}[code] for code in row)] for number, row in enumerate(codes, start=1)]
        table = io.StringIO(newline="")
        csv.writer(table).writerows([["frame", *(f"AU{au}" for au in AUS)], *rows])
        files.write_text(folder / subject / "T1.csv", table.getvalue())


def recorded_preset(people: int) -> Preset:
    """The demo's clips, filmed: cleaner pictures, and heads that turn twice as far."""
    return dataclasses.replace(
        get_preset("demo"), name="landmarks", subjects=people, pose=2.0, noise=0.03, blur=0.8, tracker_error=0.0,
        tracker_bias=0.0,
    )  # fmt: skip


def look(pictures: Path) -> tuple[list[dict[str, Any]], Image.Image]:
    """What either backend finds in every picture of a folder: rows of a table, and the faces side by side."""
    rows, tiles = [], []
    for path in sorted(path for path in pictures.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg")):
        if (image := read_picture(path)) is None:
            continue
        found = {name: make_tracker(name).find(image) for name in BACKENDS}
        row: dict[str, Any] = {"picture": path.name}
        for name, face in found.items():
            row[name] = None if face is None else {"confidence": face.confidence, "faces": face.seen}
        known = [face for face in found.values() if face is not None]
        if len(known) == len(BACKENDS):
            one, other = (inner_landmarks(face.landmarks) for face in known)
            row["apart"] = float(errors(other, one.astype(np.float64)).mean())
        rows.append(row)
        if known:
            tiles.append(_tile(image, known[0].box, [found[name] for name in BACKENDS]))
    sheet = Image.new("RGB", (len(BACKENDS) * 400, 400 * max(len(tiles), 1)))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (0, 400 * index))
    return rows, sheet


def _tile(image: np.ndarray, box: tuple[float, float, float, float], faces: list[Any]) -> Image.Image:
    x, y, width, height = box
    left, top, side = x - 0.3 * width, y - 0.4 * height, 1.6 * width
    tile = Image.new("RGB", (400 * len(faces), 400))
    crop = Image.fromarray(image).transform(
        (400, 400), Image.Transform.EXTENT, (left, top, left + side, top + side), Image.Resampling.BILINEAR
    )
    for index, face in enumerate(faces):
        drawn = crop.copy()
        pen = ImageDraw.Draw(drawn)
        for point in inner_landmarks(face.landmarks) if face is not None else ():
            u, v = ((point + 0.5 - (left, top)) * 400 / side).tolist()
            pen.ellipse((u - 2, v - 2, u + 2, v + 2), fill=(255, 60, 60))
        tile.paste(drawn, (400 * index, 0))
    return tile


def report(result: dict[str, Any]) -> str:
    """The tables in Markdown."""
    lines = ["# Landmarks: dlib and the face mesh", ""]
    head = "| scenes | landmarks | found % | error | 90 % below | brows | nose | eyes | lips | jitter | ms a frame |"
    for title, rows in result["tables"].items():
        lines += [f"## {title}", "", head, "|---|---|---|---|---|---|---|---|---|---|---|"]
        for kind, row in rows.items():
            for name, cells in row.items():
                values = (
                    cells["error"],
                    cells["error_p90"],
                    *cells["parts"].values(),
                    cells["jitter"],
                    cells["milliseconds"],
                )
                lines.append(
                    f"| {kind} | {name} | {100 * cells['found']:.1f} | "
                    + " | ".join("-" if value is None else f"{value:.2f}" for value in values)
                    + " |"
                )
        lines.append("")
    lines += ["## Confidence", "", "| landmarks | confidence | frames | right % |", "|---|---|---|---|"]
    for name, rows in result["calibration"].items():
        for row in rows:
            right = "-" if row["right"] is None else f"{100 * row['right']:.1f}"
            lines.append(f"| {name} | {row['from']:.1f} to {row['to']:.1f} | {row['frames']} | {right} |")
    for row in result.get("pictures", []):
        if "Pictures" not in lines:
            lines += ["", "## Pictures", "", "| picture | dlib | mesh | apart % |", "|---|---|---|---|", "Pictures"]
        cells = ("-" if row[name] is None else f"{row[name]['confidence']:.2f}" for name in BACKENDS)
        lines.append(f"| {row['picture']} | {' | '.join(cells)} | {row.get('apart', float('nan')):.1f} |")
    return "\n".join(line for line in lines if line != "Pictures") + "\n"


def compare(people: int) -> dict[str, Any]:
    """All tables, of so many people each."""
    tables: dict[str, dict[str, Any]] = {
        "Scenes": {kind: measure([scene(kind, 20 * n + p) for p in range(people)]) for n, kind in enumerate(SCENES)},
        "Standing still": {
            kind: measure([still_scene(kind, 200 + p) for p in range(people)]) for kind in ("like BP4D", "like GFT")
        },
        "Turned heads": {
            f"{axis} {degrees:+g}": measure([turned_head(axis, degrees, 300 + p) for p in range(people)])
            for axis, angles in ANGLES.items()
            for degrees in angles
        },
    }
    result: dict[str, Any] = {"people": people, "tables": tables, "calibration": {}}
    for name in BACKENDS:
        raw = [row[name].pop("raw") for table in tables.values() for row in table.values()]
        apart, confidence = (np.concatenate(column) for column in zip(*raw[: len(SCENES)], strict=True))
        known = np.isfinite(confidence)
        result["calibration"][name] = calibration(apart[known], confidence[known])
    return result


def main() -> None:
    """Runs the command line."""
    out = flags.DEFINE_string("out", None, "Folder for landmarks.md and landmarks.json.")
    people = flags.DEFINE_integer("people", 10, "People in every table, or in the recordings.", lower_bound=1)
    pictures = flags.DEFINE_string("pictures", None, "Folder of pictures of real people.")
    recordings = flags.DEFINE_string("recordings", None, "Folder to write synthetic recordings to.")

    def command() -> None:
        if recordings.value:
            write_recordings(Path(recordings.value), people.value)
            return
        if not out.value:
            raise CommandError("flag --out must be given: a folder for the tables")
        folder = Path(out.value)
        result = compare(people.value)
        if pictures.value:
            result["pictures"], sheet = look(Path(pictures.value))
            buffer = io.BytesIO()
            sheet.save(buffer, "png")
            folder.mkdir(parents=True, exist_ok=True)
            files.write_bytes(folder / "pictures.png", buffer.getvalue())
        files.write_json(folder / "landmarks.json", result)
        text = report(result)
        files.write_text(folder / "landmarks.md", text)
        print(text)

    run_command(command)


if __name__ == "__main__":
    main()
