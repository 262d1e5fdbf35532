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
    "t1n": (
        """
        AX T1; SAG T1 FLAIR; Ax T1 FLAIR; T1 SE AX; t1_mpr_tra_iso; t1_se_tra; MPRAGE; SAG MPRAGE;
        AX T1 PRE; AX T1 PRE GD;
        T1 W/O CONTRAST; AX T1 without contrast; 3D T1 SPGR; Ax 3D BRAVO; T1W_3D_TFE; T1-WEIGHTED;
        AXIAL T1 PRE-CONTRAST;
        T1 NON-CONTRAST; t1_fl3d_tra; AX T1 3D FFE; SAG T1 POST FOSSA; AX T1 POST OP; AX T1 -C;
        AX FSPGR; T1 nativ tra;
        anat-T1w; AXT1; WIP T1W SE
    """
    ),
    "t1c": (
        """
        AX T1 POST GD; MPRAGE +C; t1_mpr_tra_iso_Gd; AX T1 +C; T1 POST; AX T1 POST;
        COR T1 POST GAD; T1 GD; T1C; t1ce; T1Gd;
        AX T1 C+; AX T1 FLAIR POST; SAG T1 W CONTRAST; T1W KM; MPRAGE POST CONTRAST; 3D SPGR POST;
        AX T1 W/GD; t1_se_tra_KM;
        T1 3D +GAD; Ax T1 SE+C; T1 TSE TRA CE; T1-WEIGHTED POST GADOLINIUM; AX 3D T1 GAD; T1POST;
        AX BRAVO POST;
        T1 MPRAGE with contrast
    """
    ),
    "t2w": (
        """
        AX T2; T2 TSE TRA; AX T2 FSE; t2_tse_tra_512; AX FRFSE; T2W_TSE; SAG T2 CUBE; T2 SPACE;
        AX T2 FS; Ax T2 PROPELLER;
        AX T2 POST
    """
    ),
    "t2f": (
        """
        T2 FLAIR; AX FLAIR; AX FLAIR POST; SAG FLAIR 3D; t2_tirm_tra_dark-fluid;
        3D_Brain_VIEW_FLAIR_SHC; AX T2 FLAIR FS;
        FLAIR +C; Sag CUBE FLAIR
    """
    ),
    None: (
        """
        3-plane loc; LOCALIZER; AAHead_Scout; Survey; DWI; AX DWI B1000;
        ep2d_diff_3scan_trace_ADC; ADC (10^-6 mm²/s);
        Apparent ADC MAP; eADC; SWI_Images; mIP_Images(SW); Ax SWAN; T2* GRE; AX T2 STAR; AX GRE;
        AX T2 GRE; Perfusion;
        DSC PERF; ep2d_perf; relCBV; 3D ASL; DCE dynamic T1; TOF 3D; MRV; MRA HEAD; MIP T1 POST;
        SUB T1 POST-PRE;
        T1 SUBTRACTION; T1 MAP; AX PD; AX STIR; SVS press 30; BOLD resting; REST1 w SMS PF7-8;
        B0 NS; gre_field_mapping;
        SAG T2 C-SPINE; CISS 3D; AX FIESTA; T1 and T2 fused; AX T1 T2; DTI 30 dir; Screen Save;
        Calibration scan; PROSET;
        Whole Brain
    """
    ),
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


