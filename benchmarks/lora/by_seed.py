"""Statistics of experiments that were run with several seeds: a seed is one observation, however many pictures it drew.

Estimate     mean and 95 % interval over seeds, with each seed's value
estimate     of values, one a seed
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    runs: tuple[float, ...]
    mean: float
    half: float  # of the interval's width, by Student's t
    p: float  # of the t test against zero

    @property
    def holds(self):
        """Whether the interval is without zero."""
        return abs(self.mean) > self.half

    def text(self, unit="", digits=1, sign=""):
        """ "29 ± 104 % (1, 77, 8)", the seeds in their order"""
        runs = ", ".join(f"{run:{sign}.{digits}f}" for run in self.runs)
        return f"{self.mean:{sign}.{digits}f} ± {self.half:.{digits}f}{unit} ({runs})"


def estimate(runs):
    """Raises ValueError for fewer than two seeds, of which nothing can be said."""
    if len(runs) < 2:
        raise ValueError("One seed has no interval: run at least two.")
    runs, mean = tuple(map(float, runs)), float(np.mean(runs))
    error, freedom = float(np.std(runs, ddof=1)) / len(runs) ** 0.5, len(runs) - 1
    p = float(2 * stats.t.sf(abs(mean) / error, freedom)) if error else float(mean == 0)
    return Estimate(runs, mean, float(stats.t.ppf(0.975, freedom)) * error, p)
