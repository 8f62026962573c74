"""Subsequences of frame features for the LSTM (section IV-B): sampling with 1.5 active AUs a frame, resets and burn-in.

The burn-in is masked here: `cut_subsequence` gives the first `config.lstm.burn_in` steps of a subsequence mask 0, so that
the loss leaves them out. (`au_jax.models.lstm` stops the gradient at the same step.)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import tensorflow as tf
from jaxtyping import Bool, Float, Float32, Int, Int8

from au_jax.data.tfrecord_index import no_autograph

MAX_TRIES = 50
"""Starts that are tried for one subsequence before the most active one so far is taken."""


@dataclass(frozen=True)
class TrainingVideo:
    """One long video that subsequences are cut from.

    Attributes:
      features: of every frame.
      labels: in {-1, 0, +1}.
      reset: True where a recording begins.

    Example:
      >>> labels, reset = np.ones((5, 12), np.int8), np.arange(5) == 0
      >>> len(TrainingVideo(np.zeros((5, 3), np.float32), labels, reset))
      5
    """

    features: Float32[np.ndarray, "L D"]
    labels: Int8[np.ndarray, "L A"]
    reset: Bool[np.ndarray, " L"]

    def __len__(self) -> int:
        return len(self.labels)


def training_videos(
    features: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], concatenate: bool
) -> list[TrainingVideo]:
    """Makes the videos that subsequences are cut from.

    Args:
      features: "<subject>/<video>" -> [T, D] float32.
      labels: "<subject>/<video>" -> [T, A] int8, the same keys in the same order.
      concatenate: join a subject's videos end to end, with a reset at each beginning (BP4D's recordings are shorter than
        the paper's 1300 frames); else every recording is its own.

    Example:
      >>> features = {"F001/T1": np.zeros((3, 8)), "F001/T2": np.zeros((2, 8))}
      >>> labels = {key: np.ones((len(rows), 12), np.int8) for key, rows in features.items()}
      >>> training_videos(features, labels, concatenate=True)[0].reset.tolist()
      [True, False, False, True, False]
    """
    groups: dict[str, list[str]] = {}
    for key in features:
        groups.setdefault(key.rsplit("/", 1)[0] if concatenate else key, []).append(key)
    return [
        TrainingVideo(
            np.concatenate([features[key] for key in keys]).astype(np.float32),
            np.concatenate([labels[key] for key in keys]),
            np.concatenate([np.arange(len(labels[key])) == 0 for key in keys]),
        )
        for keys in groups.values()
    ]


def sample_subsequence(
    generator: np.random.Generator, videos: Sequence[TrainingVideo], length: int, min_active: float
) -> tuple[int, int]:
    """Samples a video in proportion to its length and a start in it, again while too few AUs are active.

    Args:
      generator: of the epoch.
      videos: to choose from.
      length: frames of the subsequence.
      min_active: mean number of AUs present in a frame, 1.5 in the paper.

    Returns:
      The video's number and the first frame. After `MAX_TRIES` tries the most active one of them.

    Example:
      >>> quiet = TrainingVideo(np.zeros((9, 1), np.float32), -np.ones((9, 2), np.int8), np.zeros(9, bool))
      >>> active = TrainingVideo(np.zeros((9, 1), np.float32), np.ones((9, 2), np.int8), np.zeros(9, bool))
      >>> sample_subsequence(np.random.default_rng(0), [quiet, active], length=9, min_active=1.5)
      (1, 0)
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


def even_subsequences(
    generator: np.random.Generator, videos: Sequence[TrainingVideo], length: int
) -> Iterator[tuple[int, int]]:
    """Goes through the videos in random orders without end, every video once before any comes again.

    Args:
      generator: of the epoch.
      videos: to choose from.
      length: frames of a subsequence.

    Yields:
      A video's number and a random first frame.

    Example:
      >>> video = TrainingVideo(np.zeros((5, 1), np.float32), np.ones((5, 2), np.int8), np.zeros(5, bool))
      >>> pairs = even_subsequences(np.random.default_rng(0), [video] * 3, length=5)
      >>> sorted(next(pairs) for _ in range(3))
      [(0, 0), (1, 0), (2, 0)]
    """
    while True:
        for number in generator.permutation(len(videos)):
            yield int(number), int(generator.integers(max(len(videos[number]) - length, 0) + 1))


