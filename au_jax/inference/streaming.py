"""A fold's trained CNN, LSTM stack and fusion network as one function of a stream of faces.

The recurrent state goes in and comes out, so that a video of any length, or a live camera, needs the same memory. From a
video's first frame on it gives the scores that `score` of the systems gives for the whole video.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from au_jax import files
from au_jax.config import Config
from au_jax.errors import UserError
from au_jax.run_dir import FoldDir
from au_jax.systems import anet, fusion_trainer, lstm_trainer
from au_jax.training.checkpoints import REMEDY
from au_jax.training.trainer import best_params

STREAMED: tuple[str, ...] = ("anet", "hybrid")
"""Systems that can be run on new videos."""

Step = Callable[[Any, Any, Any], tuple[Any, dict[str, jax.Array]]]
"""(variables, carry, faces [T, S, S, 3] uint8) -> (carry, scores of every system [T, 12])."""


def load(config: Config, fold: Path, systems: tuple[str, ...]) -> Any:
    """Reads the variables of a fold's trained networks and their thresholds.

    Args:
      config: of the run.
      fold: its folder, such as runs/demo/fold_00.
      systems: of `STREAMED`; "hybrid" brings LSTM and fusion along.

    Raises:
      UserError: something has not been trained to its end.
    """
    paths = FoldDir(fold)
    variables = {
        "cnn": {"params": best_params(paths.cnn), "mean": _read(paths.mean)["mean"]},
        "thresholds": {name: _read(paths.scores(name))["thresholds"] for name in systems},
    }
    if "hybrid" in systems:
        variables["pca"] = _read(paths.pca)
        variables["lstm"] = best_params(paths.lstm)
        variables["fusion"] = best_params(paths.fusion)
    return jax.device_put(jax.tree.map(np.asarray, variables))


def initial_carry(config: Config, systems: tuple[str, ...]) -> Any:
    """The state before a video's first frame."""
    return lstm_trainer.make_lstm(config.lstm).initial_carry(1) if "hybrid" in systems else ()


def make_step(config: Config, systems: tuple[str, ...]) -> Step:
    """Compiles the function of one fold's variables; all folds share it.

    Raises:
      UserError: the hybrid's LSTM is bidirectional and cannot run on a stream.
    """
    if "hybrid" in systems and config.lstm.bidirectional:
        raise UserError(
            "this run's LSTM is bidirectional and needs frames that are still to come; predict with --systems=anet"
        )
    cnn, lstm, fusion = (
        anet.make_cnn(config.cnn),
        lstm_trainer.make_lstm(config.lstm),
        fusion_trainer.make_fusion(config.fusion),
    )
    start = (config.data.image_size - config.data.crop_size) // 2
    window = slice(start, start + config.data.crop_size)

    def step(variables: Any, carry: Any, faces: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        count = faces.shape[0]
        batch = {
            "image": faces[:, window, window],
            "offset": jnp.full((count, 2), start, jnp.int32),
            "flip": jnp.zeros(count, bool),
        }
        logits, fc7 = anet.forward(cnn, variables["cnn"], batch)
        scores = {"anet": logits}
        if "hybrid" in systems:
            rows = (fc7 - variables["pca"]["mean"][None]) @ variables["pca"]["components"].T
            features, params = rows.astype(jnp.float32)[None], {"params": variables["lstm"]}
            streams = {"cnn": logits}
            streams["lstm"], new_carry = lstm.apply(params, features, None, carry)
            if config.fusion.variant == "features":
                hidden, _ = lstm.apply(params, features, None, carry, method="hidden_states")
                streams = {"cnn": features[0], "lstm": hidden}
            streams["lstm"], carry = streams["lstm"][0], new_carry
            scores["hybrid"] = fusion_trainer.forward(fusion, variables["fusion"], streams)
        return carry, {name: scores[name] - variables["thresholds"][name][None] for name in systems}

    return jax.jit(step)


def finished_systems(fold: Path) -> tuple[str, ...]:
    """Which of `STREAMED` a fold has finished."""
    return tuple(name for name in STREAMED if FoldDir(fold).scores(name).exists())


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        return files.read_npz(path)
    except (UserError, FileNotFoundError) as error:
        raise UserError(f"{path} is missing or damaged; delete it if it is there, {REMEDY}") from error
