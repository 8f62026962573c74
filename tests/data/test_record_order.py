"""The order of records hangs on the seed, not on the number of cores."""

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from au_jax.config import load
from au_jax.data import input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.preparation import prepare

SOURCES = sorted((Path(__file__).parents[2] / "au_jax").rglob("*.py"))


def digests(directory):
    """Checksums of two epochs of training batches, of all frames in order, and of the labels."""
    config = load("demo:smoke")
    config.data.directory = str(directory)
    dataset = FaceDataset(prepare(config.data))
    faces = FaceSet(dataset, dataset.subjects)
    found = []
    for sampling in ("shuffle", "momu"):
        for epoch in range(2):
            whole = hashlib.sha256()
            options = dict(batch_size=8, crop_size=36, frame_step=2, shuffle_buffer=20, sampling=sampling)
            for batch in input_pipeline.training_batches(faces, seed=3, epoch=epoch, **options):
                for name in sorted(batch):
                    whole.update(batch[name].tobytes())
            found.append(whole.hexdigest())
    frames = hashlib.sha256(input_pipeline.decode_all(faces, "host").tobytes())
    return [*found, frames.hexdigest(), hashlib.sha256(faces.labels.tobytes()).hexdigest()]


@pytest.mark.optax
@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="this process has one core"
)
def test_one_core_sees_the_records_in_the_order_of_several(prepared):
    program = (
        "import os, sys\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        f"sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "import test_record_order\n"
        f"print('digests', *test_record_order.digests({str(prepared)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = digests(prepared)
    assert done.stdout.splitlines()[-1].split() == ["digests", *expected]
    assert len(set(expected)) == len(expected)  # epochs and samplings differ


def calls():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield path, node.func.attr, {word.arg: word.value for word in node.keywords}


def test_no_stream_takes_its_order_from_the_number_of_cores():
    """tf.data interleaves as many files as there are cores unless it is told a number; TFDS reads so by default."""
    seen = 0
    for path, name, words in calls():
        if name == "interleave":
            assert isinstance(words.get("cycle_length"), ast.Constant), path
        assert name != "as_dataset" and "num_parallel_reads" not in words, path
        if "num_parallel_calls" in words:
            assert isinstance(words.get("deterministic"), ast.Constant) and words["deterministic"].value is True, path
            seen += 1
    assert seen > 1
