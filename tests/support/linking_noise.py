"""Labeled titles over a catalog: known ones in 24 kinds of noise, and absent ones of ten kinds.

Written from the description of the linking problem, not from the linker: a kind says how people and
models miswrite a title, or which other film's title comes close. `labeled_titles` splits the
catalog: seven of ten entries stay in it, the others are films that it lacks. A title that could
fairly be read as a film of the catalog is never labeled absent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
LATER_FILMS = (
    (Path(__file__).parent / "linking_data/later_films.txt").read_text("utf-8").splitlines()
)


class Labeled(NamedTuple):
    """A written title, the ids that it may be linked to (none: it is absent), and its kind."""

    title: str
    accepted: frozenset[str]
    kind: str


class LabeledTitles(NamedTuple):
    """The part of the catalog that is known, and the titles with their labels."""

    ids: list[str]
    titles: list[str]
    years: list[int | None]
    queries: list[Labeled]


def labeled_titles(
    rows: Sequence[tuple[str, str, int | None]], *, seed: int, n_each: int
) -> LabeledTitles:
    """`n_each` known and `n_each` absent titles over (id, title, year) rows."""
    rng = np.random.default_rng(seed)
    entries = list(dict.fromkeys((title, year) for _, title, year in rows))
    hidden = {entries[i] for i in rng.permutation(len(entries))[: 3 * len(entries) // 10]}
    kept = [row for row in rows if row[1:] not in hidden]
    ids_of = defaultdict(list)
    for item, title, _ in kept:
        for name in _names(title):
            ids_of[name].append(item)
    ids_of = dict(ids_of)
    year_of = {item: year for item, _, year in kept}
    queries = _known(kept, ids_of, year_of, rng, n_each)
    queries += _absent(kept, sorted(hidden, key=str), ids_of, year_of, rng, n_each)
    ids, titles, years = (list(column) for column in zip(*kept, strict=True))
    return LabeledTitles(ids, titles, years, queries)


def _plain(title: str) -> str:
    """Letters and digits only, article in front dropped: equal for the same title."""
    title = _reading_order(title).lower().replace("&", "and")
    title = re.sub(r"[^\w ]", "", title)
    return " ".join(w for w in title.split() if w not in ("the", "a", "an", "and"))


def _names(title: str) -> set[str]:
    """Main title and what stands in brackets behind it."""
    match = re.match(r"^(.*?)\s*\((.*)\)$", title)
    return {_plain(title), *(_plain(part) for part in (match.groups() if match else ()))}


def _reading_order(title: str) -> str:
    match = re.match(r"^(.*), (The|A|An|La|Le|Les|El|Il|Das|Der|Die)$", title)
    return f"{match[2]} {match[1]}" if match else title


def _core(title: str) -> str:
    return _reading_order(re.sub(r"\s*\(.*\)$", "", title))


# --- known titles ---------------------------------------------------------------------------------
def _long_word(words: list[str], rng: np.random.Generator, least: int = 5) -> int | None:
    places = [i for i, w in enumerate(words) if len(w) >= least and w.isalpha() and w.isascii()]
    return int(rng.choice(places)) if places else None


def _edit(change: Callable[[str, np.random.Generator], str], least: int = 5):
    def noisy(title: str, rng: np.random.Generator) -> str | None:
        words = _core(title).split()
        place = _long_word(words, rng, least)
        if place is None:
            return None
        changed = change(words[place], rng)
        if changed == words[place]:
            return None
        return " ".join([*words[:place], changed, *words[place + 1 :]])

    return noisy


def _left_out(word, rng):
    i = int(rng.integers(1, len(word)))
    return word[:i] + word[i + 1 :]


def _put_in(word, rng):
    i = int(rng.integers(1, len(word) + 1))
    return word[:i] + "abcdefghijklmnopqrstuvwxyz"[rng.integers(26)] + word[i:]


def _doubled(word, rng):
    i = int(rng.integers(1, len(word)))
    return word[:i] + word[i] + word[i:]


def _next_key(word, rng):
    i = int(rng.integers(1, len(word)))
    row = next((r for r in KEYBOARD if word[i].lower() in r), None)
    if row is None:
        return word
    at = row.index(word[i].lower())
    return word[:i] + row[at + 1 if at + 1 < len(row) else at - 1] + word[i + 1 :]


def _swapped(word, rng):
    i = int(rng.integers(1, len(word) - 1))
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def _two_words_misspelled(title, rng):
    words = _core(title).split()
    places = [i for i, w in enumerate(words) if len(w) >= 5 and w.isalpha() and w.isascii()]
    if len(places) < 2:
        return None
    for i in rng.choice(places, 2, replace=False):
        words[i] = _swapped(words[i], rng)
    return " ".join(words)


def _words_swapped(title, rng):
    words = _core(title).split()
    if len(words) < 3:
        return None
    i = int(rng.integers(0, len(words) - 1))
    words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def _joined(title, rng):
    words = _core(title).split()
    if len(words) < 2 or not all(w.isalpha() for w in words[:2]):
        return None
    return " ".join([words[0] + words[1], *words[2:]])


def _apart(title, rng):
    words = _core(title).split()
    place = _long_word(words, rng, 8)
    if place is None:
        return None
    i = int(rng.integers(3, len(words[place]) - 2))
    return " ".join([*words[:place], words[place][:i], words[place][i:], *words[place + 1 :]])


def _numeral(title, rng):
    roman = {"II": "2", "III": "3", "IV": "4", "VI": "6", "2": "II", "3": "III", "4": "IV"}
    words = _core(title).split()
    places = [i for i, w in enumerate(words) if w in roman and i]
    if not places:
        return None
    words[places[0]] = roman[words[places[0]]]
    return " ".join(words)


def _other_name(title, rng):
    match = re.match(r"^.*?\s*\((.{4,})\)$", title)
    return match[1] if match else None


def _no_subtitle(title, rng):
    front, colon, _ = _core(title).partition(":")
    return front if colon and len(front.split()) >= 2 else None


def _accents(title, rng):
    core = _core(title)
    plain = core.translate(str.maketrans("éèêàçñöüáíóôÉ", "eeeacnouaiooE"))
    return plain if plain != core else core.replace("e", "é", 1) if "e" in core else None


def _changed(pattern: str, replacement: str):
    def noisy(title, rng):
        core = _core(title)
        new = re.sub(pattern, replacement, core)
        return new if new != core else None

    return noisy


KNOWN_KINDS: dict[str, Callable[[str, np.random.Generator], str | None]] = {
    "as it stands": lambda t, _: t,
    "reading order": lambda t, _: _core(t),
    "bold, numbered": lambda t, r: f"{r.integers(1, 10)}. **{_core(t)}**",
    "in quotes": lambda t, _: f"\u201c{_core(t)}\u201d",
    "lower case": lambda t, _: _core(t).lower(),
    "capitals": lambda t, _: _core(t).upper(),
    "accents": _accents,
    "and, &": _changed(r" & | and ", " \\& ".replace("\\", "")),
    "no apostrophe": _changed(r"(?<=\w)'(?=\w)", ""),
    "dash for colon": _changed(":", " -"),
    "no article": _changed(r"^(The|A|An) ", ""),
    "numeral": _numeral,
    "other name": _other_name,
    "letter left out": _edit(_left_out),
    "letter put in": _edit(_put_in),
    "letter doubled": _edit(_doubled),
    "key beside": _edit(_next_key),
    "letters swapped": _edit(_swapped),
    "two letters left out": _edit(lambda w, r: _left_out(_left_out(w, r), r), least=8),
    "two words misspelled": _two_words_misspelled,
    "words swapped": _words_swapped,
    "words joined": _joined,
    "word apart": _apart,
    "no subtitle": _no_subtitle,
}  # fmt: skip
YEAR_FORMS = ("{t} ({y})",) * 4 + ("{t}, {y}", "{t} - {y}", "{t} {y}", "{t}", "{t}")


def _known(kept, ids_of, year_of, rng, n_each) -> list[Labeled]:
    found: list[Labeled] = []
    kinds = list(KNOWN_KINDS)
    turn = 0
    while len(found) < n_each:
        kind = kinds[turn % len(kinds)]
        turn += 1
        for place in rng.permutation(len(kept)):
            _, title, year = kept[place]
            text = KNOWN_KINDS[kind](title, rng)
            if not text or not text.strip() or _means_another(text, title, ids_of):
                continue
            if kind == "no subtitle" and _fronts(text, kept) > 1:
                continue  # "Star Trek" names no one film
            form = YEAR_FORMS[int(rng.integers(len(YEAR_FORMS)))] if year else "{t}"
            if kind == "as it stands" and year:
                form = "{t} ({y})"
            written = (year or 0) + (int(rng.choice([-2, -1, 1, 2])) if rng.random() < 0.08 else 0)
            same = set().union(*(ids_of[name] for name in _names(title)))
            if "{y}" in form and year:
                off = {i: abs((year_of[i] or written) - written) for i in same}
                same = {i for i in same if off[i] == min(off.values())}
            found.append(Labeled(form.format(t=text, y=written), frozenset(same), kind))
            break
        else:
            raise AssertionError(f"no title can be written with the noise {kind!r}")
    return found


def _means_another(text, title, ids_of) -> bool:
    """Is the noisy text, by chance, the title of another film of the catalog?"""
    return _plain(text) in ids_of and _plain(text) not in _names(title)


# --- absent titles --------------------------------------------------------------------------------
def _sequel(title, rng):
    core = _core(title)
    if re.search(r"\d|\b[IVX]+\b", core):
        return None
    return f"{core} {rng.choice(['2', 'II', '3', 'III', 'IV', '5'])}"


def _other_number(title, rng):
    words = _core(title).split()
    places = [i for i, w in enumerate(words) if re.fullmatch(r"\d{1,2}|II|III|IV|VI", w)]
    if not places:
        return None
    value = {"II": "2", "III": "3", "IV": "4", "VI": "6"}
    stands = value.get(words[places[0]], words[places[0]])
    others = [n for n in ("2", "3", "4", "5", "7", "9", "13", "VIII") if n != stands]
    words[places[0]] = str(rng.choice(others))
    return " ".join(words)


def _number_dropped(title, rng):
    words = _core(title).split()
    places = [i for i, w in enumerate(words) if i and re.fullmatch(r"\d{1,2}:?|II:?|III:?|IV:?", w)]
    if not places:
        return None
    del words[places[0]]
    return " ".join(words)


def _added_subtitle(title, rng):
    added = rng.choice(["The Return", "A New Dawn", "Final Chapter", "The Reckoning"])
    return f"{_core(title)}: {added}"


def _added_word(title, rng):
    words = _core(title).split()
    words.insert(
        int(rng.integers(1, len(words) + 1)),
        str(rng.choice(["Last", "Golden", "Secret", "Midnight"])),
    )
    return " ".join(words)


def _cut_short(title, rng):
    words = _core(title).split()
    return " ".join(words[: len(words) // 2]) if len(words) >= 4 and ":" not in title else None


def _absent(kept, hidden, ids_of, year_of, rng, n_each) -> list[Labeled]:
    vocabulary = sorted(
        {w for _, t, _ in kept for w in _core(t).split() if w.isalpha() and len(w) > 3}
    )

    def word_for_word(title, rng):
        words = _core(title).split()
        place = _long_word(words, rng)
        if place is None or len(words) < 2:
            return None
        words[place] = str(rng.choice(vocabulary))
        return " ".join(words)

    def recombined(title, rng):
        return "The " + " ".join(rng.choice(vocabulary, int(rng.integers(2, 4)), replace=False))

    changes = {
        "sequel that is not there": _sequel,
        "other sequel number": _other_number,
        "sequel number dropped": _number_dropped,
        "subtitle added": _added_subtitle,
        "word added": _added_word,
        "word replaced": word_for_word,
        "cut short": _cut_short,
        "recombined words": recombined,
    }  # fmt: skip
    found: list[Labeled] = []
    others = [*(f"{_core(t)} ({y})" if y else _core(t) for t, y in hidden), *LATER_FILMS]
    hidden_titles = [
        text for text in others
        if not {_plain(_without_year(text))} & ids_of.keys() and not _fronts(text, kept)
    ]  # fmt: skip
    for text in hidden_titles:
        found.append(Labeled(text, frozenset(), "film that is not in the catalog"))
    kinds = [*changes, "remake"]
    turn = 0
    while len(found) < n_each:
        kind = kinds[turn % len(kinds)]
        turn += 1
        for place in rng.permutation(len(kept)):
            _, title, year = kept[place]
            if kind == "remake":
                if year is None:
                    continue
                far = year + int(rng.choice([-30, -17, -9, -6, 6, 9, 17, 30]))
                same = set().union(*(ids_of[name] for name in _names(title)))
                if any(abs((year_of[i] or far) - far) < 6 for i in same) or not 1890 < far < 2030:
                    continue
                found.append(Labeled(f"{_core(title)} ({far})", frozenset(), kind))
                break
            text = changes[kind](title, rng)
            if not text or _plain(text) in ids_of or _plain(text) == _plain(title):
                continue
            if _fronts(text, kept):
                continue
            dated = f"{text} ({year})" if year and rng.random() < 0.5 else text
            found.append(Labeled(dated, frozenset(), kind))
            break
        else:
            raise AssertionError(f"no absent title of the kind {kind!r}")
    return found


def _without_year(text: str) -> str:
    return re.sub(r" \(\d{4}\)$", "", text)


def _fronts(text: str, kept) -> int:
    """How many titles of the catalog have this main title in front of a subtitle?"""
    wanted = _plain(_without_year(text))
    cores = {_core(t) for _, t, _ in kept if ":" in t or " - " in t}
    return sum(wanted == _plain(re.split(r":| - ", core)[0]) for core in cores)
