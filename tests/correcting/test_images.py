"""What is kept of a case is what was segmented."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.correcting.images import keep, kept
from tests.correcting.made import case


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_an_image_is_kept_to_the_last_bit(tmp_path, schema, dtype):
    made, _ = case(schema)
    made = replace(made, image=(made.image / 3).astype(dtype))
    keep(tmp_path, made, schema.modalities)
    again = kept(tmp_path, made.name, schema)
    assert again.name == made.name
    assert again.image.dtype == dtype
    np.testing.assert_array_equal(again.image, made.image)
    assert not again.grid.differs(made.grid)


def test_a_case_without_a_modality_cannot_become_a_training_case(tmp_path, schema):
    made, _ = case(schema)
    keep(tmp_path, replace(made, image=made.image[..., :3]), schema.modalities[:3])
    with pytest.raises(InputError, match="modality t2f of case ward-7 is missing"):
        kept(tmp_path, made.name, schema)
