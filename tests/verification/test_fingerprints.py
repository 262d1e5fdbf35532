"""The same examination is found again, whatever was done to its file; others are not."""

import itertools

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pipeline.cohorts.phantom import load_anatomy
from pipeline.core.grid import Grid, canonical_spacing_mm
from pipeline.formats import metaimage, nifti
from pipeline.phantom.anatomy import Anatomy, sample
from pipeline.phantom.contrast import acquire
from pipeline.phantom.random_fields import normal_field
from pipeline.verification.fingerprints import SAME, content_sha256, fingerprint, pairs
from tests.conftest import from_canonical
from tests.core.test_grid import CODES, affine_of
from tests.phantom.made import BALL

GRID = Grid((96, 96, 96), np.eye(4))


def person(seed: int, template: Anatomy, coordinates: np.ndarray, scale: float, modality: str):
    """Int16 image of a brain that is deformed by millimetres and shaded in its own way."""
    rng = np.random.default_rng(seed)
    for axis in range(3):
        coordinates[axis] += 4 * normal_field(rng, coordinates.shape[1:], scale)
    anatomy = sample(template, coordinates.astype(np.float32))
    tissues = {name: getattr(anatomy, name)[anatomy.brain] for name in ("gray", "white", "csf")}
    return acquire(rng, tissues, anatomy.brain)[modality]


@pytest.fixture(scope="module")
def brains() -> list[np.ndarray]:
    """T1 of three made brains, (96, 96, 96)."""
    grid = np.indices(BALL.gray.shape, np.float32)
    return [person(seed, BALL, grid.copy(), 14.0, "t1n") for seed in range(3)]


@pytest.fixture(scope="module")
def prints(brains) -> list[np.ndarray]:
    return [fingerprint(voxels, GRID) for voxels in brains]


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    return pairs(np.stack([one, other]), -1)[0][2]


def noisy(voxels):
    return voxels + np.random.default_rng(5).normal(0, 0.05 * voxels.max(), voxels.shape)


def normalised(voxels):
    brain = voxels != 0
    return np.where(brain, (voxels - voxels[brain].mean()) / voxels[brain].std(), 0)


def halved(voxels):
    return voxels.reshape(48, 2, 48, 2, 48, 2).mean(axis=(1, 3, 5))


