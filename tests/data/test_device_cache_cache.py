"""What is kept in memory is measured first."""

import numpy as np
import pytest

from au_jax.data import device_cache
from au_jax.errors import UserError

GIB = 2**30


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
        UserError, match=r"cache host needs 8\.38 GiB on the host .* of which 10\.00 GiB are free.*none$"
    ):
        device_cache.check_room("host", 75_000, 200, devices=1)
    free(host=12, device=None)
    device_cache.check_room("host", 75_000, 200, devices=1)


def test_on_cpus_every_device_and_the_reading_take_the_hosts_memory(free):
    free(host=30, device=None)
    with pytest.raises(UserError, match=r"cache device needs 25\.15 GiB on the host.*host or none"):
        device_cache.check_room("device", 75_000, 200, devices=2)


def test_an_accelerator_needs_room_for_one_copy_whatever_the_number_of_devices(free):
    free(host=10, device=16)
    with pytest.raises(UserError, match="on the host"):
        device_cache.check_room("device", 75_000, 200, devices=1)
    free(host=40, device=16)
    device_cache.check_room("device", 75_000, 200, devices=8)
    free(host=40, device=10)
    with pytest.raises(UserError, match=r"8\.38 GiB on an accelerator"):
        device_cache.check_room("device", 75_000, 200, devices=8)


def test_crops_are_cut_and_mirrored():
    held = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)
    out = device_cache.crops(held, 2, np.array([1, 0]), np.array([[1, 0], [0, 1]]), np.array([False, True]))
    np.testing.assert_array_equal(out[0], held[1, 1:, :2])
    np.testing.assert_array_equal(out[1], held[0, :2, [2, 1]].transpose(1, 0, 2))


def test_frames_are_collected_without_the_padding():
    parts = [{"image": np.full((2, 1, 1, 3), 7, np.uint8), "mask": np.array([1.0, 0.0])}] * 2
    assert device_cache.collect(2, 1, iter(parts)).shape == (2, 1, 1, 3)
    with pytest.raises(RuntimeError, match="2 frames were read where there are 3"):
        device_cache.collect(3, 1, iter(parts))
