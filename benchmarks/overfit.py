"""Two real cases learnt by heart: can the network, its loss and the way back represent them at all?

Not a result: training and test are the same two cases. It needs ../shared/data/brats2021.
"""

from collections.abc import Iterator

from benchmarks.measuring import ROOT, Figure

REPEATS = 1
REAL = ROOT.parent / "shared/data/brats2021"
CASES = ("BraTS2021_01478", "BraTS2021_01481")
PATCH, BATCH, EPOCHS, STEPS = (160, 192), 6, 10, 60


def figures(repeats: int) -> Iterator[Figure]:
    """Dice of each present region of both cases, on the raw grid, after training on them."""
    name = "overfit: train Dice"
    if not REAL.is_dir():
        yield Figure(name, "", [], note="../shared/data/brats2021 is not there")
        return
    runs = [_trained() for _ in range(repeats)]
    for key in runs[0]:
        note = f"{EPOCHS * STEPS} steps on these two cases alone"
        yield Figure(f"{name}, {key}", "", [run[key] for run in runs], at_least=0.9, note=note)


def _trained() -> dict[str, float]:
    import tempfile
    from pathlib import Path

    from pipeline.cohorts import brats
    from pipeline.core import params
    from pipeline.formats import raw_cases
    from pipeline.metrics.case_scores import score_case
    from pipeline.network import architectures, backend, training
    from pipeline.network.inference import predict
    from pipeline.network.params import NetworkParams
    from pipeline.network.setup import Setup
    from pipeline.network.train_params import TrainParams
    from pipeline.preparation import shards
    from pipeline.preparation.params import PreprocessingConfig
    from pipeline.preparation.preprocessing import prepare

    path = ROOT / "params.yaml"
    values = params.read(path)
    shape = params.value(values, "network", NetworkParams, path)
    values["train"] |= {
        "epochs": EPOCHS,
        "steps_per_epoch": STEPS,
        "batch_size": BATCH,
        "patch": PATCH,
        "foreground_share": 0.7,
        "val_batches": 4,
        "weight_decay": 0.0,
        "schedule": "poly",
    }
    train = params.value(values, "train", TrainParams, path)
    config = params.value(values, "preprocess", PreprocessingConfig, path).model_copy(
        update={"spacing_mm": None}
    )
    schema = brats.schema("_")
    raw = {case: raw_cases.read(brats.read_folder(REAL / case)[1], schema) for case in CASES}
    backend.prepare(0, train.precision)
    setup = Setup(shape, train, schema, "pipeline/__init__.py", 0, (1.0, 1.0, 1.0))
    model = setup.model()
    with tempfile.TemporaryDirectory() as folder:
        prepared = {case: prepare(volume, config) for case, volume in raw.items()}
        for case, ready in prepared.items():
            shards.write_prepared(Path(folder), case, ready)
        members = [shards.read(Path(folder), case) for case in CASES]
        training.fit(
            model,
            setup.loss(),
            setup.optimizer(),
            setup.schedule(workers=2),
            setup.feed(members),
            setup.validation(members),
            schema,
            shape.output,
            Path(folder) / "checkpoint.npz",
            "overfit",
        )
        network = architectures.inference_network(model)
        found = {}
        for case, ready in prepared.items():
            prediction = predict(
                network, ready.image, PATCH, 0.5, False, BATCH, "sigmoid", geometry=ready.geometry
            )
            classes = prediction.raw_classes(schema, shape.output)
            rows = score_case(raw[case].classes, classes, schema, raw[case].grid.spacing_mm)
            found |= {
                f"{case} {row['name']}": row["dice"]
                for row in rows
                if row["kind"] == "region" and row["reference_ml"] > 0
            }
        return found
