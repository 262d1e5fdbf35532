import numpy as np

from pipeline.registration.brain_extraction import extract_brain
from tests.registration.conftest import dice


def balls(*radii: float) -> list[np.ndarray]:
    distance = np.sqrt(((np.indices((72, 72, 72)) - 36.0) ** 2).sum(axis=0))
    return [distance < radius for radius in radii]


def test_the_edge_moves_from_the_template_to_where_the_tissue_ends():
    brain, skull, scalp, too_small, too_large = balls(25, 29, 33, 23, 27)
    head = np.select([brain, skull, scalp], [400.0, 20.0, 900.0])
    for prior in (too_small, too_large):
        found = extract_brain(head, prior, (1.0, 1.0, 1.0))
        assert dice(found, brain) > max(dice(prior, brain), 0.97)


def test_what_hangs_on_by_a_thread_and_holes_do_not_change_the_brain():
    brain, prior = balls(25, 26)
    head = np.where(brain, 400.0, 1.0)
    head[34:38, 34:38, 58:66] = 400.0  # a nerve
    head[30:33, 30:33, 30:33] = 1.0  # a ventricle
    found = extract_brain(head, prior, (1.0, 1.0, 1.0))
    assert found[31, 31, 31]
    assert not found[:, :, 64:].any()


def test_outside_the_field_of_view_only_the_depth_of_the_template_counts():
    brain, prior = balls(25, 25)
    head = np.where(brain, 400.0, 0.0)
    head[:, :, 52:] = 0  # cut off 9 mm below the top of the brain
    assert not extract_brain(head, prior, (1.0, 1.0, 1.0))[:, :, 58:].any()
