"""Files are found through links, under any case of their ending, and in folders named so."""

import pytest

from pipeline.core.errors import InputError
from pipeline.formats.walking import files_below, folders_below, of_one_file, pattern_expression


def touched(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_files_are_found_through_links_to_folders_and_files(tmp_path):
    away = touched(tmp_path / "away/case/a.nii.gz")
    (tmp_path / "here/cases").mkdir(parents=True)
    (tmp_path / "here/cases/one").symlink_to(away.parent)
    (tmp_path / "here/file.nii").symlink_to(away)
    assert files_below(tmp_path / "here") == [
        tmp_path / "here/cases/one/a.nii.gz",
        tmp_path / "here/file.nii",
    ]
    folders = [tmp_path / "here/cases", tmp_path / "here/cases/one"]
    assert folders_below(tmp_path / "here") == folders
    (tmp_path / "there").symlink_to(tmp_path / "here")
    assert len(files_below(tmp_path / "there")) == 2
    # a folder that is linked twice is two, since its name may name a case
    (tmp_path / "here/cases/two").symlink_to(away.parent)
    names = [path.parent.name for path in files_below(tmp_path / "here/cases")]
    assert names == ["one", "two"]


def test_a_loop_of_links_ends(tmp_path):
    touched(tmp_path / "a/b/x.nii")
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "a/b/self").symlink_to(tmp_path / "a/b")
    (tmp_path / "a/c").mkdir()
    (tmp_path / "a/c/cross").symlink_to(tmp_path / "a/b")
    (tmp_path / "a/b/cross").symlink_to(tmp_path / "a/c")
    assert files_below(tmp_path / "a") == [tmp_path / "a/b/x.nii", tmp_path / "a/c/cross/x.nii"]


def test_folders_that_all_link_to_each_other_are_rejected_before_they_explode(tmp_path):
    names = [f"{number:02d}" for number in range(30)]
    for name in names:
        touched(tmp_path / name / "x.nii")
    for name in names:
        for other in names:
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    message = r"lies behind more than 4 links to folders\. Remove links that lead to each other"
    with pytest.raises(InputError, match=message):
        files_below(tmp_path)


def test_what_is_hidden_is_left_out_and_a_link_to_nothing_is_listed(tmp_path):
    touched(tmp_path / ".cache/x.nii")
    touched(tmp_path / "._x.nii")
    (tmp_path / "broken.nii").symlink_to(tmp_path / "nothing")
    assert files_below(tmp_path) == [tmp_path / "broken.nii"]


def test_a_folder_made_of_a_file_stands_for_it(tmp_path):
    inner = touched(tmp_path / "C_t1.nii/0057_brain_t1.nii")
    touched(tmp_path / "C_t2.nii/notes.txt")
    both = [touched(tmp_path / f"C.NII.GZ/{name}.nii.gz") for name in "ab"]
    assert files_below(tmp_path) == [*both, tmp_path / "C_t1.nii", tmp_path / "C_t2.nii/notes.txt"]
    assert of_one_file(tmp_path / "C_t1.nii") == inner
    for other in (tmp_path / "C_t2.nii", tmp_path / "C.NII.GZ", inner, tmp_path / "nothing.nii"):
        assert of_one_file(other) == other


def test_only_the_ending_of_a_pattern_may_be_in_capitals():
    names = ["a.b_t1.nii.gz", "a.b_t1.NII.GZ", "a.b_T1.nii.gz", "axb_t1.nii.gz"]
    expression = pattern_expression("a.b_t1.nii.gz", {})
    assert [name for name in names if expression.fullmatch(name)] == names[:2]
