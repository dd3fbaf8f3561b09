"""Masking of e-mail addresses, telephone numbers and card numbers in model output.

A model may repeat personal data of its training set. Only formats that are rarely used for anything
else are masked: card numbers must have the length of their brand and a valid Luhn digit; telephone
numbers need a country code, an area code in brackets or separators, or a word such as "phone"
before them. ISBNs, ids, years and plain numbers in titles are not masked. Names are not masked,
because no pattern detects them.

Source: Luhn check digit, ISO/IEC 7812-1; international numbers, ITU-T E.164.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from auditkit.security.redaction import map_text

__all__ = ["find_contacts_and_cards", "mask", "mask_response"]

_RESPONSE = ("text", "trace", "derived", "reason")
_KEPT = ("item_id", "link")  # ids of the catalog

_EMAIL = re.compile(
    r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])", re.UNICODE
)
_CARD = re.compile(r"(?<![\w.+-])[2-6][0-9](?:[ -]?[0-9]){12,17}(?![\w-])")
_GAP = r"[ .\-/\u2010-\u2013]"
_PHONE = re.compile(
    rf"""
    (?<![\w.,+/-])(?:
        (?:\+|00(?={_GAP}?[1-9]))[ ]?[1-9](?:{_GAP}?(?:\([0-9]{{1,5}}\)|[0-9])){{7,14}}  # +49 170
      | \([2-9][0-9]{{2}}\)[ ]?[2-9][0-9]{{2}}[ .-][0-9]{{4}}                 # (212) 555-0123
      | (?:1[ .-])?[2-9][0-9]{{2}}([.-])[2-9][0-9]{{2}}\1[0-9]{{4}}           # 212-555-0123
      | \(?0[1-9][0-9]{{1,3}}\)?[ /-][0-9]{{3,4}}[ -]?[0-9]{{3,5}}            # 030 1234567
      | 0[1-9](?:[ .][0-9]{{2}}){{4}}                                         # 01 23 45 67 89
    )(?![\w-])(?!{_GAP}[0-9])
    """,
    re.VERBOSE,
)
_ANNOUNCED = re.compile(
    r"\b((?:tele)?phone|tel|mobile|fax|call|whatsapp)"
    r"(\W{1,3}(?:(?:no|number|is|at)\W{1,3}){0,2})"
    r"(\+?\(?[0-9](?:[ ().\-/]{0,2}[0-9]){6,14})(?!\w)",
    re.IGNORECASE,
)
_ISBN_BEFORE = re.compile(r"(?:ISBN|ISSN|EAN|ASIN)(?:-1[03])?\W{0,3}$", re.IGNORECASE)


def mask(text: str) -> str:
    """Replace personal data in a text by `[email]`, `[card]` and `[phone]`."""
    return _masked(text, lambda kind, _: f"[{kind}]")


def find_contacts_and_cards(text: str) -> list[tuple[str, str]]:
    """Find e-mail addresses, telephone numbers and card numbers in a text.

    Returns pairs (kind, value), ordered by kind; the value of a number is its digits.
    """
    found: list[tuple[str, str]] = []

    def noted(kind: str, value: str) -> str:
        found.append((kind, value))
        return f"[{kind}]"

    _masked(text, noted)
    return found


def mask_response(body: Mapping[str, Any]) -> dict[str, Any]:
    """Mask personal data in those fields of a log record that the recommender returned.

    The masks of different values in a response are numbered, as in `[email 2]`, so that two
    addresses in a list do not count as a repeated item.
    """
    numbers: dict[tuple[str, str], int] = {}

    def numbered(kind: str, found: str) -> str:
        number = numbers.setdefault((kind, found), 1 + sum(known == kind for known, _ in numbers))
        return f"[{kind} {number}]"

    def masked(text: str) -> str:
        return _masked(text, numbered)

    def item(fields: Any) -> Any:
        if not isinstance(fields, Mapping):
            return map_text(fields, masked)
        return {k: v if k in _KEPT else map_text(v, masked) for k, v in fields.items()}

    def traced(value: Any) -> Any:
        """Stages of a pipeline have lists of items too."""
        if isinstance(value, Mapping):
            return {masked(k): v if k in _KEPT else traced(v) for k, v in value.items()}
        return [traced(v) for v in value] if isinstance(value, list) else map_text(value, masked)

    result = {
        name: traced(body[name]) if name == "trace" else map_text(body[name], masked)
        for name in _RESPONSE
        if name in body
    }
    if "items" in body:
        result["items"] = [item(fields) for fields in body["items"]]
    return {**body, **result}


def _masked(text: str, replacement: Callable[[str, str], str]) -> str:
    if not any(character.isdigit() or character == "@" for character in text):
        return text
    if "@" in text:
        text = _EMAIL.sub(lambda found: replacement("email", found[0].casefold()), text)

    def number(kind: str, valid: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
        def replaced(found: re.Match[str]) -> str:
            digits = re.sub(r"[^0-9]", "", found[0])
            is_book = _ISBN_BEFORE.search(found.string, max(0, found.start() - 20), found.start())
            return found[0] if is_book or not valid(digits) else replacement(kind, digits)

        return replaced

    def announced(found: re.Match[str]) -> str:
        digits = re.sub(r"[^0-9]", "", found[3])
        return f"{found[1]}{found[2]}{replacement('phone', digits)}"

    text = _CARD.sub(number("card", _is_card), text)
    text = _PHONE.sub(number("phone", lambda digits: 8 <= len(digits) <= 15), text)
    return _ANNOUNCED.sub(announced, text)


def _is_card(digits: str) -> bool:
    """Whether digits have the prefix and length of a card brand and a valid check digit."""
    two, four = int(digits[:2]), int(digits[:4])
    brands = (
        (digits[0] == "4", (16, 19)),  # Visa
        (51 <= two <= 55 or 2221 <= four <= 2720, (16,)),  # Mastercard
        (two in (34, 37), (15,)),  # American Express
        (two in (62, 65) or four == 6011, (16, 17, 18, 19)),  # UnionPay, Discover
        (two in (30, 36, 38), (14,)),  # Diners Club
        (3528 <= four <= 3589, (16,)),  # JCB
    )
    return any(named and len(digits) in lengths for named, lengths in brands) and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
