"""Detectors of personal data in text: e-mail, telephone, card, IBAN and IP addresses.

Numbers are reported only if their check digits are right or their form is rarely anything else, so
that titles, years, prices and ISBNs are not. Recorded responses are masked already; a mask such as
`[phone 2]` counts as what it replaces. Sensitivity and false alarms are measured in
tests/privacy/test_detectors.py.

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
    """One match.

    Attributes:
        value: as in the text; a number of a telephone or a card is its digits; the mask of a
            masked value.
        masked: whether the text held a mask instead of the value.
    """

    kind: Kind
    value: str
    masked: bool = False


def find_personal_data(text: str) -> list[Found]:
    """All matches of all kinds; characters of one match are not part of another."""
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
    """First and last character of a value, for evidence and reports."""
    if found.masked or len(found.value) < 3:
        return found.value if found.masked else "..."
    return f"{found.value[0]}...{found.value[-1]}"


def folded(text: str) -> str:
    """Text for the comparison with a secret: NFKC, case folded, letters and digits alone."""
    normal = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in normal if character.isalnum())


def _ibans(text: str) -> Iterator[str]:
    """IBANs with the right check digits; of a longer run of capitals, the longest that has them."""
    for hit in _IBAN.finditer(text):
        ends = [len(hit[0]), *(place.start() for place in re.finditer(" ", hit[0]))]
        for end in sorted(ends, reverse=True):
            candidate = hit[0][:end].rstrip()
            if _is_iban(candidate.replace(" ", "")):
                yield candidate
                break


def _is_iban(code: str) -> bool:
    """Moved by four characters and read with A = 10 ... Z = 35, the rest by 97 is 1."""
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
    """A valid address with at least three groups, as `::1` and times are not personal."""
    groups = [part for part in candidate.split(":") if part]
    if len(groups) < 3:
        return False
    try:
        ipaddress.IPv6Address(candidate)
    except ValueError:
        return False
    return True
