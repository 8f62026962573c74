"""Files of a run are written whole or not at all, and read without executing anything."""

import errno
import os

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import UserError


def test_arrays_come_back_and_equal_content_gives_equal_bytes(tmp_path):
    arrays = {"F001/T1/scores": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([1], np.int8)}
    files.write_npz(tmp_path / "a.npz", arrays)
    files.write_npz(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = files.read_npz(tmp_path / "a.npz")
    assert list(back) == list(arrays)
    np.testing.assert_array_equal(back["F001/T1/scores"], arrays["F001/T1/scores"])


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_truncated_npz_is_named(tmp_path, keep):
    path = tmp_path / "scores.npz"
    files.write_npz(path, {"a": np.zeros(100)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"scores\.npz is damaged"):
        files.read_npz(path)


def test_every_changed_byte_of_an_npz_is_seen(tmp_path):
    arrays = {f"F{n:03d}/T1/scores": np.arange(12.0).reshape(1, 12) + n for n in range(3)}
    files.write_npz(tmp_path / "a.npz", arrays)
    content, path = (tmp_path / "a.npz").read_bytes(), tmp_path / "scores.npz"
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            back = files.read_npz(path)
        except UserError as error:
            assert "scores.npz is damaged" in str(error)
            continue
        # A checksum that is no longer one belongs to content that is whole.
        assert place >= len(content) - 64
        assert all((back[name] == array).all() for name, array in arrays.items())


def test_an_npz_of_numpys_own_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(3))
    np.testing.assert_array_equal(files.read_npz(tmp_path / "a.npz")["a"], np.arange(3))


def test_a_damaged_npz_is_deleted_and_told_of(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(files.logging, "warning", lambda text, *rest: told.append(text % rest))
    path = tmp_path / "model.npz"
    assert not files.is_whole_npz(path)
    files.write_npz(path, {"a": np.zeros(100)})
    assert files.is_whole_npz(path) and told == []
    path.write_bytes(path.read_bytes()[:200])
    assert not files.is_whole_npz(path) and not path.exists()
    assert "model.npz is damaged" in told[0] and "it is made again" in told[0]


def test_pickled_objects_are_refused(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, a=np.array([{"b": 1}], dtype=object))
    with pytest.raises(UserError, match="damaged"):
        files.read_npz(path)


def test_a_failed_write_keeps_the_old_file_and_leaves_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    files.write_json(path, {"a": 1})

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"results\.json"):
        files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


def test_nan_is_written_as_null(tmp_path):
    files.write_json(tmp_path / "x.json", {"a": [float("nan"), np.float32(0.5), np.int64(3)], 1: np.array([np.inf])})
    assert files.read_json(tmp_path / "x.json") == {"a": [None, 0.5, 3], "1": [None]}


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"a": ')
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        files.read_json(tmp_path / "config.json")


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    with files.locked(tmp_path), pytest.raises(UserError, match="in use"), files.locked(tmp_path):
        raise AssertionError
    with files.locked(tmp_path):
        pass


def test_checksums_do_not_depend_on_the_order_of_keys():
    assert files.checksum({"a": 1, "b": [2]}) == files.checksum({"b": [2], "a": 1})
    assert files.checksum({"a": 1}) != files.checksum({"a": 2})
