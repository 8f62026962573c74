"""A page of one video: the player beside the timelines of its AUs, frame for frame; and a page that lists many of them.

The page holds all it needs, the video too where that is small. It opens from the disk, without a network.
"""

import base64
import hashlib
import importlib.resources
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
from PIL import Image

from au_jax import files
from au_jax.data.annotations.events import Event
from au_jax.faces.browser_video import media_type, why_not_played
from au_jax.faces.decoding import is_camera, read_video
from au_jax.faces.tracking import SURE, RegisteredFace
from au_jax.faces.video_writer import VideoWriter
from au_jax.inference.event_writers import EventRules, detected_events
from au_jax.inference.writers import Detections, concatenate
from au_jax.labels import AU_NAMES
from au_jax.report import style
from au_jax.systems import display

EMBEDDED = 25_000_000
"""Bytes of a video up to which the page holds it; a larger one lies beside the page or stays where it is, and is linked."""

LONGEST_SIDE = 1280
"""Pixels of the longer side of a video that is coded anew for the page."""

_NONE = -32768


def video_beside(page: str | Path) -> Path:
    """Where the video of a page goes when it is coded anew and too large to be held by the page.

    Example:
      >>> video_beside("pages/clip.html").as_posix()
      'pages/clip_video.mp4'
    """
    return Path(page).with_name(f"{Path(page).stem}_video.mp4")


class PageWriter:
    """Writes the page of a video when its last frame has come: `streaming.predict` takes it as one of its writers.

    A video that browsers play is taken as it is: held by the page up to `EMBEDDED` bytes, else linked. Any other (old codecs,
    HDR, half pictures, a turned picture, a folder of frames, a camera) is coded anew, in the pixels that were scored and with
    their times. Keeps the scores of all frames, not the frames.

    Args:
      path: HTML file to write.
      video: what is scored, as `read_pictures` takes it.
      rules: how scores become events; None: the defaults.
      rotate: degrees by which the pictures were turned.
      cautions: what must be known of the scores; lines at the top.
      embedded: bytes up to which the page holds the video.

    Attributes:
      words: where the video is, after the page is written.

    Raises:
      DataError: the video cannot be read; when it is entered.
      OSError: the page cannot be written.

    Example:
      >>> from au_jax.inference.streaming import predict
      >>> with PageWriter("clip.html", "clip.mp4") as page:  # doctest: +SKIP
      ...     predict(detector, "clip.mp4", "clip.csv", writers=[page])
    """

    def __init__(
        self, path: str | Path, video: str | Path, rules: EventRules | None = None, rotate: int = 0,
        cautions: Sequence[str] = (), embedded: int = EMBEDDED,
    ):  # fmt: skip
        self._path, self._video, self._rules = Path(path), str(video), rules or EventRules()
        self._rotate, self._cautions, self._embedded = rotate, tuple(cautions), embedded
        self._parts: list[Detections] = []
        self._size: tuple[int, int] | None = None
        self._anew = ""
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._writer: VideoWriter | None = None
        self._first = 0.0
        self.words = ""

    def __enter__(self) -> "PageWriter":
        self._anew = self._why_anew()
        return self

    def _why_anew(self) -> str:
        if is_camera(self._video):
            return "it came from a camera"
        if Path(self._video).is_dir():
            return "it is a folder of frames"
        return "its picture was turned" if self._rotate else why_not_played(self._video)

    def write(self, detections: Detections, faces: list[RegisteredFace]) -> None:
        """Keeps the scores of the next frames, and codes their pictures where the video is coded anew."""
        self._parts.append(replace(detections, landmarks=detections.landmarks[:, :0]))
        last = None
        for row in faces:
            if row.picture is None or row.number == last:
                continue
            last = row.number
            if self._size is None:
                self._size = (row.picture.shape[1], row.picture.shape[0])
                self._first = row.timestamp
            if self._anew:
                self._code(row.picture, row.timestamp - self._first)

    def _code(self, picture: np.ndarray, seconds: float) -> None:
        assert self._size is not None
        if self._writer is None:
            shrink = min(1.0, LONGEST_SIDE / max(self._size))
            self._coded = (round(self._size[0] * shrink), round(self._size[1] * shrink))
            self._scratch = tempfile.TemporaryDirectory(prefix="au_jax_page_")
            self._writer = VideoWriter(Path(self._scratch.name) / "video.mp4", 25.0, *self._coded)
        # Frames of a folder may differ in size, those of a video may not.
        if picture.shape[1::-1] != self._coded:
            picture = np.asarray(Image.fromarray(picture).resize(self._coded, Image.Resampling.LANCZOS))
        self._writer.write(picture, seconds)

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
            if kind is None and self._parts:
                self._finish()
        finally:
            if self._scratch is not None:
                self._scratch.cleanup()

    def _finish(self) -> None:
        whole = concatenate(self._parts)
        source, link = Path(self._video), ""
        if self._scratch is not None:
            source = Path(self._scratch.name) / "video.mp4"
        size = source.stat().st_size if source.is_file() else 0
        megabytes = f"{size / 1e6:.1f} MB"
        how = f"coded anew for browsers, since {self._anew}" if self._anew else "the recording itself"
        if not size:
            self.words = "No picture of the video could be read."
        elif size <= self._embedded:
            self.words = f"This page holds the video ({megabytes}; {how})."
        else:
            if self._anew:
                beside = video_beside(self._path)
                with source.open("rb") as coded, files.opened(beside) as stream:
                    shutil.copyfileobj(coded, stream)
                source = beside
            link = os.path.relpath(source.absolute(), self._path.absolute().parent)
            self.words = (
                f"The video ({megabytes}; {how}) is too large for this page, which shows {link}: keep both as they lie."
            )
        offset = -self._first if self._anew else self._players_clock(whole)
        bytes_ = base64.b64encode(source.read_bytes()).decode() if size and not link else ""
        width, height = self._size or (640, 360)
        title = Path(self._video).absolute().name if not is_camera(self._video) else f"Camera {self._video}"
        files.write_text(
            self._path,
            _render(
                "video_page.html.jinja",
                title=title,
                facts=_facts(whole),
                cautions=self._cautions,
                video_words=self.words,
                embedded=bytes_,
                media_type="video/mp4" if self._anew else media_type(source),
                source=quote(Path(link).as_posix()),
                source_name=link,
                width=width,
                height=height,
                sure=SURE,
                aus=[(au, AU_NAMES.get(au, "")) for au in whole.aus],
                systems=_systems(whole),
                measures=[name for name, _ in _measures(whole)],
                people=_people(whole),
                data=page_data(whole, self._rules, offset),
            ),
        )

    def _players_clock(self, whole: Detections) -> float:
        """Seconds of the player's clock at which the table's clock is 0."""
        return next(read_video(self._video)).timestamp - float(whole.timestamps[0])


