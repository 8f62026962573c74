"""A made-up finished run on disk: drawn faces as TFRecords, scores that lean towards the truth, logs and costs."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from au_jax import files
from au_jax.config import get_config, load
from au_jax.data.dataset import FaceDataset, Records, Video
from au_jax.data.recordings import encode_jpeg
from au_jax.data.splits import make_folds, split_document
from au_jax.evaluation import tables
from au_jax.labels import PAPER_AUS
from au_jax.report import page, style

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no Chromium here: none of {', '.join(BROWSERS)} is on the PATH")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


class DrawnFaces(FaceDataset):
    """A dataset with what the report asks of `FaceDataset`; subjects may have any name."""

    def __init__(
        self,
        folder: Path,
        subjects: tuple[str, ...],
        videos: int,
        frames: int,
        size: int = 24,
        aus: tuple[int, ...] = PAPER_AUS,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.subjects, self.image_size, self.aus = subjects, size, aus
        self._folder = folder
        self._records = {}
        for number, subject in enumerate(subjects):
            generator = np.random.default_rng(number)
            labels = np.concatenate([_labels(generator, frames, len(aus)) for _ in range(videos)])
            self._records[subject] = Records(
                labels=labels,
                landmarks=np.zeros((len(labels), 49, 2), np.float32),
                frame_numbers=np.tile(np.arange(1, frames + 1, dtype=np.int32), videos),
                face_detected=np.ones(len(labels), bool),
                videos=tuple(Video(subject, f"T{n + 1}", n * frames, (n + 1) * frames) for n in range(videos)),
            )
            with tf.io.TFRecordWriter(self.shards(subject)[0]) as writer:
                for row in range(len(labels)):
                    picture = tf.train.Feature(
                        bytes_list=tf.train.BytesList(value=[encode_jpeg(_face(number, row, size), 95)])
                    )
                    example = tf.train.Example(features=tf.train.Features(feature={"image": picture}))
                    writer.write(example.SerializeToString())

    def records(self, subject: str) -> Records:
        return self._records[subject]

    def load(self, subjects) -> list[Records]:
        return [self.records(subject) for subject in subjects]

    def shards(self, subject: str) -> list[str]:
        return [str(self._folder / f"{self.subjects.index(subject)}.tfrecord")]

    def parse(self, record: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string)})


def _labels(generator: np.random.Generator, frames: int, aus: int) -> np.ndarray:
    slow = np.cumsum(generator.normal(size=(frames, aus)), 0) * 0.4 + generator.normal(size=aus)
    labels = np.where(slow > 0.3, 1, -1).astype(np.int8)
    labels[: frames // 10] = 0
    return labels


def _face(subject: int, row: int, size: int) -> np.ndarray:
    """A small disc in the subject's colour on a grey that tells the row."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    picture = np.full((size, size, 3), 3 * row % 256, np.uint8)
    picture[np.hypot(x, y) < 0.2] = (60 + 23 * subject % 180, 150, 120)
    return picture


