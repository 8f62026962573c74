"""Folds x systems -> scores -> tables. Finished work is read, unfinished work goes on where it stopped."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from logging import LogRecord
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from tqdm import tqdm

from au_jax import config as config_fields
from au_jax import console, files
from au_jax.config import Config, DataConfig
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.preparation import prepare, refuse_stand_in, subjects_of
from au_jax.data.readers import make_reader
from au_jax.data.splits import Fold, check_split, make_folds, partition_of, split_document
from au_jax.errors import DataError, UserError
from au_jax.evaluation import tables
from au_jax.evaluation.calibration import fit_calibration, shift_calibration
from au_jax.evaluation.thresholds import POLICIES
from au_jax.logs import Costs, RunLog
from au_jax.outputs import check_dataset_place
from au_jax.report.page import write_report
from au_jax.run_dir import RunDir, fold_name
from au_jax.systems import display, get_system, system_names
from au_jax.systems.base import FoldContext, System, decide
from au_jax.training.multihost import broadcast_from_process_zero, is_process_zero
from au_jax.training.parallel import keep_compiled


def run(config: Config, workdir: str | Path) -> dict[str, Any]:
    """Runs every fold and system that the config asks for, and writes results.json, results.md and report.html.

    Several processes may call this together (`au_jax.training.multihost`). The run is the first one's: what the others
    write lies in a folder that ends with them, and they say nothing.

    Args:
      config: of the run.
      workdir: its folder; made, or gone on with.

    Returns:
      The content of results.json.

    Raises:
      ConfigError: a mistake in the config, or a workdir of another config.
      DataError: damaged data.
      UserError: a workdir in use, a loss that is not finite.
      OSError: the disk is full or not writable. What is finished stays, and is used by the next start.

    Example:
      >>> results = run(Config(), "runs/demo")  # doctest: +SKIP
      >>> sorted(results["systems"])  # doctest: +SKIP
      ['anet', 'hog_svm', 'hybrid']
    """
    check_config(config)
    check_dataset_place(config.data.directory, config.data.raw, workdir)
    config = config_fields.typed(config)
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        if not is_process_zero():
            console.set_quiet(True)
            workdir = stack.enter_context(tempfile.TemporaryDirectory(prefix="au_jax_"))
        directory = RunDir(workdir)
        further = {
            name: data for system in config.systems for name, data in get_system(system).further_data(config).items()
        }
        costs = Costs(directory.path)
        with costs.held():
            # Until all is checked, nothing is written to the run's folder.
            with console.kept() as said:
                broadcast_from_process_zero(lambda: _check_start(directory, config))
                with costs.measure("prepare", has_bar=True):
                    dataset = _prepared(config.data)
                datasets = {}
                for name, data in further.items():
                    with costs.measure(f"{name}/prepare", has_bar=True):
                        datasets[name] = _prepared(data)
                folds = make_folds(partition_of(config, dataset.subjects), config.protocol.validation, config.seed)
                broadcast_from_process_zero(lambda: _check_folds(directory, config, dataset, datasets, folds))
            broadcast_from_process_zero(lambda: _claim(stack, directory, config, further, said))
        keep_compiled(config)
        log = RunLog(directory.path)
        stack.callback(log.close)
        todo = dict(broadcast_from_process_zero(lambda: _todo(directory, config, folds)))
        broadcast_from_process_zero(lambda: check_saved_scores(directory, config, dataset, folds))
        console.tell(plan(config, directory, dataset, folds, todo))
        for index, names in todo.items():
            context = FoldContext(config, index, directory.fold(index), log, costs, datasets)
            for name in names:
                begin = time.monotonic()
                run_system(name, context, dataset, folds[index])
                console.tell(f"{context.name(name)}: done in {time_text(time.monotonic() - begin)}")
            chosen, later = config.folds or range(len(folds)), [other for other in todo if other > index]
            seconds = seconds_to_go(costs.stages, [other for other in chosen if other not in later], len(later))
            if seconds:
                console.tell(f"{len(later)} of {len(chosen)} folds to go, about {time_text(seconds)}")
        results = broadcast_from_process_zero(lambda: _report(directory, config, dataset, folds, costs))
        console.tell(
            f"{time_text(time.monotonic() - start)}, at most {costs.peak_memory_mib:.0f} MiB of memory; {directory.path} holds "
            f"{folder_size(directory.path)}, logs/run.log all lines shown here; {directory.report_path} shows the results"
        )
        return results


def run_system(name: str, context: FoldContext, dataset: FaceDataset, fold: Fold) -> None:
    """Fits a system and saves its scores of the test subjects.

    The system is handed training and validation subjects to fit, and test faces without labels to score. This function
    alone sees both a system and test labels, and passes on scores only.

    Raises:
      UserError: scores of a video are not finite, or not one of every AU for every frame.

    Example:
      >>> run_system("hog_svm", context, dataset, fold)  # doctest: +SKIP
    """
    train, validation, test = (FaceSet(dataset, group) for group in (fold.train, fold.validation, fold.test))
    system = get_system(name)(context)
    system.fit(train, validation)
    scores = _scored(system, name, context, validation)
    rows = np.concatenate([scores[video.key] for video in validation.videos])
    thresholds = np.zeros(test.labels.shape[1], np.float32)
    if context.config.protocol.threshold != "zero":
        thresholds = POLICIES[context.config.protocol.threshold](validation.labels, rows)
    if system.hysteresis:
        held = decide(scores, thresholds, system.hysteresis)
        rows = np.concatenate([held[video.key] for video in validation.videos]) + thresholds
    calibration = shift_calibration(fit_calibration(validation.labels, rows), thresholds)
    with context.costs.measure(context.name(f"{name}/score")):
        scores = decide(_scored(system, name, context, test), thresholds, system.hysteresis)
    labels, numbers = test.by_video(test.labels), test.by_video(test.frame_numbers)
    arrays = {"thresholds": thresholds, "calibration": calibration}
    if test.dataset.has_intensities:
        estimates = _estimated(system, name, context, test)
        grades = test.by_video(test.intensities)
        arrays |= {f"{key}/intensities": rows for key, rows in estimates.items()}
        arrays |= {f"{key}/grades": grades[key] for key in estimates}
    for video in test.videos:
        arrays[f"{video.key}/scores"] = scores[video.key]
        arrays[f"{video.key}/labels"] = labels[video.key]
        arrays[f"{video.key}/frames"] = numbers[video.key]
    files.write_npz(context.files.scores(name), arrays)


def _scored(system: System, name: str, context: FoldContext, faces: FaceSet) -> dict[str, np.ndarray]:
    """A system's scores of faces whose labels it does not get to see."""
    scores = system.score(faces.without_labels())
    for video in faces.videos:
        rows = scores[video.key]
        due = len(video), faces.labels.shape[1]
        if rows.shape != due:
            raise UserError(
                f"{context.name(name)}: scores of {video.key} are of shape {rows.shape} and not {due}; the system has to be "
                "mended, or left out of config.systems"
            )
        if not np.isfinite(rows).all():
            raise UserError(
                f"{context.name(name)}: scores of {video.key} are not finite; leave the system out of config.systems, or give "
                "it other settings (a network a lower learning rate) in another --workdir"
            )
    return scores


