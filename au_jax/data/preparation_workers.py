"""What the workers of `au_jax.data.preparation` do: register the faces of one recording and write them.

A worker is a process that imports this module and what it needs, which is neither TensorFlow nor JAX: with dlib's models it has
150 MB, where it had 600, and one works for every core.
"""

import concurrent.futures
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from au_jax.data.contact_sheet import Confidence, write_strip
from au_jax.data.readers.base import RawReader
from au_jax.data.recordings import Faces, Reader, RecordingId, write_recording
from au_jax.errors import DataError


def prepare_recording(
    reader: Reader,
    recording: RecordingId,
    folder: Path,
    quality: int,
    fingerprint: dict[str, Any],
    strips: Path | None = None,
) -> None:
    """Prepares one recording.

    Args:
      reader: yields its faces.
      recording: which one.
      folder: of the prepared recordings.
      quality: of the JPEGs.
      fingerprint: what it is made from, as `provenance.Fingerprint` has it.
      strips: folder of the strips of faces with their codes; None: none is drawn.

    Raises:
      DataError: the files changed while they were read.

    Example:
      >>> from au_jax.config import DataConfig
      >>> from au_jax.data.recordings import is_finished
      >>> from au_jax.data.readers import make_reader
      >>> reader = make_reader(DataConfig(preset="tiny", image_size=40, frames=4))
      >>> first = reader.recordings()[0]
      >>> prepare_recording(reader, first, folder, 90, {"origin": reader.origin(first)})
      >>> is_finished(folder, first)
      True
    """

    def faces() -> Iterator[Faces]:
        yield from reader.faces(recording)
        if reader.origin(recording) != fingerprint["origin"]:
            raise DataError(
                f"the files of {recording.subject}/{recording.video} changed while they were read; type the same command again"
            )

    confidence = Confidence()
    write_recording(folder, recording, confidence.watch(faces()), quality, fingerprint)
    if strips is not None:
        write_strip(strips, folder, recording, confidence.values, reader.aus)


def make_pool(reader: Reader, workers: int) -> concurrent.futures.Executor:
    """Workers for the recordings of a reader: processes for those of real people, threads for rendered ones.

    Args:
      reader: of the recordings.
      workers: how many.

    Example:
      >>> from au_jax.config import DataConfig
      >>> from au_jax.data.readers import make_reader
      >>> with make_pool(make_reader(DataConfig(preset="tiny")), workers=2) as pool:
      ...     type(pool).__name__, pool.submit(max, 1, 2).result()
      ('ThreadPoolExecutor', 2)
    """
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
