"""From raw recordings to the registered dataset: `python -m au_jax.prepare --config=configs/demo.py`.

Each recording is registered and written by itself, several at a time; a run that was killed goes on with the next
recording. The finished recordings are then packed into the TFDS dataset and deleted.
"""

import concurrent.futures
import os
import shutil
from pathlib import Path

import tensorflow_datasets as tfds
from ml_collections import config_flags
from tqdm import tqdm

from au_jax import files
from au_jax.command_line import run_command
from au_jax.config import Config
from au_jax.data.builder import AuFaces, AuFacesConfig
from au_jax.data.readers import make_reader
from au_jax.data.recording_files import is_finished, write_recording
from au_jax.data.recordings import Reader, RecordingId


def prepare(data: Config) -> tfds.core.DatasetBuilder:
    """Makes the registered dataset that `config.data` describes, or opens it where it is finished.

    Returns:
      The TFDS builder, ready to be read.

    Raises:
      UserError: unknown source or preset; another process prepares the same dataset.
    """
    reader = make_reader(data)
    folder = Path(data.directory).absolute()
    recordings = folder / "recordings" / reader.name
    ids = tuple(reader.recordings())
    builder = AuFaces(
        config=AuFacesConfig(
            name=reader.name,
            description="Faces registered by au_jax.prepare.",
            image_size=data.image_size,
            recordings=str(recordings),
            ids=ids,
        ),
        data_dir=str(folder / "tfds"),
    )
    if not _finished(builder):
        with files.locked(recordings):
            if not _finished(builder):
                _prepare_recordings(reader, ids, recordings, data)
                # Packing is quick beside preparing; its bars would bury ours.
                tfds.disable_progress_bar()
                builder.download_and_prepare(file_format="tfrecord")
        shutil.rmtree(recordings)
    return builder


def _finished(builder: tfds.core.DatasetBuilder) -> bool:
    return (Path(builder.data_dir) / "dataset_info.json").exists()


def _prepare_recordings(reader: Reader, ids: tuple[RecordingId, ...], folder: Path, data: Config) -> None:
    todo = [recording for recording in ids if not is_finished(folder, recording)]
    workers = data.workers or os.cpu_count() or 1
    with (
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(ids), initial=len(ids) - len(todo), desc=f"prepare {reader.name}", unit="video") as progress,
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


def _prepare_recording(reader: Reader, recording: RecordingId, folder: Path, quality: int) -> None:
    write_recording(folder, recording, reader.faces(recording), quality)


def _tell(builder: tfds.core.DatasetBuilder) -> None:
    splits = builder.info.splits
    frames = sum(split.num_examples for split in splits.values())
    print(f"{len(splits)} subjects, {frames} frames in {builder.data_dir}")


if __name__ == "__main__":
    CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, such as configs/demo.py.", lock_config=True)
    run_command(lambda: _tell(prepare(CONFIG.value.data)))
