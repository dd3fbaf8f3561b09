"""`auditkit catalog match` and `check-claims`: link titles, and check claims against the graph."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from pydantic import JsonValue

    from auditkit.catalog.catalog import Catalog
    from auditkit.catalog.linking.title_linker import Link
    from auditkit.claims.claim import Reading

__all__ = ["check_claims", "explanations", "match"]

_BATCH = 2_000
CatalogName = Annotated[
    str, typer.Option("--catalog", help="ml-100k, a built catalog, or a table of items")
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object per line")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress")]


def match(
    *,
    catalog: CatalogName,
    titles: Annotated[
        Path, typer.Option(help="file with one title per line; - reads standard input")
    ],
    linking: Annotated[
        Literal["auto", "loose", "strict"], typer.Option(help="how strictly titles are linked")
    ] = "auto",
    explain: Annotated[
        bool,
        typer.Option("--explain", help="add the matched title, year difference and letter edits"),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Link every title to an item, with the reason."""
    from auditkit.catalog.building.open import load_catalog
    from auditkit.cli.build_progress import build_progress
    from auditkit.security.escaping import terminal_text

    lines = iter(list(_lines(titles)))
    with build_progress(quiet=quiet) as progress:
        opened = load_catalog(catalog, linking=linking, progress=progress)
        while batch := list(islice(lines, _BATCH)):
            for link in opened.link(batch):
                extra = _explanation(opened, link) if explain else {}
                if as_json:
                    typer.echo(json.dumps(_link_row(link) | extra))
                else:
                    cells = [
                        link.item_id or "-",
                        link.reason,
                        link.title,
                        *map(str, extra.values()),
                    ]
                    typer.echo("\t".join(map(terminal_text, cells)))
            progress("linking titles", len(batch))


