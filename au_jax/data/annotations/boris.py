"""BORIS projects (.boris, .boris.gz) and its tabular and aggregated exports, read into events; `boris_writer` writes projects.

BORIS counts the time of an observation: the videos of player 1 one after the other, plus the observation's time offset. Its
exports keep that clock. Here the offset is taken off, the videos before the wanted one are, and for another player its own
delay; so times are those of the video.

AUs are behaviours, by their code or their description; every AU of a project's ethogram was coded. State events are a START
and a STOP of equal subject, code and modifiers, in turn, as BORIS pairs them. One without its STOP has no end that anybody
knows: from there its AU is missing. Modifiers say intensity and side; others become the comment.
"""

import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.notation import LETTERS, Code, parse_codes, read_text
from au_jax.data.annotations.tiers import CODED, with_value
from au_jax.data.recordings import Problem
from au_jax.errors import DataError
from au_jax.labels import ABSENT, MISSING

NO_SUBJECT = "No focal subject"

_LIMIT = 256 << 20  # characters; a project holds many observations
_DAMAGE = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
_LABELS = {"missing": MISSING, "absent": ABSENT}


@dataclass(frozen=True)
class _Row:
    """A moment of a behaviour: START, STOP or POINT, or an aggregated event with both times."""

    time: float
    stop: float | None
    subject: str
    behaviour: str
    modifiers: tuple[str, ...]
    comment: str
    kind: str  # START, STOP, POINT, STATE


def read_boris(
    path: Path, *, observation: str = "", media: str = "", person: str | None = None, aus: Sequence[int] = ()
) -> EventCodes:
    """Reads one observation of a BORIS project, or of an export of its events as CSV or TSV.

    Args:
      path: .boris, .boris.gz, .csv or .tsv.
      observation: its id, where the file has several and the video does not tell.
      media: name of the video, where an observation shows several.
      person: only events of this subject; None: all.
      aus: AUs that were coded, for exports, which do not know those that never occurred.

    Returns:
      Events in seconds of the video; in frame numbers for observations of images.

    Raises:
      DataError: no BORIS file, a damaged one, no such observation or video, no behaviour that is an AU, a live observation.

    Example:
      >>> import tempfile
      >>> from au_jax.data.annotations.boris_writer import write_boris
      >>> path = Path(tempfile.mkdtemp()) / "clip.boris"
      >>> write_boris(path, EventCodes((Event(12, 1.0, 2.5, intensity="C"),), (4, 12)), media="clip.mp4", fps=25, duration=9)
      >>> codes = read_boris(path)
      >>> codes.events[0].intensity, codes.aus, codes.media
      ('C', (4, 12), ('clip.mp4',))
    """
    is_project = path.name.lower().endswith((".boris", ".boris.gz", ".json"))
    codes = _read_project(path, observation, media) if is_project else _read_export(path, observation, media, aus)
    return codes if person is None else codes.of_person(person)


def _read_project(path: Path, wanted: str, media: str) -> EventCodes:
    project = _parse_json(path)
    observations = project.get("observations") if isinstance(project, dict) else None
    if not isinstance(observations, dict) or not isinstance(project.get("behaviors_conf"), dict):
        raise DataError(
            f"{path} is JSON, but no BORIS project (it has no observations and behaviours); save it from BORIS"
        )
    name = _chosen(path, {key: _media_names(value) for key, value in observations.items()}, wanted, media)
    observation, where = observations[name], f"{path}, observation {name!r}"
    try:
        ethogram = {
            str(item["code"]): (str(item.get("type", "")), str(item.get("description") or ""))
            for item in project["behaviors_conf"].values()
        }
        kind = observation["type"]
        if kind == "LIVE":
            raise DataError(f"{where}: was coded live, without a video, so its times meet no frames; code the video")
        offset = float(observation.get("time offset") or 0)
        images = kind == "IMAGES"
        clock = _Clock(0.0, math.inf) if images else _project_clock(where, observation, media, offset)
        rows = []
        for event in sorted(observation["events"], key=lambda event: 0 if images else event[:3]):
            behaviour = str(event[2])
            state = ethogram.get(behaviour, ("",))[0].startswith("State")
            time = float(event[5]) if images else float(event[0])
            modifiers = tuple(part.strip() for part in str(event[3] or "").split("|"))
            comment, subject = str(event[4] or ""), str(event[1] or "")
            rows.append(_Row(time, None, subject, behaviour, modifiers, comment, "" if state else "POINT"))
        begin, end = (float(value or 0) for value in observation.get("observation time interval") or (0, 0))
        limits = ((begin + offset, end + offset if end else math.inf),) if (begin or end) and not images else ()
    except _DAMAGE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{where}: is damaged ({type(error).__name__}: {error}); open it in BORIS and save it again"
        ) from error
    if any(not math.isfinite(row.time) for row in rows):
        raise DataError(f"{where}: has events without a time; code it again from its video")
    known = {code: parse_codes(code) or parse_codes(text) for code, (_, text) in ethogram.items()}
    media_names = _media_names(observation)
    codes = _codes(path, where, _with_states(rows), known, clock, media_names, limits)
    return replace(codes, unit="frames") if images else codes


