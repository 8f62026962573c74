"""Optimizers and learning-rate schedules by name, with their arguments checked (solvers of section IV-B).

Two are our own, which the paper's solvers need and optax does not have exactly: Caffe's SGD (CNN) and Torch's RMSProp with
momentum (LSTM). Every optax optimizer that gets by on gradients, state and parameters goes by its optax name. Arguments are
text in a config, such as "b1=0.8, nesterov=True": parsed without eval, checked by the function's signature.

The learning rate is an injected hyperparameter. The training loop sets it at every step:

    opt_state = optimizer.set_learning_rate(opt_state, optimizer.schedule(step) * plateau_scale)
    updates, opt_state = optimizer.tx.update(grads, opt_state, params)
"""

import ast
import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Float32

from au_jax.errors import ConfigError


def parse_arguments(text: str, subject: str) -> dict[str, Any]:
    """Keyword arguments written as in a Python call, literals only; "" is none.

    Args:
      text: such as "b1=0.8, nesterov=True".
      subject: first words of the messages, such as "optimizer adamw".

    Raises:
      ConfigError: it is not `name=literal, ...`.

    Example:
      >>> parse_arguments("b1=0.8, nesterov=True", "optimizer adam")
      {'b1': 0.8, 'nesterov': True}
    """
    form = f'{subject}: cannot read arguments {text!r}; write literals by name, such as "b1=0.8, nesterov=True"'
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ConfigError(form) from error
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise ConfigError(form)
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ConfigError(form)
        try:
            arguments[keyword.arg] = ast.literal_eval(keyword.value)
        except ValueError as error:
            raise ConfigError(form) from error
    return arguments


def check_arguments(
    function: Callable[..., Any], arguments: Mapping[str, Any], given: Collection[str], subject: str
) -> None:
    """Checks arguments against a function's signature, before it is called.

    Args:
      function: whose keyword arguments they are.
      arguments: from the config.
      given: names that the caller fills in itself; a config cannot set them.
      subject: first words of the messages, such as "optimizer adamw".

    Raises:
      ConfigError: an unknown name, a value of another type than the default or the annotation shows, a
        required argument that is missing. The message lists the function's arguments.

    Example:
      >>> check_arguments(optax.adam, {"b1": 0.8}, given=("learning_rate",), subject="optimizer adam")
    """
    parameters = {key: value for key, value in inspect.signature(function).parameters.items() if key not in given}
    choices = ", ".join(parameters) or "none"
    for name, value in arguments.items():
        if name not in parameters:
            raise ConfigError(f"{subject} has no argument {name!r}; its arguments are: {choices}")
        wanted = _wanted(parameters[name])
        if not _fits(value, wanted):
            raise ConfigError(f"{subject}: argument {name} is {value!r}, expected {wanted}")
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in arguments
    ]
    if missing:
        raise ConfigError(f"{subject} needs {', '.join(missing)}; its arguments are: {choices}")


def _wanted(parameter: inspect.Parameter) -> str:
    """What a parameter takes, in words: from its default, and where that is None or absent, from its annotation."""
    default, annotation = parameter.default, str(parameter.annotation)
    if isinstance(default, bool):
        return "True or False"
    if isinstance(default, int | float):
        return "a number"
    if isinstance(default, str):
        return "a string"
    numeric = any(word in annotation for word in ("float", "int'", "jax.Array", "_jax.Array", "numpy.number"))
    structured = any(word in annotation for word in ("ArrayTree", "dict[", "Iterable", "Sequence"))
    if default is None and structured and "Callable" in annotation:
        return "nothing from a config (it takes a function)"
    if default is None:
        return "a number or None" if numeric and not structured else "a literal"
    if default is inspect.Parameter.empty:
        return "a number" if (numeric or "int" in annotation) and not structured else "a literal"
    return "nothing from a config (its default cannot be written as a literal)"


