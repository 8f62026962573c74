"""All that is still projected for GPUs, measured in one go of at most eight minutes: `experiments/gpu_day.sh` calls it.

    python -m experiments.gpu_day --out=runs/gpu_day [--seconds=480] [--scale=tiny]

Rates of CNN and LSTM training beside PyTorch's, in float32 with and without TF32 and in bfloat16, with frames on the device and
from the host, of several folds in one program, by cuDNN's LSTM; each with its share of the peak that a large matrix product
reaches; and the stages of one fold at the paper's size, from which the time of ten folds is projected. Groups of parts are
measured in processes of their own, one after the other, and PyTorch's in another than ours: they are not timed in turns. What is
not finished in its group's time is skipped with a line. Writes gpu_day.json, and gpu_day.md for docs/results/speed.md.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from absl import flags

from au_jax import files
from au_jax.command_line import run_command
from au_jax.errors import CommandError

BUDGETS: dict[str, float] = {"peak": 30.0, "cnn": 130.0, "fold": 130.0, "lstm": 90.0, "pytorch": 70.0}
"""Groups in their order, and the seconds that each may take."""

SCALES: tuple[str, ...] = ("paper", "tiny")
"""Choices of --scale; `tiny` tries the script where there is no GPU."""

GRACE = 15.0
"""Seconds that a group may take to end a part that it has begun."""

Start = Callable[[str, float], int]
"""(group, its seconds) -> exit status of its process, which has written its rows by then."""


def gpu_day(out: Path, seconds: float, scale: str) -> None:
    """Measures all groups, prints the table, and writes it to `out`.

    Raises:
      CommandError: the sizes are the paper's and JAX finds no GPU.
    """
    out.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()

    def start(group: str, limit: float) -> int:
        command = [sys.executable, "-m", "experiments.gpu_day", f"--out={out}", f"--scale={scale}"]
        command += [f"--group={group}", f"--seconds={limit}"]
        try:
            return subprocess.run(command, timeout=limit + GRACE, check=False).returncode
        except subprocess.TimeoutExpired:
            return -1

    document = run_groups(out, seconds, scale, start)
    document["seconds"] = round(time.monotonic() - begin, 1)
    text = markdown(document)
    files.write_json(out / "gpu_day.json", document)
    files.write_text(out / "gpu_day.md", text)
    print(text)


def run_groups(out: Path, seconds: float, scale: str, start: Start) -> dict[str, Any]:
    """Measures group after group as long as there is time.

    Args:
      out: folder of what the groups write.
      seconds: for all of them.
      scale: of `SCALES`.
      start: a group's process.

    Returns:
      device, versions, scale and rows: of each part what was measured, or a note why it was not.

    Raises:
      CommandError: as `gpu_day`.
    """
    document: dict[str, Any] = {"device": "", "versions": {}, "scale": scale, "rows": []}
    end = time.monotonic() + seconds
    for group, budget in BUDGETS.items():
        path = out / f"{group}.jsonl"
        path.unlink(missing_ok=True)
        left = end - time.monotonic() - GRACE
        status = start(group, min(budget, left)) if left > 0 else None
        for line in _lines(path):
            if "device" not in line:
                document["rows"].append(line)
                continue
            document.update(line)
            if scale == "paper" and line["backend"] != "gpu":
                raise CommandError(
                    f"JAX finds {line['device']} and no GPU; install the extra cuda, or try the script with --scale=tiny"
                )
        if status:
            how = "it took longer than its time" if status == -1 else f"its process ended with status {status}"
            document["rows"].append(_skip(group, how))
        elif status is None:
            document["rows"].append(_skip(group, "no time was left"))
    return document


def _skip(group: str, why: str) -> dict[str, Any]:
    return {
        "part": f"the rest of {group}",
        "precision": "",
        "by": "ours",
        "unit": "",
        "rate": None,
        "note": f"skipped: {why}",
    }


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """What a group wrote; the last line may be cut off."""
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            return


def run_group(group: str, out: Path, seconds: float, scale: str) -> None:
    """Measures the parts of a group in this process, a line of JSON each as soon as it is known.

    A part is not begun once the time is over. One that cannot be measured, for want of memory or of PyTorch, is a line as well.

    Args:
      group: of `BUDGETS`.
      out: folder of its file.
      seconds: it may take, from now on.
      scale: of `SCALES`.
    """
    end = time.monotonic() + seconds
    # This process alone takes the GPU.
    import jax

    from experiments import gpu_fold, gpu_parts

    path, sizes = out / f"{group}.jsonl", gpu_parts.SCALES[scale]
    device = {"device": jax.devices()[0].device_kind, "backend": jax.default_backend()}
    device["versions"] = {name: _version(name) for name in ("jax", "jaxlib", "flax", "torch")}
    files.append_line(path, json.dumps(device))
    for spec in gpu_fold.specs() if group == "fold" else gpu_parts.PARTS[group]:
        if time.monotonic() > end:
            row = spec.row(note=f"skipped: the {seconds:.0f} s of {group} were over")
        else:
            began = time.monotonic()
            try:
                row = spec.measure(sizes)
            except Exception as error:  # of CUDA, cuDNN, XLA or PyTorch; the other parts are measured all the same
                row = spec.row(note=f"failed: {type(error).__name__}: {' '.join(str(error).split())[:160]}")
            print(
                f"{group}: {spec.part} {spec.precision} took {time.monotonic() - began:.1f} s {row.note}",
                file=sys.stderr,
            )
        files.append_line(path, json.dumps(asdict(row)))


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def markdown(document: dict[str, Any]) -> str:
    """The table as Markdown, and what a fold takes.

    Args:
      document: as `run_groups` returns it.
    """
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines = [f"{document['device']}; {versions}. Sizes: {document['scale']}.", ""]
    lines += [
        "| part | precision | unit | ours | PyTorch | ratio | of peak | note |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    rows = document["rows"]
    fold = [row for row in rows if row["unit"] == "s"]
    peaks = {row["precision"]: row.get("work") for row in rows if row["part"] == "matrix product"}
    # What nobody asked for is compared with the faster of the two.
    peaks["JAX's default"] = peaks.get("TF32")
    theirs = {(row["part"], row["precision"]): row for row in rows if row["by"] == "PyTorch"}
    for row in rows:
        if row["by"] == "ours" and row not in fold:
            lines.append(_line(row, theirs.pop((row["part"], row["precision"]), None), peaks))
    lines += [_line({**row, "rate": None}, row, {}) for row in theirs.values()]
    lines += ["", "| a fold at the paper's size | seconds | |", "|---|---:|---|"]
    lines += [f"| {row['part']} | {_number(row['rate'])} | {row['note']} |" for row in fold]
    return "\n".join([*lines, "", projection(document), ""])


def projection(document: dict[str, Any]) -> str:
    """What ten folds take, in a sentence.

    Args:
      document: as `run_groups` returns it.
    """
    from experiments import gpu_fold, gpu_parts

    rows = [gpu_parts.Row(**row) for row in document["rows"]]
    seconds = gpu_fold.fold_seconds(rows, gpu_parts.SCALES[document["scale"]])
    if seconds is None:
        return "The time of ten folds cannot be projected: a stage of the fold was not measured."
    minutes = seconds * gpu_fold.FOLDS / 60
    reached = "reached" if minutes < gpu_fold.GOAL_MINUTES else "missed"
    return (
        f"A fold of ANet and hybrid takes {seconds:.0f} s, {gpu_fold.FOLDS} one after the other {minutes:.1f} minutes; the goal "
        f"of {gpu_fold.GOAL_MINUTES:.0f} is {reached}. Reading the dataset, HOG+SVM, tables and figures are not in it."
    )


def _line(row: dict[str, Any], other: dict[str, Any] | None, peaks: dict[str, Any]) -> str:
    ours, theirs = row["rate"], other["rate"] if other else None
    ratio = f"{ours / theirs:.2f}" if ours and theirs else ""
    peak = peaks.get(row["precision"])
    share = f"{row['work'] / peak:.0%}" if row.get("work") and peak and row["part"] != "matrix product" else ""
    notes = [row["note"], f"PyTorch {other['note']}" if other and other["note"] and other is not row else ""]
    cells = [row["part"], row["precision"], row["unit"], _number(ours), _number(theirs), ratio, share]
    # A message of CUDA's may hold a bar.
    cells.append("; ".join(filter(None, notes)).replace("|", "/"))
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    """Runs the command line."""
    out = flags.DEFINE_string("out", "runs/gpu_day", "Folder of the table.")
    seconds = flags.DEFINE_float("seconds", 480.0, "That all of it may take.", lower_bound=1.0)
    scale = flags.DEFINE_enum(
        "scale", "paper", SCALES, "Sizes of networks and frames; tiny tries the script on any machine."
    )
    group = flags.DEFINE_enum("group", None, list(BUDGETS), "Measure this group alone, in this process.")

    def command() -> None:
        if group.value:
            run_group(group.value, Path(out.value), seconds.value, scale.value)
        else:
            gpu_day(Path(out.value), seconds.value, scale.value)

    run_command(command)


if __name__ == "__main__":
    main()
