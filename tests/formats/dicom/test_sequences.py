"""Series descriptions of real archives are read as a radiologist reads them."""

import pytest

from pipeline.formats.dicom.sequences import (
    Acquisition,
    Recognised,
    choose,
    exact_key,
    is_exact,
    overridden,
    recognise,
)

DESCRIPTIONS = {
    "t1n": """
        AX T1; SAG T1 FLAIR; Ax T1 FLAIR; T1 SE AX; t1_mpr_tra_iso; t1_se_tra; MPRAGE; SAG MPRAGE;
        AX T1 PRE; AX T1 PRE GD; T1 W/O CONTRAST; AX T1 without contrast; 3D T1 SPGR; Ax 3D BRAVO;
        T1W_3D_TFE; T1-WEIGHTED; AXIAL T1 PRE-CONTRAST; T1 NON-CONTRAST; t1_fl3d_tra; AX T1 3D FFE;
        SAG T1 POST FOSSA; AX T1 POST OP; AX T1 -C; AX FSPGR; T1 nativ tra; anat-T1w; AXT1; WIP T1W
        SE
    """,
    "t1c": """
        AX T1 POST GD; MPRAGE +C; t1_mpr_tra_iso_Gd; AX T1 +C; T1 POST; AX T1 POST; COR T1 POST GAD;
        T1 GD; T1C; t1ce; T1Gd; AX T1 C+; AX T1 FLAIR POST; SAG T1 W CONTRAST; T1W KM; MPRAGE POST
        CONTRAST; 3D SPGR POST; AX T1 W/GD; t1_se_tra_KM; T1 3D +GAD; Ax T1 SE+C; T1 TSE TRA CE;
        T1-WEIGHTED POST GADOLINIUM; AX 3D T1 GAD; T1POST; AX BRAVO POST; T1 MPRAGE with contrast
    """,
    "t2w": """
        AX T2; T2 TSE TRA; AX T2 FSE; t2_tse_tra_512; AX FRFSE; T2W_TSE; SAG T2 CUBE; T2 SPACE; AX
        T2 FS; Ax T2 PROPELLER; AX T2 POST
    """,
    "t2f": """
        T2 FLAIR; AX FLAIR; AX FLAIR POST; SAG FLAIR 3D; t2_tirm_tra_dark-fluid;
        3D_Brain_VIEW_FLAIR_SHC; AX T2 FLAIR FS; FLAIR +C; Sag CUBE FLAIR
    """,
    None: """
        3-plane loc; LOCALIZER; AAHead_Scout; Survey; DWI; AX DWI B1000; ep2d_diff_3scan_trace_ADC;
        ADC (10^-6 mm²/s); Apparent ADC MAP; eADC; SWI_Images; mIP_Images(SW); Ax SWAN; T2* GRE; AX
        T2 STAR; AX GRE; AX T2 GRE; Perfusion; DSC PERF; ep2d_perf; relCBV; 3D ASL; DCE dynamic T1;
        TOF 3D; MRV; MRA HEAD; MIP T1 POST; SUB T1 POST-PRE; T1 SUBTRACTION; T1 MAP; AX PD; AX STIR;
        SVS press 30; BOLD resting; REST1 w SMS PF7-8; B0 NS; gre_field_mapping; SAG T2 C-SPINE;
        CISS 3D; AX FIESTA; T1 and T2 fused; AX T1 T2; DTI 30 dir; Screen Save; Calibration scan;
        PROSET; Whole Brain
    """,
}


@pytest.mark.parametrize(
    ("description", "modality"),
    [("", None)]
    + [
        (text, modality)
        for modality, texts in DESCRIPTIONS.items()
        for text in " ".join(texts.split()).split("; ")
    ],
)
def test_a_description_tells_the_modality(description, modality):
    found = recognise(Acquisition(description=description))
    assert found.modality == modality, found.reason
    assert found.reason


def acquired(description, scanning="", echo=None, repetition=None, inversion=None, **values):
    """`scanning` has the codes of ScanningSequence; times are in ms."""
    return Acquisition(
        description=description,
        scanning_sequence=tuple(scanning.split()),
        echo_time_ms=echo,
        repetition_time_ms=repetition,
        inversion_time_ms=inversion,
        **values,
    )


