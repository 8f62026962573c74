"""Subsequences of frame features for the LSTM: sampling with the 1.5-active-AU filter, resets and burn-in (section IV-B)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import tensorflow as tf

from au_jax.data.tfrecord_index import as_written
from au_jax.labels import NUM_AUS

MAX_TRIES = 50
"""Draws for one subsequence before the most active one so far is taken."""


@dataclass(frozen=True)
class TrainingVideo:
    """One long video: features [L, D] float32, labels [L, 12] int8, reset [L] bool, True where a recording begins."""

    features: np.ndarray
    labels: np.ndarray
    reset: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def training_videos(
    features: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], concatenate: bool
) -> list[TrainingVideo]:
    """Makes the videos that subsequences are drawn from.

    Args:
      features: "<subject>/<video>" -> [T, D] float32.
      labels: "<subject>/<video>" -> [T, 12] int8, the same keys in the same order.
      concatenate: join a subject's videos end to end, with a reset at each beginning (notes section 4: BP4D's recordings
        are shorter than 1300 frames); else every recording is its own.
    """
    groups: dict[str, list[str]] = {}
    for key in features:
        groups.setdefault(key.rsplit("/", 1)[0] if concatenate else key, []).append(key)
    videos = []
    for keys in groups.values():
        starts = [np.arange(len(labels[key])) == 0 for key in keys]
        videos.append(
            TrainingVideo(
                np.concatenate([features[key] for key in keys]).astype(np.float32),
                np.concatenate([labels[key] for key in keys]),
                np.concatenate(starts),
            )
        )
    return videos


def draw_subsequence(
    generator: np.random.Generator, videos: Sequence[TrainingVideo], length: int, min_active: float
) -> tuple[int, int]:
    """Draws a video in proportion to its length and a start in it, again while too few AUs are active.

    Returns:
      The video's number and the first frame. After `MAX_TRIES` draws the most active one of them.
    """
    lengths = np.array([len(video) for video in videos], np.float64)
    best, best_active = (0, 0), -1.0
    for _ in range(MAX_TRIES):
        number = int(generator.choice(len(videos), p=lengths / lengths.sum()))
        start = int(generator.integers(max(len(videos[number]) - length, 0) + 1))
        active = float((videos[number].labels[start : start + length] > 0).sum(-1).mean())
        if active > best_active:
            best, best_active = (number, start), active
        if active >= min_active:
            break
    return best


def cut(video: TrainingVideo, start: int, length: int, burn_in: int) -> dict[str, np.ndarray]:
    """Cuts a subsequence; a video that is too short is filled up with masked steps.

    Returns:
      features [length, D] float32, labels [length, 12] int8, reset [length] bool and mask [length] float32: 0 for the
      first `burn_in` steps, which carry too little context, and after the video's end.
    """
    stop = min(start + length, len(video))
    missing = length - (stop - start)
    mask = np.zeros(length, np.float32)
    mask[burn_in : stop - start] = 1.0
    reset = np.pad(video.reset[start:stop], (0, missing))
    reset[0] = True
    return {
        "features": np.pad(video.features[start:stop], ((0, missing), (0, 0))),
        "labels": np.pad(video.labels[start:stop], ((0, missing), (0, 0))),
        "reset": reset,
        "mask": mask,
    }


@as_written
def subsequence_batches(
    videos: Sequence[TrainingVideo],
    *,
    seed: int,
    epoch: int,
    updates: int,
    batch_size: int,
    length: int,
    burn_in: int,
    min_active: float,
) -> Iterator[dict[str, np.ndarray]]:
    """Streams the batches of one pass through tf.data; a pure function of (seed, epoch).

    Returns:
      `updates` dicts of features [B, T, D], labels [B, T, 12], reset [B, T] and mask [B, T], as `cut` makes them.
    """
    dimension = videos[0].features.shape[1]
    generator = np.random.default_rng([seed, epoch])

    def draw():
        # A whole batch at once: handing subsequences to tf.data one by one takes longer than cutting them.
        for _ in range(updates):
            drawn = [draw_subsequence(generator, videos, length, min_active) for _ in range(batch_size)]
            parts = [cut(videos[number], start, length, burn_in) for number, start in drawn]
            yield {name: np.stack([part[name] for part in parts]) for name in signature}

    signature = {
        "features": tf.TensorSpec((batch_size, length, dimension), tf.float32),
        "labels": tf.TensorSpec((batch_size, length, NUM_AUS), tf.int8),
        "reset": tf.TensorSpec((batch_size, length), tf.bool),
        "mask": tf.TensorSpec((batch_size, length), tf.float32),
    }
    stream = tf.data.Dataset.from_generator(draw, output_signature=signature)
    return cast(Iterator[Any], stream.prefetch(2).as_numpy_iterator())


def whole_videos(features: Mapping[str, np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Stacks videos for scoring: [V, T, D] float32 and the lengths [V]; T is the next multiple of `length`.

    The padding stands after each video's end, where it cannot change the scores before it.
    """
    lengths = np.array([len(rows) for rows in features.values()])
    steps = int(-(-lengths.max() // length) * length)
    stacked = np.stack([np.pad(rows, ((0, steps - len(rows)), (0, 0))) for rows in features.values()])
    return stacked.astype(np.float32), lengths
