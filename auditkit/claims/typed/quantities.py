"""Numbers with units in a text or in a catalog cell: "1.2 kg", "1.249,00 €", "45 x 45 x 55 cm".

In a number with one separator and three digits after it, the separator groups thousands if it does
so in the language ("1.249" in German); with both separators, the last one is the decimal mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter

from auditkit.domains.pack import Language
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.serialization.yaml_errors import validate

__all__ = ["CURRENCIES", "Quantity", "number_of", "quantities_in", "unit_of"]

CURRENCIES = ("EUR", "USD", "GBP", "CHF")
_DIGITS = r"\d{1,15}(?:[.,'\u2019]\d{1,15}){0,5}"
_TIMES = r"\s{0,2}(?:x|\u00d7|by|mal)\s{0,2}"
_NUMBERS = re.compile(rf"(?<![\w.,]){_DIGITS}(?:{_TIMES}{_DIGITS}){{0,2}}")
_NUMBER = re.compile(_DIGITS)
_UNIT = re.compile(
    r"[\s\u00a0\u202f]{0,2}-?[\s\u00a0]{0,2}([^\W\d_]{1,20}|[\"\u2033\u20ac$\u00a3])"
)
_IN_FRONT = re.compile(r"([\u20ac$\u00a3]|\b(?:EUR|USD|GBP|CHF))\s?$")


class _Unit(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    factor: float
    words: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()


class Unit(NamedTuple):
    """A unit: its dimension, its name, and the factor to the base unit of the dimension."""

    dimension: str
    name: str
    factor: float


@dataclass(frozen=True)
class Quantity:
    """One or more numbers with their unit.

    Attributes:
        numbers: the numbers as written, in `unit`.
        unit: None for numbers without a unit.
        begin, end: character offsets; the end is exclusive.
    """

    numbers: tuple[float, ...]
    unit: Unit | None
    begin: int
    end: int

    @property
    def amounts(self) -> tuple[float, ...]:
        """The numbers, converted to the base unit of their dimension."""
        factor = 1.0 if self.unit is None else self.unit.factor
        return tuple(number * factor for number in self.numbers)

    @property
    def text(self) -> str:
        """Canonical spelling of the quantity, such as `19.99 EUR` or `45 x 45 x 55 cm`."""
        numbers = " x ".join(f"{number:.12g}" for number in self.numbers)
        return numbers if self.unit is None else f"{numbers} {self.unit.name}"


@lru_cache(maxsize=1)
def _units() -> tuple[Mapping[str, Unit], Mapping[str, Unit]]:
    """Units by the spellings that count as written, and by those in lower case."""
    with as_file(files("auditkit.claims.typed") / "units.yaml") as path:
        read = validate(load_yaml(path), TypeAdapter(dict[str, dict[str, _Unit]]))
    exact: dict[str, Unit] = {}
    folded: dict[str, Unit] = {}
    for dimension, units in read.items():
        for name, unit in units.items():
            found = Unit(dimension, name, unit.factor)
            exact |= dict.fromkeys((*unit.exact, name), found)
            folded |= dict.fromkeys(unit.words, found)
    return exact, folded


def unit_of(written: str) -> Unit | None:
    """Return the unit that a text spells; None if the text is not a unit."""
    exact, folded = _units()
    return exact.get(written) or folded.get(written.casefold())


def number_of(written: str, language: Language) -> float:
    """Parse a number with the decimal and thousands separators of a language."""
    plain = written.replace("'", "").replace("\u2019", "")
    marks = [char for char in plain if char in ".,"]
    if not marks:
        return float(plain)
    last = plain.rfind(marks[-1])
    grouping = "," if language == "en" else "."
    groups = len(set(marks)) == 1 and (
        len(marks) > 1 or (len(plain) - last - 1 == 3 and marks[0] == grouping)
    )
    if groups:
        return float(plain.replace(marks[0], ""))
    whole = plain[:last].replace(".", "").replace(",", "")
    return float(f"{whole}.{plain[last + 1 :]}")


def quantities_in(text: str, language: Language) -> Iterator[Quantity]:
    """Yield every number of a text, with its unit if it has one."""
    for match in _NUMBERS.finditer(text):
        numbers = tuple(number_of(one, language) for one in _NUMBER.findall(match[0]))
        begin, end, unit = match.start(), match.end(), None
        currency = _IN_FRONT.search(text, max(0, begin - 4), begin)
        if currency is not None:
            unit, begin = unit_of(currency[1]), currency.start()
        elif follows := _UNIT.match(text, end):
            unit = unit_of(follows[1])
            end = follows.end() if unit is not None else end
        if not text[end : end + 1].isalnum():
            yield Quantity(numbers, unit, begin, end)
