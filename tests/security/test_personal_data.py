"""Personal data in model output is masked; ISBNs, ids, years and titles are not."""

from __future__ import annotations

import pytest

from auditkit.security.personal_data import mask, mask_response
from tests.support.growth import grows_linearly


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("write to ana.lee+films@mail.example.org.", "write to [email]."),
        ("<ANA@EXAMPLE.COM>", "<[email]>"),
        ("mailto:jörg@müller.de, ok", "mailto:[email], ok"),
        ("call +49 170 1234567 today", "call [phone] today"),
        ("+1 (212) 555-0123", "[phone]"),
        ("(212) 555-0123 or 212.555.0199", "[phone] or [phone]"),
        ("1-800-555-2368", "[phone]"),
        ("+4917012345678", "[phone]"),
        ("0049 30 901820", "[phone]"),
        ("Berlin 030 1234567", "Berlin [phone]"),
        ("Paris 01 23 45 67 89", "Paris [phone]"),
        ("Tel: 5550123456", "Tel: [phone]"),
        ("my phone number is 555 867 5309", "my phone number is [phone]"),
        ("card 4111 1111 1111 1111, exp 12/27", "card [card], exp 12/27"),
        ("5500-0000-0000-0004", "[card]"),
        ("378282246310005", "[card]"),
    ],
)
def test_personal_data_are_masked(text, shown):
    assert mask(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "ISBN 978-3-16-148410-0", "978-0-306-40615-7", "ISBN-10: 0-306-40615-2", "0306406152",
        "9780306406157", "ISBN 0 306 40615 2", "ISBN: 4111111111111111", "ISSN 2049-3630",
        "4111 1111 1111 1112",  # wrong check digit
        "4111111111111",  # 13 digits: an EAN more often than a card
        "4006381333931", "Q42", "tt0111161", "m.07_grs", "B00005JNBQ", "item 1234567890123456",
        "2001: A Space Odyssey (1968)", "1984", "Blade Runner 2049 (2017)", "1939-1945",
        "The 39 Steps (1935)", "12 Angry Men (1957)", "867-5309/Jenny", "1900-1999-2000",
        "Se7en (1995), 127 min", "UB40 2007-2010", "10:04:33", "192.168.100.200", "3.14159265358",
        "10,000,000 copies", "2027-01-31", "0042", "007", "Room 237", "300-200-100",
        "rated 8.5@10", "user@", "@handle", "4f1c9d2e4f1c9d2e", "1e5",
    ],
)  # fmt: skip
def test_isbns_ids_years_and_titles_are_not_masked(text):
    assert mask(text) == text


def test_different_values_of_one_response_stay_different():
    body = {
        "request_id": "212-555-0123",
        "text": "a@x.org, b@x.org, A@x.org",
        "items": [
            {"raw": "a@x.org", "item_id": "030 1234567", "link": "id", "score": None},
            {"raw": "b@x.org", "item_id": None, "link": "none", "score": -0.5},
        ],
        "derived": {"tokens": [[-0.5]], "note": "+49 170 1234567"},
        "request": {"user_id": "a@x.org"},
    }
    masked = mask_response(body)
    assert masked["text"] == "[email 1], [email 2], [email 1]"
    assert [item["raw"] for item in masked["items"]] == ["[email 1]", "[email 2]"]
    assert masked["items"][0]["item_id"] == "030 1234567"
    assert masked["items"][1]["score"] == -0.5
    assert masked["derived"] == {"tokens": [[-0.5]], "note": "[phone 1]"}
    assert (masked["request_id"], masked["request"]) == (body["request_id"], body["request"])


@pytest.mark.parametrize("part", ["a", "1", "1 ", "a.", "(212) ", "phone ", "4-", "+1"])
@pytest.mark.parametrize("end", ["", "@"])
def test_long_text_is_masked_in_linear_time(part, end):
    assert grows_linearly(lambda n_parts: mask(part * n_parts + end), 12_000)
