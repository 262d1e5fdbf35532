"""Lesions matched one to one: counted by hand, and equal to the stored scores of the challenges'
own package (``matched_by_panoptica.json``; ``python -m benchmarks protocol`` compares with it).
"""

import json
from itertools import permutations
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from pipeline.cohorts import brats
from pipeline.core.schema import MATCHING as NAMES
from pipeline.metrics import registry
from pipeline.metrics.lesion_rules import MATCHING
from pipeline.metrics.matched import matched_rows, matching

SHAPE = (32, 30, 28)
CUBIC_MM = (1.0, 1.0, 1.0)
STORED = json.loads(Path(__file__).with_name("matched_by_panoptica.json").read_text())["cases"]
TREATED = brats._SCHEMAS["brats-gli2024"]
GROUPS = {"et": "ET", "tc": "TC", "wt": "WT", "rc": "RC", "netc": "necrotic", "snfh": "edema"}
COLUMNS = {
    "tp": "all_instance_tp",
    "fp": "all_instance_fp",
    "fn": "all_instance_fn",
    "matched_f1": "all_instance_f1",
    "matched_precision": "all_instance_prec",
    "matched_recall": "all_instance_rec",
    "whole_dice": "global_dsc",
    "whole_hd95_mm": "global_hd95",
    "whole_nsd": "global_nsd",
}
LESIONWISE = {
    "dice": "lesionwise_dsc_mean",
    "hd95_mm": "lesionwise_hd95_mean",
    "nsd": "lesionwise_nsd_mean",
}
SIZES = {
    f"{size}_{own}": f"{size}_instance_{other}"
    for size in ("large", "small")
    for own, other in (("f1", "f1"), ("found", "tp"))
}


def drawn(boxes, shape=SHAPE):
    """Boxes (corner, edges, class) on background."""
    classes = np.zeros(shape, np.uint8)
    for x, y, z, a, b, c, label in boxes:
        classes[x : x + a, y : y + b, z : z + c] = label
    return classes


def rows_of(reference, prediction, rules="brats2025-gli", spacing_mm=CUBIC_MM, schema=TREATED):
    named = schema.model_copy(update={"lesion_rules": rules})
    return {row["name"]: row for row in matched_rows(reference, prediction, named, spacing_mm)[0]}


def box(x, edge=4, label=3, y=4, z=4):
    return [x, y, z, edge, edge, edge, label]


@pytest.mark.parametrize("challenge", ["gli", "mets"])
@pytest.mark.parametrize(
    "case", STORED, ids=lambda case: f"{case['name']} {case['spacing_mm'][0]:g} mm"
)
def test_every_number_is_that_of_the_package_of_the_challenges(case, challenge):
    masks = drawn(case["reference"]), drawn(case["prediction"])
    rows = rows_of(*masks, f"brats2025-{challenge}", tuple(case["spacing_mm"]))
    in_voxels = rows_of(*masks, f"brats2025-{challenge}")
    mean_of = "matched" if challenge == "gli" else "penalised"
    columns = COLUMNS | {f"{mean_of}_{own}": theirs for own, theirs in LESIONWISE.items()}
    for group, stored in case[challenge].items():
        row = rows[GROUPS[group]] | {  # the package measures whole masks in voxels
            "whole_hd95_mm": in_voxels[GROUPS[group]]["whole_hd95_mm"]
        }
        for own, theirs in (columns | (SIZES if challenge == "mets" else {})).items():
            expected = 373.0 if stored[theirs] == "inf" else stored[theirs]
            if expected is not None:
                assert row[own] == pytest.approx(expected, abs=1e-12), (group, own)
            elif not isnan(row[own]):
                assert own.split("_")[0] in ("matched", "penalised", "large", "small"), own
                assert row[own] in (0, 373.0), "what the package leaves out costs here"


def test_a_lesion_missed_and_one_drawn_where_none_is_count_by_hand():
    reference, prediction = drawn([box(2), box(12)]), drawn([box(3), box(24)])
    row = rows_of(reference, prediction)["ET"]
    assert (row["tp"], row["fp"], row["fn"]) == (1, 1, 1)
    assert row["matched_f1"] == row["matched_precision"] == row["matched_recall"] == 1 / 2
    assert (row["matched_dice"], row["matched_hd95_mm"]) == (3 / 4, 1)
    assert row["penalised_dice"] == 3 / 4 / 3, "the pair, the missed one, the false one"
    assert row["penalised_hd95_mm"] == pytest.approx((1 + 2 * 373) / 3)
    assert row["whole_dice"] == 2 * 48 / 256
    assert row["matched_nsd"] == 1
    assert row["whole_nsd"] == pytest.approx(3 * 12 / 112), "rings of the three common layers"


def test_a_lesion_in_two_pieces_has_one_partner_and_a_false_lesion():
    row = rows_of(drawn([box(4, 8)]), drawn([[4, 4, 4, 3, 8, 8, 3], [8, 4, 4, 4, 8, 8, 3]]))["ET"]
    assert (row["tp"], row["fp"], row["fn"]) == (1, 1, 0)
    assert row["matched_dice"] == 2 * 256 / (512 + 256), "the larger piece"
    assert row["penalised_dice"] == row["matched_dice"] / 2


def test_the_matching_has_the_largest_sum_of_dice_of_all():
    rng = np.random.default_rng(3)
    for _ in range(200):
        height, width = rng.integers(1, 5, 2).tolist()
        table = np.where(rng.random((height, width)) < 0.6, rng.random((height, width)), 0)
        ones, others = np.nonzero(table)
        dices = table[ones, others]
        chosen = matching(ones + 1, others + 1, dices, (height, width))
        assert len(set(ones[chosen])) == len(set(others[chosen])) == len(chosen)
        wide = table if height <= width else table.T
        best = max(
            sum(wide[row, column] for row, column in enumerate(order))
            for order in permutations(range(wide.shape[1]), wide.shape[0])
        )
        assert dices[chosen].sum() == pytest.approx(best)