def check_claims(
    *,
    catalog: CatalogName,
    text: Annotated[
        Path,
        typer.Option(
            help='file with one explanation per line, or .jsonl with "text", "item_id", "id"'
        ),
    ],
    domain: Annotated[
        str | None, typer.Option(help="kind of the items; default: domain of the catalog")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read the facts in explanations and check each fact against the catalog graph."""
    from dataclasses import replace

    from auditkit.catalog.building.open import load_catalog
    from auditkit.claims.reader import ClaimReader
    from auditkit.cli.build_progress import build_progress
    from auditkit.security.escaping import terminal_text

    rows = iter(list(explanations(text)))
    with build_progress(quiet=quiet) as progress:
        opened = load_catalog(catalog, progress=progress)
        opened = replace(opened, domain=domain) if domain else opened
        for note in _domain_notes(opened):
            typer.echo(f"note: {terminal_text(note)}", err=True)
        reader = ClaimReader(opened)
        rows = iter([_known(row, text, opened) for row in rows])
        while batch := list(islice(rows, _BATCH)):
            texts = [str(row["text"]) for row in batch]
            items = [None if row["item_id"] is None else str(row["item_id"]) for row in batch]
            readings = reader.read(texts, items)
            progress("reading explanations", len(batch))
            for row, reading in zip(batch, readings, strict=True):
                _show_reading(row, reading, as_json=as_json)


def _domain_notes(catalog: Catalog) -> list[str]:
    """Signs that the domain does not fit the columns of the catalog."""
    from auditkit.domains.mismatch import mismatches
    from auditkit.domains.shipped import domain_pack

    predicates = [predicate.name for predicate in catalog.graph.predicates]
    return mismatches(domain_pack(catalog.domain), predicates, ())


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file without line ends, byte-order mark and an empty last line."""
    from auditkit.errors import InvalidArgument

    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        content = raw.decode("utf-8-sig")
    except OSError as error:
        raise InvalidArgument(
            f"{path} cannot be read ({error.strerror}). Give a text file."
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"{path} is not UTF-8 (byte {error.start}). Save it as UTF-8."
        ) from None
    lines = content.split("\n")
    if lines[-1] == "":
        lines.pop()
    for line in lines:
        yield line.removesuffix("\r")


def _link_row(link: Link) -> dict[str, JsonValue]:
    return {
        "title": link.title,
        "item_id": link.item_id,
        "reason": link.reason,
        "candidates": list(link.candidates),
    }


def _explanation(catalog: Catalog, link: Link) -> dict[str, JsonValue]:
    """Title of the linked item or else of the first candidate, with the differences of the written
    title from it.
    """
    from auditkit.catalog.linking.edit_distance import osa_counter
    from auditkit.catalog.linking.normalize import clean_query, full_key, parse_title

    nearest = link.item_id or next(iter(link.candidates), None)
    if nearest is None:
        return {"matched": None, "years_off": None, "edits": None}
    item, query = catalog[nearest], parse_title(clean_query(link.title))
    dated = item.year is not None and query.year is not None
    left, right = full_key(query.core), full_key(parse_title(item.title, with_year=False).core)
    return {
        "matched": item.display_title,
        "years_off": abs((item.year or 0) - (query.year or 0)) if dated else None,
        "edits": osa_counter()([left], [right], max(len(left), len(right)))[0],
    }


def explanations(path: Path) -> Iterator[dict[str, JsonValue]]:
    """Read rows with `id`, `text` and `item_id`; in a plain text file, `id` is the line number from
    1.
    """
    from auditkit.errors import InvalidArgument
    from auditkit.serialization.canonical_json import read_json

    is_json = path.suffix.lower() in (".jsonl", ".ndjson")
    for number, line in enumerate(_lines(path), start=1):
        if not is_json:
            yield {"id": number, "text": line, "item_id": None, "line": number}
            continue
        if not line.strip():
            continue
        try:
            row = read_json(line)
        except ValueError as error:
            raise InvalidArgument(
                f"{path}:{number} is not valid JSON ({error}). Correct the line."
            ) from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise InvalidArgument(
                f'{path}:{number} is not an object with a "text". Write one such object per line.'
            )
        item = row.get("item_id")
        if item is not None and (isinstance(item, bool) or not isinstance(item, str | int)):
            raise InvalidArgument(
                f"{path}:{number} has an item_id that is not a string. Write the id as a string."
            )
        named = {"id": row.get("id", number), "text": row["text"], "line": number}
        yield {**named, "item_id": None if item is None else str(item)}


def _known(row: dict[str, JsonValue], path: Path, catalog: Catalog) -> dict[str, JsonValue]:
    """Return the row if its item is in the catalog; otherwise raise an error."""
    from auditkit.errors import InvalidArgument

    if row["item_id"] is not None and row["item_id"] not in catalog.index:
        raise InvalidArgument(
            f"{path}:{row['line']} names item {row['item_id']!r}, which is not in the catalog "
            f"{catalog.name}. Give ids of the catalog."
        )
    return row


def _show_reading(row: dict[str, JsonValue], reading: Reading, *, as_json: bool) -> None:
    from auditkit.security.escaping import terminal_text

    if as_json:
        claims = [
            {
                "item_id": claim.item_id, "relation": claim.relation, "value": claim.value,
                "negated": claim.negated, "verdict": claim.verdict, "span": list(claim.span),
                "evidence": [list(triple) for triple in claim.evidence],
                "strength": claim.strength,
            }
            for claim in reading.claims
        ]  # fmt: skip
        shown = {"id": row["id"], "text": row["text"], "claims": claims,
                 "unparsed": list(reading.unparsed), "coverage": reading.coverage}  # fmt: skip
        typer.echo(json.dumps(shown))
        return
    for claim in reading.claims:
        said = f"{'not ' if claim.negated else ''}{claim.value}"
        held = ", ".join(o for _, _, o in claim.evidence) if claim.verdict == "contradicted" else ""
        cells = [str(row["id"]), claim.verdict, claim.item_id, claim.relation, said, held]
        typer.echo("\t".join(terminal_text(cell) for cell in cells).rstrip())
    for clause in reading.unparsed:
        typer.echo(f"{terminal_text(str(row['id']))}\tunparsed\t{terminal_text(clause)}")
