"""Folds x systems -> scores -> tables. Finished work is read, unfinished work goes on where it stopped."""

import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging

from au_jax import console, files, plan
from au_jax.config import Config, differing, with_defaults
from au_jax.data import device_cache, input_pipeline
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.readers import make_reader
from au_jax.data.splits import (
    PUBLISHED,
    SPLITS,
    Fold,
    make_folds,
    partition,
    published_partition,
    split_document,
    split_off,
)
from au_jax.errors import UserError
from au_jax.evaluation import tables
from au_jax.evaluation.thresholds import POLICIES
from au_jax.labels import PAPER_AUS, check_aus
from au_jax.logs import Costs, RunLog
from au_jax.models import cnn, lstm
from au_jax.prepare import prepare, refuse_stand_in
from au_jax.report import write_report
from au_jax.systems import SYSTEMS, FoldContext, System, Transfer, display, hybrid
from au_jax.systems.cpm.sample_selection import RELABELLINGS
from au_jax.training import multihost
from au_jax.training.compiling import keep_compiled
from au_jax.training.optimizers import make_optimizer

TRANSFER_SALT = 2017
"""Sets the seeds of the other dataset's CNN apart from those of fold 0."""

MAY_DIFFER = ("folds", "systems", "compiled", "data.directory", "data.workers")
"""Fields that may change between two starts on one workdir: they decide what is done, not how it comes out."""


def run(config: Config, workdir: str | Path) -> dict[str, Any]:
    """Runs every fold and system that the config asks for, and writes results.json, results.md and report.html.

    Returns:
      The content of results.json.

    Raises:
      UserError: a mistake in the config, a workdir of another config or in use, damaged data, a loss that is not finite.
      OSError: the disk is full or not writable. What is finished stays, and is used by the next start.
    """
    check_config(config)
    keep_compiled(config)
    if multihost.is_process_zero():
        return _run(config, Path(workdir))
    # The run is the first process's; what the others write for themselves is of use until they end, and they say nothing.
    console.set_quiet(True)
    with tempfile.TemporaryDirectory(prefix="au_jax_") as folder:
        return _run(config, Path(folder))


def _run(config: Config, workdir: Path) -> dict[str, Any]:
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        multihost.broadcast_from_process_zero(lambda: _enter(stack, workdir, config))
        stack.enter_context(console.to_file(workdir / "logs" / "run.log"))
        log, costs = RunLog(workdir), Costs(workdir)
        stack.callback(log.close)
        with costs.measure("prepare", has_bar=True):
            dataset = _prepared(config.data)
        folds = _folds(config, dataset)
        multihost.broadcast_from_process_zero(lambda: _keep_split(workdir, split_document(folds, config.seed)))
        # JSON has no numbers as keys.
        todo = dict(multihost.broadcast_from_process_zero(lambda: list(_todo(workdir, config, len(folds)).items())))
        console.tell(plan.plan(config, workdir, dataset, folds, todo))
        transfer = _transfer(workdir, config, log, costs) if "anet_transfer" in config.systems else None
        for index in todo:
            context = FoldContext(config, index, workdir / f"fold_{index:02d}", log, costs, transfer=transfer)
            for name in todo[index]:
                begin = time.monotonic()
                run_system(name, context, dataset, folds[index])
                console.tell(f"{context.name(name)}: done in {plan.interval(time.monotonic() - begin)}")
            _tell_time_to_go(costs, config, len(folds), [later for later in todo if later > index])
        results = multihost.broadcast_from_process_zero(lambda: _report(workdir, config, dataset, folds, costs))
        console.tell(
            f"{plan.interval(time.monotonic() - start)}, at most {costs.peak_memory_mib:.0f} MiB of memory; {workdir} holds "
            f"{plan.folder_size(workdir)}, logs/run.log all that was said; {workdir / 'report.html'} shows the results"
        )
        return results


def _enter(stack: contextlib.ExitStack, workdir: Path, config: Config) -> None:
    """Takes the folders that this run writes to until the stack is left; other runs may do other folds meanwhile."""
    refuse_stand_in(config.data)
    with files.locked(workdir, wait=True):
        _claim(workdir, config)
    parts = [f"fold_{index:02d}" for index in config.folds or range(config.protocol.folds)]
    if "anet_transfer" in config.systems:
        parts.append("transfer")
    for part in parts:
        stack.enter_context(files.locked(workdir / part))


def _prepared(data: Config) -> FaceDataset:
    """Prepares the dataset; of several processes the first does, and the others open it."""
    if jax.process_count() > 1:
        multihost.broadcast_from_process_zero(lambda: bool(prepare(data)))
    return FaceDataset(prepare(data))


def _report(workdir: Path, config: Config, dataset: FaceDataset, folds: list[Fold], costs: Costs) -> dict[str, Any]:
    with costs.measure("report"), files.locked(workdir, wait=True):
        results = summarise(workdir, config, folds)
        write_report(workdir, config, dataset, results)
    console.tell((workdir / "results.md").read_text())
    return results


