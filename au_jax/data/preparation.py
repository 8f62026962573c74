"""From raw recordings to the registered dataset, the library part of `au-jax prepare`.

A copy of real recordings is checked first. Then each recording is registered and written by itself, several at a time; after a
kill, the next start continues with the next recording. The finished recordings are packed into the TFDS dataset and deleted.
Recordings and dataset keep an account of what they were made from (`au_jax.data.provenance`): what no longer agrees with the
config or with the files is prepared again, and the rest is taken from where it lies.
"""

import concurrent.futures
import contextlib
import functools
import io
import itertools
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from au_jax import console, files
from au_jax.config import DataConfig, replace
from au_jax.cores import usable_cores
from au_jax.data import dataset_seal, provenance
from au_jax.data.contact_sheet import write_sheet
from au_jax.data.dataset import FaceDataset
from au_jax.data.preparation_workers import make_pool, prepare_recording
from au_jax.data.provenance import DAMAGED, NEW, Fingerprint
from au_jax.data.readers import make_reader
from au_jax.data.readers.base import RawReader
from au_jax.data.readers.survey import Check, check
from au_jax.data.recordings import (
    Problem,
    Reader,
    RecordingId,
    has_intensities,
    is_finished,
    read_fingerprint,
    read_notes,
    read_recording,
    write_encoded,
)
from au_jax.data.tfds_builder import AuFaces, AuFacesConfig
from au_jax.data.tfrecord_index import no_autograph, read_stream
from au_jax.errors import ConfigError, DataError, UserError

_OURS = re.compile(r".*\.(npz|jpegs|json|[0-9]+\.partial)|\..*\.(npz|json)\..*|\.lock")
"""Names of the files in a folder of prepared recordings, with those that a killed process leaves."""


@dataclass(frozen=True)
class _Site:
    """The places of a dataset on disk."""

    reader: Reader
    folder: Path  # config.data.directory

    @property
    def recordings(self) -> Path:
        """Prepared recordings that are not packed yet."""
        return self.folder / "recordings" / self.reader.name

    @property
    def dataset(self) -> Path:
        return self.folder / "tfds" / AuFaces.name / self.reader.name / str(AuFaces.VERSION)

    @property
    def making(self) -> Path:
        """Where a dataset is packed: beside its place, from where it comes there in one step."""
        return self.dataset.parent / ".making"

    @property
    def packed(self) -> Path:
        return self.making / AuFaces.name / self.reader.name / str(AuFaces.VERSION)

    @property
    def report(self) -> Path:
        return self.folder / f"{self.reader.name}.json"

    @property
    def strips(self) -> Path:
        """Faces of each recording with their codes."""
        return self.folder / f"{self.reader.name}_codes"

    @property
    def sheet(self) -> Path:
        """The same of all recordings in one picture."""
        return self.folder / f"{self.reader.name}_codes.png"

    def leftovers(self) -> list[Path]:
        """Folders in which a dataset was being packed or replaced, those of earlier versions as well."""
        incomplete = self.dataset.parent.glob(f"{self.dataset.name}.incomplete*")
        return [path for path in (self.making, self.dataset.parent / ".replaced", *incomplete) if path.is_dir()]


