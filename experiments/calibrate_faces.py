"""Makes bp4d_like and gft_like as hard as BP4D and GFT, by the protocol of docs/explanation/how-hard.md.

    python -m experiments.calibrate_faces --dataset=bp4d --stage=codes
    python -m experiments.calibrate_faces --dataset=bp4d --stage=pictures --out=runs/calibration --hardness=0,1,2
    python -m experiments.calibrate_faces --dataset=bp4d --stage=checks --out=runs/calibration --hardness=1

`codes` fits `faintness` and `coder_error` on intensities and labels, without a picture. `pictures` draws the people of one render
seed for every hardness asked for, scores them with HOG+SVM alone, and shows the table; it can be stopped and typed again.
`checks` looks at what the protocol asks for afterwards. No network is ever trained here. The numbers are then written into
`au_jax.synthfacs.presets` by hand.
"""

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from absl import flags

from au_jax import files
from au_jax.command_line import run_command
from au_jax.config import Config, typed
from au_jax.data.preparation import load_dataset
from au_jax.errors import CommandError
from au_jax.evaluation import metrics
from au_jax.evaluation.agreement import agreement_counts, kappa
from au_jax.evaluation.comparison import average_in_results
from au_jax.evaluation.tables import aligned, fold_auc, read_scores, subject_counts
from au_jax.explain import feature_space
from au_jax.labels import MISSING
from au_jax.report.face_samples import FaceSample, extract_descriptor, sample_faces
from au_jax.run import run
from au_jax.run_dir import RunDir, TrainedFold
from au_jax.synthfacs import AUS, presets, subject_names, video_codes, video_names
from au_jax.synthfacs.dynamics import LEVELS
from experiments import scales

SEED = 7
"""Render seed of the calibration; results are on others."""

HARDNESS: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
"""What may be tried."""

LETTERS: tuple[float, ...] = (0.387, 0.259, 0.242, 0.088, 0.024)
"""Shares of A to E among the coded frames of DISFA's AUs 1, 2, 4, 6, 12, 15 and 17, pooled."""

LETTER_AUS: tuple[int, ...] = (1, 2, 4, 6, 12, 15, 17)
KAPPA = 0.70

PUBLISHED: dict[str, tuple[float, float]] = {"bp4d": (32.5, 55.7), "gft": (24.2, 50.5)}
"""Average F1-frame of HOG+SVM in the paper: three folds, ten folds."""

# People, videos, frames of the calibration's recordings: as many people as the real sets, few frames of each.
_SIZES = {"bp4d": (41, 1, 16), "gft": (50, 1, 16)}
_CHECKED = {"bp4d": (41, 2, 16), "gft": (50, 1, 32)}
"""The same of the recordings that `checks` draws: who a face is like is asked of another recording, where there are several."""

_EVERY = 4
"""Of a recording every fourth frame is drawn: clips of some seconds, of which the opening at rest is a small part."""


def harder(preset: presets.Preset, hardness: float) -> presets.Preset:
    """The preset with everything that `hardness` multiplies, in the protocol's proportions.

    Example:
      >>> preset = presets.get_preset("gft_like")
      >>> one = harder(preset, 1.0)
      >>> one.resting, one.uncoded, one.mixing, one.amplitude_spread, round(one.light, 2)
      (1.0, 0.6, 0.25, 0.4, 1.95)
    """
    lit = 1.3 if preset.camera == "group" else 1.0
    return dataclasses.replace(
        preset,
        resting=1.0 * hardness,
        uncoded=0.6 * hardness,
        mixing=0.25 * hardness,
        amplitude_spread=round(0.25 + 0.15 * hardness, 6),
        light=lit * (1.0 + 0.5 * hardness),
    )


def letter_shares(intensities: np.ndarray, level: float) -> np.ndarray:
    """Shares of the letters A to E among the frames that are coded, pooled over AUs; those below the level are not coded.

    Args:
      intensities: [N, A] float, 0..5; level: 1 (A) to 5 (E).

    Returns:
      [5] float64, which sum to 1.

    Example:
      >>> letter_shares(np.array([[0.5, 1.2], [1.9, 3.0], [5.0, 0.0]]), level=1.0).tolist()
      [0.5, 0.0, 0.25, 0.0, 0.25]
    """
    letters = np.floor(intensities[intensities >= level]).astype(int)
    counts = np.bincount(letters, minlength=6)[1:6]
    return counts / max(counts.sum(), 1)