def _todo(workdir: Path, config: Config, folds: int) -> dict[int, list[str]]:
    """The folds that are asked for and, of each, the systems that have no scores yet, or damaged ones."""

    def missing(index: int) -> list[str]:
        paths = {name: score_path(workdir / f"fold_{index:02d}", name) for name in config.systems}
        return [name for name, path in paths.items() if not files.is_whole_npz(path)]

    return {index: names for index in config.folds or range(folds) if (names := missing(index))}


def _tell_time_to_go(costs: Costs, config: Config, folds: int, later: list[int]) -> None:
    finished = [index for index in config.folds or range(folds) if index not in later]
    seconds = plan.seconds_to_go(costs.stages, finished, len(later))
    if seconds:
        console.tell(f"{len(later)} of {len(config.folds) or folds} folds to go, about {plan.interval(seconds)}")


def run_system(name: str, context: FoldContext, dataset: FaceDataset, fold: Fold) -> None:
    """Fits a system and saves its scores of the test subjects, unless that has been done.

    The system is handed training and validation subjects to fit, and test faces without labels to score. This function
    alone sees both a system and test labels, and passes on scores only.
    """
    path = score_path(context.directory, name)
    if multihost.broadcast_from_process_zero(lambda: files.is_whole_npz(path)):
        return
    train, validation, test = (FaceSet(dataset, group) for group in (fold.train, fold.validation, fold.test))
    system: System = SYSTEMS[name](context)
    system.fit(train, validation)
    thresholds = np.zeros(test.labels.shape[1], np.float32)
    if context.config.protocol.threshold != "zero":
        scores = _scored(system, name, context, validation)
        thresholds = POLICIES[context.config.protocol.threshold](
            validation.labels, np.concatenate([scores[video.key] for video in validation.videos])
        )
    with context.costs.measure(context.name(f"{name}/score")):
        scores = _scored(system, name, context, test)
    labels, numbers = test.by_video(test.labels), test.by_video(test.frame_numbers)
    arrays = {"thresholds": thresholds}
    for video in test.videos:
        # From here on 0 is the threshold, whatever it was for the system.
        arrays[f"{video.key}/scores"] = (scores[video.key] - thresholds).astype(np.float32)
        arrays[f"{video.key}/labels"] = labels[video.key]
        arrays[f"{video.key}/frames"] = numbers[video.key]
    files.write_npz(path, arrays)


def _scored(system: System, name: str, context: FoldContext, faces: FaceSet) -> dict[str, np.ndarray]:
    """A system's scores of faces whose labels it does not get to see.

    Raises:
      UserError: scores of a video are not finite, or not one of every AU for every frame.
    """
    scores = system.score(faces.without_labels())
    for video in faces.videos:
        rows = scores[video.key]
        if rows.shape != (len(video), faces.labels.shape[1]) or not np.isfinite(rows).all():
            raise UserError(
                f"{context.name(name)}: scores of {video.key} are not finite or of shape {rows.shape}; the networks are "
                f"the best of the checkpoints in {context.directory}; lower the learning rate"
            )
    return scores


def score_path(fold_directory: Path, system: str) -> Path:
    """Where a system's scores of a fold's test subjects lie."""
    return fold_directory / "scores" / f"{system}.npz"


def summarise(workdir: Path, config: Config, folds: list[Fold]) -> dict[str, Any]:
    """Computes and writes results.json and results.md from the saved scores of all finished folds."""
    scored: dict[str, dict[int, tables.Scored]] = {}
    for name in SYSTEMS:
        for index in range(len(folds)):
            path = score_path(workdir / f"fold_{index:02d}", name)
            if path.exists():
                scored.setdefault(name, {})[index] = tables.read_scores(path)
    common = sorted(set.intersection(*(set(by_fold) for by_fold in scored.values())))
    if len(common) < max(len(by_fold) for by_fold in scored.values()):
        logging.warning("only folds %s are finished by every system; the table is of these", common)
    results = {
        **tables.results(
            {name: {index: by_fold[index] for index in common} for name, by_fold in scored.items()},
            aus=PAPER_AUS,
            replicates=config.evaluation.bootstrap,
            level=config.evaluation.level,
            f1_norm=config.evaluation.f1_norm,
            seed=config.seed,
        ),
        "folds": {"finished": common, "all": len(folds)},
        "split": split_document(folds, config.seed)["checksum"],
        "seed": config.seed,
    }
    files.write_json(workdir / "results.json", results)
    files.write_text(workdir / "results.md", tables.markdown(results, display.label))
    return results


