"""A SPARQL endpoint: queries by POST, JSON results, a time limit; only where the user names one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from auditkit.catalog.draft import Source
from auditkit.catalog.rdf import RdfTerm
from auditkit.errors import CatalogError, MissingDependency

__all__ = ["SECONDS", "Endpoint"]

SECONDS = 60.0
_KINDS = {"uri": "uri", "literal": "literal", "typed-literal": "literal", "bnode": "bnode"}
_MAX_BYTES = 512 << 20


class Endpoint:
    """A server that speaks the SPARQL protocol; use it in a `with` block.

    Args:
        url: http or https; a name and password in it are sent but never shown.

    Raises:
        CatalogError: not such a URL.
        MissingDependency: httpx is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingDependency("httpx", extra="endpoint", purpose="a SPARQL source") from None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CatalogError("sparql: needs a URL such as sparql:https://example.org/sparql")
        self._shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
        self.source = Source(self._shown)
        self._url, self._error = url, httpx.HTTPError
        self._client = httpx.Client(
            timeout=httpx.Timeout(SECONDS, connect=10.0),
            headers={"Accept": "application/sparql-results+json", "User-Agent": "auditkit"},
        )

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def select(self, query: str) -> Iterator[Mapping[str, RdfTerm]]:
        """Rows of bindings of a SPARQL query.

        Raises:
            CatalogError: no answer within a minute, an error of the server, or no SPARQL results.
        """
        for row in self._bindings(query):
            bound = {}
            for name, node in row.items():
                try:
                    kind, text = _KINDS[node["type"]], node["value"]
                    bound[str(name)] = RdfTerm(str(text), kind, str(node.get("xml:lang", "")))
                except (KeyError, TypeError, AttributeError):
                    raise self._refused("an answer holds what is no RDF term") from None
            yield bound

    def _bindings(self, query: str) -> list[dict[str, Any]]:
        try:
            with self._client.stream("POST", self._url, data={"query": query}) as answer:
                if answer.status_code != 200:
                    raise self._refused(f"it answered with status {answer.status_code}")
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise self._refused(f"an answer has over {_MAX_BYTES >> 20} MiB")
            found = json.loads(body)["results"]["bindings"]
        except self._error as error:
            raise self._refused(type(error).__name__) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._refused("an answer is no SPARQL result in JSON") from None
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise self._refused("an answer is no SPARQL result in JSON")
        return found

    def _refused(self, what: str) -> CatalogError:
        return CatalogError(
            f"the SPARQL endpoint {self._shown} cannot be used: {what}. Check the URL and whether "
            "the server is up."
        )
