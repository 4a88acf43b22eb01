"""The demo page in a real browser: it draws when opened, and again when the budget is moved."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from browser import Browser, chromium
from serving_run import free_port, served, write_shapes_run

pytest.importorskip("gradio", reason="gradio is not installed: pip install 'recache_ray[demo]'")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(chromium() is None, reason="no chromium on this machine: apt-get install chromium"),
]

_WITHIN_S = 120.0
_STATE = """(() => {
  const text = id => document.getElementById(id)?.innerText ?? '';
  const shown = picture => picture && picture.complete && picture.naturalWidth > 0 ? picture.src : '';
  const image = id => shown(document.querySelector('#' + id + ' img'));
  return {measured: text('measured'), units: text('units'), strip: text('strip'),
          cells: document.querySelectorAll('#schedule-strip i').length,
          dark: [...document.querySelectorAll('#schedule-strip i')].filter(c => c.title.endsWith('computed')).length,
          images: ['reference', 'result', 'error'].map(image)};
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    run = write_shapes_run(tmp_path_factory.mktemp("runs") / "shapes")
    with (
        served("demo", free_port(), run) as (url, seconds, _),
        Browser(chromium() or "", tmp_path_factory.mktemp("profile")) as browser,
    ):
        browser.open(url, width=1200, height=1000, scheme="light")
        asked = [
            e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"
        ]
        assert [each for each in asked if not each.startswith((url, "data:", "blob:"))] == []
        wait(browser, lambda state: state["measured"])
        print(f"the page answered after {seconds:.1f} s")
        yield browser


def wait(browser: Browser, done: Any) -> dict[str, Any]:
    """The state of the page once ``done`` holds of it."""
    deadline = time.monotonic() + _WITHIN_S
    while True:
        state = browser.evaluate(_STATE)
        if done(state):
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.2)


def test_it_draws_when_it_is_opened(page: Browser) -> None:
    state = wait(page, lambda state: all(state["images"]))
    assert state["measured"].startswith("4 of 20 steps computed") and "LPIPS" in state["measured"]
    assert (state["cells"], state["dark"]) == (20, 4)
    assert len(set(state["images"])) == 3
    assert "4 of 20 steps" in state["units"] and "ms where it was trained" in state["units"]


def test_moving_the_budget_and_clicking_draws_again(page: Browser) -> None:
    before = wait(page, lambda state: all(state["images"]))
    page.evaluate(
        """(() => { const slider = document.querySelector('#budget input[type=range]');
        slider.value = 5; for (const name of ['input', 'change', 'pointerup', 'mouseup'])
        slider.dispatchEvent(new Event(name, {bubbles: true})); })()"""
    )
    wait(page, lambda state: "5 of 20 steps" in state["units"])
    page.evaluate("document.getElementById('draw').click()")
    after = wait(page, lambda state: state["measured"].startswith("5 of 20 steps computed"))
    assert (after["cells"], after["dark"]) == (20, 5)
    assert after["images"][1] != before["images"][1]


def test_a_prompt_that_is_none_says_so_and_the_page_lives(page: Browser) -> None:
    fill = """(text => { const box = document.querySelector('#prompt textarea, #prompt input');
        const set = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(box), 'value').set;
        set.call(box, text); box.dispatchEvent(new Event('input', {bubbles: true})); })"""
    page.evaluate(f"{fill}('   ')")
    time.sleep(0.5)
    page.evaluate("document.getElementById('draw').click()")
    wait(page, lambda _: "must be text" in page.evaluate("document.body.innerText"))
    before = page.evaluate(_STATE)["images"][0]
    page.evaluate(f"{fill}('a small green star on a black background')")
    time.sleep(0.5)
    page.evaluate("document.getElementById('draw').click()")
    wait(page, lambda state: all(state["images"]) and state["images"][0] != before)
