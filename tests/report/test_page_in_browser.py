"""The page as a reader has it: opened from disk in a browser, moved, sorted, read aloud."""

import json
import re
import shutil

import numpy as np
import pytest

from capsmed.metrics.tables import read_table
from capsmed.report import write_comparison, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def run(build_run, tmp_path_factory):
    folder = build_run(
        tmp_path_factory.mktemp("browser") / "run", head=True, seeds=(0, 1), couplings=True
    )
    write_report(folder)
    return folder


@pytest.fixture
def page(browser, run):
    """The report at desktop width; whatever it complains of or asks for fails the test."""
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    opened, heard = context.new_page(), []
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    opened.on("request", lambda request: heard.append(request.url))
    address = (run / "report.html").as_uri()
    opened.goto(address)
    yield opened
    assert [what for what in heard if what != address and not what.startswith("data:")] == []
    context.close()


def first_column(page):
    return page.locator("#cases tbody tr td:first-child").all_inner_texts()


def test_the_slider_shows_the_numbers_that_numpy_gives(page, run):
    rows = read_table(run / "predictions.csv").query("model == 'capsnet'")
    truth, runs = (rows["label"] == "malignant").to_numpy(), rows["seed"].nunique()
    for at in (0.35, 0.5, 0.93, 0.0, 1.0):
        page.locator("#threshold").fill(str(at))
        called = (rows["prob_malignant"] >= at).to_numpy()
        shown = {k: page.locator(f"#at-{k}").inner_text() for k in ("tp", "fn", "fp", "tn")}
        counts = [truth & called, truth & ~called, ~truth & called, ~truth & ~called]
        assert [float(v) for v in shown.values()] == [np.sum(c) / runs for c in counts]
        hits = [truth[(rows["seed"] == seed) & called] for seed in rows["seed"].unique()]
        if all(map(len, hits)):
            ppv = float(page.locator("#at-ppv").inner_text())
            assert ppv == pytest.approx(np.mean([hit.mean() for hit in hits]), abs=5.01e-4)
        shares = {"sensitivity": called[truth], "specificity": ~called[~truth]}
        for name, right in shares.items():
            found = float(page.locator(f"#at-{name}").inner_text())
            assert found == pytest.approx(np.mean(right), abs=5.01e-4)


def test_on_paper_what_is_folded_is_open_and_afterwards_as_it_was(page):
    folded = page.locator("details:not(.term)")
    states = "all => all.map(d => d.open)"
    folded.first.evaluate("d => { d.open = true }")
    before = folded.evaluate_all(states)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(before) > 2 and all(folded.evaluate_all(states))
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert folded.evaluate_all(states) == before


def test_at_first_the_most_wrong_cases_come_first(page, run):
    rows = read_table(run / "predictions.csv").query("model == 'capsnet'")
    true = np.where(rows["label"] == "malignant", rows["prob_malignant"], rows["prob_benign"])
    worst = rows.assign(true=true).groupby("case_id")["true"].mean().sort_values()
    assert first_column(page) == worst.index[:20].tolist()


def test_a_heading_sorts_and_says_so_to_those_who_do_not_see_it(page):
    heading = page.locator("th[data-key=id]")
    heading.locator("button").click()
    assert first_column(page)[:3] == ["case-000", "case-001", "case-002"]
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    assert first_column(page)[0] == "case-053"
    assert heading.get_attribute("aria-sort") == "descending"


def test_cases_are_found_by_name_and_by_kind(page):
    page.locator("#case-search").fill("case-01")
    assert sorted(first_column(page)) == [f"case-01{k}" for k in range(10)]
    page.locator("#case-search").fill("")
    page.locator("#case-kind").select_option("wrong")
    rows = page.locator("#cases tbody tr").all()
    assert rows and all(
        r.locator("td").nth(1).inner_text() != r.locator("td").nth(2).inner_text() for r in rows
    )
    page.locator("#case-kind").select_option("class benign")
    assert {t for t in page.locator("#cases tbody td:nth-child(2)").all_inner_texts()} == {"benign"}


