"""What finding schedules took: from a run's own records, as a file, as a table."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from recache_ray.evaluation.search_cost import COSTS, SearchCost, cost_table, parts_text, total_work, training_costs
from recache_ray.evaluation.work import Work
from recache_ray.tracking.jsonl import MetricsLine


def line(step: int, work: Work | None, **metrics: float) -> MetricsLine:
    figures = {} if work is None else {f"work/{name}": float(getattr(work, name)) for name in Work.__dataclass_fields__}
    return MetricsLine(step, 0.0, {**metrics, **figures})


LINES = [
    line(1, Work(8, 40, 20, 0.5), **{"reward/mean": -0.1}),
    line(2, Work(4, 20, 15, 0.25), **{"reward/mean": -0.1}),
    line(3, Work(30, 90, 60, 1.5), **{"polish/evaluations": 30.0}),
    line(3, None, **{"eval/lpips": 0.1}),
]


def test_training_is_the_sum_over_its_records_by_phase() -> None:
    gradient, polish = training_costs(LINES, (3, 5))
    assert (gradient.part, gradient.work) == ("policy gradient", Work(12, 60, 35, 0.75))
    assert (polish.part, polish.work, polish.budgets) == ("polish", Work(30, 90, 60, 1.5), (3, 5))


def test_screening_and_confirming_are_counted_too() -> None:
    more = [
        line(3, Work(5, 30, 30, 1.0), **{"screen/requests": 5.0}),
        *LINES[2:],
        line(5, Work(6, 18, 9, 0.5), **{"confirm/evaluations": 6.0}),
    ]
    by_part = {cost.part: cost.work for cost in training_costs([*LINES[:2], *more], (3, 5))}
    assert list(by_part) == ["policy gradient", "screening", "polish", "confirmation"]
    assert by_part["screening"] == Work(5, 30, 30, 1.0) and by_part["confirmation"] == Work(6, 18, 9, 0.5)


def test_a_run_that_did_not_record_its_work_has_no_cost_rather_than_a_low_one() -> None:
    assert training_costs([*LINES[:1], line(2, None, **{"reward/mean": -0.1}), *LINES[2:]], (3,)) == ()


def test_rows_survive_the_file_and_add_up_by_method(tmp_path: Path) -> None:
    rows = (
        *training_costs(LINES, (3, 5)),
        SearchCost.of("budcache", "search", (3,), Work(10, 30, 25, 1.0)),
        SearchCost.of("budcache", "search", (5,), Work(10, 50, 35, 1.5)),
    )
    assert COSTS.read(COSTS.write(rows, tmp_path / "cost.parquet")) == rows
    assert total_work(rows) == {"policy": Work(42, 150, 95, 2.25), "budcache": Work(20, 80, 60, 2.5)}
    assert parts_text(rows[2:]) == "search 60"
    table = cost_table(rows)
    cells = {column.header: list(column.cells) for column in table.columns}
    assert cells["method"] == ["policy", "budcache"] and cells["forwards"] == ["95", "60"]
    assert cells["budgets"] == ["2", "2"] and cells["of which"][0] == "policy gradient 35, polish 60"


def test_no_figure_of_a_narrow_table_is_cut() -> None:
    parts = ("references", "policy gradient", "screening", "polish", "confirmation", "residuals", "edges")
    costs = [SearchCost.of("policy", part, (5, 6), Work(1_056, 52_800, 52_800, 271.0)) for part in parts]
    console = Console(width=80, file=StringIO(), record=True)
    console.print(cost_table(costs))
    shown = console.export_text()
    assert "…" not in shown
    assert {"7,392", "369,600", "1,897", "generations", "forwards"} <= set(shown.split()), shown
    assert shown.count("52,800") == len(parts), shown


def test_works_add_up_from_nothing() -> None:
    works = [Work(1, 5, 4, 0.5), Work(2, 6, 6, 1.0)]
    assert sum(works, Work()) == Work(3, 11, 10, 1.5)
