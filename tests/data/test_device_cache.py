"""Frames in the accelerator's memory: room for them, every frame once, crops and flips of the right distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.data import device_cache
from au_jax.errors import ConfigError

SIZE, CROP = 6, 4
GIB = 2**30


@pytest.fixture(scope="module")
def constants():
    """Forty frames of which no two pixels are alike, 30 of them usable; an epoch's order and key."""
    frames = np.arange(40 * SIZE * SIZE * 3, dtype=np.int64).reshape(40, SIZE, SIZE, 3)
    usable = np.arange(40) % 4 != 1
    key = device_cache.epoch_key(3, 0)
    return {
        "frames": jnp.asarray(frames, jnp.int32),
        "labels": jnp.asarray(np.arange(40)[:, None] * np.ones(12), jnp.int8),
        "order": device_cache.shuffled(key, jnp.asarray(usable), 44),
        "key": key,
    }


def augment(constants, numbers):
    batch = {"number": jnp.asarray(numbers, jnp.int32), "mask": jnp.ones(len(numbers))}
    rows = jax.vmap(lambda one: device_cache.augmented(constants, one, CROP))(batch)
    return {name: np.asarray(part) for name, part in rows.items()}


def test_an_epoch_has_every_usable_row_once(constants):
    order = np.asarray(constants["order"])
    np.testing.assert_array_equal(np.sort(order[:30]), np.flatnonzero(np.arange(40) % 4 != 1))
    assert (order[:30] != np.sort(order[:30])).any()
    assert order.shape == (44,)


def test_every_order_is_as_likely_as_any_other():
    usable = jnp.asarray([True, False, True, True])
    keys = jax.vmap(lambda epoch: device_cache.epoch_key(0, epoch))(jnp.arange(3000))
    orders = np.asarray(jax.vmap(lambda key: device_cache.shuffled(key, usable, 4))(keys))[:, :3]
    kinds, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(kinds) == 6
    # Binomial with n 3000 and p 1/6: mean 500, standard deviation 20.
    assert np.abs(counts - 500).max() < 90


def test_order_crops_and_flips_follow_from_seed_and_epoch():
    usable = jnp.ones(40, bool)

    def order(seed, epoch):
        return np.asarray(device_cache.shuffled(device_cache.epoch_key(seed, epoch), usable, 40))

    np.testing.assert_array_equal(order(1, 2), order(1, 2))
    assert (order(1, 2) != order(1, 3)).any() and (order(1, 2) != order(2, 2)).any()


def test_crops_lie_where_the_offset_says_and_flips_mirror(constants):
    rows = augment(constants, range(30))
    assert rows["flip"].any() and not rows["flip"].all()
    for number in range(30):
        source = int(constants["order"][number])
        y, x = rows["offset"][number]
        expected = np.asarray(constants["frames"])[source, y : y + CROP, x : x + CROP]
        expected = expected[:, ::-1] if rows["flip"][number] else expected
        np.testing.assert_array_equal(rows["image"][number], expected)
        assert (rows["labels"][number] == source).all()


def test_crops_are_uniform_over_all_places_and_half_are_mirrored(constants):
    many = {**constants, "order": jnp.zeros(9000, jnp.int32)}
    rows = augment(many, range(9000))
    places, counts = np.unique(rows["offset"], axis=0, return_counts=True)
    # Three places each way. Binomial with n 9000 and p 1/9: mean 1000, standard deviation 30.
    np.testing.assert_array_equal(places, [(y, x) for y in range(3) for x in range(3)])
    assert np.abs(counts - 1000).max() < 130
    assert abs(rows["flip"].mean() - 0.5) < 0.03
    # No connection between place and side.
    assert abs(np.corrcoef(rows["offset"][:, 0], rows["flip"])[0, 1]) < 0.05


def test_the_last_batch_is_masked_behind_the_last_frame():
    batches = list(device_cache.number_batches(10, 4))
    np.testing.assert_array_equal(np.concatenate([batch["number"] for batch in batches]), np.arange(12))
    np.testing.assert_array_equal(batches[-1]["mask"], [1, 1, 0, 0])
    assert all(batch["mask"].all() for batch in batches[:-1])


@pytest.fixture
def free(monkeypatch):
    def set_free(host, device):
        monkeypatch.setattr(device_cache, "free_on_host", lambda: int(host * GIB))
        monkeypatch.setattr(device_cache, "free_on_device", lambda: device and int(device * GIB))

    return set_free


def test_a_cache_that_does_not_fit_is_refused_with_both_sizes(free):
    free(host=10, device=None)
    # 75,000 frames of 200 x 200 x 3 bytes are 8.38 GiB.
    with pytest.raises(
        ConfigError, match=r"cache host needs 8\.38 GiB on the host .* of which 10\.00 GiB are free.*none$"
    ):
        device_cache.check_room("host", 75_000, 200, devices=1)
    free(host=12, device=None)
    device_cache.check_room("host", 75_000, 200, devices=1)


def test_on_cpus_every_device_and_the_reading_take_the_hosts_memory(free):
    free(host=30, device=None)
    with pytest.raises(ConfigError, match=r"cache device needs 25\.15 GiB on the host.*host or none"):
        device_cache.check_room("device", 75_000, 200, devices=2)


def test_an_accelerator_needs_room_for_one_copy_whatever_the_number_of_devices(free):
    free(host=10, device=16)
    with pytest.raises(ConfigError, match="on the host"):
        device_cache.check_room("device", 75_000, 200, devices=1)
    free(host=40, device=16)
    device_cache.check_room("device", 75_000, 200, devices=8)
    free(host=40, device=10)
    with pytest.raises(ConfigError, match=r"8\.38 GiB on an accelerator"):
        device_cache.check_room("device", 75_000, 200, devices=8)


def test_frames_are_collected_without_the_padding():
    parts = [{"image": np.full((2, 1, 1, 3), 7, np.uint8), "mask": np.array([1.0, 0.0])}] * 2
    assert device_cache.collect_frames(2, 1, iter(parts)).shape == (2, 1, 1, 3)
    with pytest.raises(RuntimeError, match="2 frames were read where there are 3"):
        device_cache.collect_frames(3, 1, iter(parts))
