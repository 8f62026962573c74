"""Which rules turn scores into events best: F1-event on the validation subjects of a finished run, never on test subjects.

    python -m experiments.event_rules --run=runs/demo --data=data

Prints a table of `EventRules` (the score at which events end, shortest gap, shortest event) with the mean F1-event over AUs and
folds, best first. The defaults of `au-jax predict --format=eaf` come from here; see CHANGELOG.
"""

import itertools

import numpy as np
from absl import flags

from au_jax.command_line import run_command
from au_jax.config import replace
from au_jax.data.annotations.events import labels_from_scores
from au_jax.data.dataset import FaceSet
from au_jax.data.input_pipeline import decode_all
from au_jax.data.preparation import load_dataset
from au_jax.evaluation.events import event_counts, f1_event, pooled_events
from au_jax.inference.detector import Detector
from au_jax.inference.event_writers import EventRules
from au_jax.run_dir import RunDir

OFF = (0.0, -0.25, -0.5, -1.0)
GAPS = (0.0, 0.1, 0.2, 0.4)
LENGTHS = (0.0, 0.1, 0.2, 0.4)


def validation_scores(run: str, directory: str, folds: list[int]) -> list[list[tuple[np.ndarray, np.ndarray, float]]]:
    """For each fold the validation videos' labels [T, A], scores [T, A] by the run's last system, and frames a second."""
    config = RunDir(run).config()
    data = replace(config.data, directory=directory) if directory else config.data
    dataset = load_dataset(data)
    split = RunDir(run).split()
    parts = []
    for fold in folds:
        detector = Detector.from_run(run, folds=[fold])
        videos = []
        faces = FaceSet(dataset, tuple(split["folds"][fold]["validation"]))
        images, labels = faces.by_video(decode_all(faces, "host")), faces.by_video(faces.labels)
        for key in images:
            scores = detector.score(images[key])[detector.systems[-1]]
            videos.append((labels[key], scores, data.fps))
        parts.append(videos)
    return parts


def quality(parts: list[list[tuple[np.ndarray, np.ndarray, float]]], rules: EventRules) -> float:
    """Mean F1-event over AUs and folds."""
    values = []
    for videos in parts:
        counts = []
        for labels, scores, fps in videos:
            found = labels_from_scores(
                scores, np.arange(len(scores)) / fps, off=rules.off, min_gap=rules.min_gap, min_length=rules.min_length
            )
            counts.append(event_counts(labels, found.astype(np.float64), np.zeros(len(labels))))
        values.append(np.nanmean(f1_event(pooled_events(counts))))
    return float(np.mean(values))


def main() -> None:
    """Runs the command line."""
    run = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    data = flags.DEFINE_string("data", "", "Folder of prepared datasets; the run's own by default.")
    folds = flags.DEFINE_list("folds", ["0"], "Folds whose validation subjects decide.")

    def command() -> None:
        parts = validation_scores(run.value, data.value, [int(fold) for fold in folds.value])
        table = [(quality(parts, EventRules(*rules)), rules) for rules in itertools.product(OFF, GAPS, LENGTHS)]
        print("F1-event  off  gap s  length s")
        for value, (off, gap, length) in sorted(table, reverse=True):
            print(f"{100 * value:8.2f} {off:5g} {gap:6g} {length:9g}")

    run_command(command, tensorflow=True)


if __name__ == "__main__":
    main()
