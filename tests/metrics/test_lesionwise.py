from dataclasses import dataclass
from math import prod, sqrt

import numpy as np
import pytest
from scipy import ndimage

from pipeline.cohorts import brats
from pipeline.metrics import components
from pipeline.metrics.lesion_rules import PRESETS
from pipeline.metrics.lesionwise import TOLERANCES_MM, compare_lesions, lesion_rows, lesions_of
from pipeline.metrics.registry import fills, written
from pipeline.metrics.surface_distance import SurfaceDistances

SHAPE = (26, 24, 18)
CUBIC_MM = (1.0, 1.0, 1.0)
SPACING_MM = (0.9, 1.1, 2.0)
GLIOMA, MENINGIOMA, METASTASIS = (PRESETS[f"brats2023-{name}"] for name in ("gli", "men", "met"))
TREATMENT, RADIOTHERAPY = PRESETS["brats2024-gli"], PRESETS["brats2024-menrt"]
NEIGHBOURS = ndimage.generate_binary_structure(3, 2)
ADULT = brats.schema("-").model_copy(update={"lesion_rules": "brats2023-gli"})
TREATED = ADULT.model_copy(
    update={
        "cohort": "brats-gli2024",
        "labels": {**ADULT.labels, "cavity": 4},
        "regions": {**ADULT.regions, "RC": ("cavity",)},
        "lesion_rules": "brats2024-gli",
    }
)


def block(start, size, shape=SHAPE):
    mask = np.zeros(shape, bool)
    sides = zip(start, size, strict=True)
    mask[tuple(slice(first, first + length) for first, length in sides)] = True
    return mask


def score_lesions(reference, prediction, spacing_mm, rules):
    """Lesion-wise scores of two masks of one region."""
    margin = rules.dilation_voxels + 1
    crops = (components.cropped(mask, margin) for mask in (reference, prediction))
    lesions = lesions_of(*crops, rules, spacing_mm)
    return compare_lesions(lesions, spacing_mm, rules, reference.shape)


NOTHING = np.zeros(SHAPE, bool)
CUBE = block((3, 3, 3), (4, 4, 4))
FAR = block((18, 16, 10), (4, 4, 4))


# The challenge's procedure, lesion after lesion over the whole volume, in words of our own.


@dataclass
class Published:
    dice: float
    hd95_mm: float
    nsd: dict
    lesions: int
    found: int
    false_positives: int


def numbered(mask):
    """26-connected pieces, numbered as a scan with the first axis fastest meets them."""
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    starts = sorted(
        range(1, count + 1),
        key=lambda number: np.flatnonzero((labels == number).ravel(order="F"))[0],
    )
    renamed = np.zeros(mask.shape, int)
    for new, old in enumerate(starts, 1):
        renamed[labels == old] = new
    return renamed


def merged(mask, times):
    return (
        numbered(ndimage.binary_dilation(mask, NEIGHBOURS, times)) * mask
        if mask.any()
        else mask.astype(int)
    )


def without_small(labels, least_voxels):
    kept = labels.copy()
    for number in set(labels[labels > 0].tolist()):
        if np.sum(labels == number) <= least_voxels:
            kept[labels == number] = 0
    return kept


def joined_through(labels, partners):
    """Lesions that touch one partner become one; each follows the first it touches; one touching
    pair alone changes nothing.
    """
    pairs = [
        (number, partner)
        for number in sorted(set(labels[labels > 0].tolist()))
        for partner in sorted(set(partners[partners > 0].tolist()))
        if (ndimage.binary_dilation(labels == number, NEIGHBOURS) & (partners == partner)).any()
    ]
    if len(pairs) <= 1:
        return labels
    first = {}
    for number, partner in pairs:
        first.setdefault(number, partner)
    result = labels.copy()
    for number, partner in first.items():
        result[labels == number] = labels.max() + partner
    return result


def voxel_surface_dice(one, other, tolerance_mm, spacing_mm):
    def surface(mask):
        return mask & ~ndimage.binary_erosion(mask)

    def share(start, goal):
        return np.mean(
            ndimage.distance_transform_edt(~surface(goal), sampling=spacing_mm)[surface(start)]
            <= tolerance_mm + 1e-6
        )

    return (share(one, other) + share(other, one)) / 2


