"""The report in a real browser, without a network: Debian's Chromium, where there is one."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from emoscale.reporting.report.page import write_report
from emoscale.reporting.report.study import read_study
from tests.reporting.results_folder import AWKWARD, write_results

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")

FIGURES = {"first", "confusion", "layer-weights"}

# Runs before the page's own programs, and gathers what goes wrong.
LISTENER = """
window.found = {errors: []};
addEventListener("error", (event) => found.errors.push(String(event.message)));
addEventListener("unhandledrejection", (event) => found.errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) =>
  found.errors.push(`refused: ${event.violatedDirective} ${event.blockedURI}`));
for (const level of ["error", "warn"]) {
  const own = console[level];
  console[level] = (...words) => { found.errors.push(words.join(" ")); own(...words); };
}
"""

# Runs after them: does what a reader does, and writes down what is to be seen.
READER = """
(async () => {
  const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
  const place = (name) => document.getElementById(`table-${name}`);
  const texts = (name, column) => {
    const heads = [...place(name).querySelectorAll("th")].map((head) => head.dataset.column);
    return [...place(name).querySelectorAll("tbody tr")].map(
      (row) => row.children[heads.indexOf(column)].textContent);
  };
  const head = (name, column) => place(name).querySelector(`th[data-column="${column}"]`);
  const click = (name, column) => {
    head(name, column).querySelector("button").click();
    return [head(name, column).getAttribute("aria-sort"), texts(name, column)];
  };
  for (const plot of document.querySelectorAll("[data-chart]")) {
    plot.scrollIntoView();
    for (let tries = 0; tries < 300 && !plot.dataset.drawn; tries += 1) await wait(0.1);
  }
  found.marks = Object.fromEntries([...document.querySelectorAll("[data-chart]")].map((plot) => [
    plot.dataset.chart.replace("chart-", ""), plot.querySelectorAll("svg path, svg text").length]));
  found.too_wide = [...document.querySelectorAll("[data-chart]:not([data-rigid]) svg")].filter(
    (svg) => svg.getBoundingClientRect().width > svg.closest(".plot").clientWidth + 1).length;
  found.page_too_wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  found.before = texts("scores", "ua");
  found.falling = click("scores", "ua");
  found.rising = click("scores", "ua");
  found.again = click("scores", "ua");
  found.names = click("scores", "experiment");
  found.pages = [texts("runs", "ua").length];
  const buttons = [...place("runs").querySelectorAll(".pages button")];
  buttons[1].click();
  buttons[1].click();
  found.pages.push(texts("runs", "ua").length, buttons[1].disabled);
  found.sorted_over_pages = click("runs", "ua")[1][0];
  const filter = place("runs").querySelector("input[type=search]");
  filter.value = "FUSION fold3";
  filter.dispatchEvent(new Event("input"));
  found.filtered = [new Set(texts("runs", "experiment")).size, texts("runs", "experiment")[0],
                    place("runs").querySelector(".count").textContent];
  filter.value = "no such row";
  filter.dispatchEvent(new Event("input"));
  found.none_left = texts("runs", "experiment").length;
  found.tooltip = head("scores", "ua").querySelector("button").title;
  const columns = place("scores").querySelectorAll("th").length;
  const press = (name, words) =>
    [...place(name).querySelectorAll("button")].find((b) => b.textContent === words).click();
  press("scores", "All columns");
  found.more_columns = place("scores").querySelectorAll("th").length - columns;
  URL.createObjectURL = (blob) => { found.blob = blob; return "#"; };
  press("efficiency", "CSV");
  found.csv = await found.blob.text();
  found.loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  document.body.append(Object.assign(document.createElement("pre"),
    {id: "findings", textContent: JSON.stringify(found)}));
})();
"""


def with_programs(page: str) -> str:
    """The page with the listener and the reader, allowed by their digests as its own are."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()}'"
        for program in (LISTENER, READER)
    )
    page = page.replace("script-src ", f"script-src {html.escape(digests)} ", 1)
    page = page.replace("</head>", f"<script>{LISTENER}</script></head>", 1)
    before, _, after = page.rpartition("</body>")
    return f"{before}<script>{READER}</script></body>{after}"


