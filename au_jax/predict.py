"""AUs of a video with a finished run: `python -m au_jax.predict --run=runs/demo --video=clip.mp4 --out=clip.csv`.

Writes a row for every frame as it comes (`au_jax.inference.streaming`), or with --format=eaf, boris, textgrid or events the
events of each AU, for ELAN, BORIS, Praat or a spreadsheet. Of several people the largest is scored until that person leaves, or
with --faces=all everybody, with a row for each face of a frame and `face_id` for the person.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from au_jax import files
from au_jax.command_line import run_command
from au_jax.errors import CommandError, UserError
from au_jax.faces.backends import BACKENDS
from au_jax.faces.decoding import CLOCKS, FOLDER_FPS, is_camera, source_notes
from au_jax.faces.face_doubts import FaceDoubts
from au_jax.faces.frame_pixels import QUARTERS
from au_jax.faces.people import LARGEST, parse_faces
from au_jax.inference.batch import ACCOUNT, INDEX, SUMMARY, Job, Tally, check_apart, find_videos, run_all, summary_lines
from au_jax.inference.event_writers import EVENT_FORMATS, EVENT_SUFFIXES, EventRules
from au_jax.inference.scoring import LIVE_CHUNK, FaceScorer
from au_jax.inference.streaming import FrameWriter, predict
from au_jax.inference.writers import FORMATS
from au_jax.labels import PROBABILITY
from au_jax.outputs import check_outputs, is_standard_output
from au_jax.run_dir import RunDir, load_run


def main() -> None:
    """Defines the flags and runs the command."""
    flags.DEFINE_string("run", None, "Folder of a finished run, or a detector in an ONNX file.", required=True)
    flags.DEFINE_string("video", None, "Video file, folder of frames, or camera index.")
    flags.DEFINE_string(
        "videos",
        None,
        "Many videos: a folder, searched with all below it, a text file with a path a line, or paths with commas between. --out, "
        "--overlay and --plot are then folders; what is done already is passed over.",
    )
    flags.DEFINE_string("out", None, "File to write: CSV, or what --format says.", required=True)
    flags.DEFINE_enum(
        "format",
        "openface",
        [*sorted(FORMATS), *EVENT_FORMATS],
        "A row per frame with the columns of OpenFace or py-feat (fex); or events, as a BORIS project, an ELAN file (eaf), a "
        "table of events, or a Praat TextGrid.",
    )
    rules = EventRules()
    flags.DEFINE_float("event_off", rules.off, "Events: score below which an event ends; it begins above 0.")
    flags.DEFINE_float(
        "min_gap", rules.min_gap, "Events: seconds; shorter gaps between two events of an AU are closed."
    )
    flags.DEFINE_float("min_length", rules.min_length, "Events: seconds; shorter events are left out.")
    flags.DEFINE_string("overlay", None, "MP4 file to write: the video with landmarks and AU bars.")
    flags.DEFINE_string("plot", None, "PNG file to write: the AUs over time.")
    flags.DEFINE_string(
        "page",
        None,
        "HTML file to write: the video beside the AUs over time, in step with the player; opens in any browser.",
    )
    flags.DEFINE_list("folds", [], "Folds whose networks serve; all of the run's by default.")
    flags.DEFINE_list("systems", [], "anet, hybrid or both; those that the run has by default.")
    flags.DEFINE_float(
        "fps", None, "Frames per second of a folder of frames (25 by default), or of a raw stream.", lower_bound=0.001
    )
    flags.DEFINE_string(
        "faces",
        LARGEST,
        "Who is scored: largest (the largest face of the first frame with any, then whoever is largest when that person has "
        "left), all, or how many people at a time. Each person keeps a face_id until a cut, or until gone for ten seconds.",
    )
    flags.DEFINE_enum("rotate", "0", [str(turn) for turn in QUARTERS], "Degrees to turn the pictures by, clockwise.")
    flags.DEFINE_enum(
        "clock", CLOCKS[0], CLOCKS, "Where a video's times begin: as players and ELAN count, or at its first frame."
    )
    flags.DEFINE_enum(
        "landmarks",
        None,
        BACKENDS,
        "By which landmarks faces are registered: those that the networks were trained with, unless others are named.",
    )
    flags.DEFINE_integer("chunk", 0, "Frames scored at once; 0: 32, and 8 for a camera.", lower_bound=0)
    run_command(_predict)


def _predict() -> None:
    values = flags.FLAGS
    if (values.video is None) == (values.videos is None):
        raise CommandError("flag --video or --videos must be given, and not both: name one video, or many")
    parse_faces(values.faces)
    outputs = {"--out": values.out, "--overlay": values.overlay, "--plot": values.plot, "--page": values.page}
    if values.page and values.videos is None:
        from au_jax.report.video_page import video_beside

        outputs["--page, whose video goes to"] = str(video_beside(values.page))
    inputs = {"--video": values.video, "--videos": values.videos, "--run": _read(values.run)}
    check_outputs(outputs, inputs, folders=values.videos is not None)
    # The table may be what is piped on.
    told = sys.stderr if any(map(is_standard_output, outputs.values())) else sys.stdout
    if values.videos is not None:
        _predict_many(told)
        return
    detector = open_detector(values.run, values.folds, values.systems, values.landmarks)
    told_of_run = cautions(values.run, detector)
    facts = _score(detector, values.video, Path(values.out), values.overlay, values.plot, values.page, told_of_run)
    holds = "a row for each" if values.format in FORMATS else "their events"
    print(
        f"{facts['frames']} frames, {facts['faces']} with a face, {facts['frames'] / facts['work']:.1f} frames/s; "
        f"{values.out} has {holds}",
        file=told,
    )
    for line in [*facts["lines"], *_uncalibrated(detector), *told_of_run]:
        print(line, file=told)


def _uncalibrated(detector: FaceScorer) -> list[str]:
    run = flags.FLAGS.run
    if PROBABILITY in detector.outputs or _is_file(run):
        return []
    return [
        f"{run} was made by a version that did not calibrate probabilities: there are none. To have them, delete "
        f"{run}/fold_*/scores and run au_jax.main again with its --config and --workdir; nothing is trained anew"
    ]


def _score(
    detector: FaceScorer,
    video: str,
    out: Path,
    overlay: str | Path | None,
    plot: str | Path | None,
    page: str | Path | None,
    told_of_run: Sequence[str],
) -> dict[str, Any]:
    """Writes what is wanted of a video; returns facts, and in "lines" what should be known of it."""
    values = flags.FLAGS
    notes = source_notes(video, values.fps)
    doubts, tally = FaceDoubts(detector.landmarks), Tally()
    writers: list[FrameWriter] = [doubts, tally]
    shown = None
    # Who wants a table does not wait for matplotlib.
    if overlay:
        from au_jax.report.overlay import OverlayWriter

        rate = (values.fps or FOLDER_FPS) if Path(video).is_dir() else None
        writers.append(OverlayWriter(overlay, rate, several=parse_faces(values.faces) != 1))
    if plot:
        from au_jax.report.timeline import TimelineWriter

        writers.append(TimelineWriter(plot, title=Path(video).name))
    if page:
        from au_jax.report.video_page import PageWriter

        shown = PageWriter(page, video, _rules(), int(values.rotate), told_of_run)
        writers.append(shown)
    chunk = values.chunk or (8 if is_camera(video) else LIVE_CHUNK)
    rotate, fps = int(values.rotate), values.fps
    counts = predict(
        detector, video, out, values.format, fps, chunk, writers, _rules(), rotate, values.clock, values.faces
    )
    lines = [f"{video}: {line}" for line in [*notes, *doubts.lines()]]
    if shown is not None and values.videos is None:
        lines.append(f"{page}: {shown.words}")
    if counts["together"] > 1:
        line = f"up to {counts['together']} faces in a frame"
        if parse_faces(values.faces) == 1:
            line = (
                f"up to {counts['together']} faces in a frame; the largest at first is followed, all with --faces=all"
            )
        lines.insert(0, line)
    if counts["people"] > 1:
        lines.insert(0, f"{counts['people']} people: see face_id; a person who comes back after a cut counts anew")
    return {
        "frames": counts["frames"],
        "faces": counts["faces"],
        "work": counts["seconds"],
        "lines": lines,
        **tally.facts(),
    }


def _rules() -> EventRules:
    values = flags.FLAGS
    return EventRules(values.event_off, values.min_gap, values.min_length)


def _predict_many(told: Any) -> None:
    values = flags.FLAGS
    jobs = find_videos(values.videos)
    suffix = EVENT_SUFFIXES.get(values.format, ".csv")
    folders = {suffix: values.out, ".mp4": values.overlay, ".png": values.plot, ".html": values.page}

    def outputs(job: Job) -> list[Path]:
        return [job.output(Path(folder), ending) for ending, folder in folders.items() if folder]

    about_all = [Path(values.out) / name for name in (ACCOUNT, SUMMARY)]
    beside: list[Path] = []
    if values.page:
        from au_jax.report.video_page import video_beside

        about_all.append(Path(values.page) / INDEX)
        # Where a page's video may go is known when it has been coded.
        beside = [video_beside(job.output(Path(values.page), ".html")) for job in jobs]
    # A folder that is searched is refused before; of a list each video is looked at.
    check_apart(jobs, [*map(outputs, jobs), about_all, beside])
    detector = open_detector(values.run, values.folds, values.systems, values.landmarks)
    run = Path(values.run).resolve()
    settings = {
        "run": str(run),
        "config": files.checksum(detector.notes or files.read_json(RunDir(run).config_path)),
        "folds": list(values.folds),
        "systems": list(detector.systems),
        # Named where it is another, so that what was scored before there was a choice is passed over.
        **({"landmarks": detector.landmarks} if detector.landmarks != BACKENDS[0] else {}),
        "rules": dataclasses.asdict(_rules()),
        **{name: getattr(values, name) for name in ("format", "fps", "rotate", "clock")},
        # What was done before there was a choice is done still.
        **({} if parse_faces(values.faces) == 1 else {"faces": values.faces}),
    }

    def score(job: Job) -> dict[str, Any]:
        for output in outputs(job):
            output.parent.mkdir(parents=True, exist_ok=True)
        table, overlay, plot, page = (
            job.output(Path(folder), ending) if folder else None for ending, folder in folders.items()
        )
        assert table is not None
        facts = _score(detector, str(job.source), table, overlay, plot, page, told_of_run)
        lines = [line.removeprefix(f"{job.source}: ") for line in facts.pop("lines")]
        return {**facts, "work": round(facts["work"], 1), "notes": "; ".join(lines)}

    told_of_run = cautions(values.run, detector)
    pages = {job.name: job.output(Path(values.page), ".html") for job in jobs} if values.page else {}

    def list_pages(rows: list[dict[str, Any]]) -> None:
        if pages:
            from au_jax.report.video_page import write_index

            finished = {row["video"]: pages[row["video"]] for row in rows if row["state"] != "failed"}
            write_index(Path(values.page) / INDEX, rows, finished)

    rows = run_all(jobs, Path(values.out), settings, outputs, score, list_pages)
    for line in [*summary_lines(rows), *_uncalibrated(detector), *told_of_run]:
        print(line, file=told)
    if failed := sum(row["state"] == "failed" for row in rows):
        raise UserError(
            f"{failed} of {len(rows)} videos failed, see {Path(values.out) / SUMMARY}; the same command tries them again"
        )


def open_detector(run: str, folds: Sequence[str], systems: Sequence[str], landmarks: str | None = None) -> FaceScorer:
    """The networks that serve: those of a run, or of a file of `au-jax export --format=onnx`, which needs no JAX.

    Args:
      run: the folder, or the file.
      folds, systems: as the flags give them; of a run.
      landmarks: by which faces are registered, of `BACKENDS`; None: as those that the networks were trained on.

    Raises:
      UserError: as `Detector.from_run` or `onnx_detector.load`.
      CommandError: folds or systems are chosen of a file.

    Example:
      >>> open_detector(str(run_folder), ["0"], ["anet"])
      Detector(systems=('anet',), folds=1, image_size=40)
    """
    if not _is_file(run):
        from au_jax.inference.detector import Detector, parse_folds
        from au_jax.inference.program_cache import keep_programs

        keep_programs()
        detector: FaceScorer = Detector.from_run(run, parse_folds(folds), systems)
    else:
        from au_jax.inference import onnx_detector

        if folds or systems:
            raise CommandError(f"{run} has its folds and systems; choose them with au-jax export --folds and --systems")
        detector = onnx_detector.load(run)
    detector.landmarks = landmarks or detector.landmarks
    return detector


def _is_file(run: str | Path) -> bool:
    return Path(run).suffix == ".onnx" and not Path(run).is_dir()


def _read(run: str) -> list[Path]:
    """What of a run or a file must not be written to."""
    return [Path(run)] if _is_file(run) else RunDir(run).parts()


def cautions(run: str | Path, detector: FaceScorer | None = None) -> list[str]:
    """What must be known of a run before its AUs are used as data; a line each, none for most runs.

    Args:
      run: the --workdir of a training; AUs are looked at when it has results of all its folds. Or an ONNX file.
      detector: of that file, or of the run.

    Raises:
      DataError: no run, or a damaged one.

    Example:
      >>> [line.partition("; ")[2] for line in cautions(run_folder)]
      ['its AUs are not valid for real people']
    """
    synthetic = f"{run} was trained on synthetic faces; its AUs are not valid for real people"
    if _is_file(run):
        notes = detector.notes if detector else {}
        if notes.get("trained_on", "").startswith("synthfacs"):
            return [synthetic]
        return _other_landmarks(run, detector, notes.get("landmarks", "dlib"))
    directory = RunDir(Path(run))
    data = directory.config().data
    # Rendered faces are registered by landmarks of their own, near to those of either.
    lines = [synthetic] if data.source == "synthfacs" else _other_landmarks(run, detector, data.landmarks)
    if directory.results_path.exists():
        finished = load_run(run)
        if len(finished.folds) == finished.results["folds"]["all"] and finished.uncoded_aus:
            known = ",".join(str(au) for au in finished.aus if au not in finished.uncoded_aus)
            lines.append(
                f"{run} had no codes of AU {', '.join(map(str, finished.uncoded_aus))}, whose columns mean nothing; "
                f'leave them out: prepare and train with --config.data.aus="({known},)"'
            )
    return lines


def _other_landmarks(run: str | Path, detector: FaceScorer | None, trained: str) -> list[str]:
    if detector is None or detector.landmarks == trained:
        return []
    return [
        f"{run} was trained on faces registered by landmarks {trained}, and these were by {detector.landmarks}: what its AUs are "
        "worth on them was not measured; leave out --landmarks"
    ]


if __name__ == "__main__":
    main()