def compared(one, other, spacing_mm, nsd):
    surfaces = SurfaceDistances.of(one, other, spacing_mm)
    return (
        2 * (one & other).sum() / (one.sum() + other.sum()),
        surfaces.robust_hausdorff_mm(),
        {
            mm: surfaces.nsd(mm)
            if nsd == "surfels"
            else voxel_surface_dice(one, other, mm, spacing_mm)
            for mm in TOLERANCES_MM
        },
    )


def published(
    lesions, predicted, spacing_mm, times, least_mm3, penalty_mm, nsd, false_positives_count=True
):
    touching, rows, found = set(), [], 0
    for number in sorted(set(lesions[lesions > 0].tolist())):
        lesion = lesions == number
        extent = ndimage.binary_dilation(lesion, NEIGHBOURS, times)
        partners = sorted(set(predicted[extent & (predicted > 0)].tolist()))
        touching |= set(partners)
        if lesion.sum() * prod(spacing_mm) <= least_mm3:
            continue
        found += bool(partners)
        if partners:
            rows.append(compared(lesion, np.isin(predicted, partners), spacing_mm, nsd))
        else:
            rows.append((0.0, penalty_mm, dict.fromkeys(TOLERANCES_MM, 0.0)))
    false = len(set(predicted[predicted > 0].tolist()) - touching)
    count = len(rows) + (false if false_positives_count else 0)
    if not count:
        return Published(1.0, 0.0, dict.fromkeys(TOLERANCES_MM, 1.0), 0, 0, false)
    distances = [row[1] for row in rows] + ([penalty_mm] * false if false_positives_count else [])
    nsds = {mm: sum(row[2][mm] for row in rows) / count for mm in TOLERANCES_MM}
    return Published(
        sum(row[0] for row in rows) / count, sum(distances) / count, nsds, len(rows), found, false
    )


def published_2023(reference, prediction, spacing_mm, times, least_mm3):
    lesions, predicted = merged(reference, times), numbered(prediction)
    return published(lesions, predicted, spacing_mm, times, least_mm3, 374.0, "surfels")


def published_2024(reference, prediction, spacing_mm, region):
    """Gliomas after treatment, from class maps."""

    def tissue(classes, members, times, least):
        return without_small(merged(np.isin(classes, members), times), least)

    def region_lesions(classes, least):
        enhancing, necrotic, cavity = (
            tissue(classes, [member], times, least and own)
            for member, times, own in ((3, 3, 10), (1, 5, 20), (4, 5, 20))
        )
        if region == "ET":
            return joined_through(joined_through(enhancing, necrotic), cavity)
        if region == "RC":
            return joined_through(joined_through(cavity, enhancing), necrotic)
        return tissue(classes, [1, 2, 3] if region == "WT" else [1, 3], 3, least and 20)

    lesions, predicted = region_lesions(reference, 0), region_lesions(prediction, 1)
    times, least_mm3 = 5 if region == "RC" else 3, 10 if region == "ET" else 20
    return published(lesions, predicted, spacing_mm, times, least_mm3, 337.0, "voxels")


def assert_equal(scores, expected):
    """Scores by the names of the table, against those of the procedure."""
    counts = scores["lesions"], scores["found"], scores["false_positives"]
    assert counts == (expected.lesions, expected.found, expected.false_positives)
    nsds = {f"lesion_nsd_{written(mm)}mm": value for mm, value in expected.nsd.items()}
    wanted = {"lesion_dice": expected.dice, "lesion_hd95_mm": expected.hd95_mm} | nsds
    found = {name: scores[name] for name in wanted if name in scores}
    assert found == pytest.approx({name: wanted[name] for name in found}, abs=1e-9)


def readings(scores):
    """Scores of one region by the names of the table."""
    counts = ("reference_lesions", "lesions"), ("found",) * 2, ("false_positives",) * 2
    return (
        {f"lesion_{name}": getattr(scores, name) for name in ("dice", "hd95_mm", "f1")}
        | {f"lesion_nsd_{written(mm)}mm": scores.nsd(mm) for mm in TOLERANCES_MM}
        | {column: getattr(scores, name) for name, column in counts}
    )


