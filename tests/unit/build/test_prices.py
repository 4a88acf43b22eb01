"""Money: whole machines times hours, from the user's table, and what is wrong with a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recache_ray.build.plan_money import actual_line, tasks_at_once, wall_hours
from recache_ray.build.prices import bill, load_prices
from recache_ray.build.workload import GRADIENT, Phase
from recache_ray.cli.main import main
from recache_ray.config.learning import LearningConfig
from recache_ray.config.root import Config, load_config
from recache_ray.diffusion.cost import StepCost
from recache_ray.errors import BadInputError

TABLE = """
currency: EUR
as_of: 2026-11
machines:
  one: {gpus: 1, on_demand: 2.0, spot: 1.0}
  eight: {gpus: 8, on_demand: 20}
  head: {gpus: 0, on_demand: 0.5}
"""
STEP = StepCost(computed_flops=1.0, cached_flops=0.0, computed_s=36.0, cached_s=0.0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(TABLE, encoding="utf-8")
    return path


def config(table: Path, runtime: dict[str, Any] | None = None, **price: Any) -> Config:
    return load_config({"price": {"file": str(table), "spot": False, **price}, "runtime": runtime or {}}, runs=False)


@pytest.mark.parametrize(
    ("machine", "gpus_per_worker", "workers", "machines"),
    [("one", 0.0, 3, 3), ("one", 1.0, 3, 3), ("one", 0.5, 3, 2), ("eight", 1.0, 9, 2), ("eight", 3.0, 5, 3)],
)
def test_machines_are_whole_and_workers_never_span_two(
    table: Path, machine: str, gpus_per_worker: float, workers: int, machines: int
) -> None:
    billed = bill(config(table, {"gpus_per_worker": gpus_per_worker}, instance=machine), workers)
    assert billed is not None and billed.machines == machines
    assert billed.hourly == machines * billed.machine.on_demand


def test_spot_and_head_have_their_own_prices(table: Path) -> None:
    billed = bill(config(table, instance="one", spot=True, head="head"), 4)
    assert billed is not None and billed.hourly == 4 * 1.0 + 0.5
    assert billed.money(10.0) == "45.00 EUR"
    assert bill(config(table), 4) is None


def test_workers_that_an_update_has_no_task_for_are_waited_with(table: Path) -> None:
    made = config(table, instance="one")
    at_once = tasks_at_once(made.learning)
    gradient = Phase(GRADIENT, 0, computed_steps=800.0, cached_steps=0.0)  # 8 GPU-hours
    other = Phase("polish", 0, computed_steps=800.0, cached_steps=0.0)
    assert at_once == 2
    assert wall_hours(made, (gradient,), STEP, 1) == pytest.approx(8.0)
    assert wall_hours(made, (gradient, other), STEP, 8) == pytest.approx(8 / 2 + 8 / 8)


def test_tasks_at_once_follow_the_order_of_updates() -> None:
    assert tasks_at_once(LearningConfig(tasks_per_update=8, policy_lag=2)) == 24
    assert tasks_at_once(LearningConfig(tasks_per_update=8, order="arrival", max_policy_lag=4)) == 32


def test_the_summary_says_what_was_paid(table: Path) -> None:
    made = config(table, {"num_workers": 3}, instance="one", head="head")
    assert actual_line(made, 7200.0).startswith("money: 13.00 EUR for 2 h of 3 x one on demand and head (6 GPU-hours")
    assert actual_line(config(table), 7200.0) == ""


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ({"instance": "ones"}, r"^price\.instance = 'ones': not in .*prices\.yaml; did you mean one\? add a line"),
        ({"instance": "one", "head": "zzz"}, r"^price\.head = 'zzz': not in .*; it has one, eight, head; add a line"),
        ({"instance": "eight", "spot": True}, r"^price\.spot = true: eight has no spot price in .*prices\.yaml"),
        ({"instance": "head"}, r"^price\.instance = 'head': has 0 GPUs in .*, one worker takes 1;"),
        ({"instance": "one", "file": "nowhere.yaml"}, r"^price\.file = 'nowhere\.yaml': cannot be read"),
    ],
)
def test_prices_that_are_not_there_are_asked_for(table: Path, price: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        bill(config(table, **price), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("machines: {}", "has no machines"),
        ("[]", "has no machines"),
        ("machines: {a: [", "cannot be read"),
        ("machines: {a: {gpus: 1}}", r"a = \{'gpus': 1\}: must have gpus and on_demand"),
        ("machines: {a: {gpus: 1, on_demand: 1, monthly: 3}}", "must have gpus and on_demand"),
        ("machines: {a: {gpus: 1, on_demand: free}}", r"a\.on_demand = 'free': must be a number"),
        ("machines: {a: {gpus: 1, on_demand: .nan}}", r"a\.on_demand = nan: must be a number"),
        ("machines: {a: {gpus: 1.5, on_demand: 1}}", r"a\.gpus = 1\.5: must be a number"),
        ("machines: {a: {gpus: 1, on_demand: -1}}", r"a\.on_demand = -1: must be a number, at least 0"),
    ],
)
def test_damaged_tables_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        load_prices(path)


def test_the_verb_prints_wall_time_and_money_for_several_numbers_of_workers(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "model=flux", "runtime.num_workers=4", f"price.file={table}", "instance=one"]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line.strip().endswith("EUR")]
    assert [row[0] for row in rows] == ["1", "2", "4", "8", "16"]
    hours, machines = [float(row[1]) for row in rows], [int(row[3]) for row in rows]
    assert machines == [1, 2, 4, 8, 16]
    assert hours == sorted(hours, reverse=True) and hours[0] / hours[1] == pytest.approx(2.0, rel=0.01)
    for row, hour, machine in zip(rows, hours, machines, strict=True):
        assert float(row[4].replace(",", "")) == pytest.approx(hour * machine * 1.0, rel=0.01)
    assert "one spot, EUR, whole machines, the head not counted" in out and "(2026-11)" in out


def test_the_table_that_comes_along_is_readable() -> None:
    prices = load_prices(Path(__file__).parents[3] / "conf" / "prices.yaml")
    assert prices.currency == "USD" and "not verified" in prices.as_of
    assert all(machine.spot is None or machine.spot < machine.on_demand for machine in prices.machines.values())
