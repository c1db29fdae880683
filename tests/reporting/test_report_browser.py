"""The report in headless Chromium, without a network; skipped if Chromium is not installed."""

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
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on the PATH")

FIGURES = {"first", "confusion", "layer-weights"}
PHONE_WIDTH = 400

# Runs before the scripts of the page and records errors.
ERROR_SCRIPT = """
window.result = {errors: []};
addEventListener("error", (event) => result.errors.push(String(event.message)));
addEventListener("unhandledrejection", (event) => result.errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) =>
  result.errors.push(`refused: ${event.violatedDirective} ${event.blockedURI}`));
for (const method of ["error", "warn"]) {
  const original = console[method];
  console[method] = (...values) => { result.errors.push(values.join(" ")); original(...values); };
}
"""

# Runs after the scripts of the page: acts as a reader and records what is visible.
READER_SCRIPT = """
(async () => {
  const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  const table = (name) => document.getElementById(`table-${name}`);
  const texts = (name, column) => {
    const heads = [...table(name).querySelectorAll("th")].map((head) => head.dataset.column);
    return [...table(name).querySelectorAll("tbody tr")].map(
      (row) => row.children[heads.indexOf(column)].textContent);
  };
  const head = (name, column) => table(name).querySelector(`th[data-column="${column}"]`);
  const click = (name, column) => {
    head(name, column).querySelector("button").click();
    return [head(name, column).getAttribute("aria-sort"), texts(name, column)];
  };
  const plots = [...document.querySelectorAll("[data-chart]")];
  for (const plot of plots) {
    plot.scrollIntoView();
    for (let attempt = 0; attempt < 300 && !plot.dataset.status; attempt += 1) await wait(0.1);
  }
  result.marks = Object.fromEntries(plots.map((plot) => [
    plot.dataset.chart.replace("chart-", ""), plot.querySelectorAll("svg path, svg text").length]));
  result.figures = plots.map((plot) => {
    const svg = plot.querySelector("svg");
    const hint = plot.parentElement.querySelector(".scroll-hint");
    return {
      name: plot.dataset.chart.replace("chart-", ""),
      container_right: plot.getBoundingClientRect().right,
      right: svg.getBoundingClientRect().right,
      scale: svg.getBoundingClientRect().width / svg.width.baseVal.value,
      scrolls: plot.scrollWidth > plot.clientWidth && getComputedStyle(plot).overflowX === "auto",
      hint: hint.getClientRects().length > 0,
    };
  });
  result.screen_width = document.documentElement.clientWidth;
  result.page_width = document.documentElement.scrollWidth;
  result.before = texts("scores", "ua");
  result.descending = click("scores", "ua");
  result.ascending = click("scores", "ua");
  result.unsorted = click("scores", "ua");
  result.names = click("scores", "experiment");
  result.pages = [texts("runs", "ua").length];
  const buttons = [...table("runs").querySelectorAll(".pages button")];
  buttons[1].click();
  buttons[1].click();
  result.pages.push(texts("runs", "ua").length, buttons[1].disabled);
  result.sorted_over_pages = click("runs", "ua")[1][0];
  const filter = table("runs").querySelector("input[type=search]");
  filter.value = "FUSION fold3";
  filter.dispatchEvent(new Event("input"));
  result.filtered = [new Set(texts("runs", "experiment")).size, texts("runs", "experiment")[0],
                     table("runs").querySelector(".count").textContent];
  filter.value = "no such row";
  filter.dispatchEvent(new Event("input"));
  result.rows_without_match = texts("runs", "experiment").length;
  result.tooltip = head("scores", "ua").querySelector("button").title;
  const columns = table("scores").querySelectorAll("th").length;
  const press = (name, text) =>
    [...table(name).querySelectorAll("button")].find((b) => b.textContent === text).click();
  press("scores", "All columns");
  result.more_columns = table("scores").querySelectorAll("th").length - columns;
  URL.createObjectURL = (blob) => { result.blob = blob; return "#"; };
  if (table("efficiency")) {
    press("efficiency", "CSV");
    result.csv = await result.blob.text();
  }
  result.loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  document.body.append(Object.assign(document.createElement("pre"),
    {id: "result", textContent: JSON.stringify(result)}));
})();
"""