COPIES = {
    "as float32, scaled": lambda voxels: voxels * np.float32(0.37),
    "as uint8": lambda voxels: np.clip(voxels / np.percentile(voxels, 99.9) * 255, 0, 255).astype(
        np.uint8
    ),
    "with a curve": lambda voxels: np.sqrt(voxels),
    "normalised in the brain": normalised,
    "with noise in the air": noisy,
    "padded": lambda voxels: np.pad(voxels, ((3, 20), (7, 0), (0, 11))),
    "cropped to the brain": lambda voxels: voxels[4:-4, 4:-4, 4:-4],
    "cropped into the brain": lambda voxels: voxels[8:-8, 7:-8, 8:-7],
    "averaged to twice the spacing": halved,
    "in thick slices": lambda voxels: voxels.reshape(96, 96, 24, 4).mean(axis=3),
    "blurred": lambda voxels: ndimage.gaussian_filter(voxels.astype(np.float32), 0.7),
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_a_copy_is_recognised(brains, prints, change):
    copy = change(brains[0])
    assert similarity(prints[0], fingerprint(copy, Grid(copy.shape, GRID.affine))) > SAME


def test_other_brains_are_others(prints):
    for one, other in itertools.combinations(prints, 2):
        assert similarity(one, other) < SAME - 0.1


@pytest.fixture(scope="module")
def heads() -> list[np.ndarray]:
    """FLAIR of two persons whose lobes differ, 2 mm, (96, 112, 96), upright."""
    template, shape = load_anatomy(), (96, 112, 96)
    corner = np.array(shape) - np.array(template.gray.shape) / 2
    grid = 2 * np.indices(shape, np.float32) - corner[:, None, None, None]
    return [person(seed, template, grid.copy(), 15.0, "t2f") for seed in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("turn_degrees", [(-25, 0, 0), (0, 15, 0), (0, 0, 20), (15, -8, 10)])
def test_a_tilted_head_is_recognised_and_distinguished_from_another(heads, turn_degrees):
    spacing, voxels_2mm = (2.0, 3.0, 5.0), Grid(heads[0].shape, np.diag([2.0, 2, 2, 1]))
    shape = np.round(np.array(heads[0].shape) * 2 / spacing).astype(int)
    turn = Rotation.from_euler("xyz", turn_degrees, degrees=True).as_matrix() * spacing / 2
    corner = (np.array(heads[0].shape) - 1) / 2 - turn @ (shape - 1) / 2
    tilted = ndimage.affine_transform(
        heads[0].astype(np.float32), turn, corner, tuple(shape), order=1
    )
    copy = fingerprint(tilted, Grid(tilted.shape, np.diag([*spacing, 1])))
    found = pairs(np.stack([copy, *(fingerprint(head, voxels_2mm) for head in heads)]), -1)
    similar = {pair[:2]: pair[2] for pair in found}
    assert similar[0, 1] > SAME
    assert max(similar[0, 2], similar[1, 2]) < SAME - 0.1


@pytest.mark.parametrize("codes", CODES[::11])
def test_other_axes_of_the_same_anatomy_give_the_same_fingerprint_and_content(brains, codes):
    voxels, affine = brains[0][:, 5:-5, 8:-4], affine_of(codes)
    raw = from_canonical(voxels, affine)
    there = Grid(raw.shape, affine)
    here = Grid(voxels.shape, np.diag([*canonical_spacing_mm(affine), 1]))
    np.testing.assert_array_equal(fingerprint(raw, there), fingerprint(voxels, here))
    assert content_sha256(raw, there) == content_sha256(voxels, here)


def test_an_array_turned_under_its_header_is_recognised(brains):
    ways = itertools.product([(0, 1, 2), (2, 0, 1), (1, 0, 2)], [(), (0,), (0, 1, 2)])
    turned = [np.flip(brains[0].transpose(axes), flipped) for axes, flipped in ways]
    found = pairs(np.stack([fingerprint(voxels, GRID) for voxels in turned]), 0.98)
    assert len(found) == 9 * 8 / 2


def test_similarity_is_the_largest_cosine_over_both_poses_and_all_48_ways():
    numbers = np.random.default_rng(1).integers(-127, 128, (3, 2, 8, 8, 8)).astype(np.int8)
    signs = [np.where(np.arange(8) % 2, sign, 1) for sign in (1, -1)]
    for one, other, found in pairs(numbers, -1):
        poses = zip(numbers[one].astype(float), numbers[other].astype(float), strict=True)
        ways = (
            (first * second.transpose(axes) * x[:, None, None] * y[:, None] * z).sum()
            / np.linalg.norm(first)
            / np.linalg.norm(second)
            for first, second in poses
            for axes in itertools.permutations(range(3))
            for x, y, z in itertools.product(signs, repeat=3)
        )
        assert found == pytest.approx(max(ways), rel=1e-6)


def test_pairs_are_found_across_blocks_once_each_and_the_most_alike_come_first():
    numbers = np.random.default_rng(2).integers(-40, 41, (300, 1, 4, 4, 4)).astype(np.int8)
    numbers[290] = numbers[3]
    numbers[270] = numbers[3].transpose(0, 3, 1, 2)
    numbers[299] = numbers[7] + np.random.default_rng(3).integers(-5, 6, (1, 4, 4, 4))
    found = pairs(numbers, 0.9)
    assert [pair[:2] for pair in found] == [(3, 270), (3, 290), (270, 290), (7, 299)]
    assert found[0][2] == pytest.approx(1)
    assert 0.9 < found[3][2] < 1


def test_nothing_is_like_an_empty_volume_or_has_a_pair_alone():
    empty = fingerprint(np.zeros((20, 20, 20), np.int16), Grid((20, 20, 20), np.eye(4)))
    assert not empty.any()
    assert pairs(np.stack([empty, empty]), 0.1) == []
    for count in (0, 1):
        assert pairs(np.ones((count, 2, 8, 8, 8), np.int8), 0.9) == []


@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 1, 1), (3, 200, 2), (1, 40, 30)])
def test_small_and_flat_volumes_have_a_fingerprint(shape):
    voxels = np.random.default_rng(0).integers(0, 100, shape).astype(np.int16)
    expected = (1, 22, 22, 1) if 1 in shape else (2, 8, 8, 8)
    assert fingerprint(voxels, Grid(shape, np.eye(4))).shape == expected


