"""Processor time per frame of `predict` beside MediaPipe's FaceMesh on the same clip, in turns.

    python -m experiments.benchmark_peers --run=runs/demo --video=clip.mp4 --mediapipe=/path/to/venv/bin/python [--before=FOLDER]

Every contestant is a process of its own; its start, and the first chunks of frames, are left out. Ours decodes, tracks,
registers, scores by all folds and writes the table; MediaPipe decodes by OpenCV and finds the mesh, and no AUs: --mediapipe names
the Python of an environment of its own, with `pip install mediapipe==0.10.21`. --before is a checkout of an earlier version of
this project. A ratio is the median over turns of two neighbours' processor times: what else the machine does slows both.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from au_jax import files
from au_jax.command_line import run_command
from au_jax.errors import CommandError

OURS, BEFORE, PEER = "au_jax", "au_jax before", "MediaPipe FaceMesh"
"""Contestants."""

STARTED = 64
"""Frames after which the time is taken."""

_OURS = """
import json, sys, tempfile, time
from pathlib import Path
from au_jax.inference.detector import Detector
from au_jax.inference.streaming import predict

class Clock:
    def __init__(self): self.marks = []
    def __enter__(self): return self
    def __exit__(self, *error): return None
    def write(self, detections, faces): self.marks.append((len(detections.frames), time.process_time()))

run, video = sys.argv[1:3]
clock = Clock()
with tempfile.TemporaryDirectory() as folder:
    predict(Detector.from_run(run), video, Path(folder) / "aus.csv", writers=[clock])
print(json.dumps(clock.marks))
"""
_PEER = """
import json, sys, time
import cv2
import mediapipe
video = cv2.VideoCapture(sys.argv[2])
mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=False)
marks = []
while True:
    read, image = video.read()
    if not read:
        break
    mesh.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    marks.append((1, time.process_time()))
print(json.dumps(marks))
"""


def per_frame(marks: Sequence[tuple[int, float]], started: int = STARTED) -> float:
    """Milliseconds of a frame, of those behind the first ones.

    Args:
      marks: (new frames, processor time in seconds), in order.
      started: frames that are not counted.

    Raises:
      CommandError: there are no more frames than these.
    """
    counts = list(itertools.accumulate(frames for frames, _ in marks))
    first = next((index for index, count in enumerate(counts) if count >= started), None)
    if first is None or first == len(marks) - 1:
        raise CommandError(
            f"the video has {sum(frames for frames, _ in marks)} frames; take one of {10 * started} or more"
        )
    return 1000 * (marks[-1][1] - marks[first][1]) / (counts[-1] - counts[first])


def measure(
    commands: Mapping[str, Sequence[str]], environments: Mapping[str, Mapping[str, str]], turns: int
) -> dict[str, Any]:
    """Milliseconds of processor time a frame of all contestants, in turns, and ratios of ours to the others'.

    Args:
      commands: contestant -> its process.
      environments: contestant -> its environment.
      turns: each contestant's number of runs.

    Raises:
      CommandError: a process fails.
    """
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(turns):
        for name, command in commands.items():
            done = subprocess.run(command, env=environments[name], capture_output=True, text=True, check=False)
            if done.returncode:
                last = done.stderr.strip().rpartition("\n")[2]
                raise CommandError(f"{name} failed: {last}; see that {command[0]} runs it")
            times[name].append(per_frame(json.loads(done.stdout.strip().rpartition("\n")[2])))
    return {
        "milliseconds": {name: statistics.median(values) for name, values in times.items()},
        "turns": times,
        "ratios": {
            name: statistics.median(ours / theirs for ours, theirs in zip(times[OURS], values, strict=True))
            for name, values in times.items()
            if name != OURS
        },
    }


def markdown(document: Mapping[str, Any]) -> str:
    """The table.

    Args:
      document: of `measure`.
    """
    lines = ["| | processor time a frame, ms | ours to it |", "|---|---:|---:|"]
    for name, value in document["milliseconds"].items():
        ratio = document["ratios"].get(name)
        lines.append(f"| {name} | {value:.1f} | {'' if ratio is None else f'{ratio:.2f}'} |")
    return "\n".join(lines) + "\n"


def benchmark_peers(run: str, video: str, mediapipe: str, before: str, turns: int, out: str) -> None:
    """Measures, prints the table and writes it to `out`.json and `out`.md if that is given."""
    here = Path(__file__).resolve().parents[1]
    # Without -P, the folder of the command would come before the version that is meant.
    ours = [sys.executable, "-P", "-c", _OURS, run, video]
    commands: dict[str, Sequence[str]] = {OURS: ours}
    environments = {OURS: {**os.environ, "PYTHONPATH": f"{here}:{os.environ.get('PYTHONPATH', '')}"}}
    if before:
        commands[BEFORE] = ours
        environments[BEFORE] = {**os.environ, "PYTHONPATH": before}
    if mediapipe:
        commands[PEER] = [mediapipe, "-c", _PEER, run, video]
        # Neither is to see the other's packages.
        environments[PEER] = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    else:
        print("MediaPipe is left out: --mediapipe names the Python of an environment that has it", file=sys.stderr)
    document = measure(commands, environments, turns)
    print(markdown(document))
    if out:
        files.write_json(Path(f"{out}.json"), document)
        files.write_text(Path(f"{out}.md"), markdown(document))


def main() -> None:
    """Runs the command line."""
    run = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    video = flags.DEFINE_string("video", None, "A clip of some hundred frames with a face.", required=True)
    mediapipe = flags.DEFINE_string("mediapipe", "", "Python of an environment with mediapipe; left out without.")
    before = flags.DEFINE_string("before", "", "Checkout of an earlier version, to be compared with.")
    turns = flags.DEFINE_integer("turns", 3, "Runs of each.", lower_bound=1)
    out = flags.DEFINE_string("out", "", "Also write the table to files of this name, .json and .md.")
    run_command(lambda: benchmark_peers(run.value, video.value, mediapipe.value, before.value, turns.value, out.value))


if __name__ == "__main__":
    main()
