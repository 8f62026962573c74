"""Registered faces with their codes: the frames from the first to the last coded one, in parts."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from au_jax.data.readers.codes import Codes, spans
from au_jax.data.recordings import Faces, Problem
from au_jax.errors import UserError
from au_jax.labels import MISSING

if TYPE_CHECKING:
    from au_jax.faces.registered import RegisteredFace
    from au_jax.faces.video import Picture

_CHUNK = 64  # frames


def coded_faces(pictures: Iterable["Picture"], codes: Codes, size: int, place: Path) -> Iterator[Faces]:
    """Registers the frames from the first to the last coded one; decoding stops behind it.

    A frame has labels 0 where it has no row of codes, cannot be read or shows no face.

    Args:
      pictures: the frames of a recording in order of number.
      codes: their codes.
      size: side of a registered face in pixels.
      place: video or folder, for messages.

    Yields:
      Faces of up to 64 frames; the last has the problems met.

    Raises:
      UserError: no frame has codes.
    """
    from au_jax.faces.registered import register_pictures

    first, last = codes.frames[0], codes.frames[-1]
    unreadable: list[int] = []

    def coded() -> Iterator["Picture"]:
        for picture in pictures:
            if picture.number >= first:
                if picture.image is None:
                    unreadable.append(picture.number)
                yield picture
            if picture.number >= last:
                return

    numbers: list[int] = []
    unfound: list[int] = []
    rows: list[RegisteredFace] = []
    for face in register_pictures(coded(), size):
        if len(rows) == _CHUNK:
            yield _chunk(rows, codes)
            rows = []
        # Whole frames of a chunk would fill the memory.
        rows.append(dataclasses.replace(face, picture=None))
        numbers.append(face.number)
        if face.face is None:
            unfound.append(face.number)
    lacking = np.setdiff1d(codes.frames, numbers)
    if len(lacking) == len(codes.frames):
        raise UserError(f"{place} has none of the frames {spans(codes.frames)} that have codes; mend their numbers")
    problems = (
        ("label without frame", "have codes, but there is no such frame", lacking),
        ("unreadable frame", "cannot be read", unreadable),
        ("frame without face", "show no face that was found", np.setdiff1d(unfound, unreadable)),
    )
    yield _chunk(
        rows,
        codes,
        tuple(
            Problem(kind, str(place), f"frames {spans(np.asarray(frames))} {text}", len(frames))
            for kind, text, frames in problems
            if len(frames)
        ),
    )


def _chunk(rows: list["RegisteredFace"], codes: Codes, problems: tuple[Problem, ...] = ()) -> Faces:
    frames = np.array([row.number for row in rows], np.int32)
    found = np.array([row.face is not None for row in rows])
    places = np.minimum(np.searchsorted(codes.frames, frames), len(codes.frames) - 1)
    coded = found & (codes.frames[places] == frames)
    return Faces(
        images=np.stack([row.image for row in rows]),
        labels=np.where(coded[:, None], codes.labels[places], np.int8(MISSING)),
        landmarks=np.stack([row.landmarks for row in rows]).astype(np.float32),
        frames=frames,
        found=found,
        problems=problems,
    )