def with_test_scripts(page: str) -> str:
    """Return the page with the test scripts, whose digests are added to the security policy."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in (ERROR_SCRIPT, READER_SCRIPT)
    )
    page = page.replace("script-src ", f"script-src {html.escape(digests)} ", 1)
    page = page.replace("</head>", f"<script>{ERROR_SCRIPT}</script></head>", 1)
    before, _, after = page.rpartition("</body>")
    return f"{before}<script>{READER_SCRIPT}</script></body>{after}"


def read_in_browser(path: Path, width: int) -> dict[str, Any]:
    """Return the result of the reader script, in a window of this width in pixels."""
    assert CHROMIUM is not None
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *(
            "--no-first-run",
            "--hide-scrollbars",  # as on a phone, where they take no width
            "--allow-file-access-from-files",
            f"--user-data-dir={path.parent / f'profile{width}'}",
        ),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9"),
        *(f"--window-size={width},800", "--virtual-time-budget=200000", "--dump-dom"),
        path.as_uri(),
    ]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=100)
    except subprocess.TimeoutExpired:  # Chromium sometimes hangs when it starts
        process = subprocess.run(command, capture_output=True, text=True, timeout=300)
    match = re.search(r'<pre id="result">(.*?)</pre>', process.stdout, flags=re.DOTALL)
    assert match, f"the reader script did not finish: {process.stderr[-2000:]}"
    result: dict[str, Any] = json.loads(html.unescape(match[1]))
    return result


def read_on_phone(page: Path) -> dict[str, Any]:
    """Return the result of the reader script on a phone: in a frame, as windows are wider."""
    phone_page = page.with_name("phone.html")
    phone_page.write_text(
        f'<iframe src="{page.name}" style="width:{PHONE_WIDTH}px;height:800px;border:0"></iframe>'
        "<script>const timer = setInterval(() => {"
        'const page = document.querySelector("iframe").contentDocument;'
        'const result = page && page.getElementById("result");'
        "if (result) { clearInterval(timer); document.body.append(result); } }, 200);</script>"
    )
    return read_in_browser(phone_page, 800)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    paths = write_results(folder)
    write_report(read_study(paths, folder / "checks.json"), folder / "report.html")
    path = folder / "test.html"
    text = (folder / "report.html").read_text(encoding="utf-8")
    path.write_text(with_test_scripts(text), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def screen(page: Path) -> dict[str, Any]:
    return read_in_browser(page, 1280)


@pytest.fixture(scope="module")
def phone(page: Path) -> dict[str, Any]:
    return read_on_phone(page)


def test_it_opens_without_a_network_and_without_an_error(screen: dict[str, Any]) -> None:
    assert screen["errors"] == []
    assert screen["loaded"] == []


def test_figures_are_drawn(screen: dict[str, Any]) -> None:
    assert set(screen["marks"]) >= FIGURES
    assert min(screen["marks"].values()) > 10
    for figure in screen["figures"]:
        assert figure["right"] <= figure["container_right"] + 1, figure
        assert not figure["scrolls"]
        assert not figure["hint"]


def test_a_table_is_sorted_and_unsorted(screen: dict[str, Any]) -> None:
    numbers = [float(text[:4]) for text in screen["before"]]
    assert numbers == [60.0, 70.0, 72.0, 82.0, 85.0]
    assert screen["before"][0] == "60.054.0 to 65.0"
    direction, descending = screen["descending"]
    assert direction == "descending"
    assert descending == screen["before"][::-1]
    assert screen["ascending"] == ["ascending", screen["before"]]
    assert screen["unsorted"] == ["none", screen["before"]]
    assert screen["names"] == ["ascending", ["fusion", "mfcc", "mfcc", AWKWARD, AWKWARD]]


def test_long_tables_have_pages_and_are_sorted_over_all_of_them(screen: dict[str, Any]) -> None:
    assert screen["pages"] == [50, 30, True]
    assert screen["sorted_over_pages"] == "62.9"


def test_a_table_is_filtered_by_words(screen: dict[str, Any]) -> None:
    assert screen["filtered"] == [1, "fusion", "43 of 130 rows"]
    assert screen["rows_without_match"] == 0


def test_columns_have_tooltips_and_all_can_be_shown(screen: dict[str, Any]) -> None:
    assert screen["tooltip"].startswith("unweighted accuracy")
    assert screen["more_columns"] > 5


def test_a_table_is_downloaded_with_all_its_columns(screen: dict[str, Any]) -> None:
    lines = screen["csv"].splitlines()
    assert lines[0].startswith(
        "experiment,other,other_size,ua,measured_ua,other_labels,labels,factor"
    )
    assert lines[1] == '"{}",mfcc,100,0.7,0.7,100,10,10,4.2,inf,at least,true,a sentence'.format(
        AWKWARD.replace('"', '""')
    )
    assert lines[3].endswith(",10,0.72,0.72,10,,,,,not reached,false,a sentence")


def test_the_page_is_not_wider_than_a_phone(phone: dict[str, Any]) -> None:
    assert phone["errors"] == []
    assert phone["screen_width"] == PHONE_WIDTH
    assert phone["page_width"] <= PHONE_WIDTH


def test_no_figure_extends_beyond_a_phone(phone: dict[str, Any]) -> None:
    """A figure ends within the screen, or it scrolls within its container and a hint says so."""
    assert len(phone["figures"]) == 11
    for figure in phone["figures"]:
        assert figure["container_right"] <= PHONE_WIDTH, figure
        assert figure["right"] <= PHONE_WIDTH or (figure["scrolls"] and figure["hint"]), figure
        assert figure["scrolls"] == figure["hint"], figure


def test_the_learning_curves_are_readable_on_a_phone_without_scrolling(
    phone: dict[str, Any],
) -> None:
    figure = next(figure for figure in phone["figures"] if figure["name"] == "first")
    assert figure["right"] <= PHONE_WIDTH
    assert figure["scale"] > 0.95


def test_many_learning_curves_with_long_names_fit_a_phone(tmp_path: Path) -> None:
    names = [f"experiment_{number}_" + "x" * 51 for number in range(7)]  # of maximum length
    paths = write_results(tmp_path, extras=False, ua=dict.fromkeys(names, (0.5, 0.6)))
    write_report(read_study(paths, tmp_path / "checks.json"), tmp_path / "report.html")
    page = tmp_path / "test.html"
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page.write_text(with_test_scripts(text), encoding="utf-8")
    figure = next(f for f in read_on_phone(page)["figures"] if f["name"] == "first")
    assert figure["right"] <= PHONE_WIDTH
    assert figure["scale"] > 0.95
