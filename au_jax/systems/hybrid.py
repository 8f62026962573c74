"""The hybrid: CNN, LSTMs on its fc7, and the fusion of both (paper section III; "Ours" in the tables)."""

import numpy as np

from au_jax.data.dataset import FaceSet
from au_jax.systems.base import FoldContext
from au_jax.systems.merging import Merging, Streams
from au_jax.systems.two_streams import TwoStreams

TRAIN_ON: tuple[str, ...] = ("validation", "out_of_fold", "train")
"""Whose scores the fusion network learns from, by `config.fusion.train_on`."""


class Hybrid:
    """The whole system; its CNN is the fold's ANet, trained here where that has not been done."""

    def __init__(self, context: FoldContext):
        self._context = context
        self._streams = TwoStreams(context)
        self._merging = Merging(context)

    def fit(self, train: FaceSet, validation: FaceSet) -> None:
        """Trains CNN, PCA and LSTM stack on training subjects, then the fusion network (notes section 3).

        The streams' scores of their own training frames are over-fitted; a fusion network that learned from them would
        trust the CNN alone. It learns from `config.fusion.train_on`: "validation" subjects, a share of which it does
        not see and which tells its best epoch; "out_of_fold" scores of the training subjects, by streams that were
        trained without them; or, to show the difference, the "train" scores themselves. For the latter two all
        validation subjects tell the best epoch.
        """
        self._streams.fit(train, validation)
        choice = self._context.config.fusion.train_on
        if choice == "validation":
            streams = self._streams.streams(validation)
            stop = self._held_out(validation)
            learn = ~stop
            if not stop.any():
                stop = learn
            arguments = (_rows(streams, learn), validation.labels[learn], _rows(streams, stop), validation.labels[stop])
        elif choice == "out_of_fold":
            streams, labels = self._out_of_fold(train, validation)
            arguments = (streams, labels, self._streams.streams(validation), validation.labels)
        else:
            arguments = (
                self._streams.streams(train),
                train.labels,
                self._streams.streams(validation),
                validation.labels,
            )
        self._merging.fit(*arguments)

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """The fusion network's logits."""
        return faces.by_video(self._merging.logits(self._streams.streams(faces)))

    def _out_of_fold(self, train: FaceSet, validation: FaceSet) -> tuple[Streams, np.ndarray]:
        """Streams and labels of all training subjects, each scored by networks that were trained on other parts."""
        parts = min(self._context.config.fusion.inner_folds, len(train.subjects))
        order = np.random.default_rng(self._context.seed(9)).permutation(len(train.subjects))
        streams, labels = [], []
        for number, chunk in enumerate(np.array_split(order, parts)):
            held = tuple(sorted(train.subjects[int(index)] for index in chunk))
            others = tuple(subject for subject in train.subjects if subject not in held)
            inner = TwoStreams(self._context.part(f"inner_{number:02d}", number))
            inner.fit(train.select(others), validation)
            streams.append(inner.streams(train.select(held)))
            labels.append(train.select(held).labels)
        cnn, lstm = zip(*streams, strict=True)
        return (np.concatenate(cnn), np.concatenate(lstm)), np.concatenate(labels)

    def _held_out(self, validation: FaceSet) -> np.ndarray:
        """Marks the frames of validation subjects that only tell the fusion network's best epoch, [N] bool."""
        count = round(self._context.config.fusion.holdout * len(validation.subjects))
        count = min(count, len(validation.subjects) - 1)
        order = np.random.default_rng(self._context.seed(8)).permutation(len(validation.subjects))
        held = {validation.subjects[index] for index in order[:count]}
        return np.concatenate([np.full(len(video), video.subject in held) for video in validation.videos])


def _rows(streams: Streams, chosen: np.ndarray) -> Streams:
    return streams[0][chosen], streams[1][chosen]
