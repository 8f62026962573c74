"""Pictures of chosen test frames, each read from where it lies: a frame at the end of a long video costs no more."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.frames import pictures
from au_jax.errors import UserError


@dataclass(frozen=True)
class Place:
    """A test frame: video key "<subject>/<video>", row within the video, frame number."""

    key: str
    row: int
    frame: int

    @property
    def subject(self) -> str:
        """Whose frame it is."""
        return self.key.rpartition("/")[0]


def decode(dataset: FaceDataset, places: Sequence[Place]) -> list[np.ndarray]:
    """The frames' pictures, [S, S, 3] uint8 each.

    Raises:
      UserError: the scores are of other frames than the dataset's; a record is damaged.
    """
    subjects = tuple(dict.fromkeys(place.subject for place in places))
    strangers = [subject for subject in subjects if subject not in dataset.subjects]
    if strangers:
        raise UserError(
            f"subject {strangers[0]} of the score files is not in the dataset; score again in a new --workdir"
        )
    faces = FaceSet(dataset, subjects, has_labels=False)
    starts = np.cumsum([0, *(len(video) for video in faces.videos)])
    videos = {video.key: slice(*bounds) for video, *bounds in zip(faces.videos, starts, starts[1:], strict=False)}
    return list(pictures(faces, [_index(faces, videos, place) for place in places]))


def _index(faces: FaceSet, videos: dict[str, slice], place: Place) -> int:
    part = videos.get(place.key, slice(0, 0))
    index = part.start + place.row
    if index >= part.stop or faces.frame_numbers[index] != place.frame:
        raise UserError(
            f"frame {place.frame} of {place.key} has scores but no picture; the dataset is not that of the run"
        )
    return index
