"""The ascent of Figure 5 in PyTorch, and how fast it climbs there and in JAX.

    python -m experiments.fig5_torch --run=runs/demo [--preset=paper] [--iterations=200]

Prints pictures per second (12 pictures x iterations / seconds) of both on the same network, settings and start.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from absl import flags
from torch.nn import functional

from au_jax.command_line import run_command
from au_jax.explain import activation
from au_jax.models.cnn import CNN_VARIANTS, AlexNet, Conv, Dense, Norm, Pool
from au_jax.report.cnn_figures import ascent_settings, score_function
from au_jax.run_dir import TrainedFold

ROUNDS = 3

TorchScore = Callable[[torch.Tensor], torch.Tensor]
"""Pictures minus the mean, [A, 3, H, W] -> scores of all units, [A, U]."""


def score_in_torch(model: AlexNet, params: Any) -> TorchScore:
    """The CNN of `params` without dropout."""
    variant = CNN_VARIANTS[model.variant]
    weights = {
        name: (torch.tensor(np.array(layer["kernel"])), torch.tensor(np.array(layer["bias"])))
        for name, layer in params.items()
    }
    kernels = {
        name: kernel.permute(3, 2, 0, 1).contiguous() for name, (kernel, _) in weights.items() if kernel.ndim == 4
    }

    def score(x: torch.Tensor) -> torch.Tensor:
        x = x * variant.input_scale
        for layer in variant.layers:
            match layer:
                case Conv():
                    groups = model.groups if layer.grouped else 1
                    bias = weights[layer.name][1]
                    x = torch.relu(
                        functional.conv2d(x, kernels[layer.name], bias, layer.stride, layer.padding, 1, groups)
                    )
                case Pool():
                    x = functional.max_pool2d(x, layer.window, layer.stride, ceil_mode=model.pool_rounding == "ceil")
                case Norm():
                    x = functional.local_response_norm(x, layer.size, layer.alpha, layer.beta, layer.k)
                case Dense():
                    # Flax flattens rows, columns, channels.
                    x = x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x
                    x = torch.relu(x @ weights[layer.name][0] + weights[layer.name][1])
        return x @ weights["fc8"][0] + weights["fc8"][1]

    return score


def ascend_in_torch(
    score: TorchScore, mean: np.ndarray, settings: activation.AscentSettings, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`activation.ascend` in PyTorch: best pictures [A, H, W, 3] and their scores [A]."""
    picture = torch.tensor(start.transpose(0, 3, 1, 2).copy())
    middle = torch.tensor(mean.transpose(2, 0, 1).copy())
    best, best_score = picture, torch.full((len(picture),), -math.inf)
    for iteration in range(settings.iterations):
        picture = (picture + middle).clamp(0.0, 255.0).sub(middle).requires_grad_()
        own = score(picture).diagonal()
        (gradient,) = torch.autograd.grad(own.sum(), picture)
        with torch.no_grad():
            better = own > best_score
            best = torch.where(better[:, None, None, None], picture, best)
            best_score = torch.maximum(own, best_score)
            if iteration == settings.iterations - 1:
                break
            picture = _regularised(picture, gradient, settings, iteration)
    return best.detach().numpy().transpose(0, 2, 3, 1), best_score.detach().numpy()


def _regularised(
    picture: torch.Tensor, gradient: torch.Tensor, settings: activation.AscentSettings, iteration: int
) -> torch.Tensor:
    if settings.rate is None:
        steepness = gradient.square().sum((1, 2, 3), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        rate = (settings.progress / steepness).clamp(max=settings.largest_rate)
    else:
        rate = settings.rate
    picture = (picture + rate * gradient) * (1.0 - settings.decay)
    if settings.blur and iteration % settings.blur_every == 0:
        picture = _blurred(picture, settings.blur)
    if settings.norm_percentile:
        picture = _cleared(picture, torch.linalg.vector_norm(picture, dim=1), settings.norm_percentile)
    if settings.contribution_percentile:
        picture = _cleared(picture, (gradient * picture).sum(1).abs(), settings.contribution_percentile)
    return picture


def _cleared(picture: torch.Tensor, size: torch.Tensor, percent: float) -> torch.Tensor:
    bound = torch.quantile(size.flatten(1), percent / 100.0, dim=1)
    return picture * (size >= bound[:, None, None])[:, None]


def _blurred(picture: torch.Tensor, deviation: float) -> torch.Tensor:
    radius = int(4.0 * deviation + 0.5)
    bell = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / deviation) ** 2)
    bell = (bell / bell.sum()).expand(3, 1, 1, -1)
    for axis in (2, 3):
        kernel = bell.transpose(2, 3) if axis == 2 else bell
        first, last = (picture.narrow(axis, place, radius).flip(axis) for place in (0, picture.shape[axis] - radius))
        picture = functional.conv2d(torch.cat([first, picture, last], axis), kernel, groups=3)
    return picture


def compare_with_torch(run: Path, preset: str, iterations: int, fold: int = 0) -> dict[str, float]:
    """Pictures per second of both, the best of a few rounds in turn; the first program of JAX is compiled beforehand."""
    trained, settings = TrainedFold(run, fold), ascent_settings(preset, iterations)
    aus = tuple(trained.config.data.aus)
    mean = trained.cnn["mean"][trained.window, trained.window]
    begin = activation.random_start(jax.random.key(0), len(aus), *mean.shape[:2])
    step = activation.make_ascent(score_function(trained), mean, settings)
    in_torch, start = score_in_torch(trained.model, trained.cnn["params"]), np.asarray(begin.picture)

    def climb_in_jax() -> None:
        climb = begin
        for first in range(0, settings.iterations, activation.STEPS_PER_CALL):
            climb = step(climb, first)
        jax.block_until_ready(climb)

    jax.block_until_ready(step(begin, 0))
    climbs = {"JAX": climb_in_jax, "PyTorch": lambda: ascend_in_torch(in_torch, mean, settings, start)}
    seconds: dict[str, list[float]] = {name: [] for name in climbs}
    for _ in range(ROUNDS):
        for name, climb in climbs.items():
            began = time.perf_counter()
            climb()
            seconds[name].append(time.perf_counter() - began)
    return {name: len(aus) * settings.iterations / min(rounds) for name, rounds in seconds.items()}


def main() -> None:
    """Runs the command line."""
    run = flags.DEFINE_string("run", None, "Folder of a finished run.", required=True)
    preset = flags.DEFINE_string("preset", "paper", f"Settings of the ascent: {', '.join(activation.ASCENT_PRESETS)}.")
    iterations = flags.DEFINE_integer("iterations", 200, "Iterations of every round.")
    fold = flags.DEFINE_integer("fold", 0, "Fold whose CNN it is.")

    def measure() -> None:
        speeds = compare_with_torch(Path(run.value), preset.value, iterations.value, fold.value)
        print(f"fig5 {preset.value}: " + ", ".join(f"{name} {speed:.0f} pictures/s" for name, speed in speeds.items()))

    run_command(measure)


if __name__ == "__main__":
    main()
