"""Wall and CPU seconds of the fairness statistics on one core: 8 attributes x 3 similarities, 500
probes, 9,999 relabelings; beside it SNSR's p-values by `scipy.stats.permutation_test`.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/bench/fairness.py [--probes N] [--draws B]

The loop is timed on one of the 24 tables with a twentieth of the draws and scaled up.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from scipy.stats import permutation_test

from auditkit.stats.counterfactual import counterfactual_test
from auditkit.stats.list_shift import list_shift_tests
from auditkit.stats.multiplicity import westfall_young
from auditkit.stats.noise_floor import noise_floor
from auditkit.stats.simultaneous import snsr_bounds

VALUES = (3, 3, 4, 4, 7, 4, 5, 2)  # of the eight shipped attributes
SIMILARITIES = 3


def audit(tables, draws):
    """Every number of the main table: SNSR and largest t, bounds, noise floor, joint p-values."""
    tests = {}
    for number, table in enumerate(tables):
        tested = list_shift_tests(table, rng=np.random.default_rng(number), draws=draws)
        for metric, one in enumerate(tested):
            tests[number, metric, "snsr"], tests[number, metric, "t"] = one.snsr, one.max_t
            snsr_bounds(table[metric], rng=np.random.default_rng(metric), draws=2_000)
            noise_floor(table[metric])
    return westfall_young(tests)


def by_scipy(table, draws):
    """SNSR's p-value; `samples` permutes every probe's values."""
    begun = time.perf_counter()
    permutation_test(
        tuple(table.T),
        lambda *values, axis=-1: np.ptp(np.stack([v.mean(axis=axis) for v in values]), axis=0),
        permutation_type="samples",
        n_resamples=draws,
        alternative="greater",
        vectorized=True,
        batch=100,
        rng=np.random.default_rng(0),
    )
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=500)
    parser.add_argument("--draws", type=int, default=9_999)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    tables = [rng.random((SIMILARITIES, options.probes, a)) for a in VALUES]
    wall, cpu = time.perf_counter(), time.process_time()
    audit(tables, options.draws)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"24 tables, n={options.probes}, B={options.draws}: {wall:.1f} s, {cpu:.1f} CPU s")
    print(f"peak memory of the process: {peak:.0f} MiB")
    some = max(options.draws // 20, 1)
    loop = by_scipy(tables[2][0], some) * options.draws / some * len(VALUES) * SIMILARITIES
    print(f"scipy.stats.permutation_test, SNSR alone: {loop:.0f} s; {loop / wall:.0f}x")
    begun = time.perf_counter()
    counterfactual_test(tables[2][0], rng=rng, n_permutations=options.draws)
    print(f"one counterfactual_test: {time.perf_counter() - begun:.2f} s")


if __name__ == "__main__":
    main()
