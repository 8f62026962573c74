"""What a worker of `prepare` imports and needs."""

import sys

import numpy as np
import pytest
from PIL import Image

from au_jax import files
from au_jax.config import DataConfig
from au_jax.data.preparation_workers import make_pool, prepare_recording
from au_jax.data.readers import make_reader
from au_jax.data.recordings import is_finished

HEAVY = {"tensorflow", "keras", "tensorflow_datasets", "sklearn", "jax", "flax", "orbax", "scipy", "matplotlib"}
# Not resource.getrusage: its peak is that of the process before the worker's program as well, which is this one.
LOOK = "(set(__import__('sys').modules), open('/proc/self/status').read())"


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_a_worker_imports_no_tensorflow_or_jax_and_needs_150_mb(tmp_path, scene):
    pytest.importorskip("dlib")
    pictures, _ = scene
    for video in ("smile", "frown"):
        (tmp_path / "raw/anna" / video).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(np.pad(pictures[number], ((60, 60), (200, 200), (0, 0)))).save(
                tmp_path / f"raw/anna/{video}/{number + 1}.png"
            )
        files.write_text(tmp_path / f"raw/anna/{video}.csv", "frame,AU12\n1,1\n2,1\n")
    reader = make_reader(DataConfig(source="folder", raw=str(tmp_path / "raw"), aus=(12,)))
    first, second = reader.recordings()
    with make_pool(reader, workers=2) as pool:
        for each in (first, second):
            pool.submit(prepare_recording, reader, each, tmp_path / "out", 90, {"origin": reader.origin(each)}).result()
        modules, status = pool.submit(eval, LOOK).result()
    assert is_finished(tmp_path / "out", first) and is_finished(tmp_path / "out", second)
    assert "dlib" in modules and not HEAVY & modules
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 150 * 1024
