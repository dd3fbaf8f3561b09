"""Certificates of servers: a company's own authority, through a real TLS server on this machine."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess

import pytest
from protocol_server import Behavior, Handler, running

from auditkit.errors import TargetError, TargetUnavailable
from auditkit.recommenders.remote.capability_check import connect
from auditkit.recommenders.remote.http_client import CERTIFICATES, Server

openssl = shutil.which("openssl")
pytestmark = pytest.mark.skipif(openssl is None, reason="needs the command openssl")
BODY = {"messages": [{"role": "user", "content": "hello"}]}


def run(folder, *words):
    subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Files of a self-made authority and of a server certificate that it signed."""
    folder = tmp_path_factory.mktemp("authority")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    new = ("req", "-newkey", "rsa:2048", "-nodes")
    for name in ("own", "other"):
        run(folder, *new, "-x509", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2",
            "-subj", f"/CN={name} authority",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    run(folder, *new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    run(folder, "x509", "-req", "-in", "server.csr", "-CA", "own.pem", "-CAkey", "own.key",
        "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "names")  # fmt: skip
    return folder


@pytest.fixture
def url(authority):
    with running(Handler, behavior=Behavior()) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "server.pem", authority / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield f"https://localhost:{server.server_address[1]}/v1"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)


def ask(url):
    async def once():
        server = Server(url)
        try:
            return await server.post("/chat/completions", BODY)
        finally:
            await server.close()

    return asyncio.run(once())


@pytest.mark.parametrize("name", CERTIFICATES)
def test_own_authority_is_trusted_if_a_variable_names_it(url, authority, monkeypatch, name):
    monkeypatch.setenv(name, str(authority / "own.pem"))
    assert ask(url)["choices"]


def test_first_variable_wins(url, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "own.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "other.pem"))
    assert ask(url)["choices"]


def test_folder_of_authorities_is_used(url, authority, monkeypatch, tmp_path):
    shutil.copy(authority / "own.pem", tmp_path / "own.pem")
    run(tmp_path, "rehash", ".")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    assert ask(url)["choices"]


@pytest.mark.parametrize("named", [None, "other.pem", ""])
def test_server_of_an_unknown_authority_is_refused(url, authority, monkeypatch, named):
    if named is not None:
        monkeypatch.setenv("SSL_CERT_FILE", named and str(authority / named))
    with pytest.raises(TargetError, match="tls"):
        ask(url)


def test_first_request_names_the_variable(url):
    with pytest.raises(TargetUnavailable, match="SSL_CERT_FILE"):
        connect(f"{url}#model")


@pytest.mark.parametrize("content", [None, "no certificate\n", ""])
def test_unusable_file_of_authorities_is_named(authority, monkeypatch, tmp_path, content):
    file = tmp_path / "company.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    with pytest.raises(TargetUnavailable, match=r"REQUESTS_CA_BUNDLE names .*company\.pem"):
        Server("https://localhost/v1")


def test_variable_is_not_read_for_plain_http(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    assert Server("http://localhost/v1").host == "localhost"
