"""The memory that a cache may take is what is free."""

import types

from au_jax.data import device_cache

MIB = 2**20


class Device:
    """An accelerator whose use of memory is set by hand."""

    def __init__(self, used):
        self.used = used

    def memory_stats(self):
        return {"bytes_in_use": self.used * MIB, "peak_bytes_in_use": 400 * MIB, "bytes_limit": 1000 * MIB}


def test_free_memory_is_that_of_the_fullest_device_and_unknown_on_cpus(monkeypatch):
    both = [Device(100), Device(300)]
    with monkeypatch.context() as patch:
        patch.setattr(device_cache, "jax", types.SimpleNamespace(local_devices=lambda: both))
        assert device_cache.free_on_device() == 700 * MIB
    assert device_cache.free_on_device() is None
    assert device_cache.free_on_host() > 64 * MIB
