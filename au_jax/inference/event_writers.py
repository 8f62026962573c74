"""Detected AUs as files of events, which coders open beside the video: ELAN, BORIS, Praat, a table.

An event begins where a score rises above 0 and ends where it falls below `EventRules.off`; short gaps are closed, then short
events are left out. Its comment is the mean probability of its frames (`evaluation.calibration`), where that is known. Stretches
without a face are not coded. Times are on the player's clock. Several people have tiers each.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from au_jax.data.annotations.boris_writer import write_boris
from au_jax.data.annotations.elan_writer import write_elan
from au_jax.data.annotations.event_table import write_event_table
from au_jax.data.annotations.events import Event, EventCodes, events_from_labels, labels_from_scores
from au_jax.data.annotations.frame_times import SLACK, frame_ends
from au_jax.data.annotations.textgrid import write_textgrid
from au_jax.errors import CommandError
from au_jax.inference.writers import Detections, concatenate
from au_jax.labels import ABSENT

OUT_OF_VIEW = 73
"""FACS code of a face that is out of view."""


@dataclass(frozen=True)
class EventRules:
    """How scores become events.

    Attributes:
      off: score below which an event ends, at most 0, at which it begins.
      min_gap: seconds; shorter gaps between two events of an AU are closed.
      min_length: seconds; shorter events are left out.

    The defaults are those of best F1-event on validation subjects (`experiments.event_rules`) among rules that leave a blink of
    0.1 s in place and close no gap of more than 0.2 s.

    Example:
      >>> EventRules(min_length=0.2).min_gap
      0.2
      >>> EventRules(off=0.5)
      Traceback (most recent call last):
      au_jax.errors.CommandError: --event_off is 0.5; give at most 0, where events begin
    """

    off: float = -0.25
    min_gap: float = 0.2
    min_length: float = 0.1

    def __post_init__(self):
        if not self.off <= 0:
            raise CommandError(f"--event_off is {self.off:g}; give at most 0, where events begin")
        if not (self.min_gap >= 0 and self.min_length >= 0):
            raise CommandError("--min_gap and --min_length are seconds; give 0 or more")


def detected_events(detections: Detections, rules: EventRules | None = None) -> EventCodes:
    """Events of a whole video, by the scores of its last system; of several people with the person's name, `face0`, ..

    Args:
      detections: all frames of it.
      rules: how scores become events; None: the defaults.

    Example:
      >>> scores = np.array([[-1, 2, 2, 2, 2, -1]]).T.astype(np.float32)
      >>> none = np.zeros((6, 68, 2))
      >>> detections = Detections((12,), np.arange(1, 7), np.arange(6) / 25, np.ones(6, bool), np.ones(6), none[:, :4, 0], none,
      ...                         {"anet": scores}, np.full((6, 1), 0.88))
      >>> event = detected_events(detections).events[0]
      >>> event.onset, round(event.offset, 2), event.comment
      (0.04, 0.2, 'p=0.88')
    """
    rules = rules or EventRules()
    people = np.unique(detections.people[detections.success]).tolist()
    if len(people) > 1:
        return _events_of_people({person: _whole_spans(detections.of_person(person), rules) for person in people})
    scores = np.asarray(detections.scores[list(detections.scores)[-1]], np.float64)
    times = np.asarray(detections.timestamps, np.float64)
    labels = labels_from_scores(
        scores, times, on=0.0, off=rules.off, min_gap=rules.min_gap, min_length=rules.min_length
    )
    return events_from_labels(labels, times, detections.aus, probabilities=detections.probabilities)


def _whole_spans(detections: Detections, rules: EventRules) -> EventCodes:
    """The events of one person; what is coded is told even where it is the whole video."""
    codes = detected_events(detections, rules)
    times = np.asarray(detections.timestamps, np.float64)
    return codes if codes.spans else replace(codes, spans=((float(times[0]), float(frame_ends(times)[-1])),))


def _events_of_people(codes: Mapping[int, EventCodes]) -> EventCodes:
    """The events of several people in one, `face0`, .. Where one is coded, the others are coded or out of view (FACS code 73)."""
    spans = _union(span for one in codes.values() for span in one.spans)
    events = []
    for number, one in codes.items():
        person = f"face{number}"
        events += [replace(event, person=person) for event in one.events]
        hidden = [Event(OUT_OF_VIEW, *gap, person=person) for gap in _without(spans, one.spans)]
        events += hidden
        if not one.events and not hidden:  # or nothing would tell that this person was coded
            events += [Event(one.aus[0], *span, label=ABSENT, person=person) for span in one.spans]
    aus = tuple(sorted({au for one in codes.values() for au in one.aus}))
    order = sorted(events, key=lambda event: (event.onset, event.person, event.au))
    return EventCodes(tuple(order), aus, spans)


Span = tuple[int | float, int | float]


def _union(spans: Iterable[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1] + SLACK:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return tuple(joined)


def _without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What of some spans is in none of the others."""
    gaps: list[Span] = []
    others = sorted(taken)
    for begin, end in spans:
        at = begin
        for first, last in others:
            if last <= begin or first >= end:
                continue
            if first > at + SLACK:
                gaps.append((at, first))
            at = max(at, last)
        if end > at + SLACK:
            gaps.append((at, end))
    return gaps