@pytest.mark.parametrize(
    ("modality", "acquisition"),
    [
        ("t1c", Acquisition("AX T1", contrast_agent="MAGNEVIST")),
        ("t1n", Acquisition("AX T1", contrast_agent="NONE")),
        ("t1n", Acquisition("AX T1 PRE", contrast_agent="GADAVIST")),
        ("t2w", Acquisition("AX T2", contrast_agent="GADAVIST")),
        (
            "t1n",
            Acquisition(
                "AX FLAIR", echo_time_ms=9.0, repetition_time_ms=2500, inversion_time_ms=860
            ),
        ),
        (
            "t2f",
            Acquisition(
                "AX FLAIR", echo_time_ms=125.0, repetition_time_ms=9000, inversion_time_ms=2250
            ),
        ),
        (
            "t2f",
            Acquisition(
                "AX T2", echo_time_ms=125.0, repetition_time_ms=9000, inversion_time_ms=2250
            ),
        ),
        ("t2w", Acquisition("AX PD T2", echo_time_ms=100.0)),
        (None, Acquisition("AX PD T2", echo_time_ms=15.0)),
        (None, Acquisition("AX T1", echo_time_ms=100.0)),
        ("t1c", Acquisition("", protocol="T1W SE", contrast_agent="Gd")),
        (
            "t1n",
            Acquisition(
                "AX", scanning_sequence=("SE",), echo_time_ms=14.0, repetition_time_ms=500.0
            ),
        ),
        (
            "t1n",
            Acquisition(
                "",
                scanning_sequence=("GR", "IR"),
                echo_time_ms=3.0,
                repetition_time_ms=2000.0,
                inversion_time_ms=900.0,
            ),
        ),
        (
            "t2w",
            Acquisition(
                "", scanning_sequence=("SE",), echo_time_ms=100.0, repetition_time_ms=4000.0
            ),
        ),
        (
            "t2f",
            Acquisition(
                "",
                scanning_sequence=("SE", "IR"),
                echo_time_ms=100.0,
                repetition_time_ms=9000.0,
                inversion_time_ms=2500.0,
            ),
        ),
        (
            None,
            Acquisition(
                "", scanning_sequence=("SE",), echo_time_ms=15.0, repetition_time_ms=3000.0
            ),
        ),
        (None, Acquisition("AX T2", scanning_sequence=("EP",))),
        (None, Acquisition("AX T2", b_value=1000.0)),
        (None, Acquisition("AX T1 POST", image_type=("DERIVED", "SECONDARY", "MPR"))),
        ("t1c", Acquisition("AX T1 POST", image_type=("ORIGINAL", "PRIMARY", "MPR"))),
        (None, Acquisition("AX T1", image_type=("ORIGINAL", "PRIMARY", "P"))),
        (None, Acquisition("HEAD", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))),
        ("t1n", Acquisition("AX T1", image_type=("ORIGINAL", "PRIMARY", "M", "SE"))),
        ("t1n", Acquisition("AX T1", image_type=("DERIVED", "SECONDARY"))),
    ],
)
def test_the_rest_of_the_header_decides_where_words_do_not(modality, acquisition):
    assert recognise(acquisition).modality == modality, recognise(acquisition).reason


def test_the_first_row_of_the_users_table_that_fits_counts():
    table = {"^ax t1 odd$": "t1c", "t1": None, "1.2.3": "t2w"}
    assert overridden(Acquisition("AX T1 ODD"), "", "9", table).modality == "t1c"
    assert overridden(Acquisition("SAG T1"), "", "9", table).modality is None
    assert overridden(Acquisition("whatever"), "", "1.2.3", table).modality == "t2w"
    assert overridden(Acquisition("whatever"), "", "1.2.34", table) is None
    assert (
        overridden(Acquisition("PD T2"), "echo 90.0 ms", "9", {"echo 90": "t2w"}).modality == "t2w"
    )


def test_exact_keys_count_before_patterns_and_the_narrower_before_the_wider():
    table = {"T1": None, "1.2.3": "t1n", "1.2.3 (echo 9.0 ms)": "t1c", "1.2.9 (stack (2)": "t2w"}
    assert overridden(Acquisition("AX T1"), "echo 9.0 ms", "1.2.3", table).modality == "t1c"
    assert overridden(Acquisition("AX T1"), "echo 20.0 ms", "1.2.3", table).modality == "t1n"
    assert overridden(Acquisition("AX T1"), "stack (2", "1.2.9", table).modality == "t2w"
    assert overridden(Acquisition("AX T1"), "stack (2", "1.2.8", table).modality is None
    assert overridden(Acquisition("AX T2"), "", "1.2.8", table) is None
    assert is_exact(exact_key("1.2.9", "stack (2"))
    assert not any(
        is_exact(key) for key in ("1.2.9", "AX T1 (echo 9.0 ms)", "1.5 (T)", "^1.2.9 (a)")
    )


def series(modality, by_user=False, derived=False):
    return Recognised(modality, ""), by_user, derived


def test_the_user_is_asked_where_two_series_may_be_the_same_modality():
    assert choose([series("t1c"), series("t2w"), series("t1c"), series(None)]) == {
        "t1c": [0, 2],
        "t2w": [1],
    }


def test_the_users_word_goes_before_what_was_recognised():
    assert choose([series("t1c"), series("t1c", by_user=True)]) == {"t1c": [1]}
    assert choose([series("t1c", by_user=True), series("t1c", by_user=True, derived=True)]) == {
        "t1c": [0, 1]
    }


def test_an_original_goes_before_a_derived_image():
    assert choose([series("t2f", derived=True), series("t2f")]) == {"t2f": [1]}
    assert choose([series("t2f", derived=True)]) == {"t2f": [0]}
