"""The benchmarks of learning, search and mechanisms."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class BenchConfig:
    """Steps, learning and search on exhaustive tables, and mechanisms side by side."""

    random_weights: bool = knob(
        False, "bench step: take a published model's shapes without its weights, which nothing is downloaded for"
    )
    tables_dir: str = knob("tables", "folder of the exhaustive tables; kept and used again", required=True)
    num_steps: tuple[int, ...] = knob((12,), "every T of the tables, in place of model.num_steps", ge=3, le=24)
    budgets: str = knob("2..6", "budgets of the tables at every T, every schedule of each is run", required=True)
    mechanisms: tuple[str, ...] = knob(
        (), "for example [foca,fora]; empty means the four that learning has targets for, and all to bench mechanisms"
    )
    prompts: int = knob(3, "training prompts a table averages over; test prompts of bench mechanisms", ge=1, le=64)
    prompt_sets: int = knob(1, "tables per mechanism, each on other prompts", ge=1, le=64)
    policies: tuple[str, ...] = knob(
        ("path", "conditional_bernoulli", "plackett_luce"), "kinds of policy to learn with; the targets are for path"
    )
    evaluations: tuple[int, ...] = knob((1000,), "rewards a method may ask for; targets at 1000, 2000 and 4000", ge=1)
    seeds: int = knob(1, "runs of every method on every table; the targets are for the mean of 3", ge=1, le=100)
    alphas: tuple[float, ...] = knob((0.0, 1.0, 3.0, 7.0, 20.0), "weights of the quality term to train a policy with")
    quality_only: bool = knob(True, "also train a policy on the quality term alone")
