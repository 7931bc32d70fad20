"""Two ways to end early: training that goes nowhere better, and training that goes wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.errors import TrainingError


@dataclass
class EarlyStopping:
    """Counts evaluations without a better loss."""

    patience: int
    """0: never stops."""
    best: float = math.inf
    since: int = 0

    def see(self, loss: float) -> bool:
        """Take note of an evaluation; return whether it is the best so far."""
        better = loss < self.best
        self.best = min(loss, self.best)
        self.since = 0 if better else self.since + 1
        return better

    @property
    def stop(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.patience <= self.since


@dataclass
class LossWatchdog:
    """Ends a run whose loss stays above a threshold for ``patience`` steps in a row."""

    threshold: float
    """0: never bites."""
    patience: int
    above: int = 0

    def see(self, loss: float, step: int) -> None:
        """Take note of a step's loss.

        Raises:
            TrainingError: patience has run out.
        """
        self.above = self.above + 1 if loss > self.threshold else 0
        if self.threshold and self.above >= max(1, self.patience):
            raise TrainingError(
                f"training was stopped by the loss watchdog at step {step}: the loss was above "
                f"loss_watchdog_threshold ({self.threshold:g}) for {self.above} steps in a row, last {loss:.4g}. "
                "Lower learning_rate, look at the rows with `harness preprocess`, or raise the threshold."
            )
