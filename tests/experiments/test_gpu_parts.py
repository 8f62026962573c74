"""What is measured on a GPU, at toy size: each part does work and says how much."""

import pytest

from experiments import benchmark_parts, gpu_parts
from experiments.gpu_parts import PAPER, PARTS, TINY, seconds_per_call

_SPECS = [spec for group in PARTS.values() for spec in group if spec.part != gpu_parts.CUDNN]


def test_the_papers_sizes_are_measured():
    networks = PAPER.networks
    assert (networks.variant, networks.crop, networks.batch) == ("drml_alexnet", 176, 196)
    assert (networks.inputs, networks.hidden, networks.layers) == (1024, 256, 3)
    assert (networks.sequences, networks.steps, networks.folds) == (10, 1300, 10)
    assert PAPER.frames == 41 * 8 * 450


def test_a_turn_is_timed_from_its_first_call_to_the_end_of_its_last(monkeypatch):
    # A call queues a second of work in no time; only waiting takes that time.
    clock = {"now": 0.0, "queued": 0.0}

    def call():
        clock["queued"] += 1.0

    def wait(result):
        clock["now"] += clock["queued"]
        clock["queued"] = 0.0

    monkeypatch.setattr(gpu_parts.time, "perf_counter", lambda: clock["now"])
    sizes = gpu_parts.DaySizes(benchmark_parts.Sizes(), turns=3, seconds=4.0)
    assert seconds_per_call(call, wait, sizes) == 1.0
    assert clock["now"] == 2 + 1 + 3 * 4  # warm-up, one to size the turns, three turns of four


def test_every_part_has_a_name_of_its_own_and_pytorchs_stand_beside_ours():
    names = [(spec.part, spec.precision, spec.by) for group in PARTS.values() for spec in group]
    assert len(names) == len(set(names))
    ours = {(part, precision) for part, precision, by in names if by == "ours"}
    theirs = {(part, precision) for part, precision, by in names if by == "PyTorch"}
    assert theirs and theirs <= ours


def test_the_peak_is_measured():
    for spec in PARTS["peak"]:
        row = spec.measure(TINY)
        assert row.rate is not None and row.rate > 0
        # 10^12 operations, or bytes, are one of the unit.
        assert row.work == pytest.approx(1e12 * row.rate)


@pytest.mark.slow
@pytest.mark.optax
@pytest.mark.parametrize("spec", _SPECS, ids=[f"{spec.part}, {spec.precision}, {spec.by}" for spec in _SPECS])
def test_every_part_runs_where_there_is_no_gpu(spec):
    if spec.by == "PyTorch":
        pytest.importorskip("torch")
    row = spec.measure(TINY)
    assert (row.part, row.precision, row.by) == (spec.part, spec.precision, spec.by)
    assert row.rate is not None and row.rate > 0
    assert (row.work is None) == (spec.by == "PyTorch")
