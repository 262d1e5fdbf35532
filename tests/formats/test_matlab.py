"""MATLAB v7.3 files of the Cheng set are read as they display, or rejected by name."""

import shutil
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.formats import matlab
from pipeline.formats.matlab import MatlabImage, MatlabMask

SPACING = (0.98, 0.98, 7.0)
# rows, columns, as MATLAB displays it
IMAGE = np.random.default_rng(0).integers(-5, 12000, (256, 256)).astype(np.int16)
MASK = np.zeros((256, 256), np.uint8)
MASK[40:90, 100:130] = 1


def write_mat(
    path: Path,
    label: float = 2,
    patient: str = "MR040241D",
    image: np.ndarray = IMAGE,
    mask: np.ndarray = MASK,
) -> Path:
    """Write a slice as MATLAB does: a user block, then HDF5, transposed, in deflated chunks."""
    fields = {
        "label": np.array([[label]], float),
        "PID": np.array([[ord(letter)] for letter in patient], np.uint16),
        "image": image.T,
        "tumorBorder": np.array([[40.5, 100.5, 90.5, 130.5]]).T,
        "tumorMask": mask.T,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in fields.items():
            chunks = {"chunks": (64, 128), "compression": 3} if values.size > 1000 else {}
            file.create_dataset(f"cjdata/{name}", data=values, **chunks)
    _head(path)
    return path


def write_folds(path: Path, folds: list[float]) -> Path:
    """Write `cvind.mat`."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["cvind"] = np.array([folds], float)
    _head(path)
    return path


def _head(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(512, b"\0"))


@pytest.fixture
def path(tmp_path):
    return write_mat(tmp_path / "7.mat")


def test_the_image_comes_columns_first_upright_and_in_its_dtype(path):
    assert matlab.describe(path) == matlab.Description(2, "MR040241D", 256)
    volume = MatlabImage(path, SPACING).read()
    assert volume.voxels.shape == (256, 256, 1)
    assert volume.voxels.dtype == np.int16
    assert np.array_equal(volume.voxels[..., 0].T, IMAGE)
    assert volume.grid.orientation == "LPS"
    assert volume.grid.spacing_mm == SPACING


@pytest.mark.parametrize("label", [1, 2, 3])
def test_the_mask_holds_the_label_of_its_tumour(tmp_path, label):
    volume = MatlabMask(write_mat(tmp_path / "1.mat", label), SPACING).read()
    assert volume.voxels.dtype == np.uint8
    assert np.array_equal(volume.voxels[..., 0].T, MASK * label)


def test_published_folds_are_read(tmp_path):
    assert matlab.read_folds(write_folds(tmp_path / "cvind.mat", [5, 1, 1, 3])) == (5, 1, 1, 3)
    with pytest.raises(InputError, match=r"cvind holds \[0\.5"):
        matlab.read_folds(write_folds(tmp_path / "cvind.mat", [0.5, 1]))


def test_fields_stored_in_one_piece_are_read_too(tmp_path):
    path = rewritten(write_mat(tmp_path / "1.mat"), {"image": IMAGE.T})
    assert np.array_equal(MatlabImage(path, SPACING).read().voxels[..., 0].T, IMAGE)


def read_all(path: Path) -> None:
    matlab.describe(path)
    MatlabImage(path, SPACING).read()
    MatlabMask(path, SPACING).read()


def rewritten(path: Path, changes: dict) -> Path:
    """The file with some fields replaced, None removing one."""
    with h5py.File(path, "a") as file:
        for name, values in changes.items():
            del file["cjdata"][name]
            if values is not None:
                file["cjdata"][name] = values
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": np.array([[np.nan]])}, r"label is \[nan\]"),
        ({"label": np.array([[1.0, 2.0]])}, r"label is \[1\. 2\.\]"),
        ({"label": np.float64(1)}, "cjdata.label is not a matrix"),
        ({"PID": np.array([[7], [8]], np.uint16)}, "PID is"),
        ({"PID": np.full((65, 1), 65, np.uint16)}, "PID is"),
        ({"PID": np.array([[300], [301]], np.uint16)}, "PID is"),
        ({"PID": np.zeros((2, 2))}, "PID is"),
        ({"image": IMAGE[:64, :64]}, r"image has shape \(64, 64\)"),
        ({"image": IMAGE[None]}, "cjdata.image is not a matrix"),
        ({"image": IMAGE.astype("S5")}, "cjdata.image is not a matrix"),
        ({"image": np.zeros((1024, 1024), np.int16)}, "cjdata.image has shape"),
        ({"tumorMask": IMAGE.T}, "tumorMask holds"),
        *[({name: None}, f"has no field cjdata.{name}") for name in ("label", "image")],
    ],
)
def test_a_field_that_is_missing_or_not_what_it_should_be_is_rejected(tmp_path, changes, said):
    path = rewritten(write_mat(tmp_path / "7.mat"), changes)
    with pytest.raises(InputError, match=rf"7\.mat: {said}"):
        read_all(path)


@pytest.mark.parametrize(
    "link", [h5py.ExternalLink("other.mat", "/cjdata/image"), h5py.SoftLink("/cjdata/tumorMask")]
)
def test_a_field_that_leads_elsewhere_is_not_followed(path, link):
    shutil.copy(path, path.with_name("other.mat"))
    rewritten(path, {"image": link})
    with pytest.raises(InputError, match=r"has no field cjdata\.image of its own"):
        read_all(path)


def virtual() -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((256, 256), np.int16)
    layout[:] = h5py.VirtualSource(".", "cjdata/tumorMask", (256, 256))
    return layout


def create(**options) -> Callable[[h5py.Group], object]:
    data = {"data": IMAGE.T} if "external" not in options else {}
    return lambda group: group.create_dataset("image", (256, 256), np.int16, **data, **options)


def in_part(group: h5py.Group) -> None:
    options = {"chunks": (64, 64), "compression": 3}
    group.create_dataset("image", (256, 256), np.int16, **options)[:64] = 1


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (create(external=[("secret", 0, IMAGE.nbytes)]), "stored in a way MATLAB does not"),
        (
            lambda group: group.create_virtual_dataset("image", virtual()),
            "stored in a way MATLAB does not",
        ),
        (create(chunks=(64, 64), compression="lzf"), "under filters .* not what MATLAB writes"),
        (create(chunks=(64, 64), shuffle=True), "under filters .* not what MATLAB writes"),
        (create(chunks=(64, 64), scaleoffset=4), "under filters .* not what MATLAB writes"),
        (in_part, "holds 4 of 16 chunks"),
    ],
    ids=["in another file", "virtual", "lzf", "shuffle", "scaleoffset", "chunks never written"],
)
def test_an_image_stored_in_a_way_matlab_does_not_is_rejected(path, write, message, monkeypatch):
    monkeypatch.chdir(path.parent)  # a file of the same name there does not matter
    Path("secret").write_bytes(IMAGE.tobytes())
    rewritten(path, {"image": None})
    with h5py.File(path, "a") as file:
        write(file["cjdata"])
    with pytest.raises(InputError, match=message):
        read_all(path)


def test_a_chunk_that_unpacks_to_hundreds_of_megabytes_takes_no_memory(path):
    rewritten(path, {"image": None})
    stream = zlib.compressobj()
    bomb = b"".join(stream.compress(bytes(1 << 20)) for _ in range(128)) + stream.flush()
    with h5py.File(path, "a") as file:
        options = {"chunks": (256, 256), "compression": 3}
        dataset = file.create_dataset("cjdata/image", (256, 256), np.int16, **options)
        dataset.id.write_direct_chunk((0, 0), bomb)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"chunk 0 of cjdata\.image is damaged"):
        read_all(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (b"", "no MATLAB v7.3 file"),
        (b"MATLAB 5.0 MAT-file, Platform: PCWIN".ljust(2000, b"\0"), "no MATLAB v7.3 file"),
        (b"\x89HDF\r\n\x1a\n", "is damaged"),
        (bytes(512) + b"\x89HDF\r\n\x1a\n" + b"\xff" * 400, "is damaged"),
        (bytes((16 << 20) + 1), "expected at most 16777216"),
    ],
)
def test_what_is_no_such_file_is_rejected(tmp_path, stored, said):
    (tmp_path / "7.mat").write_bytes(stored)
    with pytest.raises(InputError, match=rf"7\.mat: (?s:.*){said}"):
        read_all(tmp_path / "7.mat")
    with pytest.raises(InputError, match=r"8\.mat: cannot be read"):
        read_all(tmp_path / "8.mat")