def _fits(value: Any, wanted: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match wanted:
        case "True or False":
            return isinstance(value, bool)
        case "a number":
            return number
        case "a number or None":
            return number or value is None
        case "a string":
            return isinstance(value, str)
        case "a literal":
            return True
        case _:
            return False


Schedule = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An optimizer with its schedule: see `make_optimizer`.

    Attributes:
      tx: optax transformation; its state holds the learning rate of the next update.
      schedule: step number (from 0) to learning rate, before any plateau scaling.

    Example:
      >>> from au_jax.config import Config
      >>> optimizer = make_optimizer(Config().cnn.optimizer, steps_per_epoch=10, total_steps=100)
      >>> state = optimizer.set_learning_rate(optimizer.tx.init({"kernel": jnp.zeros(2)}), 0.25)
      >>> float(optimizer.learning_rate(state))
      0.25
    """

    tx: optax.GradientTransformation
    schedule: Schedule

    def set_learning_rate(self, opt_state: Any, learning_rate: Any) -> Any:
        """A copy of the optimizer's state with another learning rate (float or float32 scalar array)."""
        rate = jnp.asarray(learning_rate, jnp.float32)
        return opt_state._replace(hyperparams={**opt_state.hyperparams, "learning_rate": rate})

    def learning_rate(self, opt_state: Any) -> Float32[Array, ""]:
        """The learning rate in an optimizer's state."""
        return opt_state.hyperparams["learning_rate"]


def is_bias(path: tuple[Any, ...]) -> bool:
    """Whether a parameter, given by its key path in the tree, is a bias: its name is `bias`.

    Example:
      >>> is_bias((jax.tree_util.DictKey("fc8"), jax.tree_util.DictKey("bias")))
      True
    """
    return bool(path) and getattr(path[-1], "key", None) == "bias"


def caffe_sgd(
    learning_rate: Any, *, momentum: float, weight_decay: float, bias_multiplier: float
) -> optax.GradientTransformation:
    """Caffe's SGD: V <- momentum V + rate (g + weight_decay W); W <- W - V, as in the group's published solver.

    The learning rate is inside the velocity, so after a change of rate the old steps fade with the momentum. Biases are
    not decayed, and their rate is `bias_multiplier` times as large (lr_mult 2, decay_mult 0 in the prototxt).

    Example:
      >>> tx = caffe_sgd(0.5, momentum=0.9, weight_decay=0.0, bias_multiplier=2.0)
      >>> params = {"bias": jnp.zeros(1)}
      >>> updates, _ = tx.update({"bias": jnp.ones(1)}, tx.init(params), params)
      >>> updates["bias"].tolist()
      [-1.0]
    """

    def decay_weights(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, _: not is_bias(path), params)

    def rates(updates: optax.Updates, params: optax.Params | None = None) -> optax.Updates:
        del params
        return jax.tree_util.tree_map_with_path(
            lambda path, g: learning_rate * (bias_multiplier if is_bias(path) else 1.0) * g, updates
        )

    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask=decay_weights),
        optax.stateless(rates),
        optax.trace(decay=momentum),
        optax.scale(-1.0),
    )


def torch_rmsprop(learning_rate: Any, *, decay: float, eps: float, momentum: float) -> optax.GradientTransformation:
    """Torch's RMSProp: m <- decay m + (1 - decay) g^2; V <- momentum V + g / (sqrt(m) + eps); W <- W - rate V.

    `decay` is Torch's alpha. Unlike `optax.rmsprop`, eps stands outside of the root and the learning rate outside of
    the velocity.

    Example:
      >>> tx = torch_rmsprop(0.5, decay=0.75, eps=1e-8, momentum=0.9)
      >>> params = {"kernel": jnp.zeros(1)}
      >>> updates, _ = tx.update({"kernel": 2 * jnp.ones(1)}, tx.init(params), params)
      >>> updates["kernel"].tolist()  # -0.5 x 2 / sqrt(0.25 x 4)
      [-1.0]
    """
    return optax.chain(
        optax.scale_by_rms(decay=decay, eps=eps, initial_scale=0.0, eps_in_sqrt=False),
        optax.trace(decay=momentum) if momentum else optax.identity(),
        optax.scale(-1.0),
        optax.stateless(lambda updates, params=None: jax.tree.map(lambda g: learning_rate * g, updates)),
    )


def per_epoch(init_value: float, steps_per_epoch: int, *, factor: float, start: int = 0) -> Schedule:
    """Rate x factor per epoch: init_value * factor^max(0, epoch - start), constant within an epoch (char-rnn: 0.97).

    Example:
      >>> schedule = per_epoch(1.0, steps_per_epoch=10, factor=0.5)
      >>> float(schedule(9)), float(schedule(10))
      (1.0, 0.5)
    """

    def schedule(step: Any) -> Any:
        epochs = jnp.maximum(jnp.asarray(step) // steps_per_epoch - start, 0)
        return init_value * jnp.power(factor, epochs.astype(jnp.float32))

    return schedule


_OURS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "caffe_sgd": caffe_sgd,
    "torch_rmsprop": torch_rmsprop,
}
# Schedule-free: the parameters to evaluate with are not those trained. dpsgd wants gradients per example, noisy_sgd
# a key, and optimistic_adam has given way to optimistic_adam_v2.
_UNSUITABLE = ("schedule_free", "schedule_free_adamw", "schedule_free_sgd", "dpsgd", "noisy_sgd", "optimistic_adam")


