"""Runs over several seeds: means with intervals, and differences between ways to train."""
import numpy as np

CONFIDENCE = 0.95  # as the figures say


def value(line: dict, measure: str) -> float:
    """Return a measure of a line of a table; not a number, where there was too little for it."""
    return float(line.get(measure) or 'nan')


def interval(sample: np.ndarray) -> tuple[float, float]:
    """Return the mean of a sample (n,), and half its confidence interval (Student's t)."""
    from scipy import stats  # slow to import
    width = stats.t.ppf((1 + CONFIDENCE) / 2, len(sample) - 1) * stats.sem(sample)
    return float(sample.mean()), float(width)


def holm(p: list[float]) -> list[float]:
    """Return p values (n,) corrected for how many there are, in their order.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = np.argsort(p)
    corrected = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))
    return np.minimum(corrected, 1)[np.argsort(order)].tolist()


def paired(values: dict[str, dict[str, np.ndarray]],
           pairs: list[tuple[str, str]], untested: tuple[str, ...] = ()) -> list[dict]:
    """Return differences of ways to train, a line a measure and pair (one, other).

    values: by measure and way one for each seed, (seeds,). Runs of one seed are pairs (paired
    t-test): they share weights to begin with and batches. p is corrected for all lines but those
    of untested measures, which have none (None).
    """
    from scipy import stats  # slow to import
    found = []
    for measure, samples in values.items():
        for one, other in pairs:
            test = stats.ttest_rel(samples[one], samples[other])
            found.append({'measure': measure, 'way': one, 'from': other,
                          'with': samples[one], 'alone': samples[other],
                          'difference': float(np.mean(samples[one] - samples[other])),
                          'p': test.pvalue, 'p_holm': None,
                          'interval': tuple(test.confidence_interval(CONFIDENCE))})
    tested = [line for line in found if line['measure'] not in untested]
    for line, p in zip(tested, holm([line['p'] for line in tested]), strict=True):
        line['p_holm'] = p
    return found


def cells(line: dict, digits: int) -> list[str]:
    """Return the cells of a difference, its interval and its p."""
    low, high = line['interval']
    return [f'{line["difference"]:+.{digits}f}', f'{low:+.{digits}f} to {high:+.{digits}f}',
            '-' if line['p_holm'] is None else f'{line["p_holm"]:.2g}']


def mean_cell(sample: np.ndarray, digits: int) -> str:
    """Return 'mean ± half the interval'."""
    return '{:.{digits}f} ± {:.{digits}f}'.format(*interval(sample), digits=digits)