def _estimated(system: System, name: str, context: FoldContext, faces: FaceSet) -> dict[str, np.ndarray]:
    """A system's intensities of faces whose labels it does not get to see; {} of one that estimates none."""
    estimates = system.estimate_intensities(faces.without_labels()) or {}
    due = {video.key: (len(video), faces.labels.shape[1]) for video in faces.videos}
    if estimates and {key: rows.shape for key, rows in estimates.items()} != due:
        raise UserError(
            f"{context.name(name)}: intensities are not of every AU in every frame; the system has to be mended, or left out "
            "of config.systems"
        )
    return estimates


def check_config(config: Config) -> None:
    """Refuses a config that would fail after hours.

    Raises:
      ConfigError: names the field, and its range or choices.
      DataError: a file that a field names cannot be used.

    Example:
      >>> check_config(config_fields.replace(Config(), seed=-1))  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.ConfigError: config.seed is -1; ...
    """
    config_fields.check_fields(config)
    config = config_fields.typed(config)
    make_reader(config.data)
    check_split(config)
    for name in config.systems:
        get_system(name).check(config)


def _check_start(directory: RunDir, config: Config) -> None:
    """Refuses, before hours of preparing, a folder of another run, and subjects that make no folds.

    Raises:
      ConfigError, DataError: as `run`.
    """
    refuse_stand_in(config.data)
    directory.check(config)
    make_folds(partition_of(config, subjects_of(config.data)), config.protocol.validation, config.seed)


