"""The presets by name, and the names of their people and videos."""

import dataclasses

import pytest

from au_jax import files
from au_jax.synthfacs import AUS
from au_jax.synthfacs.presets import PRESETS, get_preset, preset_facts
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


def test_the_demos_preset_is_the_one_that_older_datasets_were_made_from():
    """The checksum that version 0.2 wrote with every recording: a field that came later must not change it."""
    made = {"demo": "799247e8c716d851", "tiny": "658ed7db9581f60a", "long": "96e90174b0c9f859"}
    assert {name: files.checksum(preset_facts(PRESETS[name]))[:16] for name in made} == made
    changed = dataclasses.replace(PRESETS["demo"], uncoded=0.1)
    assert files.checksum(preset_facts(changed))[:16] != made["demo"]
