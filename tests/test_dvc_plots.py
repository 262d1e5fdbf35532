"""`dvc plots show` draws its charts without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.browser import CHROMIUM, Browser

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / ".dvc/plots/page.html"
HISTORY = "epoch,loss,val_loss,val_dice\n1,1.2,1.1,0.4\n2,0.6,0.7,0.7\n"
COLOURED = """[...document.querySelectorAll('.vega-embed canvas')].map(canvas => {
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width * 0.7, canvas.height);
  const apart = (at) => Math.abs(data[at] - data[at + 1]) > 40;
  return data.some((value, at) => at % 4 == 0 && data[at + 3] && apart(at));
})"""  # whether a chart, left of its legend, has marks in the colour of a revision
CASES = "case,name,dice\na,WT,0.9\na,ET,0.7\nb,WT,0.8\nb,ET,\n"


def test_the_page_of_plots_names_no_address_of_a_network_and_its_scripts_exist():
    page = TEMPLATE.read_text()
    assert "http" not in page
    scripts = [part.split('"')[0] for part in page.split('<script src="')[1:]]
    assert len(scripts) == 3
    for script in scripts:
        assert (ROOT / "dvc_plots" / script).resolve().is_file()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_the_charts_of_dvc_plots_show_are_drawn_without_a_network(tmp_path):
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=tmp_path, check=True, env=environment)
    shutil.copytree(ROOT / ".dvc/plots", tmp_path / ".dvc/plots")
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc/config")
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    charts = [plot for plot in plots if isinstance(plot, dict)]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"plots": charts}))
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/history.csv").write_text(HISTORY)
    (tmp_path / "metrics/cases.csv").write_text(CASES)
    subprocess.run(
        [sys.executable, "-m", "dvc", "plots", "show"], cwd=tmp_path, check=True, env=environment
    )
    with Browser() as browser:
        page = browser.open(tmp_path / "dvc_plots/index.html")
        page.wait_for(f"document.querySelectorAll('.vega-embed canvas').length == {len(charts)}")
        assert {request.partition(":")[0] for request in page.requests} <= {"file", "data", "blob"}
        assert page.evaluate(COLOURED) == [True] * len(charts)
