"""Events, as coders write them, and codes per frame, as models learn them: each from the other.

An event is an AU with an onset and an offset. In seconds it covers the frames from that of its onset up to, but without,
that of its offset, as neighbours in ELAN, Praat and BORIS share a border; which frame a time means says `frame_times`. In
frame numbers its offset is its last frame. A shorter one covers the frame of its onset. Frames inside the coded span without
an event are absent; frames outside it are missing, and so are AUs that nobody coded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int8, Shaped

from au_jax.data.annotations.frame_times import SLACK, covered_frames, frame_edges, frame_ends, frame_of_time
from au_jax.data.recordings import Problem
from au_jax.errors import DataError
from au_jax.labels import ABSENT, MISSING, PRESENT

_FACE = (*range(1, 47),)
VISIBILITY: dict[int, tuple[int, ...]] = {
    70: (1, 2, 3, 4),
    71: (5, 6, 7, 41, 42, 43, 44, 45, 46),
    72: tuple(au for au in range(8, 40)),
    73: _FACE,
    74: _FACE,
}
"""FACS codes of what is out of view (70 brows, 71 eyes, 72 lower face, 73 entire face, 74 unscorable) -> AUs then missing."""


@dataclass(frozen=True)
class Event:
    """One AU from onset to offset.

    Attributes:
      au: its number; 70 to 74 say that a part of the face cannot be seen.
      onset: seconds since the first frame, or a frame number; see `EventCodes.unit`.
      offset: its end; equal to the onset: a point; None: open, it lasts to the end of the coded span.
      apex: where it is strongest, or None.
      side: "L", "R", "B" for both, or "" where nothing is said.
      intensity: "A" to "E", or None where nothing is said.
      label: PRESENT; ABSENT for a stretch explicitly coded so; MISSING where the AU could not be coded.
      person: whose face, or "".
      comment: free text.

    Example:
      >>> smile = Event(au=12, onset=1.5, offset=2.25, apex=1.75, side="L", intensity="C")
      >>> smile.offset - smile.onset, smile.label == PRESENT
      (0.75, True)
    """

    au: int
    onset: int | float
    offset: int | float | None
    apex: int | float | None = None
    side: str = ""
    intensity: str | None = None
    label: int = PRESENT
    person: str = ""
    comment: str = ""


@dataclass(frozen=True)
class FrameCodes:
    """Codes per frame.

    Attributes:
      labels: [T, A] int8 in {-1 absent, 0 missing, +1 present}.
      intensities: [T, A] int8; 0 absent, 1 to 5, -1 missing or not said.
      aus: the A AUs.
      problems: events that met no frame.

    Example:
      >>> codes = FrameCodes(np.array([[-1, 1], [0, 1]], np.int8), np.array([[0, 3], [-1, 5]], np.int8), aus=(6, 12))
      >>> codes.labels[:, codes.aus.index(12)].tolist(), codes.intensities[:, 1].tolist()
      ([1, 1], [3, 5])
    """

    labels: Int8[np.ndarray, "T A"]
    intensities: Int8[np.ndarray, "T A"]
    aus: tuple[int, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class EventCodes:
    """The events of one recording, as a file holds them.

    Attributes:
      events: in any order; they may overlap.
      aus: AUs that were coded, those that never occurred included; others are missing.
      spans: (begin, end) of what was coded, as an event's onset and offset; empty: the whole video.
      unit: "seconds" since the first frame, or "frames".
      media: names of the videos that the file links.
      path: the file, for messages.
      problems: what was not understood in it.

    Example:
      >>> events = (Event(12, 1.0, 2.0, person="anna"), Event(4, 3.0, None, person="ben"))
      >>> codes = EventCodes(events, aus=(4, 12))
      >>> codes.persons, codes.of_person("ben").events[0].au, codes.shifted(0.5).events[0].onset
      (('anna', 'ben'), 4, 1.5)
    """

    events: tuple[Event, ...]
    aus: tuple[int, ...]
    spans: tuple[tuple[int | float, int | float], ...] = ()
    unit: str = "seconds"
    media: tuple[str, ...] = ()
    path: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def persons(self) -> tuple[str, ...]:
        """Whose faces are coded, sorted."""
        return tuple(sorted({event.person for event in self.events}))

    def of_person(self, person: str) -> "EventCodes":
        """The events of one person.

        Raises:
          DataError: nobody has this name.
        """
        if person not in self.persons:
            known = ", ".join(repr(name) for name in self.persons) or "none"
            raise DataError(f"{self.path or 'the events'} have nobody named {person!r}; choose one of {known}")
        return replace(self, events=tuple(event for event in self.events if event.person == person))

    def shifted(self, seconds: int | float) -> "EventCodes":
        """The same events, so much later."""

        def moved(time: int | float) -> float:
            return round(time + seconds, 9)  # sums of milliseconds stay milliseconds

        events = tuple(
            replace(
                event,
                onset=moved(event.onset),
                offset=None if event.offset is None else moved(event.offset),
                apex=None if event.apex is None else moved(event.apex),
            )
            for event in self.events
        )
        return replace(self, events=events, spans=tuple((moved(begin), moved(end)) for begin, end in self.spans))

    def frame_codes(
        self,
        times: Float[np.ndarray, " T"] | Sequence[float],
        aus: Sequence[int] | None = None,
        *,
        person: str | None = None,
        level: str = "A",
        first: int = 1,
    ) -> FrameCodes:
        """Codes of the frames of a video.

        Args:
          times: [T] seconds since the first frame, increasing; any rate.
          aus: AUs and their order; None: those that were coded, sorted.
          person: whose face; None: the file has one.
          level: intensity "A" to "E" from which an AU counts as present; events without one always do.
          first: number of the first frame, where the unit is frames.

        Raises:
          DataError: several persons and none named, or no event meets a frame though there are some.

        Example:
          >>> codes = EventCodes((Event(12, 0.04, 0.12, intensity="B"),), aus=(6, 12), spans=((0.0, 0.16),))
          >>> codes.frame_codes([0.0, 0.04, 0.08, 0.12, 0.16], aus=[12, 6, 4]).labels.T.tolist()
          [[-1, 1, 1, -1, 0], [-1, -1, -1, -1, 0], [0, 0, 0, 0, 0]]
        """
        codes = self if person is None else self.of_person(person)
        if len(codes.persons) > 1:
            names = ", ".join(repr(name) for name in codes.persons)
            raise DataError(f"{self.path or 'the events'} have codes of {names}; say whose face the video shows")
        columns = tuple(sorted({*self.aus} - {*VISIBILITY})) if aus is None else tuple(aus)
        seconds = np.asarray(times, np.float64)
        edges = frame_edges(seconds)
        number = len(seconds)

        def covered(begin: int | float, end: int | float | None) -> tuple[int, int]:
            if self.unit == "frames":
                stop = number if end is None else int(end) - first + 1
                return max(0, int(begin) - first), min(number, stop)
            return covered_frames(edges, begin, end)

        inside = np.zeros(number, bool)
        stops = np.full(number, number)  # where the span of a frame ends
        for begin, end in codes.spans or ((-np.inf, np.inf),):
            start, stop = (0, number) if np.isinf(begin) else covered(begin, end)
            inside[start:stop] = True
            stops[start:stop] = stop
        coded = np.isin(columns, self.aus)
        labels = np.where(inside[:, None] & coded, np.int8(ABSENT), np.int8(MISSING))
        # 0 below: absent; a present AU of unknown intensity is -1, unless an overlapping event knows better.
        grades = np.zeros((number, len(columns)), np.int8)
        unknown = np.zeros((number, len(columns)), bool)
        lost: list[Event] = []
        for event in codes.events:
            start, stop = covered(event.onset, event.offset)
            if stop <= start or start >= number:
                lost.append(event)
                continue
            if event.offset is None:
                stop = int(stops[start])
            affected = VISIBILITY.get(event.au) or (event.au,)
            label = MISSING if event.au in VISIBILITY and event.label == PRESENT else event.label
            grade = 0 if event.intensity is None else 1 + "ABCDE".index(event.intensity)
            if label == PRESENT and event.intensity is not None and event.intensity < level:
                label = ABSENT
            for column in (columns.index(au) for au in affected if au in columns):
                rows = labels[start:stop, column]
                if label == MISSING:
                    # Written last, below: what cannot be seen is missing whatever else is coded.
                    unknown[start:stop, column] = True
                elif label == PRESENT:
                    rows[inside[start:stop]] = PRESENT
                grades[start:stop, column] = np.maximum(grades[start:stop, column], grade)
        labels[unknown] = MISSING
        intensities = np.where((labels == PRESENT) & (grades == 0), np.int8(-1), grades)
        intensities[labels == MISSING] = -1
        if codes.events and len(lost) == len(codes.events):
            raise DataError(
                f"{self.path or 'the events'}: none of {len(lost)} events meets one of the video's {number} frames "
                f"({seconds[0]:.3f} to {seconds[-1]:.3f} s; the first event begins at {lost[0].onset:g} {self.unit}); "
                "check unit, clock and offset"
            )
        problems = ()
        if lost:
            text = f"{len(lost)} events meet no frame; the first is AU {lost[0].au} at {lost[0].onset:g} {self.unit}"
            problems = (Problem("event without frame", self.path, text, len(lost)),)
        return FrameCodes(labels, intensities.astype(np.int8), columns, problems)


def events_from_labels(
    labels: Int8[np.ndarray, "T A"],
    times: Float[np.ndarray, " T"],
    aus: Sequence[int],
    *,
    intensities: Int8[np.ndarray, "T A"] | None = None,
    scores: Float[np.ndarray, "T A"] | None = None,
    probabilities: Float[np.ndarray, "T A"] | None = None,
    person: str = "",
) -> EventCodes:
    """Events of codes per frame: runs of present frames, and spans of frames that have any code.

    Args:
      labels: [T, A] in {-1, 0, +1}.
      times: [T] seconds of the frames.
      aus: the A AUs; one without any code is left out.
      intensities: [T, A] 0 to 5, -1 unknown; where it changes, an event ends and another begins.
      scores: [T, A]; an event's apex is the frame of its highest.
      probabilities: [T, A]; the mean of an event becomes its comment; NaN where they are not known.
      person: whose face.

    Returns:
      Events in seconds, in order of onset; an AU that is missing within a span has events of label MISSING there.

    Example:
      >>> times = np.arange(5) / 25
      >>> codes = events_from_labels(np.array([[-1, 1, 1, -1, 0]], np.int8).T, times, [12])
      >>> [(event.au, event.onset, event.offset) for event in codes.events], codes.spans
      ([(12, 0.04, 0.12)], ((0.0, 0.16),))
    """
    labels = np.asarray(labels)
    times = np.asarray(times, np.float64)
    ends = frame_ends(times)
    coded = (labels != MISSING).any(0)
    inside = (labels != MISSING).any(1)
    events: list[Event] = []
    for column in np.flatnonzero(coded).tolist():
        codes = labels[:, column].astype(np.int16)
        grade = np.zeros(len(codes), np.int16) if intensities is None else intensities[:, column].astype(np.int16)
        kind = np.where(codes == PRESENT, 1 + np.maximum(grade, 0), np.where((codes == MISSING) & inside, -1, 0))
        for begin, stop in _runs(kind):
            rows = slice(begin, stop)
            present = kind[begin] > 0
            events.append(
                Event(
                    au=int(aus[int(column)]),
                    onset=float(times[begin]),
                    offset=float(ends[stop - 1]),
                    apex=None
                    if scores is None or not present
                    else float(times[begin + np.argmax(scores[rows, column])]),
                    intensity="ABCDE"[kind[begin] - 2] if kind[begin] > 1 else None,
                    label=PRESENT if present else MISSING,
                    person=person,
                    comment=""
                    if probabilities is None or not present or np.isnan(probabilities[rows, column]).any()
                    else f"p={probabilities[rows, column].mean():.2f}",
                )
            )
    spans = tuple((float(times[begin]), float(ends[stop - 1])) for begin, stop in _runs(inside.astype(np.int16)))
    whole = len(spans) == 1 and inside.all()
    return EventCodes(
        tuple(sorted(events, key=lambda event: (event.onset, event.au))),
        tuple(int(aus[column]) for column in np.flatnonzero(coded).tolist()),
        () if whole else spans,
    )


def labels_from_scores(
    scores: Float[np.ndarray, "T A"],
    times: Float[np.ndarray, " T"],
    *,
    on: int | float | Sequence[float] = 0.0,
    off: int | float | Sequence[float] | None = None,
    min_gap: int | float = 0.0,
    min_length: int | float = 0.0,
) -> Int8[np.ndarray, "T A"]:
    """Labels of scores with hysteresis, without short gaps and short events.

    An AU becomes present where its score is above `on` and stays so while it is above `off`. Then gaps shorter than
    `min_gap` are closed, and after that events shorter than `min_length` are removed. Frames without a score (NaN) are
    missing; no event goes across them.

    Args:
      scores: [T, A], NaN where there is none.
      times: [T] seconds of the frames.
      on, off: thresholds, a number or one per AU; off None: as `on`.
      min_gap, min_length: seconds.

    Raises:
      ValueError: `off` above `on`.

    Example:
      >>> scores = np.array([[-1, 2, 0.5, -1, 2, 2, -1, -1, -1, 2]], float).T
      >>> labels_from_scores(scores, np.arange(10) / 10, on=1, off=0, min_gap=0.15, min_length=0.15).T.tolist()
      [[-1, 1, 1, 1, 1, 1, -1, -1, -1, -1]]
    """
    scores = np.asarray(scores, np.float64)
    begin_above = np.broadcast_to(np.asarray(on, np.float64), scores.shape[1:])
    end_below = begin_above if off is None else np.broadcast_to(np.asarray(off, np.float64), scores.shape[1:])
    if (end_below > begin_above).any():
        raise ValueError("the threshold at which events end is above that at which they begin")
    ends, starts = frame_ends(np.asarray(times, np.float64)), np.asarray(times, np.float64)
    unscored = np.isnan(scores)
    with np.errstate(invalid="ignore"):
        state = np.where(scores > begin_above, 1, np.where(unscored | ~(scores > end_below), 0, -1))
    decided = np.where(state >= 0, np.arange(len(scores))[:, None], -1)
    last = np.maximum.accumulate(decided, axis=0)
    present = np.where(last >= 0, np.take_along_axis(state, np.maximum(last, 0), axis=0), 0) == 1
    for column in range(scores.shape[1]):
        rows = present[:, column]
        for begin, stop in _runs((~rows).astype(np.int16)):
            short = ends[stop - 1] - starts[begin] < min_gap - SLACK
            if short and begin and stop < len(rows) and not unscored[begin:stop, column].any():
                rows[begin:stop] = True
        for begin, stop in _runs(rows.astype(np.int16)):
            if ends[stop - 1] - starts[begin] < min_length - SLACK:
                rows[begin:stop] = False
    return np.where(unscored, MISSING, np.where(present, PRESENT, ABSENT)).astype(np.int8)


def in_frames(codes: EventCodes, times: Float[np.ndarray, " T"], first: int = 1) -> EventCodes:
    """Events in seconds as events in frame numbers, first and last frame each; those that meet no frame are left out.

    Args:
      codes: in seconds; times: [T] seconds of the frames; first: number of the first frame.

    Example:
      >>> codes = EventCodes((Event(12, 0.04, 0.12),), aus=(12,))
      >>> frames = in_frames(codes, np.arange(5) / 25)
      >>> frames.unit, frames.events[0].onset, frames.events[0].offset
      ('frames', 2.0, 3.0)
    """
    edges = frame_edges(np.asarray(times, np.float64))

    def numbers(begin: int | float, end: int | float) -> tuple[float, float] | None:
        start, stop = covered_frames(edges, begin, end)
        return (float(start + first), float(stop - 1 + first)) if stop > start else None

    events = []
    for event in codes.events:
        where = numbers(event.onset, np.inf if event.offset is None else event.offset)
        if where is not None:
            apex = None if event.apex is None else int(frame_of_time(times, np.array([event.apex]))[0])
            apex = None if apex is None or apex < 0 else float(apex + first)
            events.append(replace(event, onset=where[0], offset=None if event.offset is None else where[1], apex=apex))
    spans = tuple(span for begin, end in codes.spans if (span := numbers(begin, end)) is not None)
    return replace(codes, events=tuple(events), spans=spans, unit="frames")


def _runs(codes: Shaped[np.ndarray, " T"]) -> list[tuple[int, int]]:
    """First index and the one behind the last of each run of an equal code other than 0."""
    borders = np.flatnonzero(np.diff(codes)) + 1
    starts, stops = np.concatenate([[0], borders]), np.concatenate([borders, [len(codes)]])
    return [(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True) if stop > start and codes[start]]