def write_events(path: Path, form: str, codes: EventCodes, media: str, fps: float, duration: float) -> None:
    """Writes events in one of `EVENT_FORMATS`.

    Args:
      path: replaced if it exists.
      form: the format.
      codes: in seconds on the player's clock.
      media: the video, as it is linked.
      fps, duration: its frames a second, and its end in seconds.

    Example:
      >>> from au_jax.data.annotations.events import Event
      >>> codes = EventCodes((Event(12, 0.2, 0.4),), (12,), ((0.0, 1.0),))
      >>> write_events(folder / "codes.csv", "events", codes, media="smile.mp4", fps=25, duration=1.0)
      >>> len((folder / "codes.csv").read_text().splitlines()) > 1
      True
    """
    EVENT_FORMATS[form](path, codes, media=media, fps=fps, duration=duration)


class EventsWriter:
    """Takes the parts of a table as they come, and writes the events of all when it is closed.

    Args:
      path: of the file.
      form: one of `EVENT_FORMATS`.
      media: the video, as it is linked.
      rules: how scores become events.

    Example:
      >>> none = np.zeros((6, 68, 2))
      >>> scores = {"anet": np.float32([[-1], [2], [2], [2], [2], [-1]])}
      >>> boxes, probable = none[:, :4, 0], np.full((6, 1), 0.88)
      >>> times = np.arange(1, 7), np.arange(6) / 25
      >>> rows = Detections((12,), *times, np.ones(6, bool), np.ones(6), boxes, none, scores, probable)
      >>> writer = EventsWriter(folder / "smile.csv", "events", "smile.mp4", EventRules())
      >>> writer.write(rows)
      >>> writer.close()
      >>> "p=0.88" in (folder / "smile.csv").read_text()  # the mean probability of its frames
      True
    """

    def __init__(self, path: Path, form: str, media: str, rules: EventRules):
        self._path, self._form, self._media, self._rules = path, form, media, rules
        self._parts: list[Detections] = []

    def write(self, detections: Detections) -> None:
        """Takes some frames; of landmarks, which would fill the memory, nothing is kept."""
        self._parts.append(replace(detections, landmarks=np.zeros((len(detections), 0, 2), np.float32)))

    def close(self) -> None:
        """Writes the file."""
        whole = concatenate(self._parts)
        _, first = np.unique(whole.frames, return_index=True)
        times = np.asarray(whole.timestamps, np.float64)[first]
        codes = detected_events(whole, self._rules)
        ends = frame_ends(times)
        fps = 1 / float(np.median(np.diff(times))) if len(times) > 1 else 25.0
        write_events(self._path, self._form, codes, self._media, fps, float(ends[-1]))


def _eaf(path: Path, codes: EventCodes, media: str, duration: float, **_: Any) -> None:
    write_elan(path, codes, media=media, duration=duration)


def _boris(path: Path, codes: EventCodes, media: str, fps: float, duration: float) -> None:
    write_boris(path, codes, media=media, fps=fps, duration=duration)


def _textgrid(path: Path, codes: EventCodes, duration: float, **_: Any) -> None:
    write_textgrid(path, codes, duration=duration)


def _events(path: Path, codes: EventCodes, **_: Any) -> None:
    write_event_table(path, codes)


EVENT_FORMATS: dict[str, Callable[..., None]] = {"boris": _boris, "eaf": _eaf, "events": _events, "textgrid": _textgrid}
"""Formats of events by name: a BORIS project, an ELAN file, a table of events, a Praat TextGrid."""

EVENT_SUFFIXES: dict[str, str] = {"boris": ".boris", "eaf": ".eaf", "events": ".csv", "textgrid": ".TextGrid"}
"""Suffixes of their files."""
