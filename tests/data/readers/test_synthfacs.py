"""synthfacs as a source: which AUs and sizes it can be asked for, and that labels are columns of what it renders."""

import dataclasses

import numpy as np
import pytest

from au_jax import synthfacs
from au_jax.config import get_config
from au_jax.data.readers import make_reader
from au_jax.data.recordings import RecordingId
from au_jax.errors import ConfigError


def reader(**fields):
    data = get_config().data
    data.preset, data.image_size, data.subjects, data.frames = "tiny", 40, 1, 6
    data.update(fields)
    return make_reader(data)


def test_an_au_that_cannot_be_drawn_is_refused_with_those_that_can():
    with pytest.raises(
        ConfigError, match=r"config.data.aus has 45, which synthfacs does not draw; choose among 1, 2, 4, 6"
    ):
        reader(aus=(12, 45))


def test_a_subset_has_its_columns_and_the_same_pictures():
    all_aus, two = reader(), reader(aus=(12, 1))
    assert (all_aus.name, two.name) == (
        "synthfacs_tiny_1subjects_6frames_40px_seed0", "synthfacs_tiny_1subjects_6frames_aus12_1_40px_seed0",
    )  # fmt: skip
    clip = RecordingId("S001", "T1")
    (whole,), (part,) = list(all_aus.faces(clip)), list(two.faces(clip))
    np.testing.assert_array_equal(part.labels, whole.labels[:, [6, 0]])
    np.testing.assert_array_equal(part.images, whole.images)


def test_names_and_sizes_are_those_of_the_preset_or_of_the_config():
    assert reader(subjects=0, frames=0).name == "synthfacs_tiny_40px_seed0"
    assert reader(subjects=3, videos=1).recordings() == [RecordingId(f"S00{n}", "T1") for n in (1, 2, 3)]
    with pytest.raises(ConfigError, match="config.data.videos is -1"):
        reader(videos=-1)
    with pytest.raises(
        ConfigError, match="config.data.preset: synthfacs has no preset 'huge'; choose one of bp4d_like"
    ):
        reader(preset="huge")


def test_every_preset_draws_the_aus_that_synthfacs_names():
    assert synthfacs.AUS == (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
    for preset in synthfacs.PRESETS.values():
        assert len(preset.rates) == len(preset.event_seconds) == len(synthfacs.AUS)
    (chunk,) = synthfacs.render_video(
        dataclasses.replace(synthfacs.get_preset("tiny"), frames_per_video=6), 0, "S001", "T1"
    )
    assert chunk.labels.shape[1] == chunk.intensities.shape[1] == len(synthfacs.AUS)
