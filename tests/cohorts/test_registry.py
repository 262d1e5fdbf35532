"""What every source declares of its cohorts."""

import numpy as np
import pytest

from pipeline.cohorts.names import NAMES
from pipeline.cohorts.registry import SOURCES
from pipeline.core.regions import classes_to_regions, regions_to_classes, values_to_classes
from pipeline.metrics.lesion_rules import PRESETS

WITHOUT_RULES = {"cheng", "dicom"}
RULES = {
    "brats-men": "brats2023-men",
    "brats-met": "brats2023-met",
    "brats-ssa": "brats2023-ssa",
    "brats-ped2023": "brats2023-ped",
    "brats-gli2024": ("brats2024-gli", "brats2025-gli"),
    "brats-met2025": ("brats2024-met", "brats2025-mets"),
    "brats-ped": ("brats2024-ped", "brats2025-ped"),
    "brats-menrt": "brats2024-menrt",
}
GLIOMAS = {
    "brats2012",
    "brats2013",
    "brats2018-2021",
    "brats2023",
    "msd-braintumour",
    "lgg",
    "phantom",
}
SCHEMAS = {schema.cohort: schema for source in SOURCES.values() for schema in source.schemas}


@pytest.mark.parametrize("cohort", SCHEMAS)
def test_a_cohort_names_the_rules_for_its_lesions_or_is_known_to_have_none(cohort):
    schema = SCHEMAS[cohort]
    assert "lesion_rules" in schema.model_fields_set, "declare it, be it None"
    assert (schema.lesion_rules is None) == (cohort in WITHOUT_RULES)
    assert schema.lesion_rules is None or schema.merging_rules in PRESETS


def test_the_rules_are_those_of_the_challenge_of_the_cohort():
    assert {
        name: schema.lesion_rules
        for name, schema in SCHEMAS.items()
        if name not in GLIOMAS | WITHOUT_RULES
    } == RULES
    assert {SCHEMAS[name].lesion_rules for name in GLIOMAS} == {"brats2023-gli"}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_labels_are_the_same_after_regions_and_back(schema):
    classes = values_to_classes(np.array([[[0, *schema.labels.values()]]]), schema)
    assert np.array_equal(regions_to_classes(classes_to_regions(classes, schema), schema), classes)


def test_every_public_file_is_https_and_has_a_checksum():
    remotes = [remote for source in SOURCES.values() for remote in source.remotes]
    assert {"cvind.mat", "Task01_BrainTumour.tar"} <= {remote.name for remote in remotes}
    assert all(remote.url.startswith("https://") and remote.checksum for remote in remotes)


def test_the_names_that_params_yaml_is_checked_with_are_those_of_the_sources():
    assert tuple(SOURCES) == NAMES
