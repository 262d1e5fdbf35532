"""Kept predictions: the bits of the network, or none."""

import os
import sys
from functools import cache, partial

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.network import backend, predictor
from pipeline.network.blending import OnDevice, OnHost
from pipeline.network.card import Card, Member
from pipeline.network.kept import KeptPredictions
from pipeline.network.prediction import Prediction
from pipeline.preparation.patches import window_origins
from tests.network.conftest import TINY, tiny
from tests.network.test_inference import typed
from tests.network.test_predictor import GEOMETRY, IMAGE, SCHEMA, SETTINGS

LARGE = 10**9
MEMBER = Member(trained_on=("a",), validated_on=("b",), best_epoch=1, val_dice=None)
ON_TENSORFLOW = pytest.mark.skipif(
    backend.name() != "tensorflow", reason="OpenVINO takes networks on TensorFlow alone"
)
ORIGIN = {"code": "one", "machine": {"cpu": "x"}}


def card(output="regions", **changes):
    described = Card.model_construct(
        cohort=SCHEMA,
        network=TINY.model_copy(update={"output": output}),
        patch=(4, 4),
        network_sha256="0" * 64,
        members=(MEMBER,),
    )
    return described.model_copy(update=changes)


def no_network():
    raise AssertionError("the network was asked for")


@cache
def built(output):
    return tiny(outputs=3 if output == "regions" else 4, output=output)


def network(output="regions"):
    return partial(built, output)


def predict(kept, load, described=None, settings=SETTINGS, image=IMAGE, **options):
    return kept.predict(load, described or card(), settings, image, "case", GEOMETRY, **options)


def bits(prediction, described, settings=SETTINGS):
    """All that is read of a prediction."""
    return [
        predictor.raw_classes(prediction, described, settings),
        prediction.probabilities,
        prediction.restored,
        prediction.competing,
        prediction.types,
        prediction.restored_disagreement,
        predictor.region_probabilities(prediction, described, settings),
    ]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert (one.dtype, one.strides) == (other.dtype, other.strides)
            np.testing.assert_array_equal(one, other)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "probabilities"


@pytest.mark.parametrize("compare", [False, True])
@pytest.mark.parametrize("output", ["regions", "labels"])
def test_a_kept_prediction_has_the_bits_of_the_network(folder, output, compare):
    image = IMAGE.copy()
    image[:4] = 0  # windows without brain
    described, load = card(output), network(output)
    plain = predictor.predict(
        load(), described, SETTINGS, image, compare=compare, geometry=GEOMETRY
    )
    expected = bits(plain, described)
    for source, kept in ((load, False), (no_network, True)):
        again = KeptPredictions(folder, LARGE, ORIGIN)
        found = predict(again, source, described, image=image, compare=compare)
        assert found.kept == kept
        assert_same(bits(found, described), expected)


def test_a_kept_prediction_has_the_types_of_the_case(folder):
    described = card("labels")
    options = {"image": IMAGE}
    first = predict(KeptPredictions(folder, LARGE, ORIGIN), partial(typed, 4), described, **options)
    assert first.types is not None
    again = predict(KeptPredictions(folder, LARGE, ORIGIN), no_network, described, **options)
    assert_same(bits(again, described), bits(first, described))


@pytest.mark.parametrize("place", [OnHost, OnDevice])
def test_sums_of_host_and_device_come_back_with_the_same_labels(folder, place):
    numbers, image = np.random.default_rng(0), np.ones((*GEOMETRY.shape, 1), np.float32)
    origins = window_origins(GEOMETRY.shape, (4, 4), 0.5)[:-2]  # the last ones are not predicted
    volume = place(image, origins, (4, 4), 3, 3 + 2)
    windows = numbers.uniform(0, 1.2, (len(origins), 4, 4, 5)).astype(np.float32)
    volume.add(origins, windows)
    kept = KeptPredictions(folder, LARGE, ORIGIN)
    path = folder / "one"
    first = Prediction(volume.total, 3, False, None, GEOMETRY)
    kept._write(path, first)
    again = kept._read(path, card(), GEOMETRY)
    assert type(again.blended) is type(first.blended)
    if place is OnDevice:
        assert again.blended.sums.shape == first.blended.sums.shape
    for thresholds in ({}, {"ET": 0.7}):
        labels = [each.raw_classes(SCHEMA, "regions", thresholds) for each in (first, again)]
        assert labels[0].any()
        np.testing.assert_array_equal(*labels)
    assert_same(bits(again, card()), bits(first, card()))


def test_postprocessing_and_thresholds_take_what_is_kept(folder):
    predict(KeptPredictions(folder, LARGE, ORIGIN), network())
    changes = {"thresholds": {"ET": 0.7}, "temperature": 2.0, "min_component_ml": 5.0}
    other = SETTINGS.postprocess.model_copy(update=changes)
    settings = SETTINGS.model_copy(update={"postprocess": other})
    kept = KeptPredictions(folder, LARGE, ORIGIN)
    found = predict(kept, no_network, settings=settings)
    plain = predictor.predict(network()(), card(), settings, IMAGE, geometry=GEOMETRY)
    assert_same(bits(found, card(), settings), bits(plain, card(), settings))
    assert kept.close().startswith("predictions: 0 made, 1 kept from before; ")
    assert kept.close().endswith("/probabilities holds 0.00 of at most 1 GB")


def set_in(settings, **changes):
    return {"settings": settings.model_copy(update=changes)}


