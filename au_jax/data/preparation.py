"""From raw recordings to the registered dataset, the library part of `au-jax prepare`.

A copy of real recordings is checked first. Then each recording is registered and written by itself, several at a time; after a
kill, the next start continues with the next recording. The finished recordings are packed into the TFDS dataset and deleted.
"""

import concurrent.futures
import contextlib
import io
import multiprocessing
import os
import shutil
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from absl import logging

from au_jax import console, files
from au_jax.config import DataConfig, replace
from au_jax.data.contact_sheet import Confidence, write_sheet, write_strip
from au_jax.data.dataset import FaceDataset
from au_jax.data.readers import make_reader
from au_jax.data.readers.base import RawReader
from au_jax.data.readers.survey import Check, check
from au_jax.data.recordings import Reader, RecordingId, is_finished, read_notes, write_recording
from au_jax.data.tfds_builder import AuFaces, AuFacesConfig
from au_jax.errors import ConfigError, DataError


def prepare(data: DataConfig) -> tfds.core.DatasetBuilder:
    """Makes the registered dataset that `config.data` describes, or opens it where it is finished.

    The problems of real recordings, found before and while they were read, are listed beside the dataset in <name>.json.

    Returns:
      The TFDS builder, ready to be read.

    Raises:
      ConfigError: unknown source or preset.
      DataError: recordings that cannot be used; a finished dataset of this name that was made from another folder; another
        process prepares the same dataset.
    """
    reader = make_reader(data)
    folder = Path(data.directory).absolute()
    recordings = folder / "recordings" / reader.name
    builder = _builder(reader, folder, data.image_size)
    if not _finished(builder):
        with files.locked(recordings):
            if not _finished(builder):
                builder = _prepare(reader, folder, recordings, data)
        shutil.rmtree(recordings)
    _same_source(reader, folder, data)
    return builder


def check_copy(data: DataConfig) -> Check:
    """Checks a copy of real recordings without preparing it.

    Raises:
      ConfigError: the source has no raw recordings.
      DataError: none are there.
    """
    reader = make_reader(data)
    if not isinstance(reader, RawReader):
        raise ConfigError(f"config.data.source {data.source} is rendered; there is no copy to check")
    return check(reader)


def refuse_stand_in(data: DataConfig) -> None:
    """Refuses synthetic faces that stand in for recordings which have been prepared: the user must say what is meant.

    Raises:
      ConfigError: names both choices.
    """
    if data.source != "synthfacs" or not data.stands_for:
        return
    real = replace(data, source=data.stands_for)
    builder = _builder(make_reader(real), Path(data.directory).absolute(), data.image_size)
    if _finished(builder):
        raise ConfigError(
            f"{builder.data_dir} holds prepared recordings, and the config asks for synthetic faces: add "
            f"--config.data.source={real.source} for the recordings, or --config.data.stands_for= for the synthetic faces"
        )


def _builder(reader: Reader, folder: Path, size: int, ids: tuple[RecordingId, ...] = ()) -> AuFaces:
    config = AuFacesConfig(
        name=reader.name,
        description="Faces registered by au_jax.prepare.",
        image_size=size,
        aus=reader.aus,
        recordings=str(folder / "recordings" / reader.name),
        ids=ids,
    )
    # TFDS warns of every config that it does not know, with all recordings in the line.
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        return AuFaces(config=config, data_dir=str(folder / "tfds"))
    finally:
        logging.set_verbosity(verbosity)


def _finished(builder: tfds.core.DatasetBuilder) -> bool:
    return (Path(builder.data_dir) / "dataset_info.json").exists()


def _prepare(reader: Reader, folder: Path, recordings: Path, data: DataConfig) -> AuFaces:
    report: dict[str, Any] = {}
    if isinstance(reader, RawReader):
        result = check(reader)
        console.tell(result.text())
        result.raise_if_unusable(data.skip_unusable)
        report = {"raw": str(Path(data.raw).resolve()), "check": result.document()}
    ids = tuple(reader.recordings())
    _prepare_recordings(reader, ids, recordings, data)
    if report:
        notes = [read_notes(recordings, recording) for recording in ids]
        report["prepared"] = {
            "frames": sum(frames for frames, _, _ in notes),
            "frames_with_a_face": sum(faces for _, faces, _ in notes),
            "problems": [asdict(problem) for _, _, problems in notes for problem in problems],
        }
        files.write_json(_report_path(reader, folder), report)
        write_sheet(sheet_path(data), recordings, ids)
    builder = _builder(reader, folder, data.image_size, ids)
    # Packing is quick beside preparing; its bars would bury ours.
    tfds.disable_progress_bar()
    # TFDS prints that it downloads, which it does not.
    with console.live(f"pack {reader.name}"), contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(file_format="tfrecord")
    return builder


def _same_source(reader: Reader, folder: Path, data: DataConfig) -> None:
    """Makes sure that a finished dataset comes from the folder that the config names, if it names one."""
    path = _report_path(reader, folder)
    if isinstance(reader, RawReader) and data.raw and path.exists():
        before, now = files.read_json(path)["raw"], str(Path(data.raw).resolve())
        if before != now:
            raise DataError(
                f"dataset {reader.name} in {folder} was prepared from {before}, not from {now}; "
                "give this one a name of its own with --config.data.name"
            )


def _report_path(reader: Reader, folder: Path) -> Path:
    return folder / f"{reader.name}.json"


def _prepare_recordings(reader: Reader, ids: tuple[RecordingId, ...], folder: Path, data: DataConfig) -> None:
    todo = [recording for recording in ids if not is_finished(folder, recording)]
    workers = min(data.workers or os.cpu_count() or 1, max(len(todo), 1))
    with (
        _pool(reader, workers) as pool,
        console.bar(
            total=len(ids), initial=len(ids) - len(todo), desc=f"prepare {reader.name}", unit="video"
        ) as progress,
    ):
        jobs = [pool.submit(_prepare_recording, reader, recording, folder, data.jpeg_quality) for recording in todo]
        try:
            for job in concurrent.futures.as_completed(jobs):
                job.result()
                progress.update()
        except BaseException:
            for job in jobs:
                job.cancel()
            raise


def _pool(reader: Reader, workers: int) -> concurrent.futures.Executor:
    if isinstance(reader, RawReader) and workers > 1:
        # The face detector holds Python's lock: threads would wait for each other.
        return concurrent.futures.ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent, initargs=(os.getpid(),)
        )
    return concurrent.futures.ThreadPoolExecutor(workers)


def _end_with_parent(parent: int) -> None:
    """Ends a worker whose parent was killed: it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _prepare_recording(reader: Reader, recording: RecordingId, folder: Path, quality: int) -> None:
    if not isinstance(reader, RawReader):
        write_recording(folder, recording, reader.faces(recording), quality)
        return
    confidence = Confidence()
    write_recording(folder, recording, confidence.watch(reader.faces(recording)), quality)
    write_strip(folder, recording, confidence.values, reader.aus)


def report_path(data: DataConfig) -> Path:
    """Where the problems of a dataset's recordings are listed; rendered faces have no such file."""
    return _report_path(make_reader(data), Path(data.directory))


def sheet_path(data: DataConfig) -> Path:
    """Where faces of a dataset's recordings are shown with their codes; rendered faces have no such picture."""
    return Path(data.directory).absolute() / f"{make_reader(data).name}_codes.png"


def load_dataset(data: DataConfig) -> FaceDataset:
    """The registered faces that `config.data` describes; prepared where they are not on disk.

    Raises:
      ConfigError, DataError: as `prepare`.
    """
    return FaceDataset(prepare(data))
