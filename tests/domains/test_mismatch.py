"""Signs that words and catalog do not fit together."""

from __future__ import annotations

from auditkit.domains.mismatch import mismatches
from auditkit.domains.shipped import domain_pack
from auditkit.recommenders.prompting.prompts import Prompts

PRODUCTS = ("year", "genre", "decade", "brand", "price", "sku")


def prompts_of(name):
    return Prompts.shipped("titles", domain_pack(name)).recommend


def test_movies_with_a_catalog_of_products_is_a_mismatch():
    (note,) = mismatches(domain_pack("movies"), PRODUCTS, prompts_of("movies"))
    assert (
        "the columns brand, price, sku belong to the domain products, but the domain is movies"
        in note
    )
    assert "--domain products" in note


def test_a_neutral_catalog_with_columns_of_products_gets_a_hint():
    (note,) = mismatches(domain_pack(None), PRODUCTS, prompts_of("items"))
    assert "but the catalog names no domain" in note


def test_own_templates_that_say_movies_are_a_mismatch_for_products():
    (note,) = mismatches(domain_pack("products"), PRODUCTS, ["Name {k} movies for {who}."])
    assert "contain 'movies', a word of the domain movies, but the domain is products" in note


def test_a_fitting_pack_and_a_single_common_column_give_no_note():
    assert mismatches(domain_pack("products"), PRODUCTS, prompts_of("products")) == []
    assert mismatches(domain_pack("movies"), ("genre", "price"), prompts_of("movies")) == []
    films = ("year", "genre", "director", "actor", "price", "size")
    assert mismatches(domain_pack("movies"), films, prompts_of("movies")) == []
