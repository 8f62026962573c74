"""From raw recordings to the registered dataset: `python -m au_jax.prepare --config=configs/bp4d.py --raw=/data/BP4D`.

A copy of real recordings is checked first. Then each recording is registered and written by itself, several at a time; a run
that was killed goes on with the next recording. The finished recordings are then packed into the TFDS dataset and deleted.
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
from absl import flags, logging
from ml_collections import config_flags

from au_jax import console, files
from au_jax.command_line import run_command
from au_jax.config import Config
from au_jax.data.readers import make_reader
from au_jax.data.readers.base import RawReader
from au_jax.data.readers.survey import Check, check
from au_jax.data.recordings import Reader, RecordingId, is_finished, read_notes, write_recording
from au_jax.data.tfds_builder import AuFaces, AuFacesConfig
from au_jax.errors import UserError


def prepare(data: Config) -> tfds.core.DatasetBuilder:
    """Makes the registered dataset that `config.data` describes, or opens it where it is finished.

    What was found in real recordings, before and while they were read, lies beside the dataset in <name>.json.

    Returns:
      The TFDS builder, ready to be read.

    Raises:
      UserError: unknown source or preset; recordings that cannot be used; a finished dataset of this name that was made
        from another folder; another process prepares the same dataset.
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


def check_copy(data: Config) -> Check:
    """Checks a copy of real recordings without preparing it.

    Raises:
      UserError: the source has no raw recordings; none are there.
    """
    reader = make_reader(data)
    if not isinstance(reader, RawReader):
        raise UserError(f"config.data.source {data.source} is rendered; there is no copy to check")
    return check(reader)


def refuse_stand_in(data: Config) -> None:
    """Refuses synthetic faces that stand in for recordings which have been prepared: the user must say what is meant.

    Raises:
      UserError: names both choices.
    """
    if data.source != "synthfacs" or not data.stands_for:
        return
    real = data.copy_and_resolve_references()
    real.source = data.stands_for
    builder = _builder(make_reader(real), Path(data.directory).absolute(), data.image_size)
    if _finished(builder):
        raise UserError(
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


def _prepare(reader: Reader, folder: Path, recordings: Path, data: Config) -> AuFaces:
    report: dict[str, Any] = {}
    if isinstance(reader, RawReader):
        found = check(reader)
        console.tell(found.text())
        found.raise_if_unusable(data.skip_unusable)
        report = {"raw": str(Path(data.raw).resolve()), "check": found.document()}
    ids = tuple(reader.recordings())
    _prepare_recordings(reader, ids, recordings, data)
    if report:
        notes = [read_notes(recordings, recording) for recording in ids]
        report["prepared"] = {
            "frames": sum(frames for frames, _, _ in notes),
            "frames_with_a_face": sum(found for _, found, _ in notes),
            "problems": [asdict(problem) for _, _, problems in notes for problem in problems],
        }
        files.write_json(_report_path(reader, folder), report)
    builder = _builder(reader, folder, data.image_size, ids)
    # Packing is quick beside preparing; its bars would bury ours.
    tfds.disable_progress_bar()
    # TFDS prints that it downloads, which it does not.
    with console.live(f"pack {reader.name}"), contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(file_format="tfrecord")
    return builder


def _same_source(reader: Reader, folder: Path, data: Config) -> None:
    """Makes sure that a finished dataset comes from the folder that the config names, if it names one."""
    path = _report_path(reader, folder)
    if isinstance(reader, RawReader) and data.raw and path.exists():
        before, now = files.read_json(path)["raw"], str(Path(data.raw).resolve())
        if before != now:
            raise UserError(
                f"dataset {reader.name} in {folder} was prepared from {before}, not from {now}; "
                "give this one a name of its own with --config.data.name"
            )


def _report_path(reader: Reader, folder: Path) -> Path:
    return folder / f"{reader.name}.json"


def _prepare_recordings(reader: Reader, ids: tuple[RecordingId, ...], folder: Path, data: Config) -> None:
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
    write_recording(folder, recording, reader.faces(recording), quality)


def _tell(data: Config, builder: tfds.core.DatasetBuilder) -> None:
    splits = builder.info.splits
    frames = sum(split.num_examples for split in splits.values())
    print(f"{len(splits)} subjects, {frames} frames in {builder.data_dir}")
    report = _report_path(make_reader(data), Path(data.directory))
    if report.exists():
        prepared = files.read_json(report)["prepared"]
        print(
            f"a face in {prepared['frames_with_a_face']} of {prepared['frames']} frames; {report} lists what was found"
        )


def _command(config: Config, raw: str | None, check_only: bool) -> None:
    data = config.data.copy_and_resolve_references()
    if raw:
        data.raw = raw
        if data.source == "synthfacs" and data.stands_for:
            data.source = data.stands_for
            print(
                f"config.data.source is {data.source}; give --config.data.source={data.source} to au_jax.main as well"
            )
    if check_only:
        found = check_copy(data)
        print(found.text())
        found.raise_if_unusable(data.skip_unusable)
    else:
        _tell(data, prepare(data))


if __name__ == "__main__":
    CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, such as configs/demo.py.", lock_config=True)
    flags.mark_flag_as_required("config")
    RAW = flags.DEFINE_string("raw", None, "Folder of raw recordings; wins over config.data.raw.")
    CHECK_ONLY = flags.DEFINE_bool("check_only", False, "Check the copy of the recordings and stop there.")
    run_command(lambda: _command(CONFIG.value, RAW.value, CHECK_ONLY.value))
