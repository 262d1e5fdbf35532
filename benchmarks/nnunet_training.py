"""A training of nnU-Net by its own trainer on the CPU, of so many epochs and steps, run by the
interpreter of its environment: it imports nothing of ours.

.venv-peers/bin/python benchmarks/nnunet_training.py CONFIGURATION 16 50

It takes dataset 501, fold 0, and nnU-Net's places from its environment variables, and prints the
number of weights. The schedule of the learning rate ends with the last epoch, and each epoch has a
validation step for five of training, as nnU-Net has 50 for 250. The trainer is the stock one with
other lengths: a class of our own would make nnU-Net search all of its trainers, and import
torchvision, which not every CPU build of PyTorch has.
"""

import os
import random
import sys

import numpy as np
import torch
from nnunetv2.run.run_training import get_trainer_from_args

STEPS_PER_VALIDATION_STEP = 5


def main() -> None:
    configuration, epochs, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    random.seed(0)
    np.random.seed(0)  # its augmentation draws from the global generators
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    trainer = get_trainer_from_args("501", configuration, 0, device=torch.device("cpu"))
    trainer.num_epochs = epochs
    trainer.num_iterations_per_epoch = steps
    trainer.num_val_iterations_per_epoch = max(1, round(steps / STEPS_PER_VALIDATION_STEP))
    trainer.run_training()
    print("weights:", sum(weights.numel() for weights in trainer.network.parameters()))


if __name__ == "__main__":
    main()