def optimizer_factory(name: str) -> Callable[..., optax.GradientTransformation] | None:
    """The factory of an optimizer: ours, then `optax.<name>`, then `optax.contrib.<name>`; None if there is none.

    Example:
      >>> optimizer_factory("adam") is optax.adam
      True
    """
    if name in _OURS:
        return _OURS[name]
    if name.startswith(("_", "scale_by_", "inject_")) or name in _UNSUITABLE:
        return None
    # vars, not getattr: asking optax for a name that it deprecates warns.
    factory = vars(optax).get(name) or vars(optax.contrib).get(name)
    if not inspect.isfunction(factory) or "learning_rate" not in inspect.signature(factory).parameters:
        return None
    return factory


@functools.cache
def optimizer_names() -> tuple[str, ...]:
    """Names of the optimizers: ours, then those of optax whose updates need gradients, state and parameters only.

    Example:
      >>> optimizer_names()[:2]
      ('caffe_sgd', 'torch_rmsprop')
    """
    names = {*vars(optax), *vars(optax.contrib)} - set(_OURS)
    usable = []
    for name in sorted(names):
        factory = optimizer_factory(name)
        if factory is not None and _reason_it_fails(factory(learning_rate=1e-3)) is None:
            usable.append(name)
    return (*_OURS, *usable)


def schedule_names() -> tuple[str, ...]:
    """Names of the schedules: ours, then optax's own.

    Example:
      >>> schedule_names()[:3]
      ('constant', 'per_epoch', 'cosine_decay_schedule')
    """
    names = [
        name
        for name, value in inspect.getmembers(optax.schedules, inspect.isfunction)
        if name.endswith(("_schedule", "_decay")) and name != "constant_schedule"
    ]
    return ("constant", "per_epoch", *sorted(names))


def make_optimizer(config: Any, steps_per_epoch: int, total_steps: int, subject: str = "") -> Optimizer:
    """Builds the optimizer and the schedule of a config.

    Args:
      config: `au_jax.config.OptimizerConfig`, or another object with its fields:
        name: `caffe_sgd`, `torch_rmsprop`, or an optax optimizer;
        learning_rate: positive float;
        arguments: Python keyword arguments of literals in a string, such as "b1=0.8, nesterov=True";
        clip: element-wise bound of the gradient, 0 is none;
        <name>: optionally, a mapping with arguments of that optimizer (`arguments` go before it);
        schedule: with `name` ("constant", "per_epoch", or an optax schedule) and `arguments`. An optax schedule's own
          rate (peak_value, else init_value) is `learning_rate` and its length (decay_steps, transition_steps) is
          `total_steps` unless given; beside a peak_value, init_value starts at 0.
      steps_per_epoch: updates in an epoch.
      total_steps: updates in the whole training.
      subject: the config's name in messages, such as "config.cnn.optimizer".

    Raises:
      ConfigError: unknown optimizer, schedule or argument, an argument missing or of a wrong type, an optimizer that needs
        more than gradients, state and parameters, a schedule that does not fit the number of steps. The message lists the
        choices.

    Example:
      >>> import ml_collections
      >>> schedule = {"name": "per_epoch", "arguments": "factor=0.97"}
      >>> fields = {"name": "adamw", "learning_rate": 1e-3, "arguments": "b1=0.8", "clip": 5.0, "schedule": schedule}
      >>> optimizer = make_optimizer(ml_collections.ConfigDict(fields), steps_per_epoch=100, total_steps=3000)
      >>> f"{optimizer.schedule(100):.5f}"
      '0.00097'
    """
    tx = make_transformation(config, subject)
    where = f"{subject}: " if subject else ""
    return Optimizer(
        tx, _make_schedule(config.schedule, float(config.learning_rate), steps_per_epoch, total_steps, where)
    )


def make_transformation(config: Any, subject: str = "") -> optax.GradientTransformation:
    """Builds the optimizer of a config without its schedule: for its state, which no number of steps decides.

    Args:
      config: as of `make_optimizer`.
      subject: as of `make_optimizer`.

    Raises:
      ConfigError: as `make_optimizer`, but for the schedule.

    Example:
      >>> from au_jax.config import OptimizerConfig
      >>> state = make_transformation(OptimizerConfig(name="adamw")).init({"bias": jnp.zeros(2)})
      >>> float(state.hyperparams["learning_rate"])
      0.0010000000474974513
    """
    where = f"{subject}: " if subject else ""
    name = str(config.name)
    factory = optimizer_factory(name)
    if factory is None:
        raise ConfigError(f"{where}unknown optimizer {name!r}; choose from {', '.join(optimizer_names())}")
    rate, clip = config.learning_rate, config.clip
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise ConfigError(f"{where}learning_rate is {rate!r}; give a positive number")
    if isinstance(clip, bool) or not isinstance(clip, int | float) or clip < 0:
        raise ConfigError(f"{where}clip is {clip!r}; give 0 (off) or the largest absolute value of a gradient element")

    what = f"{where}optimizer {name}"
    arguments = {**_own_arguments(config, name), **parse_arguments(config.arguments, what)}
    check_arguments(factory, arguments, given=("learning_rate",), subject=what)

    def build(learning_rate: Any) -> optax.GradientTransformation:
        inner = factory(learning_rate=learning_rate, **arguments)
        return optax.chain(optax.clip(clip), inner) if clip else inner

    tx = optax.inject_hyperparams(build, hyperparam_dtype=jnp.float32)(learning_rate=float(rate))
    reason = _reason_it_fails(tx)
    if reason is not None:
        raise ConfigError(
            f"{what} with arguments {arguments} cannot be used: it fails on an update from gradients, state and "
            f"parameters alone ({reason}); choose from {', '.join(optimizer_names())}"
        )
    return tx


