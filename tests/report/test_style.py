"""How figures look: one look per system and fold, and drawings on the page with ids and colours of its own."""

import importlib.resources
import re
import xml.etree.ElementTree as ElementTree

import pytest
from matplotlib.figure import Figure

from au_jax.report import style
from au_jax.report.style import COLOURS, inline_svg, page_colour
from au_jax.systems import display


def _drawn(title: str) -> bytes:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([1, 2, 3], color=style.BLUE, marker="s")
    axes.set_title(title)
    with style.context():
        return style.to_svg(style.Drawing(figure, "A line.", "It rises."), as_text=True)


def test_ids_are_the_pictures_own_and_references_follow():
    svg = inline_svg(_drawn("a"), "one")
    ids = re.findall(r' id="([^"]*)"', svg)
    assert len(ids) == len(set(ids)) and all(name.startswith("one-") for name in ids)
    targets = re.findall(r' href="#([^"]*)"', svg) + re.findall(r"url\(#([^)]*)\)", svg)
    assert targets and set(targets) <= set(ids)


def test_colours_are_those_of_the_page_and_words_stay_text():
    svg = inline_svg(_drawn("<b> & 被験者"), "one")
    assert "var(--c-blue)" in svg and "var(--c-paper)" in svg and style.BLUE.lower() not in svg.lower()
    root = ElementTree.fromstring(svg)
    assert "<b> & 被験者" in "".join(root.itertext())
    assert not {"style", "metadata", "title"} & {element.tag for element in root.iter()}
    assert page_colour("#123456") == "#123456"


def test_style_sheet_defines_every_colour_for_light_and_dark():
    text = importlib.resources.files("au_jax.report").joinpath("page.css").read_text()
    for name in COLOURS.values():
        values = re.findall(rf"--c-{name}: (#[0-9a-f]{{6}});", text)
        assert len(values) == 2 and values[0] != values[1], name
    # What is light in the one is light in the drawing itself: no drawing changes for a light reader.
    light = dict(re.findall(r"--c-(\w+): (#[0-9a-f]{6});", text.partition("@media")[0]))
    assert light == {name: colour.lower() for colour, name in COLOURS.items()}


def test_ten_folds_are_told_apart_by_colour_and_marker():
    looks = [(one.colour, one.marker) for one in style.fold_series(10)]
    assert len(set(looks)) == 10


def test_systems_are_drawn_as_they_are_displayed_and_unknown_ones_are_told_apart():
    series = style.system_series(["always_present", "hybrid", "mine", "yours"])
    assert series["hybrid"] == style.Series(display.colour("hybrid"), display.marker("hybrid"), display.line("hybrid"))
    assert series["always_present"].colour == style.GREY
    assert len({(one.colour, one.marker) for one in series.values()}) == 4
    assert style.GREY not in (series["mine"].colour, series["yours"].colour)


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7, 12, 25])
def test_panels_are_as_many_as_aus_and_the_last_of_a_column_has_the_numbers(count):
    with style.context():
        figure, panels = style.au_panels(tuple(range(count)), height=2.0, margin=1.0, sharex=True)
    assert len(panels) == len(figure.axes) == count
    numbered = [panel.xaxis.get_tick_params()["labelbottom"] for panel in panels]
    below = min(4, max(count, 2))
    assert numbered == [index + below >= count for index in range(count)]