def codes_of(preset: presets.Preset, seed: int, videos: int) -> dict[str, Any]:
    """What coders make of a preset, without a picture.

    Args:
      preset: whose people are coded by two coders.
      seed: render seed; videos: of each person, at most.

    Returns:
      letters [5], kappa (average of the AUs), rates [A], events [A] (median length in seconds).

    Example:
      >>> codes = codes_of(dataclasses.replace(presets.get_preset("tiny"), frames_per_video=100), seed=0, videos=1)
      >>> codes["kappa"], codes["rates"].shape
      (1.0, (12,))
    """
    columns = [AUS.index(au) for au in LETTER_AUS]
    level = LEVELS[preset.level]
    seen, labels, others, lengths = [], [], [], [[] for _ in AUS]
    for subject in subject_names(preset):
        for video in video_names(preset, subject)[:videos]:
            intensities, coded = video_codes(preset, seed, subject, video)
            other = video_codes(preset, seed, subject, video, coder=1)[1]
            known = coded[:, 0] != 0
            seen.append(intensities[known])
            labels.append(coded[known])
            others.append(other[known])
            for column, found in enumerate(lengths):
                edges = np.diff(np.concatenate([[0], intensities[:, column] >= level, [0]]).astype(int))
                found += list(np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0))
    one, two = np.concatenate(labels), np.concatenate(others)
    return {
        "letters": letter_shares(np.concatenate(seen)[:, columns], level),
        "kappa": float(kappa(agreement_counts(one, two)).mean()),
        "rates": (one > 0).mean(0),
        "events": np.array([np.median(found) if found else np.nan for found in lengths]) / preset.fps,
    }


def fit_codes(dataset: str, faintness: Sequence[float], errors: Sequence[float], videos: int = 2) -> str:
    """The codes of every pair of `faintness` and `coder_error`, as a table; the protocol's bounds are told with it."""
    rows = [["faintness", "coder_error", "A", "B", "C", "D", "E", "largest difference", "kappa", "AUs a frame"]]
    wanted = np.array(LETTERS)
    preset = presets.get_preset(f"{dataset}_like")
    frames = min(preset.frames_per_video, 600)
    if preset.level == "B":
        # The paper's GFT counts from B: what A is not coded.
        wanted = np.where(np.arange(5) >= 1, wanted, 0.0) / wanted[1:].sum()
    for power, error in itertools.product(faintness, errors):
        trial = dataclasses.replace(preset, faintness=power, coder_error=error, frames_per_video=frames)
        codes = codes_of(trial, SEED, videos)
        apart = float(np.abs(codes["letters"] - wanted).max())
        rows.append([f"{power:g}", f"{error:g}", *(f"{100 * share:.1f}" for share in codes["letters"])])
        rows[-1] += [f"{100 * apart:.1f}", f"{codes['kappa']:.2f}", f"{codes['rates'].sum():.2f}"]
        print(" | ".join(rows[-1]), flush=True)
    return aligned(rows)


def calibration_config(dataset: str, out: Path, hardness: float, checks: bool = False) -> Config:
    """The run of HOG+SVM on a preset of a hardness: the scale "small", fewer frames, thresholds at 0 as in the paper."""
    config = scales.get_config(f"{dataset}-3fold-small")
    subjects, videos, frames = (_CHECKED if checks else _SIZES)[dataset]
    config.update_from_flattened_dict(
        {
            "systems": ("hog_svm",),
            "data.subjects": subjects,
            "data.videos": videos,
            "data.frames": frames,
            "data.render_seed": SEED,
            "data.directory": str(out / f"{dataset}_{hardness:g}_{'checks' if checks else 'data'}"),
            # Of a person's 240 frames (200 on GFT) every fourth is used at that scale; here all 16 are.
            "hog_svm.frame_step": 1,
            "protocol.threshold": "zero",
        }
    )
    return typed(config)


def thinned(dataset: str, hardness: float) -> presets.Preset:
    """The dataset's preset at a hardness, with every fourth frame of what it films.

    Example:
      >>> thinned("gft", 0.0).fps
      7.5
    """
    preset = presets.get_preset(f"{dataset}_like")
    return harder(dataclasses.replace(preset, fps=preset.fps / _EVERY), hardness)


@contextlib.contextmanager
def standing_in(name: str, preset: presets.Preset) -> Iterator[None]:
    """Lets a preset stand under a name for a while.

    Example:
      >>> easy = dataclasses.replace(presets.get_preset("tiny"), noise=0.0)
      >>> with standing_in("tiny", easy):
      ...     presets.get_preset("tiny").noise
      0.0
    """
    before = presets.PRESETS[name]
    presets.PRESETS[name] = preset
    try:
        yield
    finally:
        presets.PRESETS[name] = before