def _check_folds(
    directory: RunDir, config: Config, dataset: FaceDataset, further: Mapping[str, FaceDataset], folds: Sequence[Fold]
) -> None:
    """Refuses folds that are not the run's, and what a system finds wrong with a fold that it has yet to learn.

    Raises:
      ConfigError, DataError: as `run`.
    """
    directory.check_split(split_document(folds, config.seed))
    for index in config.folds or range(len(folds)):
        train, validation = (FaceSet(dataset, group) for group in (folds[index].train, folds[index].validation))
        for name in config.systems:
            if not directory.score_path(index, name).exists():
                get_system(name).check_fold(config, index, train, validation, further)


def _claim(
    stack: contextlib.ExitStack,
    directory: RunDir,
    config: Config,
    further: Mapping[str, DataConfig],
    said: Iterable[LogRecord],
) -> None:
    """Takes the folders that this run writes to until the stack is left, and begins its log file."""
    stack.enter_context(directory.claimed(config, others=further))
    stack.enter_context(console.to_file(directory.log_path, said))


def _prepared(data: DataConfig) -> FaceDataset:
    """Prepares a dataset; of several processes the first does, and the others open it."""
    if jax.process_count() > 1:
        broadcast_from_process_zero(lambda: bool(prepare(data)))
    return FaceDataset(prepare(data), data.aus)


def _todo(directory: RunDir, config: Config, folds: Sequence[Fold]) -> list[tuple[int, list[str]]]:
    """The folds that are asked for and, of each, the systems that have no scores yet, or damaged ones."""
    directory.keep_split(split_document(folds, config.seed))
    missing = {
        index: [name for name in config.systems if not files.is_whole_npz(directory.score_path(index, name))]
        for index in config.folds or range(len(folds))
    }
    return [(index, names) for index, names in missing.items() if names]


def check_saved_scores(directory: RunDir, config: Config, dataset: FaceDataset, folds: Sequence[Fold]) -> None:
    """Makes sure that the scores on disk are of the folds they lie in, and of the dataset's labels and frames.

    Raises:
      DataError: names the file, and what in it is of another fold, run or dataset.

    Example:
      >>> from au_jax.run_dir import TrainedFold
      >>> directory = RunDir(run_folder)
      >>> folds = [Fold(**{name: tuple(people) for name, people in part.items()}) for part in directory.split()["folds"]]
      >>> check_saved_scores(directory, directory.config(), TrainedFold(run_folder, 0).dataset, folds)
    """
    for name, index, path in _saved_scores(directory, config, folds):
        scored, test = tables.read_scores(path), FaceSet(dataset, folds[index].test)
        tables.check_scores(scored, path, test.subjects, len(config.data.aus))
        labels, frames = test.by_video(test.labels), test.by_video(test.frame_numbers)
        for key in labels.keys() | scored.labels.keys():
            same = key in labels and key in scored.labels and np.array_equal(scored.labels[key], labels[key])
            if not (same and np.array_equal(scored.frames[key], frames[key])):
                raise DataError(
                    f"{path} has other labels or frames of {key} than the dataset: it is of another dataset, or the dataset "
                    f"has been prepared anew; take another --workdir, or delete it to have {display.label(name)} scored again"
                )


def _saved_scores(directory: RunDir, config: Config, folds: Sequence[Fold]) -> list[tuple[str, int, Path]]:
    """System, fold and path of every score file that is there."""
    names = dict.fromkeys((*system_names(), *config.systems))
    paths = [(name, index, directory.score_path(index, name)) for name in names for index in range(len(folds))]
    return [(name, index, path) for name, index, path in paths if path.exists()]


def _report(directory: RunDir, config: Config, dataset: FaceDataset, folds: list[Fold], costs: Costs) -> dict[str, Any]:
    with costs.measure("report"), files.locked(directory.path, wait=True):
        if changes := directory.keep_evaluation(config):
            console.tell(f"the tables are made anew from the saved scores ({'; '.join(changes)})")
        results = summarise(directory, config, folds)
        write_report(directory.path, config, dataset, results)
    console.tell(directory.table_path.read_text())
    return results


