"""Query an RDF file (Turtle, TriG, N-Triples, N-Quads, RDF/XML) with pyoxigraph.

The file is loaded into a temporary folder, because an in-memory store takes about 340 bytes per
triple. Named graphs are queried together with the default graph.

A store of pyoxigraph normalizes literals with a known datatype: the code "007"^^xsd:integer becomes
"7", and "1.50"^^xsd:decimal becomes "1.5". Datatypes are therefore renamed while the file is
loaded, because literals of an unknown datatype keep their lexical form.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from auditkit.catalog.sources.rdf import RdfTerm
from auditkit.catalog.storage.draft import Source
from auditkit.errors import CatalogError, MissingDependency
from auditkit.serialization.atomic_files import sha256_file

if TYPE_CHECKING:
    import pyoxigraph

__all__ = ["RdfFile"]

FORMATS = {
    ".ttl": "TURTLE", ".trig": "TRIG", ".nt": "N_TRIPLES", ".nq": "N_QUADS",
    ".rdf": "RDF_XML", ".owl": "RDF_XML",
}  # fmt: skip


_AS_WRITTEN = "urn:auditkit:as-written:"
_PLAIN = (
    "http://www.w3.org/2001/XMLSchema#string",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString",
)


def _keeping_form(quad: pyoxigraph.Quad) -> pyoxigraph.Quad:
    """The quad, with another name for the datatype of its object."""
    import pyoxigraph

    literal = quad.object
    if not isinstance(literal, pyoxigraph.Literal) or literal.datatype.value in _PLAIN:
        return quad
    renamed = pyoxigraph.NamedNode(_AS_WRITTEN + literal.datatype.value)
    written = pyoxigraph.Literal(literal.value, datatype=renamed)
    return pyoxigraph.Quad(quad.subject, quad.predicate, written, quad.graph_name)


class RdfFile:
    """A graph read from a file; use it in a `with` block.

    Args:
        path: the file; its suffix determines the format.

    Raises:
        CatalogError: the file is missing or faulty; the message names the line.
        MissingDependency: pyoxigraph is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyoxigraph
        except ImportError:
            raise MissingDependency("pyoxigraph", extra="rdf", purpose=f"reading {path}") from None
        if not path.is_file():
            raise CatalogError(f"{path} does not exist. Give an RDF file.")
        self.source = Source(path.name, sha256_file(path))
        self._folder = tempfile.mkdtemp(prefix="auditkit-rdf-")
        try:
            self._store: pyoxigraph.Store | None = pyoxigraph.Store(self._folder)
            kind = getattr(pyoxigraph.RdfFormat, FORMATS[path.suffix.lower()])
            quads = pyoxigraph.parse(path=str(path), format=kind)
            self._store.bulk_extend(map(_keeping_form, quads))
        except (OSError, SyntaxError, ValueError) as error:
            self.__exit__()
            place = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise CatalogError(
                f"{path}{place} cannot be read ({error}). Correct the file."
            ) from None

    def __enter__(self) -> RdfFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._store = None  # closes the files of the folder
        shutil.rmtree(self._folder, ignore_errors=True)

    def select(self, query: str) -> Iterator[Mapping[str, RdfTerm]]:
        """Yield the bindings of each result row of a SPARQL query."""
        import pyoxigraph

        if self._store is None:
            raise CatalogError(f"{self.source.name} was queried after it was closed.")
        found = self._store.query(query, use_default_graph_as_union=True)
        if not isinstance(found, pyoxigraph.QuerySolutions):
            raise CatalogError(f"{self.source.name} got a query of another type. Use SELECT.")
        names = [variable.value for variable in found.variables]
        for row in found:
            bound: dict[str, RdfTerm] = {}
            for name in names:
                node = row[name]
                if isinstance(node, pyoxigraph.Literal):
                    datatype = node.datatype.value.removeprefix(_AS_WRITTEN)
                    bound[name] = RdfTerm(node.value, "literal", node.language or "", datatype)
                elif node is not None:
                    kind = "uri" if isinstance(node, pyoxigraph.NamedNode) else "bnode"
                    bound[name] = RdfTerm(node.value, kind)
            yield bound