def correlation(counts: metrics.Counts) -> np.ndarray:
    """Matthews' correlation per AU: [A] float64, 0 where it is undefined."""
    tp, fp, fn, tn = (np.asarray(part, float) for part in (counts.tp, counts.fp, counts.fn, counts.tn))
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.where(below > 0, (tp * tn - fp * fn) / np.where(below > 0, below, 1.0), 0.0)


def score(dataset: str, out: Path, hardness: float) -> dict[str, float]:
    """Draws, trains and scores HOG+SVM; reads what an earlier start finished.

    Returns:
      f1, always (both F1-frame, percent), auc (percent), mcc, lost (share of frames without a face), missing labels aside.
    """
    path = out / f"{dataset}_{hardness:g}.json"
    if path.exists():
        return files.read_json(path)
    folder = out / f"{dataset}_{hardness:g}"
    with standing_in(f"{dataset}_like", thinned(dataset, hardness)):
        results = run(calibration_config(dataset, out, hardness), folder)
        lost = lost_share(dataset, out, hardness)
    folds = {index: read_scores(RunDir(folder).score_path(index, "hog_svm")) for index in range(3)}
    system, always = results["systems"]["hog_svm"], results["always_present"]
    found = {
        "f1": average_in_results(system["f1_frame"]),
        "always": average_in_results(always["f1_frame"]),
        "auc": 100 * float(np.nanmean(fold_auc(folds))),
        "mcc": float(correlation(metrics.pooled(list(subject_counts(folds).values()))).mean()),
        "lost": lost,
    }
    files.write_json(path, found)
    return found


def lost_share(dataset: str, out: Path, hardness: float) -> float:
    """Share of the prepared frames in which no face was found."""
    faces = load_dataset(calibration_config(dataset, out, hardness).data)
    found = np.concatenate([records.face_detected for records in faces.load(faces.subjects)])
    return float(1 - found.mean())


def person_share(features: np.ndarray, subject: np.ndarray) -> float:
    """Share of the variance of features that is between people: of all components together.

    Args:
      features: [N, D]; subject: [N] int, of 0 to the number of people.

    Example:
      >>> person_share(np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1])).__round__(3)
      0.962
    """
    means = np.stack([features[subject == index].mean(0, dtype=np.float64) for index in range(subject.max() + 1)])
    total = np.square(features - features.mean(0, dtype=np.float64)).sum()
    return float(np.square(means[subject] - features.mean(0, dtype=np.float64)).sum() / total)


def check(dataset: str, out: Path, hardness: float) -> dict[str, Any]:
    """What the protocol looks at afterwards, on faces of the same people: figs. 3 and 4 without a network, and the codes.

    Returns:
      neighbours ("subject" in other recordings, or in the other half of the only one, "au12" among other people: accuracy and
      chance), person_share (of HOG's variance), order (shares of resamplings that
      have HOG below Gabor, Gabor below shape), divergence (log10(1e6 S) of each), and what `codes_of` returns.
    """
    config = calibration_config(dataset, out, hardness, checks=True)
    with standing_in(f"{dataset}_like", thinned(dataset, hardness)):
        faces = load_dataset(config.data)
        sample = sample_faces(faces, faces.subjects, people=0, per_person=config.data.videos * config.data.frames)
    features = {name: _descriptor(name, sample) for name in ("HOG", "Gabor", "Shape")}
    components = feature_space.reduced(features["HOG"])
    by_target = neighbours(components, sample, sample.labels[:, AUS.index(12)])
    matrices = {
        name: feature_space.js_matrix(feature_space.distributions(sample.subject_means(rows)))
        for name, rows in features.items()
    }
    order = feature_space.order_shares(feature_space.bootstrap_divergences(matrices, 1000, SEED))
    readings = {
        name: feature_space.readings(matrix.sum(1), features[name].shape[1]) for name, matrix in matrices.items()
    }
    preset = harder(presets.get_preset(f"{dataset}_like"), hardness)
    codes = codes_of(dataclasses.replace(preset, frames_per_video=min(preset.frames_per_video, 900)), SEED, videos=4)
    return {
        "neighbours": by_target,
        "person_share": person_share(components, sample.subject),
        "order": order,
        "divergence": {
            name: {key: float(np.mean(each)) for key, each in row.items()} for name, row in readings.items()
        },
        "kappa": codes["kappa"],
        "letters": codes["letters"].round(3).tolist(),
        "rates": (codes["rates"] - np.array(preset.rates)).round(3).tolist(),
        "events": (codes["events"] / np.array(preset.event_seconds)).round(2).tolist(),
    }


