"""One HTTP exchange with a server that is not trusted: what came back, or a reason why not.

The body is counted while it is read, a redirect is never followed, proxies and environment are
never read, and no header value and no word of the server appears in any message.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from auditkit.errors import TargetError, TargetUnavailable
from auditkit.serialization.canonical_json import read_json

__all__ = ["NO_ROUTE", "UNKNOWN_MODEL", "Server", "seconds_of"]

# A 404 is either; only a server that has the route can speak of the model.
NO_ROUTE, UNKNOWN_MODEL = "no such route", "no such model"
_MAX_BYTES = 16 << 20
_MAX_ERROR_BYTES = 1 << 16
_RETRYABLE = (408, 425, 429, 500, 502, 503, 504)
_TIMEOUT = httpx.Timeout(60, connect=10)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# OpenAI, vLLM and llama.cpp, in this order.
_OVERFLOW = ("context_length_exceeded", "maximum context length", "exceed_context_size")


class Server:
    """A base URL that answers JSON.

    Args:
        base_url: `https://HOST[:PORT]/PATH`; plain `http` with a key only on this machine.
        key: sent as a bearer token, if not empty.

    Raises:
        TargetUnavailable: a URL with credentials, a query, or a key in the clear or not of
            printable ASCII.
    """

    def __init__(self, base_url: str, *, key: str = "") -> None:
        try:
            parts = urlsplit(base_url)
            complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            complete = False
        if not complete:
            raise TargetUnavailable(
                f"{base_url!r} is no address of a server. Write openai:https://HOST/v1#MODEL."
            )
        if "@" in parts.netloc or parts.query:
            raise TargetUnavailable(
                "the address holds a user name, password or query. Give the key in an environment "
                "variable; auditkit sends it as a header."
            )
        self.host, key = parts.hostname or "", key.strip()
        if key and parts.scheme == "http" and self.host not in _LOOPBACK:
            raise TargetUnavailable(
                f"a key would go to {self.host} over plain http. Use https, or unset the key."
            )
        if not (key.isascii() and key.isprintable()):
            raise TargetUnavailable(
                "the key holds characters that no header can carry. Check the environment variable."
            )
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._base = base_url.rstrip("/")
        # A compressed body could grow beyond any limit between two counts.
        self._headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._client: httpx.AsyncClient | None = None

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send JSON, receive a JSON object.

        Raises:
            TargetError: with the run log's reason for what went wrong.
        """
        if self._client is None:
            self._client = httpx.AsyncClient(
                headers=self._headers,
                timeout=_TIMEOUT,
                limits=httpx.Limits(max_connections=None),  # the transport counts them
                trust_env=False,
                follow_redirects=False,
            )
        # ASCII escapes: a lone surrogate in a prompt has no UTF-8.
        sent = self._client.stream("POST", self._base + path, content=json.dumps(body))
        begun = False
        try:
            async with sent as response:
                begun = True
                if response.status_code != 200:
                    raise await _refusal(response, model=str(body.get("model", "")))
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise TargetError("bad_schema", detail="the answer is compressed")
                content = await _read(response)
        except httpx.ReadTimeout:
            raise TargetError("deadline", detail="no byte for 60 seconds", retryable=True) from None
        except (httpx.RemoteProtocolError, httpx.ReadError):
            reason = "incomplete_body" if begun else "connection"
            raise TargetError(reason, retryable=True) from None
        except httpx.ConnectError as error:
            tls = "certificate" in str(error).lower() or "ssl" in str(error).lower()
            raise TargetError("tls" if tls else "connection", retryable=not tls) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TargetError("connection", detail=type(error).__name__, retryable=True) from None
        return _object(content)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > _MAX_BYTES:
            raise TargetError("too_large", detail="the answer is over 16 MiB")
    return bytes(content)


async def _refusal(response: httpx.Response, *, model: str) -> TargetError:
    """Anything but 200 is an error of the request, with its own reason."""
    code = response.status_code
    detail = f"status {code}"
    if code in (401, 403):
        return TargetError("auth", detail=detail)
    if 300 <= code < 400:
        return TargetError("redirect", detail=detail)
    if code in _RETRYABLE:
        after = seconds_of(response.headers.get("Retry-After", ""), now=time.time())
        reason = "rate_limited" if code == 429 else "http_5xx"
        return TargetError(reason, detail=detail, retryable=True, retry_after=after)
    if code in (400, 404, 413):
        words = await _start(response)
        if any(phrase in words for phrase in _OVERFLOW):
            return TargetError("context_overflow", detail=detail)
        if code == 404 and model:
            found = UNKNOWN_MODEL if json.dumps(model)[1:-1] in words else NO_ROUTE
            return TargetError("bad_schema", detail=f"{detail}, {found}")
    if code == 405:
        return TargetError("bad_schema", detail=f"{detail}, {NO_ROUTE}")
    return TargetError("bad_schema", detail=detail)


async def _start(response: httpx.Response) -> str:
    """The first 64 KiB of an error's body."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) >= _MAX_ERROR_BYTES:
            break
    return content[:_MAX_ERROR_BYTES].decode("utf-8", "replace")


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = read_json(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise TargetError("bad_schema", detail="the answer is no JSON") from None
    if not isinstance(value, dict) or value.get("error") is not None:
        raise TargetError("bad_schema", detail="the answer is no result")
    return value


def seconds_of(retry_after: str, *, now: float) -> float | None:
    """`Retry-After` as seconds from now: a number or an HTTP date; a past date is 0.

    Source: RFC 9110, section 10.2.3.
    """
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.fromtimestamp(now, tz=UTC)).total_seconds())
