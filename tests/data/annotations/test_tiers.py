"""What tiers mean: names, children and values, whatever the program."""

from pathlib import Path

import pytest

from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.tiers import Annotation, Tier, child_name, events_of_tiers, tiers_of_events, with_value
from au_jax.errors import DataError


def tier(name, *rows, **more):
    return Tier(
        name, annotations=[Annotation(f"{name} {at}", value, *times) for at, (value, *times) in enumerate(rows)], **more
    )


def read(*tiers, **options):
    problems = []
    events, aus, spans = events_of_tiers(Path("clip.eaf"), tiers, problems, **options)
    return events, aus, spans, [problem.kind for problem in problems]


def test_a_tier_called_as_an_aus_with_a_word_behind_describes_it_without_being_its_child():
    tiers = (
        tier("AU12", ("", 1, 2), ("", 2, 3)), tier("AU12 intensity", ("C", 1, 2), ("E", 2, 3)), tier("AU12 apex", ("", 2, 2)),
        tier("AU12 confidence", ("low", 1, 2)), tier("AU12 side", ("left", 2, 3)), tier("AU4 side", ("left", 2, 3)),
    )  # fmt: skip
    events, aus, _, problems = read(*tiers)
    # An apex at the border of two events is that of the one which begins there; AU 4 has no tier of its own.
    assert events == (
        Event(12, 1, 2, intensity="C", comment="low"),
        Event(4, 2, 3, side="L"),
        Event(12, 2, 3, 2, "L", "E"),
    )
    assert aus == (4, 12) and problems == []


def test_parents_that_run_in_a_circle_end():
    events, aus, _, problems = read(
        tier("a", ("x", 1, 2), parent="b"), tier("b", ("x", 1, 2), parent="a"), tier("AU1", ("", 1, 2))
    )
    assert events == (Event(1, 1, 2),) and problems == ["tier without AU"]


def test_words_behind_an_au_that_are_not_understood_are_told():
    assert read(tier("AU1 old try", ("", 1, 2)))[3] == ["tier name with more words"]


def test_comments_on_an_au_without_a_tier_are_no_events():
    events, aus, _, problems = read(tier("AU4 comment", ("hm", 1, 2)), tier("AU1", ("", 1, 2)))
    assert (events, aus, problems) == ((Event(1, 1, 2),), (1,), ["tier without AU"])


def test_people_are_kept_apart():
    tiers = (
        tier("AU1", ("", 1, 2), person="a"),
        tier("AU1 intensity", ("E", 1, 2), person="b"),
        tier("AU1@b", ("", 1, 2)),
    )
    events = read(*tiers)[0]
    assert {(event.person, event.intensity) for event in events} == {("a", None), ("b", "E")}
    assert [event.person for event in read(*tiers, person="a")[0]] == ["a"]
    with pytest.raises(DataError, match="has no tier of 'c'; it has 'a', 'b'"):
        read(*tiers, person="c")


def test_events_are_laid_out_without_overlaps():
    events = (Event(1, 0, 2), Event(1, 1, 3), Event(1, 2, 4), Event(1, 2.5, None), Event(2, 0, 1, side="R", person="x"))
    tiers = tiers_of_events(EventCodes(events, (1, 2)))
    assert {name: [event.onset for event in row] for name, (person, row) in tiers.items() if person == ""} == {
        "AU1": [0, 2], "AU1 (2)": [1], "AU1 (3)": [2.5], "AU2": [],
    }  # fmt: skip
    assert [event.onset for event in tiers["AU2 right@x"][1]] == [0]
    assert child_name("AU2 right@x", "apex") == "AU2 right apex@x"


def test_values():
    event = Event(4, 0, 1)
    assert with_value(event, "4").intensity == "D" and with_value(Event(12, 0, 1), "12") == Event(12, 0, 1)
    assert with_value(event, "x") == event and with_value(event, "0").label == -1
    assert with_value(event, "B right").side == "R" and with_value(event, "bilateral").side == "B"
    assert with_value(event, "slight").intensity == "B" and with_value(event, "AU6").comment == "AU6"