def prepare(data: DataConfig, *, again: bool = False, renew: bool = False) -> tfds.core.DatasetBuilder:
    """Makes the registered dataset that `config.data` describes, or opens it where it is finished.

    A finished dataset is compared with what it would be made from: its fields and, where the config names the recordings,
    their files. Recordings that differ are prepared again, and one line says how many and why. Its records are counted and
    compared with their checksums. The problems of real recordings, found before and while they were read, are listed beside
    the dataset in <name>.json.

    Args:
      data: `config.data`.
      again: prepare all recordings again, whatever there is.
      renew: another version of a program that changes pixels is a reason to prepare again; else it is told.

    Returns:
      The TFDS builder, ready to be read.

    Raises:
      ConfigError: unknown source or preset.
      DataError: recordings that cannot be used; a finished dataset of this name that was made from another folder; one that
        was made with other fields or is damaged, where the config names no recordings; another process prepares or reads it.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> builder = prepare(load_run(run_folder).config.data)  # finished already: it is opened
      >>> builder.name, sorted(builder.info.splits)[0]
      ('au_faces', 'S001')
    """
    reader = make_reader(data)
    site = _Site(reader, Path(data.directory).absolute())
    dataset_seal.settle(site.packed, site.dataset)
    if again or _reason_to_prepare(site, data, renew):
        with files.locked(site.recordings):
            if again or _reason_to_prepare(site, data, renew):
                _prepare(site, data, again)
            _sweep(site)
    elif site.recordings.is_dir() or site.leftovers():
        # Who holds the lock is at work; who cannot write here cannot sweep.
        with contextlib.suppress(UserError, OSError), files.locked(site.recordings):
            if not _has_work_to_go_on_with(site):
                _sweep(site)
    dataset_seal.hold(site.dataset)
    return _builder(reader, site.folder / "tfds", data.image_size)


def subjects_of(data: DataConfig) -> tuple[str, ...]:
    """The subjects that the dataset of `config.data` has, or will have: nothing is prepared or written.

    Raises:
      ConfigError: unknown source or preset.
      DataError: there are no recordings, or none that can be used.

    Example:
      >>> subjects_of(DataConfig(preset="tiny", subjects=2, directory=str(folder)))  # nothing is rendered
      ('S001', 'S002')
    """
    reader = make_reader(data)
    site = _Site(reader, Path(data.directory).absolute())
    # A dataset whose description is lost names none, and is looked at by `prepare`.
    if site.dataset.is_dir() and (there := tuple(_builder(reader, site.folder / "tfds", data.image_size).info.splits)):
        return there
    return tuple(dict.fromkeys(recording.subject for recording in reader.recordings()))


def check_copy(data: DataConfig) -> Check:
    """Checks a copy of real recordings without preparing it.

    Raises:
      ConfigError: the source has no raw recordings.
      DataError: none are there.

    Example:
      >>> check_copy(DataConfig(source="synthfacs", directory=str(folder)))  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.ConfigError: config.data.source is synthfacs, which needs no recordings; ...
    """
    reader = make_reader(data)
    if not isinstance(reader, RawReader):
        real = f"of {data.stands_for} " if data.stands_for else ""
        other = "" if data.stands_for else " and --config.data.source=folder (or bp4d, gft, disfa)"
        raise ConfigError(
            f"config.data.source is {data.source}, which needs no recordings; to check recordings {real}give their folder, "
            f"--raw=FOLDER{other}"
        )
    return check(reader)


def refuse_stand_in(data: DataConfig) -> None:
    """Refuses synthetic faces that stand in for recordings which have been prepared: the user must say what is meant.

    Raises:
      ConfigError: names both choices.

    Example:
      >>> stand_in = DataConfig(stands_for="bp4d", directory=str(folder))
      >>> refuse_stand_in(stand_in)  # no recordings of BP4D have been prepared here
      >>> (folder / "tfds" / "au_faces" / "bp4d_200px" / str(AuFaces.VERSION)).mkdir(parents=True)
      >>> refuse_stand_in(stand_in)  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.ConfigError: ... holds prepared recordings, and the config asks for synthetic faces: add ...
    """
    if data.source != "synthfacs" or not data.stands_for:
        return
    real = replace(data, source=data.stands_for)
    site = _Site(make_reader(real), Path(data.directory).absolute())
    if site.dataset.is_dir():
        raise ConfigError(
            f"{site.dataset} holds prepared recordings, and the config asks for synthetic faces: add "
            f"--config.data.source={real.source} for the recordings, or --config.data.stands_for= for the synthetic faces"
        )


