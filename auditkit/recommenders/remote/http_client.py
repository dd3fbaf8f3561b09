"""HTTP client for JSON requests to an untrusted server.

The size of the body is limited while it is read, redirects are never followed, proxy settings are
never used, and no message contains header values or text of the server. Certificates are always
verified, against the authorities that `SSL_CERT_FILE` or `REQUESTS_CA_BUNDLE` names if one is set,
as curl and requests do, otherwise against those that httpx ships.
"""

from __future__ import annotations

import json
import logging
import os
import re
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from auditkit.errors import TargetError, TargetUnavailable
from auditkit.recommenders.remote.error_body import error_in_body, error_of_status
from auditkit.security.redaction import KEY_POINTER
from auditkit.serialization.canonical_json import read_json

__all__ = ["CERTIFICATES", "Server", "seconds_of"]

CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")  # the first that is set is used

_MAX_BYTES = 16 << 20
_MAX_ERROR_BYTES = 1 << 16
# A server sends nothing before the whole text is written; callers limit the time of an exchange.
_TIMEOUT = httpx.Timeout(60, connect=10, read=None)
_VERSION = re.compile(r"/v[0-9]+$")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Server:
    """Client for the JSON API at a base URL.

    Args:
        base_url: `https://HOST[:PORT]/PATH`; plain `http` with a key only on this machine.
        key: sent as a bearer token, if not empty.

    Raises:
        TargetUnavailable: the URL is invalid or contains credentials or a query, or the key would
            be sent unencrypted or is not printable ASCII; or the file of certificate authorities
            that the environment names cannot be used.
    """

    def __init__(self, base_url: str, *, key: str = "") -> None:
        try:
            parts = urlsplit(base_url)
            complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            complete = False
        if not complete:
            raise TargetUnavailable(
                f"{base_url!r} is not a valid server URL. Write openai:https://HOST/v1#MODEL."
            )
        if "@" in parts.netloc or parts.query:
            raise TargetUnavailable(
                "the URL contains a user name, password or query. Remove it, and put the key into "
                f"an environment variable (OPENAI_API_KEY, or the one that {KEY_POINTER} names)."
            )
        self.host, key = parts.hostname or "", key.strip()
        if key and parts.scheme == "http" and self.host not in _LOOPBACK:
            raise TargetUnavailable(
                f"the key would be sent to {self.host} over plain http. Use https, or unset the "
                "key."
            )
        if not (key.isascii() and key.isprintable()):
            raise TargetUnavailable(
                "the key contains characters that are not printable ASCII. Check the environment "
                "variable."
            )
        self._verify = _authorities() if parts.scheme == "https" else True
        logging.getLogger("httpx").setLevel(logging.WARNING)
        base = base_url.rstrip("/")
        self._root = _VERSION.sub("", base)
        self._base = base
        # A compressed body could expand beyond the size limit between two checks.
        self._headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._client: httpx.AsyncClient | None = None

    async def post(
        self, path: str, body: Mapping[str, Any], *, from_root: bool = False
    ) -> dict[str, Any]:
        """Send JSON and return the JSON object of the response.

        Args:
            path: begins with a slash. from_root: whether the path is appended to the base URL
                without its API version (`/v1`).

        Raises:
            TargetError: the exchange failed; the run log records its `reason`.
        """
        if self._client is None:
            self._client = httpx.AsyncClient(
                headers=self._headers,
                timeout=_TIMEOUT,
                limits=httpx.Limits(max_connections=None),  # the transport counts them
                trust_env=False,
                verify=self._verify,
                follow_redirects=False,
            )
        # ASCII escapes, because a lone surrogate in a prompt cannot be encoded as UTF-8.
        address = (self._root if from_root else self._base) + path
        sent = self._client.stream("POST", address, content=json.dumps(body))
        begun = False
        try:
            async with sent as response:
                begun = True
                if response.status_code != 200:
                    raise await _refusal(response, body)
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise TargetError("bad_schema", detail="the response is compressed")
                content = await _read(response)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            reason = "incomplete_body" if begun else "connection"
            raise TargetError(reason, retryable=True) from None
        except httpx.ConnectError as error:
            tls = "certificate" in str(error).lower() or "ssl" in str(error).lower()
            raise TargetError("tls" if tls else "connection", retryable=not tls) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TargetError("connection", detail=type(error).__name__, retryable=True) from None
        return _object(content, body)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _authorities() -> ssl.SSLContext | bool:
    """The certificate authorities that the environment names; True for those of httpx.

    Raises:
        TargetUnavailable: the file or folder does not exist, or has no certificate.
    """
    variable = next((name for name in CERTIFICATES if os.environ.get(name)), None)
    if variable is None:
        return True
    named = os.environ[variable]
    try:
        if Path(named).is_dir():
            return ssl.create_default_context(capath=named)
        return ssl.create_default_context(cafile=named)
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or "it has no certificate"
        raise TargetUnavailable(
            f"{variable} names {named}, which cannot be used ({why}). Give a PEM file with the "
            "certificate authorities, or unset the variable."
        ) from None


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > _MAX_BYTES:
            raise TargetError("too_large", detail="the response is larger than 16 MiB")
    return bytes(content)


async def _refusal(response: httpx.Response, sent: Mapping[str, Any]) -> TargetError:
    """The error, with its reason, for a status code other than 200."""
    after = seconds_of(response.headers.get("Retry-After", ""), now=time.time())
    body = await _start(response)
    return error_of_status(response.status_code, body, sent=sent, retry_after=after)


async def _start(response: httpx.Response) -> str:
    """The first 64 KiB of the body of an error response."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) >= _MAX_ERROR_BYTES:
            break
    return content[:_MAX_ERROR_BYTES].decode("utf-8", "replace")


def _object(content: bytes, sent: Mapping[str, Any]) -> dict[str, Any]:
    try:
        value = read_json(content.decode("utf-8"))
    except ValueError:
        raise TargetError("bad_schema", detail="the response is not valid JSON") from None
    if error := error_in_body(value, sent=sent):
        raise error
    found: dict[str, Any] = value
    return found


def seconds_of(retry_after: str, *, now: float) -> float | None:
    """Seconds to wait according to a `Retry-After` header with a number of seconds or an HTTP date;
    0 for a past date.

    Source: RFC 9110, section 10.2.3.
    """
    number = retry_after.strip()
    if number.isdecimal():
        return float(number)
    try:
        when = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.fromtimestamp(now, tz=UTC)).total_seconds())