def test_a_greedy_choice_would_leave_a_lesion_without_partner():
    # the first predicted lesion agrees best with the second of the reference, which needs it not
    dices = np.array([0.5, 0.6, 0.55])
    chosen = matching(np.array([1, 2, 2]), np.array([1, 1, 2]), dices, (2, 2))
    assert chosen.tolist() == [0, 2]


def test_metastases_are_large_from_20_mm3_and_detected_from_a_dice_of_a_tenth():
    reference = drawn([[2, 4, 4, 5, 2, 2, 3], [12, 4, 4, 19, 1, 1, 3], [2, 14, 4, 8, 8, 8, 3]])
    prediction = drawn([[2, 4, 4, 5, 2, 2, 3], [12, 4, 4, 1, 1, 1, 3], [2, 14, 4, 2, 2, 2, 3]])
    row = rows_of(reference, prediction, "brats2025-mets")["ET"]
    assert (row["large_lesions"], row["small_lesions"]) == (2, 1)
    assert row["large_found"] == 1, "a Dice of 16 / 520 is no detection"
    assert row["small_found"] == 1, "2 / 20, a tenth itself, is one"
    assert (row["large_f1"], row["small_f1"], row["matched_f1"]) == (2 / 3, 1, 1)
    assert row["penalised_dice"] == pytest.approx((1 + 16 / 520) / 2), "of the large ones"
    rounded = rows_of(reference, prediction, "brats2025-mets", (1.0, 1.0, 0.9999999))["ET"]
    assert rounded["large_lesions"] == 2


def test_what_is_missed_altogether_is_defined_and_the_worst_in_every_column():
    tumour, empty = drawn([box(4, 8)]), drawn([])
    for pair in ((tumour, empty), (empty, tumour), (tumour, drawn([box(20)]))):
        for rules in ("brats2025-gli", "brats2025-mets"):
            row = rows_of(*pair, rules)["ET"]
            for kind in ("matched", "penalised", "whole"):
                found = [row[f"{kind}_{score}"] for score in ("dice", "hd95_mm", "nsd")]
                assert found == [0, 373, 0], kind
            assert row["matched_f1"] == row["matched_precision"] == 0
    assert rows_of(tumour, empty)["ET"]["matched_recall"] == 0


def test_nothing_there_and_nothing_drawn_is_undefined():
    row = rows_of(drawn([]), drawn([]))["ET"]
    counts = {"tp", "fp", "fn"}
    assert {name for name, value in row.items() if value == 0} == counts
    assert all(isnan(row[name]) for name in row if name not in {"name", "filled", *counts})


def test_gliomas_score_labels_too_and_only_metastases_have_sizes():
    tumour = drawn([box(4, 8, 2), box(6, 4, 3), box(20, 4, 4)])
    assert list(rows_of(tumour, tumour)) == ["WT", "TC", "ET", "RC", "necrotic", "edema"]
    metastases = rows_of(tumour, tumour, "brats2025-mets")
    assert list(metastases) == ["WT", "TC", "ET", "RC"]
    columns = [metric.name for metric in registry.TABLES["matched"]]
    assert list(metastases["ET"]) == ["name", *columns, "filled"]
    assert set(columns) - set(rows_of(tumour, tumour)["ET"]) == set(registry.BY_SIZE)


def test_lesions_are_listed_with_what_was_found_of_each():
    reference, prediction = drawn([box(2), box(12)]), drawn([box(3), box(24)])
    named = TREATED.model_copy(update={"lesion_rules": "brats2025-mets"})
    _, lesions = matched_rows(reference, prediction, named, (1.0, 1.0, 2.0))
    of_et = [tuple(row.values())[1:] for row in lesions if row["name"] == "ET"]
    assert of_et == [
        ("reference", 0.128, 1, 3 / 4, 1),
        ("reference", 0.128, 0, 0, 373),
        ("false_positive", 0.128, 0, 0, 373),
    ]


def test_scores_do_not_depend_on_memory_order_and_none_are_made_without_rules():
    rng = np.random.default_rng(1)
    pair = [rng.integers(0, 5, (12, 11, 10)).astype(np.uint8) for _ in range(2)]
    assert rows_of(*map(np.asfortranarray, pair)) == rows_of(*pair)
    assert rows_of(*pair, "brats2024-gli") == rows_of(*pair, None) == {}
    with pytest.raises(ValueError, match="one grid"):
        rows_of(pair[0], pair[1][1:])


def test_a_slice_is_scored_in_its_plane():
    reference, prediction = (drawn([box(4, 8), box(20, 3)])[:, :, 4:5] for _ in range(2))
    prediction = np.roll(prediction, 1, axis=0)
    row = rows_of(reference, prediction, spacing_mm=(1.0, 1.0, 5.0))["WT"]
    assert (row["tp"], row["matched_hd95_mm"], row["whole_hd95_mm"]) == (2, 1, 1)


def test_rules_are_those_of_the_package():
    assert tuple(MATCHING) == NAMES
    assert {rules.penalty_hd95_mm for rules in MATCHING.values()} == {373.0}
    sizes = {name: rules.least_volume_mm3 for name, rules in MATCHING.items()}
    assert sizes == dict.fromkeys(MATCHING, 0.0) | {"brats2025-mets": 20.0}
    assert [name for name, rules in MATCHING.items() if rules.labels] == [
        "brats2025-gli",
        "brats2025-ped",
    ]