def summarise(directory: RunDir, config: Config, folds: Sequence[Fold]) -> dict[str, Any]:
    """Computes and writes results.json and results.md from the saved scores of all finished folds.

    Raises:
      DataError: no fold is finished by all systems.

    Example:
      >>> directory = RunDir(run_folder)
      >>> folds = [Fold(**{name: tuple(people) for name, people in part.items()}) for part in directory.split()["folds"]]
      >>> sorted(summarise(directory, directory.config(), folds)["systems"])
      ['anet', 'hog_svm', 'hybrid']
    """
    scored: dict[str, dict[int, tables.Scored]] = {}
    for name, index, path in _saved_scores(directory, config, folds):
        scored.setdefault(name, {})[index] = tables.read_scores(path)
        tables.check_scores(scored[name][index], path, folds[index].test, len(config.data.aus))
    common = sorted(set.intersection(*(set(by_fold) for by_fold in scored.values())))
    if not common:
        done = "; ".join(f"{name}: folds {', '.join(map(str, sorted(by_fold)))}" for name, by_fold in scored.items())
        raise DataError(
            f"no fold of {directory.path} is finished by all systems ({done}), so there is no table yet; run au_jax.main "
            f'with --config.systems="{tuple(scored)}" and --config.folds of one of them'
        )
    if len(common) < max(len(by_fold) for by_fold in scored.values()):
        logging.warning("only folds %s are finished by every system; the table is of these", common)
    results = {
        **tables.results(
            {name: {index: by_fold[index] for index in common} for name, by_fold in scored.items()},
            aus=config.data.aus,
            replicates=config.evaluation.bootstrap,
            level=config.evaluation.level,
            f1_norm=config.evaluation.f1_norm,
            seed=config.seed,
        ),
        "folds": {"finished": common, "all": len(folds)},
        "split": split_document(folds, config.seed)["checksum"],
        "seed": config.seed,
    }
    directory.keep_results(results)
    files.write_text(directory.table_path, tables.results_markdown(results, display.label))
    return results


def renew_results(folder: str | Path) -> tuple[str, ...]:
    """Makes results.json and results.md of an older version's run anew from its saved scores, where metrics of today's lack.

    Other numbers stay; report.html does too, which `run` makes anew with the faces.

    Args:
      folder: of a finished run.

    Returns:
      The names of the metrics that were lacking; none where nothing was done.

    Raises:
      DataError: the folder is no finished run, or score files are gone, damaged or another run's.

    Example:
      >>> renew_results(run_folder)  # made by this version
      ()
    """
    directory = RunDir(folder)
    before = directory.results()
    lacking = tables.lacking_metrics(before)
    if not lacking:
        return ()
    paths = [directory.score_path(fold, name) for name in before["systems"] for fold in before["folds"]["finished"]]
    if gone := [path for path in paths if not path.exists()]:
        raise DataError(
            f"{directory.results_path} is of an older version and lacks {', '.join(tables.METRICS[name] for name in lacking)}; "
            f"they are computed from saved scores, and {gone[0]} is gone: put it back, or run au_jax.main on this workdir again"
        )
    folds = [Fold(**{name: tuple(people) for name, people in part.items()}) for part in directory.split()["folds"]]
    with files.locked(directory.path, wait=True):
        summarise(directory, directory.config(), folds)
    return lacking


