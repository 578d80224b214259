"""The report: a page of its own, with nothing of what items and errors say in its markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chatmodels.batch import run_batch
from chatmodels.batch._report_pictures import histogram, seconds, whole
from chatmodels.batch._tally import Histogram
from chatmodels.batch._words import dollars
from chatmodels.prices import Price, Prices

from ..conftest import chat
from ..servers import Exchange, Server, answer, error, plain

HOSTILE = "<script>alert(1)</script>\" onload='x' \x00\x1b[31m \ud800 &amp; \u202e</style><svg onload=x>"


class Tags(HTMLParser):
    """What elements a page has, and with which attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)


def test_what_items_say_is_text(server: Server, tmp_path: Path) -> None:
    def script(exchange: Exchange) -> None:
        text = exchange.request.json["messages"][-1]["content"]
        (error(400, HOSTILE.replace("\ud800", "")) if "bad" in text else plain(answer("<b>bold</b>")))(exchange)

    items = [{"id": HOSTILE + str(n), "prompt": f"{'bad' if n % 2 else 'good'} {n}"} for n in range(8)]
    prices = Prices({"<i>model": Price(input=1, output=1)})
    run_batch(chat(server.route(script), model="<i>model"), items, report=tmp_path / "r.html", prices=prices)
    page = (tmp_path / "r.html").read_text()
    found = Tags(page)
    assert set(found.tags) == {
        "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "span", "p", "div", "i", "b", "svg", "rect", "line",
        "text", "table", "tr", "th", "td",
    }  # fmt: skip
    assert not {a for a in found.attributes if a.startswith(("on", "src", "href"))}
    assert page.count("<style>") == page.count("</style>") == 1
    assert not re.search(r"[\x00\x1b\u202e]", page)
    assert "http://" not in page.replace(server.route().url, "")
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert found.tags.count("svg") == 3
    assert "default-src 'none'" in page


def test_reports_of_little(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "r.html"
    run_batch(chat(server.route(), model="nobody-knows"), ["a"], report=file)
    assert "No price is known" in file.read_text()
    assert "complete" in file.read_text()
    run_batch(chat(server.route(error(400, "no"))), ["a", "b"], report=file)
    assert "with failures" in file.read_text()
    assert "100.0%" in file.read_text()
    run_batch(chat(server.route()), [], report=file)
    assert "Batch of 0 items" in file.read_text()


@pytest.mark.parametrize("values", [[0.0], [5.0], [1e-9, 1e9], [0.01 * 1.1**n for n in range(100)], [3.0] * 1000])
def test_pictures_stay_in_their_frame(values: list[float]) -> None:
    of = Histogram(0.001)
    for value in values:
        of.add(value)
    picture = histogram("x", of, seconds)
    if max(values) == 0:
        assert picture == ""
        return
    xs = [float(x) for x in re.findall(r"\b(?:x|x1|x2)=(-?[\d.]+)", picture)]
    ys = [float(y) for y in re.findall(r"\b(?:y|y1|y2|height)=(-?[\d.]+)", picture)]
    assert -1 <= min(xs) <= max(xs) <= 901
    assert 0 <= min(ys) <= max(ys) <= 196
    assert picture.count("<rect") == len(of.bins)
    ordered = sorted(values)
    for share in (0.5, 0.95):
        real = ordered[max(0, round(share * len(values)) - 1)]
        assert of.quantile(share) == pytest.approx(max(real, 0.001), rel=0.2)


def test_words() -> None:
    assert [dollars(v) for v in (0.0, 0.0000123, 0.00027, 0.5, 12.345)] == [
        "$0",
        "$0.000012",
        "$0.00027",
        "$0.50",
        "$12.35",
    ]
    assert [seconds(v) for v in (0.0004, 0.0579, 0.9996, 3.217, 99.9, 500, 12_000)] == [
        "0.4 ms", "57.9 ms", "1 s", "3.22 s", "100 s", "8 min", "3 h 20 min",
    ]  # fmt: skip
    assert [whole(v) for v in (1.5, 12.4, 1234567)] == ["1.5", "12", "1,234,567"]


def test_each_class_of_error_has_an_example(server: Server, tmp_path: Path) -> None:
    items = [*({"id": n} for n in range(40)), "a"]
    run_batch(chat(server.route(error(400, "so it is"))), items, report=tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert re.search(r"BadRequestError</td><td class=n>1</td>.*?so it is", page)
    assert "Batch of 41 items" in page