def cut_subsequence(video: TrainingVideo, start: int, length: int, burn_in: int) -> dict[str, np.ndarray]:
    """Cuts a subsequence and masks its burn-in; a video that is too short is filled up with masked steps.

    Args:
      video: to cut from.
      start: first frame.
      length: number of steps.
      burn_in: number of first steps that carry too little context to be trained on.

    Returns:
      features [length, D] float32, labels [length, A] int8, reset [length] bool and mask [length] float32: 0 for the
      first `burn_in` steps and after the video's end.

    Example:
      >>> video = TrainingVideo(np.zeros((5, 1), np.float32), np.ones((5, 2), np.int8), np.zeros(5, bool))
      >>> cut_subsequence(video, start=1, length=6, burn_in=2)["mask"].tolist()
      [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
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


@no_autograph
def subsequence_batches(
    videos: Sequence[TrainingVideo],
    *,
    seed: int,
    epoch: int,
    steps: int,
    batch_size: int,
    length: int,
    burn_in: int,
    min_active: float,
    sampling: str = "active",
) -> Iterator[dict[str, np.ndarray]]:
    """Streams the batches of one epoch through tf.data; a pure function of (seed, epoch).

    Args:
      videos: to cut from.
      seed: decides the subsequences, together with `epoch`.
      epoch: number of the epoch.
      steps: number of batches in it.
      batch_size: subsequences in a batch.
      length: steps of a subsequence, 1300 frames in the paper.
      burn_in: see `cut_subsequence`.
      min_active: see `sample_subsequence`.
      sampling: "active" (`sample_subsequence`) or "even" (`even_subsequences`).

    Returns:
      `steps` dicts of features [B, T, D], labels [B, T, A], reset [B, T] and mask [B, T], as `cut_subsequence` makes them.

    Example:
      >>> labels, reset = np.ones((9, 2), np.int8), np.arange(9) == 0
      >>> video = TrainingVideo(np.zeros((9, 3), np.float32), labels, reset)
      >>> sizes = {"steps": 2, "batch_size": 4, "length": 5, "burn_in": 1, "min_active": 0.0}
      >>> batches = list(subsequence_batches([video], seed=0, epoch=0, **sizes))
      >>> len(batches), batches[0]["features"].shape, batches[0]["labels"].shape
      (2, (4, 5, 3), (4, 5, 2))
    """

    def batches() -> Iterator[dict[str, np.ndarray]]:
        generator = np.random.default_rng([seed, epoch])
        even = even_subsequences(generator, videos, length)
        # A whole batch at once: handing subsequences to tf.data one by one takes longer than cutting them.
        for _ in range(steps):
            sample = [
                next(even) if sampling == "even" else sample_subsequence(generator, videos, length, min_active)
                for _ in range(batch_size)
            ]
            parts = [cut_subsequence(videos[number], start, length, burn_in) for number, start in sample]
            yield {name: np.stack([part[name] for part in parts]) for name in signature}

    signature = {
        "features": tf.TensorSpec((batch_size, length, videos[0].features.shape[-1]), tf.float32),
        "labels": tf.TensorSpec((batch_size, length, videos[0].labels.shape[-1]), tf.int8),
        "reset": tf.TensorSpec((batch_size, length), tf.bool),
        "mask": tf.TensorSpec((batch_size, length), tf.float32),
    }
    stream = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return cast(Iterator[Any], stream.prefetch(2).as_numpy_iterator())


def whole_videos(
    features: Mapping[str, Float[np.ndarray, "_ D"]], length: int
) -> tuple[Float32[np.ndarray, "V T D"], Int[np.ndarray, " V"]]:
    """Stacks videos for scoring; T is the next multiple of `length`.

    The padding stands after each video's end, where it cannot change the scores before it.

    Args:
      features: video -> its frames' features.
      length: see above, in frames.

    Returns:
      The stacked features, and the frames of each video.

    Example:
      >>> stacked, lengths = whole_videos({"a": np.ones((3, 2)), "b": np.ones((5, 2))}, length=4)
      >>> stacked.shape, lengths.tolist()
      ((2, 8, 2), [3, 5])
    """
    lengths = np.array([len(rows) for rows in features.values()])
    steps = int(-(-lengths.max() // length) * length)
    stacked = np.stack([np.pad(rows, ((0, steps - len(rows)), (0, 0))) for rows in features.values()])
    return stacked.astype(np.float32), lengths