def plan(
    config: Config, directory: RunDir, dataset: FaceDataset, folds: Sequence[Fold], todo: Mapping[int, list[str]]
) -> str:
    """What a run is going to do: folds, systems, steps, room on disk, in some lines.

    Args:
      config: of the run.
      directory: of the run.
      dataset: the prepared faces.
      folds: all of them.
      todo: fold -> systems that have no scores of it yet.

    Example:
      >>> from au_jax.run_dir import TrainedFold
      >>> directory = RunDir(run_folder)
      >>> folds = [Fold(**{name: tuple(people) for name, people in part.items()}) for part in directory.split()["folds"]]
      >>> text = plan(directory.config(), directory, TrainedFold(run_folder, 0).dataset, folds, {0: ["anet"]})
      >>> text.splitlines()[1]  # doctest: +ELLIPSIS
      '  HOG+SVM: ...'
    """
    loaded = dataset.load(dataset.subjects)
    count = sum(len(records.frame_numbers) for records in loaded)
    chosen = list(config.folds) or list(range(len(folds)))
    people = "person" if len(dataset.subjects) == 1 else "people"
    lines = [
        f"plan of {directory.path}: {_several(len(chosen), 'fold')} of {len(folds)}, "
        f"{_several(len(config.systems), 'system')}; "
        f"{len(dataset.subjects)} {people}, {count} frames of {dataset.image_size} px"
    ]
    train = FaceSet(dataset, folds[next(iter(todo), chosen[0])].train)
    lines += [f"  {display.label(name)}: {get_system(name).plan_line(config, train)}" for name in config.systems]
    coded = np.any([(records.labels != 0).any(0) for records in loaded], axis=0)
    if coded.any() and not coded.all():
        absent, known = (
            [str(au) for au, has in zip(dataset.aus, coded, strict=True) if has == want] for want in (0, 1)
        )
        lines.append(
            f"  no codes of AU {', '.join(absent)}, which cannot be learned; leave them out: prepare and train with "
            f'--config.data.aus="({",".join(known)},)"'
        )
    done = sum(len(config.systems) - len(todo.get(index, ())) for index in chosen)
    if done:
        lines.append(f"  done before: {done} of {len(chosen) * len(config.systems)} (fold, system)")
    share = len([index for index in chosen if todo.get(index)]) / len(folds)
    room, free = disk(config, count, len(folds), train.labels.shape[1]) * share, shutil.disk_usage(directory.path).free
    lines.append(f"  disk: about {_size(room)} at most, {_size(free)} free" + (" - TOO LITTLE" if room > free else ""))
    return "\n".join(lines)


def disk(config: Config, frames: int, folds: int, aus: int) -> float:
    """Bytes that the whole run will fill at most, its dataset not counted.

    Args:
      config: of the run.
      frames: of the dataset.
      folds: of the protocol.
      aus: number of AUs.

    Example:
      >>> few, many = (disk(Config(systems=("hog_svm",)), frames, folds=3, aus=12) for frames in (1000, 2000))
      >>> many - few >= 1000 * (4 * 12 + 12 + 4)  # scores, labels and the number of every frame
      True
    """
    config = config_fields.typed(config)
    # Of every frame: scores float32, labels int8 and frame number int32.
    scores = frames * len(config.systems) * (4 * aus + aus + 4)
    return scores + sum(get_system(name).disk_bytes(config, frames, folds, aus) for name in config.systems)


def seconds_to_go(stages: Mapping[str, Mapping[str, float]], finished: Sequence[int], to_go: int) -> float | None:
    """Seconds for the folds to go, by the mean of the finished ones' costs; None while none is finished.

    Args:
      stages: of `Costs`.
      finished: numbers of the finished folds.
      to_go: how many are not.

    Example:
      >>> seconds_to_go({"fold_00/anet/cnn": {"seconds": 60.0}, "prepare": {"seconds": 5.0}}, [0], 2)
      120.0
    """
    if not finished:
        return None
    spent = [
        sum(cost["seconds"] for name, cost in stages.items() if name.startswith(f"{fold_name(index)}/"))
        for index in finished
    ]
    return to_go * float(np.mean(spent))


def time_text(seconds: float) -> str:
    """A time as readers read it.

    Example:
      >>> time_text(7.4), time_text(187), time_text(3787)
      ('7 s', '3:07', '1:03:07')
    """
    return tqdm.format_interval(seconds).lstrip("0").removeprefix(":") if seconds >= 60 else f"{seconds:.0f} s"


def folder_size(folder: Path) -> str:
    """How much a folder holds, such as "51.7 MB".

    Example:
      >>> files.write_bytes(folder / "held" / "a.bin", bytes(51_700))
      >>> folder_size(folder / "held")
      '51.7 kB'
    """
    return _size(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def _size(count: float) -> str:
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.3g} {unit}"
    return f"{count / 1000:.3g} TB"


def _several(count: int, one: str) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
