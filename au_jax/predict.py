"""AUs of a video with a finished run: `python -m au_jax.predict --run=runs/demo --video=clip.mp4 --out=clip.csv`.

Writes a row for every frame as it comes (`au_jax.inference.streaming`), or with --format=eaf, boris, textgrid or events the
events of each AU, for ELAN, BORIS, Praat or a spreadsheet. Of several people one is scored: the largest face of
the first frame with any, then the face nearest to where it was; crop the video for another.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from au_jax.command_line import run_command
from au_jax.errors import CommandError
from au_jax.faces.decoding import CLOCKS, FOLDER_FPS, is_camera, source_notes
from au_jax.faces.face_doubts import FaceDoubts
from au_jax.faces.frame_pixels import QUARTERS
from au_jax.inference.event_writers import EVENT_FORMATS, EventRules
from au_jax.inference.scoring import CHUNK, FaceScorer
from au_jax.inference.streaming import FrameWriter, predict
from au_jax.inference.writers import FORMATS
from au_jax.labels import PROBABILITY
from au_jax.outputs import check_outputs, is_standard_output
from au_jax.run_dir import RunDir, load_run


def main() -> None:
    """Defines the flags and runs the command."""
    flags.DEFINE_string("run", None, "Folder of a finished run, or a detector in an ONNX file.", required=True)
    flags.DEFINE_string(
        "video", None, "Video file, folder of frames, or camera index; one person is scored.", required=True
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
    flags.DEFINE_list("folds", [], "Folds whose networks serve; all of the run's by default.")
    flags.DEFINE_list("systems", [], "anet, hybrid or both; those that the run has by default.")
    flags.DEFINE_float(
        "fps", None, "Frames per second of a folder of frames (25 by default), or of a raw stream.", lower_bound=0.001
    )
    flags.DEFINE_enum("rotate", "0", [str(turn) for turn in QUARTERS], "Degrees to turn the pictures by, clockwise.")
    flags.DEFINE_enum(
        "clock", CLOCKS[0], CLOCKS, "Where a video's times begin: as players and ELAN count, or at its first frame."
    )
    flags.DEFINE_integer("chunk", 0, "Frames scored at once; 0: 32, and 8 for a camera.", lower_bound=0)
    run_command(_predict)


def _predict() -> None:
    values = flags.FLAGS
    outputs = {"--out": values.out, "--overlay": values.overlay, "--plot": values.plot}
    check_outputs(outputs, {"--video": values.video, "--run": _read(values.run)})
    # The table may be what is piped on.
    told = sys.stderr if any(map(is_standard_output, outputs.values())) else sys.stdout
    detector = open_detector(values.run, values.folds, values.systems)
    notes = source_notes(values.video, values.fps)
    doubts = FaceDoubts()
    writers: list[FrameWriter] = [doubts]
    # Who wants a table does not wait for matplotlib.
    if values.overlay:
        from au_jax.report.overlay import OverlayWriter

        fps = (values.fps or FOLDER_FPS) if Path(values.video).is_dir() else None
        writers.append(OverlayWriter(values.overlay, fps))
    if values.plot:
        from au_jax.report.timeline import TimelineWriter

        writers.append(TimelineWriter(values.plot, title=Path(values.video).name))
    chunk = values.chunk or (8 if is_camera(values.video) else CHUNK)
    rules = EventRules(values.event_off, values.min_gap, values.min_length)
    counts = predict(
        detector,
        values.video,
        values.out,
        values.format,
        values.fps,
        chunk,
        writers,
        rules,
        int(values.rotate),
        values.clock,
    )
    holds = "a row for each" if values.format in FORMATS else "their events"
    print(
        f"{counts['frames']} frames, {counts['faces']} with a face, {counts['frames'] / counts['seconds']:.1f} frames/s; "
        f"{values.out} has {holds}",
        file=told,
    )
    if counts["together"] > 1:
        print(
            f"up to {counts['together']} faces in a frame; the largest at first is followed, crop the video for another",
            file=told,
        )
    if PROBABILITY not in detector.outputs and not _is_file(values.run):
        print(
            f"{values.run} was made by a version that did not calibrate probabilities: there are none. To have them, delete "
            f"{values.run}/fold_*/scores and run au_jax.main again with its --config and --workdir; nothing is trained anew",
            file=told,
        )
    for line in [f"{values.video}: {note}" for note in [*notes, *doubts.lines()]] + cautions(values.run, detector):
        print(line, file=told)


def open_detector(run: str, folds: Sequence[str], systems: Sequence[str]) -> FaceScorer:
    """The networks that serve: those of a run, or of a file of `au-jax export --format=onnx`, which needs no JAX.

    Args:
      run: the folder, or the file.
      folds, systems: as the flags give them; of a run.

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
        return Detector.from_run(run, parse_folds(folds), systems)
    from au_jax.inference import onnx_detector

    if folds or systems:
        raise CommandError(f"{run} has its folds and systems; choose them with au-jax export --folds and --systems")
    return onnx_detector.load(run)


def _is_file(run: str | Path) -> bool:
    return Path(run).suffix == ".onnx" and not Path(run).is_dir()


def _read(run: str) -> list[Path]:
    """What of a run or a file must not be written to."""
    return [Path(run)] if _is_file(run) else RunDir(run).parts()


def cautions(run: str | Path, detector: FaceScorer | None = None) -> list[str]:
    """What must be known of a run before its AUs are used as data; a line each, none for most runs.

    Args:
      run: the --workdir of a training; AUs are looked at when it has results of all its folds. Or an ONNX file.
      detector: of that file.

    Raises:
      DataError: no run, or a damaged one.

    Example:
      >>> [line.partition("; ")[2] for line in cautions(run_folder)]
      ['its AUs are not valid for real people']
    """
    synthetic = f"{run} was trained on synthetic faces; its AUs are not valid for real people"
    if _is_file(run):
        return [synthetic] if getattr(detector, "notes", {}).get("trained_on", "").startswith("synthfacs") else []
    directory = RunDir(Path(run))
    lines = []
    if directory.config().data.source == "synthfacs":
        lines.append(synthetic)
    if directory.results_path.exists():
        finished = load_run(run)
        if len(finished.folds) == finished.results["folds"]["all"] and finished.uncoded_aus:
            known = ",".join(str(au) for au in finished.aus if au not in finished.uncoded_aus)
            lines.append(
                f"{run} had no codes of AU {', '.join(map(str, finished.uncoded_aus))}, whose columns mean nothing; "
                f'leave them out: prepare and train with --config.data.aus="({known},)"'
            )
    return lines


if __name__ == "__main__":
    main()