def page_data(detections: Detections, rules: EventRules, offset: float = 0.0) -> dict[str, Any]:
    """What the page's script shows: times, and of each person the frames, confidence, boxes, scores and events.

    Arrays are base64 of little-endian numbers: times int32 in tenths of milliseconds, scores int16 in thousandths up to 32.767.

    Args:
      detections: all frames of a video; landmarks are not needed.
      rules: how scores become events.
      offset: seconds of the player's clock at which the timestamps are 0.

    Example:
      >>> scores = {"anet": np.float32([[-1], [2], [2], [2], [2], [-1]])}
      >>> rows = Detections((12,), np.arange(1, 7), np.arange(6) / 25, np.ones(6, bool), np.ones(6), np.zeros((6, 4)),
      ...                   np.zeros((6, 0, 2)), scores)
      >>> page_data(rows, EventRules())["people"][0]["events"]
      [[0, 0.04, 0.2, None]]
    """
    _, first = np.unique(detections.frames, return_index=True)
    return {
        "times": _packed(np.round(detections.timestamps[first] * 1e4), "<i4"),
        "numbers": _packed(detections.frames[first], "<i4"),
        "offset": round(offset, 6),
        "aus": list(detections.aus),
        "systems": [{"dashed": system["dashed"]} for system in _systems(detections)],
        "sure": SURE,
        "rules": (
            f"An event begins where the score rises above 0 and ends where it falls below {rules.off:g}; gaps below "
            f"{rules.min_gap:g} s are closed, events below {rules.min_length:g} s left out."
        ),
        "people": [_person(detections.of_person(number), number, rules) for number in _people(detections)],
    }


def _people(detections: Detections) -> list[int]:
    return np.unique(detections.people[detections.success]).tolist()


