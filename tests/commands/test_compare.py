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
from pipeline.metrics.case_scores import score_case
from pipeline.runtime import tracking


def call(*arguments):
    """Call the command with what a user types after its name."""
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    return compare.run(parser.parse_intermixed_args(list(map(str, arguments))))


def refused(*arguments):
    """What the user is told."""
    with pytest.raises(InputError) as fault:
        call(*arguments)
    return str(fault.value)


def rows_of(seed, gain=0.0, cases=range(12), filled=False, **changes):
    """Dice and HD95 of two regions and a label; the references are the same whatever the seed."""
    rng = np.random.default_rng(seed)
    rows = []
    for case in cases:
        for kind, name in (("label", "edema"), ("region", "WT"), ("region", "ET")):
            dice, distance = min(rng.beta(8, 2) * 0.9 + gain, 1.0), rng.exponential(4)
            row = {
                "case": f"case{case:02d}",
                "patient": f"P{case // 2}",
                "kind": kind,
                "name": name,
                "dice": dice,
                "hd95_mm": distance,
            }
            row |= {"reference_ml": 10.0 + case, "prediction_ml": 9.0 + case, "filled": ""}
            if filled and name == "ET" and case == 3:
                row |= {
                    "dice": 1.0,
                    "hd95_mm": 0.0,
                    "reference_ml": 0.0,
                    "prediction_ml": 0.0,
                    "filled": "both_empty",
                }
            rows.append(row | changes)
    return rows


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that we stand in, with two runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    write_csv(Path("old/metrics/cases.csv"), rows_of(1))
    write_csv(Path("new/cases.csv"), rows_of(2, gain=0.1))
    return tmp_path


def test_two_runs_are_compared_region_by_region_within_120_columns(folder, capsys):
    call("old", "new/cases.csv")
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 120
    assert "A  old  (file; 12 cases)" in lines
    assert "A and B share 12 cases of 6 patients." in lines
    head = next(line for line in lines if "p perm" in line)
    assert re.split("  +", head.strip()) == [
        *(
            "metric",
            "n",
            "rule",
            "undef",
            "mean A",
            "mean B",
            "B - A",
            "95% interval",
            "+/-",
            "p perm",
            "p Wilc",
            "Holm",
        )
    ]
    named = [
        line for line in lines if re.match(r"(WT|ET|  )\s+(dice|hd95_mm)\s+12\s+0\s+0\s", line)
    ]
    assert len(named) == 4
    assert len({line.index("[") + len(re.search(r"\[.*?\]", line)[0]) for line in named}) == 1, (
        "aligned"
    )
    assert "edema" not in shown


def test_what_is_printed_is_what_was_computed(folder, capsys):
    call("old", "new", "--metrics", "dice", "--json", "out/numbers.json")
    shown = capsys.readouterr().out
    numbers = json.loads(Path("out/numbers.json").read_text())
    assert [(run["letter"], run["name"], run["cases"]) for run in numbers["runs"]] == [
        ("A", "old", 12),
        ("B", "new", 12),
    ]
    for row in numbers["comparisons"][0]["rows"]:
        line = next(line for line in shown.splitlines() if line.startswith(row["name"]))
        for key in ("mean_first", "mean_second", "p_permutation", "p_wilcoxon"):
            assert f" {row[key]:.4f} " in line
        assert f" {row['difference']:+.4f}  [{row['low']:+.4f}, {row['high']:+.4f}]" in line
        assert row["patients"] == 6
    assert numbers["settings"]["seed"] == 0
    assert "standing" in numbers


def test_the_same_comparison_prints_the_same(folder, capsys):
    call("old", "new")
    first = capsys.readouterr().out
    call("old", "new")
    assert capsys.readouterr().out == first
    call("old", "new", "--seed", 5)
    assert capsys.readouterr().out != first


def test_labels_are_compared_when_asked_for(folder, capsys):
    call("old", "new", "--labels")
    assert re.search(r"^edema +dice", capsys.readouterr().out, re.MULTILINE)


def test_a_clear_gain_is_called_better_and_its_loss_worse(folder, capsys):
    write_csv(Path("a.csv"), rows_of(1, cases=range(40), gain=-0.2))
    write_csv(Path("b.csv"), rows_of(1, cases=range(40)))
    call("a.csv", "b.csv", "--metrics", "dice")
    shown = capsys.readouterr().out
    assert "B is better than A in 2 and worse in 0 of 2 comparisons" in shown
    assert len(re.findall(r"40/0 .* better$", shown, re.MULTILINE)) == 2
    call("b.csv", "a.csv", "--metrics", "dice")
    assert "B is better than A in 0 and worse in 2 of 2 comparisons" in capsys.readouterr().out


