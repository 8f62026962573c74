"""Optimisers against torch.optim and a hand-written Caffe solver; names, arguments and schedules of configs."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest

from au_jax.errors import ConfigError
from au_jax.training.optimizers import caffe_sgd, make_optimizer, optimizer_names, schedule_names, torch_rmsprop

pytestmark = pytest.mark.optax


def _config(
    name="adamw", arguments="", learning_rate=1e-3, clip=0.0, schedule="constant", schedule_arguments="", **sub
):
    return ml_collections.ConfigDict(
        {
            "name": name,
            "arguments": arguments,
            "learning_rate": learning_rate,
            "clip": clip,
            "schedule": {"name": schedule, "arguments": schedule_arguments},
            **sub,
        }
    )


_CAFFE = "momentum=0.9, weight_decay=5e-4, bias_multiplier=2.0"


def _start():
    rng = np.random.default_rng(0)
    return {"fc": {"kernel": rng.normal(size=(4, 3)).astype(np.float32), "bias": np.ones(3, np.float32)}}


def _gradient(params):
    """Of a bowl with very different curvatures, by hand, so that it is the same in every library."""
    return {
        "fc": {
            "kernel": params["fc"]["kernel"] * np.linspace(0.1, 5, 12).reshape(4, 3).astype(np.float32),
            "bias": params["fc"]["bias"] * np.float32(0.7) - np.float32(1.0),
        }
    }


def _rate(step):
    return 0.01 if step < 60 else 0.001


def _trajectory(optimizer, rate, steps=100):
    """Parameters after `steps` updates, the learning rate set before each as the training loop does."""
    params = jax.tree.map(jnp.asarray, _start())
    state = optimizer.tx.init(params)

    @jax.jit
    def step(params, state, rate):
        state = optimizer.set_learning_rate(state, rate)
        updates, state = optimizer.tx.update(_gradient(params), state, params)
        return optax.apply_updates(params, updates), state

    for number in range(steps):
        params, state = step(params, state, jnp.float32(rate(number)))
    return params


def _torch_trajectory(torch, make, rate, steps=100):
    params = {name: torch.tensor(value, requires_grad=True) for name, value in _start()["fc"].items()}
    optimizer = make(params)
    multipliers = [group["lr"] for group in optimizer.param_groups]
    for number in range(steps):
        for group, multiplier in zip(optimizer.param_groups, multipliers, strict=True):
            group["lr"] = rate(number) * multiplier
        gradient = _gradient({"fc": {name: value.detach().numpy() for name, value in params.items()}})
        for name, value in params.items():
            value.grad = torch.tensor(gradient["fc"][name])
        optimizer.step()
    return {name: value.detach().numpy() for name, value in params.items()}


@pytest.mark.parametrize("rate", [lambda step: 0.01, _rate], ids=["constant", "dropped"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_hundred_rmsprop_steps_agree_with_torch(momentum, rate):
    torch = pytest.importorskip("torch")
    ours = _trajectory(
        make_optimizer(_config("torch_rmsprop", f"decay=0.95, eps=1e-8, momentum={momentum}"), 1, 1), rate
    )
    theirs = _torch_trajectory(
        torch, lambda p: torch.optim.RMSprop(p.values(), lr=1.0, alpha=0.95, eps=1e-8, momentum=momentum), rate
    )
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours["fc"][name], expected, rtol=1e-4, atol=2e-6)


def test_hundred_sgd_steps_agree_with_torch_at_a_constant_rate():
    torch = pytest.importorskip("torch")

    def make(params):
        groups = [
            {"params": [params["kernel"]], "lr": 1.0, "weight_decay": 5e-4},
            {"params": [params["bias"]], "lr": 2.0, "weight_decay": 0.0},
        ]
        return torch.optim.SGD(groups, lr=1.0, momentum=0.9)

    ours = _trajectory(make_optimizer(_config("caffe_sgd", _CAFFE), 1, 1), lambda step: 0.01)
    theirs = _torch_trajectory(torch, make, lambda step: 0.01)
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours["fc"][name], expected, rtol=1e-4, atol=1e-6)


def test_hundred_caffe_steps_with_a_drop_of_the_rate_agree_with_numpy():
    params, velocity = _start()["fc"], {"kernel": 0.0, "bias": 0.0}
    for number in range(100):
        gradient = _gradient({"fc": params})["fc"]
        for name, rate_multiplier, decay in (("kernel", 1.0, 5e-4), ("bias", 2.0, 0.0)):
            step = _rate(number) * rate_multiplier * (gradient[name] + decay * params[name])
            velocity[name] = 0.9 * velocity[name] + step
            params[name] = (params[name] - velocity[name]).astype(np.float32)
    ours = _trajectory(make_optimizer(_config("caffe_sgd", _CAFFE), 1, 1), _rate)
    for name in params:
        np.testing.assert_allclose(ours["fc"][name], params[name], rtol=1e-4, atol=1e-6)


def test_after_a_drop_of_the_rate_caffes_velocity_still_carries_the_old_steps():
    # One parameter, gradients 1 then 0: Caffe goes on by 0.9 x the old step of 1; Torch by 0.9 x the new rate, 0.09.
    params = {"kernel": jnp.zeros(())}
    for rate_inside, expected in ((True, -1.9), (False, -1.09)):
        if rate_inside:
            factory = lambda learning_rate: caffe_sgd(  # noqa: E731
                learning_rate, momentum=0.9, weight_decay=0.0, bias_multiplier=1.0
            )
        else:
            factory = lambda learning_rate: optax.chain(  # noqa: E731
                optax.trace(0.9), optax.scale_by_learning_rate(learning_rate)
            )
        state = factory(1.0).init(params)
        first, state = factory(1.0).update({"kernel": jnp.ones(())}, state, params)
        second, _ = factory(0.1).update({"kernel": jnp.zeros(())}, state, params)
        assert float(first["kernel"] + second["kernel"]) == pytest.approx(expected)


def test_rmsprop_first_step_worked_by_hand():
    # m = 0.05 g^2, so the first step is rate / sqrt(0.05) against the sign of g, whatever its size.
    tx = torch_rmsprop(0.1, decay=0.95, eps=1e-8, momentum=0.9)
    params = {"kernel": jnp.zeros(2)}
    updates, _ = tx.update({"kernel": jnp.asarray([3.0, -0.01])}, tx.init(params), params)
    np.testing.assert_allclose(updates["kernel"], [-0.1 / np.sqrt(0.05), 0.1 / np.sqrt(0.05)], rtol=1e-4)


def test_gradients_are_clipped_by_element():
    optimizer = make_optimizer(_config("sgd", learning_rate=1.0, clip=5.0), 1, 1)
    params = {"kernel": jnp.zeros(3)}
    updates, _ = optimizer.tx.update({"kernel": jnp.asarray([7.0, -2.0, -70.0])}, optimizer.tx.init(params), params)
    np.testing.assert_allclose(updates["kernel"], [-5.0, 2.0, 5.0])


def test_the_learning_rate_can_be_set_and_read():
    optimizer = make_optimizer(_config("sgd", learning_rate=0.5), 1, 1)
    params = {"kernel": jnp.zeros(1)}
    state = optimizer.tx.init(params)
    assert float(optimizer.learning_rate(state)) == 0.5
    state = optimizer.set_learning_rate(state, 0.25)
    updates, state = optimizer.tx.update({"kernel": jnp.ones(1)}, state, params)
    assert float(updates["kernel"][0]) == -0.25
    assert float(optimizer.learning_rate(state)) == 0.25


@pytest.mark.parametrize("name", ["adamw", "lion", "lamb", "sgd", "rmsprop", "adafactor", "muon"])
def test_optax_optimizers_go_by_name_and_lower_a_loss(name):
    optimizer = make_optimizer(_config(name), 1, 1)
    end = _trajectory(optimizer, lambda step: 0.01, steps=20)
    assert np.square(end["fc"]["kernel"]).sum() < np.square(_start()["fc"]["kernel"]).sum()


def test_every_listed_optimizer_can_be_made():
    ours = {"caffe_sgd": _CAFFE, "torch_rmsprop": "decay=0.95, eps=1e-8, momentum=0.9"}
    assert {"adam", "adamw", "sgd", "lion", "lamb", "muon"} < set(optimizer_names())
    for name in optimizer_names():
        make_optimizer(_config(name, ours.get(name, "")), 1, 1)


def test_arguments_reach_the_optimizer_and_go_before_the_sub_dict():
    params, gradient = {"kernel": jnp.zeros(1)}, {"kernel": jnp.ones(1)}

    def second_step(config):
        optimizer = make_optimizer(config, 1, 1)
        _, state = optimizer.tx.update(gradient, optimizer.tx.init(params), params)
        updates, _ = optimizer.tx.update(gradient, state, params)
        return float(updates["kernel"][0])

    assert second_step(_config("sgd", "momentum=0.5", 1.0)) == pytest.approx(-1.5)
    assert second_step(_config("sgd", "momentum=0.5, nesterov=True", 1.0)) == pytest.approx(-1.75)
    caffe = {"momentum": 0.9, "weight_decay": 0.0, "bias_multiplier": 2.0}
    assert second_step(_config("caffe_sgd", "", 1.0, caffe_sgd=caffe)) == pytest.approx(-1.9)
    assert second_step(_config("caffe_sgd", "momentum=0.25", 1.0, caffe_sgd=caffe)) == pytest.approx(-1.25)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (_config("adamm"), "unknown optimizer 'adamm'; choose from caffe_sgd, torch_rmsprop, .*adamw"),
        (_config("chain"), "unknown optimizer 'chain'"),
        (_config("adam", "b3=0.1"), "optimizer adam has no argument 'b3'; its arguments are: b1, b2, eps"),
        (_config("adam", "learning_rate=0.1"), "has no argument 'learning_rate'"),
        (_config("adam", "b1='x'"), "argument b1 is 'x', expected a number"),
        (_config("adam", "b1=True"), "argument b1 is True, expected a number"),
        (_config("adam", "nesterov=1"), "argument nesterov is 1, expected True or False"),
        (_config("adamw", "mask=3"), "argument mask is 3"),
        (_config("sgd", "momentum='a'"), "expected a number or None"),
        (_config("adam", "0.9"), "cannot read arguments '0.9'"),
        (_config("adam", "b1=0.9) or f("), "cannot read arguments"),
        (_config("adam", "b1=open('x')"), "cannot read arguments"),
        (_config("adam", "**{'b1': 0.9}"), "cannot read arguments"),
        (_config("caffe_sgd", "momentum=0.9"), "needs weight_decay, bias_multiplier"),
        (_config("lbfgs"), "fails on an update from gradients, state and parameters alone"),
        (_config("adam", learning_rate=0.0), "learning_rate is 0.0; give a positive number"),
        (_config("adam", clip=-1.0), "clip is -1.0"),
        (
            _config(schedule="cosine"),
            "unknown schedule 'cosine'; choose from constant, per_epoch, cosine_decay_schedule",
        ),
        (_config(schedule="per_epoch"), "schedule per_epoch needs factor; its arguments are: factor, start"),
        (_config(schedule="constant", schedule_arguments="factor=1"), "has no argument 'factor'"),
        (_config(schedule="cosine_decay_schedule", schedule_arguments="alpha='a'"), "argument alpha is 'a'"),
        (_config(schedule="exponential_decay"), "needs decay_rate"),
    ],
)
def test_a_mistake_in_the_config_is_one_clear_line(config, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_optimizer(config, 10, 100)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (_config("adamm"), "config.cnn.optimizer: unknown optimizer 'adamm'"),
        (_config("adam", "b3=0.1"), "config.cnn.optimizer: optimizer adam has no argument 'b3'"),
        (_config(learning_rate=-1.0), "config.cnn.optimizer: learning_rate is -1.0"),
        (_config(clip=-1.0), "config.cnn.optimizer: clip is -1.0"),
        (_config(schedule="cosine"), "config.cnn.optimizer: unknown schedule 'cosine'"),
        (_config(schedule="exponential_decay"), "config.cnn.optimizer: schedule exponential_decay needs decay_rate"),
    ],
)
def test_a_mistake_is_named_with_its_config(config, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        make_optimizer(config, 10, 100, subject="config.cnn.optimizer")


def test_a_warm_up_has_to_fit_into_the_training():
    config = _config(schedule="warmup_cosine_decay_schedule", schedule_arguments="warmup_steps=20")
    assert float(make_optimizer(config, 10, 100).schedule(20)) == pytest.approx(1e-3)
    message = "warmup_cosine_decay_schedule: warmup_steps is 20, and the training takes 10 steps; give fewer"
    with pytest.raises(ConfigError, match=message):
        make_optimizer(config, 10, 10)


def test_rate_per_epoch_is_constant_within_an_epoch():
    schedule = make_optimizer(
        _config(learning_rate=1.0, schedule="per_epoch", schedule_arguments="factor=0.97"), 10, 100
    ).schedule
    rates = [float(schedule(step)) for step in (0, 9, 10, 19, 20, 95)]
    np.testing.assert_allclose(rates, [1, 1, 0.97, 0.97, 0.97**2, 0.97**9], rtol=1e-6)
    late = make_optimizer(
        _config(learning_rate=1.0, schedule="per_epoch", schedule_arguments="factor=0.5, start=2"), 10, 100
    ).schedule
    assert [float(late(step)) for step in (0, 29, 30, 40)] == [1.0, 1.0, 0.5, 0.25]
    assert float(jax.jit(late)(40)) == 0.25


def test_optax_schedules_take_the_rate_and_the_length_of_the_training():
    def rates(name, arguments, steps):
        schedule = make_optimizer(
            _config(learning_rate=2.0, schedule=name, schedule_arguments=arguments), 10, 100
        ).schedule
        return [float(schedule(step)) for step in steps]

    assert rates("cosine_decay_schedule", "", (0, 50, 100)) == pytest.approx([2.0, 1.0, 0.0], abs=1e-6)
    assert rates("cosine_decay_schedule", "decay_steps=50", (50,)) == pytest.approx([0.0], abs=1e-6)
    warm = rates("warmup_cosine_decay_schedule", "warmup_steps=20", (0, 10, 20, 100))
    assert warm == pytest.approx([0.0, 1.0, 2.0, 0.0], abs=1e-6)
    assert rates("linear_schedule", "end_value=0.0", (0, 25)) == pytest.approx([2.0, 1.5])
    assert rates("linear_schedule", "init_value=4.0, end_value=0.0", (0,)) == pytest.approx([4.0])
    assert rates("piecewise_constant_schedule", "boundaries_and_scales={40: 0.1}", (40, 41)) == pytest.approx(
        [0.2, 0.2]
    )
    assert "warmup_cosine_decay_schedule" in schedule_names()
