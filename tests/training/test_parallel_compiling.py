"""A stage compiles once, and a second start reads what the first has compiled."""

from collections import Counter

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from au_jax.training import parallel
from au_jax.training.optimizers import make_optimizer
from au_jax.training.trainer import Plateau, TrainSpec, train

pytestmark = pytest.mark.optax

HIT, MISS = "/jax/compilation_cache/cache_hits", "/jax/compilation_cache/cache_misses"

seen: Counter[str] = Counter()
jax.monitoring.register_event_listener(lambda event, **more: seen.update([event]))


def loss(params, constants, example, key):
    error = jnp.sum(example["x"] * params["w"]) - constants["shift"]
    return error**2 * example["mask"], example["mask"]


def batches(epoch):
    for number in range(3):
        yield {"x": np.full((5, 3), epoch + number, np.float32), "mask": np.ones(5, np.float32)}


def test_a_stage_compiles_its_step_and_its_forward_pass_once(tmp_path, caplog):
    optimizer = ml_collections.ConfigDict(
        {"name": "adam", "learning_rate": 0.1, "arguments": "", "clip": 1.0}
        | {"schedule": {"name": "constant", "arguments": ""}}
    )
    forward = parallel.make_forward(lambda params, batch: batch["x"] @ params["w"])
    stage = TrainSpec(
        name="toy",
        directory=tmp_path,
        init=lambda key: {"w": jnp.zeros(3)},
        loss=loss,
        constants={"shift": np.float32(1.0)},
        batches=batches,
        steps_per_epoch=3,
        epochs=4,
        optimizer=make_optimizer(optimizer, 3, 12),
        validate=lambda params: {"loss": float(forward(params, {"x": np.ones((4, 3), np.float32)}).sum())},
        monitor="loss",
        maximise=False,
        patience=0,
        plateau=Plateau(0.5, 2, 1e-3),
        seed=0,
    )
    networks = []

    def note(*row):
        # The programs of pmap; the rest is arithmetic on single numbers.
        networks.append(sum("Compiling jit(_fun)" in message for message in caplog.messages))

    with jax.log_compiles():
        train(stage, note)
    # The step and the forward pass of the validation, in the first of four epochs.
    assert networks == [2, 2, 2, 2]


@pytest.fixture
def config(tmp_path):
    """A cache of its own, for this test only."""
    before = {
        name: getattr(jax.config, name)
        for name in ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    }
    compilation_cache.reset_cache()
    yield ml_collections.ConfigDict({"compiled": "", "data": {"directory": str(tmp_path / "data")}})
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def test_a_second_start_finds_the_first_ones_programs(config):
    folder = parallel.keep_compiled(config)

    def start():
        seen.clear()
        tx = optax.sgd(0.1)
        params = {"w": jnp.ones(3)}
        batch = parallel.shard(next(batches(1)))
        # Made anew, as by a new process: nothing of it is in memory.
        step = parallel.make_train_step(loss, tx)
        params, _, _ = step(params, tx.init(params), {"shift": jnp.float32(1.0)}, batch, jax.random.key(0))
        return seen[HIT], seen[MISS], np.asarray(params["w"])

    hits, misses, first = start()
    assert misses >= 1 and list(folder.iterdir())
    hits, misses, second = start()
    assert hits >= 1 and misses == 0
    np.testing.assert_array_equal(first, second)


def test_compiled_programs_lie_beside_the_data_or_where_the_config_says(config, tmp_path):
    assert parallel.keep_compiled(config) == tmp_path / "data/compiled"
    config.compiled = str(tmp_path / "programs")
    assert parallel.keep_compiled(config) == tmp_path / "programs"
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "programs")