def _builder(
    reader: Reader,
    folder: Path,
    size: int,
    recordings: str = "",
    ids: tuple[RecordingId, ...] = (),
    landmarks: str = "",
    intensities: bool = False,
) -> AuFaces:
    config = AuFacesConfig(
        name=reader.name,
        description="Faces registered by au_jax.prepare.",
        image_size=size,
        aus=reader.aus,
        recordings=recordings,
        ids=ids,
        landmarks=landmarks,
        intensities=intensities,
    )
    # TFDS warns of every config that it does not know, with all recordings in the line.
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        return AuFaces(config=config, data_dir=str(folder))
    finally:
        logging.set_verbosity(verbosity)


def _reason_to_prepare(site: _Site, data: DataConfig, renew: bool) -> str:
    """Why the dataset cannot stay as it is; "" where it can.

    Raises:
      DataError: it cannot stay, and the config does not name the recordings, or others.
    """
    folder = site.dataset
    if not folder.is_dir():
        return NEW
    document, flaw = _inspect(folder)
    makes = _can_prepare(site, data, document)
    if flaw:
        if not makes:
            raise DataError(f"{flaw}; restore it from a copy, or prepare it again: {_command(document)}")
        console.tell(f"{flaw}: the dataset is damaged, and prepared again")
        return flaw
    if document is None:
        if isinstance(site.reader, RawReader) and data.landmarks != "dlib":
            raise DataError(
                f"dataset {folder} was registered by landmarks dlib, before there were others; give "
                "--config.data.landmarks=dlib to use it, --config.data.name=... for another beside it, or prepare it again: "
                f"{_command(document)} --again"
            )
        _tell_once(
            f"dataset {folder} was made by a version that kept no account of what it was made from; it is read as it is "
            "(au-jax prepare --again makes it anew)"
        )
        return ""
    wanted = provenance.fields_of(data)
    changed = provenance.changed_fields(document["fields"], wanted)
    if changed and not makes:
        was = ", ".join(f"config.data.{name}={old!r} (now {new!r})" for name, (old, new) in changed.items())
        flags = " ".join(f"--config.data.{name}={_quoted(old)}" for name, (old, _) in changed.items())
        raise DataError(
            f"dataset {site.reader.name} in {site.folder} was prepared with {was}; give {flags} to use it, "
            f"--config.data.name=... for another beside it, or prepare it again: {_command(document)}"
        )
    versions = provenance.versions_of(data.source, data.landmarks)
    if makes:
        made = _fingerprints(document)
        found = site.reader.origins()
        if gone := made.keys() - found.keys():
            return f"{len(gone)} recordings are gone"
        for recording, origin in found.items():
            now = Fingerprint(wanted, versions, document["reading"], origin)
            if reason := provenance.reason_to_renew(made[recording], now, versions=renew) if recording in made else NEW:
                return reason
    if others := provenance.changed_versions(document["versions"], versions):
        _tell_once(
            f"dataset {folder} was made with other versions ({others}); au-jax prepare makes it again with these"
        )
    return ""


