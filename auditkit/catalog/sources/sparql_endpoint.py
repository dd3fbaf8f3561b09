"""Query a SPARQL endpoint by POST with JSON results and a timeout.

Only endpoints that the user names are queried.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from auditkit.catalog.graph.builder import is_text
from auditkit.catalog.sources.rdf import RdfTerm
from auditkit.catalog.storage.draft import Source
from auditkit.errors import CatalogError, MissingDependency

__all__ = ["SECONDS", "Endpoint"]

SECONDS = 60.0
_KINDS = {"uri": "uri", "literal": "literal", "typed-literal": "literal", "bnode": "bnode"}
_MAX_BYTES = 512 << 20


class Endpoint:
    """A server that implements the SPARQL protocol; use it in a `with` block.

    Args:
        url: http or https; a user name and password in the URL are sent but never shown.

    Raises:
        CatalogError: the URL is not valid.
        MissingDependency: httpx is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingDependency("httpx", extra="endpoint", purpose="a SPARQL source") from None
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            httpx.URL(url)
        except (ValueError, httpx.InvalidURL):
            usable = False
        if not usable:
            raise CatalogError("sparql: needs a URL such as sparql:https://example.org/sparql")
        self._shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
        self.source = Source(self._shown)
        self._url, self._errors = url, (httpx.HTTPError, httpx.InvalidURL)
        self._most_rows = 0
        self._client = httpx.Client(
            timeout=httpx.Timeout(SECONDS, connect=10.0),
            headers={"Accept": "application/sparql-results+json", "User-Agent": "auditkit"},
        )

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def select(self, query: str) -> Iterator[Mapping[str, RdfTerm]]:
        """Yield the bindings of all result rows of a SPARQL query, even if the server limits its
        responses.

        Args:
            query: SELECT DISTINCT with a total order, so that rows can be requested in pages.

        Raises:
            CatalogError: the server does not respond within a minute, reports an error, or does not
                return a SPARQL result.
        """
        for row in self._pages(query):
            bound = {}
            for name, node in row.items():
                try:
                    kind, text = _KINDS[node["type"]], str(node["value"])
                    language, datatype = node.get("xml:lang", ""), node.get("datatype", "")
                    bound[str(name)] = RdfTerm(text, kind, str(language), str(datatype))
                except (KeyError, TypeError, AttributeError):
                    raise self._error(
                        "a response contains a value that is not an RDF term"
                    ) from None
                if not is_text(text):
                    raise self._error(f"{text[:80]!r} has an unpaired surrogate")
            yield bound

    def _pages(self, query: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query, requested in pages.

        Servers limit the rows of a response silently. A response with fewer rows than an earlier
        one is the last page; after any other response the next page is requested.
        """
        n, first = 0, None
        while True:
            page = self._bindings(f"{query} OFFSET {n}" if n else query)
            if page and page[0] == first:
                raise self._error(
                    f"the server returns only {len(page)} rows per response and ignores OFFSET"
                )
            yield from page
            if len(page) < self._most_rows or not page:
                return
            self._most_rows = len(page)
            n, first = n + len(page), page[0]

    def _bindings(self, query: str) -> list[dict[str, Any]]:
        try:
            with self._client.stream("POST", self._url, data={"query": query}) as response:
                if response.status_code != 200:
                    raise self._error(f"it returned status {response.status_code}")
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise self._error(f"a response is larger than {_MAX_BYTES >> 20} MiB")
            found = json.loads(body)["results"]["bindings"]
        except self._errors as error:
            raise self._error(type(error).__name__) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._error("a response is not a SPARQL result in JSON") from None
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise self._error("a response is not a SPARQL result in JSON")
        return found

    def _error(self, what: str) -> CatalogError:
        return CatalogError(
            f"the SPARQL endpoint {self._shown} cannot be used: {what}. Check the URL and "
            "the server."
        )