def _person(one: Detections, number: int, rules: EventRules) -> dict[str, Any]:
    seen = np.flatnonzero(one.success)
    known = dict(_measures(one))
    places = {au: place for place, au in enumerate(one.aus)}
    return {
        "id": number,
        "first": int(seen[0]),
        "last": int(seen[-1]),
        "rows": _packed(seen, "<i4"),
        "confidence": _packed(np.clip(np.floor(100 * one.confidence[seen] + 1e-4), 0, 100), "u1"),
        "boxes": _packed(np.clip(np.round(one.boxes[seen]), -32767, 32767), "<i2"),
        "scores": [_thousandths(part[seen]) for part in one.scores.values()],
        "probability": _thousandths(known["probability"][seen]) if "probability" in known else "",
        "intensity": _thousandths(known["intensity"][seen]) if "intensity" in known else "",
        "events": [_event(event, places, float(one.timestamps[-1])) for event in detected_events(one, rules).events],
    }


def _event(event: Event, places: Mapping[int, int], end: float) -> list[Any]:
    """Place of the AU, onset, offset, and the mean probability as text or None."""
    offset = end if event.offset is None else event.offset
    return [places[event.au], round(event.onset, 4), round(offset, 4), event.comment.removeprefix("p=") or None]


def _measures(detections: Detections) -> list[tuple[str, Any]]:
    """What there is of every AU, by its name on the page; nothing that is unknown throughout."""
    rows = [("probability", detections.probabilities), ("intensity", detections.intensities)]
    last = detections.scores[list(detections.scores)[-1]]
    return [("score", last), *((name, part) for name, part in rows if part is not None and np.isfinite(part).any())]


def _thousandths(values: np.ndarray) -> str:
    known = np.isfinite(values)
    whole = np.clip(np.round(np.where(known, values, 0).astype(np.float64) * 1000), -32767, 32767)
    return _packed(np.where(known, whole, _NONE), "<i2")


def _packed(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values.astype(kind)).tobytes()).decode()


def _systems(detections: Detections) -> list[dict[str, Any]]:
    series = style.system_series(list(detections.scores))
    last = list(detections.scores)[-1]
    return [
        {"label": display.label(name), "colour": style.page_colour(look.colour), "dashed": name != last}
        for name, look in series.items()
    ]


def _facts(whole: Detections) -> str:
    frames, faces = len(np.unique(whole.frames)), len(np.unique(whole.frames[whole.success]))
    people, several = _people(whole), ""
    if len(people) > 1:
        several = f"{len(people)} people; "
    seconds = float(whole.timestamps[-1] - whole.timestamps[0])
    systems = " and ".join(display.label(name) for name in whole.scores)
    return (
        f"{frames} frames in {seconds:.1f} s, {faces} with a face; {several}scored by {systems}, of which "
        f"{display.label(list(whole.scores)[-1])} decides what is present."
    )


def write_index(path: Path, rows: Iterable[Mapping[str, Any]], pages: Mapping[str, Path]) -> None:
    """Writes the page that lists many videos, with a link to the page of each.

    Args:
      path: HTML file to write.
      rows: of `inference.batch.run_all`.
      pages: video -> its page; a video that failed has none.

    Raises:
      OSError: it cannot be written.

    Example:
      >>> write_index(folder / "index.html", [{"video": "a", "state": "done", "frames": 7}], {"a": folder / "a.html"})
      >>> '<a href="a.html">a</a>' in (folder / "index.html").read_text()
      True
    """
    listed = []
    for row in rows:
        frames, faces = row.get("frames"), row.get("faces")
        page = pages.get(row["video"])
        listed.append(
            {
                "video": row["video"],
                "link": quote(Path(os.path.relpath(page, path.parent)).as_posix()) if page is not None else "",
                "state": row["state"],
                "frames": "" if frames is None else frames,
                "share": f"{100 * faces / frames:.1f} %" if frames and faces is not None else "",
                "confidence": "" if row.get("median_confidence") is None else f"{row['median_confidence']:.2f}",
                "notes": row.get("problem") or row.get("notes") or "",
                "aus": {name: value for name, value in row.items() if name.startswith("AU") and value is not None},
            }
        )
    aus = sorted({name for row in listed for name in row["aus"]}, key=lambda name: int(name[2:]))
    files.write_text(path, _render("video_index.html.jinja", rows=listed, aus=aus))


def _render(template: str, **values: Any) -> str:
    room = importlib.resources.files("au_jax.report")
    script = room.joinpath("video_page.js").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )  # fmt: skip
    return environment.from_string(room.joinpath(template).read_text("utf-8")).render(
        style="".join(room.joinpath(name).read_text("utf-8") for name in ("page.css", "video_page.css")),
        script=script,
        # The page allows this script and no other.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **values,
    )
