"""What a sample says of a mean, without an assumption about how the values are spread.

rate        k of n: the exact interval (Clopper and Pearson, 1934)
interval    a mean of values between two bounds; of zeros and ones it is the same
lost        of n cases that were good before, how many are no longer
p_value     of a paired comparison of rates, exact (McNemar's, one-sided)

Both hold at n = 1 and where all values are the same, where a bootstrap has no width.
"""

import numpy as np

LEVEL = 0.95


def rate(good, of, level=LEVEL):
    """(share, lower, upper); (nan, 0, 1) of nothing."""
    from scipy.stats import beta

    if not of:
        return float("nan"), 0.0, 1.0
    out = (1 - level) / 2
    lower = float(beta.ppf(out, good, of - good + 1)) if good else 0.0
    upper = float(beta.ppf(1 - out, good + 1, of - good)) if good < of else 1.0
    return good / of, lower, upper


def interval(values, low=0.0, high=1.0, level=LEVEL, draws=4000, seed=0):
    """(mean, lower, upper) of independent values. low, high: bounds of what a value can be, widened where one is beyond.

    Gaffke's bound (Learned-Miller and Thomas, A new confidence interval for the mean of a bounded random variable, 2019): values in their
    order, weighted by random parts of one, with the bound itself for what was not seen. Of zeros and ones it is Clopper's and Pearson's.
    """
    values = np.sort(np.asarray(values, float))
    mean, low, high = float(values.mean()), min(low, values[0]), max(high, values[-1])
    if set(np.unique(values)) <= {0.0, 1.0} and (low, high) == (0.0, 1.0):
        return rate(int(values.sum()), len(values), level)
    parts = np.random.default_rng(seed).dirichlet(np.ones(len(values) + 1), draws)
    out = (1 - level) / 2
    lower = np.quantile(parts @ np.concatenate([[low], values]), out)
    upper = np.quantile(parts @ np.concatenate([values, [high]]), 1 - out)
    return mean, float(lower), float(upper)


def lost(before, after, level=LEVEL):
    """before, after: for each case whether it was good. (lost, of, share, lower, upper) of those that were good before."""
    kept = [now for was, now in zip(before, after, strict=True) if was]
    gone = len(kept) - sum(map(bool, kept))
    return gone, len(kept), *rate(gone, len(kept), level)


def p_value(better, worse):
    """How likely the first is right where the second is not at least so many times more often than the other way round, if both are as
    good. better, worse: for each case whether it was good."""
    from scipy.stats import binom

    first = sum(a and not b for a, b in zip(better, worse, strict=True))
    second = sum(b and not a for a, b in zip(better, worse, strict=True))
    return float(binom.sf(first - 1, first + second, 0.5)) if first + second else 1.0