@dataclass(frozen=True)
class _Clock:
    """Times of an observation at which the wanted video begins and ends."""

    begin: float
    end: float


def _project_clock(where: str, observation: Mapping[str, Any], media: str, offset: float) -> _Clock:
    files = {str(player): list(names) for player, names in observation["file"].items() if names}
    info = observation.get("media_info") or {}
    lengths = info.get("length") or {}
    if not files:
        raise DataError(f"{where}: shows no video; add it to the observation in BORIS")
    player, place = _player(where, files, media)
    before = 0.0
    if observation.get("media_creation_date_as_offset"):
        before = float(info["media_creation_time"][files[player][place]])
    elif place:
        if lacking := [name for name in files[player][:place] if name not in lengths]:
            raise DataError(
                f"{where}: does not know how long {_name(lacking[0])} is, which runs before; open it in BORIS once"
            )
        before = sum(_cut(lengths[name]) for name in files[player][:place])
    delay = float((info.get("offset") or {}).get(player) or 0) if player != "1" else 0.0
    alone = len(files[player]) == 1
    length = math.inf if alone or files[player][place] not in lengths else _cut(lengths[files[player][place]])
    begin = offset + before + delay
    return _Clock(begin, begin + length)


def _player(where: str, files: Mapping[str, Sequence[str]], media: str) -> tuple[str, int]:
    """The player that shows the wanted video, and its place in the queue there."""
    if media:
        hits = [
            (player, place) for player, names in files.items() for place, name in enumerate(names)
            if PurePosixPath(_name(name)).stem == Path(media).stem
        ]  # fmt: skip
        if not hits:
            known = ", ".join(_name(name) for names in files.values() for name in names) or "none"
            raise DataError(f"{where}: does not show {media}; it shows {known}")
        return hits[0]
    if sum(len(names) for names in files.values()) > 1:
        known = ", ".join(_name(name) for names in files.values() for name in names)
        raise DataError(f"{where}: shows {known}; say which video its codes are for")
    return next(iter(files)), 0


def _read_export(path: Path, wanted: str, media: str, aus: Sequence[int]) -> EventCodes:
    lines = read_text(path).splitlines()
    header: list[str] = []
    above = 0
    for above, line in enumerate(lines[:200], start=1):
        delimiter = max("\t,;", key=line.count)
        header = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
        if "Behavior" in header and {"Time", "Start (s)", "Start"} & {*header}:
            reader = csv.DictReader(io.StringIO("\n".join(lines[above:])), header, delimiter=delimiter)
            break
    else:
        raise DataError(
            f"{path} is no export of BORIS events (no line names Behavior and Time or Start); export it from BORIS"
        )
    try:
        table = [(above + reader.line_num, row) for row in reader if any(row.values())]
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table ({error}); export it from BORIS again") from error
    problems: list[Problem] = []
    by_observation: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for line, row in table:
        by_observation.setdefault(str(row.get("Observation id") or ""), []).append((line, row))
    sources = {name: _source(rows[0][1]) for name, rows in by_observation.items()}
    shown = {
        name: tuple(_name(file) for files in source.values() for file in files) for name, source in sources.items()
    }
    name = _chosen(path, shown, wanted, media)
    where = f"{path}, observation {name!r}" if name else str(path)
    chosen = by_observation.get(name, [])
    rows = []
    for line, row in chosen:
        kind = str(row.get("Behavior type") or row.get("Status") or "POINT").strip().upper()
        try:
            time = _number(row.get("Time") or row.get("Start (s)") or row.get("Start"))
            stop = _number(row.get("Stop (s)") or row.get("Stop") or "nan")
            if math.isnan(time) or kind not in ("START", "STOP", "POINT", "STATE"):
                raise ValueError(f"{kind} at {time}")
        except ValueError as error:
            raise DataError(
                f"{path}, line {line}: its time cannot be read ({error}); export it from BORIS again"
            ) from error
        marks = [str(value) for key, value in row.items() if re.fullmatch(r"Modifiers?( #[0-9]+)?", str(key)) and value]
        modifiers = tuple(part.strip() for mark in marks for part in mark.split("|"))
        comment = str(row.get("Comment") or row.get("Comment start") or "")
        subject = str(row.get("Subject") or "").strip()
        rows.append(
            _Row(
                time, None if math.isnan(stop) or kind != "STATE" else stop, "" if subject == NO_SUBJECT else subject,
                str(row.get("Behavior") or "").strip(), modifiers, comment, kind,
            )
        )  # fmt: skip
    first = chosen[0][1] if chosen else {}
    clock = _Clock(0.0, math.inf)
    if sources.get(name):
        player, place = _player(where, sources[name], media)
        if player != "1":
            raise DataError(f"{where}: exports do not hold the delay of player {player}; give the project file itself")
        try:
            lengths = [
                _number(text) for text in str(first.get("Media duration (s)") or "").split("|")[0].split(";") if text
            ]
            offset = _number(first.get("Time offset (s)") or "0")
            before = sum(lengths[:place])
            if place and len(lengths) < place:
                raise ValueError("no media durations")
        except ValueError as error:
            raise DataError(
                f"{where}: time offset or durations cannot be read ({error}); export it from BORIS again"
            ) from error
        alone = len(sources[name][player]) == 1
        clock = _Clock(offset + before, math.inf if alone else offset + before + lengths[place])
    if "Time offset (s)" not in header:
        text = "does not say the observation's time offset; its times are taken as the video's"
        problems.append(Problem("clock not known", str(path), text))
    known = {row.behaviour: parse_codes(row.behaviour) for row in rows}
    codes = _codes(path, where, _paired(rows), known, clock, shown.get(name, ()), ())
    return replace(codes, aus=tuple(sorted({*codes.aus, *aus})), problems=(*problems, *codes.problems))