@pytest.mark.parametrize(
    "changed",
    [
        set_in(SETTINGS, overlap=0.25),
        set_in(SETTINGS, mirror=("x",)),
        set_in(SETTINGS, batch_size=3),
        pytest.param(set_in(SETTINGS, engine="openvino"), marks=ON_TENSORFLOW),
        {"described": card(network_sha256="1" * 64)},
        {"described": card(patch=(4, 8))},
        {"described": card(train={"precision": "mixed_bfloat16"})},
        {"image": np.nextafter(IMAGE, np.float32(9))},
        {"image": IMAGE.astype(np.float16)},
        {"compare": True},
        {"member": 0},
        {"origin": ORIGIN | {"code": "two"}},
        {"origin": ORIGIN | {"machine": {"cpu": "y"}}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_change_of_what_the_bits_depend_on_predicts_again(folder, changed):
    predict(KeptPredictions(folder, LARGE, ORIGIN), network())
    options = dict(changed)
    kept = KeptPredictions(folder, LARGE, options.pop("origin", ORIGIN))
    assert not predict(kept, network(), **options).kept
    assert len(list(folder.iterdir())) == 2


def test_a_change_of_imported_own_code_predicts_again(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_layers.py").write_text("SIDE = 3\n")
    own = TINY.model_copy(update={"architecture": "own_layers:build"})

    def load():
        __import__("own_layers")
        return built("regions")

    def ask():
        return predict(KeptPredictions(folder, LARGE, ORIGIN), load, card(network=own)).kept

    assert [ask(), ask()] == [False, True]
    (tmp_path / "own_layers.py").write_text("SIDE = 5\n")
    del sys.modules["own_layers"]
    assert [ask(), ask()] == [False, True]
    del sys.modules["own_layers"]


@pytest.mark.parametrize("spoil", ["flip", "cut", "empty"])
def test_a_damaged_entry_is_noticed_and_written_again(folder, caplog, spoil):
    first = predict(KeptPredictions(folder, LARGE, ORIGIN), network())
    (path,) = folder.iterdir()
    whole = bytearray(path.read_bytes())
    if spoil == "flip":
        whole[len(whole) // 2] ^= 1
    path.write_bytes({"flip": whole, "cut": whole[: len(whole) // 2], "empty": b""}[spoil])
    again = predict(KeptPredictions(folder, LARGE, ORIGIN), network())
    assert not again.kept
    assert "is damaged; predicted again" in caplog.text
    assert_same(bits(again, card()), bits(first, card()))
    assert predict(KeptPredictions(folder, LARGE, ORIGIN), no_network).kept


def test_what_a_killed_process_left_is_not_read(folder):
    predict(KeptPredictions(folder, LARGE, ORIGIN), network())
    (path,) = folder.iterdir()
    path.rename(path.with_name(f".partial-{path.name}"))
    assert not predict(KeptPredictions(folder, LARGE, ORIGIN), network()).kept


def images(count):
    return [IMAGE + np.float32(number) for number in range(count)]


def test_the_least_recently_used_entries_make_room_and_those_of_this_run_stay(folder):
    old = KeptPredictions(folder, LARGE, ORIGIN)
    one, two, three, four = images(4)
    for number, image in enumerate((one, two, three)):
        predict(old, network(), image=image)
        newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (number, number))
    size = newest.stat().st_size
    limited = KeptPredictions(folder, 3 * size + size // 2, ORIGIN)
    assert predict(limited, no_network, image=one).kept  # now the most recently used
    predict(limited, network(), image=four)
    seen = KeptPredictions(folder, LARGE, ORIGIN)
    assert [predict(seen, network(), image=image).kept for image in (one, four, three)] == [
        True
    ] * 3
    assert not predict(seen, network(), image=two).kept


def test_a_run_larger_than_the_limit_keeps_what_fits_and_says_so(folder):
    predict(KeptPredictions(folder, LARGE, ORIGIN), network())
    (path,) = folder.iterdir()
    size = path.stat().st_size
    kept = KeptPredictions(folder, 2 * size + size // 2, ORIGIN)
    for image in images(4):
        predict(kept, network(), image=image)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= kept.limit
    assert (kept.made, kept.found, kept.left_out) == (3, 1, 2)
    assert kept.close().endswith("; 2 not kept for lack of room")


def test_a_lower_limit_removes_what_is_beyond_it_without_a_new_entry(folder):
    for image in images(3):
        predict(KeptPredictions(folder, LARGE, ORIGIN), network(), image=image)
    size = max(path.stat().st_size for path in folder.iterdir())
    kept = KeptPredictions(folder, size + size // 2, ORIGIN)
    assert predict(kept, no_network).kept
    kept.close()
    assert [path.stat().st_size <= size for path in folder.iterdir()] == [True]
    assert predict(KeptPredictions(folder, LARGE, ORIGIN), no_network).kept


def test_a_limit_of_nothing_writes_and_reads_nothing(folder):
    assert not predict(KeptPredictions(folder, 0, ORIGIN), network()).kept
    assert not folder.exists()
    predict(KeptPredictions(folder, LARGE, ORIGIN), network())
    assert not predict(KeptPredictions(folder, 0, ORIGIN), network()).kept


def test_a_folder_that_cannot_be_written_costs_a_warning_only(folder, caplog):
    folder.write_text("a file")
    kept = KeptPredictions(folder, LARGE, ORIGIN)
    assert predict(kept, network()).probabilities.any()
    assert kept.close().startswith("predictions: 1 made, 0 kept")
    assert "the prediction is not kept (File exists)" in caplog.text


def test_thresholds_of_labels_are_rejected_although_nothing_is_predicted(folder):
    predict(KeptPredictions(folder, LARGE, ORIGIN), network("labels"), card("labels"))
    raised = SETTINGS.postprocess.model_copy(update={"thresholds": {"ET": 0.6}})
    settings = SETTINGS.model_copy(update={"postprocess": raised})
    with pytest.raises(InputError, match="thresholds are of regions, but"):
        predict(KeptPredictions(folder, LARGE, ORIGIN), no_network, card("labels"), settings)