def read_in_browser(path: Path, width: int) -> dict[str, Any]:
    """What the reader found in the page, in a window of this width."""
    assert CHROMIUM is not None
    program = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *(
            "--no-first-run",
            "--allow-file-access-from-files",
            f"--user-data-dir={path.parent / f'profile{width}'}",
        ),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9"),
        *(f"--window-size={width},800", "--virtual-time-budget=200000", "--dump-dom"),
        path.as_uri(),
    ]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=400)
    found = re.search(r'<pre id="findings">(.*?)</pre>', ran.stdout, flags=re.DOTALL)
    assert found, f"the page was not read to its end: {ran.stderr[-2000:]}"
    findings: dict[str, Any] = json.loads(html.unescape(found[1]))
    return findings


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    paths = write_results(folder)
    write_report(read_study(paths, folder / "checks.json"), folder / "report.html")
    path = folder / "read.html"
    text = (folder / "report.html").read_text(encoding="utf-8")
    path.write_text(with_programs(text), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def findings(page: Path) -> dict[str, Any]:
    return read_in_browser(page, 1280)


def test_it_opens_without_a_network_and_without_an_error(findings: dict[str, Any]) -> None:
    assert findings["errors"] == []
    assert findings["loaded"] == []


def test_figures_are_drawn(findings: dict[str, Any]) -> None:
    assert set(findings["marks"]) >= FIGURES
    assert min(findings["marks"].values()) > 10
    assert findings["too_wide"] == 0


def test_a_table_sorts_and_takes_its_order_back(findings: dict[str, Any]) -> None:
    numbers = [float(text[:4]) for text in findings["before"]]
    assert numbers == [60.0, 70.0, 72.0, 82.0, 85.0]
    assert findings["before"][0] == "60.054.0 to 65.0"
    direction, falling = findings["falling"]
    assert direction == "descending"
    assert falling == findings["before"][::-1]
    assert findings["rising"] == ["ascending", findings["before"]]
    assert findings["again"] == ["none", findings["before"]]
    assert findings["names"] == ["ascending", ["fusion", "mfcc", "mfcc", AWKWARD, AWKWARD]]


def test_long_tables_have_pages_and_sort_over_all(findings: dict[str, Any]) -> None:
    assert findings["pages"] == [50, 30, True]
    assert findings["sorted_over_pages"] == "62.9"


def test_a_table_filters_by_words(findings: dict[str, Any]) -> None:
    assert findings["filtered"] == [1, "fusion", "43 of 130 rows"]
    assert findings["none_left"] == 0


def test_columns_say_what_they_mean_and_all_can_be_shown(findings: dict[str, Any]) -> None:
    assert findings["tooltip"].startswith("unweighted accuracy; test utterances of all folds")
    assert findings["more_columns"] > 5


def test_a_table_is_downloaded_with_all_its_columns(findings: dict[str, Any]) -> None:
    lines = findings["csv"].splitlines()
    assert lines[0].startswith("experiment,other,other_size,other_labels,ua,labels,factor")
    assert lines[1] == '"{}",mfcc,100,100,0.7,10,10,4.2,inf,at least,true,what the row says'.format(
        AWKWARD.replace('"', '""')
    )
    assert lines[3].endswith(",10,0.72,,,,,not reached,false,what the row says")


def test_it_fits_a_phone(page: Path) -> None:
    frame = page.with_name("phone.html")
    frame.write_text(
        f'<iframe src="{page.name}" style="width:390px;height:800px;border:0"></iframe>'
        "<script>const look = setInterval(() => {"
        'const own = document.querySelector("iframe").contentDocument;'
        'const found = own && own.getElementById("findings");'
        "if (found) { clearInterval(look); document.body.append(found); } }, 200);</script>"
    )
    found = read_in_browser(frame, 800)
    assert found["errors"] == []
    assert found["too_wide"] == 0
    assert found["page_too_wide"] <= 0
