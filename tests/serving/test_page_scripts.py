"""Scripts of the page that need no page."""

import base64
import io
import json
import shutil
import subprocess
import tarfile

import pytest

from pipeline.serving.pages import ASSETS

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no node on PATH")


def answer(script: str, code: str):
    """JSON value that JavaScript code gives, with what a script of the page exports as `page`."""
    module = base64.b64encode((ASSETS / script).read_bytes()).decode()
    asked = f"""const page = await import("data:text/javascript;base64,{module}");
    console.log(JSON.stringify(await (async () => {{ {code} }})()))"""
    command, options = [NODE, "--input-type=module"], {"capture_output": True, "text": True}
    done = subprocess.run(command, input=asked, check=True, timeout=60, **options)
    return json.loads(done.stdout)


def test_tarfile_reads_what_the_page_packs():
    names = [
        "study/1.dcm",
        "study/empty",
        "Müller, Jörg/☃ flair.nii.gz",
        f"{'long/' * 40}{'n' * 90}.dcm",
        "line\nbreak",
        *(f"{'x' * length}/a" for length in range(80, 100)),
    ]
    files = {name: bytes([number]) * (511 * number) for number, name in enumerate(names)}
    files["study/block"], files["study/empty"] = b"b" * 512, b""
    given = [
        {"name": name, "data": base64.b64encode(data).decode()} for name, data in files.items()
    ]
    packed = answer(
        "tar.js",
        f"""const files = {json.dumps(given)}.map(({{name, data}}) =>
          ({{name, blob: new Blob([Buffer.from(data, "base64")])}}));
        return Buffer.from(await page.tar(files).arrayBuffer()).toString("base64");""",
    )
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed)), errorlevel=2) as archive:
        members = archive.getmembers()
        assert all(member.isfile() for member in members)
        read = {member.name: archive.extractfile(member).read() for member in members}
    assert read == files


@pytest.mark.parametrize(
    ("paths", "cases"),
    [
        (["a/1.dcm", "a/in/2.dcm", "b/3.dcm"], {"a": ["a/1.dcm", "a/in/2.dcm"], "b": ["b/3.dcm"]}),
        (["B_1_t1.nii.gz", "B_1_t2.nii.gz"], {"B_1": ["B_1_t1.nii.gz", "B_1_t2.nii.gz"]}),
        (
            ["BraTS-7-t1c.nii", "BraTS-7-t1n.nii"],
            {"BraTS-7": ["BraTS-7-t1c.nii", "BraTS-7-t1n.nii"]},
        ),
        (["one.nii.gz"], {"one": ["one.nii.gz"]}),
        (["x.nii", "y.nii"], {"x.nii": ["x.nii", "y.nii"]}),
        (["one.zip", "two.TAR", "t1.nii"], {"one.zip": None, "two.TAR": None, "t1": ["t1.nii"]}),
        (["a/.DS_Store", "a/1.dcm", "Thumbs.db"], {"a": ["a/1.dcm"]}),
        (["study.dcm.tar.gz"], {"study.dcm.tar.gz": None}),
    ],
)
def test_a_folder_or_an_archive_is_a_case_and_loose_files_are_one(paths, cases):
    given = [{"name": path.split("/")[-1], "path": path if "/" in path else ""} for path in paths]
    found = answer(
        "dropped.js",
        f"""return page.chosen({json.dumps(given)}.map(({{name, path}}) =>
          ({{name, webkitRelativePath: path}}))).map(one =>
          [one.name, one.archive ? null : one.files.map(file => file.name)]);""",
    )
    assert dict(found) == cases
