"""Recall and refusal of misspelled titles, with Wilson intervals.

    python tests/bench/linking_edits.py [--films FILE] [--seeds 500 506]

Known titles get one or two random edits: a letter left out, put in, replaced or swapped with the
next character. Absent titles are three of ten titles that are taken out of the catalog, as they are
or misspelled in the same way; a title whose name another film keeps is left out. The catalog is
MovieLens-100k, or a table with the columns movie_id, title and year. A title is found if it is
linked to its own item or its twin, or is ambiguous with it among the candidates.
"""

from __future__ import annotations

import argparse
import csv
import random
import string
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from auditkit.catalog.datasets.download import get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.catalog.linking.normalize import full_key, parse_title
from auditkit.catalog.linking.title_index import TitleIndex
from auditkit.catalog.linking.title_linker import TitleLinker
from auditkit.stats.intervals import wilson

Row = tuple[str, str, int]


def films(path: Path | None) -> list[Row]:
    """(id, title, year) of all films with a year, except titles of digits only."""
    if path is None:
        items = load_ml100k(get_dataset("ml-100k")).catalog.items
        rows = [(item.id, item.title, item.year) for item in items]
    else:
        with path.open(encoding="utf-8", newline="") as stream:
            table = list(csv.DictReader(stream))
        rows = [(r["movie_id"], r["title"], int(float(r["year"] or 0))) for r in table]
    return [row for row in rows if row[2] and any(map(str.isalpha, row[1]))]


def edited(title: str, rng: random.Random, edits: int, *, letters: bool) -> str:
    """A title with random edits, at letters or at any character; unlike the title in letters."""
    while True:
        text = title
        for _ in range(edits):
            places = [i for i, letter in enumerate(text) if letter.isalpha() or not letters]
            if not places:  # the only letter was left out
                break
            i, new = rng.choice(places), rng.choice(string.ascii_lowercase)
            swapped = text[i + 1 : i + 2] + text[i] + text[i + 2 :]
            forms = (text[i + 1 :], new + text[i:], new + text[i + 1 :], swapped)
            text = text[:i] + rng.choice(forms)
        if text.strip() and text.lower() != title.lower():
            return text


def linker_of(rows: list[Row]) -> TitleLinker:
    ids, titles, years = zip(*rows, strict=True)
    return TitleLinker(ids, TitleIndex.build(titles, years))


def written(rows: list[Row], rng: random.Random, edits: int, *, letters: bool, dated: bool):
    texts = [edited(t, rng, edits, letters=letters) if edits else t for _, t, _ in rows]
    return [
        f"{text} ({year})" if dated else text
        for text, (_, _, year) in zip(texts, rows, strict=True)
    ]


def known(rows: list[Row], seeds: range, edits: int, **form: bool) -> Iterator[tuple[str, int]]:
    """Outcome of each known title, and its number of letters."""
    linker, twins = linker_of(rows), defaultdict(set)
    for item, title, year in rows:
        twins[title.lower(), year].add(item)
    for seed in seeds:
        texts = written(rows, random.Random(seed), edits, **form)
        for link, (item, title, year) in zip(linker.link(texts), rows, strict=True):
            hit = link.item_id in twins[title.lower(), year]
            hit |= link.reason.startswith("ambiguous") and item in link.candidates
            outcome = "found" if hit else "wrong" if link.item_id else "refused"
            yield outcome, sum(map(str.isalpha, title))


def names(title: str) -> set[str]:
    """Full keys of a title and of the name in brackets after it."""
    parts = parse_title(title, with_year=False)
    return {full_key(parts.core)} | ({full_key(parts.alias)} if parts.alias else set())


def absent(rows: list[Row], seeds: range, edits: int, **form: bool) -> Counter[str]:
    """Counts of links of absent titles by their reason; refused ones count as `refused`."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        hidden = set(rng.sample(range(len(rows)), 3 * len(rows) // 10))
        kept = [row for i, row in enumerate(rows) if i not in hidden]
        year_if = (lambda year: year) if form["dated"] else (lambda _: None)
        have = {(name, year_if(year)) for _, title, year in kept for name in names(title)}
        gone = [
            (item, title, year)
            for item, title, year in (rows[i] for i in sorted(hidden))
            if not any((name, year_if(year)) in have for name in names(title))
        ]
        for link in linker_of(kept).link(written(gone, rng, edits, **form), near_misses=False):
            counts[link.reason if link.item_id else "refused"] += 1
    return counts


def share(hits: int, n: int) -> str:
    low, high = wilson(hits, n)
    return f"{hits / n:.4f} [{low:.4f}, {high:.4f}] of {n}"


def measure(rows: list[Row], seeds: range, edits: int, *, dated: bool, letters: bool) -> None:
    print(f"{edits} edits {'' if letters else 'anywhere '}{'with' if dated else 'without'} year")
    if edits:
        outcomes = list(known(rows, seeds, edits, dated=dated, letters=letters))
        for least in (1, 4):
            n = Counter(outcome for outcome, length in outcomes if length >= least)
            print(f"  recall, {least} letters or more: {share(n['found'], n.total())}")
        n = Counter(outcome for outcome, _ in outcomes)
        print(f"  precision: {share(n['found'], n['found'] + n['wrong'])}")
    links = absent(rows, seeds, edits, dated=dated, letters=letters)
    print(f"  refusal: {share(links['refused'], links.total())} {dict(links)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, help="table of films instead of MovieLens-100k")
    parser.add_argument("--seeds", type=int, nargs=2, default=[500, 506])
    args = parser.parse_args()
    catalog = films(args.films)
    for with_year in (True, False):
        for count, at_letters in ((0, True), (1, True), (1, False), (2, True), (2, False)):
            measure(catalog, range(*args.seeds), count, dated=with_year, letters=at_letters)
