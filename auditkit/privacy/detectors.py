"""Detectors of personal data in text: e-mail, telephone, card, IBAN and IP addresses.

A number is reported only if its check digits are valid or its form is rarely used for anything
else, so that titles, years, prices and ISBNs are not reported. Recorded responses are already
masked; a mask such as `[phone 2]` counts as a match of the kind that it replaces. Sensitivity and
false-positive rates are measured in tests/privacy/test_detectors.py.

Source: Luhn, ISO/IEC 7812-1; IBAN, ISO 13616 (mod 97); RFC 4291 for IPv6.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from typing import Literal, NamedTuple, cast

from auditkit.security.personal_data import find_contacts_and_cards

__all__ = ["KINDS", "Found", "Kind", "find_personal_data", "folded", "masked_value"]

Kind = Literal["email", "phone", "card", "iban", "ip"]
KINDS: tuple[Kind, ...] = ("email", "phone", "card", "iban", "ip")

_MASK = re.compile(r"\[(email|phone|card)(?: [0-9]+)?\]")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
_SHORTEST_IBAN = 15
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
_VERSION = re.compile(r"(?:\bv|version|release)\W{0,2}$", re.IGNORECASE)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{3,39}(?![\w:])")


class Found(NamedTuple):
    """One match of personal data.

    Attributes:
        kind: kind of personal data.
        value: the matched text; for telephone and card numbers, only the digits; for a mask, the
            mask.
        masked: whether the text contained a mask instead of the value.
    """

    kind: Kind
    value: str
    masked: bool = False


def find_personal_data(text: str) -> list[Found]:
    """Find all matches of all kinds; matches do not overlap."""
    masks = [Found(cast(Kind, hit[1]), hit[0], True) for hit in _MASK.finditer(text)]
    rest = _MASK.sub(" ", text)
    found: list[Found] = []
    for kind, matches in (("iban", _ibans), ("ip", _addresses)):
        for value in list(matches(rest)):
            found.append(Found(cast(Kind, kind), value))
            rest = rest.replace(value, " ", 1)
    found += [Found(cast(Kind, kind), value) for kind, value in find_contacts_and_cards(rest)]
    return [*masks, *found]


def masked_value(found: Found) -> str:
    """Mask a value except its first and last character, for evidence and reports."""
    if found.masked or len(found.value) < 3:
        return found.value if found.masked else "..."
    return f"{found.value[0]}...{found.value[-1]}"


def folded(text: str) -> str:
    """Normalize a text for comparison with a secret: NFKC, case folding, only letters and
    digits.
    """
    normal = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in normal if character.isalnum())


def _ibans(text: str) -> Iterator[str]:
    """Yield IBANs with valid check digits; in a longer run of capitals, the longest valid
    prefix.
    """
    for hit in _IBAN.finditer(text):
        ends = [len(hit[0]), *(place.start() for place in re.finditer(" ", hit[0]))]
        for end in sorted(ends, reverse=True):
            candidate = hit[0][:end].rstrip()
            if _is_iban(candidate.replace(" ", "")):
                yield candidate
                break


def _is_iban(code: str) -> bool:
    """Whether the check digits are valid: the rearranged number, with A = 10 to Z = 35, is 1 mod
    97.
    """
    if len(code) < _SHORTEST_IBAN:
        return False
    moved = code[4:] + code[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _addresses(text: str) -> Iterator[str]:
    for hit in _IPV4.finditer(text):
        before = text[max(0, hit.start() - 12) : hit.start()]
        octets = [int(part) for part in hit[0].split(".")]
        if max(octets) <= 255 and not _VERSION.search(before):
            yield hit[0]
    for hit in _IPV6.finditer(text):
        if _is_ipv6(hit[0]):
            yield hit[0]


def _is_ipv6(candidate: str) -> bool:
    """Whether this is a valid IPv6 address with at least three groups, unlike `::1` or a clock
    time.
    """
    groups = [part for part in candidate.split(":") if part]
    if len(groups) < 3:
        return False
    try:
        ipaddress.IPv6Address(candidate)
    except ValueError:
        return False
    return True
