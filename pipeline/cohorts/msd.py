"""Medical Segmentation Decathlon, Task01_BrainTumour: four modalities in one 4D NIfTI file per
case.

``dataset.json`` names the channels (``modality``), the label values (``labels``) and the cases with
a reference (``training``). The names decide, not the numbers: 1 edema, 2 non-enhancing tumour, 3
enhancing tumour as published, unlike the 1, 2, 4 of BraTS 2016 and 2017, which the data come from.
The non-enhancing tumour includes the necrosis and is called `necrotic`, as in BraTS since 2017.
Test images (``imagesTs``) have no reference and are not used; ``._`` files of macOS are ignored.
Tested on files made in this layout, not on the published ones.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from ..core.errors import InputError
from ..core.params import explain
from ..core.schema import Schema
from ..formats import nifti
from ..formats.raw_cases import Found
from ..formats.volume import Part, Volume
from ..formats.walking import of_one_file
from .fetching.fetch import Remote
from .nnunet import nnunet_hint
from .source import Source, challenge_schema

_MODALITIES = {"t1w": "t1n", "t1gd": "t1c", "t2w": "t2w", "flair": "t2f"}
_LABELS = {"non-enhancing tumor": "necrotic", "edema": "edema", "enhancing tumor": "enhancing"}
_CASE = re.compile(r"^(?P<case>[A-Za-z0-9][A-Za-z0-9._-]*)\.nii(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Channel(Part):
    """One modality of a 4D file: the index of its channel, and the number of channels."""

    channel: int
    channels: int

    def read(self) -> Volume:
        """Read the channel; the whole file is decompressed."""
        return nifti.read_channel(self.path, self.channel, self.channels)


class _Pair(BaseModel):
    image: str
    label: str


_Number = Annotated[int, Field(ge=0, lt=1000)]


class _Dataset(BaseModel):
    modality: dict[_Number, str]
    labels: dict[_Number, str]
    training: list[_Pair]


def find(location: Path, limit: int = 0) -> tuple[Schema, list[Found]]:
    """Find the training cases of the unpacked archive, as `Source.find` states, label values as
    ``dataset.json`` gives them.

    Parameters
    ----------
    location : Path
        The folder ``Task01_BrainTumour``, or the one that holds it.
    """
    below = location / "Task01_BrainTumour"
    folder = next((at for at in (location, below) if (at / "dataset.json").is_file()), None)
    if hint := nnunet_hint(folder or location):
        raise InputError(hint)
    if folder is None:
        raise InputError(
            f"{location}: holds no dataset.json, nor does its Task01_BrainTumour folder. "
            "Unpack Task01_BrainTumour.tar and set cohort.location to the folder it gives."
        )
    path = folder / "dataset.json"
    try:
        dataset = _Dataset.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"{explain(error, str(path))}\nUnpack the archive again.") from None
    pairs = {pair.image: pair for pair in dataset.training}
    if not pairs or len(pairs) != len(dataset.training):
        raise InputError(
            f"{path}: lists {len(dataset.training)} training cases, {len(pairs)} of them distinct."
            " Unpack the archive again."
        )
    channels = _named(path, "modality", dataset.modality, _MODALITIES)
    tumour = {value: name for value, name in dataset.labels.items() if value}
    values = _named(path, "labels", tumour, _LABELS)
    wanted = sorted(pairs)[: limit or None]
    found = [_found(folder, pairs[image], channels) for image in wanted]
    return challenge_schema("msd-braintumour", values), found


def _named(
    path: Path, what: str, published: dict[int, str], known: dict[str, str]
) -> dict[str, int]:
    """Our names and the published numbers, in the order of ours."""
    plain = {
        name.strip().lower().replace("tumour", "tumor").replace("oedema", "edema"): number
        for number, name in published.items()
    }
    if set(plain) != set(known) or len(plain) != len(published):
        raise InputError(
            f"{path}: its {what} are {published}, expected {sorted(known)}. This source reads only"
            " Task01_BrainTumour. Unpack it again."
        )
    return {ours: plain[name] for name, ours in known.items()}


def _found(folder: Path, pair: _Pair, channels: dict[str, int]) -> Found:
    # the list is not trusted: only the names of its paths are used
    image, label = (
        folder / kind / PurePosixPath(name).name
        for kind, name in (("imagesTr", pair.image), ("labelsTr", pair.label))
    )
    match = _CASE.match(image.name)
    if not match or image.name != label.name:
        raise InputError(
            f"{folder / 'dataset.json'}: lists image {pair.image[:80]!r} with label"
            f" {pair.label[:80]!r}. Unpack the archive again."
        )
    for path in (image, label):
        if not of_one_file(path).is_file():
            raise InputError(
                f"{path}: is listed in dataset.json, but does not exist. Unpack the archive again,"
                " or remove it from the list."
            )
    images: dict[str, Path | Part] = {
        name: Channel(of_one_file(image), channel, len(channels))
        for name, channel in channels.items()
    }
    return Found(match["case"], match["case"], folder, images, of_one_file(label))


SOURCE = Source(
    name="msd",
    title="Medical Segmentation Decathlon Task01_BrainTumour: gliomas, four modalities, 3D",
    schemas=(challenge_schema("msd-braintumour", {"necrotic": 2, "edema": 1, "enhancing": 3}),),
    patients=(
        "one per case, since the files do not say more; the data come from BraTS 2016 and 2017,"
        " where some patients have several scans"
    ),
    licence="CC BY-SA 4.0",
    citation=(
        "Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9; Simpson et al. 2019,"
        " arXiv:1902.09063; Menze et al. 2015, doi:10.1109/TMI.2014.2377694"
    ),
    access=(
        "Leave cohort.location empty and download fetches the public archive (7.6 GB); or take"
        " Task01_BrainTumour.tar from medicaldecathlon.com, unpack it, and set cohort.location to"
        " its folder."
    ),
    find=find,
    # address and md5 as MONAI's DecathlonDataset gives them
    remotes=(
        Remote(
            url="https://msd-for-monai.s3-us-west-2.amazonaws.com/Task01_BrainTumour.tar",
            name="Task01_BrainTumour.tar",
            size=7_608_266_240,
            checksum="md5:240a19d752f0d9e9101544901065d872",
        ),
    ),
)
