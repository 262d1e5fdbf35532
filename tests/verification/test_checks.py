"""A case by itself shows what would make a prediction wrong: nothing in cases that are in order,
something in all others.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from pipeline.cohorts import brats, brats2012, dicom, lgg
from pipeline.core.case import Case
from pipeline.core.grid import Grid
from pipeline.formats import nifti, raw_cases
from pipeline.formats.raw_cases import Found
from pipeline.formats.volume import Part, Volume
from pipeline.verification import checks
from tests.conftest import LPS, SHARED
from tests.phantom.made import phantoms

FOUR = ("t1n", "t1c", "t2w", "t2f")
SKULL, SWAPPED = "the skull is on", "seem exchanged"


def read(found: Found, modalities=FOUR) -> tuple[Case, dict[str, Volume]]:
    return raw_cases.read_volumes(replace(found, labels=None), dicom.schema(modalities))


def judged(found: Found, modalities=FOUR, trained_stripped: bool | None = True) -> list[str]:
    """What `predict` would warn of, by a network trained on stripped brains."""
    return noticed(found, *read(found, modalities), modalities, trained_stripped)


def judged_with(case: Case, found: Found, trained_stripped: bool | None = True) -> list[str]:
    """The same of another case than the files hold."""
    return noticed(found, case, read(found)[1], FOUR, trained_stripped)


def noticed(found: Found, case: Case, volumes, modalities, trained_stripped) -> list[str]:
    """Warnings, each of which begins with the words of a doubt in these cases."""
    warnings, doubts = checks.alone(found, case, volumes, modalities, trained_stripped, True)
    for warning, doubt in zip(warnings, doubts, strict=True):
        own = warning.removeprefix(f"{case.name}: ")
        assert own.casefold().startswith(doubt.removesuffix(".").casefold())
    return warnings


def with_head(case: Case, noise: float) -> Case:
    """At half the resolution, a head around the brain: 4 mm of dark bone, 20 mm of soft tissue, and
    noise in the air unless that is 0.
    """
    image = case.image[::2, ::2, ::2].astype(np.float32)
    grid = Grid(image.shape[:3], case.grid.affine @ np.diag([2.0, 2, 2, 1]))
    brain = image.any(axis=-1)
    away_mm = ndimage.distance_transform_edt(~brain, sampling=grid.spacing_mm)
    texture = np.random.default_rng(1).random(brain.shape, np.float32)
    for channel in range(image.shape[-1]):
        level = np.percentile(image[..., channel][brain], 80)
        around = np.where(
            (away_mm > 4) & (away_mm < 24), level * (0.7 + 0.6 * texture), noise * level * texture
        )
        image[..., channel] = np.where(brain, image[..., channel], around)
    return replace(case, image=image, grid=grid)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Found:
    """A phantom as files, skull off."""
    folder = tmp_path_factory.mktemp("made")
    files = {name: folder / f"{name}.nii.gz" for name in FOUR}
    for name, path in files.items():
        nifti.write(path, phantoms()[0].images[name], LPS)
    return Found("made", "made", folder, files, None)


@pytest.mark.slow
def test_a_made_case_in_order_raises_nothing_and_exchanged_files_are_named(made):
    assert judged(made) == []
    assert judged(made, trained_stripped=None) == []
    swapped = made.images | {"t1c": made.images["t2w"], "t2w": made.images["t1c"]}
    (warning,) = judged(replace(made, images=swapped))
    assert warning.startswith(f"made: t1c and t2w {SWAPPED} (distance ")


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.04])
def test_a_case_unlike_those_of_the_training_in_its_skull_is_reported(made, noise):
    head = with_head(read(made)[0], noise)
    (warning,) = [said for said in judged_with(head, made) if SWAPPED not in said]
    assert SKULL in warning
    assert "--native" in warning
    if noise:  # where nothing is known of the training
        more = "more than a brain differs from air"
        found = judged_with(head, made, None)
        assert any(more in said and "100% of the grid)" in said for said in found)
    (warning,) = judged(made, trained_stripped=False)
    removed = "the skull was removed, but the network was trained on heads with it"
    assert warning == f"made: {removed}. The labels cannot be trusted."


def four_modality_cases() -> Iterator[Found]:
    for pattern in ("brats2021/*", "brats2018/*", "brats2023/*", "unlabelled/*"):
        yield from (brats.read_folder(folder)[1] for folder in sorted(SHARED.glob(pattern)))
    for source in brats2012.SOURCES[:1]:
        yield from source.find(SHARED / "brats2012", 0)[1]


@pytest.mark.slow
@pytest.mark.real
def test_real_cases_of_four_modalities_raise_something_only_when_spoilt(real_cases):
    found = list(four_modality_cases())
    folders = ("brats2012", "brats2018", "brats2021", "brats2023", "unlabelled")
    assert len(found) == sum(len(list((real_cases / name).iterdir())) for name in folders)
    for own in found:
        case, _ = read(own)
        assert judged(own) == [], own.case
        swapped = replace(case, image=case.image[..., [0, 2, 1, 3]])
        assert any(SWAPPED in said for said in judged_with(swapped, own)), own.case
        for noise in (0.0, 0.04):
            head = with_head(case, noise)
            assert any(SKULL in said for said in judged_with(head, own)), (own.case, noise)


@pytest.mark.real
def test_real_flair_images_alone_raise_nothing(real_cases):
    patterns = "flair_wt*/*/*_fla.nii.gz", "native/*/brats_space/*_fla.nii.gz"
    files = sorted(path for pattern in patterns for path in real_cases.glob(pattern))
    assert len(files) > 100
    for path in files:
        found = Found(path.parent.name, "", path.parent, {"t2f": path}, None)
        assert judged(found, ("t2f",)) == [], path


def heads(folder: Path) -> Iterator[tuple[str, Path | Part]]:
    """Real images with the skull on: one modality each."""
    yield from ((path.name, path) for path in sorted(folder.glob("native/*/*.nii.gz")))
    for case in lgg.find(folder / "lgg")[1]:
        yield from ((f"{case.case} {name}", part) for name, part in case.images.items())
    yield "healthy T1", dicom.read_study(folder / "dicom/datalad-healthy-t1").images["t1n"]


@pytest.mark.real
def test_real_heads_are_reported_to_a_network_trained_on_brains(real_cases):
    found = list(heads(real_cases))
    assert len(found) == 4 + 2 * 3 + 1
    for name, origin in found:
        warnings = judged(Found(name, "", real_cases, {"t1n": origin}, None), ("t1n",))
        assert any(SKULL in said and "--native" in said for said in warnings), name
