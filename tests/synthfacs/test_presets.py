"""The presets by name, and the names of their people and videos."""

import pytest

from au_jax.synthfacs import AUS
from au_jax.synthfacs.presets import PRESETS, get_preset
from au_jax.synthfacs.video import subject_names, video_names


def test_presets():
    assert {"tiny", "demo", "bp4d_like", "gft_like"} <= set(PRESETS)
    names = subject_names(get_preset("bp4d_like"))
    assert (
        names[0] == "F001" and names[22] == "F023" and names[23] == "M001" and names[-1] == "M018" and len(names) == 41
    )
    assert video_names(get_preset("bp4d_like"), "F001") == [f"T{i}" for i in range(1, 9)]
    with pytest.raises(ValueError, match="choose one of bp4d_like, demo"):
        get_preset("bp4d")
    with pytest.raises(ValueError, match="no subject 'F024'"):
        video_names(get_preset("bp4d_like"), "F024")


def test_every_preset_has_a_rate_and_a_duration_for_every_au_that_can_be_drawn():
    for preset in PRESETS.values():
        assert len(preset.rates) == len(preset.event_seconds) == len(AUS) == 12
