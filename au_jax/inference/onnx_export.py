"""Writes the detector of a finished run as an ONNX file, which `onnx_detector` reads: `au-jax export --format=onnx`.

jax2onnx translates the very functions that score new videos (`models.hybrid`). The CNN sees all frames at once. What is behind
it goes from frame to frame in a loop of the file, so that the number of frames is free; the LSTM's step is in plain products
there (`models.lstm.one_step`), for jax2onnx knows no Linen loop.
"""

import contextlib
import importlib.metadata
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from au_jax import files
from au_jax.errors import CommandError, UserError
from au_jax.inference.detector import Detector
from au_jax.inference.exported import make_manifest, model_card, saved_results
from au_jax.inference.onnx_detector import CARD, MANIFEST, ONNX_FORMAT
from au_jax.models import hybrid
from au_jax.models.lstm import one_step

LARGEST_FILE = 2**31 - 1
"""Bytes of a file that the format allows."""


def export_onnx(
    run: str | Path, out: str | Path, folds: Sequence[int] | None = None, systems: Sequence[str] | None = None
) -> dict[str, Any]:
    """Writes the detector of a finished run into one ONNX file.

    Args:
      run: the --workdir of `au_jax.main`.
      out: file to write.
      folds, systems: as in `Detector.from_run`.

    Returns:
      The file's manifest.

    Raises:
      UserError: as `Detector.from_run`; or jax2onnx is not installed.
      CommandError: the folds' variables are more than an ONNX file may hold, or the CNN is computed in bfloat16.
      OSError: the file cannot be written.

    Example:
      >>> export_onnx(run_folder, "detector.onnx")["systems"]  # doctest: +SKIP
      ('anet', 'hybrid')
    """
    to_onnx = _converter()
    detector = Detector.from_run(run, folds, systems)
    config = detector.config
    if config.cnn.dtype != "float32":
        raise CommandError(
            f"{run} computes its CNN in {config.cnn.dtype} (config.cnn.dtype), which ONNX Runtime cannot on a CPU; export it "
            "without --format=onnx"
        )
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(detector.folds))
    if size > 0.95 * LARGEST_FILE:
        raise CommandError(
            f"the networks of {len(detector.folds)} folds are {size / 1e9:.1f} GB, and an ONNX file holds 2.1; choose some "
            "with --folds"
        )
    manifest = make_manifest(detector, run, folds, ONNX_FORMAT)
    manifest["notes"]["jax2onnx"] = importlib.metadata.version("jax2onnx")
    card = model_card(detector, manifest, saved_results(run))
    with _quiet():
        model = _convert(detector, to_onnx)
    for key, text in ((MANIFEST, json.dumps(manifest)), (CARD, card)):
        model.metadata_props.add(key=key, value=text)
    files.write_bytes(Path(out), model.SerializeToString(deterministic=True))
    return manifest


def _converter() -> Any:
    try:
        with _quiet():
            import jax2onnx  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            f"ONNX files are written with jax2onnx, of which {error.name} is missing; make onnx, or "
            "pip install --no-deps -r requirements-onnx.txt"
        ) from error
    return jax2onnx.to_onnx


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences logs: jax2onnx reports each plugin whose library is not there, with a traceback. What fails is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _convert(detector: Detector, to_onnx: Any) -> Any:
    """The ONNX model of a detector."""
    config, systems = detector.config, detector.systems
    variables = [jax.tree.map(np.asarray, fold) for fold in detector.folds]
    carries = [detector.initial_carry() for _ in variables]
    leaves, structure = jax.tree.flatten(carries)

    def scores_and_state(faces: jax.Array, present: jax.Array, *state: jax.Array) -> tuple[jax.Array, ...]:
        rows = [hybrid.apply_cnn(config, fold["cnn"], faces) for fold in variables]

        def step(carries: Any, row: Any) -> Any:
            outputs, known = row
            stepped = [
                hybrid.apply_over_time(
                    config, systems, fold, carry, logits[None], fc7[None], known[None], run_lstm=one_step
                )
                for fold, carry, (logits, fc7) in zip(variables, carries, outputs, strict=True)
            ]
            means = [sum(scores[name][0] for _, scores in stepped) / len(stepped) for name in detector.outputs]
            return [carry for carry, _ in stepped], means

        carries, means = jax.lax.scan(step, jax.tree.unflatten(structure, state), (rows, present))
        return (*means, *jax.tree.leaves(carries))

    (frames,) = jax.export.symbolic_shape("frames")
    side = detector.image_size
    model = to_onnx(
        scores_and_state,
        inputs=[
            jax.ShapeDtypeStruct((frames, side, side, 3), jnp.uint8),
            jax.ShapeDtypeStruct((frames,), jnp.bool_),
            *(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves),
        ],
        input_names=["faces", "present", *(f"state_{number}" for number in range(len(leaves)))],
        output_names=[*detector.outputs, *(f"next_{number}" for number in range(len(leaves)))],
        model_name="au_jax",
    )
    # It leaves constants behind that nothing uses, of which ONNX Runtime warns one by one.
    graphs = list(_graphs(model.graph))
    used = {name for graph in graphs for node in graph.node for name in node.input}
    used |= {output.name for graph in graphs for output in graph.output}
    for graph in graphs:
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
    return model


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those of its loops."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
