"""The patient that names of files tell: of published identifiers alone."""

import pytest

from pipeline.cohorts.brats_patients import published_patient


@pytest.mark.parametrize(
    ("names", "patient"),
    [
        (["BraTS-GLI-00005-101/BraTS-GLI-00005-101-t1n.nii.gz"], "BraTS-GLI-00005"),
        (["BraTS-MEN-RT-0001-1_t1c.nii.gz", "t1n.nii.gz"], ""),
        (["BraTS-MEN-RT-0001-001_t1c.nii.gz"], "BraTS-MEN-RT-0001"),
        (["BraTS2021_00005_flair.nii.gz"], "BraTS2021_00005"),
        (["Brats18_CBICA_AAB_1_t1ce.nii.gz"], "CBICA_AAB"),
        (["Brats17_2013_10_1_t1.nii.gz", "BraTS19_2013_10_1_t2.nii.gz"], "2013_10"),
        (["UCSF-PDGM-0429_FU003d_T1c.nii.gz"], "UCSF-PDGM-0429"),
        (["BraTS-GLI-00005-101.zip"], "BraTS-GLI-00005"),
        (["a/BraTS-GLI-00005-101-t1n.nii.gz", "b/BraTS-GLI-00006-101-t2w.nii.gz"], ""),
        (["Roe_Jane/t1n.nii.gz"], ""),
        (["Brats17_Roe_Jane_1_t1.nii.gz"], ""),
        (["BraTS-JANE-1970-1/t1n.nii.gz"], ""),
        (["12345678/t1n.nii.gz", "patient 00005-101"], ""),
        ([], ""),
    ],
)
def test_a_patient_is_told_by_published_identifiers_alone(names, patient):
    assert published_patient(names) == patient
