"""Offline means offline: what may be reached, who is named, and commands that open no socket."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import urllib.request

import pytest
from run_folder import audit_result, write_policy, write_run

from auditkit.security.network_guard import NetworkForbidden, Restriction, restricted_network

FAR = ("192.0.2.1", 9)  # TEST-NET-1: nobody's address


def reach(place=FAR):
    with socket.socket() as link:
        link.settimeout(0.01)
        link.connect(place)


def test_connection_to_another_machine_is_refused_and_its_caller_named():
    with restricted_network(Restriction()), pytest.raises(NetworkForbidden) as refused:
        reach()
    assert "192.0.2.1 port 9" in str(refused.value)
    assert "security/test_network_guard.py:" in str(refused.value)
    assert "--online" in str(refused.value)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.getaddrinfo("example.org", 443),
        lambda: socket.gethostbyname("example.org"),
        lambda: socket.create_connection(FAR, timeout=0.01),
        lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=0.01),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", FAR),
    ],
)
def test_every_way_out_is_refused(attempt):
    with restricted_network(Restriction()), pytest.raises(NetworkForbidden):
        attempt()


def test_own_machine_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server, restricted_network(Restriction()):
        socket.getaddrinfo("localhost", 80)
        reach(server.getsockname())


def test_one_host_and_port_can_be_opened_and_no_other():
    restriction = Restriction("192.0.2.1", 9)
    restriction.inspect("socket.getaddrinfo", ("192.0.2.1", 9, 0, 0, 0))
    restriction.inspect("socket.connect", (None, FAR))
    for place in (("192.0.2.1", 10), ("192.0.2.2", 9)):
        with pytest.raises(NetworkForbidden):
            restriction.inspect("socket.connect", (None, place))


def test_attempt_that_hides_the_error_is_still_known():
    restriction = Restriction()

    def quietly():
        try:
            reach()
        except Exception:
            return

    with restricted_network(restriction):
        thread = threading.Thread(target=quietly)
        thread.start()
        thread.join()
    with pytest.raises(NetworkForbidden, match=r"192\.0\.2\.1"):
        restriction.check()


def test_restriction_ends_with_its_block():
    with restricted_network(Restriction()):
        pass
    with pytest.raises(OSError, match=r"."):
        reach()


NO_SOCKET = """
import sys
def hook(event, arguments):
    if event.startswith("socket."):
        print(event, arguments, file=sys.stderr)
        import os
        os._exit(77)
sys.addaudithook(hook)
from auditkit.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    policy = write_policy(folder)
    write_run(folder / "run", audit_result(), policy=policy)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ["gate", "run", "--policy", "policy.yaml"],
        ["report", "run"],
        ["verify", "run"],
        ["list", "probes"],
        ["recipes", "list"],
        ["--help"],
    ],
    ids=lambda command: command[0],
)
def test_command_opens_no_socket(run, command):
    done = subprocess.run(
        [sys.executable, "-c", NO_SOCKET, *command],
        cwd=run,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 77, done.stderr
    assert "Traceback" not in done.stderr


def test_international_name_is_the_one_that_is_looked_up():
    restriction = Restriction("b\u00fccher.example", 443)
    restriction.inspect("socket.getaddrinfo", ("xn--bcher-kva.example", 443))
    with pytest.raises(NetworkForbidden):
        restriction.inspect("socket.getaddrinfo", ("xn--other-kva.example", 443))
