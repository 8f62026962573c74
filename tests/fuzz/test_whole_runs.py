"""Flipped bytes, cuts and exchanges in every file of a finished run that is read again: refused by name, or no value changes."""

import contextlib
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from au_jax import files
from au_jax.errors import UserError
from au_jax.logs import Costs, read_metrics
from au_jax.run_dir import FoldDir, RunDir, load_run
from au_jax.training.best_params import best_epoch, best_params
from au_jax.training.checkpoints import Checkpoints, restore_state

from .conftest import amounts

MADE_AGAIN = re.compile(r"report\.html|results\.md|figures/.*|logs/run\.log|logs/.*/events\..*|(.*/)?\.lock")
"""What is written for people at the end of every start, and by TensorBoard; nothing is computed from it."""


@pytest.fixture(scope="module")
def copy(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy") / "run"
    shutil.copytree(finished, folder)
    return folder


@pytest.fixture
def told(monkeypatch):
    """The warnings."""
    lines = []
    monkeypatch.setattr("absl.logging.warning", lambda text, *rest: lines.append(text % rest))
    return lines


def stage_of(path):
    return next(
        (Path(*path.parts[:index]) for index, part in enumerate(path.parts) if part == "checkpoints"), path.parent
    )


def reading(run, path):
    """What readers of a run get from one of its files, and those that are read with it."""
    fold, name = path.parts[0], path.name
    if name in ("config.json", "split.json"):
        return lambda: (RunDir(run).resolved_config(), RunDir(run).split(), load_run(run).scores("anet"))
    if name in ("results.json", "results.sha256"):
        return lambda: RunDir(run).results()
    if name == "costs.json":
        return lambda: Costs(run).stages
    if name == "metrics.jsonl":
        return lambda: read_metrics(run)
    if "scores" in path.parts:
        return lambda: load_run(run).scores(path.stem)
    if path.suffix == ".npz":
        return lambda: files.read_npz(run / path)
    assert fold.startswith("fold_") and ("checkpoints" in path.parts or name == "finished.json"), path
    stage = run / stage_of(path)
    if name == "finished.json":
        return lambda: best_params(stage)
    # Not what lies beside them for readers: what a training goes on from.
    return lambda: restore_state(stage / "checkpoints", best_epoch(stage))["params"]


def same(one, other):
    """Whether two readings hold the same values; lines of metrics may be missing, which is told."""
    one, other = (jax.tree.leaves_with_path(_plain(value)) for value in (one, other))
    return len(one) == len(other) and all(
        a == b and np.array_equal(x, y) for (a, x), (b, y) in zip(one, other, strict=True)
    )


def _plain(value):
    return vars(value) if hasattr(value, "frames") else tuple(map(_plain, value)) if isinstance(value, tuple) else value


def damaged(content, others, generator):
    """A changed copy of a file's content, and what has been done."""
    place = int(generator.integers(len(content)))
    kind = ("flip", "cut", "exchange")[generator.integers(3)]
    if kind == "exchange" and others:
        return kind, others[generator.integers(len(others))].read_bytes()
    if kind == "cut":
        return kind, content[:place]
    changed = bytearray(content)
    changed[place] ^= 1 << int(generator.integers(8))
    return "flip", bytes(changed)


def read_files(run):
    """The files that are read again, one of every pair of equal place in two folds."""
    found = [path.relative_to(run) for path in sorted(run.rglob("*")) if path.is_file() and path.stat().st_size]
    return [path for path in found if not MADE_AGAIN.fullmatch(path.as_posix()) and path.parts[0] != "fold_01"]


def others_like(run, path):
    """Files of the same kind elsewhere in the run."""
    suffix = path.suffix or path.name
    return [
        other for other in sorted(run.rglob("*"))
        if other.is_file() and (other.suffix or other.name) == suffix and other != run / path
        and other.read_bytes() != (run / path).read_bytes()
    ]  # fmt: skip


def hit(run, path, seed, told):
    """Damages a file, reads, mends it; says what came out."""
    content, read = (run / path).read_bytes(), reading(run, path)
    truth = read()
    kind, changed = damaged(content, others_like(run, path), np.random.default_rng([seed, 51]))
    if changed == content:
        return
    (run / path).write_bytes(changed)
    told.clear()
    try:
        value = read()
    except UserError as error:
        line = str(error)
        assert "\n" not in line, (path, kind, line)
        named = {path.name, "config.json"} | {part for part in path.parts if part not in ("checkpoints",)}
        assert any(part in line for part in named), (path, kind, line)
    else:
        if path.name == "metrics.jsonl":
            rows = {stage: {row["epoch"]: row for row in rows} for stage, rows in truth.items()}
            assert all(row == rows[stage][row["epoch"]] for stage, part in value.items() for row in part), (
                path,
                kind,
                seed,
            )
        else:
            assert same(value, truth), (path, kind, seed)
    finally:
        (run / path).write_bytes(content)


@amounts(usual=1, slow=100)
def test_damage_to_a_file_of_a_run_is_named_or_changes_no_value(copy, told, seeds):
    for path in read_files(copy):
        # Orbax takes its time: of the many files of checkpoints, fewer and with other damage each.
        within = "checkpoints" in path.parts
        if within and len(seeds) == 1 and path.parts[1:3] != ("hybrid", "fusion"):
            continue
        for seed in seeds[: max(1, len(seeds) // 10)] if within else seeds:
            hit(copy, path, 1000 * seed + sum(map(ord, str(path))), told)


def test_checkpoints_that_were_exchanged_between_folds_are_named_and_set_aside(copy, told):
    run = copy.parent / "exchanged"
    shutil.copytree(copy, run)
    one, other = (run / fold / "hybrid/fusion/checkpoints" for fold in ("fold_00", "fold_01"))
    epoch = files.read_json(one.parent / "finished.json")["best_epoch"]
    for path in (one, other):
        shutil.rmtree(path)
    shutil.copytree(copy / "fold_01/hybrid/fusion/checkpoints", one)
    shutil.copytree(copy / "fold_00/hybrid/fusion/checkpoints", other)
    with pytest.raises(UserError, match=rf"fold_00/hybrid/fusion/checkpoints/{epoch} cannot be read \(it is fold_01/"):
        restore_state(one, epoch)
    with contextlib.closing(Checkpoints(one, maximise=False)) as checkpoints:
        assert checkpoints.epochs() == []
    assert told and all("it is fold_01/hybrid/fusion" in line and "was renamed" in line for line in told)


def test_score_files_that_were_exchanged_are_named(copy):
    """Between folds, systems and people, and with rows cut off and sealed again."""
    run = copy.parent / "scores"
    shutil.copytree(copy, run, ignore=shutil.ignore_patterns("checkpoints", "figures", "logs"))
    path = FoldDir(run / "fold_00").scores("anet")
    content = path.read_bytes()

    def refused(match, system="anet"):
        with pytest.raises(UserError, match=match) as caught:
            load_run(run).scores(system)
        assert "\n" not in str(caught.value)
        path.write_bytes(content)

    path.write_bytes((run / "fold_01/scores/anet.npz").read_bytes())
    refused(r"fold_00/scores/anet\.npz is the file fold_01/scores/anet\.npz of a run; put it back")
    path.write_bytes((run / "fold_00/scores/hybrid.npz").read_bytes())
    refused(r"fold_00/scores/anet\.npz is the file fold_00/scores/hybrid\.npz of a run; put it back")

    arrays, tested = files.read_npz(path), RunDir(run).split()["folds"][0]["test"]
    other = next(name for name in RunDir(run).split()["folds"][1]["test"])
    keys = sorted({name.rpartition("/")[0] for name in arrays if "/" in name})
    # As files of earlier versions, or of other hands: sealed, and of the right place.
    for change, match in (
        (
            lambda a: files.read_npz(run / "fold_01/scores/anet.npz"),
            rf"has scores of {other}.*split\.json does not name",
        ),
        (lambda a: {k: v for k, v in a.items() if not k.startswith(f"{tested[0]}/")}, f"has no scores of {tested[0]}"),
        (lambda a: a | {f"{keys[0]}/labels": a[f"{keys[0]}/labels"][:-1]}, "in shapes"),
        (lambda a: a | {f"{keys[0]}/scores": a[f"{keys[0]}/scores"][:, 1:]}, "in shapes"),
        (
            lambda a: a | {f"{keys[0]}/labels": a[f"{keys[0]}/labels"] + np.int8(5)},
            "labels of .* other than -1, 0 and 1",
        ),
        (lambda a: a | {f"{keys[0]}/scores": a[f"{keys[0]}/scores"] * np.float32(np.nan)}, "not finite"),
        (lambda a: a | {f"{keys[0]}/frames": a[f"{keys[0]}/frames"][::-1]}, "do not increase"),
        (lambda a: {k: v for k, v in a.items() if k != f"{keys[0]}/frames"}, "of different videos"),
    ):
        files.write_npz(path, change(dict(arrays)))
        refused(match)
