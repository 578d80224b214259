"""What a batch tells from outside: a file and a port in Prometheus' format, a prometheus_client registry, OpenTelemetry."""

from __future__ import annotations

import http.client
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from chatmodels import UsageError
from chatmodels.batch import run_batch
from chatmodels.caches import InMemoryCache
from chatmodels.cli import main
from chatmodels.prices import Price, Prices

from ..conftest import chat
from ..servers import Exchange, Server, answer, error, plain

TABLE = Prices({"gpt-4o-mini": Price(input=1.0, output=10.0)})
SERIES = 'chatmodels_batch_items_total{provider="openai",model="gpt-4o-mini",outcome='


def echo(exchange: Exchange) -> None:
    text = exchange.request.json["messages"][-1]["content"]
    (error(400, "no") if text == "bad" else plain(answer(text)))(exchange)


def series(text: str) -> dict[str, float]:
    """Each line's name and labels -> its value; fails where a line is none of the format."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            name, _, value = line.rpartition(" ")
            assert name not in found
            found[name] = float(value)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_file_has_the_sums_and_each_run_its_own(server: Server, tmp_path: Path) -> None:
    file, out = tmp_path / "batch.prom", tmp_path / "o.jsonl"
    items = ["a", "b", "bad", "a", {"prompt": "x", "wrong": 1}]
    model = chat(server.route(echo))
    run_batch(model, items, out=out, metrics=file, prices=TABLE)
    found = series(file.read_text())
    assert found[SERIES + '"done"}'] == 3
    assert found[SERIES + '"failed",error_type="BadRequestError"}'] == 1
    assert found[SERIES + '"failed",error_type="UsageError"}'] == 1
    labels = '{provider="openai",model="gpt-4o-mini"'
    assert (
        found[f'chatmodels_batch_tokens_total{labels},type="input"}}'] == 16
    )  # the second "a" is the first one's call
    assert found[f"chatmodels_batch_cost_dollars_total{labels}}}"] == pytest.approx(2 * (8 + 50) / 1e6)
    assert found[f"chatmodels_batch_expected_items{labels}}}"] == 5
    assert found[f"chatmodels_batch_in_flight{labels}}}"] == 0
    assert found[f"chatmodels_batch_call_duration_seconds_count{labels}}}"] == 3
    assert found[f'chatmodels_batch_call_duration_seconds_bucket{labels},le="+Inf"}}'] == 3
    buckets = [value for name, value in found.items() if "_bucket" in name]
    assert buckets == sorted(buckets)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    run_batch(model, items, out=out, metrics=[str(file)], prices=TABLE)
    again = series(file.read_text())
    assert again[SERIES + '"reused"}'] == 5
    assert again[SERIES + '"done"}'] == 0
    assert not any("tokens_total" in name or "cost" in name for name in again)


def test_a_port_answers_while_the_batch_runs_and_no_longer(server: Server) -> None:
    port = free_port()
    seen: dict[str, tuple[int, str, str]] = {}

    def ask(path: str) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        response = connection.getresponse()
        found = response.status, response.getheader("Content-Type") or "", response.read().decode()
        connection.close()
        return found

    def slow(exchange: Exchange) -> None:
        if not seen:
            time.sleep(0.35)
            seen.update({path: ask(path) for path in ("/metrics", "/etc/passwd")})
        echo(exchange)

    run_batch(chat(server.route(slow)), ["a", "b", "c"], max_concurrency=2, metrics=port)
    status, kind, text = seen["/metrics"]
    assert status == 200
    assert kind.startswith("text/plain; version=0.0.4")
    found = series(text)
    labels = '{provider="openai",model="gpt-4o-mini"}'
    assert found["chatmodels_batch_in_flight" + labels] == 2
    assert found["chatmodels_batch_queued" + labels] == 1
    assert found["chatmodels_batch_concurrency_limit" + labels] == 2
    assert seen["/etc/passwd"][0] == 404
    with pytest.raises(OSError):
        ask("/metrics")


def test_a_taken_port_is_named_before_anything_is_sent_and_locks_nothing(server: Server, tmp_path: Path) -> None:
    route, out = server.route(echo), tmp_path / "o.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=str(port)) as caught:
            run_batch(chat(route), ["a"], metrics=port, out=out)
    assert caught.value.argument == "metrics"
    assert not route.requests
    with pytest.raises(UsageError, match="progress"):
        run_batch(chat(route), ["a"], out=out, progress="yes")
    assert run_batch(chat(route), ["a"], out=out).done == 1


@pytest.mark.parametrize("given", [0, 70_000, "no/such/folder/x.prom", 1.5, object(), [3.5]])
def test_wrong_metrics_are_named(server: Server, given: Any) -> None:
    with pytest.raises(UsageError) as caught:
        run_batch(chat(server.route()), ["a"], metrics=given)
    assert caught.value.argument == "metrics"


def test_the_command_line_has_both(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.jsonl").write_text('{"prompt": "a"}\n')
    words = [
        "batch",
        str(tmp_path / "in.jsonl"),
        "--quiet",
        "-m",
        "openai:gpt-4o-mini",
        "--metrics-file",
        str(tmp_path / "x.prom"),
    ]
    words += ["--base-url", server.route(echo).url, "--option", "api_key=k", "--metrics-port", str(free_port())]
    assert main(words) == 0
    assert series((tmp_path / "x.prom").read_text())[SERIES + '"done"}'] == 1
    capsys.readouterr()


def test_labels_are_escaped(server: Server, tmp_path: Path) -> None:
    run_batch(chat(server.route(), model='m"\\\nx'), ["a"], metrics=tmp_path / "x.prom")
    text = (tmp_path / "x.prom").read_text()
    assert 'model="m\\"\\\\\\nx"' in text
    series(text)


def test_a_registry_of_prometheus_client_adds_up(server: Server, tmp_path: Path) -> None:
    client = pytest.importorskip("prometheus_client")
    parser = pytest.importorskip("prometheus_client.parser")
    registry = client.CollectorRegistry()
    for _ in range(2):
        run_batch(chat(server.route(echo)), ["a", "b", "bad"], metrics=[registry, tmp_path / "x.prom"], prices=TABLE)
    labels = {"provider": "openai", "model": "gpt-4o-mini"}

    def value(name: str, **more: str) -> float | None:
        found: float | None = registry.get_sample_value(f"chatmodels_batch_{name}", {**labels, **more})
        return found

    assert value("items_total", outcome="done", error_type="") == 4
    assert value("items_total", outcome="failed", error_type="BadRequestError") == 2
    assert value("tokens_total", type="output") == 20
    assert value("in_flight") == 0
    assert value("call_duration_seconds_count") == 6
    families = {f.name: f for f in parser.text_string_to_metric_families((tmp_path / "x.prom").read_text())}
    assert {f.name: f.type for f in registry.collect()} == {name: f.type for name, f in families.items()}


def test_opentelemetry(server: Server) -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    model = chat(server.route(echo)).with_cache(InMemoryCache())
    model("b")
    run_batch(model, ["a", "b", "bad"], metrics=provider, prices=TABLE)
    data = reader.get_metrics_data()
    assert data is not None
    found = {m.name: m for m in data.resource_metrics[0].scope_metrics[0].metrics}
    points = {
        (p.attributes["chatmodels.batch.outcome"], p.attributes.get("error.type")): p.value
        for p in found["chatmodels.batch.items"].data.data_points
    }  # fmt: skip
    assert points == {("done", None): 2, ("failed", "BadRequestError"): 1}
    tokens = {p.attributes["gen_ai.token.type"]: p for p in found["chatmodels.batch.tokens"].data.data_points}
    assert {kind: p.value for kind, p in tokens.items()} == {"input": 8, "output": 5}  # "b" came from the cache
    assert tokens["input"].attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert found["chatmodels.batch.in_flight"].data.data_points[0].value == 0
    assert found["chatmodels.batch.call_duration"].unit == "s"
    provider.shutdown()
