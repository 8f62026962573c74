"""The benchmark's command on networks of toy size, and what it makes of the times."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import rnn

from experiments import benchmark, benchmark_parts
from experiments.benchmark import Part, Sizes, Timing

_TINY = Sizes(
    turns=2, variant="demo", crop=36, batch=4, inputs=8, hidden=8, layers=2, sequences=2, steps=6, streamed=3, fused=8,
    frames=30, ceiling=64, folds=2, waited=0.1,
)  # fmt: skip
_NETWORKS = ["CNN training", "CNN inference", "LSTM training, fused", "LSTM training, scan", "LSTM streaming"]
_OURS = ["fusion training", "prediction, streaming", "F1 of scores"]
_FEEDING = ["feeding, decoded", "feeding, undecoded"]
_WAITING = ["waiting, cache=device", "waiting, cache=none", "waiting, cache=host"]


@pytest.mark.slow
@pytest.mark.optax
def test_every_part_is_measured_beside_pytorch_and_written(tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    # Long enough for figures to be told from noise, which toy networks give nothing of.
    monkeypatch.setattr(benchmark, "TIMES", 2)
    monkeypatch.setattr(benchmark, "PAUSE_SECONDS", 0.0)
    benchmark.measure_all(_TINY, str(tmp_path / "benchmark"))
    parts = json.loads((tmp_path / "benchmark.json").read_text())["parts"]
    assert [part["name"] for part in parts] == [*_NETWORKS, *_OURS, *_FEEDING, *_WAITING]
    for part in parts:
        if part["name"] in _WAITING:
            assert 0 <= part["ours"] < 100 and part["share"] is None
        else:
            assert part["ours"] > 0 and part["share"] > 0
        assert (part["pytorch"] is not None) == (part["ratio"] is not None) == (part["name"] in _NETWORKS)
    printed = capsys.readouterr().out
    written = (tmp_path / "benchmark.md").read_text()
    assert all(part["name"] in printed and f"| {part['name']} |" in written for part in parts)


@pytest.mark.slow
def test_without_tensorflow_and_pytorch_the_rest_is_measured(tmp_path):
    program = (
        "import importlib.util, sys; sys.modules['tensorflow'] = None; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'torch' else find(name)\n"
        "from experiments import benchmark\n"
        f"from experiments.benchmark import Sizes\nbenchmark.measure_all({_TINY!r}, {str(tmp_path / 'out')!r})"
    )
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    parts = json.loads((tmp_path / "out.json").read_text())["parts"]
    assert [part["name"] for part in parts] == [*_NETWORKS, *_OURS, _WAITING[0]]
    assert all(part["pytorch"] is None and part["ratio"] is None for part in parts)


def test_rates_ratio_and_share_follow_from_the_times(monkeypatch):
    # The first call of each is not timed; a turn with a hiccup leaves the medians as they are.
    ours, theirs = iter([9.0, 0.02, 0.5, 0.02]), iter([9.0, 0.06, 1.5, 0.06])
    monkeypatch.setattr(benchmark, "_seconds", lambda call: call())
    row = benchmark._measure(Part("p", "u", 10.0, 4.0, "copy", ours.__next__, theirs.__next__), 3, 100.0)
    # 10 units in 0.02 s, three times as fast as the other, and 4 of work in 0.02 s: 200 of 100 a second.
    assert (row.ours, row.pytorch, row.ratio, row.share) == pytest.approx((500, 10 / 0.06, 3, 2))


@pytest.mark.slow
def test_several_folds_have_gradients_of_their_own():
    part = benchmark_parts.folds_part(_TINY)
    assert part.amount == 2 * 2 * 6
    for leaf in jax.tree.leaves(part.ours()):
        assert leaf.shape[0] == 2 and jnp.isfinite(leaf).all() and not jnp.array_equal(leaf[0], leaf[1])


def test_cudnns_gradients_have_the_shapes_of_its_weights(monkeypatch):
    # JAX's plain version stands in for cuDNN, which does not run here.
    def plain(x, h_0, c_0, weights, lengths, inputs, hidden, layers, dropout, bidirectional):
        parts = rnn.unpack_lstm_weights(weights, inputs, hidden, layers, bidirectional)
        assert dropout == 0.5  # which the plain version refuses
        return rnn.lstm_ref(x, h_0, c_0, *parts, lengths, inputs, hidden, layers, 0.0, bidirectional)

    monkeypatch.setattr(rnn, "lstm", plain)
    gradient, arguments = benchmark_parts.cudnn_gradient(_TINY)
    shapes = jax.eval_shape(gradient, *arguments, jnp.zeros((2, 6, 8)), jnp.zeros((2, 6, 12), jnp.int8))
    assert [leaf.shape for leaf in shapes] == [leaf.shape for leaf in arguments]


def test_the_table_leaves_pytorchs_columns_empty_where_it_did_not_run():
    text = benchmark.table(
        [
            Timing("a", "frames/s", 1234.4, None, None, 0.5),
            Timing("b", "steps/s", 10, 8, 1.25, 0.031),
            Timing("c", "%", 1.23, None, None, None),
        ]
    )
    assert [line.split() for line in text.splitlines()[1:]] == [
        ["a", "frames/s", "1,234", "50.0%"],
        ["b", "steps/s", "10", "8", "1.25", "3.1%"],
        ["c", "%", "1.2"],
    ]
