"""Titles that reasons name, linked to the history of a small catalog."""

from __future__ import annotations

import pytest
from small_world import world

from auditkit.claims.stated_reasons import first_item_text, read_reasons

ITEMS = world().catalog.items[:6]
HISTORY = [item.id for item in ITEMS[:4]]
A, B, C, D, OTHER, RECOMMENDED = (item.title for item in ITEMS)


def read(text, history=HISTORY):
    return read_reasons(world().catalog, [text], [history], [ITEMS[5].id])[0]


@pytest.mark.parametrize(
    "text",
    [
        f": because you watched {B} (1957).",
        f": Since you enjoyed {B}, this should suit you.",
        f': because you liked "{B}"',
        f": It shares its mood with {B}.",
        f": weil du {B} gesehen hast.",
    ],
)
def test_a_title_of_the_history_is_its_position(text):
    assert read(text) == ((1,), ())


def test_several_titles_are_several_positions():
    assert read(f"because you watched {D} and {A}").positions == (0, 3)


def test_a_title_that_occurs_twice_is_two_positions():
    assert read(f"because you watched {A}", [*HISTORY, HISTORY[0]]).positions == (0, 4)


def test_a_title_outside_the_history_is_named_as_such():
    assert read(f"because you watched {OTHER} and {C}") == ((2,), (OTHER,))


@pytest.mark.parametrize("name", ["Zzyzx Rising", "the film Return of the Zzyzx", '"the zzyzx"'])
def test_an_unknown_title_after_a_cue_is_unresolved(name):
    written = name.removeprefix("the film ").strip('"')
    assert read(f"because you watched {name}.") == ((), (written,))
    assert read("weil du Zzyzx Rising gesehen hast").elsewhere == ("Zzyzx Rising",)
    assert read("because you love Zzyzx Rising (1999)") == ((), ("Zzyzx Rising",))


@pytest.mark.parametrize(
    "text",
    [
        "a quiet drama with a strong cast",
        f"{RECOMMENDED} is a classic",
        "because you like slow dramas. The Academy praised it",
        "because you enjoyed French cinema and Tom Hanks",
        "since you watched a lot of German dramas",
        "",
    ],
)
def test_a_reason_without_another_title_names_nothing(text):
    assert not read(text).names_something


def test_many_reasons_are_read_together():
    texts = [f"because you watched {A}", "a drama", f"because you watched {OTHER}"]
    found = read_reasons(world().catalog, texts, [HISTORY] * 3, [ITEMS[5].id] * 3)
    assert [one.positions for one in found] == [(0,), (), ()]
    assert found[2].elsewhere == (OTHER,)


def test_the_text_about_the_first_item_ends_before_the_second():
    text = f"Sure!\n1. {A} (1950): because of {B}.\n2. {C}: because of {D}."
    assert first_item_text(text, f"{A} (1950)") == f": because of {B}."
    assert first_item_text("1. X: fine", "Y") == "1. X: fine"


@pytest.mark.parametrize(
    "text",
    [
        f"1. **{A}**\n   - because you watched {B}\n2. **{C}**\n   - because you watched {D}",
        f"* {A}: because you watched {B}\n* {C}: because you watched {D}",
        f"1. {A}\n\n2. {C}: because you watched {D}",
    ],
)
def test_bullets_below_a_numbered_item_belong_to_it(text):
    about = first_item_text(text, A)
    assert D not in about
    assert (B in about) == (B in text)


def test_a_title_that_was_read_with_its_reason_is_the_reason():
    read_as = f"{A} because you watched {B}"
    assert first_item_text(f"1. {read_as}\n2. {C}", read_as) == read_as