def _inspect(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """The account of a dataset, None where it has none; and what is wrong with its files, "" where nothing is."""
    document = None
    try:
        document = dataset_seal.read_seal(folder)
        if document is None:
            damaged = dataset_seal.miscounted_shards(folder)
        else:
            damaged = dataset_seal.damaged_shards(folder, document)
            if lost := dataset_seal.restore_descriptions(folder, document):
                console.tell(f"{folder}: {', '.join(lost)} was lost or changed, and is made again")
    except DataError as error:
        return None, str(error)
    name, how = next(iter(damaged.items()), ("", ""))
    return document, f"{folder / name} {how}" if damaged else ""


def _can_prepare(site: _Site, data: DataConfig, document: Mapping[str, Any] | None) -> bool:
    """Whether the config names the recordings of a dataset.

    Raises:
      DataError: it names others.
    """
    if not isinstance(site.reader, RawReader):
        return True
    if not data.raw:
        return False
    before = document["raw"] if document else None
    if document is None and site.report.exists():
        before = files.read_json(site.report)["raw"]
    now = Path(data.raw).resolve()
    if before and before != str(now) and not (document and _is_same_copy(site, document)):
        raise DataError(
            f"dataset {site.reader.name} in {site.folder} was prepared from {before}, not from {now}; "
            "give this one a name of its own with --config.data.name"
        )
    if not now.is_dir():
        _tell_once(f"there is no folder {now} of recordings any more; their dataset is read as it was prepared")
        return False
    return True


def _is_same_copy(site: _Site, document: Mapping[str, Any]) -> bool:
    """Whether the recordings of the config are those of the dataset, in another place."""
    try:
        origins = site.reader.origins()
    except DataError:
        return False
    return origins == {recording: made.origin for recording, made in _fingerprints(document).items()}


def _fingerprints(document: Mapping[str, Any]) -> dict[RecordingId, Fingerprint]:
    """Recordings that were found when a dataset was made, used or not -> what they are, or would have been, made from."""
    common = document["fields"], document["versions"], document["reading"]
    return {_id(entry): Fingerprint(*common, entry["origin"]) for entry in _entries(document)}


def _entries(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*document["recordings"], *document["left_out"]]


def _id(entry: Mapping[str, Any]) -> RecordingId:
    return RecordingId(entry["subject"], entry["video"])


def _prepare(site: _Site, data: DataConfig, again: bool) -> None:
    # Nobody waits for hours to be told in the end.
    with dataset_seal.not_in_use(site.dataset):
        pass
    reader = site.reader
    report: dict[str, Any] = {}
    reading = ""
    # Before the files are read: what changes meanwhile is noticed.
    found = reader.origins()
    if isinstance(reader, RawReader):
        result = check(reader)
        console.tell(result.text())
        result.raise_if_unusable(data.skip_unusable)
        report = {"raw": str(Path(data.raw).resolve()), "check": result.document()}
        reading = reader.survey().unmarked
    fields, versions = provenance.fields_of(data), provenance.versions_of(data.source, data.landmarks)
    wanted = {each: Fingerprint(fields, versions, reading, found[each]) for each in reader.recordings()}
    _remove(site.leftovers())
    if again:
        _clear(site.recordings)
        reasons = dict.fromkeys(wanted, "--again" if site.dataset.is_dir() else NEW)
        _tell_summary(site, reasons, gone=0)
    else:
        reasons = _take_stock(site, data, wanted)
    todo = [recording for recording, reason in reasons.items() if reason]
    _prepare_recordings(reader, wanted, todo, site, data)
    notes = {recording: read_notes(site.recordings, recording) for recording in wanted}
    if report:
        report["prepared"] = {
            "frames": sum(frames for frames, _, _ in notes.values()),
            "frames_with_a_face": sum(faces for _, faces, _ in notes.values()),
            "problems": [asdict(problem) for _, _, problems in notes.values() for problem in problems],
        }
        files.write_json(site.report, report)
        write_sheet(site.sheet, site.strips, tuple(wanted))
    account = {
        "fields": fields,
        "versions": versions,
        "reading": reading,
        "raw": report.get("raw", ""),
        "recordings": [
            {**asdict(each), "origin": found[each], "problems": [asdict(problem) for problem in notes[each][2]]}
            for each in wanted
        ],
        "left_out": [{**asdict(each), "origin": origin} for each, origin in found.items() if each not in wanted],
    }
    _pack(site, data, wanted, account)


def _take_stock(site: _Site, data: DataConfig, wanted: Mapping[RecordingId, Fingerprint]) -> dict[RecordingId, str]:
    """Brings together what is prepared already, and says why each of the other recordings has to be; "" of those there."""
    reasons = {recording: _reason_of_staged(site.recordings, recording, now) for recording, now in wanted.items()}
    document, _ = _inspect(site.dataset) if site.dataset.is_dir() else (None, "")
    packed: dict[RecordingId, dict[str, Any]] = {}
    gone = 0
    if document is not None:
        damaged = dataset_seal.damaged_shards(site.dataset, document)
        broken = {name.split(".")[0].partition("-")[2] for name in damaged}
        made = _fingerprints(document)
        used = {_id(entry): entry for entry in document["recordings"]}
        gone = len(used.keys() - wanted.keys())
        for recording in used.keys() & wanted.keys():
            reason = provenance.reason_to_renew(made[recording], wanted[recording])
            if not reason and recording.subject in broken:
                reason = DAMAGED
            if not reason and reasons[recording]:
                packed[recording] = used[recording]
            elif reasons[recording] == NEW:
                reasons[recording] = reason
    for recording in packed:
        reasons[recording] = ""
    for recording in _unpack(site, data, packed, wanted):
        reasons[recording] = DAMAGED
    _tell_summary(site, reasons, gone)
    return reasons


def _tell_summary(site: _Site, reasons: Mapping[RecordingId, str], gone: int) -> None:
    if line := provenance.renewal_line(reasons.values(), gone):
        console.tell(f"dataset {site.reader.name}: {line}")


def _reason_of_staged(folder: Path, recording: RecordingId, wanted: Fingerprint) -> str:
    if not is_finished(folder, recording):
        return NEW
    document = read_fingerprint(folder, recording)
    try:
        made = None if document is None else Fingerprint(**document)
    except TypeError:
        made = None
    return provenance.reason_to_renew(made, wanted) or ("" if _is_whole(folder, recording) else DAMAGED)


def _is_whole(folder: Path, recording: RecordingId) -> bool:
    try:
        for _ in read_recording(folder, recording):
            pass
    except (DataError, OSError):
        return False
    return True


@no_autograph
def _unpack(
    site: _Site,
    data: DataConfig,
    packed: Mapping[RecordingId, Mapping[str, Any]],
    wanted: Mapping[RecordingId, Fingerprint],
) -> list[RecordingId]:
    """Takes recordings out of the dataset, to the byte; returns those whose records are damaged."""
    if not packed:
        return []
    dataset = FaceDataset(_builder(site.reader, site.folder / "tfds", data.image_size))
    left = dict(packed)
    for subject in dict.fromkeys(recording.subject for recording in packed):
        shards = dataset.shards(subject)
        stream = tf.data.TFRecordDataset(shards).map(dataset.parse)
        with contextlib.suppress(DataError):  # those that are left are damaged
            for video, rows in itertools.groupby(read_stream(stream, shards), lambda row: row["video"].decode()):
                recording = RecordingId(subject, video)
                if recording in packed:
                    problems = [Problem(**problem) for problem in packed[recording]["problems"]]
                    encoded = ({**row, "jpeg": row["image"]} for row in rows)
                    write_encoded(site.recordings, recording, encoded, problems, asdict(wanted[recording]))
                    del left[recording]
    return list(left)


def _pack(site: _Site, data: DataConfig, wanted: Mapping[RecordingId, Fingerprint], account: dict[str, Any]) -> None:
    """Packs the prepared recordings into a dataset, seals it, and puts it at its place."""
    reader = site.reader
    for recording, now in wanted.items():
        if read_fingerprint(site.recordings, recording) != asdict(now):
            raise DataError(f"{site.recordings} has changed while it was in use; type the same command again")
    graded = any(has_intensities(site.recordings, recording) for recording in wanted)
    landmarks = data.landmarks if isinstance(reader, RawReader) else ""
    builder = _builder(reader, site.making, data.image_size, str(site.recordings), tuple(wanted), landmarks, graded)
    # Packing is quick beside preparing; its bars would bury ours.
    tfds.disable_progress_bar()
    # TFDS prints that it downloads, which it does not.
    with console.live(f"pack {reader.name}"), contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(file_format="tfrecord")
    dataset_seal.write_seal(site.packed, account)
    dataset_seal.place(site.packed, site.dataset)


def _prepare_recordings(
    reader: Reader,
    wanted: Mapping[RecordingId, Fingerprint],
    todo: list[RecordingId],
    site: _Site,
    data: DataConfig,
) -> None:
    folder = site.recordings
    strips = site.strips if isinstance(reader, RawReader) else None
    workers = min(data.workers or usable_cores(), max(len(todo), 1))
    with (
        make_pool(reader, workers) as pool,
        console.bar(
            total=len(wanted), initial=len(wanted) - len(todo), desc=f"prepare {reader.name}", unit="video"
        ) as progress,
    ):
        jobs = [
            pool.submit(
                prepare_recording, reader, recording, folder, data.jpeg_quality, asdict(wanted[recording]), strips
            )
            for recording in todo
        ]
        try:
            for job in concurrent.futures.as_completed(jobs):
                job.result()
                progress.update()
        except BaseException:
            for job in jobs:
                job.cancel()
            raise


def _has_work_to_go_on_with(site: _Site) -> bool:
    """Whether recordings are prepared that the dataset does not hold: somebody prepares it anew and was interrupted."""
    document = dataset_seal.read_seal(site.dataset)
    made = _fingerprints(document) if document else {}
    for path in site.recordings.glob("*/*.npz"):
        recording = RecordingId(path.parent.name, path.stem)
        fingerprint = read_fingerprint(site.recordings, recording)
        if fingerprint and (recording not in made or fingerprint != asdict(made[recording])):
            return True
    return False


def _sweep(site: _Site) -> None:
    """Removes what making the dataset has left behind, by this process or one that was killed."""
    _remove(site.leftovers())
    _clear(site.recordings)


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def _clear(folder: Path) -> None:
    """Removes prepared recordings and what killed processes left of them; anybody's other files stay.

    The caller holds the folder's lock.
    """
    for path in [*folder.glob("*/*"), *folder.glob("*/.*"), folder / ".lock"]:
        if path.is_file() and _OURS.fullmatch(path.name):
            path.unlink()
    for place in (*folder.glob("*/"), folder):
        with contextlib.suppress(OSError):  # not empty
            place.rmdir()


@functools.cache
def _tell_once(text: str) -> None:
    console.tell(text)


def _command(document: Mapping[str, Any] | None) -> str:
    raw = document["raw"] if document else ""
    return f"au-jax prepare --raw={_quoted(raw) if raw else 'FOLDER'}"


def _quoted(value: Any) -> str:
    return shlex.quote(str(value)) if not isinstance(value, list) else shlex.quote(str(tuple(value)))


def report_path(data: DataConfig) -> Path:
    """Where the problems of a dataset's recordings are listed; rendered faces have no such file.

    Example:
      >>> report_path(DataConfig(source="bp4d", raw="BP4D", name="mine", directory=str(folder))).name
      'mine_200px.json'
    """
    return _Site(make_reader(data), Path(data.directory)).report


def sheet_path(data: DataConfig) -> Path:
    """Where faces of a dataset's recordings are shown with their codes; rendered faces have no such picture.

    Example:
      >>> sheet_path(DataConfig(source="bp4d", raw="BP4D", name="mine", directory=str(folder))).name
      'mine_200px_codes.png'
    """
    return _Site(make_reader(data), Path(data.directory).absolute()).sheet


def load_dataset(data: DataConfig) -> FaceDataset:
    """The registered faces that `config.data` describes; prepared where they are not on disk.

    Raises:
      ConfigError, DataError: as `prepare`.

    Example:
      >>> from au_jax.run_dir import load_run
      >>> dataset = load_dataset(load_run(run_folder).config.data)
      >>> dataset.subjects[0], dataset.image_size
      ('S001', 40)
    """
    return FaceDataset(prepare(data))
