"""The report in a real browser: it renders in light and dark, narrow and wide, and its controls change what is seen."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from browser import Browser, chromium
from PIL import Image

from recache_ray.cli.main import main
from recache_ray.testing.evaluated_run import write_evaluated_run

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(chromium() is None, reason="no chromium on this machine: apt-get install chromium"),
]

_TROUBLE = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write_evaluated_run(tmp_path_factory.mktemp("runs") / "shown")
    assert main(["report", f"run.dir={folder}", "evaluation.bootstrap_samples=100"]) == 0
    return (folder / "report" / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(chromium() or "", tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_renders_without_overflow_or_complaint(browser: Browser, url: str, width: int, scheme: str) -> None:
    browser.open(url, width=width, height=900, scheme=scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert [event for event in browser.events if event.get("method") in _TROUBLE] == []
    asked = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert asked[0] == url and all(each.startswith("data:") for each in asked[1:])
    loaded = browser.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert loaded is True

    shown = pixels(browser.screenshot())
    assert shown.shape == (900, width, 3)
    corner = shown[2, 2].sum()
    assert corner > 700 if scheme == "light" else corner < 100
    different = (np.abs(shown - shown[2, 2]).sum(axis=-1) > 60).mean()
    assert 0.03 < different < 0.7


@pytest.mark.parametrize("width", [390, 1280])
def test_text_is_large_enough_and_stands_out(browser: Browser, url: str, width: int) -> None:
    for scheme in ("light", "dark"):
        browser.open(url, width=width, height=900, scheme=scheme)
        sizes = browser.evaluate(
            "[...document.querySelectorAll('svg text')].filter(t => t.getClientRects().length)"
            ".map(t => t.getScreenCTM().a * parseFloat(getComputedStyle(t).fontSize))"
        )
        assert len(sizes) > 50 and min(sizes) > 9.5
        ink, soft, page, card = (
            [int(part, 16) for part in (colour[1:3], colour[3:5], colour[5:7])]
            for colour in browser.evaluate(
                "['--ink', '--soft', '--page', '--card']"
                ".map(name => getComputedStyle(document.documentElement).getPropertyValue(name).trim())"
            )
        )
        assert min(contrast(text, under) for text in (ink, soft) for under in (page, card)) >= 4.5


def test_the_slider_changes_the_pictures_from_the_keyboard_and_the_address_keeps_it(browser: Browser, url: str) -> None:
    browser.open(url, width=1280, height=900, scheme="light")
    state = (
        "[document.getElementById('budget-text').innerText,"
        " [...document.querySelectorAll('.error')].filter(i => i.getClientRects().length).map(i => i.alt)]"
    )
    at_five, alts_five = browser.evaluate(state)
    assert at_five.startswith("k = 5 of 20 steps") and len(alts_five) == 3 * 2
    browser.evaluate("document.getElementById('pictures').scrollIntoView()")
    before = pixels(browser.screenshot())
    browser.evaluate("document.getElementById('budget').focus({preventScroll: true})")
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    at_three, alts_three = browser.evaluate(state)
    assert at_three.startswith("k = 3 of 20 steps")
    assert len(alts_three) == 6 and all("k = 3" in alt for alt in alts_three)
    assert (np.abs(before - pixels(browser.screenshot())).sum(axis=-1) > 60).mean() > 0.001
    assert browser.evaluate("document.getElementById('budget').getAttribute('aria-valuetext')") == "k = 3"
    browser.open(url + browser.evaluate("location.hash"), width=1280, height=900, scheme="light")
    assert browser.evaluate(state)[0].startswith("k = 3 of 20 steps")


def test_metric_and_methods_can_be_chosen(browser: Browser, url: str) -> None:
    browser.open(url, width=1280, height=900, scheme="light")
    caption = "[...document.querySelectorAll('.figure figcaption')].filter(c => c.getClientRects().length)[0].innerText"
    assert browser.evaluate(caption).startswith("LPIPS")
    browser.evaluate("document.querySelector('input[value=lpips]').focus()")
    browser.press("ArrowRight")
    assert browser.evaluate(caption).startswith("PSNR")
    assert browser.evaluate("location.hash") == "#k=5&metric=psnr"
    seen = "[...document.querySelectorAll('[data-series=random]')].some(g => g.getClientRects().length > 0)"
    assert browser.evaluate(seen) is True
    browser.evaluate("document.querySelector('[data-toggles=random]').click()")
    assert browser.evaluate(seen) is False
    bands = "[...document.querySelectorAll('.band')].filter(b => b.getClientRects().length).length"
    assert browser.evaluate(bands) == 1
    browser.evaluate("document.getElementById('bands').click()")
    assert browser.evaluate(bands) == 4


def contrast(first: list[int], second: list[int]) -> float:
    """Contrast ratio of two sRGB colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: list[int]) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