def test_more_cases_come_on_demand(page):
    assert page.locator("#case-count").inner_text() == "20 of 54 cases"
    page.locator("#case-more").click()
    assert len(first_column(page)) == 54 and not page.locator("#case-more").is_visible()


def test_a_case_opens_with_its_planes_and_closes(page):
    page.locator("#cases tbody button").first.click()
    name = first_column(page)[0]
    assert page.locator("#case-title").inner_text() == name
    image = page.locator("#case-image")
    assert image.is_visible() and image.evaluate("image => image.naturalWidth") == 3 * 12 + 2 * 2
    assert image.evaluate("image => image.naturalHeight") == 2 * 12 + 2  # and reconstruction
    page.locator("#case-close").click()
    assert not page.locator("#case-view").is_visible()


def test_a_wrong_case_shows_its_couplings_to_both_classes_with_their_scale(page, run):
    stored = np.load(run / "repeat-0" / "seed-0" / "fold-0" / "cuts.npz")
    wrong = np.flatnonzero(stored["coupling_class"][:, 0] != stored["coupling_class"][:, 1])[0]
    page.locator("#case-search").fill(str(stored["case_id"][wrong]))
    page.locator("#cases tbody button").first.click()
    called = ["benign", "malignant"][stored["coupling_class"][wrong, 0]]
    captions = page.locator("#case-maps figcaption").all_inner_texts()
    assert captions[0] == f"to {called}, the predicted class" and captions[1].endswith("true class")
    image = page.locator("#case-maps img").first
    assert image.evaluate("image => image.naturalWidth") == 3 * 12 + 2 * 2
    assert image.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    assert image.bounding_box()["width"] == page.locator("#case-image").bounding_box()["width"]
    assert "white 0.50" in page.locator("#case-couplings .scale").inner_text()


def test_all_of_it_works_without_a_mouse(page):
    page.locator("#threshold").focus()
    before = page.locator("#threshold-value").inner_text()
    page.keyboard.press("ArrowRight")
    assert float(page.locator("#threshold-value").inner_text()) == pytest.approx(
        float(before) + 0.01
    )
    for _ in range(3):  # search, kind, first heading
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert first_column(page)[0] == "case-000"
    page.locator("#cases tbody button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#case-view").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#case-view").is_visible()


def test_a_term_explains_itself_on_click(page):
    page.locator("summary", has_text="Brier score").click()
    assert page.get_by_text("The mean squared distance of the probability").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("what", ["report", "comparison"])
def test_axe_finds_nothing_serious(browser, run, tmp_path, scheme, what):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    path = run / "report.html"
    if what == "comparison":
        path = write_comparison([run], tmp_path / "out", bootstrap=100) / "comparison.html"
    opened = browser.new_page(color_scheme=scheme)
    opened.goto(path.as_uri())
    found = axe.run(opened).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    told = [(v["id"], [n["html"][:120] for n in v["nodes"][:3]]) for v in serious]
    assert told == []


def test_on_a_phone_only_tables_scroll_sideways(browser, run):
    opened = browser.new_page(viewport={"width": 390, "height": 844})
    opened.goto((run / "report.html").as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") == 390


def test_what_is_printed_leaves_out_what_only_works_on_a_screen(browser, run, tmp_path):
    opened = browser.new_page()
    opened.goto((run / "report.html").as_uri())
    opened.emulate_media(media="print")
    assert not opened.locator("#threshold").is_visible()
    assert opened.locator("h1").is_visible()
    assert opened.pdf(path=tmp_path / "report.pdf").startswith(b"%PDF")


def test_the_data_of_the_page_are_whole_and_cannot_end_their_script(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    inside = re.search(r'id="case-data">(.*?)</script>', text, re.DOTALL)[1]
    assert "<" not in inside and len(json.loads(inside)["id"]) == 54
