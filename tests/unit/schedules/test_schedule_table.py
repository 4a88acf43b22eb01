"""A table of schedules is its JSON document; a serving process loads it without torch."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.schedules import SCHEMA_VERSION, Schedule, ScheduleTable

TABLES = st.integers(2, 20).flatmap(
    lambda num_steps: st.lists(st.sets(st.integers(0, num_steps - 1)), min_size=1, max_size=5).map(
        lambda sets: ScheduleTable(
            num_steps=num_steps,
            schedules={
                schedule.budget: schedule for schedule in (Schedule.from_steps(num_steps, {0, *each}) for each in sets)
            },
            model={"id": "tiny", "guidance": 1.5},
            mechanism={"id": "taylor", "order": 1},
            metrics={2: {"lpips": 0.25}},
            provenance={"seed": 0},
            cost={"computed_flops": 100.0, "cached_flops": 1.0, "computed_s": 0.5, "cached_s": 0.01},
        )
    )
)
EXAMPLE = ScheduleTable(
    10, {3: Schedule(10, (0, 1, 5)), 4: Schedule(10, (0, 1, 4, 7)), 5: Schedule(10, (0, 1, 2, 4, 7))}
)


@given(TABLES)
def test_the_document_round_trips(table: ScheduleTable) -> None:
    document = json.loads(json.dumps(table.to_json()))
    assert document["schema_version"] == SCHEMA_VERSION
    assert ScheduleTable.from_json(document) == table


@given(TABLES)
def test_a_table_is_a_mapping_with_ascending_budgets(table: ScheduleTable) -> None:
    assert list(table) == sorted(table.schedules) == list(table.budgets)
    assert len(table) == len(table.budgets)
    assert all(table[budget].budget == budget for budget in table)
    assert dict(table) == dict(table.schedules)


def test_saving_replaces_the_file_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "schedules.json"
    path.write_text("old")
    EXAMPLE.save(path)
    assert ScheduleTable.load(path) == EXAMPLE
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "schedules.json"
    EXAMPLE.save(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFailedError, match=r"schedules\.json: cannot write .*No space left on device.*free space"):
        ScheduleTable(10, {}).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_budgets_in_any_form(tmp_path: Path) -> None:
    assert EXAMPLE.schedule("50%") == EXAMPLE.schedule("x2") == EXAMPLE[5]
    with pytest.raises(BadInputError, match=r"budget = 9: not in this table; it has 3..5"):
        EXAMPLE.schedule(9)
    with pytest.raises(BadInputError, match=r"it has 3, 5$"):
        ScheduleTable(10, {budget: EXAMPLE[budget] for budget in (3, 5)})[4]
    with pytest.raises(BadInputError, match="it has none"):
        ScheduleTable(10, {})[4]
    assert EXAMPLE.get(3) == EXAMPLE[3]
    assert 9 not in EXAMPLE
    assert EXAMPLE.get(9) is None


def test_schedules_that_do_not_fit_their_budget_or_steps_are_refused() -> None:
    for budget, schedule in ((4, Schedule(10, (0, 1, 5))), (3, Schedule(12, (0, 1, 5)))):
        with pytest.raises(BadInputError, match=f"budget {budget} of T = 10 holds a schedule with 3"):
            ScheduleTable(10, {budget: schedule})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot read a schedule table"),
        ("{", "cannot read a schedule table"),
        ("[]", "not a schedule table; give the schedules.json"),
        ("{}", "not a schedule table .schema_version = None"),
        ('{"schema_version": true}', "not a schedule table .schema_version = True"),
        ('{"schema_version": 0}', "not a schedule table .schema_version = 0"),
        ('{"schema_version": 3}', "schema_version = 3, this release reads up to 2; update recache_ray"),
        ('{"schema_version": 1}', "not a schedule table"),
        ('{"schema_version": 1, "num_steps": 9, "schedules": []}', "not a schedule table"),
        ('{"schema_version": 1, "num_steps": 9, "schedules": {"k": [0]}}', "not a schedule table"),
        ('{"schema_version": 1, "num_steps": 9, "schedules": {"2": [0, 9]}}', "step 9: must be below num_steps = 9"),
        ('{"schema_version": 1, "num_steps": 9, "schedules": {"3": [0, 1]}}', "budget 3 of T = 9"),
    ],
)
def test_files_that_are_no_table_are_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "schedules.json"
    path.write_text(content)
    with pytest.raises(BadInputError, match=message) as caught:
        ScheduleTable.load(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_version_1_is_migrated(tmp_path: Path) -> None:
    """Version 1 had neither digest nor, at first, cost."""
    old = {name: value for name, value in EXAMPLE.to_json().items() if name not in ("digest", "cost")}
    path = tmp_path / "schedules.json"
    path.write_text(json.dumps({**old, "schema_version": 1}))
    loaded = ScheduleTable.load(path)
    assert loaded == EXAMPLE
    loaded.save(path)
    assert json.loads(path.read_text()) == EXAMPLE.to_json()


@given(TABLES, st.data())
def test_a_change_by_hand_is_refused(table: ScheduleTable, data: st.DataObject) -> None:
    document = json.loads(json.dumps(table.to_json()))
    where = data.draw(st.sampled_from(["schedules", "model", "mechanism", "metrics", "provenance", "cost", "digest"]))
    document[where] = "0" * 64 if where == "digest" else {**document[where], "99": [0]}
    with pytest.raises(BadInputError, match=r"was changed after it was written \(its digest does not match"):
        ScheduleTable.from_json(document)
    del document["digest"]
    with pytest.raises(BadInputError, match=r"was changed after it was written \(its digest is missing"):
        ScheduleTable.from_json(document)


@given(TABLES)
def test_layout_and_number_forms_are_no_change(table: ScheduleTable) -> None:
    """Another JSON library sorts keys and writes 1.0 as 1."""

    def whole(value: object) -> object:
        if isinstance(value, dict):
            return {name: whole(value[name]) for name in sorted(value)}
        return int(value) if isinstance(value, float) and value.is_integer() else value

    assert ScheduleTable.from_json(json.loads(json.dumps(whole(table.to_json())))) == table


def test_the_nearest_budget_below_serves_those_between() -> None:
    table = ScheduleTable(10, {budget: EXAMPLE[budget] for budget in (3, 5)})
    assert [table.nearest(budget).budget for budget in (3, 4, 5, "45%", "x2")] == [3, 3, 5, 3, 5]
    for outside in (2, 6, "x10", "99%"):
        with pytest.raises(BadInputError, match="outside this table, which has 3, 5"):
            table.nearest(outside)


def test_bytes_that_are_not_text_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "schedules.json").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "schedules.json", tmp_path / "absent.json", tmp_path):
        with pytest.raises(BadInputError, match="cannot read a schedule table"):
            ScheduleTable.load(path)


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    EXAMPLE.save(tmp_path / "schedules.json")
    program = (
        "import sys, recache_ray as recache\n"
        f"table = recache.ScheduleTable.load({str(tmp_path / 'schedules.json')!r})\n"
        "print(table[3].compute_steps, sorted({'torch', 'numpy', 'ray', 'diffusers'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(0, 1, 5) []"


def test_budgets_in_flops_and_time_go_by_what_the_run_measured() -> None:
    cost = {"computed_flops": 100.0, "cached_flops": 10.0, "computed_s": 0.1, "cached_s": 0.02}
    table = ScheduleTable(10, EXAMPLE.schedules, cost=cost)
    assert table.schedule("x2").budget == 4 and EXAMPLE.schedule("x2").budget == 5
    assert table.schedule("440ms").budget == 3 and table.schedule("0.45s").budget == 3
    with pytest.raises(BadInputError, match="no time of a step was measured"):
        EXAMPLE.schedule("440ms")
    damaged = {**table.to_json(), "schema_version": 1, "cost": {"computed_s": 1.0}}
    with pytest.raises(BadInputError, match="not a schedule table"):
        ScheduleTable.from_json(damaged)
