"""The embedded synthetic faces, read like any other source."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from au_jax import files, synthfacs
from au_jax.config import DataConfig
from au_jax.data.recordings import Faces, RecordingId, aus_suffix
from au_jax.errors import ConfigError
from au_jax.labels import MISSING, check_aus, listed

_SIZES = {"subjects": "subjects", "videos": "videos_per_subject", "frames": "frames_per_video"}
"""Field of `config.data` -> field of a preset."""


class SynthfacsReader:
    """Renders the recordings of a synthfacs preset, registered with its own tracked landmarks.

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
        preset = files.checksum(dataclasses.asdict(self._preset))
        return {recording: {"preset": preset} for recording in self.recordings()}

    def origin(self, recording: RecordingId) -> dict[str, Any]:
        """The same of one recording."""
        return {"preset": files.checksum(dataclasses.asdict(self._preset))}

    def faces(self, recording: RecordingId) -> Iterator[Faces]:
        """Renders a recording in chunks."""
        columns = [synthfacs.AUS.index(au) for au in self.aus]
        for chunk in synthfacs.render_video(
            self._preset, self._seed, recording.subject, recording.video, view="registered", size=self._size
        ):
            labels, strengths = chunk.labels[:, columns], chunk.intensities[:, columns]
            # The letter that is reached: an AU of 1.7 is one of A, and at level B it is absent.
            intensities = np.where(labels == MISSING, -1, np.floor(strengths)).astype(np.int8)
            yield Faces(
                chunk.frames, labels, chunk.landmarks, chunk.frame_numbers, chunk.found, intensities=intensities
            )
