"""The picture of the layers is the one that the source gives."""

from __future__ import annotations

from architecture import PAGE, svg


def test_the_picture_of_the_layers_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == svg(), "run: python tests/figures/architecture.py"
