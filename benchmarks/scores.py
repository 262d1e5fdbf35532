"""All scores of a case as `evaluate` takes them: overlap, distances, volumes, lesions, all classes,
calibration.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.lesions import AFFINE, SPACING_MM, cpu_seconds, pairs, schema_of_pairs
from benchmarks.measuring import Figure, apart
from pipeline.formats import nifti

REPEATS = 5
AT_MOST = {False: 1.0, True: 2.5}
PARTS = ("overlap and distances", "lesions", "classes", "calibration")


def figures(repeats: int) -> Iterator[Figure]:
    """Processor seconds on one core, of all scores together and of each part."""
    for name, (reference, prediction) in pairs().items():
        with tempfile.TemporaryDirectory() as folder:
            for part, classes in (("reference", reference), ("prediction", prediction)):
                nifti.write(Path(folder) / f"{part}.nii.gz", classes, AFFINE)
            taken, ran = apart(once, folder, repeats, cores=1)
        whole = [sum(parts) for parts in zip(*taken.values(), strict=True)]
        shares = ", ".join(f"{part} {min(seconds):.2f}" for part, seconds in taken.items())
        note = (
            f"{' x '.join(map(str, reference.shape))}, 3 labels, 3 regions; {shares};"
            f" {ran.process_gb:.1f} GB"
        )
        yield Figure(
            f"all scores, {name}", "cpu s/case", whole, at_most=AT_MOST["specks" in name], note=note
        )


def once(folder: str, repeats: int) -> dict[str, list[float]]:
    """Processor seconds of each part and run."""
    from pipeline.core.confusion import confusion
    from pipeline.core.regions import classes_to_regions
    from pipeline.metrics.calibration import calibration_rows
    from pipeline.metrics.case_scores import score_case
    from pipeline.metrics.instances import instance_rows
    from pipeline.metrics.lesionwise import lesion_rows
    from pipeline.metrics.multiclass import score_classes

    paths = (Path(folder) / f"{part}.nii.gz" for part in ("reference", "prediction"))
    reference, prediction = (np.asarray(nifti.read(path).voxels, np.uint8) for path in paths)
    schema = schema_of_pairs()
    probabilities = np.asfortranarray(
        0.05 + 0.9 * classes_to_regions(prediction, schema).astype(np.float32)
    )
    axes = np.meshgrid(
        *(np.linspace(-1.45, 1.45, length) for length in reference.shape),
        indexing="ij",
        sparse=True,
    )
    brain = sum(axis**2 for axis in axes) < 1  # 1.5 of 8.9 million voxels
    actions = (
        lambda: score_case(reference, prediction, schema, SPACING_MM),
        lambda: (
            lesion_rows(reference, prediction, schema, SPACING_MM),
            instance_rows(reference, prediction, schema),
        ),
        lambda: score_classes(confusion(reference, prediction, len(schema.labels) + 1), schema),
        lambda: calibration_rows(probabilities, None, reference, brain, schema),
    )
    return {part: cpu_seconds(action, repeats) for part, action in zip(PARTS, actions, strict=True)}