def test_the_cases_that_changed_most_come_first_with_where_and_how(folder, capsys):
    first = rows_of(1)
    second = [row | {} for row in first]
    second[3 * 4 + 2]["dice"] = 0.0  # ET of the fifth case
    second[3 * 7 + 1]["dice"] -= 0.01
    write_csv(Path("a.csv"), first)
    write_csv(Path("b.csv"), second)
    call("a.csv", "b.csv", "--cases", 5)
    shown = capsys.readouterr().out
    listed = shown.partition("changed most from A to B:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[:3] for line in listed] == [
        ["case04", "ET", "dice"],
        ["case07", "WT", "dice"],
    ]
    before = first[3 * 4 + 2]["dice"]
    assert f"{before:.4f} -> 0.0000 ({-before:+.4f})" in listed[0]
    call("a.csv", "b.csv", "--cases", 0)
    assert "changed" not in capsys.readouterr().out


def test_as_many_metrics_of_a_changed_case_are_shown_as_fit(folder, capsys):
    for name, gain in (("a.csv", 0.0), ("b.csv", 0.1)):
        rows = [
            row | {"case": f"{row['case']} of a hospital with a long name"}
            for row in rows_of(1, gain)
        ]
        write_csv(
            Path(name), [row | {"nsd_1mm": row["dice"], "nsd_2mm": row["dice"]} for row in rows]
        )
    call("a.csv", "b.csv", "--metrics", "dice,hd95_mm,nsd_1mm,nsd_2mm")
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 120
    changed = shown.partition("changed most from A to B:\n")[2].splitlines()[0]
    assert "dice" in changed
    assert "nsd_2mm" not in changed


def test_few_patients_are_warned_about(folder, capsys):
    call("old", "new")
    assert (
        "Warning: with 6 patients intervals are too narrow, and no p can be below 0.031."
        in capsys.readouterr().out
    )
    for name, seed in (("a.csv", 1), ("b.csv", 2)):
        write_csv(Path(name), rows_of(seed, cases=range(40)))
    call("a.csv", "b.csv")
    assert "Warning" not in capsys.readouterr().out


def test_equal_runs_say_so(folder, capsys):
    write_csv(Path("copy.csv"), rows_of(1))
    call("old", "copy.csv")
    shown = capsys.readouterr().out
    assert "better than A in 0 and worse in 0 of 4" in shown
    assert "No dice changed." in shown


def test_cases_and_regions_of_one_run_alone_are_named_and_left_out(folder, capsys):
    write_csv(Path("a.csv"), [row for row in rows_of(1, cases=range(8)) if row["name"] != "WT"])
    write_csv(Path("b.csv"), rows_of(2, cases=range(5, 20)))
    call("a.csv", "b.csv")
    shown = capsys.readouterr().out
    assert "A and B share 3 cases of 2 patients." in shown
    assert "Only in A, left out: 5 cases (case00, case01, case02, case03 and 1 more)." in shown
    assert "Only in B, left out: 12 cases (case08, case09, case10, case11 and 8 more)." in shown
    assert "Only in B, left out: 1 regions (WT)." in shown
    assert re.search(r"^ET +dice +3 .* \[-, -\] ", shown, re.MULTILINE), (
        "two patients have no interval"
    )


def test_another_empty_rule_is_reported(folder, capsys):
    ruled = rows_of(1, filled=True)
    undefined = [
        row | ({"dice": nan, "hd95_mm": nan, "filled": ""} if row["filled"] else {})
        for row in ruled
    ]
    write_csv(Path("a.csv"), ruled)
    write_csv(Path("b.csv"), undefined)
    call("a.csv", "b.csv")
    shown = capsys.readouterr().out
    assert (
        "Warning: empty masks are scored by different rules: A gives scores where both are empty; B"
        " leaves" in shown
    )
    assert re.search(r"^ET +dice +11 +0 +1 ", shown, re.MULTILINE)


def test_a_table_of_before_the_new_columns_is_compared_on_what_it_has(folder, capsys):
    modern = [row | {"nsd_1mm": 0.5, "volume_error_ml": -1.0} for row in rows_of(2)]
    write_csv(Path("modern.csv"), modern)
    call("old", "modern.csv")
    assert "nsd_1mm" not in capsys.readouterr().out.partition("\n\n")[2]
    assert "nsd_1mm is not in old. All runs have dice, hd95_mm." in refused(
        "old", "modern.csv", "--metrics", "dice,nsd_1mm"
    )
    write_csv(Path("modern too.csv"), modern)
    call("modern.csv", "modern too.csv", "--metrics", "volume_error_ml, nsd_1mm")
    assert "nsd_1mm" in capsys.readouterr().out


