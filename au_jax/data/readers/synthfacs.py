"""The embedded synthetic faces, read like any other source."""

import dataclasses
from collections.abc import Iterator

from au_jax import synthfacs
from au_jax.config import Config
from au_jax.data.recordings import Faces, RecordingId
from au_jax.errors import UserError
from au_jax.labels import AUS, PAPER_AUS

_SIZES = {"subjects": "subjects", "videos": "videos_per_subject", "frames": "frames_per_video"}


class SynthfacsReader:
    """Renders the recordings of a synthfacs preset, registered with its own tracked landmarks."""

    def __init__(self, data: Config):
        if AUS != PAPER_AUS:
            raise UserError("synthfacs draws the paper's AUs only, and AUS of au_jax/labels.py has others")
        try:
            preset = synthfacs.get_preset(data.preset)
        except (KeyError, ValueError) as error:
            raise UserError(f"config.data.preset: {error.args[0]}") from error
        sizes = {name: data[name] for name in _SIZES if data[name]}
        negative = [name for name, number in sizes.items() if number < 0]
        if negative:
            raise UserError(f"config.data.{negative[0]} is {data[negative[0]]}; give a number of at least 1, or 0")
        self._preset = dataclasses.replace(preset, **{_SIZES[name]: number for name, number in sizes.items()})
        self._seed = data.render_seed
        self._size = data.image_size
        changed = "".join(f"_{number}{name}" for name, number in sizes.items())
        self.name = f"synthfacs_{data.preset}{changed}_{data.image_size}px_seed{data.render_seed}"

    def recordings(self) -> list[RecordingId]:
        """All recordings in order of subject and video."""
        return [
            RecordingId(subject, video)
            for subject in synthfacs.subject_names(self._preset)
            for video in synthfacs.video_names(self._preset, subject)
        ]

    def faces(self, recording: RecordingId) -> Iterator[Faces]:
        """Renders a recording in chunks."""
        for chunk in synthfacs.render_video(
            self._preset, self._seed, recording.subject, recording.video, view="registered", size=self._size
        ):
            yield Faces(chunk.frames, chunk.labels, chunk.landmarks, chunk.frame_numbers, chunk.found)