def neighbours(features: np.ndarray, sample: FaceSample, labels: np.ndarray) -> dict[str, tuple[float, float]]:
    """How often a frame's nearest neighbours are of its person, and of its label: accuracy and chance of each.

    Args:
      features: [N, D] of the sample's frames; labels: [N] of AU 12.

    Returns:
      "subject" (among frames of other recordings; of the other half where a person has one), "au12" (among other people).
    """
    names = [f"{who}/{video}" for who, video in zip(sample.subject, sample.videos, strict=True)]
    recordings, elsewhere = np.unique(names, return_inverse=True)
    if len(recordings) == len(sample.subjects):
        elsewhere = 2 * sample.subject + sample.half
    known = labels != MISSING
    person = feature_space.neighbour_accuracy(features, sample.subject, elsewhere)
    au = feature_space.neighbour_accuracy(features[known], labels[known], sample.subject[known])
    return {
        "subject": (person, feature_space.chance(sample.subject)),
        "au12": (au, feature_space.chance(labels[known])),
    }


def _descriptor(name: str, sample: FaceSample) -> np.ndarray:
    """Of all frames; none of these three asks for a network."""
    return extract_descriptor(name, sample, cast(TrainedFold, None))


def nearest(scores: dict[float, dict[str, float]], dataset: str) -> float:
    """The hardness whose F1-frame is nearest to the middle of the published figures; of equals the smallest.

    Example:
      >>> nearest({0.0: {"f1": 70.0}, 1.0: {"f1": 46.0}, 2.0: {"f1": 40.0}}, "bp4d")  # the middle is 44.1
      1.0
    """
    middle = sum(PUBLISHED[dataset]) / 2
    return min(sorted(scores), key=lambda hardness: abs(scores[hardness]["f1"] - middle))


def table(scores: dict[float, dict[str, float]], dataset: str) -> str:
    """The scores of every hardness tried, and which is nearest, as Markdown."""
    low, high = PUBLISHED[dataset]
    rows = [["hardness", "always present", "HOG+SVM F1-frame", "AUC", "Matthews' correlation", "faces lost, %"]]
    for hardness, found in sorted(scores.items()):
        numbers = (found["always"], found["f1"], found["auc"])
        rows.append([f"{hardness:g}", *(f"{number:.1f}" for number in numbers), f"{found['mcc']:.2f}"])
        rows[-1].append(f"{100 * found['lost']:.1f}")
    best = nearest(scores, dataset)
    inside = "inside" if low <= scores[best]["f1"] <= high else "outside"
    return f"{aligned(rows)}\n\nnearest to {(low + high) / 2:.1f}: {best:g}, {inside} {low} to {high}"


def main() -> None:
    """Runs the command line."""
    dataset = flags.DEFINE_enum("dataset", "bp4d", list(scales.DATASETS), "Whose stand-in is calibrated.")
    stage = flags.DEFINE_enum("stage", "codes", ["codes", "pictures", "checks"], "What is fitted, or looked at.")
    out = flags.DEFINE_string("out", "runs/calibration", "Folder of runs and faces (pictures).")
    hardness = flags.DEFINE_list("hardness", [f"{value:g}" for value in HARDNESS], "What is tried (pictures).")
    faintness = flags.DEFINE_list("faintness", ["1", "1.2", "1.4"], "What is tried (codes).")
    errors = flags.DEFINE_list("coder_error", ["0.1", "0.2", "0.3"], "What is tried (codes).")

    def calibrate() -> None:
        if stage.value == "codes":
            print(fit_codes(dataset.value, [float(x) for x in faintness.value], [float(x) for x in errors.value]))
            return
        if stage.value == "checks":
            for value in map(float, hardness.value):
                print(json.dumps(check(dataset.value, Path(out.value), value), indent=1), flush=True)
            return
        scores: dict[float, dict[str, float]] = {}
        for value in map(float, hardness.value):
            if value not in HARDNESS:
                raise CommandError(f"--hardness={value:g}: the protocol allows {', '.join(f'{h:g}' for h in HARDNESS)}")
            scores[value] = score(dataset.value, Path(out.value), value)
            print(table(scores, dataset.value), flush=True)

    run_command(calibrate, resumes=True)


if __name__ == "__main__":
    main()
