"""Puts the rooms together: train or find, serve, generate, record."""

from harness.job.fill import FillReport
from harness.job.identity import KeyContext
from harness.job.request import RunRequest, Target
from harness.job.session import EngineFactory, JobSession, new_run_id

__all__ = ["EngineFactory", "FillReport", "JobSession", "KeyContext", "RunRequest", "Target", "new_run_id"]