def test_the_lesion_wise_table_of_a_run_can_be_compared(folder, capsys):
    for name, gain in (("old", 0.0), ("new", 0.1)):
        lesions = [
            {
                "case": row["case"],
                "patient": row["patient"],
                "name": row["name"],
                "lesion_dice": row["dice"],
                "lesions": 1,
            }
            for row in rows_of(1, gain)
            if row["kind"] == "region"
        ]
        write_csv(Path(name) / "lesionwise.csv", lesions)
    call("old", "new", "--table", "lesionwise")
    shown = capsys.readouterr().out
    assert re.search(r"^WT +lesion_dice +12 ", shown, re.MULTILINE)
    assert "cannot be checked that both were scored against the same references" in shown


def test_the_instances_of_a_run_can_be_compared(folder, capsys):
    for name, gain in (("old", 0.0), ("new", 0.1)):
        regions = [row for row in rows_of(1, gain) if row["kind"] == "region"]
        rows = [
            {key: row[key] for key in ("case", "patient", "name")}
            | {"f1": row["dice"], "pq": row["dice"]}
            for row in regions
        ]
        write_csv(Path(name) / "metrics/tables/instances.csv", rows)
    call("old", "new", "--table", "instances")
    assert re.search(r"^WT +f1 +12 ", capsys.readouterr().out, re.MULTILINE)


def test_more_runs_are_ranked(folder, capsys):
    write_csv(Path("bad.csv"), rows_of(1, gain=-0.3))
    call("old", "new", "bad.csv", "--metrics", "dice", "--json", "numbers.json")
    shown = capsys.readouterr().out
    assert "A and B share" in shown
    assert "A and C share" in shown
    table = shown.partition("Ranking as in the BraTS challenge")[2].splitlines()
    assert [line.split()[:3] for line in table[2:5]] == [
        ["1", "B", "new"],
        ["2", "A", "old"],
        ["3", "C", "bad.csv"],
    ]
    assert max(map(len, shown.splitlines())) <= 120
    standing = json.loads(Path("numbers.json").read_text())["standing"]
    assert [row["run"] for row in standing] == ["new", "old", "bad.csv"]
    assert standing[0]["cases"] == 12


@pytest.mark.parametrize(
    ("name", "starts"), [("moves.png", b"\x89PNG"), ("figures/moves.svg", b"<?xml")]
)
def test_the_figure_is_drawn_as_its_name_says(name, starts, folder, capsys):
    call("old", "new", "--figure", name)
    assert Path(name).read_bytes().startswith(starts)


def test_the_workspace_is_a_run(folder, capsys):
    write_csv(Path("metrics/cases.csv"), rows_of(3))
    call("workspace", "old")
    assert "A  workspace  (workspace; 12 cases)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["old"], "one run alone cannot be compared"),
        (["old", "old"], "named twice"),
        (["old", "new", "--figure", "moves.pdf"], "must end in .png or .svg"),
        (["old", "none.csv"], "none.csv: no such file"),
        (["workspace", "old"], "metrics: no such file"),
        (["old", "."], "holds neither metrics/cases.csv nor cases.csv"),
        (
            ["old", "new", "--metrics", "dise"],
            "dise is not in old, new. All runs have dice, hd95_mm.",
        ),
        (["old", "new", "--metrics", "reference_ml"], "reference_ml is no metric of which higher"),
        (["old", "new", "--table", "lesionwise"], "holds neither metrics/tables/lesionwise.csv"),
        (
            ["old", "new", "--table", "lesionwise"],
            "whose cohort names no lesion_rules has no such table: compare it by --table cases",
        ),
    ],
)
def test_what_cannot_be_compared_is_rejected(arguments, says, folder):
    assert says in refused(*arguments)


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
    assert says in refused("bad.csv", "old")


def test_runs_that_share_no_case_are_rejected(folder):
    write_csv(Path("other.csv"), rows_of(1, cases=range(50, 60)))
    message = refused("old", "other.csv")
    assert "no case is in both runs: old has 12 cases (case00, case01" in message
    assert "other.csv has 10 cases (case50" in message


def test_runs_that_share_cases_but_no_region_are_rejected(folder):
    write_csv(Path("other.csv"), [row | {"name": f"my {row['name']}"} for row in rows_of(1)])
    assert "no region of the same case is in both runs" in refused("old", "other.csv")


def test_another_reference_is_rejected(folder):
    changed = [
        row | ({"reference_ml": 3.0} if row["case"] in ("case02", "case05") else {})
        for row in rows_of(2)
    ]
    write_csv(Path("other.csv"), changed)
    message = refused("old", "other.csv")
    assert (
        "2 of 12 cases have other references in other.csv than in old: WT of case02 has 3 ml"
        " against 12 ml" in message
    )


