"""One HTTP exchange with a server that is not trusted: what came back, or a reason why not.

The body is counted while it is read, a redirect is never followed, proxies and environment are
never read, and no header value appears in any message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from auditkit.canonical import read_json
from auditkit.errors import TargetError, TargetUnavailable

__all__ = ["Server", "seconds_of"]

_MAX_BYTES = 16 << 20
_RETRYABLE = (408, 425, 429, 500, 502, 503, 504)
_TIMEOUT = httpx.Timeout(60, connect=10)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Server:
    """A base URL that answers JSON.

    Args:
        base_url: `https://HOST[:PORT]/PATH`; plain `http` with a key only on this machine.
        key: sent as a bearer token, if not empty.

    Raises:
        TargetUnavailable: a URL with credentials, a query, or a key in the clear.
    """

    def __init__(self, base_url: str, *, key: str = "") -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TargetUnavailable(
                f"{base_url!r} is no address of a server. Write openai:https://HOST/v1#MODEL."
            )
        if parts.username or parts.password or parts.query:
            raise TargetUnavailable(
                "the address holds a user name, password or query. Give the key in an environment "
                "variable; auditkit sends it as a header."
            )
        self.host = parts.hostname
        if key and parts.scheme == "http" and self.host not in _LOOPBACK:
            raise TargetUnavailable(
                f"a key would go to {self.host} over plain http. Use https, or unset the key."
            )
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._base = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client: httpx.AsyncClient | None = None

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send JSON, receive a JSON object.

        Raises:
            TargetError: with the run log's reason for what went wrong.
        """
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=_TIMEOUT, trust_env=False, follow_redirects=False, headers=self._headers
            )
        try:
            async with self._client.stream("POST", self._base + path, json=body) as response:
                content = await _read(response)
        except httpx.ReadTimeout:
            raise TargetError("deadline", detail="no byte for 60 seconds", retryable=True) from None
        except (httpx.RemoteProtocolError, httpx.ReadError):
            raise TargetError("incomplete_body", retryable=True) from None
        except httpx.ConnectError as error:
            tls = "certificate" in str(error).lower() or "ssl" in str(error).lower()
            raise TargetError("tls" if tls else "connection", retryable=not tls) from None
        except httpx.HTTPError as error:
            raise TargetError("connection", detail=type(error).__name__, retryable=True) from None
        _refuse_status(response)
        return _object(content)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


async def _read(response: httpx.Response) -> bytes:
    content = b""
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > _MAX_BYTES:
            raise TargetError("too_large", detail="the answer is over 16 MiB")
    return content


def _refuse_status(response: httpx.Response) -> None:
    """Anything but 200 is an error of the request, with its own reason."""
    code = response.status_code
    if code == 200:
        return
    detail = f"status {code}"
    if code in (401, 403):
        raise TargetError("auth", detail=detail)
    if 300 <= code < 400:
        raise TargetError("redirect", detail=detail)
    if code in _RETRYABLE:
        after = seconds_of(response.headers.get("Retry-After", ""), now=time.time())
        reason = "rate_limited" if code == 429 else "http_5xx"
        raise TargetError(reason, detail=detail, retryable=True, retry_after=after)
    raise TargetError("bad_schema", detail=detail)


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = read_json(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise TargetError("bad_schema", detail="the answer is no JSON") from None
    if not isinstance(value, dict) or "error" in value:
        raise TargetError("bad_schema", detail="the answer is no result")
    return value


def seconds_of(retry_after: str, *, now: float) -> float | None:
    """`Retry-After` as seconds from now: a number or an HTTP date; a past date is 0.

    Source: RFC 9110, section 10.2.3.
    """
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.fromtimestamp(now, tz=UTC)).total_seconds())
