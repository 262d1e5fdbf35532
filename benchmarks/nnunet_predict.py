"""Segmenting a case by nnU-Net's own predictor on the CPU, without mirroring, with an untrained
network of the plans: run by the interpreter of its environment, it imports nothing of ours.

.venv-peers/bin/python benchmarks/nnunet_predict.py PREPROCESSED_DATASET CONFIGURATION MODALITY...

It prints the seconds of each part and of the whole as JSON, after a pass over one patch. Writing is
left out: gzip would be slow to pack the noise.
"""

import itertools
import json
import os
import sys
import time
from pathlib import Path

import torch
from nnunetv2.inference.export_prediction import (
    convert_predicted_logits_to_segmentation_with_correct_shape as labels_on_raw_grid,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager


def main() -> None:
    folder, configuration, *images = sys.argv[1:]
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    plans = PlansManager(str(Path(folder) / "nnUNetPlans.json"))
    dataset = json.loads((Path(folder) / "dataset.json").read_text())
    planned = plans.get_configuration(configuration)
    network = get_network_from_plans(
        planned.network_arch_class_name,
        planned.network_arch_init_kwargs,
        planned.network_arch_init_kwargs_req_import,
        len(images),
        plans.get_label_manager(dataset).num_segmentation_heads,
        deep_supervision=False,
    )
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    weights = network.state_dict()
    predictor.manual_initialization(
        network, plans, planned, [weights], dataset, "nnUNetTrainer", None
    )
    predictor.predict_logits_from_preprocessed_data(torch.randn(len(images), *planned.patch_size))
    preprocessor = planned.preprocessor_class()
    moments = [time.perf_counter()]
    voxels, _, found = preprocessor.run_case(images, None, plans, planned, dataset)
    moments.append(time.perf_counter())
    logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(voxels))
    moments.append(time.perf_counter())
    labels_on_raw_grid(logits, plans, planned, predictor.label_manager, found)
    moments.append(time.perf_counter())
    seconds = [end - start for start, end in itertools.pairwise(moments)]
    parts = dict(zip(("prepare", "network", "restore"), seconds, strict=True))
    print(json.dumps(parts | {"whole": sum(seconds)}))


if __name__ == "__main__":
    main()