def awkward_pairs():
    rng = np.random.default_rng(3)
    specks, other_specks = (rng.random(SHAPE) < 0.01 for _ in range(2))
    blobs, other_blobs = (ndimage.gaussian_filter(rng.random(SHAPE), 1.2) > 0.545 for _ in range(2))
    moved = np.roll(blobs, 1, axis=0)
    full = ~NOTHING
    border = block((0, 0, 0), (4, 5, 4)) | block((22, 20, 14), (4, 4, 4))
    return {
        "empty": (NOTHING, NOTHING),
        "only predicted": (NOTHING, specks),
        "only in the reference": (CUBE | FAR, NOTHING),
        "full": (full, full),
        "full but predicted as specks": (full, specks),
        "specks in the reference, full predicted": (specks, full),
        "one voxel each": (block((5, 5, 5), (1, 1, 1)), block((7, 5, 5), (1, 1, 1))),
        "at the border": (border, np.roll(border, 2, axis=1) | block((0, 20, 0), (1, 1, 1))),
        "specks": (specks, other_specks),
        "lesion and specks": (CUBE | FAR, (CUBE | other_specks) & ~block((3, 3, 3), (1, 4, 4))),
        "blobs": (blobs, other_blobs),
        "moved blobs": (blobs, moved),
        "blobs and specks": (blobs, moved | specks),
        "bridge": (
            CUBE | FAR,
            CUBE
            | FAR
            | block((3, 3, 3), (19, 1, 1))
            | block((21, 3, 3), (1, 14, 1))
            | block((21, 16, 3), (1, 1, 8)),
        ),
        "sheets in the last plane": (block((3, 3, 17), (9, 9, 1)), block((5, 3, 17), (9, 9, 1))),
        "shell": (
            block((4, 4, 4), (9, 9, 9)) & ~block((6, 6, 6), (5, 5, 5)),
            block((7, 7, 7), (3, 3, 3)),
        ),
    }


def awkward_classes():
    """Class maps of four labels in which tissues touch in all ways."""
    rng = np.random.default_rng(8)

    def smooth(share):
        field = ndimage.gaussian_filter(rng.random((4, *SHAPE)), (0, 1.1, 1.1, 1.1))
        most = field.max(axis=0)
        drawn = most > np.quantile(most, 1 - share)
        return np.where(drawn, field.argmax(axis=0) + 1, 0).astype(np.uint8)

    pairs = {f"tissues {share}": (smooth(share), smooth(share)) for share in (0.05, 0.1, 0.2)}
    one = smooth(0.1)
    specked = np.where(rng.random(SHAPE) < 0.01, rng.integers(1, 5, SHAPE), one).astype(np.uint8)
    blank = np.zeros(SHAPE, np.uint8)
    foci, beside = blank.copy(), blank.copy()
    foci[3:6, 3:6, 3:6] = foci[16:19, 3:6, 3:6] = 3
    # within the dilated extents, outside the box around the foci
    beside[3:6, 3:6, 8:11] = beside[16:19, 3:6, 8:11] = 3
    apart = foci.copy()
    apart[6, 4, 4] = apart[15, 4, 4] = 1  # pieces that five dilations merge and three do not
    false = foci[:, ::-1].copy()
    foci[6:16, 4, 4] = false[6:16, 19:21, 4:6] = 1
    return pairs | {
        "specked": (one, specked),
        "nothing predicted": (one, blank),
        "nothing there": (blank, one),
        "foci beside their reference": (foci, beside),
        "two foci on two pieces of one necrosis": (apart, beside),
        "false foci on one necrosis": (foci, false),
        "two foci on one necrosis": (foci, np.where(foci == 1, 0, foci).astype(np.uint8)),
    }


