"""The tools of the correction (assets/correction_*.js) in Node, against scipy and by hand."""

import json
import shutil
import subprocess
import zlib
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from pipeline.serving.pages import ASSETS

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no node on PATH")
SHAPE, SPACING_MM = (24, 20, 12), (1.0, 1.5, 3.0)
_PROGRAM = """
import * as shapes from "./correction_shapes.js";
import {History} from "./correction_history.js";
import {readFileSync, writeFileSync} from "node:fs";
const {shape, values} = JSON.parse(readFileSync("given.json"));
const voxels = new Uint8Array(readFileSync("voxels.raw"));
const grey = new Uint8Array(readFileSync("grey.raw"));
const answer = (() => { BODY })();
writeFileSync("voxels.raw", voxels);
writeFileSync("answer.json", JSON.stringify(answer ?? null));
"""


@pytest.fixture
def node(tmp_path):
    """A function that runs JavaScript on voxels; gives what it returns and the voxels after it."""
    for name in ("correction_shapes.js", "correction_history.js"):
        shutil.copy(ASSETS / name, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')

    def run(body, voxels=None, grey=None, **values):
        voxels = np.zeros(SHAPE, np.uint8) if voxels is None else voxels
        grey = np.zeros_like(voxels) if grey is None else grey
        (tmp_path / "voxels.raw").write_bytes(voxels.tobytes("F"))
        (tmp_path / "grey.raw").write_bytes(grey.tobytes("F"))
        given = {"shape": voxels.shape, "values": {"spacing": SPACING_MM} | values}
        (tmp_path / "given.json").write_text(json.dumps(given))
        (tmp_path / "program.js").write_text(_PROGRAM.replace("BODY", body))
        subprocess.run([str(NODE), "program.js"], cwd=tmp_path, check=True, timeout=60)
        after = np.frombuffer((tmp_path / "voxels.raw").read_bytes(), np.uint8)
        answer = json.loads((tmp_path / "answer.json").read_text())
        return answer, after.reshape(voxels.shape, order="F")

    return run


def within(centre, radius_mm, across=None, shape=SHAPE, spacing_mm=SPACING_MM):
    """Mask of the voxels whose centres lie in a ball, or a disc across an axis."""
    places = np.indices(shape).T - np.array(centre)
    far = radius_mm + 1e-9 >= np.linalg.norm(places * spacing_mm, axis=-1).T
    if across is not None:
        slices = np.arange(shape[across]) == centre[across]
        far &= np.expand_dims(slices, [axis for axis in range(3) if axis != across])
    return far


STAMP = """
const {centre, radius, across, label, over, spacing} = values;
return shapes.stamp(voxels, shape, shapes.brushOf(radius, spacing, across), centre, label, over);
"""


@pytest.mark.parametrize("across", [None, 0, 1, 2])
@pytest.mark.parametrize("radius", [0.4, 3.0, 5.2])
@pytest.mark.parametrize("centre", [(11, 9, 6), (0, 19, 11), (23, 0, 1)])
def test_a_brush_has_its_radius_in_mm_on_anisotropic_voxels(node, across, radius, centre):
    box, after = node(STAMP, centre=centre, radius=radius, across=across, label=2, over=None)
    expected = within(centre, radius, across)
    assert np.array_equal(after == 2, expected)
    found = np.argwhere(expected)
    assert (found >= box[0]).all()
    assert (found < box[1]).all()


@pytest.mark.parametrize("over", [0, 1])
def test_a_brush_changes_what_it_may_alone(node, over):
    before = np.zeros(SHAPE, np.uint8)
    before[8:12], before[12:14] = 1, 3
    _, after = node(STAMP, before, centre=(11, 9, 6), radius=6, across=2, label=2, over=over)
    expected = np.where(within((11, 9, 6), 6, 2) & (before == over), 2, before)
    assert np.array_equal(after, expected)


def test_a_line_has_no_gap_and_ends_at_the_pointer(node):
    body = "return shapes.line(values.start, values.end);"
    steps, _ = node(body, start=[2, 3, 4], end=[9, -1, 4])
    assert steps[-1] == [9, -1, 4]
    assert len(steps) == 7
    for one, other in pairwise([[2, 3, 4], *steps]):
        assert np.abs(np.subtract(one, other)).max() == 1
    assert node(body, start=[2, 3, 4], end=[2, 3, 4])[0] == []


GROW = """
const {seed, spacing, ...options} = values;
return shapes.grow(voxels, grey, shape, spacing, seed, options);
"""


@pytest.mark.parametrize("across", [None, 2])
def test_grow_takes_the_connected_voxels_in_the_range_and_within_the_radius(node, across):
    rng = np.random.default_rng(5)
    grey = rng.integers(0, 256, SHAPE, dtype=np.uint8)
    grey[10:14, 8:12, 4:8] = 100
    seed = (11, 9, 5)
    given = {"seed": seed, "low": 40, "high": 200, "radius": 7.0, "across": across, "label": 3}
    answer, after = node(GROW, grey=grey, over=None, **given)
    allowed = (grey >= 40) & (grey <= 200) & within(seed, 7.0, across)
    numbered, _ = ndimage.label(allowed)
    expected = numbered == numbered[seed]
    assert np.array_equal(after == 3, expected)
    assert answer["count"] == expected.sum() > 20
    found = np.argwhere(expected)
    assert answer["box"] == [found.min(0).tolist(), (found.max(0) + 1).tolist()]


def test_grow_stops_at_labels_that_may_not_change_and_at_a_seed_out_of_range(node):
    grey = np.full(SHAPE, 90, np.uint8)
    wall = np.zeros(SHAPE, np.uint8)
    wall[12] = 1
    given = {"seed": (6, 9, 6), "low": 80, "high": 100, "radius": 99, "across": None, "label": 2}
    _, after = node(GROW, wall, grey, over=0, **given)
    assert (after[:12] == 2).all()
    assert np.array_equal(after[12:], wall[12:])
    answer, after = node(GROW, wall, grey, over=None, **given | {"low": 95})
    assert answer == {"count": 0, "box": None}
    assert np.array_equal(after, wall)


def test_signed_distances_are_those_of_scipy(node):
    rng = np.random.default_rng(3)
    mask = rng.random((40, 30)) > 0.6
    body = """
    return [...shapes.signedDistances(Uint8Array.from(values.mask), 40, 30, values.spacing)];
    """
    found, _ = node(body, mask=mask.ravel(order="F").astype(int).tolist(), spacing=(1.0, 1.5))
    outside, inside = (
        ndimage.distance_transform_edt(side, sampling=(1.0, 1.5)) for side in (~mask, mask)
    )
    assert np.allclose(np.reshape(found, (40, 30), order="F"), outside - inside)


FILL = "return shapes.fillBetween(voxels, shape, values.spacing, values);"


@pytest.mark.parametrize("across", [0, 1, 2])
def test_fill_between_two_discs_gives_discs_of_radii_in_between(node, across):
    shape, spacing_mm, centre = (41, 41, 41), (1.0, 1.0, 1.0), [20, 20, 20]
    before = np.zeros(shape, np.uint8)
    radii = {10: 6.0, 18: 14.0}
    for place, radius in radii.items():
        centre[across] = place
        before[within(centre, radius, across, shape, spacing_mm)] = 2
    given = {"label": 2, "across": across, "low": 10, "high": 18, "spacing": spacing_mm}
    answer, after = node(FILL, before, over=None, **given)
    assert answer["count"] == (after != before).sum()
    for place in range(11, 18):
        area = (np.take(after, place, axis=across) == 2).sum()
        expected = np.pi * (6 + (place - 10)) ** 2
        assert area == pytest.approx(expected, rel=0.12)
    outside = [place for place in range(41) if not 10 < place < 18]
    for place in outside:
        assert np.array_equal(*(np.take(each, place, axis=across) for each in (after, before)))


def test_fill_between_adds_alone_and_respects_what_may_change(node):
    before = np.zeros(SHAPE, np.uint8)
    before[8:16, 6:14, [3, 7]] = 2
    before[10:12, 8:10, 5] = 3
    before[2, 2, 5] = 2  # another lesion, which is in neither of the two slices
    given = {"label": 2, "across": 2, "low": 3, "high": 7}
    _, after = node(FILL, before, over=0, **given)
    assert (after[8:16, 6:14, 4] == 2).all()
    assert (after[10:12, 8:10, 5] == 3).all()
    assert after[2, 2, 5] == 2
    assert (node(FILL, before, over=None, **given)[1][8:16, 6:14, 5] == 2).all()


def test_fill_between_takes_the_pair_around_the_slice_looked_at(node):
    body = "return values.asked.map(([slices, at]) => shapes.pairAround(slices, at));"
    asked = [([10, 16], 12), ([10, 16], 16), ([16, 10, 20], 16), ([10, 11], 10), ([10, 16], 20)]
    expected = [[10, 16], [10, 16], [16, 20], None, None]
    assert node(body, asked=asked)[0] == expected


def test_slices_with_a_label_are_listed(node):
    before = np.zeros(SHAPE, np.uint8)
    before[3, 4, [2, 9]] = 1
    body = "return [0, 1, 2].map(axis => shapes.slicesWith(voxels, shape, axis, 1));"
    assert node(body, before)[0] == [[3], [4], [2, 9]]


def test_a_piece_is_removed_and_the_largest_kept(node):
    before = np.zeros(SHAPE, np.uint8)
    before[2:8, 2:8, 2:8], before[4:6, 4:6, 4:6] = 2, 3
    before[15:18, 10:13, 4:6] = 2
    before[18, 13, 6] = 3  # touches by a corner
    remove = "return shapes.removePiece(voxels, shape, values.place, values.label);"
    answer, after = node(remove, before, place=(16, 11, 5), label=None)
    expected = before.copy()
    expected[15:] = 0
    assert answer == {"count": 19, "box": [[15, 10, 4], [19, 14, 7]]}
    assert np.array_equal(after, expected)
    _, one_label = node(remove, before, place=(16, 11, 5), label=2)
    assert one_label[18, 13, 6] == 3
    assert (one_label == 2).sum() == (expected == 2).sum()
    _, kept = node("return shapes.keepLargest(voxels, shape, null);", before)
    assert np.array_equal(kept, expected)
    assert node(remove, before, place=(0, 0, 0), label=None)[0]["count"] == 0


def test_changed_voxels_are_counted_by_label(node):
    before = np.zeros(SHAPE, np.uint8)
    before[2:5, 2:4, 2] = 1
    after = before.copy()
    after[2, 2:4, 2], after[8, 8, 8:11] = 2, 1
    body = "return shapes.statistics(voxels, grey, 2);"
    assert node(body, after, before)[0] == [
        {"now": 7, "before": 6, "added": 3, "removed": 2},
        {"now": 2, "before": 0, "added": 2, "removed": 0},
    ]


def test_each_of_many_steps_is_undone_and_done_again(node):
    rng = np.random.default_rng(8)
    steps = [
        {
            "centre": rng.integers(0, SHAPE).tolist(),
            "label": int(rng.integers(0, 4)),
            "radius": int(rng.integers(1, 9)),
        }
        for _ in range(60)
    ]
    body = """
    const history = new History(voxels, shape), seen = [shapes.fingerprint(voxels)];
    for (const {centre, label, radius} of values.steps) {
      const brush = shapes.brushOf(radius, values.spacing, null);
      const box = shapes.stamp(voxels, shape, brush, centre, label);
      if (history.commit(box)) seen.push(shapes.fingerprint(voxels));
    }
    const back = [], again = [];
    while (history.canUndo) {
      back.unshift(shapes.fingerprint(voxels));
      history.undo();
    }
    back.unshift(shapes.fingerprint(voxels));
    again.push(shapes.fingerprint(voxels));
    while (history.redo()) again.push(shapes.fingerprint(voxels));
    return {seen, back, again};
    """
    before = rng.integers(0, 4, SHAPE, dtype=np.uint8)
    answer, _ = node(body, before, steps=steps)
    assert len(answer["seen"]) > 50
    assert answer["back"] == answer["seen"] == answer["again"]


def test_a_new_step_ends_what_was_undone_and_old_steps_make_room(node):
    body = """
    const history = new History(voxels, shape, {steps: 3, bytes: 40});
    const stamp = (x, label) => shapes.stamp(voxels, shape, [[0, 0, 0]], [x, 5, 5], label);
    const paint = (x, label) => history.commit(stamp(x, label));
    const counts = [paint(1, 2), paint(1, 2), paint(2, 2), paint(3, 2), paint(4, 2), paint(5, 2)];
    history.undo();
    paint(9, 1);
    const redo = history.canRedo;
    let undone = 0;
    while (history.undo()) undone++;
    return {counts, redo, undone, bytes: history.bytes};
    """
    answer, after = node(body)
    assert answer == {"counts": [1, 0, 1, 1, 1, 1], "redo": False, "undone": 3, "bytes": 30}
    assert np.argwhere(after).tolist() == [[1, 5, 5], [2, 5, 5]]


def test_a_preview_is_taken_back_without_a_step(node):
    body = """
    const history = new History(voxels, shape);
    history.revert(shapes.stamp(voxels, shape, [[0, 0, 4]], [9, 5, 5], 2));
    return [history.canUndo, shapes.slicesWith(voxels, shape, 0, 2)];
    """
    assert node(body)[0] == [False, []]


def test_fill_between_of_a_whole_head_takes_less_than_200_ms(node):
    shape = (240, 240, 155)
    before = np.zeros(shape, np.uint8)
    for place, radius in ((60, 40.0), (90, 55.0)):
        before[..., place] = within((120, 120, 0), radius, 2, (240, 240, 1), (1, 1, 1))[..., 0]
    body = """
    const taken = Array.from({length: 5}, () => {
      const own = voxels.slice(), before = process.cpuUsage().user;
      shapes.fillBetween(own, shape, values.spacing, values);
      return (process.cpuUsage().user - before) / 1000;
    });
    shapes.fillBetween(voxels, shape, values.spacing, values);
    return Math.min(...taken);
    """
    given = {"label": 1, "across": 2, "low": 60, "high": 90, "over": None, "spacing": (1, 1, 1)}
    milliseconds, after = node(body, before, **given)
    assert (after[120, 120, 60:91] == 1).all()
    assert milliseconds < 200


def test_the_fingerprint_of_a_file_is_the_one_that_the_server_computes(node):
    voxels = np.random.default_rng(3).integers(0, 256, SHAPE, dtype=np.uint8)
    assert node("return shapes.fingerprint(voxels);", voxels)[0] == zlib.crc32(voxels.tobytes("F"))
    assert node("return shapes.fingerprint(new Uint8Array());")[0] == 0
