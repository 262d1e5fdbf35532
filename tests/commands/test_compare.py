import argparse
import json
import re
import subprocess
from math import nan
from pathlib import Path

import numpy as np
import pytest

from pipeline.commands import compare
from pipeline.core.errors import InputError
from pipeline.core.records import write_csv
from pipeline.runtime.tracking import store


def call(*arguments):
    """Call the command with what a user types after its name."""
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    return compare.run(parser.parse_intermixed_args(list(map(str, arguments))))


@pytest.fixture
def shown(capsys):
    """Call the command; what it prints."""

    def printed(*arguments):
        call(*arguments)
        return capsys.readouterr().out

    return printed


# DVC 3.67 calls pygtrie 2.5 in its older way
ignore_pygtrie = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def rejected(*arguments):
    """The message of the error."""
    with pytest.raises(InputError) as fault:
        call(*arguments)
    return str(fault.value)


def rows_of(seed, gain=0.0, cases=range(12), filled=False, **changes):
    """Dice and HD95 of two regions and a label; the references are the same whatever the seed."""
    rng = np.random.default_rng(seed)
    rows = []
    for case in cases:
        for kind, name in (("label", "edema"), ("region", "WT"), ("region", "ET")):
            row = {
                "case": f"case{case:02d}",
                "patient": f"P{case // 2}",
                "kind": kind,
                "name": name,
            }
            row |= {"dice": min(rng.beta(8, 2) * 0.9 + gain, 1.0), "hd95_mm": rng.exponential(4)}
            row |= {"reference_ml": 10.0 + case, "prediction_ml": 9.0 + case, "filled": ""}
            if filled and name == "ET" and case == 3:
                row |= {"dice": 1.0, "hd95_mm": 0.0, "filled": "both_empty"}
                row |= {"reference_ml": 0.0, "prediction_ml": 0.0}
            rows.append(row | changes)
    return rows


def write(**runs):
    """A table of cases for each run."""
    for name, rows in runs.items():
        write_csv(Path(f"{name}.csv"), rows)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that we stand in, with two runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    write_csv(Path("old/metrics/cases.csv"), rows_of(1))
    write_csv(Path("new/cases.csv"), rows_of(2, gain=0.1))
    return tmp_path


def test_two_runs_are_compared_region_by_region_within_120_columns(folder, shown):
    text = shown("old", "new/cases.csv")
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    assert "A  old  (file; 12 cases)" in lines
    assert "A and B share 12 cases of 6 patients." in lines
    head = next(line for line in lines if "p perm" in line)
    assert "|".join(re.split("  +", head.strip())) == (
        "metric|n|rule|undef|mean A|mean B|B - A|95% interval|+/-|p perm|p Wilc|Holm"
    )
    row = r"(WT|ET|  )\s+(dice|hd95_mm)\s+12\s+0\s+0\s"
    named = [line for line in lines if re.match(row, line)]
    assert len(named) == 4
    assert len({line.index("]") for line in named}) == 1, "aligned"
    assert "edema" not in text
    assert re.search(r"^edema +dice", shown("old", "new", "--labels"), re.MULTILINE)
    write_csv(Path("metrics/cases.csv"), rows_of(3))
    assert "A  workspace  (workspace; 12 cases)" in shown("workspace", "old")


def test_what_is_printed_is_what_was_computed_and_depends_on_the_seed_alone(folder, shown):
    arguments = ("old", "new", "--metrics", "dice")
    text = shown(*arguments, "--json", "out/numbers.json")
    numbers = json.loads(Path("out/numbers.json").read_text())
    assert [(run["letter"], run["name"], run["cases"]) for run in numbers["runs"]] == [
        ("A", "old", 12),
        ("B", "new", 12),
    ]
    for row in numbers["comparisons"][0]["rows"]:
        line = next(line for line in text.splitlines() if line.startswith(row["name"]))
        for key in ("mean_first", "mean_second", "p_permutation", "p_wilcoxon"):
            assert f" {row[key]:.4f} " in line
        assert f" {row['difference']:+.4f}  [{row['low']:+.4f}, {row['high']:+.4f}]" in line
        assert row["patients"] == 6
    assert numbers["settings"]["seed"] == 0
    assert "standing" in numbers
    assert shown(*arguments) == text != shown(*arguments, "--seed", 5)


