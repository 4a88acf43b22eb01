"""The demo page; the only file that imports gradio."""

from __future__ import annotations

import html
from importlib.util import find_spec
from typing import Any

from PIL import Image

from recache_ray.errors import BadInputError, RecacheError
from recache_ray.serving.compared import budget_text, measured_text, strip_html
from recache_ray.serving.comparer_process import ComparerProcess
from recache_ray.serving.request import Offer, parse_request

HOST = "127.0.0.1"

_HEAD = """# recache_ray
Move the budget: the dark cells are the denoising steps that are computed, the others are predicted from the cache.
"""


def build_page(comparer: ComparerProcess, offer: Offer, prompt: str) -> Any:
    """The page as a gradio Blocks, which draws ``prompt`` as soon as it is opened.

    Raises:
        BadInputError: if gradio is not installed.
    """
    check_gradio()
    import gradio

    table = offer.table
    budgets = table.budgets
    start = budgets[len(budgets) // 2]

    def draw(prompt: str, seed: float | None, budget: float) -> tuple[Image.Image, Image.Image, Image.Image, str, str]:
        try:
            asked = {"prompt": prompt, "seed": int(seed or 0), "budget": int(budget)}
            request = parse_request(asked, offer)
            compared = comparer.compare(request.prompt, request.seed, request.schedule)
        except RecacheError as error:
            raise gradio.Error(html.escape(str(error)), print_exception=False) from error
        strip = strip_html(compared.schedule)
        return compared.reference, compared.result, compared.error, strip, measured_text(compared)

    with gradio.Blocks(title="recache_ray", analytics_enabled=False) as page:
        gradio.Markdown(_HEAD)
        with gradio.Row():
            text = gradio.Textbox(
                value=prompt, label="Prompt", max_length=offer.max_prompt_chars, elem_id="prompt", scale=4
            )
            seed = gradio.Number(value=0, label="Seed", precision=0, minimum=0, elem_id="seed", scale=1)
        slider = gradio.Slider(
            budgets[0], budgets[-1], value=start, step=1, label="Budget: computed steps", elem_id="budget"
        )
        units = gradio.Markdown(budget_text(table, start), elem_id="units")
        button = gradio.Button("Draw", variant="primary", elem_id="draw")
        with gradio.Row():
            reference = gradio.Image(
                label=f"Uncached, {table.num_steps} steps", format="png", height=280, elem_id="reference"
            )
            result = gradio.Image(label="At this budget", format="png", height=280, elem_id="result")
            error = gradio.Image(label="Where they differ", format="png", height=280, elem_id="error")
        strip = gradio.HTML(elem_id="strip")
        measured = gradio.Markdown(elem_id="measured")

        given, shown = [text, seed, slider], [reference, result, error, strip, measured]
        slider.change(lambda k: budget_text(table, table.nearest(int(k)).budget), slider, units)
        slider.release(draw, given, shown)
        button.click(draw, given, shown)
        text.submit(draw, given, shown)
        page.load(draw, given, shown)
    return page


def launch_page(page: Any, port: int) -> None:
    """Serve the page on 127.0.0.1 until interrupted, with no tunnel and no telemetry.

    Raises:
        BadInputError: if the port is in use.
    """
    try:
        _, url, _ = page.queue(default_concurrency_limit=1).launch(
            server_name=HOST,
            server_port=port or None,
            share=False,
            prevent_thread_lock=True,
            quiet=True,
            inbrowser=False,
            ssr_mode=False,
        )
    except OSError as error:
        raise BadInputError(f"demo.port = {port}: is in use; choose another, or 0 for a free one") from error
    print(f"open {url}  (Ctrl-C ends it)", flush=True)
    try:
        page.block_thread()
    finally:
        page.close(verbose=False)


def check_gradio() -> None:
    """Say early, without the seconds of importing it, that gradio is missing.

    Raises:
        BadInputError: if gradio is not installed.
    """
    if find_spec("gradio") is None:
        raise BadInputError("recache demo: needs gradio; install it: pip install 'recache_ray[demo]'")
