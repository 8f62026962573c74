"""CNN and LSTM trained in one go, for the ablations: the paper trains them in stages (section III)."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, UInt8

from au_jax import files
from au_jax.config import Config
from au_jax.data.dataset import FaceSet
from au_jax.data.input_pipeline import decode_all
from au_jax.models.cnn import AlexNet
from au_jax.models.hybrid import lstm_inputs, make_cnn, make_fusion, make_lstm, subtract_mean
from au_jax.models.lstm import LSTMStack
from au_jax.run_dir import FoldDir
from au_jax.systems import fusion_trainer, lstm_trainer
from au_jax.systems.anet import initial_params as initial_cnn
from au_jax.systems.base import FoldContext, train_spec, validation_metrics
from au_jax.systems.fusion_trainer import FusionTrainer
from au_jax.training import losses, parallel
from au_jax.training.best_params import best_params
from au_jax.training.optimizers import Optimizer, make_optimizer
from au_jax.training.trainer import train

CLIPS = 4
"""Clips of an update: of the demo, 136 frames, where the CNN's own updates have 64."""


class EndToEndHybrid:
    """The hybrid, whose CNN, projection and LSTM learn together from both branches' losses; the fusion network learns after.

    The loss of a clip is the CNN's cross-entropy of each frame plus the LSTM's loss, both per label. The LSTM's parameters learn
    at the rate of `config.lstm`, all others at that of `config.cnn`, for `config.cnn.epochs` epochs of all training clips.
    The features get no noise.

    Args:
      context: of the variant.
      run: the run's files of the fold; its mean image, and what is started from.
      from_cnn: start from the run's CNN and PCA; else from scratch.
    """

    def __init__(self, context: FoldContext, run: FoldDir, from_cnn: bool):
        self._context, self._run, self._from_cnn = context, run, from_cnn
        config, aus = context.config, len(context.aus)
        self._cnn, self._lstm = make_cnn(config.cnn, aus), make_lstm(config.lstm, aus)
        self._fusion = FusionTrainer(context)
        self._forward = parallel.make_forward(partial(clips_forward, self._cnn, self._lstm, config))
        self._params: Any = None
        self.parameters = 0

    def fit(self, train_faces: FaceSet, validation: FaceSet) -> None:
        """Trains the whole network on clips of training subjects, then the fusion network on validation subjects."""
        context, config = self._context, self._context.config
        clips, self._mean = Clips(train_faces, config), files.read_npz(self._run.mean)["mean"]
        judged = Clips(validation, config)
        steps = -(-len(clips) // CLIPS)

        def validate(params: Any) -> dict[str, float]:
            _, scores = self._outputs(params, judged)
            loss = partial(lstm_trainer.frame_loss, config.lstm)
            return validation_metrics(scores, validation.labels, loss, context.aus)

        stage = train_spec(
            context,
            "hybrid/end_to_end",
            config.cnn,
            directory=context.directory / "hybrid" / "end_to_end",
            init=self._init,
            loss=partial(clip_loss, self._cnn, self._lstm, config),
            constants={"mean": jnp.asarray(self._mean)},
            batches=partial(clips.batches, context.seed(11)),
            steps_per_epoch=steps,
            validate=validate,
            monitor="f1",
            seed=12,
        )
        stage = dataclasses.replace(stage, optimizer=two_rates(config, steps))
        with context.costs.measure(stage.name, has_bar=True) as cost:
            self._params = train(stage, cost.noting(context.log.write))
        branches = self._branches(validation, judged)
        self._fusion.fit_on_validation(branches, validation)
        first, second = (branch.shape[1:] for branch in branches)
        fusion = make_fusion(config.fusion, len(context.aus))
        fused = jax.eval_shape(lambda key: fusion_trainer.initial_params(fusion, first, second, key), jax.random.key(0))
        self.parameters = sum(int(leaf.size) for leaf in jax.tree.leaves((self._params["lstm"], fused)))

    def score(self, faces: FaceSet) -> dict[str, np.ndarray]:
        """Scores [T, A] of every video."""
        return faces.by_video(self._fusion.logits(self._branches(faces, Clips(faces, self._context.config))))

    def _init(self, key: Key[Array, ""]) -> Any:
        config = self._context.config
        width = config.lstm.pca_components
        cnn, lstm, projection = jax.random.split(key, 3)
        params = {"lstm": lstm_trainer.initial_params(self._lstm, width, lstm)}
        if self._from_cnn:
            pca = files.read_npz(self._run.pca)
            return params | {"cnn": best_params(self._run.cnn), "pca": {name: jnp.asarray(pca[name]) for name in pca}}
        params["cnn"] = initial_cnn(self._cnn, config.data.crop_size, cnn)
        fc7 = params["cnn"]["fc8"]["kernel"].shape[0]
        # fc7 has length 1: features have a variance of about 1, as those that the PCA is scaled to.
        components = jax.random.normal(projection, (width, fc7))
        return params | {"pca": {"mean": jnp.zeros(fc7), "components": components}}

    def _outputs(self, params: Any, clips: "Clips") -> tuple[np.ndarray, np.ndarray]:
        """The CNN's logits and the LSTM's scores of all frames, [N, A] each."""
        variables, parts = {"params": jax.device_put(params), "mean": self._mean}, []
        for batch, lengths in clips.in_order():
            outputs = self._forward(variables, batch)
            parts += [tuple(rows[i, :length] for rows in outputs) for i, length in enumerate(lengths)]
        cnn, lstm = (np.concatenate(rows) for rows in zip(*parts, strict=True))
        return cnn, lstm

    def _branches(self, faces: FaceSet, clips: "Clips") -> tuple[np.ndarray, ...]:
        lengths, fusion = [len(video) for video in faces.videos], self._context.config.fusion
        rows = self._outputs(self._params, clips)
        if fusion.variant != "temporal":
            return rows
        return tuple(fusion_trainer.temporal_rows(fusion, branch, lengths) for branch in rows)


class Clips:
    """The videos of a set of faces in main memory, each as one clip of `config.lstm.sequence_length` frames or as it is.

    Args:
      faces: of which subjects; without labels they can be scored only.
      config: of the run.
    """

    def __init__(self, faces: FaceSet, config: Config):
        self._images = decode_all(faces, "host")
        self._labels = faces.labels if faces.has_labels else None
        self._crop, self._size = config.data.crop_size, config.data.image_size
        ends = np.cumsum([len(video) for video in faces.videos])
        self._spans = list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))
        self._steps, self._longest = config.lstm.sequence_length, int(max(stop - start for start, stop in self._spans))

    def __len__(self) -> int:
        return len(self._spans)

    def batches(self, seed: int, epoch: int) -> Iterator[parallel.Batch]:
        """Every clip once, in random order, at a random crop and mirrored at random; a pure function of seed and epoch."""
        assert self._labels is not None
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(self))
        for first in range(0, len(order), CLIPS):
            chosen, parts = order[first : first + CLIPS], []
            for number in chosen:
                start, stop = self._spans[number]
                start += int(rng.integers(max(stop - start - self._steps, 0) + 1))
                stop = min(stop, start + self._steps)
                offset, flip = rng.integers(self._size - self._crop + 1, size=2), bool(rng.integers(2))
                part = self._cut(start, stop, offset, flip, self._steps)
                labels = np.pad(self._labels[start:stop], ((0, self._steps - (stop - start)), (0, 0)))
                parts.append({**part, "labels": labels, "mask": np.float32(1)})
            # The last batch of an epoch is filled up with clips that do not count.
            parts += [{**parts[0], "mask": np.float32(0)}] * (CLIPS - len(parts))
            yield parallel.take_process_rows({name: np.stack([part[name] for part in parts]) for name in parts[0]})

    def in_order(self) -> Iterator[tuple[parallel.Batch, Sequence[int]]]:
        """All whole videos from their middle crop, some at a time, with their lengths."""
        middle = np.full(2, (self._size - self._crop) // 2)
        for first in range(0, len(self), CLIPS):
            spans = self._spans[first : first + CLIPS]
            parts = [self._cut(start, stop, middle, False, self._longest) for start, stop in spans]
            parts += [parts[0]] * (CLIPS - len(parts))
            yield {name: np.stack([part[name] for part in parts]) for name in parts[0]}, [b - a for a, b in spans]

    def _cut(self, start: int, stop: int, offset: np.ndarray, flip: bool, steps: int) -> dict[str, Any]:
        y, x = (int(place) for place in offset)
        image = self._images[start:stop, y : y + self._crop, x : x + self._crop]
        image = image[:, :, ::-1] if flip else image
        return {
            "image": np.pad(image, ((0, steps - len(image)), (0, 0), (0, 0), (0, 0))),
            "offset": offset.astype(np.int32),
            "flip": np.array(flip),
            "present": np.arange(steps) < stop - start,
        }


def two_rates(config: Config, steps: int) -> Optimizer:
    """The CNN's optimizer and schedule, whose updates of the LSTM are as many times larger as the LSTM's rate is.

    Args:
      config: of the run; `cnn.optimizer` decides but for the rate of the LSTM.
      steps: updates of an epoch.
    """
    ours = make_optimizer(config.cnn.optimizer, steps, steps * config.cnn.epochs)
    ratio = config.lstm.optimizer.learning_rate / config.cnn.optimizer.learning_rate

    def is_lstm(tree: Any) -> Any:
        return {name: jax.tree.map(lambda _, name=name: name == "lstm", part) for name, part in tree.items()}

    larger = optax.masked(optax.scale(ratio), is_lstm)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates, state = ours.tx.update(updates, state, params)
        # Scaling has no state.
        return larger.update(updates, larger.init(params), params)[0], state

    return Optimizer(optax.GradientTransformation(ours.tx.init, update), ours.schedule)


def clip_forward(
    cnn: AlexNet,
    lstm: LSTMStack,
    config: Config,
    params: Any,
    mean: Float[Array, "S S 3"],
    clip: Mapping[str, Any],
    key: Key[Array, ""] | None = None,
) -> tuple[Float[Array, "T A"], Float[Array, "T A"]]:
    """Both branches on one clip.

    Args:
      cnn, lstm: of `make_cnn` and `make_lstm`.
      config: of the run.
      params: "cnn", "pca" and "lstm".
      mean: image that is subtracted.
      clip: "image" [T, C, C, 3] uint8, "offset" [2], "flip" [], "present" [T] bool.
      key: of dropout; None: there is none.

    Returns:
      The CNN's logits and the LSTM's scores, [T, A] each.
    """
    image: UInt8[Array, "T C C 3"] = clip["image"]
    faces = jax.vmap(subtract_mean, in_axes=(0, None, None, None))(image, mean, clip["offset"], clip["flip"])
    keys = (None, None) if key is None else jax.random.split(key)
    rngs = [{} if one is None else {"dropout": one} for one in keys]
    outputs: Any = cnn.apply({"params": params["cnn"]}, faces, train=key is not None, rngs=rngs[0])
    logits, representations = outputs
    features = (representations["fc7"] - params["pca"]["mean"][None]) @ params["pca"]["components"].T
    inputs, _ = lstm_inputs(config.lstm, features[None], clip["present"][None])
    scores: Any = lstm.apply({"params": params["lstm"]}, inputs, train=key is not None, rngs=rngs[1])
    return logits, scores[0][0]


def clips_forward(
    cnn: AlexNet, lstm: LSTMStack, config: Config, variables: Mapping[str, Any], batch: Mapping[str, Any]
) -> tuple[Float[Array, "B T A"], Float[Array, "B T A"]]:
    """`clip_forward` of several clips, without dropout; variables: "params" and "mean"."""
    run = partial(clip_forward, cnn, lstm, config, variables["params"], variables["mean"])
    return jax.vmap(run)(dict(batch))


def clip_loss(
    cnn: AlexNet,
    lstm: LSTMStack,
    config: Config,
    params: Any,
    constants: parallel.Example,
    example: parallel.Example,
    key: Key[Array, ""],
) -> parallel.LossAndCount:
    """The two branches' losses of one clip, summed over frames, and how many count (`parallel.ExampleLoss`)."""
    logits, scores = clip_forward(cnn, lstm, config, params, constants["mean"], example, key)
    present = jnp.asarray(example["present"], jnp.float32)
    counted = losses.labelled(example["labels"]) * present * example["mask"]
    of_cnn = losses.cross_entropy(logits, example["labels"], "mean_labelled")
    of_lstm = lstm_trainer.frame_loss(config.lstm, scores, example["labels"])
    return ((of_cnn + of_lstm) * counted).sum(), counted.sum()