def test_a_clear_gain_is_called_better_and_its_loss_worse(folder, shown):
    write(a=rows_of(1, cases=range(40), gain=-0.2), b=rows_of(1, cases=range(40)))
    text = shown("a.csv", "b.csv", "--metrics", "dice")
    assert "B is better than A in 2 and worse in 0 of 2 comparisons" in text
    assert len(re.findall(r"40/0 .* better$", text, re.MULTILINE)) == 2
    assert "Warning" not in text, "there are patients enough"
    back = shown("b.csv", "a.csv", "--metrics", "dice")
    assert "B is better than A in 0 and worse in 2 of 2 comparisons" in back


def test_the_cases_that_changed_most_come_first_with_where_and_how(folder, shown):
    first = rows_of(1)
    second = [row | {} for row in first]
    second[3 * 4 + 2]["dice"] = 0.0  # ET of the fifth case
    second[3 * 7 + 1]["dice"] -= 0.01
    write(a=first, b=second)
    text = shown("a.csv", "b.csv", "--cases", 5)
    listed = text.partition("changed most from A to B:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[:3] for line in listed] == [
        ["case04", "ET", "dice"],
        ["case07", "WT", "dice"],
    ]
    before = first[3 * 4 + 2]["dice"]
    assert f"{before:.4f} -> 0.0000 ({-before:+.4f})" in listed[0]
    assert "changed" not in shown("a.csv", "b.csv", "--cases", 0)


def test_as_many_metrics_of_a_changed_case_are_shown_as_fit(folder, shown):
    for name, gain in (("a", 0.0), ("b", 0.1)):
        rows = rows_of(1, gain, nsd_1mm=0.5 + gain, nsd_2mm=0.5 + gain)
        long = [row | {"case": f"{row['case']} of a hospital with a long name"} for row in rows]
        write(**{name: long})
    text = shown("a.csv", "b.csv", "--metrics", "dice,hd95_mm,nsd_1mm,nsd_2mm")
    assert max(map(len, text.splitlines())) <= 120
    changed = text.partition("changed most from A to B:\n")[2].splitlines()[0]
    assert "dice" in changed
    assert "nsd_2mm" not in changed


def test_equal_runs_say_so_and_few_patients_are_warned_about(folder, shown):
    write(copy=rows_of(1))
    text = shown("old", "copy.csv")
    assert "better than A in 0 and worse in 0 of 4" in text
    assert "No dice changed." in text
    few = "Warning: with 6 patients intervals are too narrow, and no p can be below 0.031."
    assert few in text


def test_cases_and_regions_of_one_run_alone_are_named_and_left_out(folder, shown):
    write(
        a=[row for row in rows_of(1, cases=range(8)) if row["name"] != "WT"],
        b=rows_of(2, cases=range(5, 20)),
    )
    text = shown("a.csv", "b.csv")
    assert "A and B share 3 cases of 2 patients." in text
    assert "Only in A, left out: 5 cases (case00, case01, case02, case03 and 1 more)." in text
    assert "Only in B, left out: 12 cases (case08, case09, case10, case11 and 8 more)." in text
    assert "Only in B, left out: 1 regions (WT)." in text
    no_interval = re.search(r"^ET +dice +3 .* \[-, -\] ", text, re.MULTILINE)
    assert no_interval, "of two patients"


def test_another_empty_rule_is_reported(folder, shown):
    ruled, undefined = rows_of(1, filled=True), rows_of(1, filled=True)
    for row in undefined:
        if row["filled"]:
            row |= {"dice": nan, "hd95_mm": nan, "filled": ""}
    write(a=ruled, b=undefined)
    text = shown("a.csv", "b.csv")
    assert "by different rules: A gives scores where both are empty; B leaves" in text
    assert re.search(r"^ET +dice +11 +0 +1 ", text, re.MULTILINE)


def test_a_table_of_before_the_new_columns_is_compared_on_what_it_has(folder, shown):
    for name in ("modern.csv", "modern too.csv"):
        write_csv(Path(name), rows_of(2, nsd_1mm=0.5, volume_error_ml=-1.0))
    assert "nsd_1mm" not in shown("old", "modern.csv").partition("\n\n")[2]
    message = rejected("old", "modern.csv", "--metrics", "dice,nsd_1mm")
    assert "nsd_1mm is not in old. All runs have dice, hd95_mm." in message
    text = shown("modern.csv", "modern too.csv", "--metrics", "volume_error_ml, nsd_1mm")
    assert "nsd_1mm" in text


