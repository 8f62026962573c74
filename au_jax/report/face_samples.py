"""Frames of some people, and their descriptors: what Figs. 3 and 4 of the paper (IV-C) compare."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Float32, Int, Int8, Shaped, UInt8

from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.input_pipeline import read_frames
from au_jax.descriptors.gabor import gabor
from au_jax.descriptors.hog import hog
from au_jax.descriptors.shape import shape
from au_jax.descriptors.vgg_face import VggFaceWeights, vgg_face
from au_jax.errors import CommandError, DataError
from au_jax.models.hybrid import cnn_forward
from au_jax.run_dir import TrainedFold

_BATCH = 128


@dataclass(frozen=True)
class FaceSample:
    """Frames in which the face was detected, in order of subject and time.

    Attributes:
      images: [N, S, S, 3] uint8 registered faces.
      landmarks: [N, 49, 2] float32 pixels.
      labels: [N, A] int8.
      subject: [N] int, index into `subjects`.
      half: [N] int, 0 or 1: the first or the second half of the subject's frames here.
      subjects: names.
      videos: [N] names of the videos.
      frames: [N] frame numbers in them.

    Example:
      >>> from au_jax.data.preparation import load_dataset
      >>> from au_jax.run_dir import load_run
      >>> dataset = load_dataset(load_run(run_folder).config.data)
      >>> sample = sample_faces(dataset, dataset.subjects, people=2, per_person=3)
      >>> sample.subject_means(np.zeros((len(sample.subject), 5))).shape
      (2, 5)
    """

    images: UInt8[np.ndarray, "N S S 3"]
    landmarks: Float32[np.ndarray, "N 49 2"]
    labels: Int8[np.ndarray, "N A"]
    subject: Int[np.ndarray, " N"]
    half: Int[np.ndarray, " N"]
    subjects: tuple[str, ...]
    videos: Shaped[np.ndarray, " N"]
    frames: Int[np.ndarray, " N"]

    def subject_means(self, features: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "P D"]:
        """Mean feature vector of every subject, [N, D] -> [subjects, D] float64."""
        return np.stack(
            [features[self.subject == index].mean(0, dtype=np.float64) for index in range(len(self.subjects))]
        )


def sample_faces(dataset: FaceDataset, subjects: Sequence[str], people: int, per_person: int) -> FaceSample:
    """Takes frames at even distances in time, of people spread evenly over the subjects.

    Args:
      dataset: where they are.
      subjects: candidates.
      people: at most so many of them; 0 = all.
      per_person: at most so many frames of each.

    Raises:
      CommandError: a number below 1.
      DataError: no face was detected in any frame.

    Example:
      >>> fold = TrainedFold(run_folder)
      >>> sample = sample_faces(fold.dataset, fold.test_subjects, people=2, per_person=3)
      >>> len(sample.images), sample.subject.tolist(), sample.half.tolist()
      (6, [0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 1])
    """
    if people < 0 or per_person < 2:
        raise CommandError(f"--people={people} --frames={per_person}: give 0 (all) or more people and 2 or more frames")
    parts, kept = [], []
    for index in _spread(len(subjects), people or len(subjects)):
        faces = FaceSet(dataset, (str(subjects[int(index)]),))
        detected = np.flatnonzero(faces.face_detected)
        if len(detected) < 2:
            continue
        rows = detected[_spread(len(detected), per_person)]
        ends = np.cumsum([len(video) for video in faces.videos])
        names = np.array([video.name for video in faces.videos])
        parts.append(
            (
                np.stack(list(read_frames(faces, rows.tolist()))),
                faces.landmarks[rows],
                faces.labels[rows],
                np.full(len(rows), len(kept)),
                (np.arange(len(rows)) >= len(rows) / 2).astype(int),
                names[np.searchsorted(ends, rows, side="right")],
                faces.frame_numbers[rows],
            )
        )
        kept.append(subjects[index])
    if not parts:
        raise DataError(
            "no face of these people was detected in two frames, so there is nothing to describe; choose another --fold or run"
        )
    images, landmarks, labels, subject, half, videos, frames = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return FaceSample(images, landmarks, labels, subject, half, tuple(kept), videos, frames)


def _spread(total: int, number: int) -> Int[np.ndarray, " K"]:
    """At most `number` of 0..total - 1, at even distances."""
    return np.linspace(0, total - 1, min(total, number)).astype(int)


DESCRIPTORS: tuple[str, ...] = ("Shape", "Gabor", "HOG", "VGG-Face", "fc7")
"""Names of the descriptors in the paper."""


def extract_descriptor(
    name: str, sample: FaceSample, network: TrainedFold, vgg: VggFaceWeights | None = None
) -> Float[np.ndarray, "N D"]:
    """A descriptor of the sample's frames.

    Args:
      name: of `DESCRIPTORS`.
      sample: N frames.
      network: whose CNN's fc7 it is.
      vgg: VGG-Face, for that descriptor.

    Returns:
      [N, D] float32.

    Raises:
      ValueError: another name, or VGG-Face without its weights.
      DataError: fc7 of faces of another size than the CNN's.

    Example:
      >>> fold = TrainedFold(run_folder)
      >>> sample = sample_faces(fold.dataset, fold.test_subjects, people=1, per_person=2)
      >>> extract_descriptor("Shape", sample, fold).shape
      (2, 98)
    """
    match name:
        case "Shape":
            return np.asarray(shape(sample.landmarks, sample.images.shape[1]))
        case "Gabor":
            return _in_batches(gabor, sample.images, sample.landmarks)
        case "HOG":
            return _in_batches(hog, sample.images, sample.landmarks)
        case "VGG-Face" if vgg is not None:
            # Its first maps are 13 MB a face.
            return _in_batches(functools.partial(jax.jit(vgg_face), jax.device_put(vgg)), sample.images, size=16)
        case "fc7":
            return fc7(network, sample.images)
    raise ValueError(f"{name!r} is no descriptor of these frames; choose one of {', '.join(DESCRIPTORS)}")


def fc7(network: TrainedFold, images: UInt8[np.ndarray, "N S S 3"]) -> Float32[np.ndarray, "N D"]:
    """The L2-normalised fc7 of a fold's CNN (III-A).

    Args:
      network: the fold.
      images: [N, S, S, 3] uint8 registered faces.

    Returns:
      [N, D] float32.

    Raises:
      DataError: the faces are of another size than the CNN's.

    Example:
      >>> rows = fc7(TrainedFold(run_folder), np.zeros((2, 40, 40, 3), np.uint8))
      >>> len(rows), np.linalg.norm(rows, axis=1).round(3).tolist()
      (2, [1.0, 1.0])
    """
    size, window = network.config.data.image_size, network.window
    if images.shape[1] != size:
        raise DataError(
            f"{network.folder} was trained on faces of {size} px and is shown faces of {images.shape[1]} px; take two "
            "runs with the same config.data.image_size"
        )
    forward = jax.jit(functools.partial(cnn_forward, network.model))
    variables, place = jax.device_put(network.cnn), np.full((_BATCH, 2), window.start, np.int32)
    return _in_batches(
        lambda crops: forward(variables, {"image": crops, "offset": place, "flip": np.zeros(_BATCH, bool)})[1],
        images[:, window, window],
    )


def _in_batches(function: Callable[..., Any], *arrays: np.ndarray, size: int = _BATCH) -> np.ndarray:
    return np.concatenate([np.asarray(function(*parts))[:count] for *parts, count in _padded(*arrays, size=size)])


def _padded(*arrays: np.ndarray, size: int) -> Iterator[Any]:
    """Batches of `size` rows, the last filled up with zeros: one shape, one compilation; and how many rows count."""
    for start in range(0, len(arrays[0]), size):
        parts = [rows[start : start + size] for rows in arrays]
        count = len(parts[0])
        yield *(np.pad(part, [(0, size - count)] + [(0, 0)] * (part.ndim - 1)) for part in parts), count
