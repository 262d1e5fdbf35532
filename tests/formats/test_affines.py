"""Affines that are used, used with a warning, or rejected."""

import itertools
import shlex
from contextlib import nullcontext

import nibabel
import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.formats.affines import OBLIQUE_DEGREES, examine
from tests.core.test_grid import CODES, affine_of

SHAPE = (40, 50, 30)
NOWHERE = np.full((4, 4), np.nan)


def judged(sform, sform_code=1, qform=NOWHERE, qform_code=0, **others_mm):
    return examine("case/t1.nii.gz", SHAPE, sform, sform_code, qform, qform_code, others_mm)


@pytest.mark.parametrize("codes", CODES)
def test_every_orientation_left_or_right_handed_passes_without_a_warning(codes):
    affine = affine_of(codes, turn_degrees=20)
    assert judged(affine, 1, affine, 1) == ()


@pytest.mark.parametrize(
    ("place", "wrong", "message"),
    [
        ((0, 3), np.inf, r"(?s)case/t1\.nii\.gz: its sform holds NaN or infinite.*set_sform"),
        ((1, 1), 0, "gives an axis no length"),
        ((3, 3), 2, "last row"),
    ],
)
def test_an_unusable_affine_is_rejected(place, wrong, message):
    affine = np.eye(4)
    affine[place] = wrong
    with pytest.raises(InputError, match=message):
        judged(affine)


@pytest.mark.parametrize(("degrees", "rejected"), [(0.3, False), (1.0, True), (15.0, True)])
def test_sheared_axes_are_rejected_beyond_rounding(degrees, rejected):
    affine = np.eye(4)
    affine[1, 2] = np.tan(np.deg2rad(degrees))  # a gantry tilt: the third axis leans
    said = rf"axes Y and Z meet at {90 - degrees:.2f} degrees"
    with pytest.raises(InputError, match=said) if rejected else nullcontext():
        judged(affine)


def test_the_qform_counts_where_there_is_no_sform():
    sheared = np.eye(4)
    sheared[1, 2] = 1
    assert judged(sheared, 0, np.eye(4), 1) == ()
    with pytest.raises(InputError, match="its qform is sheared"):
        judged(NOWHERE, 0, sheared, 1)
    assert "the qform is not finite" in judged(np.eye(4), 1, NOWHERE, 1)[0]


def test_a_disagreement_prints_both_and_a_command_that_fixes_the_file(tmp_path, monkeypatch):
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), np.eye(4))
    image.set_sform(affine_of("LPS"), 1)
    image.set_qform(np.eye(4), 1)
    folder = tmp_path / """it's "here" $HOME"""
    folder.mkdir()
    nibabel.save(image, folder / "t1.nii.gz")
    name = str(folder / "t1.nii.gz")
    (warning,) = examine(name, SHAPE, *image.get_sform(coded=True), *image.get_qform(coded=True))
    assert "sform (code 1) and qform (code 1) put the same voxel up to " in warning
    assert all(str(form) in warning for form in (image.get_sform(), image.get_qform()))
    monkeypatch.chdir(tmp_path)
    exec(shlex.split(warning.splitlines()[-1])[2])
    fixed = nibabel.load(tmp_path / "fixed-t1.nii.gz")
    np.testing.assert_allclose(fixed.get_qform(), affine_of("LPS"), atol=1e-4)


def test_what_nibabel_writes_agrees_with_itself():
    for codes, degrees in itertools.product(("RAS", "LPS", "SLP"), (0, 7.3, 21)):
        affine = affine_of(codes, (0.9375, 1.1, 5.5), degrees)
        image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), affine)
        image.set_qform(affine, 1)
        image.set_sform(affine, 1)
        assert examine("x", SHAPE, *image.get_sform(coded=True), *image.get_qform(coded=True)) == ()


def test_a_strong_tilt_gives_a_warning_and_a_slight_one_does_not():
    assert judged(affine_of("RAS", turn_degrees=OBLIQUE_DEGREES / 2)) == ()
    (warning,) = judged(affine_of("RAS", turn_degrees=50))
    assert "degrees off the nearest anatomical axis" in warning


def test_spacings_that_contradict_each_other_give_a_warning_with_both_and_which_is_used():
    affine = affine_of("LPS", (1, 1, 1))
    (warning,) = judged(affine, pixdim=(1, 1, 3))
    assert "its sform gives voxels of 1 x 1 x 1 mm, its pixdim 1 x 1 x 3 mm; the" in warning
    (warning,) = judged(NOWHERE, 0, affine, 1, **{"sform (code 0)": (1, 2, 1)})
    assert "its qform gives voxels of 1 x 1 x 1 mm, its sform (code 0) 1 x 2 x 1 mm" in warning
    assert "the qform is used" in warning
    assert judged(affine, pixdim=(1.001, 1, 0.999)) == ()


@pytest.mark.parametrize(
    ("edge", "said"),
    [(0.001, True), (0.09, True), (0.3, False), (8, False), (21, True), (1000, True)],
)
def test_voxels_that_no_scanner_makes_give_a_warning(edge, said):
    message = "mm large, which no scanner of heads makes"
    warnings = judged(affine_of("LPS", (edge, edge, edge)))
    assert any(message in warning for warning in warnings) == said