@pytest.mark.parametrize(
    ("table", "file", "columns"),
    [
        ("lesionwise", "lesionwise.csv", ("lesion_dice", "lesions")),
        ("instances", "metrics/tables/instances.csv", ("f1", "pq")),
    ],
)
def test_the_other_tables_of_a_run_can_be_compared(folder, shown, table, file, columns):
    for name in ("old", "new"):
        rows = [
            {key: row[key] for key in ("case", "patient", "name")} | dict.fromkeys(columns, 0.5)
            for row in rows_of(1)
            if row["kind"] == "region"
        ]
        write_csv(Path(name) / file, rows)
    text = shown("old", "new", "--table", table)
    assert re.search(rf"^WT +{columns[0]} +12 ", text, re.MULTILINE)
    assert "cannot be checked that both were scored against the same references" in text


def test_more_runs_are_ranked(folder, shown):
    write(bad=rows_of(1, gain=-0.3))
    text = shown("old", "new", "bad.csv", "--metrics", "dice", "--json", "numbers.json")
    assert "A and B share" in text
    assert "A and C share" in text
    table = text.partition("Ranking as in the BraTS challenge")[2].splitlines()
    ranks = [line.split()[:3] for line in table[2:5]]
    assert ranks == [["1", "B", "new"], ["2", "A", "old"], ["3", "C", "bad.csv"]]
    assert max(map(len, text.splitlines())) <= 120
    standing = json.loads(Path("numbers.json").read_text())["standing"]
    assert [row["run"] for row in standing] == ["new", "old", "bad.csv"]
    assert standing[0]["cases"] == 12


@pytest.mark.parametrize(
    ("name", "starts"), [("moves.png", b"\x89PNG"), ("figures/moves.svg", b"<?xml")]
)
def test_the_figure_is_drawn_as_its_name_says(name, starts, folder):
    call("old", "new", "--figure", name)
    assert Path(name).read_bytes().startswith(starts)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["old"], "one run alone cannot be compared"),
        (["old", "old"], "named twice"),
        (["old", "new", "--figure", "moves.pdf"], "must end in .png or .svg"),
        (["old", "none.csv"], "none.csv: no such file"),
        (["workspace", "old"], "metrics: no such file"),
        (["old", "."], "holds neither metrics/cases.csv nor cases.csv"),
        (["old", "new", "--metrics", "dise"], "is not in old, new. All runs have dice, hd95_mm."),
        (["old", "new", "--metrics", "reference_ml"], "reference_ml is no metric of which higher"),
        (["old", "new", "--table", "lesionwise"], "holds neither metrics/tables/lesionwise.csv"),
        (["old", "new", "--table", "lesionwise"], "has no such table: compare it by --table cases"),
    ],
)
def test_what_cannot_be_compared_is_rejected(arguments, says, folder):
    assert says in rejected(*arguments)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found nothing"),
        ("case,dice\na,0.5\n", "columns case and name"),
        ("case,name,dice\na,WT,good\n", "dice of a, WT is 'good'"),
        ("case,name,dice\na,WT,inf\n", "dice of a, WT is inf"),
        ("case,name,dice\na,WT,0.5\na,WT,0.6\n", "a has WT twice"),
        ("case,name,dice\na,WT,0.5,7\n", "more or fewer fields"),
        ("case,name,dice\na,WT\n", "more or fewer fields"),
        ("case,name,sizes\na,WT,0.5\n", "share no metric with a direction"),
    ],
)
def test_a_table_that_cannot_be_read_is_rejected(text, says, folder):
    Path("bad.csv").write_text(text)
    assert says in rejected("bad.csv", "old")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            rows_of(1, cases=range(50, 60)),
            r"no case is in both runs: old has 12 cases \(case00, case01.*other\.csv has 10 cases"
            r" \(case50",
        ),
        (rows_of(1, name="mine", kind="region")[::3], "no region of the same case is in both runs"),
        (
            [*rows_of(2, cases=range(2)), *rows_of(2, cases=(2, 5), reference_ml=3.0)],
            "2 of 4 cases have other references in other.csv than in old: WT of case02 has 3 ml"
            " against 12 ml",
        ),
    ],
)
def test_runs_that_do_not_fit_each_other_are_rejected(rows, says, folder):
    write(other=rows)
    assert re.search(says, rejected("old", "other.csv"))