def test_a_third_run_without_shared_cases_is_rejected(folder, capsys):
    write_csv(Path("one.csv"), rows_of(1, cases=range(6)))
    write_csv(Path("two.csv"), rows_of(1, cases=range(6, 12)))
    assert "no case and target is in all of them" in refused("old", "one.csv", "two.csv")


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


@pytest.mark.filterwarnings(
    "ignore:_NoneStep.value:DeprecationWarning"
)  # DVC 3.67 asks pygtrie 2.5 in its older way
def test_a_dvc_experiment_is_compared_with_a_revision(revisions, capsys):
    call("HEAD", "tidy-newt")
    shown = capsys.readouterr().out
    assert "A  HEAD  (DVC; 12 cases)\nB  tidy-newt  (DVC; 12 cases)" in shown
    call(revisions[:8], "../old", "--metrics", "dice")
    assert "No dice changed." in capsys.readouterr().out, (
        "the commit holds the scores of the first run"
    )


@pytest.mark.filterwarnings(
    "ignore:_NoneStep.value:DeprecationWarning"
)  # DVC 3.67 asks pygtrie 2.5 in its older way
def test_a_name_that_is_no_run_is_rejected_with_where_it_was_looked_for(revisions):
    message = refused("tidy-newt", "tidy-nwet")
    assert (
        "tidy-nwet: no such run. It is no file or folder here. DVC: no experiment or revision of"
        " this name. MLflow: " in message
    )
    assert "metrics/tables/lesionwise.csv of this revision is not" in refused(
        "HEAD", "tidy-newt", "--table", "lesionwise"
    )


def test_an_mlflow_run_is_found_by_name_and_by_id(mlflow_root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    client, experiment = tracking._open_store()
    ids = []
    for seed in (1, 2):
        write_csv(tmp_path / f"{seed}/cases.csv", rows_of(seed))
        ids.append(client.create_run(experiment, run_name="quiet-owl").info.run_id)
        client.log_artifact(ids[-1], str(tmp_path / f"{seed}/cases.csv"), "evaluation")
    client.create_run(experiment, run_name="quiet-owl")  # the newest was never evaluated
    call("1", "quiet-owl", "--metrics", "dice")
    assert "B  quiet-owl  (MLflow; 12 cases)" in capsys.readouterr().out
    call("2", "quiet-owl", "--metrics", "dice")
    assert "No dice changed." in capsys.readouterr().out
    call("1", ids[0], "--metrics", "dice")
    assert "No dice changed." in capsys.readouterr().out
    assert "no run" in refused("1", "loud-owl")


@pytest.mark.real
def test_real_masks_moved_by_more_are_found_to_be_worse(real_cases, folder, schema, capsys):
    import nibabel

    runs = {"near": [], "far": []}
    for path in sorted((real_cases / "brats2021").glob("*/*seg.nii.gz")):
        values = np.asarray(nibabel.load(path).dataobj)
        classes = np.zeros(values.shape, np.uint8)
        for index, value in enumerate(schema.labels.values(), 1):
            classes[values == value] = index
        for rows, shift in zip(runs.values(), (1, 3), strict=True):
            scored = score_case(classes, np.roll(classes, shift, axis=0), schema, (1.0, 1.0, 1.0))
            rows += [
                {"case": path.parent.name, "patient": path.parent.name} | row for row in scored
            ]
    for name, rows in runs.items():
        write_csv(Path(f"{name}.csv"), rows)
    call("near.csv", "far.csv", "--metrics", "dice", "--json", "numbers.json")
    for row in json.loads(Path("numbers.json").read_text())["comparisons"][0]["rows"]:
        assert (row["better"], row["worse"]) == (0, 6 - row["filled"]), (
            "two cases have no enhancing tumour"
        )
        assert row["p_permutation"] == row["p_wilcoxon"] == 2 / 2 ** row["worse"]
        assert row["low"] < row["difference"] < row["high"] < 0


def test_the_magnitudes_of_errors_with_a_sign_are_compared(folder, capsys):
    for name, error in (("a", -3.0), ("b", 2.0)):
        write_csv(Path(f"{name}.csv"), rows_of(1, volume_error_ml=error))
    call("a.csv", "b.csv", "--metrics", "volume_error_ml", "--json", "numbers.json")
    row = json.loads(Path("numbers.json").read_text())["comparisons"][0]["rows"][0]
    assert (row["mean_first"], row["difference"], row["better"]) == (3, -1, 12)


def test_a_column_that_no_evaluate_json_describes_is_no_metric(folder):
    for name in ("a", "b"):
        write_csv(Path(f"{name}.csv"), rows_of(1, mine=1.0))
    assert "mine is no metric of which higher" in refused("a.csv", "b.csv", "--metrics", "mine")
