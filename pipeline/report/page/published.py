"""Published results, to tell the order of what is reached; taken on other cases, they compare with
nothing of ours.
"""

from dataclasses import dataclass

_REVISITED = "Isensee et al., nnU-Net Revisited, MICCAI 2024, arXiv:2404.09556"
_WINNER_OF_2022 = "Zeineldin et al. 2022, arXiv:2212.09310"
_CV2021 = "BraTS 2021, 1251 cases, 5-fold cross-validation"
_REGIONS = "Dice ET / TC / WT"


@dataclass(frozen=True)
class Anchor:
    """One published result.

    Attributes
    ----------
    system : str
        What was measured.
    data : str
        On which cases.
    metric : str
        What the value is.
    value : str
        As printed, in the unit interval.
    source : str
        Where it stands.
    """

    system: str
    data: str
    metric: str
    value: str
    source: str


_GLIOMA = (
    Anchor(
        "nnU-Net, original / ResEnc M / ResEnc L",
        _CV2021,
        "mean Dice",
        "0.9124 / 0.9126 / 0.9113",
        _REVISITED,
    ),
    Anchor("MedNeXt-L, kernel 5", _CV2021, "mean Dice", "0.9150", _REVISITED),
    Anchor(
        "nnU-Net, winner of 2020",
        "BraTS 2020 test",
        _REGIONS,
        "0.820 / 0.851 / 0.890",
        "Isensee et al. 2020, arXiv:2011.00848",
    ),
    Anchor(
        "Ensemble, winner of 2022",
        "BraTS 2022 test",
        _REGIONS,
        "0.880 / 0.879 / 0.929",
        _WINNER_OF_2022,
    ),
    Anchor(
        "Ensemble, winner of 2023",
        "BraTS 2023 validation",
        f"lesion-wise {_REGIONS}",
        "0.851 / 0.867 / 0.901",
        "Ferreira et al. 2024, arXiv:2402.17317",
    ),
    Anchor(
        "SegResNet bundle",
        "BraTS 2018, own split, validation",
        _REGIONS,
        "0.791 / 0.856 / 0.903",
        "MONAI model zoo, brats_mri_segmentation",
    ),
)

_OF_COHORT: dict[str, tuple[Anchor, ...]] = {
    "brats2018-2021": _GLIOMA,
    "brats2023": _GLIOMA,
    "brats-men": (
        Anchor(
            "Winner of 2023",
            "BraTS 2023 meningioma test",
            f"lesion-wise {_REGIONS}",
            "0.899 / 0.904 / 0.871",
            "LaBella et al. 2024, arXiv:2405.09787",
        ),
    ),
    "brats-ssa": (
        Anchor(
            "Ensemble, winner of 2022",
            "BraTS 2022 Sub-Saharan Africa test",
            _REGIONS,
            "0.902 / 0.959 / 0.974",
            _WINNER_OF_2022,
        ),
    ),
    "msd-braintumour": (
        Anchor(
            "nnU-Net in TensorFlow 2, 3D",
            "MSD Task01, 484 cases, 5-fold cross-validation",
            "mean Dice",
            "0.7435 to 0.7441",
            "NVIDIA DeepLearningExamples, TensorFlow2/Segmentation/nnUNet",
        ),
        Anchor(
            "nnU-Net in TensorFlow 2, 2D",
            "MSD Task01, 484 cases, 5-fold cross-validation",
            "mean Dice",
            "0.730 to 0.732",
            "NVIDIA DeepLearningExamples, TensorFlow2/Segmentation/nnUNet",
        ),
    ),
    "lgg": (
        Anchor(
            "U-Net",
            "TCGA-LGG, 110 patients, 22-fold cross-validation",
            "Dice of the FLAIR abnormality",
            "mean 0.82, median 0.85",
            "Buda et al. 2019, doi:10.1016/j.compbiomed.2019.05.002",
        ),
    ),
    "cheng": (
        Anchor(
            "Multiscale CNN",
            "233 patients, 5-fold cross-validation by patient",
            "Dice; accuracy of the type",
            "0.828; 0.973",
            "Díaz-Pernas et al. 2021, doi:10.3390/healthcare9020153",
        ),
    ),
}


def anchors(cohort: str) -> tuple[Anchor, ...]:
    """Published results on cases of the same kind as those of a cohort, by the name of its schema;
    none for most.
    """
    return _OF_COHORT.get(cohort, ())
