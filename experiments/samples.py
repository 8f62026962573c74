"""Frames of some people, and their descriptors."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import tensorflow as tf

from au_jax.data.dataset import FaceDataset
from au_jax.data.tfrecord_index import TFRecordIndex
from au_jax.descriptors.gabor import gabor
from au_jax.descriptors.hog import hog
from au_jax.descriptors.shape import shape
from au_jax.descriptors.vgg_face import Weights, vgg_face
from au_jax.errors import UserError
from au_jax.run_dir import TrainedFold
from au_jax.systems import anet

Describe = Callable[[], np.ndarray]

BATCH = 128


@dataclass(frozen=True)
class Sample:
    """Frames of which the face was found, in order of subject and time.

    Attributes:
      images: [N, S, S, 3] uint8 registered faces.
      landmarks: [N, 49, 2] float32.
      labels: [N, 12] int8.
      subject: [N] int, index into `subjects`.
      half: [N] int, 0 or 1: the first or the second half of the subject's frames here.
      subjects: names.
      videos, frames: [N] names of the videos and frame numbers in them.
    """

    images: np.ndarray
    landmarks: np.ndarray
    labels: np.ndarray
    subject: np.ndarray
    half: np.ndarray
    subjects: tuple[str, ...]
    videos: np.ndarray
    frames: np.ndarray

    def subject_means(self, features: np.ndarray) -> np.ndarray:
        """Mean feature vector of every subject, [N, D] -> [subjects, D] float64."""
        return np.stack(
            [features[self.subject == index].mean(0, dtype=np.float64) for index in range(len(self.subjects))]
        )


def draw_sample(dataset: FaceDataset, subjects: tuple[str, ...], people: int, per_person: int) -> Sample:
    """Takes frames at even distances in time, of people spread evenly over the subjects.

    Args:
      dataset: where they are.
      subjects: candidates.
      people: at most so many of them; 0 = all.
      per_person: at most so many frames of each.

    Raises:
      UserError: a number below 1, or no face was found in any frame.
    """
    if people < 0 or per_person < 2:
        raise UserError(f"--people={people} --frames={per_person}: give 0 (all) or more people and 2 or more frames")
    chosen = [subjects[int(index)] for index in _spread(len(subjects), people or len(subjects))]
    parts, kept = [], []
    for subject in chosen:
        records = dataset.records(subject)
        found = np.flatnonzero(records.face_detected)
        if len(found) < 2:
            continue
        rows = found[_spread(len(found), per_person)]
        names = np.array([video.name for video in records.videos])
        video = names[np.searchsorted([video.stop for video in records.videos], rows, side="right")]
        half = (np.arange(len(rows)) >= len(rows) / 2).astype(int)
        whose = np.full(len(rows), len(kept))
        images = _pictures(dataset, subject, rows)
        parts.append(
            (images, records.landmarks[rows], records.labels[rows], whose, half, video, records.frame_numbers[rows])
        )
        kept.append(subject)
    if not parts:
        raise UserError("none of these people's faces was found in two frames; there is nothing to describe")
    images, landmarks, labels, whose, half, videos, frames = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Sample(images, landmarks, labels, whose, half, tuple(kept), videos, frames)


def _spread(total: int, number: int) -> np.ndarray:
    """At most `number` of 0..total - 1, at even distances."""
    return np.linspace(0, total - 1, min(total, number)).astype(int)


def _pictures(dataset: FaceDataset, subject: str, rows: np.ndarray) -> np.ndarray:
    records = TFRecordIndex(dataset.shards(subject)).read(int(row) for row in rows)
    pictures = (dataset.parse(tf.constant(record))["image"] for record in records)
    return np.stack([tf.io.decode_jpeg(picture, channels=3).numpy() for picture in pictures])


def descriptors(sample: Sample, network: TrainedFold, vgg: Weights | None = None) -> dict[str, Describe]:
    """What computes each descriptor of the sample's frames, by its name in the paper: Shape, Gabor, HOG, VGG-Face, fc7.

    Args:
      sample: N frames.
      network: whose CNN's fc7 it is.
      vgg: VGG-Face; without, it is left out.

    Returns:
      name -> function that gives [N, D] float32.
    """
    size = sample.images.shape[1]
    found: dict[str, Describe] = {
        "Shape": lambda: shape(sample.landmarks, size),
        "Gabor": lambda: _in_batches(gabor, sample.images, sample.landmarks),
        "HOG": lambda: _in_batches(hog, sample.images, sample.landmarks),
    }
    if vgg is not None:
        describe = functools.partial(jax.jit(vgg_face), jax.device_put(vgg))
        # Its first maps are 13 MB a face.
        found["VGG-Face"] = lambda: _in_batches(describe, sample.images, size=16)
    found["fc7"] = lambda: fc7(network, sample.images)
    return found


def _in_batches(describe: Callable[..., jax.Array], *arrays: np.ndarray, size: int = BATCH) -> np.ndarray:
    return np.concatenate([np.asarray(describe(*parts))[:count] for *parts, count in padded(*arrays, size=size)])


def padded(*arrays: np.ndarray, size: int = BATCH) -> Iterator[Any]:
    """Batches of `size` rows, the last filled up with zeros: one shape, one compilation; and how many rows count."""
    for start in range(0, len(arrays[0]), size):
        parts = [rows[start : start + size] for rows in arrays]
        count = len(parts[0])
        yield *(np.pad(part, [(0, size - count)] + [(0, 0)] * (part.ndim - 1)) for part in parts), count


def fc7(network: TrainedFold, images: np.ndarray) -> np.ndarray:
    """The L2-normalised fc7 of a fold's CNN, of registered faces [N, S, S, 3] uint8 -> [N, D] float32.

    Raises:
      UserError: the faces are of another size than the CNN's.
    """
    size, window = network.config.data.image_size, network.window
    if images.shape[1] != size:
        raise UserError(
            f"{network.folder} was trained on faces of {size} px and is shown faces of {images.shape[1]} px; take two "
            "runs with the same config.data.image_size"
        )
    forward = jax.jit(functools.partial(anet.forward, network.model))
    variables, parts = jax.device_put(network.cnn), []
    for crops, count in padded(images[:, window, window]):
        place = {"offset": np.full((BATCH, 2), window.start, np.int32), "flip": np.zeros(BATCH, bool)}
        parts.append(np.asarray(forward(variables, {"image": crops, **place})[1])[:count])
    return np.concatenate(parts)
