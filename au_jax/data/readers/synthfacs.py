"""The embedded synthetic faces, read like any other source: drawn on the template, or filmed and then tracked."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from au_jax import files, synthfacs
from au_jax.config import DataConfig
from au_jax.data.annotations.codes import Codes
from au_jax.data.provenance import FACES_VERSION
from au_jax.data.recordings import Faces, RecordingId, aus_suffix
from au_jax.errors import ConfigError
from au_jax.faces.registration import TEMPLATE_SIZE
from au_jax.labels import MISSING, check_aus, listed
from au_jax.synthfacs.presets import SCENE_WIDTH, preset_facts

_SCENE_PIXELS = 256
"""Least side of a filmed picture: dlib's detector sees no face narrower than 72 pixels."""

_SIZES = {"subjects": "subjects", "videos": "videos_per_subject", "frames": "frames_per_video"}
"""Field of `config.data` -> field of a preset."""


class SynthfacsReader:
    """Renders the recordings of a synthfacs preset.

    Faces of most presets are drawn on the template, by true landmarks with a made-up tracker's error. Those of a preset that
    is `filmed` are drawn as scenes and go the way of recordings: dlib's detector, tracking, registration. What is lost on
    that way is lost.

    Args:
      data: `config.data`. The faces show all AUs of synthfacs, whichever of them `data.aus` asks labels for.

    Attributes:
      name: identifier of the prepared dataset.
      aus: AUs of the labels, in order of their columns.

    Raises:
      ConfigError: no such preset, a negative size, or an AU that synthfacs does not draw.

    Example:
      >>> data = DataConfig(preset="tiny", image_size=40, subjects=2, frames=4, aus=(12,))
      >>> reader = SynthfacsReader(data)
      >>> reader.name, reader.recordings()[0]
      ('synthfacs_tiny_2subjects_4frames_aus12_40px_seed0', RecordingId(subject='S001', video='T1'))
    """

    def __init__(self, data: DataConfig):
        self.aus: tuple[int, ...] = check_aus(data.aus)
        if lacking := [au for au in self.aus if au not in synthfacs.AUS]:
            raise ConfigError(
                f"config.data.aus has {listed(lacking)}, which synthfacs does not draw; choose among "
                f"{listed(synthfacs.AUS)}, or prepare recordings that have codes of it"
            )
        try:
            preset = synthfacs.get_preset(data.preset)
        except ValueError as error:
            raise ConfigError(f"config.data.preset: {error}") from error
        sizes = {name: number for name in _SIZES if (number := getattr(data, name))}
        for name, number in sizes.items():
            if number < 0:
                raise ConfigError(f"config.data.{name} is {number}; give a number of at least 1, or 0")
        self._preset = dataclasses.replace(preset, **{_SIZES[name]: number for name, number in sizes.items()})
        self._seed = data.render_seed
        self._size = data.image_size
        changed = "".join(f"_{number}{name}" for name, number in sizes.items()) + aus_suffix(self.aus)
        self.name = f"synthfacs_{data.preset}{changed}_{data.image_size}px_seed{data.render_seed}"

    def recordings(self) -> list[RecordingId]:
        """All recordings in order of subject and video."""
        return [
            RecordingId(subject, video)
            for subject in synthfacs.subject_names(self._preset)
            for video in synthfacs.video_names(self._preset, subject)
        ]

    def origins(self) -> dict[RecordingId, dict[str, Any]]:
        """What every recording is made from: the preset, for all of them."""
        return dict.fromkeys(self.recordings(), self._origin())

    def origin(self, recording: RecordingId) -> dict[str, Any]:
        """The same of one recording."""
        return self._origin()

    def _origin(self) -> dict[str, Any]:
        preset: dict[str, Any] = {"preset": files.checksum(preset_facts(self._preset))}
        return preset | ({"faces": FACES_VERSION} if self._preset.filmed else {})

    def faces(self, recording: RecordingId) -> Iterator[Faces]:
        """Renders a recording in chunks.

        Raises:
          UserError: the preset is filmed, and dlib or its landmark model is not installed.
        """
        if not self._preset.filmed:
            return self._drawn(recording)
        from au_jax.faces.landmarks import check_installed

        # Drawing is compiled for many seconds before the first picture asks for dlib.
        check_installed()
        return self._filmed(recording)

    def _drawn(self, recording: RecordingId) -> Iterator[Faces]:
        for chunk in self._chunks(recording, "registered", self._size):
            labels = chunk.labels[:, self._columns]
            intensities = _letters(chunk.intensities[:, self._columns], labels)
            yield Faces(
                chunk.frames, labels, chunk.landmarks, chunk.frame_numbers, chunk.found, intensities=intensities
            )

    def _filmed(self, recording: RecordingId) -> Iterator[Faces]:
        from au_jax.data.readers.base import coded_faces
        from au_jax.faces.decoding import VideoFrame

        strengths, labels = synthfacs.video_codes(self._preset, self._seed, recording.subject, recording.video)
        strengths, labels = strengths[:, self._columns], labels[:, self._columns]
        numbers = np.arange(1, len(labels) + 1, dtype=np.int32)
        codes = Codes(numbers, labels, aus=self.aus, intensities=_letters(strengths, labels))
        frames = (
            VideoFrame(int(number), (int(number) - 1) / self._preset.fps, picture)
            for chunk in self._chunks(recording, "scene", scene_size(self._size))
            for number, picture in zip(chunk.frame_numbers, chunk.frames, strict=True)
        )
        return coded_faces(frames, codes, self._size, Path(f"{recording.subject}/{recording.video}"))

    def _chunks(self, recording: RecordingId, view: str, size: int) -> Iterator["synthfacs.VideoChunk"]:
        return synthfacs.render_video(self._preset, self._seed, recording.subject, recording.video, view, size)

    @property
    def _columns(self) -> list[int]:
        return [synthfacs.AUS.index(au) for au in self.aus]


def scene_size(image_size: int) -> int:
    """Side of the pictures that faces of a size are filmed in: not coarser than the registered face, and enough for dlib.

    Example:
      >>> scene_size(200), scene_size(72)
      (390, 256)
    """
    return max(_SCENE_PIXELS, math.ceil(image_size * SCENE_WIDTH / TEMPLATE_SIZE))


def _letters(strengths: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The letters that are reached: an AU of 1.7 is one of A, and at level B it is absent; -1 where nothing is coded."""
    return np.where(labels == MISSING, -1, np.floor(strengths)).astype(np.int8)
