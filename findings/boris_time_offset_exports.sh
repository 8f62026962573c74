#!/usr/bin/env bash
# BORIS 10.0.2: with a time offset, "full observation" exports come out empty, and events are said to be in the wrong video.
#
# A lab numbers its session from the beginning of the recording day, or lets a clip start at the second that it was cut from:
# the observation gets a time offset, which BORIS adds to the time of every event. Two clips are queued in player 1.
#
# Expected: an export of the full observation has all events; "Media file name" is the video in which an event was coded.
# Behaviour: the limits of a full observation are 0 and the length of the videos, without the offset, while the events are with
#   it. An offset above that length gives a table with a header and no row, and reports success. A smaller one loses the events
#   at the end, or keeps them all, and looks up their video by the time with the offset: an event at 9.0 s of a.mp4 is exported
#   as one of b.mp4. (The program itself takes the offset off where it makes pictures of events, in events_snapshots.)
# Why it matters: codes per frame made from "Media file name" and "Time" land in another person's or another take's video, or
#   seconds late in the right one; a recording whose export is empty looks like one without a single AU.
# Remedy: read the project file, or take "Time offset (s)" off and find the video from "Source" and "Media duration (s)"; and
#   export with "limit to events", not with "full observation".
#
# Installs BORIS into a temporary folder (it asks for Python 3.13, and does the same on 3.11; about 150 MB; no display, player or
# ffmpeg) and makes its own project, which BORIS itself opens and checks. Ends with 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for python in python3.13 python3.14 python3.12 python3.11 python3; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
done
"$python" -m venv "$folder/venv"
# Without Qt's add-ons and what only its plots of R data need.
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pyside6-essentials==6.10.0 numpy==2.3.2 pandas==2.3.2 matplotlib==3.10.5 scipy==1.16.1 tablib==3.8.0 exifread==3.5.1 hachoir==3.3.0 pillow pyqtgraph==0.14.0
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python boris-behav-obs==10.0.2
cd "$folder"
QT_QPA_PLATFORM=offscreen "$folder/venv/bin/python" - <<'PYTHON'
import csv
import json
import sys

sys.argv = ["boris", "--ipc"]  # the player as a program of its own, which is not needed here

from PySide6.QtWidgets import QApplication

application = QApplication([])

from boris import config as cfg
from boris import export_observation, project_functions, version

print("BORIS", version.__version__, "on Python", sys.version.split()[0])
assert version.__version__ == "10.0.2"
VIDEOS, CODED = ("a.mp4", "b.mp4"), ((1.0, "AU12"), (2.5, "AU12"), (9.0, "AU6"), (9.5, "AU6"), (12.0, "AU4"), (13.0, "AU4"))


def exported(offset, limits):
    """Rows (behaviour, status, time, video) of BORIS's tabular export; the videos last 10 s each."""
    behaviours = {
        str(place): {"key": "", "code": code, "type": "State event", "description": "", "color": "", "category": "", "modifiers": {},
                     "excluded": "", "coding map": ""}
        for place, code in enumerate(("AU4", "AU6", "AU12"))
    }
    info = {
        "length": dict.fromkeys(VIDEOS, 10.0), "fps": dict.fromkeys(VIDEOS, 25.0), "hasVideo": dict.fromkeys(VIDEOS, True),
        "hasAudio": dict.fromkeys(VIDEOS, False), "offset": {"1": 0.0}, "display": dict.fromkeys(VIDEOS, "Nothing"),
    }
    observation = {
        "file": {str(player): list(VIDEOS) if player == 1 else [] for player in range(1, 9)}, "type": "MEDIA", "date": "2026-11-01T10:00:00",
        "description": "", "time offset": offset, "observation time interval": [0, 0], "independent_variables": {},
        "media_creation_date_as_offset": False, "media_info": info,
        "events": [[time + offset, "", code, "", "", "NA"] for time, code in CODED],
    }
    project = dict(json.loads(json.dumps(cfg.EMPTY_PROJECT)), behaviors_conf=behaviours, observations={"session": observation})
    with open("session.boris", "w") as stream:
        json.dump(project, stream)
    _, _, opened, _ = project_functions.open_project_json("session.boris")
    assert "error" not in opened, opened
    observation = opened["observations"]["session"]
    fine, message = project_functions.check_state_events_obs("session", opened["behaviors_conf"], observation)
    assert fine, message
    options = {"time": limits, "selected subjects": [cfg.NO_FOCAL_SUBJECT], "selected behaviors": ["AU4", "AU6", "AU12"]}
    done, message = export_observation.export_tabular_events(
        opened, options, "session", observation, opened["behaviors_conf"], "session.csv", "csv"
    )
    assert done, message
    with open("session.csv", newline="") as stream:
        rows = [(row["Behavior"], row["Behavior type"], row["Time"], row["Media file name"]) for row in csv.DictReader(stream)]
    print(f"offset {offset} s, {limits}: success, {len(rows)} of {len(CODED)} rows {rows}")
    return rows


true_videos = ["a.mp4", "a.mp4", "a.mp4", "a.mp4", "b.mp4", "b.mp4"]
assert [row[3] for row in exported(0, cfg.TIME_FULL_OBS)] == true_videos
assert exported(60, cfg.TIME_FULL_OBS) == [], "full observations with an offset are no longer empty"
assert {row[3] for row in exported(60, cfg.TIME_EVENTS)} == {"Not found"}
assert len(exported(9, cfg.TIME_FULL_OBS)) == 4, "the events at the end are no longer lost"
wrong = exported(5, cfg.TIME_FULL_OBS)
assert ("AU6", "START", "14.000", "b.mp4") in wrong, "the video of an event is now found without the offset"
print("as described: nothing is exported, or AU 6 at 9.0 s of a.mp4 is said to be in b.mp4")
PYTHON
