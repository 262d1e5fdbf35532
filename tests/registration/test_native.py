import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.core.grid import Grid
from pipeline.formats import nifti
from pipeline.formats.template import read_template
from pipeline.registration.mutual_information import Sampled, centre_of_mass_mm, resample
from pipeline.registration.native import (
    BRATS_GRID,
    Native,
    Template,
    align,
    labels_from_series,
    labels_to_series,
    mni_template,
)
from pipeline.registration.params import NativeRecipe
from tests.registration.conftest import (
    RAS_2MM,
    dice,
    error_mm,
    head,
    lps_slices,
    rigid,
    squared_radius,
)

pytestmark = pytest.mark.slow

RECIPE = NativeRecipe(
    enabled=True,
    template_transform="rigid",
    interpolation="linear",
    correct_bias=True,
    extract_brain=True,
)


@pytest.fixture(scope="module")
def template() -> Template:
    """The ellipsoid in T1 contrast, common grid of 2 mm, moved up by 4 mm."""
    t1 = head((300, 400, 500, 600))
    pose = np.eye(4)
    pose[2, 3] = 4.0
    return Template("ellipsoid", t1, pose, Grid((64, 64, 64), RAS_2MM))


def acquired(contrast: tuple[float, ...], true: np.ndarray) -> Sampled:
    """The ellipsoid within a skull and a scalp, in slices of 4 mm, where `true` leads from its
    millimetres to the template's.
    """
    brain, shells = head(contrast), squared_radius() ** 0.5
    outside = np.select([shells < 1.12, shells < 1.25], [15.0, 900.0], 5.0)
    whole = np.where(brain.voxels > 0, brain.voxels, outside).astype(np.float32)
    slices = lps_slices(34, 4.0)
    moved = resample(Sampled(whole, brain.grid), slices, np.linalg.inv(true), "linear")
    return Sampled(moved, slices)


@pytest.fixture(scope="module")
def truths() -> dict[str, np.ndarray]:
    return {"t1n": rigid((5, -3, 6), (4, -5, 3)), "t2f": rigid((-4, 5, 3), (-3, 4, -5))}


@pytest.fixture(scope="module")
def series(truths) -> dict[str, Sampled]:
    return {
        "t1n": acquired((300, 400, 500, 600), truths["t1n"]),
        "t2f": acquired((600, 300, 450, 200), truths["t2f"]),
    }


@pytest.fixture(scope="module")
def aligned(series, template):
    return align(series, template, RECIPE)


def test_series_of_two_poses_are_placed_on_the_template_by_rigid_motions(aligned, truths, template):
    assert aligned.native.reference == "t1n"
    assert Native.model_validate_json(aligned.native.model_dump_json()) == aligned.native
    for modality, true in truths.items():
        matrix = np.array(aligned.native.series[modality].to_template)
        # rigid part of an affine, 4 mm slices
        assert error_mm(matrix, template.pose @ true) < 4.0
        np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-6)


def test_the_brain_is_found_and_all_else_is_zero(aligned, template):
    brain = Sampled(template.brain, template.t1.grid)
    assert dice(aligned.brain, resample(brain, template.grid, template.pose, "nearest")) > 0.93
    for image in aligned.images.values():
        assert not image[~aligned.brain].any()
        assert image.dtype == np.float32


def test_the_record_lists_the_steps_done(series, template, aligned):
    steps = ("register", "rigid to template", "resample linear")
    assert aligned.native.steps == (*steps, "N4", "extract brain")
    bare = RECIPE.model_copy(update={"correct_bias": False, "extract_brain": False})
    assert align({"t1n": series["t1n"]}, template, bare).native.steps == steps


def test_a_mask_drawn_on_thick_slices_returns_to_them_unchanged(aligned, series):
    drawn = np.zeros(series["t2f"].grid.shape, np.uint8)
    drawn[24:40, 24:40, 12:22] = 2
    drawn[28:34, 28:34, 14:20] = 1
    common = labels_from_series(drawn, aligned.native, "t2f")
    returned = labels_to_series(common, aligned.native, "t2f")
    assert returned.dtype == np.uint8
    assert set(np.unique(returned)) == {0, 1, 2}
    assert (returned == drawn)[drawn > 0].mean() > 0.9


def test_an_examination_without_a_known_modality_is_rejected(template):
    with pytest.raises(InputError, match=r"only \['dwi'\]"):
        align({"dwi": head((1, 2, 3, 4))}, template, RECIPE)


def test_a_head_that_would_have_to_shrink_by_a_third_is_rejected(template):
    large = Grid((64, 64, 64), np.diag([1.5, 1.5, 1.5, 1]) @ RAS_2MM)
    with pytest.raises(
        InputError, match=r"t1n: its fit to ellipsoid stretches it by .*extract the brain first"
    ):
        align({"t1n": Sampled(head((300, 400, 500, 600)).voxels, large)}, template, RECIPE)


def test_the_mni_brain_stands_where_brats_brains_stand():
    made = mni_template(read_template("t1"))
    posed = resample(Sampled(made.brain, made.t1.grid), made.grid, made.pose, "nearest")
    np.testing.assert_allclose(centre_of_mass_mm(posed, made.grid), (-118.5, 104, 74), atol=1)
    assert posed.sum() == pytest.approx(made.brain.sum(), rel=0.02)  # all of it fits on the grid


@pytest.mark.real
def test_a_patient_as_acquired_agrees_with_the_copy_that_others_registered(real_cases):
    folder = real_cases / "native/TCGA-FG-6692"
    series = {
        modality: nifti.read(folder / f"TCGA-FG-6692_{name}.nii.gz")
        for modality, name in (("t1c", "t1c"), ("t2f", "fla"))
    }
    found = align(
        series, mni_template(read_template("t1")), RECIPE.model_copy(update={"correct_bias": False})
    )
    theirs = nifti.read(folder / "brats_space/TCGA-FG-6692_fla.nii.gz")
    brain = theirs.voxels != 0
    assert dice(found.brain, brain) > 0.92
    ours, others = (centre_of_mass_mm(mask, BRATS_GRID) for mask in (found.brain, brain))
    assert np.linalg.norm(ours - others) < 5
