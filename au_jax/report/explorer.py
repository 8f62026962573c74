"""What the page's viewer of test videos shows: pictures of frames, the truth, and every system's scores over time.

A page must stay small: a few videos, of a long one its liveliest part, and of that every n-th picture.
"""

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from au_jax.data.recording_files import encode_jpeg
from au_jax.evaluation.tables import Scored
from au_jax.report import style
from au_jax.report.finished import FinishedRun, display_name
from au_jax.report.frame_pictures import Place, decode
from au_jax.report.inline_svg import page_colour
from au_jax.report.timeline import liveliest, window

VIDEOS = 6
"""Videos on the page at most."""
FRAMES = 360
"""Frames of a video whose scores are shown, at most."""
PICTURES = 60
"""Pictures of a video, at most: the slider stops there."""
SIDE = 112
"""Pixels of a picture's side, at most."""
QUALITY = 75
"""JPEG quality of the pictures: 2 to 4 kB each."""

_TRUTH = {1: "+", -1: "-", 0: "?"}
_DASHES = {"-": "none", "--": "6 3", ":": "1.5 3", "-.": "6 3 1.5 3"}


def explorer_data(run: FinishedRun) -> dict[str, Any]:
    """Everything that the viewer shows, as JSON values.

    Returns:
      {"systems": [{"name", "colour", "dash"}], "videos": [{"key", "frames": frame numbers [T], "truth": an AU's "+", "-" and
      "?" as a string, 12 of them, "scores": [systems][12][T], "scale": what a system's scores are divided by for the plot,
      "stops": rows with a picture, "pictures": these in base64}]}.

    Raises:
      UserError: damaged score files, or scores of other frames than the dataset's.
    """
    if run.dataset is None:
        raise ValueError("the viewer shows faces and needs the run's dataset")
    scored = {name: run.scores(name) for name in run.systems}
    first = scored[run.systems[0]]
    parts = {key: window(first.labels[key], FRAMES) for key in choose_videos(first, VIDEOS, run.results["seed"])}
    stops = {key: _stops(part) for key, part in parts.items()}
    places = [Place(key, row, int(first.frames[key][row])) for key in parts for row in stops[key]]
    pictures = iter(_encode(decode(run.dataset, places)))
    series = style.system_series(run.systems)
    return {
        "systems": [
            {
                "name": display_name(name),
                "colour": page_colour(series[name].colour),
                "dash": _DASHES[str(series[name].line)],
            }
            for name in run.systems
        ],
        "videos": [
            {
                "key": key,
                "frames": first.frames[key][part].tolist(),
                "truth": ["".join(_TRUTH[int(label)] for label in column) for column in first.labels[key][part].T],
                "scores": [[_figures(column) for column in one.scores[key][part].T] for one in scored.values()],
                "scale": [_scale(one.scores[key]) for one in scored.values()],
                "stops": [row - part.start for row in stops[key]],
                "pictures": [next(pictures) for _ in stops[key]],
            }
            for key, part in parts.items()
        ],
    }


def choose_videos(scored: Scored, count: int, seed: int) -> list[str]:
    """The video with most AU changes, then videos of other subjects at random."""
    first = liveliest(scored.labels)
    by_subject: dict[str, list[str]] = {}
    for key in sorted(scored.labels):
        by_subject.setdefault(key.rpartition("/")[0], []).append(key)
    del by_subject[first.rpartition("/")[0]]
    generator = np.random.default_rng([seed, 11])
    others = generator.permutation(list(by_subject)).tolist()[: count - 1]
    return [first, *(str(generator.choice(by_subject[subject])) for subject in sorted(others))]


def _stops(part: slice) -> range:
    return range(part.start, part.stop, math.ceil((part.stop - part.start) / PICTURES))


def _encode(pictures: Sequence[np.ndarray]) -> list[str]:
    encoded = []
    for picture in pictures:
        side = min(SIDE, len(picture))
        small = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS))
        encoded.append(base64.b64encode(encode_jpeg(small, QUALITY)).decode())
    return encoded


def _figures(scores: np.ndarray) -> list[float]:
    """Three significant digits: a score near the threshold keeps its side."""
    return [float(f"{score:.3g}") for score in scores]


def _scale(scores: np.ndarray) -> float:
    # As the timeline's picture: the 99th percentile of all magnitudes of the video.
    return float(f"{np.quantile(np.abs(scores), 0.99):.3g}") or 1.0