def test_slices_are_recognised_and_distinguished(brains):
    slices = [voxels[:, :, height, None] for voxels in brains for height in (40, 60)]
    copies = [np.rot90(image)[5:-6, 4:] * 0.1 for image in slices]
    prints = [fingerprint(image, Grid(image.shape, np.eye(4))) for image in slices + copies]
    found = sorted(pair[:2] for pair in pairs(np.stack(prints), SAME))
    assert found == [(number, number + 6) for number in range(6)]


def test_content_is_of_values_and_shape_not_of_dtype_or_margin():
    voxels = np.arange(1, 25, dtype=np.int16).reshape(2, 3, 4)

    def content(array):
        return content_sha256(array, Grid(array.shape, np.eye(4)))

    padded = np.pad(voxels.astype(np.float64), 4)
    assert content(padded) == content(np.where(padded == 0, -0.0, padded)) == content(voxels)
    changed = voxels.copy()
    changed[1, 1, 1] += 1
    assert len({content(array) for array in (voxels, changed, voxels.reshape(4, 3, 2))}) == 3


SAME_PATIENTS = """
brats2018 Brats18_2013_2_1 = flair_wt 030
brats2018 Brats18_2013_2_1 = flair_wt_2mm 030
flair_wt 030 = flair_wt_2mm 030
flair_wt 083 = flair_wt_2mm 083
flair_wt 183 = flair_wt_2mm 183
brats2021 BraTS2021_01476 = flair_wt_2mm 170
brats2021 BraTS2021_01478 = flair_wt_2mm 017
brats2021 BraTS2021_01480 = flair_wt_2mm 108
brats2021 BraTS2021_01481 = flair_wt_2mm 196
brats2021 BraTS2021_01483 = flair_wt_2mm 161
brats2021 BraTS2021_01485 = flair_wt_2mm 062
native TCGA-FG-6692 = flair_wt_2mm 045
brats2012 BRATS_HG0015 = flair_wt_2mm 162
"""
TWINS = {line[-3:] for line in SAME_PATIENTS.split("\n") if line}


def flair(path):
    volume = (metaimage if path.suffix == ".mha" else nifti).read(path)
    return fingerprint(volume.voxels, volume.grid)


@pytest.mark.slow
@pytest.mark.real
def test_patients_that_stand_in_two_folders_are_found_and_no_others(real_cases):
    paths = [
        path
        for path in sorted(real_cases.glob("flair_wt*/*/*_fla.nii.gz"))
        if path.parent.name[-1] in "0123" or path.parent.name in TWINS
    ]
    for others in ("brats20*/*/*_flair.*", "brats20*/*/*t2f.*", "native/*/brats_space/*_fla.*"):
        paths += sorted(real_cases.glob(others))
    found = pairs(np.stack([flair(path) for path in paths]), SAME)
    names = [
        f"{path.relative_to(real_cases).parts[0]} {path.name.split('_f')[0]}" for path in paths
    ]
    assert {frozenset((names[one], names[other])) for one, other, _ in found} == {
        frozenset(line.split(" = ")) for line in SAME_PATIENTS.strip().split("\n")
    }
