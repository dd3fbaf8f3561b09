"""Generated personal data of every kind, and clean responses that resemble it."""

from __future__ import annotations

import ipaddress

import numpy as np
from small_world import world

NAMES = ("ana", "jörg", "li.wei", "o'neil", "maria_k", "sam-lee", "x", "k.m.b", "peter77", "dr.no")
HOSTS = ("example.com", "mail.example.org", "uni-bonn.de", "müller.de", "co.uk", "a-b.io")
FRAMES = (
    "{}", "Contact: {}.", "You may also like it ({}), as others did.",
    "1. Alien (1979) - {}\n2. Heat",
    "See {}; it was released in 1995.", "\u201c{}\u201d",
)  # fmt: skip
BRANDS = (("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16),
          ("36", 14), ("3530", 16))  # fmt: skip
IBANS = (("DE", 18, False), ("NL", 14, True), ("GB", 18, True), ("FR", 23, False),
         ("ES", 20, False), ("NO", 11, False), ("CH", 17, False), ("IT", 23, True))  # fmt: skip


def digits(rng, n):
    return "".join(map(str, rng.integers(10, size=n)))


def email(rng):
    name = NAMES[rng.integers(len(NAMES))].replace("'", "")
    return f"{name}{rng.integers(100)}@{HOSTS[rng.integers(len(HOSTS))]}"


def phone(rng):
    area, first = f"{rng.integers(2, 10)}{digits(rng, 2)}", f"{rng.integers(2, 10)}{digits(rng, 2)}"
    last = digits(rng, 4)
    forms = (
        f"+49 {rng.integers(150, 180)} {rng.integers(10**6, 10**7)}",
        f"+1-{area}-{first}-{last}", f"({area}) {first}-{last}", f"{area}-{first}-{last}",
        f"+33 {rng.integers(1, 10)} {' '.join(digits(rng, 2) for _ in range(4))}",
        f"+44 20 {rng.integers(1000, 10000)} {rng.integers(1000, 10000)}",
        f"0{rng.integers(1, 10)}{digits(rng, 2)} {rng.integers(10**5, 10**7)}",
        f"phone: {rng.integers(2, 10)}{digits(rng, 9)}",
        f"00{rng.integers(30, 50)} {digits(rng, 9)}",
        f"+{rng.integers(30, 99)}{rng.integers(10**8, 10**10)}",
    )  # fmt: skip
    return forms[rng.integers(len(forms))]


def luhn_digit(body):
    total = 0
    for place, digit in enumerate(reversed(body)):
        double = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += double - 9 if double > 9 else double
    return str(-total % 10)


def card(rng):
    prefix, length = BRANDS[rng.integers(len(BRANDS))]
    body = prefix + digits(rng, length - len(prefix) - 1)
    number = body + luhn_digit(body)
    gap = ("", " ", "-")[rng.integers(3)]
    return gap.join(number[at : at + 4] for at in range(0, length, 4))


def iban(rng):
    country, length, letters = IBANS[rng.integers(len(IBANS))]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    start = "".join(alphabet[i] for i in rng.integers(26, size=4)) if letters else digits(rng, 4)
    account = start + digits(rng, length - 4)
    value = int("".join(str(int(c, 36)) for c in f"{account}{country}00"))
    code = f"{country}{98 - value % 97:02d}{account}"
    if rng.integers(2):
        return code
    return " ".join(code[at : at + 4] for at in range(0, len(code), 4))


def ip(rng):
    if rng.integers(2):
        return ".".join(map(str, rng.integers(256, size=4)))
    address = ipaddress.IPv6Address(int.from_bytes(rng.bytes(16), "big"))
    short = ipaddress.IPv6Address(f"2001:db8::{rng.integers(1, 65536):x}:{rng.integers(65536):x}")
    return (str(address), address.exploded, str(short))[rng.integers(3)]


POSITIVES = {"email": email, "phone": phone, "card": card, "iban": iban, "ip": ip}


def framed(rng, value):
    return FRAMES[rng.integers(len(FRAMES))].format(value)


def look_alike(rng, kind):
    """A text of the form of a kind that is none: wrong check digits, ISBNs, times, versions."""
    year = rng.integers(1920, 2025)
    number = digits(rng, 15)
    other = {
        "email": (f"rated {rng.integers(1, 10)}@{rng.integers(10)}", "@films", "user@", "a@b"),
        "phone": (f"{year}-{year + 1}", f"978-0-{digits(rng, 3)}-{digits(rng, 5)}-{digits(rng, 1)}",
                  f"{rng.integers(1, 99)},{digits(rng, 3)},{digits(rng, 3)}",
                  f"item {digits(rng, 7)}"),
        "card": (f"4{number[:14]}{(int(luhn_digit('4' + number[:14])) + 1) % 10}",
                 f"978{digits(rng, 10)}", f"order {digits(rng, 16)[:12]}"),
        "iban": (f"DE{rng.integers(10, 98)}{'1' * 18}"[:21] + "X", "UB40", "THX 1138",
                 f"AB{digits(rng, 12)}"),
        "ip": (f"version {rng.integers(9)}.{rng.integers(9)}.{rng.integers(9)}.1",
               f"{rng.integers(24)}:{rng.integers(10, 60)}:{rng.integers(10, 60)}",
               f"{rng.integers(256, 999)}.1.1.1", "1.2.3"),
    }[kind]  # fmt: skip
    return framed(rng, other[rng.integers(len(other))])


def clean_responses(n, seed=0):
    """Lists with reasons, years, prices and ISBNs."""
    rng, items = np.random.default_rng(seed), world().catalog.items
    found = []
    for number in range(n):
        rows = rng.choice(len(items), 8, replace=False)
        lines = [f"{place}. {items[row].display_title}" for place, row in enumerate(rows, 1)]
        extra = (
            f"because you liked {items[rows[0]].title}, released {rng.integers(1950, 2024)}",
            f"price: ${rng.integers(5, 200)}.{rng.integers(10, 100)}",
            f"ISBN 978-{rng.integers(10)}-{digits(rng, 3)}-{digits(rng, 5)}-{rng.integers(10)}",
            f"runtime {rng.integers(1, 4)}:{rng.integers(10, 60)}:{rng.integers(10, 60)}",
            f"ids tt{digits(rng, 7)}, Q{digits(rng, 6)}, {digits(rng, 13)}",
            f"{rng.integers(1, 9)},{digits(rng, 3)},{digits(rng, 3)} copies from 1939-1945",
            f"rated {rng.integers(1, 10)}.{rng.integers(10)}/10 by {digits(rng, 5)} users",
        )
        found.append("\n".join([*lines, extra[number % len(extra)]]))
    return found
