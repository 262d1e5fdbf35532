"""What bits of a prediction depend on: it changes with switches and code, and not with the log."""

import json

from pipeline.runtime import arithmetic


def test_switches_of_arithmetic_count_and_those_of_the_log_do_not(monkeypatch):
    before = arithmetic.origin("core")
    assert json.loads(json.dumps(before)) == before
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    monkeypatch.setenv("UNRELATED", "1")
    assert arithmetic.origin("core") == before
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=false")
    assert arithmetic.origin("core") != before


def test_code_versions_and_processor_count():
    origin = arithmetic.origin("core")
    assert origin["code"] != arithmetic.origin("core", "network")["code"]
    assert {"numpy", "keras"} <= set(origin["packages"])
    assert origin["machine"]["cores"] >= origin["machine"]["usable_cores"] > 0