def make_run(
    workdir: Path,
    dataset,
    systems: tuple[str, ...] = ("hog_svm", "anet", "hybrid"),
    finished: tuple[int, ...] = (0, 1, 2),
    absent: tuple[int, ...] = (),
    epochs: int = 5,
) -> dict:
    """Writes a finished run and returns its config, dataset and results; columns in `absent` never show their AU."""
    config = get_config()
    config.evaluation.bootstrap = 50
    folds = make_folds([dataset.subjects[part::3] for part in range(3)], 0.2, config.seed)
    files.write_json(workdir / "split.json", split_document(folds, config.seed))
    scored: dict[str, dict[int, tables.Scored]] = {name: {} for name in systems}
    lines, costs = [], {"prepare": {"seconds": 12.3, "peak_memory_mib": 800.0}}
    for number in finished:
        generator = np.random.default_rng(number)
        for skill, name in enumerate(systems):
            arrays = {"thresholds": np.zeros(len(dataset.aus), np.float32)}
            for subject in folds[number].test:
                records = dataset.records(subject)
                labels = records.labels.copy()
                labels[:, list(absent)] = np.minimum(labels[:, list(absent)], -1)
                noise = generator.normal(size=labels.shape)
                smooth = np.stack([np.convolve(column, np.ones(9) / 3, "same") for column in noise.T], 1)
                scores = ((0.5 + 0.4 * skill) * labels + (smooth if name == "hybrid" else noise)).astype(np.float32)
                for video in records.videos:
                    part = slice(video.start, video.stop)
                    arrays[f"{video.key}/scores"] = scores[part]
                    arrays[f"{video.key}/labels"] = labels[part]
                    arrays[f"{video.key}/frames"] = records.frame_numbers[part]
            path = workdir / f"fold_{number:02d}" / "scores" / f"{name}.npz"
            files.write_npz(path, arrays)
            scored[name][number] = tables.read_scores(path)
            costs[f"fold_{number:02d}/{name}/score"] = {"seconds": 3.0 + skill, "peak_memory_mib": 900.0 + skill}
        for stage in {"anet": ["anet/cnn"], "hybrid": ["hybrid/lstm", "hybrid/fusion"]}.get(systems[-1], []):
            for epoch in range(epochs):
                loss = 1.0 / (1 + epoch) + 0.05 * generator.random()
                line = {
                    "stage": f"fold_{number:02d}/{stage}",
                    "epoch": epoch,
                    "learning_rate": 1e-3 * 0.1 ** (epoch // 3),
                }
                line |= {"train_loss": loss, "validation_loss": 0.3 + 0.5 * loss, "validation_f1": 0.6 - 0.3 * loss}
                lines.append(json.dumps(line))
    lines.append(json.dumps({"stage": "fold_00/hog_svm", "epoch": 0, "pca_components": 90.0}))
    files.write_text(workdir / "logs" / "metrics.jsonl", "\n".join(lines) + "\n")
    files.write_json(workdir / "fold_00" / "hybrid" / "lstm" / "finished.json", {"best_epoch": epochs - 2, "f1": 0.5})
    files.write_json(workdir / "costs.json", costs)
    results = {
        **tables.results(scored, aus=dataset.aus, replicates=50, level=0.95, f1_norm="jeni", seed=config.seed),
        "folds": {"finished": list(finished), "all": 3},
        "split": split_document(folds, config.seed)["checksum"],
        "seed": config.seed,
    }
    files.write_json(workdir / "results.json", results)
    return {"config": config, "dataset": dataset, "results": results}


@pytest.fixture(scope="session")
def drawn_faces(tmp_path_factory: pytest.TempPathFactory) -> DrawnFaces:
    return DrawnFaces(tmp_path_factory.mktemp("faces"), tuple(f"S{n:02d}" for n in range(1, 8)), videos=2, frames=40)


@pytest.fixture(scope="session")
def run_maker() -> Callable[..., dict]:
    return make_run


@pytest.fixture(scope="session")
def faces_maker() -> type[DrawnFaces]:
    return DrawnFaces


@pytest.fixture
def draw_only(monkeypatch) -> Callable[..., None]:
    """Leaves all pictures out of reports but those of these names: drawing one takes half a second."""

    def keep(*names: str) -> None:
        drawings = page._drawings
        monkeypatch.setattr(
            page, "_drawings", lambda run: (drawing for drawing in drawings(run) if drawing[1] in names)
        )

    return keep


PAPER_SYSTEMS = {"hog_svm": 20.0, "anet": 30.0, "hybrid": 40.0}


def paper_metrics(level: float) -> dict:
    """A system's metrics, made so that they can be worked out by hand: F1-frame of AU n is level + n, +-5.

    The AU numbers add up to 135, so that the average is level + 11.25. F1-norm is 1 more, F1-event 2 more.
    """
    frame = {**{str(au): level + au for au in PAPER_AUS}, "average": level + 11.25}
    metrics = {
        name: {key: value + more for key, value in frame.items()}
        for more, name in enumerate(("f1_frame", "f1_norm", "f1_event"))
    }
    intervals = {
        name: {key: [value - 5, value + 5] for key, value in values.items()} for name, values in metrics.items()
    }
    # What the paper's tables do not show.
    others = {name: {"average": level} for name in tables.METRICS if name not in metrics}
    return {**metrics, **others, "intervals": intervals}


def make_paper_run(folder: Path, dataset: str, variant: str, systems: dict[str, float] | None = None, **data) -> Path:
    """Writes config.json and results.json of a finished run of configs/<dataset>.py; `data` changes config.data.

    Systems are given with the level of their metrics; always-present has 10.
    """
    config = load(f"{dataset}:{variant}")
    document = json.loads(config.to_json_best_effort())
    document["data"] |= data
    number = config.protocol.folds
    if systems is None:
        systems = {"hog_svm": 20.0, "anet_transfer": 25.0} if variant == "cross" else PAPER_SYSTEMS
    files.write_json(folder / "config.json", document)
    results = {
        "systems": {name: paper_metrics(level) for name, level in systems.items()},
        "always_present": paper_metrics(10.0),
        "folds": {"finished": list(range(number)), "all": number},
        "seed": 0,
    }
    files.write_json(folder / "results.json", results)
    return folder


@pytest.fixture(scope="session")
def paper_run_maker() -> Callable[..., Path]:
    return make_paper_run


def drawn_pixels(drawing: style.Drawing) -> np.ndarray:
    """The grey values of a drawing, whose words and edges are as they should be."""
    with style.context():
        png = style.to_png(drawing)
        assert style.to_svg(drawing).startswith(b"<?xml")
    with Image.open(io.BytesIO(png)) as image:
        assert (image.info["Title"], image.info["Description"]) == (drawing.alt, drawing.caption)
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] == 1500
    # Nothing touches the edge, where it would be cut off.
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edge > 250).all()
    return pixels


@pytest.fixture(scope="session")
def pixels_of() -> Callable[[style.Drawing], np.ndarray]:
    return drawn_pixels


class Written:
    """The files of a figure in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def rows(self, name: str) -> list[dict[str, str]]:
        with open(self.folder / f"{name}.csv", newline="") as stream:
            return list(csv.DictReader(stream))

    def is_whole(self, name: str) -> bool:
        return all((self.folder / f"{name}.{kind}").stat().st_size > 1000 for kind in ("png", "svg"))


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def random_scores(seed: int, aus: int = 12, absent: tuple[int, ...] = ()) -> tables.Scored:
    """Scores of 60 frames of two videos that lean towards the labels; AUs in `absent` never occur."""
    generator = np.random.default_rng(seed)
    labels = generator.choice([-1, 0, 1], (60, aus), p=[0.6, 0.1, 0.3]).astype(np.int8)
    labels[:, list(absent)] = -1
    scores = (labels + generator.normal(size=labels.shape)).astype(np.float32)
    parts = {"A/1": slice(0, 25), "B/1": slice(25, 60)}
    return tables.Scored(
        {key: scores[part] for key, part in parts.items()},
        {key: labels[part] for key, part in parts.items()},
        {key: np.arange(60)[part] for key, part in parts.items()},
    )


@pytest.fixture(scope="session")
def scored_maker() -> Callable[..., tables.Scored]:
    return random_scores
