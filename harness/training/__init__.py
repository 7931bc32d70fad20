"""Training: an adapter from encoded rows, in a child process."""

from harness.training.configure import train_job
from harness.training.job import LoraSpec, OptimSpec, TrainJob
from harness.training.launch import run_training
from harness.training.plan import adapter_key, overfit_job, train_into, train_or_find

__all__ = [
    "LoraSpec",
    "OptimSpec",
    "TrainJob",
    "adapter_key",
    "overfit_job",
    "run_training",
    "train_into",
    "train_job",
    "train_or_find",
]