def test_a_third_run_without_shared_cases_is_rejected(folder):
    write(one=rows_of(1, cases=range(6)), two=rows_of(1, cases=range(6, 12)))
    assert "no case and target is in all of them" in rejected("old", "one.csv", "two.csv")


@pytest.fixture
def revisions(folder, monkeypatch):
    """A repository with a commit, and on it an experiment, as `dvc exp run --name tidy-newt` leaves
    them.
    """
    from dvc.repo import Repo

    def git(*arguments):
        who = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
        return subprocess.run(
            ["git", *who, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(rows, message):
        write_csv(Path("metrics/cases.csv"), rows)
        repository.add("metrics/cases.csv")
        git("add", "--all", "metrics", ".dvc")
        git("commit", "--quiet", "--message", message)
        return git("rev-parse", "HEAD")

    git("init", "--quiet")
    with Repo.init() as repository:
        base = commit(rows_of(1), "base")
        experiment = commit(rows_of(2, gain=0.1), "experiment")
        git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/tidy-newt", experiment)
        git("reset", "--quiet", "--hard", base)
        repository.checkout(force=True)
    monkeypatch.delenv("DVC_ROOT")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    return base


@ignore_pygtrie
def test_a_dvc_experiment_is_compared_with_a_revision(revisions, shown):
    named = "A  HEAD  (DVC; 12 cases)\nB  tidy-newt  (DVC; 12 cases)"
    assert named in shown("HEAD", "tidy-newt")
    # the commit holds the scores of the first run
    assert "No dice changed." in shown(revisions[:8], "../old", "--metrics", "dice")


@ignore_pygtrie
def test_a_name_that_is_no_run_is_rejected_with_where_it_was_looked_for(revisions):
    message = rejected("tidy-newt", "tidy-nwet")
    assert "tidy-nwet: no such run. It is no file or folder here. DVC: no experiment" in message
    assert "MLflow: " in message
    message = rejected("HEAD", "tidy-newt", "--table", "lesionwise")
    assert (
        "metrics/tables/lesionwise.csv of this revision is not there: it has no dvc.lock" in message
    )
    assert "git add params.yaml dvc.lock metrics && git commit" in message
    assert "`dvc exp show` lists experiments, `make ui` runs." in message
    message = rejected("tidy-newt", "HEAD", "--table", "lesionwise")
    assert "lesionwise.csv of this revision is not in the cache" in message, (
        "git knows no such name"
    )


@pytest.mark.slow
def test_an_mlflow_run_is_found_by_name_and_by_id(mlflow_root, tmp_path, monkeypatch, shown):
    monkeypatch.chdir(tmp_path)
    client, experiment = store.opened()
    ids = []
    for seed in (1, 2):
        write_csv(tmp_path / f"{seed}/cases.csv", rows_of(seed))
        ids.append(client.create_run(experiment, run_name="quiet-owl").info.run_id)
        client.log_artifact(ids[-1], str(tmp_path / f"{seed}/cases.csv"), "evaluation")
    client.create_run(experiment, run_name="quiet-owl")  # the newest was never evaluated
    assert "B  quiet-owl  (MLflow; 12 cases)" in shown("1", "quiet-owl", "--metrics", "dice")
    assert "No dice changed." in shown("2", "quiet-owl", "--metrics", "dice")
    assert "No dice changed." in shown("1", ids[0], "--metrics", "dice")
    assert "no run" in rejected("1", "loud-owl")


def test_the_magnitudes_of_errors_with_a_sign_are_compared(folder):
    write(a=rows_of(1, volume_error_ml=-3.0), b=rows_of(1, volume_error_ml=2.0))
    call("a.csv", "b.csv", "--metrics", "volume_error_ml", "--json", "numbers.json")
    row = json.loads(Path("numbers.json").read_text())["comparisons"][0]["rows"][0]
    assert (row["mean_first"], row["difference"], row["better"]) == (3, -1, 12)


def test_a_column_that_no_evaluate_json_describes_is_no_metric(folder):
    write(a=rows_of(1, mine=1.0), b=rows_of(1, mine=1.0))
    assert "mine is no metric of which higher" in rejected("a.csv", "b.csv", "--metrics", "mine")
