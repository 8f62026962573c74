#!/usr/bin/env bash
# BORIS 10.0.2: a TextGrid of a face with two AUs cannot be opened by Praat, though praatio reads it.
#
# Expected: "Export events as Praat TextGrid" writes what Praat opens.
# Behaviour: the file says `size = ` the number of pairs of subject and behaviour that occur, and holds one tier for each
#   subject. With one behaviour they are the same; with two or more Praat looks for a tier that is not there ("Early end of text
#   detected") and reads nothing. praatio, which counts the tiers itself, reads it, so that a test with praatio finds no fault.
#   Where two AUs overlap, as in nearly every face, no file is written at all, and only the log says so.
# Why it matters: FACS coding has many behaviours for one subject; the way from BORIS to Praat works for none of it but a single
#   AU, and a pipeline that reads TextGrids with praatio passes its tests with files that coders cannot open.
# Remedy: set `size` to the number of tiers, or write one tier for each AU from the project file.
#
# Installs BORIS, Praat 6.1.38 (as praat-parselmouth 0.4.7) and praatio 6.2.2 into a temporary folder (about 200 MB; no display)
# and makes its own project. BORIS asks for Python 3.13, and does the same on 3.11. Ends with 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for python in python3.13 python3.14 python3.12 python3.11 python3; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pyside6-essentials==6.10.0 numpy==2.3.2 pandas==2.3.2 matplotlib==3.10.5 scipy==1.16.1 tablib==3.8.0 exifread==3.5.1 hachoir==3.3.0 pillow pyqtgraph==0.14.0 \
    praat-parselmouth==0.4.7 praatio==6.2.2
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python boris-behav-obs==10.0.2
cd "$folder"
QT_QPA_PLATFORM=offscreen "$folder/venv/bin/python" - <<'PYTHON'
import json
import os
import sys

sys.argv = ["boris", "--ipc"]  # the player as a program of its own, which is not needed here

from PySide6.QtWidgets import QApplication

application = QApplication([])

import parselmouth
from boris import config as cfg
from boris import export_events, project_functions, version
from praatio import textgrid

print("BORIS", version.__version__, "Praat", parselmouth.PRAAT_VERSION)
assert version.__version__ == "10.0.2"


def exported(coded):
    """What BORIS writes for state events (behaviour, begin, end) of one face, or None, and its log."""
    codes = sorted({code for code, _, _ in coded})
    behaviours = {
        str(place): {"key": "", "code": code, "type": "State event", "description": "", "color": "", "category": "", "modifiers": {},
                     "excluded": "", "coding map": ""}
        for place, code in enumerate(codes)
    }
    info = {"length": {"clip.mp4": 10.0}, "fps": {"clip.mp4": 25.0}, "hasVideo": {"clip.mp4": True}, "hasAudio": {"clip.mp4": False},
            "offset": {"1": 0.0}, "display": {"clip.mp4": "Nothing"}}
    observation = {
        "file": {str(player): ["clip.mp4"] if player == 1 else [] for player in range(1, 9)}, "type": "MEDIA", "date": "2026-11-01T10:00:00",
        "description": "", "time offset": 0, "observation time interval": [0, 0], "independent_variables": {},
        "media_creation_date_as_offset": False, "media_info": info,
        "events": [[time, "Anna", code, "", "", "NA"] for code, begin, end in coded for time in (begin, end)],
    }
    subjects = {"0": {"key": "", "name": "Anna", "description": ""}}
    empty = json.loads(json.dumps(cfg.EMPTY_PROJECT))
    project = dict(empty, behaviors_conf=behaviours, subjects_conf=subjects, observations={"clip": observation})
    with open("clip.boris", "w") as stream:
        json.dump(project, stream)
    _, _, opened, _ = project_functions.open_project_json("clip.boris")
    assert "error" not in opened, opened
    if os.path.exists("clip.TextGrid"):
        os.remove("clip.TextGrid")
    options = {"time": cfg.TIME_FULL_OBS, "selected subjects": ["Anna"], "selected behaviors": codes}
    worker, log = export_events.ExportTextGridWorker(opened, ["clip"], options, "."), []
    worker.log.connect(log.append)
    worker.error.connect(log.append)
    worker.run()
    if not os.path.exists("clip.TextGrid"):
        return None, log
    with open("clip.TextGrid", encoding="utf-8") as stream:
        return stream.read(), log


def in_praat():
    """How many tiers Praat finds, or its complaint."""
    try:
        return int(parselmouth.praat.call(parselmouth.read("clip.TextGrid"), "Get number of tiers"))
    except parselmouth.PraatError as error:
        return str(error).splitlines()[0]


one, _ = exported([("AU12", 1.0, 2.5)])
print("one AU: Praat finds", in_praat(), "tier")
assert in_praat() == 1

two, log = exported([("AU12", 1.0, 2.5), ("AU4", 3.0, 4.0)])
tiers = two.count('class = "IntervalTier"')
print(f"two AUs: {[line for line in two.splitlines() if line.startswith('size')]}, {tiers} tier in the file; log {log}; Praat: {in_praat()}")
assert "\nsize = 2\n" in two and tiers == 1, "the number of tiers is right now"
assert "Early end of text" in str(in_praat()), "Praat opens the file now"
names = textgrid.openTextgrid("clip.TextGrid", includeEmptyIntervals=False).tierNames
print("praatio reads the same file:", names)
assert names == ("Anna",)
with open("clip.TextGrid", "w", encoding="utf-8") as stream:
    stream.write(two.replace("\nsize = 2\n", "\nsize = 1\n"))
assert in_praat() == 1, "the number of tiers is not all that is wrong"

overlapping, log = exported([("AU12", 1.0, 2.5), ("AU6", 2.0, 4.0)])
print("two AUs that overlap:", overlapping, log)
assert overlapping is None and "overlap" in log[0]
print("as described: Praat opens a TextGrid of one AU only, and praatio does not notice")
PYTHON