def check_rates(optimizer: Optimizer, total_steps: int, subject: str) -> None:
    """Checks that the schedule gives learning rates that a training can use, at 33 steps from the first to the last.

    Args:
      optimizer: of `make_optimizer`.
      total_steps: updates in the whole training.
      subject: first words of the message, such as "config.cnn.optimizer.schedule".

    Raises:
      ConfigError: a rate is negative or not finite.

    Example:
      >>> falling = Optimizer(optax.sgd(0.1), lambda step: 0.1 - 0.01 * step)
      >>> check_rates(falling, 10, "config.cnn.optimizer.schedule")
      >>> check_rates(falling, 33, "config.cnn.optimizer.schedule")  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.ConfigError: config.cnn.optimizer.schedule: the learning rate at step 11 of 33 is -0.01; give ...
    """
    for step in sorted({place * (total_steps - 1) // 32 for place in range(33)}):
        rate = float(optimizer.schedule(step))
        if not 0 <= rate < float("inf"):
            raise ConfigError(
                f"{subject}: the learning rate at step {step} of {total_steps} is {rate:g}; give a schedule or arguments "
                "whose rates are finite and not negative"
            )


def _reason_it_fails(tx: optax.GradientTransformation) -> str | None:
    """Traces one update on a small network, so that an optimizer that cannot work fails here and not in training."""
    params = {"layer": {"kernel": jnp.zeros((4, 3)), "bias": jnp.zeros(3)}}
    try:
        # optax's own arithmetic mixes dtypes and ranks, whatever the surroundings are set to.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            state = jax.eval_shape(tx.init, params)
            jax.eval_shape(tx.update, params, state, params)
    except Exception as error:  # whatever optax raises, the reader needs it in the config's words
        return _first_line(error)
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _make_schedule(config: Any, learning_rate: float, steps_per_epoch: int, total_steps: int, where: str) -> Schedule:
    name = str(config.name)
    subject = f"{where}schedule {name}"
    arguments = parse_arguments(config.arguments, subject)
    if name == "constant":
        check_arguments(lambda: None, arguments, given=(), subject=subject)
        return lambda step: learning_rate
    if name == "per_epoch":
        check_arguments(per_epoch, arguments, given=("init_value", "steps_per_epoch"), subject=subject)
        return per_epoch(learning_rate, steps_per_epoch, **arguments)
    if name not in schedule_names():
        raise ConfigError(f"{where}unknown schedule {name!r}; choose from {', '.join(schedule_names())}")

    factory = getattr(optax.schedules, name)
    parameters = inspect.signature(factory).parameters
    defaults: dict[str, Any] = dict.fromkeys(("decay_steps", "transition_steps", "total_steps"), total_steps)
    if "peak_value" in parameters:
        defaults.update(peak_value=learning_rate, init_value=0.0)
    else:
        defaults.update(init_value=learning_rate)
    filled = {key: value for key, value in defaults.items() if key in parameters}
    arguments = {**filled, **arguments}
    check_arguments(factory, arguments, given=(), subject=subject)
    warmup = arguments.get("warmup_steps", 0)
    # optax refuses this of some schedules, in other words, and lets others end on the way up.
    if warmup and warmup >= total_steps:
        raise ConfigError(
            f"{subject}: warmup_steps is {warmup}, and the training takes {total_steps} steps; give fewer warmup_steps"
        )
    try:
        schedule = factory(**arguments)
        float(schedule(0))
    except Exception as error:  # as in _reason_it_fails
        raise ConfigError(
            f"{subject} with arguments {arguments} cannot be used in {total_steps} steps: {_first_line(error)}"
        ) from error
    return schedule


def _own_arguments(config: Any, name: str) -> dict[str, Any]:
    """The config's own mapping of arguments for an optimizer, if it has one."""
    arguments = getattr(config, name, None)
    if arguments is None:
        return {}
    return dict(arguments.items() if hasattr(arguments, "items") else vars(arguments))