SPECK = block((20, 20, 10), (1, 1, 1))
SMALL = block((18, 16, 10), (2, 2, 2))
BEYOND_SIX, BEYOND_SEVEN, OVER_TWO, OVER_THREE = (
    block((start, 3, 3), (4, 4, 4)) for start in (13, 14, 9, 10)
)
CUT = CUBE & ~block((5, 3, 3), (1, 4, 4))
BOTH = block((1, 3, 3), (4, 4, 4)) | block((16, 3, 3), (4, 4, 4))
NEAR = block((20, 16, 10), (3, 2, 2)) | block((20, 21, 10), (3, 2, 2))  # 24 voxels together
FIFTY = block((15, 15, 8), (5, 5, 2))
ROUNDED_MM = (1.0000001, 1.0, 1.0)
DIAGONAL = sqrt(sum(length**2 for length in SHAPE))
# reference, prediction, rules; Dice, HD95 in mm; lesions of the reference, found ones, false ones
BY_HAND = {
    "as drawn": (CUBE, CUBE, GLIOMA, 1, 0, (1, 1, 0)),
    "one of two missed": (CUBE | FAR, CUBE, GLIOMA, 0.5, 187, (2, 1, 0)),
    "a false speck": (CUBE, CUBE | SPECK, GLIOMA, 0.5, 187, (1, 1, 1)),
    "both empty": (NOTHING, NOTHING, GLIOMA, 1, 0, (0, 0, 0)),
    "false in health": (NOTHING, CUBE, GLIOMA, 0, 374, (0, 0, 1)),
    "50 mm3 do not count": (FIFTY, NOTHING, GLIOMA, 1, 0, (0, 0, 0)),
    "51 mm3 do": (block((2, 2, 2), (17, 3, 1)), NOTHING, GLIOMA, 0, 374, (1, 0, 0)),
    "touches one that does not count": (CUBE | SMALL, CUBE | SMALL, GLIOMA, 1, 0, (1, 1, 0)),
    "extents touch": (CUBE | BEYOND_SIX, CUBE, GLIOMA, 2 * 64 / (64 + 128), 10, (1, 1, 0)),
    "extents do not touch": (CUBE | BEYOND_SEVEN, CUBE, GLIOMA, 0.5, 187, (2, 1, 0)),
    "touches the extent alone": (CUBE, OVER_TWO, GLIOMA, 0, 6, (1, 1, 0)),
    "touches not even the extent": (CUBE, OVER_THREE, GLIOMA, 0, 374, (1, 0, 1)),
    "over an edge": (CUBE, block((7, 7, 6), (1, 1, 1)), MENINGIOMA, 0, sqrt(29), (1, 1, 0)),
    "not over a corner": (CUBE, block((7, 7, 7), (1, 1, 1)), MENINGIOMA, 0, 374, (1, 0, 1)),
    "one prediction serves both": (
        *(BOTH, block((1, 3, 3), (19, 4, 4)), GLIOMA),
        *(2 * 64 / (64 + 19 * 16), 15, (2, 2, 0)),
    ),
    "two of one lesion are joined": (CUBE, CUT, GLIOMA, 2 * 48 / (64 + 48), 1, (1, 1, 0)),
    "a small false one is dropped": (
        *(CUBE, CUBE | block((20, 16, 10), (5, 2, 2)), TREATMENT, 1, 0, (1, 1, 0)),
    ),
    "near false ones are one": (CUBE, CUBE | NEAR, TREATMENT, 0.5, 337 / 2, (1, 1, 1)),
    "near false ones are two": (CUBE, CUBE | NEAR, GLIOMA, 1 / 3, 374 * 2 / 3, (1, 1, 2)),
    "false ones are free": (NOTHING, CUBE, RADIOTHERAPY, 1, 0, (0, 0, 1)),
    "a miss costs the diagonal": (
        *(CUBE | FAR, CUBE | block((3, 16, 3), (4, 4, 4)), RADIOTHERAPY),
        *(0.5, DIAGONAL / 2, (2, 1, 1)),
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_missed_and_false_lesions_enter_the_mean_as_counted_by_hand(name):
    reference, prediction, rules, *expected, counts = BY_HAND[name]
    scores = score_lesions(reference, prediction, CUBIC_MM, rules)
    assert [scores.dice, scores.hd95_mm] == pytest.approx(expected)
    assert (scores.reference_lesions, scores.found, scores.false_positives) == counts


@pytest.mark.parametrize(("spacing_mm", "false"), [(CUBIC_MM, 1), ((0.5, 1.0, 1.0), 0)])
def test_radiotherapy_drops_predictions_by_volume(spacing_mm, false):
    assert score_lesions(CUBE, CUBE | FAR, spacing_mm, RADIOTHERAPY).false_positives == false


def test_lesions_of_the_reference_are_listed_before_false_ones():
    scores = score_lesions(CUBE, CUBE | SPECK, CUBIC_MM, GLIOMA)
    assert [(lesion.kind, lesion.volume_ml, lesion.found) for lesion in scores.lesions] == [
        ("reference", 0.064, True),
        ("false_positive", 0.001, False),
    ]


def test_an_edge_of_a_millimetre_may_be_rounded():
    assert score_lesions(FIFTY, NOTHING, ROUNDED_MM, GLIOMA).reference_lesions == 0
    assert score_lesions(CUBE, CUBE | FIFTY, ROUNDED_MM, RADIOTHERAPY).false_positives == 0


def test_volume_is_of_the_spacing():
    lesion = block((5, 5, 5), (3, 3, 3))
    assert score_lesions(lesion, lesion, CUBIC_MM, GLIOMA).lesions == ()
    (counted,) = score_lesions(lesion, lesion, (1.0, 2.0, 1.0), GLIOMA).lesions
    assert counted.volume_ml == pytest.approx(0.054)


def test_in_2024_the_surface_dice_counts_voxels():
    # 64 voxels, 16 of them 1 mm out; all else of either surface lies on the other or 1 mm from it
    scores = score_lesions(CUBE, block((3, 3, 3), (5, 4, 4)), CUBIC_MM, TREATMENT)
    # the four voxels in the middle of the face that moved are inside now
    assert scores.nsd(0.5) == pytest.approx(((56 - 4) / 56 + (68 - 16) / 68) / 2)
    assert scores.nsd(1.0) == 1


@pytest.mark.parametrize("name", awkward_pairs())
@pytest.mark.parametrize(
    ("rules", "spacing_mm"),
    [(GLIOMA, CUBIC_MM), (GLIOMA, SPACING_MM), (MENINGIOMA, SPACING_MM), (METASTASIS, CUBIC_MM)],
    ids=["gliomas", "gliomas, anisotropic", "meningiomas, anisotropic", "metastases"],
)
def test_scores_of_2023_equal_the_published_procedure(name, rules, spacing_mm):
    reference, prediction = awkward_pairs()[name]
    expected = published_2023(
        reference, prediction, spacing_mm, rules.dilation_voxels, rules.least_volume_mm3
    )
    assert_equal(readings(score_lesions(reference, prediction, spacing_mm, rules)), expected)


@pytest.mark.parametrize("name", awkward_pairs())
@pytest.mark.parametrize("challenge", ["ped", "menrt"])
def test_scores_of_2024_equal_the_published_procedure(name, challenge):
    reference, prediction = awkward_pairs()[name]
    times, least = {"ped": (5, 10), "menrt": (1, 50)}[challenge]
    penalty_mm = 374.0 if challenge == "ped" else sqrt(sum(length**2 for length in SHAPE))
    predicted = without_small(
        merged(prediction, times), least if challenge == "ped" else least / prod(SPACING_MM)
    )
    lesions, rules = merged(reference, times), PRESETS[f"brats2024-{challenge}"]
    expected = published(
        *(lesions, predicted, SPACING_MM, times, least, penalty_mm, "voxels", challenge == "ped")
    )
    assert_equal(readings(score_lesions(reference, prediction, SPACING_MM, rules)), expected)


@pytest.mark.parametrize("name", awkward_classes())
def test_treated_gliomas_of_2024_equal_the_published_procedure(name):
    pair = awkward_classes()[name]
    for row in lesion_rows(*pair, TREATED, CUBIC_MM)[0]:
        assert_equal(row, published_2024(*pair, CUBIC_MM, row["name"]))


@pytest.mark.parametrize("rules", ["brats2024-met", "brats2024-ssa", "brats2024-gli"])
def test_enhancing_foci_on_one_necrosis_are_one_lesion_in_2024_alone(rules):
    reference, without_necrosis = awkward_classes()["two foci on one necrosis"]
    grown = ndimage.grey_dilation(reference, footprint=NEIGHBOURS) == 3  # more than 50 mm3
    larger = np.where(grown, 3, reference).astype(np.uint8)

    def enhancing(reference, prediction, rules):
        named = ADULT.model_copy(update={"lesion_rules": rules})
        row = lesion_rows(reference, prediction, named, CUBIC_MM)[0][2]
        return row["lesions"], row["lesion_dice"]

    assert enhancing(larger, larger, rules) == (1, 1)
    assert enhancing(larger, larger, "brats2023-gli") == (2, 1)
    assert enhancing(reference, without_necrosis, "brats2024-met") == (1, 1)


@pytest.mark.parametrize("name", awkward_classes())
def test_rows_of_a_case_are_those_of_its_masks(name):
    pair = [np.where(classes == 4, 0, classes) for classes in awkward_classes()[name]]
    rows, lesions = lesion_rows(*pair, ADULT, SPACING_MM)
    assert [row["name"] for row in rows] == list(ADULT.regions)
    for row in rows:
        masks = (np.isin(classes, ADULT.classes_of(row["name"])) for classes in pair)
        scores = score_lesions(*masks, SPACING_MM, GLIOMA)
        assert (
            row.items()
            <= (readings(scores) | {"name": row["name"], "filled": row["filled"]}).items()
        )
        own = [lesion for lesion in lesions if lesion["name"] == row["name"]]
        for lesion, expected in zip(own, scores.lesions, strict=True):
            assert all(getattr(expected, key) == lesion[key] for key in lesion if key != "name")


def test_rows_have_the_columns_of_the_tables():
    reference, prediction = awkward_classes()["specked"]
    rows, lesions = lesion_rows(reference, prediction, TREATED, CUBIC_MM)
    surfaces = [f"lesion_nsd_{mm}mm" for mm in ("0_5", 1, 2, 3)]
    scored = ["lesion_dice", "lesion_hd95_mm", *surfaces, "lesion_f1"]
    assert list(rows[0]) == ["name", *scored, "lesions", "found", "false_positives", "filled"]
    assert list(lesions[0]) == ["name", "kind", "volume_ml", "found", "dice", "hd95_mm"]


def test_rules_are_taken_from_the_schema_not_from_the_name_of_the_cohort():
    pair, named = awkward_classes()["specked"], TREATED.model_copy(update={"cohort": "knee"})
    rows = {
        rules: lesion_rows(*pair, named.model_copy(update={"lesion_rules": rules}), CUBIC_MM)
        for rules in (None, "brats2024-gli", "brats2024-met")
    }
    assert rows[None] == ([], [])
    assert rows["brats2024-gli"] == lesion_rows(*pair, TREATED, CUBIC_MM) != rows["brats2024-met"]


@pytest.mark.parametrize("rule", ["brats", "nan"])
def test_an_empty_region_is_perfect_by_rule_whatever_the_cohort_says_of_masks(rule):
    blank, speck, large = np.zeros((3, *SHAPE), np.uint8)
    speck[3, 3, 3], large[2:8, 2:8, 2:8] = 2, 2
    by_rule = fills("lesionwise", "no_lesion") | {"lesions": 0, "filled": "no_lesion"}
    assert (by_rule["lesion_dice"], by_rule["lesion_hd95_mm"]) == (1, 0)
    schema = ADULT.model_copy(update={"empty_rule": rule})
    for classes in (blank, speck):  # the speck is too small to count
        assert lesion_rows(classes, classes, schema, CUBIC_MM)[0][0].items() >= by_rule.items()
    assert lesion_rows(large, speck, schema, CUBIC_MM)[0][0]["filled"] == ""


def test_a_slice_is_scored_in_its_plane():
    slices = np.zeros((30, 30, 1), np.uint8)
    slices[4:12, 4:12] = 2
    moved = np.roll(slices, 1, axis=0)
    rows, lesions = lesion_rows(slices, moved, ADULT, (1.0, 1.0, 6.0))
    assert (rows[0]["lesions"], rows[0]["found"], rows[0]["lesion_hd95_mm"]) == (1, 1, 1)
    assert rows[0]["lesion_dice"] == pytest.approx(2 * 56 / 128)
    assert lesions[0]["volume_ml"] == pytest.approx(0.384)


def test_memory_order_changes_nothing():
    pair = awkward_classes()["specked"]
    turned = map(np.asfortranarray, pair)
    assert lesion_rows(*turned, TREATED, SPACING_MM) == lesion_rows(*pair, TREATED, SPACING_MM)


def test_background_around_an_image_changes_nothing():
    reference, prediction = awkward_pairs()["lesion and specks"]
    padded = score_lesions(np.pad(reference, 5), np.pad(prediction, 5), SPACING_MM, GLIOMA)
    assert padded == score_lesions(reference, prediction, SPACING_MM, GLIOMA)


def test_class_maps_on_two_grids_are_rejected():
    with pytest.raises(ValueError, match="one grid"):
        lesion_rows(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), ADULT, CUBIC_MM)