def _codes(
    path: Path, where: str, rows: Iterable[_Row], known: Mapping[str, Sequence[Code]], clock: _Clock,
    media: tuple[str, ...], limits: Sequence[tuple[float, float]],
) -> EventCodes:  # fmt: skip
    """Events of paired rows, in seconds of the video."""
    coded = {code.au for codes in known.values() for code in codes if "apex" not in code.rest.split()}
    if not coded:
        names = ", ".join(repr(name) for name in list(known)[:8]) or "none"
        raise DataError(f"{where}: no behaviour is an AU (behaviours: {names}); call them AU12 or describe them so")
    events: list[Event] = []
    apexes: list[tuple[Code, str, float]] = []
    spans = [(max(0.0, begin - clock.begin), min(end, clock.end) - clock.begin) for begin, end in limits]
    unknown, unpaired, outside = set(), [], 0
    for row in rows:
        if row.behaviour == CODED and row.stop is not None:
            spans.append((row.time - clock.begin, row.stop - clock.begin))
            continue
        codes = known.get(row.behaviour, ())
        if not codes:
            unknown.add(row.behaviour)
            continue
        begin, stop = row.time - clock.begin, None if row.stop is None else row.stop - clock.begin
        end = clock.end - clock.begin
        if math.isfinite(end):
            # In a queue of videos an event may run from one into the next.
            if begin >= end or (stop is not None and stop < 0):
                outside += 1
                continue
            begin, stop = max(0.0, begin), None if stop is None else min(stop, end)
        for code in codes:
            if "apex" in code.rest.split():
                apexes.append((code, row.subject, begin))
                continue
            grade = LETTERS[code.intensity - 1] if code.intensity else None
            event = Event(code.au, round(begin, 6), None if stop is None else round(stop, 6), None, code.side, grade,
                          person=row.subject or code.person)  # fmt: skip
            event = _with_modifiers(event, row.modifiers)
            event = replace(event, comment="; ".join(part for part in (event.comment, row.comment) if part))
            if row.stop is None:
                unpaired.append(f"{row.behaviour} at {row.time:g} s")
                event = replace(event, label=MISSING)
            events.append(event)
    for code, subject, time in apexes:
        for place, event in enumerate(events):
            if (event.au, event.person) == (code.au, subject) and event.onset <= time < (event.offset or 0):
                events[place] = replace(event, apex=round(time, 6))
    problems = []
    if unpaired:
        text = f"{len(unpaired)} state events have no end ({', '.join(unpaired[:3])}); missing from there, until mended in BORIS"
        problems.append(Problem("state event without an end", str(path), text, len(unpaired)))
    if unknown:
        names = ", ".join(repr(name) for name in sorted(unknown)[:8])
        problems.append(
            Problem("unknown AU", str(path), f"behaviours that name no AU are left out: {names}", len(unknown))
        )
    if outside:
        text = f"{outside} events belong to other videos of the observation"
        problems.append(Problem("event of another video", str(path), text, outside))
    order = sorted(events, key=lambda event: (event.onset, event.au, event.side, event.person))
    return EventCodes(
        tuple(order), tuple(sorted(coded)), tuple(sorted(spans)), "seconds", media, str(path), tuple(problems)
    )


