"""Files of a run are written whole or not at all, and read without executing anything."""

import errno
import io
import json
import os
import tracemalloc
import zipfile

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import DataError, UserError


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


def header(descr="<f8", shape=(3,)):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


STRANGE = {
    "more values than it has": {"a.npy": header(shape=(1 << 45,))},
    "a number of values beyond 64 bits": {"a.npy": header(shape=(1 << 70,))},
    "fewer values than it has": {"a.npy": header(shape=(1,)) + bytes(16)},
    "a negative number of values": {"a.npy": header(shape=(-1,)) + bytes(8)},
    "a header of parentheses": {"a.npy": b"\x93NUMPY\x01\x00v\x00" + b"(" * 118},
    "a header that never ends": {"a.npy": b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535},
    "another entry": {"readme.txt": b"hello"},
    "another version": {"a.npy": b"\x93NUMPY\x09\x00" + header()[8:] + bytes(24)},
    "records": {"a.npy": header([("x", "<f8")]) + bytes(24)},
    "values of no size": {"a.npy": header("<U0")},
    "nothing in an entry": {"a.npy": b""},
}


@pytest.mark.parametrize("kind", STRANGE)
def test_an_npz_that_states_what_it_has_not_is_one_line(tmp_path, kind):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in STRANGE[kind].items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match=r"a\.npz is damaged") as caught:
        files.read_npz(path)
    assert "\n" not in str(caught.value)


def test_compressed_entries_are_refused_without_being_inflated(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, a=np.zeros(1 << 25, np.uint8))
    assert path.stat().st_size < 1 << 16
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="compressed"):
            files.read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_entry_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as archive:
        for _ in range(2):
            archive.writestr("a.npy", header(shape=(0,)))
    with pytest.raises(UserError, match="comes twice"):
        files.read_npz(path)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 12), np.float32), np.array(3.5), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(["a", "bc"]),
     np.array([True]), np.arange(3, dtype=">i2")],
)  # fmt: skip
def test_arrays_of_any_shape_come_back_and_can_be_written_to(tmp_path, array):
    files.write_npz(tmp_path / "a.npz", {"a": array})
    back = files.read_npz(tmp_path / "a.npz")["a"]
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype and back.flags.writeable


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}", "\x00", '{"a": 1} 2', "nul"])
def test_json_that_cannot_be_read_is_one_line(tmp_path, text):
    (tmp_path / "costs.json").write_text(text)
    with pytest.raises(UserError, match=r"costs\.json is damaged") as caught:
        files.read_json(tmp_path / "costs.json")
    assert "\n" not in str(caught.value)


def test_json_larger_than_any_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_LONGEST_JSON", 1 << 20)
    (tmp_path / "a.json").write_text('"' + "x" * (1 << 20) + '"')
    with pytest.raises(UserError, match="more than 1 MiB"):
        files.read_json(tmp_path / "a.json")


def test_sealed_json_comes_back_without_its_seal_and_every_change_is_seen(tmp_path):
    path, value = tmp_path / "fold_00" / "anet" / "finished.json", {"best_epoch": 13, "f1": 0.5}
    files.write_json(path, value, seal=True)
    assert files.read_json(path) == value
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 7
        path.write_bytes(changed)
        try:
            # What is left are blanks: a seal under another name does not make a file that was never sealed.
            assert files.read_json(path) == value
        except UserError as error:
            assert "finished.json is damaged" in str(error)
    other = tmp_path / "fold_01" / "anet" / "finished.json"
    other.parent.mkdir(parents=True)
    other.write_bytes(content)
    with pytest.raises(UserError, match="place has changed"):
        files.read_json(other)
    (tmp_path / "copy.json").write_bytes(content)
    with pytest.raises(UserError, match="place has changed"):
        files.read_json(tmp_path / "copy.json")


def test_an_array_file_of_another_fold_is_named_and_not_deleted(tmp_path):
    here, there = (tmp_path / fold / "anet" / "mean.npz" for fold in ("fold_00", "fold_01"))
    files.write_npz(there, {"mean": np.zeros(3)})
    here.parent.mkdir(parents=True)
    here.write_bytes(there.read_bytes())
    for read in (files.read_npz, files.is_whole_npz):
        with pytest.raises(
            UserError, match=r"fold_00/anet/mean\.npz is the file fold_01/anet/mean\.npz of a run; put it back"
        ):
            read(here)
    assert here.exists() and files.is_whole_npz(there)
    # Elsewhere it is just a file, and a run may be called as one likes.
    (tmp_path / "mean.npz").write_bytes(there.read_bytes())
    assert list(files.read_npz(tmp_path / "mean.npz")) == ["mean"]
    (tmp_path / "fold_01").rename(tmp_path / "x")
    (tmp_path / "run").mkdir()
    (tmp_path / "x").rename(tmp_path / "run" / "fold_01")
    assert files.is_whole_npz(tmp_path / "run/fold_01/anet/mean.npz")


def test_lines_are_added_and_one_that_was_cut_short_stays_its_own(tmp_path):
    path = tmp_path / "metrics.jsonl"
    files.append_line(path, '{"a": 1}')
    files.append_line(path, '{"a": 2}')
    with open(path, "ab") as stream:
        stream.write(b'{"a": ')
    files.append_line(path, '{"a": 3}')
    lines = path.read_text().splitlines()
    assert [json.loads(line)["a"] for line in (lines[0], lines[1], lines[3])] == [1, 2, 3] and len(lines) == 4


def test_a_sealed_file_under_the_name_of_another_is_refused_and_one_of_an_earlier_version_is_read(tmp_path):
    config, costs = tmp_path / "config.json", tmp_path / "costs.json"
    for path in (config, costs):
        files.write_json(path, {"written as": path.name}, seal=True)
    content = costs.read_bytes()
    costs.write_bytes(config.read_bytes())
    with pytest.raises(DataError, match=r"costs\.json is damaged \(its content or its place has changed\)"):
        files.read_json(costs)
    costs.write_bytes(content)
    assert files.read_json(costs, sealed=True) == {"written as": "costs.json"}
    value = {"seed": 0}
    files.write_json(config, {**value, "sha256": files.checksum(["", value])})
    assert files.read_json(config, sealed=True) == value
