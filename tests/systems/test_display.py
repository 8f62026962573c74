"""How systems appear to readers."""

import pytest

from au_jax.systems import GREY, display


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("always_present", ("always present", "#767676", "_", "-")),
        ("hog_svm", ("HOG+SVM", "#E69F00", "s", ":")),
        ("cpm", ("CPM", "#009E73", "D", "-.")),
        ("jpml", ("JPML", "#CC79A7", "v", "--")),
        ("anet_transfer", ("ANet-T", "#56B4E9", "P", ":")),
        ("anet", ("ANet", "#D55E00", "^", "--")),
        ("anet_filter", ("ANet + filter", "#000000", "d", "-.")),
        ("anet_intensity", ("ANet intensity", "#D55E00", "*", ":")),
        ("hybrid", ("Hybrid", "#0072B2", "o", "-")),
    ],
)
def test_every_system_has_its_own_look(name, look):
    assert display.look(name) == look
    assert (display.label(name), display.colour(name), display.marker(name), display.line(name)) == look


def test_a_system_that_is_not_installed_here_is_shown_by_its_name_in_grey():
    assert display.label("theirs") == "theirs" and display.colour("theirs") == GREY