def _with_states(rows: Sequence[_Row]) -> list[_Row]:
    """Rows of a project as START and STOP in turn, paired."""
    seen: dict[tuple, int] = {}
    marked = []
    for row in rows:
        if not row.kind:
            key = row.subject, row.behaviour, row.modifiers
            seen[key] = seen.get(key, 0) + 1
            row = replace(row, kind="START" if seen[key] % 2 else "STOP")
        marked.append(row)
    return _paired(marked)


def _paired(rows: Sequence[_Row]) -> list[_Row]:
    """Events with both times; one without its other has None as the end."""
    paired: list[_Row] = []
    running: dict[tuple, int] = {}
    for row in rows:
        key = row.subject, row.behaviour, row.modifiers
        if row.kind == "STATE":
            paired.append(row)
        elif row.kind == "POINT":
            paired.append(replace(row, stop=row.time))
        elif row.kind == "STOP" and key in running:
            place = running.pop(key)
            comment = "; ".join(dict.fromkeys(part for part in (paired[place].comment, row.comment) if part))
            paired[place] = replace(paired[place], stop=row.time, comment=comment)
        else:
            running[key] = len(paired)
            paired.append(row)
    return paired


def _with_modifiers(event: Event, modifiers: Sequence[str]) -> Event:
    for modifier in modifiers:
        for part in modifier.split(","):
            part = re.sub(r"\s*\(.\)$", "", part.strip())  # the key that chooses it
            if not part or part == "None":
                continue
            if part in _LABELS:
                event = replace(event, label=_LABELS[part])
                continue
            said = with_value(replace(event, comment=""), part)
            event = replace(said, comment="; ".join(text for text in (event.comment, said.comment) if text))
    return event


def _parse_json(path: Path) -> Any:
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path, "rt", encoding="utf-8") as stream:
                text = stream.read(_LIMIT + 1)
        else:
            text = read_text(path, _LIMIT)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); save it from BORIS again") from error
    if len(text) > _LIMIT:
        raise DataError(f"{path} unpacks to more than {_LIMIT >> 20} MB, which no project has; check that it is one")
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path} is no whole BORIS project ({error}); save it from BORIS again") from error


def _chosen(path: Path, observations: Mapping[str, Sequence[str]], wanted: str, media: str) -> str:
    """The id of the observation that is meant."""
    if wanted:
        if wanted not in observations:
            raise DataError(f"{path} has no observation {wanted!r}; it has {_listed(observations)}")
        return wanted
    hits = [
        name for name, shown in observations.items()
        if not media or any(PurePosixPath(file).stem == Path(media).stem for file in shown)
    ]  # fmt: skip
    if len(observations) == 1 or len(hits) == 1:
        return (hits or list(observations))[0]
    if not observations:
        raise DataError(f"{path} has no observations; code one in BORIS")
    raise DataError(f"{path} has observations {_listed(hits or observations)}; say which one")


def _media_names(observation: Any) -> tuple[str, ...]:
    files = observation.get("file") if isinstance(observation, dict) else None
    if not isinstance(files, dict):
        return ()
    return tuple(_name(str(name)) for names in files.values() if isinstance(names, list) for name in names)


def _source(row: Mapping[str, Any]) -> dict[str, list[str]]:
    """Player -> videos, from `player #1:a.mp4;b.mp4|player #2:c.mp4`."""
    text = str(row.get("Source") or "")
    found = {}
    for part in text.split("|"):
        if match := re.fullmatch(r"player #([0-9]+):(.*)", part.strip(), re.S):
            found[match[1]] = [name for name in match[2].split(";") if name]
    return found


def _cut(seconds: Any) -> float:
    """A video's length as BORIS counts it, in whole milliseconds."""
    return math.floor(round(float(seconds) * 1000, 6)) / 1000


def _name(path: str) -> str:
    return PureWindowsPath(path).name


def _number(text: Any) -> float:
    cell = str(text or "").strip()
    return math.nan if cell in ("", "NA") else float(cell.replace(",", "."))


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(repr(name) for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
