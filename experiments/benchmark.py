"""How fast the parts run on this machine, beside PyTorch doing the same work in the same run.

    python -m experiments.benchmark [--quick] [--out=benchmark]

Ours and PyTorch's are timed in turns; a rate is that of the median turn, a ratio the median over turns, so that what else
the machine does meanwhile falls on both. (PyTorch's threads wait for each other and lose more on a busy machine.) The last
column is the share of what the machine reached in this run: floating-point operations against one large matrix product,
bytes against one large copy in host memory. PyTorch's columns are empty without the extra `bench`, and feeding by tf.data
is left out without TensorFlow. On a GPU, cuDNN's LSTM and several folds in one program are timed as well.
"""

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from au_jax import files
from experiments import benchmark_feeding, benchmark_parts
from experiments.benchmark_parts import QUICK, Part, Sizes


@dataclass(frozen=True)
class Row:
    """What was measured of a part; `ratio` is ours to PyTorch's, `share` of the machine's ceiling, both if there is one."""

    name: str
    unit: str
    ours: float
    pytorch: float | None
    ratio: float | None
    share: float | None


def run(sizes: Sizes) -> Iterator[Row]:
    """Measures all parts, one after the other; at last how long training waits for its frames, which says if feeding suffices."""
    ceilings = {"product": _product(sizes), "copy": _copy(sizes)}
    torch_networks = _torch_networks()
    parts: list[Callable[[], list[Part]]] = [
        partial(benchmark_parts.cnn_parts, sizes, torch_networks),
        partial(benchmark_parts.lstm_parts, sizes, torch_networks),
        partial(benchmark_parts.fusion_parts, sizes),
        partial(benchmark_parts.metrics_parts, sizes),
    ]
    if jax.default_backend() == "gpu":
        parts += [lambda: [benchmark_parts.folds_part(sizes)], lambda: [benchmark_parts.cudnn_part(sizes)]]
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("tensorflow"):
            parts.append(partial(benchmark_feeding.feeding_parts, sizes, folder))
        rates = {}
        for make in parts:
            for part in make():
                row = _measure(part, sizes.turns, ceilings[part.ceiling])
                rates[row.name] = row.ours
                yield row
        for cache, share in benchmark_feeding.waiting_shares(sizes, rates["CNN training"], folder):
            yield Row(f"waiting, cache={cache}", "% of the time", 100 * share, None, None, None)


def _torch_networks() -> Any:
    if not importlib.util.find_spec("torch"):
        return None
    from experiments import torch_networks

    return torch_networks


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _measure(part: Part, turns: int, ceiling: float) -> Row:
    calls = [call for call in (part.ours, part.theirs) if call]
    for call in calls:
        call()  # compiles, and allocates
    times = np.array([[_seconds(call) for call in calls] for _ in range(turns)])
    ours, *theirs = np.median(times, axis=0)
    return Row(
        part.name,
        part.unit,
        ours=float(part.amount / ours),
        pytorch=float(part.amount / theirs[0]) if theirs else None,
        ratio=float(np.median(times[:, 1] / times[:, 0])) if theirs else None,
        share=float(part.work / ours / ceiling),
    )


def _product(sizes: Sizes) -> float:
    """Floating-point operations a second of a large matrix product in float32."""
    matrix = jnp.ones((sizes.ceiling, sizes.ceiling))
    multiply = jax.jit(jnp.matmul)
    multiply(matrix, matrix).block_until_ready()
    times = [_seconds(lambda: multiply(matrix, matrix).block_until_ready()) for _ in range(sizes.turns)]
    return 2 * sizes.ceiling**3 / min(times)


def _copy(sizes: Sizes) -> float:
    """Bytes a second of a large copy in host memory."""
    source = np.ones(8 * sizes.ceiling**2, np.uint8)
    target = np.zeros_like(source)
    return source.nbytes / min(_seconds(lambda: np.copyto(target, source)) for _ in range(sizes.turns))


def _cells(rows: list[Row]) -> list[list[str]]:
    lines = [["part", "unit", "ours", "PyTorch", "ratio", "of ceiling"]]
    for row in rows:
        pytorch = "" if row.pytorch is None else f"{row.pytorch:,.0f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        share = "" if row.share is None else f"{row.share:.1%}"
        ours = f"{row.ours:,.0f}" if row.ours >= 10 else f"{row.ours:.1f}"
        lines.append([row.name, row.unit, ours, pytorch, ratio, share])
    return lines


def table(rows: list[Row]) -> str:
    """The rows as text."""
    return "\n".join(f"{a:<23}{b:<21}{c:>11}{d:>11}{e:>7}{f:>12}" for a, b, c, d, e, f in _cells(rows))


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| " + " | ".join(cells) + " |" for cells in _cells(rows)]
    return "\n".join([lines[0], "|---|---|---:|---:|---:|---:|", *lines[1:]]) + "\n"


def measure_all(sizes: Sizes, out: str) -> None:
    """Measures, prints the table, and writes it to `out`.json and `out`.md if that is given."""
    logging.set_verbosity(logging.WARNING)  # TFDS logs every file that it writes
    rows = []
    for row in run(sizes):
        print(f"measured: {row.name}", file=sys.stderr)
        rows.append(row)
    device = f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}, float32"
    print(device)
    print(table(rows))
    if out:
        document = {"device": device, "sizes": asdict(sizes), "parts": [asdict(row) for row in rows]}
        files.write_json(Path(f"{out}.json"), document)
        files.write_text(Path(f"{out}.md"), f"{device}\n\n{markdown(rows)}")


def main() -> None:
    """Runs the command line."""
    quick = flags.DEFINE_bool("quick", False, "Shorter sequences: a few minutes on two cores.")
    out = flags.DEFINE_string("out", "", "Also write the table to files of this name, .json and .md.")
    app.run(lambda argv: measure_all(QUICK if quick.value else Sizes(), out.value))


if __name__ == "__main__":
    main()
