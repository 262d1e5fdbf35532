"""The command line of a stage, and work over cases in parallel."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest

from pipeline.core import params
from pipeline.core.errors import InputError
from pipeline.core.params import Compute
from pipeline.runtime import parallel, stage
from pipeline.runtime.params_file import DEFAULTS


def sample(raw: Path, out_file: Path, seed: Annotated[int, stage.Key("cohort.seed")]) -> None:
    """A stage."""
    if seed == 13:
        raise InputError(f"{raw}: unlucky")
    out_file.write_text(str(seed))


def params_file(folder: Path, seed: object = 1, backend="loky", address="") -> str:
    """The path of a params.yaml with a seed and a section `compute`."""
    compute = {"backend": backend, "address": address, "workers": 0}
    values = params.read(DEFAULTS) | {"compute": compute}
    values["cohort"]["seed"] = seed
    (folder / "params.yaml").write_text(json.dumps(values))
    return str(folder / "params.yaml")


def run(folder: Path, seed: object) -> None:
    flags = ["--raw", "a", "--out-file", str(folder / "out")]
    stage.main(sample, [*flags, "--params", params_file(folder, seed)])


def test_flags_and_params_come_from_the_signature(tmp_path):
    assert stage.flags(sample) == ["raw", "out_file"]
    assert stage.keys(sample) == {"seed": ("cohort.seed", int)}
    run(tmp_path, 5)
    assert (tmp_path / "out").read_text() == "5"


def test_an_input_error_ends_the_stage_with_its_message(tmp_path):
    with pytest.raises(SystemExit, match="error: a: unlucky"):
        run(tmp_path, 13)


def test_a_missing_key_is_reported_with_the_line_to_add_and_the_command_that_adds_it(tmp_path):
    def split(seed: Annotated[int, stage.Key("split.folds")]) -> None: ...

    path = tmp_path / "params.yaml"
    text = (Path(__file__).parents[2] / "params.yaml").read_text()
    path.write_text(re.sub(r"  folds: 5 .*\n", "", text))
    with pytest.raises(SystemExit, match=r"(?s)split\.folds.*doctor --fix.*added split\.folds: 5"):
        stage.main(split, ["--check", "--params", str(path)])


def unreadable(raw: Path) -> None:
    (raw / "file").read_bytes()


def test_an_os_error_ends_the_stage_with_the_name_of_the_file(tmp_path):
    arguments = ["--raw", str(tmp_path / "absent"), "--params", params_file(tmp_path)]
    with pytest.raises(SystemExit, match=r"absent/file: No such file or directory\. Check that"):
        stage.main(unreadable, arguments)


def test_neither_a_check_nor_a_stage_with_ill_typed_params_touches_anything(tmp_path):
    stage.main(sample, ["--check", "--params", params_file(tmp_path, 5)])
    with pytest.raises(SystemExit, match=r"cohort\.seed.*got 'x'"):
        stage.main(sample, ["--check", "--params", params_file(tmp_path, "x")])
    with pytest.raises(SystemExit, match=r"cohort\.seed.*got 'x'"):
        run(tmp_path, "x")
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_fault_of_a_section_that_a_stage_does_not_read_ends_it_before_it_starts(tmp_path):
    path = Path(params_file(tmp_path))
    values = json.loads(path.read_text())
    values["visualize"]["dpi"] = "abc"
    path.write_text(json.dumps(values))
    flags = ["--raw", "a", "--out-file", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match=r"params\.yaml: visualize\.dpi: .*got 'abc'"):
        stage.main(sample, [*flags, "--params", str(path)])
    assert not (tmp_path / "out").exists()


def double(number: int) -> int:
    if number < 0:
        raise InputError(f"case {number} is negative")
    return 2 * number


REJECTED = r"(?s)case -1 .*case -3 .*2 of 3 cases rejected"


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_cases_and_all_errors_at_once(workers):
    assert parallel.over_cases(double, range(9), "double", workers) == [*range(0, 18, 2)]
    with pytest.raises(InputError, match=REJECTED):
        parallel.over_cases(double, [-1, 2, -3], "double", workers)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_results_and_errors():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        for address in ("", cluster.scheduler_address):
            with parallel.computing(Compute(backend="dask", address=address, workers=2)):
                assert parallel.over_cases(double, range(9), "double") == [*range(0, 18, 2)]
                with pytest.raises(InputError, match=REJECTED):
                    parallel.over_cases(double, [-1, 2, -3], "double")


def test_an_error_of_the_work_is_not_taken_for_one_of_the_cluster():
    with (
        pytest.raises(FileNotFoundError),
        parallel.computing(Compute(backend="loky", address="", workers=1)),
    ):
        Path("absent").read_bytes()


def lone(out_file: Path) -> None:
    """A stage without work over cases."""
    out_file.write_text("done")


def over_all(out_file: Path) -> None:
    """A stage that works over cases, twice."""
    for count in (3, 2):
        results = parallel.over_cases(double, range(count), "double")
        out_file.write_text(str(results))


def run_on(folder: Path, function: Callable, backend: str, address: str = "") -> str:
    path = params_file(folder, backend=backend, address=address)
    stage.main(function, ["--out-file", str(folder / "out"), "--params", path])
    return (folder / "out").read_text()


def test_a_stage_without_work_over_cases_needs_neither_joblib_nor_the_cluster(
    tmp_path, monkeypatch
):
    for absent in ("joblib", "ray"):
        monkeypatch.setitem(sys.modules, absent, None)
    assert run_on(tmp_path, lone, "ray") == "done"


def test_a_cluster_that_cannot_be_used_ends_the_stage_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        SystemExit, match=r"backend is ray, which is not installed .*pip install ray"
    ):
        run_on(tmp_path, over_all, "ray")
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(SystemExit, match="no dask scheduler answers there"),
    ):
        run_on(tmp_path, over_all, "dask", "tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()


def test_a_stage_uses_the_backend_of_its_section_until_it_ends(tmp_path, monkeypatch):
    joined = []

    def join(stack, address, workers):
        joined.append("joined")
        stack.callback(joined.append, "left")

    monkeypatch.setitem(parallel._BACKENDS, "loky", join)
    assert run_on(tmp_path, over_all, "loky") == "[0, 2]"
    assert joined == ["joined", "left"]
    assert parallel.over_cases(double, [1], "double", workers=1) == [2]
    assert joined == ["joined", "left"]