@pytest.mark.parametrize(
    ("modality", "acquisition"),
    [
        ("t1c", acquired("AX T1", contrast_agent="MAGNEVIST")),
        ("t1n", acquired("AX T1", contrast_agent="NONE")),
        ("t1n", acquired("AX T1 PRE", contrast_agent="GADAVIST")),
        ("t2w", acquired("AX T2", contrast_agent="GADAVIST")),
        ("t1n", acquired("AX FLAIR", "", 9.0, 2500, 860)),
        ("t2f", acquired("AX FLAIR", "", 125.0, 9000, 2250)),
        ("t2f", acquired("AX T2", "", 125.0, 9000, 2250)),
        ("t2w", acquired("AX PD T2", echo=100.0)),
        (None, acquired("AX PD T2", echo=15.0)),
        (None, acquired("AX T1", echo=100.0)),
        ("t1c", acquired("", protocol="T1W SE", contrast_agent="Gd")),
        ("t1n", acquired("AX", "SE", 14.0, 500.0)),
        ("t1n", acquired("", "GR IR", 3.0, 2000.0, 900.0)),
        ("t2w", acquired("", "SE", 100.0, 4000.0)),
        ("t2f", acquired("", "SE IR", 100.0, 9000.0, 2500.0)),
        (None, acquired("", "SE", 15.0, 3000.0)),
        (None, acquired("AX T2", "EP")),
        (None, acquired("AX T2", b_value=1000.0)),
        (None, acquired("AX T1 POST", image_type=("DERIVED", "SECONDARY", "MPR"))),
        ("t1c", acquired("AX T1 POST", image_type=("ORIGINAL", "PRIMARY", "MPR"))),
        (None, acquired("AX T1", image_type=("ORIGINAL", "PRIMARY", "P"))),
        (None, acquired("HEAD", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))),
        ("t1n", acquired("AX T1", image_type=("ORIGINAL", "PRIMARY", "M", "SE"))),
        ("t1n", acquired("AX T1", image_type=("DERIVED", "SECONDARY"))),
    ],
)
def test_the_rest_of_the_header_decides_where_words_do_not(modality, acquisition):
    assert recognise(acquisition).modality == modality, recognise(acquisition).reason


FIRST = {"^ax t1 odd$": "t1c", "t1": None, "1.2.3": "t2w"}
EXACT = {"T1": None, "1.2.3": "t1n", "1.2.3 (echo 9.0 ms)": "t1c", "1.2.9 (stack (2)": "t2w"}
NO_ROW = "no row"


@pytest.mark.parametrize(
    ("table", "description", "kind", "uid", "modality"),
    [
        (FIRST, "AX T1 ODD", "", "9", "t1c"),
        (FIRST, "SAG T1", "", "9", None),
        (FIRST, "whatever", "", "1.2.3", "t2w"),
        (FIRST, "whatever", "", "1.2.34", NO_ROW),
        ({"echo 90": "t2w"}, "PD T2", "echo 90.0 ms", "9", "t2w"),
        (EXACT, "AX T1", "echo 9.0 ms", "1.2.3", "t1c"),
        (EXACT, "AX T1", "echo 20.0 ms", "1.2.3", "t1n"),
        (EXACT, "AX T1", "stack (2", "1.2.9", "t2w"),
        (EXACT, "AX T1", "stack (2", "1.2.8", None),
        (EXACT, "AX T2", "", "1.2.8", NO_ROW),
    ],
)
def test_exact_keys_of_the_users_table_come_first_then_the_first_pattern_that_matches(
    table, description, kind, uid, modality
):
    found = overridden(Acquisition(description), kind, uid, table)
    assert (found.modality if found else NO_ROW) == modality


def test_a_uid_with_a_kind_is_an_exact_key():
    assert is_exact(exact_key("1.2.9", "stack (2"))
    patterns = ("1.2.9", "AX T1 (echo 9.0 ms)", "1.5 (T)", "^1.2.9 (a)")
    assert not any(map(is_exact, patterns))


T1C, T2W, T2F = (Recognised(modality, "") for modality in ("t1c", "t2w", "t2f"))
BY_USER = Recognised("t1c", "", by_user=True)


@pytest.mark.parametrize(
    ("series", "derived", "chosen"),
    [
        ([T1C, T2W, T1C, Recognised(None, "")], [False] * 4, {"t1c": [0, 2], "t2w": [1]}),
        ([T1C, BY_USER], [False, False], {"t1c": [1]}),
        ([BY_USER, BY_USER], [False, True], {"t1c": [0, 1]}),
        ([T2F, T2F], [True, False], {"t2f": [1]}),
        ([T2F], [True], {"t2f": [0]}),
    ],
    ids=["several", "by the user", "two by the user", "an original", "derived only"],
)
def test_the_users_choice_goes_first_and_an_original_before_a_derived_image(
    series, derived, chosen
):
    assert choose(series, derived) == chosen