def check_config(config: Config) -> None:
    """Refuses a config that would fail after hours.

    Raises:
      UserError: names the field and the choices.
    """
    check_aus(config.aus, "config.aus")
    unknown = [name for name in config.systems if name not in SYSTEMS]
    if unknown or not config.systems:
        raise UserError(f"config.systems names {unknown or 'nothing'}; choose among {', '.join(SYSTEMS)}")
    if len(set(config.systems)) < len(config.systems):
        raise UserError(f"config.systems names a system twice: {config.systems}")
    reader = make_reader(config.data)
    if "anet_transfer" in config.systems and make_reader(_other_data(config)).name == reader.name:
        raise UserError("config.transfer names the dataset of config.data; anet_transfer needs another one")
    for section, field, choices in (
        ("protocol", "threshold", ("zero", *POLICIES)),
        ("data", "cache", device_cache.CACHES),
        ("cnn", "monitor", ("loss", "f1")),
        ("cnn", "dtype", tuple(cnn.DTYPES)),
        ("cnn", "sampling", input_pipeline.SAMPLINGS),
        ("lstm", "kernel", lstm.KERNELS),
        ("fusion", "train_on", hybrid.TRAIN_ON),
        ("cpm", "relabelling", RELABELLINGS),
    ):
        value = config[section][field]
        if value not in choices:
            raise UserError(f"config.{section}.{field} is {value!r}; choose one of {', '.join(choices)}")
    if config.protocol.folds < 2 or not 0 < config.protocol.validation < 1:
        raise UserError("config.protocol needs at least 2 folds and a share of validation subjects between 0 and 1")
    for section, field, least in (
        ("cnn", "momu_draw", 1),
        ("fusion", "inner_folds", 2),
        ("cpm", "iterations", 1),
        ("cpm", "window", 1),
    ):
        if config[section][field] < least:
            raise UserError(f"config.{section}.{field} is {config[section][field]}; give at least {least}")
    empty = [field for field in ("alphas", "betas_together", "betas_compete") if not config.jpml[field]]
    if empty:
        raise UserError(f"config.jpml.{empty[0]} is empty; give at least one weight")
    if config.protocol.split not in SPLITS:
        raise UserError(f"config.protocol.split is {config.protocol.split!r}; choose one of {', '.join(SPLITS)}")
    if config.protocol.split in PUBLISHED and config.protocol.folds != len(PUBLISHED[config.protocol.split]):
        raise UserError(
            f"config.protocol.split {config.protocol.split} has {len(PUBLISHED[config.protocol.split])} folds, "
            f"config.protocol.folds says {config.protocol.folds}"
        )
    bad = [index for index in config.folds if not 0 <= index < config.protocol.folds]
    if bad:
        raise UserError(f"config.folds names {bad}; there are folds 0 to {config.protocol.folds - 1}")
    if not 0 < config.data.crop_size <= config.data.image_size:
        raise UserError(
            f"config.data.crop_size is {config.data.crop_size}, which does not fit into "
            f"config.data.image_size {config.data.image_size}"
        )
    for stage in ("cnn", "lstm", "fusion"):
        try:
            make_optimizer(config[stage].optimizer, 1, 1)
        except ValueError as error:
            raise UserError(f"config.{stage}.optimizer: {error}") from error


def _claim(workdir: Path, config: Config) -> None:
    """Writes config.json, or compares it with what the workdir was started with."""
    path, resolved = workdir / "config.json", json.loads(config.to_json_best_effort())
    if not path.exists():
        files.write_json(path, resolved)
        return
    told = differing(with_defaults(files.read_json(path)), resolved, but=MAY_DIFFER)
    if told:
        raise UserError(
            f"{workdir} was started with another config; take another --workdir or the same values ({'; '.join(told)})"
        )


def _folds(config: Config, dataset: FaceDataset) -> list[Fold]:
    if config.protocol.split == "random":
        parts = partition(dataset.subjects, config.protocol.folds, config.seed)
    else:
        parts = published_partition(config.protocol.split, dataset.subjects)
    return make_folds(parts, config.protocol.validation, config.seed)


def _keep_split(workdir: Path, document: dict[str, Any]) -> None:
    """Writes split.json, or makes sure that these folds are the workdir's."""
    path = workdir / "split.json"
    with files.locked(workdir, wait=True):
        if not path.exists():
            files.write_json(path, document)
    if files.read_json(path) != document:
        raise UserError(f"{path} is not the split of this config and dataset; take another --workdir")


def _transfer(workdir: Path, config: Config, log: RunLog, costs: Costs) -> Transfer:
    """Prepares the other dataset of the cross-dataset protocol; a share of its subjects validates."""
    other = config.copy_and_resolve_references()
    with other.unlocked():
        other.data = _other_data(config)
        other.folds = (0,)
    context = FoldContext(other, 0, workdir / "transfer", log, costs, salt=(TRANSFER_SALT,))
    with costs.measure("transfer/prepare", has_bar=True):
        dataset = _prepared(other.data)
    chosen, rest = split_off(dataset.subjects, config.protocol.validation, context.seed(0))
    return Transfer(FaceSet(dataset, rest), FaceSet(dataset, chosen), context)


def _other_data(config: Config) -> Config:
    """`config.data` with the fields that `config.transfer` changes."""
    data = config.data.copy_and_resolve_references()
    with data.unlocked():
        data.update(config.transfer)
    return data
