"""Folders of raw recordings: order of names, kinds of files, and links that lead elsewhere."""

import os

from au_jax.data.readers.layout import Tree, is_picture, is_video, natural


def test_names_sort_by_their_numbers():
    assert sorted(["T10", "T2", "S1", "T1b"], key=natural) == ["S1", "T1b", "T2", "T10"]


def test_files_are_known_by_their_suffix():
    assert [is_video(name) for name in ("a.MP4", "a.mkv", "a.dv", "a.jpg", "mp4")] == [True, True, True, False, False]
    assert [is_picture(name) for name in ("1.JPG", "1.png", ".1.jpg", "1.bmp", "1.gif")] == [
        True,
        True,
        False,
        True,
        False,
    ]


def test_a_tree_lists_without_hidden_entries_and_never_leaves_its_root(tmp_path):
    root = tmp_path / "raw"
    for folder in ("raw/T10", "raw/T2", "raw/.hidden", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.jpg").touch()
    os.symlink(tmp_path / "elsewhere", root / "T3")
    tree = Tree(root)
    assert [path.name for path in tree.folders(root)] == ["T2", "T10"]
    assert [path.relative_to(root).as_posix() for path in tree.files(root)] == ["T2/1.jpg", "T10/1.jpg"]
    assert {(problem.kind, problem.path) for problem in tree.problems} == {("link that leads out", str(root / "T3"))}
    os.symlink(tmp_path / "elsewhere/1.jpg", root / "T2/2.jpg")
    assert tree.links_out(root / "T2") and not tree.links_out(root / "T10") and tree.has_pictures(root / "T2")
