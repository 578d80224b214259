"""Proxies, from arguments and the environment, and TLS: trusted, not trusted, with client certificates."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from chatmodels import AIMessage, UsageError
from chatmodels._errors import ConnectError
from chatmodels._http_common import HTTPConfig
from chatmodels._proxy import proxy_for

from .conftest import KEY, World, chat
from .servers import Proxy, Server, events, serving, sse

pytestmark = pytest.mark.clock

CREDENTIALS = base64.b64encode(b"user:p@ss word").decode()


class Authority:
    """A certificate authority of the tests' own, and what it has issued, in files."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)
        issued = self._ca.issue_cert("client@example.org")
        self.client = (str(folder / "client.pem"), str(folder / "client.key"))
        issued.cert_chain_pems[0].write_to_path(self.client[0])
        issued.private_key_pem.write_to_path(self.client[1])
        self.client_in_one = str(folder / "both.pem")
        issued.private_key_and_cert_chain_pem.write_to_path(self.client_in_one)

    def wrap(self, *names: str, client: bool = False) -> Callable[[Any], Any]:
        """Makes a server's side of a TLS connection, with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        if client:
            self._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return lambda sock: context.wrap_socket(sock, server_side=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[Server]:
    with serving(authority.wrap("localhost", "127.0.0.1")) as made:
        yield made


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


def answered(found: Any) -> None:
    assert isinstance(found, AIMessage), repr(found)


# ---- TLS


def test_a_certificate_of_an_authority_that_is_given(world: World, secure: Server, authority: Authority) -> None:
    route = secure.route(sse(events("Bon", "jour")), host="localhost")
    model = chat(route, verify=authority.file)
    found = world.reads(model, 3)
    assert [(f.error, f.text) for f in found] == [(None, "Bonjour")] * 3
    assert route.connections == 1


def test_a_certificate_of_nobody_is_refused(world: World, secure: Server) -> None:
    route = secure.route()
    found = world.calls(chat(route, max_retries=3), 1)[0]
    assert isinstance(found, ConnectError)
    assert "certificate" in str(found).lower()
    assert len(found.attempts) == 1, "it will not be trusted the next time either"
    assert not route.requests


def test_a_certificate_for_another_name_is_refused(world: World, authority: Authority) -> None:
    with serving(authority.wrap("elsewhere.example")) as other:
        route = other.route(host="localhost")
        found = world.calls(chat(route, verify=authority.file), 1)[0]
        assert isinstance(found, ConnectError)
        assert not route.requests


def test_no_verification_when_asked_for(world: World, secure: Server) -> None:
    answered(world.call(chat(secure.route(), verify=False)))


def test_a_client_certificate(world: World, authority: Authority) -> None:
    with serving(authority.wrap("localhost", client=True)) as strict:
        for cert in (authority.client, authority.client_in_one):
            answered(world.call(chat(strict.route(host="localhost"), verify=authority.file, cert=cert)))
        route = strict.route(host="localhost")
        found = world.calls(chat(route, verify=authority.file), 1)[0]
        assert isinstance(found, Exception)
        assert not route.requests


def test_files_that_hold_no_certificates(world: World, secure: Server, tmp_path: Path, authority: Authority) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for given, name in (({"verify": str(nonsense)}, "verify"), ({"cert": str(nonsense)}, "cert")):
        options: dict[str, Any] = {"verify": authority.file, **given}
        found = world.calls(chat(secure.route(), **options), 1)[0]
        assert isinstance(found, UsageError)
        assert found.argument == name


def test_leaving_a_tls_stream_closes_it(world: World, secure: Server, authority: Authority) -> None:
    route = secure.route(sse(events("Bon")[:2], end=False), host="localhost")
    found = world.read(chat(route, verify=authority.file), most=1)
    left = route.wait_left()
    assert found.text == "Bon"
    assert left - route.requests[0].time < 1


def test_tls_to_a_server_that_speaks_none(world: World, server: Server) -> None:
    url = server.route().url.replace("http:", "https:")
    found = world.calls(chat(url, timeout={"connect": 1}), 1)[0]
    assert isinstance(found, ConnectError), repr(found)


def test_no_tls_to_a_server_that_speaks_it(world: World, secure: Server) -> None:
    url = secure.route().url.replace("https:", "http:")
    found = world.calls(chat(url, timeout={"total": 2}), 1)[0]
    assert isinstance(found, Exception)


def test_a_handshake_that_stalls_is_under_the_connect_deadline(world: World) -> None:
    over = threading.Event()

    def stall(sock: socket.socket) -> None:
        over.wait(20)
        raise OSError

    with serving(stall) as stalled:
        url = stalled.route().url
        began = time.monotonic()
        found = world.calls(chat(url, timeout={"connect": 0.3}), 1)[0]
    over.set()
    assert time.monotonic() - began < 1
    assert getattr(found, "phase", None) == "connect"
    assert isinstance(found, TimeoutError)


# ---- proxies


def test_a_proxy_that_is_given(world: World, server: Server, proxy: Proxy) -> None:
    route = server.route()
    answered(world.call(chat(route, openai_proxy=proxy.url())))
    assert proxy.asked == [("POST", route.url + "/chat/completions", None)]
    assert route.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert route.requests[0].headers["host"] == f"127.0.0.1:{server.port}"


def test_a_tunnel(world: World, secure: Server, authority: Authority, proxy: Proxy) -> None:
    route = secure.route(sse(events("Bon", "jour")), host="localhost")
    found = world.reads(chat(route, openai_proxy=proxy.url(), verify=authority.file), 2)
    assert [(f.error, f.text) for f in found] == [(None, "Bonjour")] * 2
    assert proxy.asked == [("CONNECT", f"localhost:{secure.port}", None)]


@pytest.mark.parametrize("tunnel", [False, True])
def test_credentials(world: World, server: Server, secure: Server, authority: Authority, tunnel: bool) -> None:
    proxy = Proxy(password=CREDENTIALS)
    route = (secure if tunnel else server).route(host="localhost")
    good = chat(route, openai_proxy=proxy.url("user:p%40ss%20word"), verify=authority.file)
    answered(world.call(good))
    assert proxy.asked[0][2] == f"Basic {CREDENTIALS}"
    assert "proxy-authorization" not in route.requests[0].headers or not tunnel
    found = world.calls(chat(route, openai_proxy=proxy.url("user:wrong"), verify=authority.file), 1)[0]
    assert isinstance(found, Exception)
    assert "407" in str(found)
    assert len(route.requests) == 1
    proxy.close()


def test_a_proxy_reached_over_tls(world: World, server: Server, secure: Server, authority: Authority) -> None:
    """And TLS inside of TLS, to a server behind it."""
    proxy = Proxy(authority.wrap("localhost", "127.0.0.1"))
    answered(world.call(chat(server.route(), openai_proxy=proxy.url(), verify=authority.file)))
    text = "é" * 100_000
    route = secure.route(sse(events("Bon", text, "jour")), host="localhost")
    found = world.reads(chat(route, openai_proxy=proxy.url(), verify=authority.file), 2)
    assert [(f.error, f.text) for f in found] == [(None, f"Bon{text}jour")] * 2
    assert [method for method, _, _ in proxy.asked] == ["POST", "CONNECT"]
    left = secure.route(sse(events("Bon")[:2], end=False), host="localhost")
    world.read(chat(left, openai_proxy=proxy.url(), verify=authority.file), most=1)
    assert left.wait_left() - left.requests[0].time < 1
    proxy.close()


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "OPENAI_PROXY"])
def test_the_environment(
    world: World, server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, proxy.url())
    with serving() as fresh:  # an address that no pool knows yet, since what it found is kept
        answered(world.call(chat(fresh.route())))
    assert len(proxy.asked) == 1


def test_exceptions_in_the_environment(
    world: World, server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url())
    monkeypatch.setenv("no_proxy", "example.org,127.0.0.1")
    with serving() as fresh:
        answered(world.call(chat(fresh.route())))
    assert not proxy.asked


def test_no_proxy_at_all(world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty string says: none, whatever the environment says."""
    monkeypatch.setenv("http_proxy", proxy.url())
    with serving() as fresh:
        answered(world.call(chat(fresh.route(), openai_proxy="")))
    assert not proxy.asked


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://api.x.org/v1", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://api.x.org/v1", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ("https://api.x.org/v1", {"http_proxy": "http://p:1"}, ""),
        ("https://api.x.org/v1", {"https_proxy": "http://p:1", "no_proxy": ".x.org"}, ""),
        ("https://api.x.org/v1", {"https_proxy": "http://p:1", "no_proxy": "*"}, ""),
        ("https://api.x.org/v1", {"https_proxy": "http://p:1", "no_proxy": "x.or"}, "http://p:1"),
        ("http://localhost:8080/v1", {"http_proxy": "http://p:1", "no_proxy": "localhost"}, ""),
        ("http://user@host/v1", {"http_proxy": "http://p:1", "no_proxy": "host"}, ""),
        ("https://api.x.org/v1", {}, ""),
    ],
)
def test_which_proxy(monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], expected: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url, HTTPConfig()) == expected


def test_a_given_one_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://environment:1")
    assert proxy_for("https://x", HTTPConfig(proxy="given:2")) == "http://given:2"
    assert proxy_for("https://x", HTTPConfig(proxy="")) == ""
