import gzip
import json

import nibabel
import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.core.case import Case
from pipeline.core.grid import Grid, from_canonical
from pipeline.serving.scenes import write_scene

SCHEMA = brats.schema("_")
SHAPE = (6, 8, 10)
HEADER_BYTES = 352
AFFINES = {
    "RAS": np.diag([1.0, 1, 2, 1]),
    "LPS": np.diag([-1.0, -1, 2, 1]),
    "SRA": np.array([[0.0, 1, 0, 5], [0, 0, 1, 6], [2, 0, 0, 7], [0, 0, 0, 1]]),
}


def made_case(affine):
    rng = np.random.default_rng(1)
    image = rng.uniform(1, 100, (*SHAPE, 4)).astype(np.float32)
    classes = np.zeros(SHAPE, np.uint8)
    classes[1:3, 2:6, 3:8] = 2
    return Case("Made_001", image, classes, Grid(SHAPE, affine))


def scene_of(folder, case, maps, uncertainty=None, **options):
    """What scene.json says."""
    write_scene(folder, case, SCHEMA.modalities, maps, SCHEMA, uncertainty, **options)
    return json.loads((folder / "scene.json").read_text())


def voxels(folder, scene, url):
    """A volume as the script of the viewer reads it: behind the header, x fastest."""
    data = gzip.decompress((folder / url).read_bytes())[HEADER_BYTES:]
    return np.frombuffer(data, np.uint8).reshape(scene["shape"], order="F")


@pytest.mark.parametrize("axes", AFFINES)
def test_volumes_stand_on_canonical_axes_and_labels_return_to_those_of_the_case(tmp_path, axes):
    case = made_case(AFFINES[axes])
    scene = scene_of(tmp_path, case, {"prediction": case.classes})
    shown = voxels(tmp_path, scene, "prediction.nii.gz")
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(case.classes, case.grid.affine))
    np.testing.assert_array_equal(shown, canonical.dataobj)
    np.testing.assert_array_equal(from_canonical(shown, case.grid), case.classes)
    file = nibabel.load(tmp_path / "prediction.nii.gz")
    np.testing.assert_allclose(file.affine, canonical.affine)
    assert nibabel.aff2axcodes(file.affine) == ("R", "A", "S")
    assert scene["spacing_mm"] == [1, 1, 2]


def test_the_start_lies_in_the_largest_sections_of_the_tumour(tmp_path):
    case = made_case(AFFINES["RAS"])
    scene = scene_of(tmp_path, case, {"prediction": case.classes})
    assert scene["start"] == [2, 4, 5]
    empty = scene_of(tmp_path, case, {"prediction": np.zeros(SHAPE, np.uint8)})
    assert empty["start"] == [3, 4, 5]


def test_greys_rise_with_the_intensities_and_are_black_outside_the_brain(tmp_path):
    case = made_case(AFFINES["RAS"])
    case.image[0] = 0
    scene = scene_of(tmp_path, case, {"prediction": case.classes})
    grey = voxels(tmp_path, scene, "t1c.nii.gz").astype(int)
    assert not grey[0].any()
    order = np.argsort(case.image[1:, ..., 1].ravel())
    assert (np.diff(grey[1:].ravel()[order]) >= 0).all()
    assert grey.max() == 255


def test_what_two_maps_disagree_about_is_said_from_the_reference(tmp_path):
    case = made_case(AFFINES["RAS"])
    both = {"prediction": case.classes, "reference": case.classes}
    scene = scene_of(tmp_path, case, both)
    assert [one["as"] for one in scene["maps"]] == ["fill", "outline"]
    assert scene["disagreement"]["of"] == ["reference", "prediction"]
    assert scene["disagreement"]["names"] == ["missed", "false alarm", "other label"]
    models = {"one": case.classes, "other": case.classes}
    scene = scene_of(tmp_path, case, models, titles={"one": "Model 1", "other": "Model 2"})
    assert scene["disagreement"]["of"] == ["one", "other"]
    assert scene["disagreement"]["names"] == ["only Model 1", "only Model 2", "other label"]
    assert scene_of(tmp_path, case, {"prediction": case.classes})["disagreement"] is None


def test_uncertainty_is_kept_in_hundredths_of_a_bit_with_a_colour_for_each(tmp_path):
    case = made_case(AFFINES["LPS"])
    uncertainty = np.where(case.classes, 0.73, 0.0)
    scene = scene_of(tmp_path, case, {"prediction": case.classes}, uncertainty)
    assert set(np.unique(voxels(tmp_path, scene, "uncertainty.nii.gz"))) == {0, 73}
    assert scene["uncertainty"]["levels"] == len(scene["uncertainty"]["colours"]) == 100
    assert scene_of(tmp_path, case, {"prediction": case.classes})["uncertainty"] is None
