"""Events written as a BORIS project: an ethogram of the AUs, the people as subjects, and one observation of the video.

Intensity and side are modifiers, so that they can be corrected with a key; an apex is a point event of its own behaviour.
"""

import datetime
from pathlib import Path
from typing import Any

from au_jax import files
from au_jax.data.annotations.events import Event, EventCodes
from au_jax.data.annotations.notation import LETTERS
from au_jax.data.annotations.tiers import CODED
from au_jax.errors import DataError
from au_jax.labels import ABSENT, AU_NAMES, MISSING

_SIDES = {"L": "left", "R": "right", "B": "bilateral"}
_LABELS = {MISSING: "missing", ABSENT: "absent"}
_SETS = (("intensity", (*LETTERS,)), ("side", tuple(_SIDES.values())), ("coding", tuple(_LABELS.values())))


def write_boris(
    path: Path,
    codes: EventCodes,
    *,
    media: str | Path,
    fps: int | float,
    duration: int | float,
    observation: str = "",
    date: str = "",
) -> None:
    """Writes a project that BORIS opens with the video.

    Args:
      path: ends in .boris; replaced if it exists.
      codes: in seconds; times are rounded to milliseconds. Events of one person, AU, side and intensity that overlap are
        joined, for BORIS takes START and STOP in turn.
      media: the video; beside the project where only a name is given.
      fps, duration: its frames a second, and its length in seconds, where events with an open end stop.
      observation: its id; None: the video's name.
      date: of project and observation in ISO 8601; now if empty.

    Raises:
      DataError: events in frame numbers.

    Example:
      >>> codes = EventCodes((Event(12, 0.5, 2.0, intensity="C"),), aus=(12,))
      >>> write_boris(folder / "clip.boris", codes, media="clip.mp4", fps=25, duration=4)
      >>> from au_jax.data.annotations.boris import read_boris
      >>> [(event.au, event.onset, event.offset, event.intensity) for event in read_boris(folder / "clip.boris").events]
      [(12, 0.5, 2.0, 'C')]
    """
    if codes.unit != "seconds":
        raise DataError(
            f"{path}: BORIS projects of videos hold times; give events in seconds, by the video's frame times"
        )
    video, now = str(media), date or datetime.datetime.now().isoformat("T", "milliseconds")
    aus = sorted({*codes.aus, *(event.au for event in codes.events)})
    apex = sorted({event.au for event in codes.events if event.apex is not None})
    behaviours: list[dict[str, Any]] = [
        _behaviour(f"AU{au}", "State event", AU_NAMES.get(au, "").capitalize(), modifiers=True) for au in aus
    ]
    behaviours += [_behaviour(f"AU{au} apex", "Point event", f"Strongest moment of AU {au}") for au in apex]
    if codes.spans:
        behaviours.append(_behaviour(CODED, "State event", "Stretch of the video that was coded"))
    rows: list[list[Any]] = []

    def moment(time: int | float | None) -> float:
        return round(float(duration if time is None else time), 3)

    joined: dict[tuple[str, str, str], list[tuple[float, float, str]]] = {}
    for event in sorted(codes.events, key=lambda event: event.onset):
        stretches = joined.setdefault((event.person, f"AU{event.au}", _modifiers(event)), [])
        begin, end = moment(event.onset), moment(event.offset)
        if stretches and begin < stretches[-1][1]:
            before = stretches.pop()
            comment = "; ".join(dict.fromkeys(part for part in (before[2], event.comment) if part))
            begin, end, comment = before[0], max(end, before[1]), comment
        else:
            comment = event.comment
        stretches.append((begin, end, comment))
        if event.apex is not None:
            rows.append([moment(event.apex), event.person, f"AU{event.au} apex", "", "", "NA"])
    for (person, code, modifiers), stretches in joined.items():
        for begin, end, comment in stretches:
            rows.append([begin, person, code, modifiers, comment, "NA"])
            rows.append([end, person, code, modifiers, "", "NA"])
    for begin, end in codes.spans:
        rows += [[moment(begin), "", CODED, "", "", "NA"], [moment(end), "", CODED, "", "", "NA"]]
    rows.sort(key=lambda row: row[:3])  # as BORIS does; equal ones stay in their order
    project = {
        "time_format": "hh:mm:ss",
        "project_date": now,
        "project_name": path.stem,
        "project_description": "Facial action units",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(place): {"key": "", "name": person, "description": ""}
            for place, person in enumerate(person for person in codes.persons if person)
        },
        "behaviors_conf": {str(place): behaviour for place, behaviour in enumerate(behaviours)},
        "observations": {
            observation or Path(video).stem: {
                "file": {str(player): [video] if player == 1 else [] for player in range(1, 9)},
                "type": "MEDIA",
                "date": now,
                "description": "",
                "time offset": 0.0,
                "events": rows,
                "observation time interval": [0, 0],
                "independent_variables": {},
                "visualize_spectrogram": False,
                "visualize_waveform": False,
                "media_creation_date_as_offset": False,
                "media_scan_sampling_duration": 0,
                "image_display_duration": 1,
                "close_behaviors_between_videos": False,
                "media_info": {
                    "length": {video: float(duration)},
                    "fps": {video: float(fps)},
                    "hasVideo": {video: True},
                    "hasAudio": {video: False},
                    "offset": {"1": 0.0},
                    "display": {video: "Nothing"},
                },
            }
        },
        "behavioral_categories": [],
        "behavioral_categories_config": {},
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    files.write_json(path, project)


def _behaviour(code: str, kind: str, description: str, modifiers: bool = False) -> dict[str, Any]:
    sets = {
        str(place): {"name": name, "description": "", "type": 0, "ask at stop": False, "values": list(values)}
        for place, (name, values) in enumerate(_SETS)
    }
    return {
        "key": "", "code": code, "type": kind, "description": description, "color": "", "category": "",
        "modifiers": sets if modifiers else {}, "excluded": "", "coding map": "",
    }  # fmt: skip


def _modifiers(event: Event) -> str:
    """One choice of each set, as BORIS writes them."""
    return "|".join((event.intensity or "None", _SIDES.get(event.side, "None"), _LABELS.get(event.label, "None")))
