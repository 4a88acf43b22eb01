"""Every name of a mechanism, and every wrong one."""

from __future__ import annotations

import pytest

from recache_ray.caching.registry import build_gated_mechanism, build_mechanism, cut_name, parse_mechanism
from recache_ray.errors import BadInputError
from recache_ray.types import MechanismSpec


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("reuse", "reuse"),
        ("taylor", "taylor1"),
        ("Taylor2", "taylor2"),
        ("newton", "newton1"),
        ("newton3", "newton3"),
        ("hermite2", "hermite2"),
        ("foca", "foca"),
        ("freqca2", "freqca2"),
        ("delta", "delta"),
        ("dcta", "dcta"),
        ("taylor_modules", "taylor1_modules"),
        ("hermite2_modules", "hermite2_modules"),
        ("fora", "reuse_modules"),
    ],
)
def test_names_and_specs_agree_on_the_id(name: str, identity: str) -> None:
    spec = parse_mechanism(name)
    assert build_mechanism(spec).id == spec.id == identity
    assert parse_mechanism(spec) is spec


@pytest.mark.parametrize("name", ["", "tailor", "reuse1", "2", "taylor-1", "taylor 1", "foca2", 3])
def test_unknown_names_are_refused_with_the_known_ones(name: object) -> None:
    with pytest.raises(
        BadInputError, match="must be one of reuse, taylor, newton, hermite, foca, freqca, delta, dcta, cache_dit"
    ):
        parse_mechanism(name)  # type: ignore[arg-type]


def test_a_near_miss_gets_a_suggestion() -> None:
    with pytest.raises(BadInputError, match="did you mean taylor"):
        build_mechanism(MechanismSpec("tailor", 1))


@pytest.mark.parametrize("order", [-1, 5])
def test_orders_out_of_range_are_refused(order: int) -> None:
    with pytest.raises(BadInputError, match=r"mechanism\.order = .*between 0 and 4"):
        build_mechanism(MechanismSpec("taylor", order))


def test_dcta_is_given_its_probe_in_one_way_under_a_gate_and_in_another_under_a_schedule() -> None:
    spec = MechanismSpec("dcta")
    assert build_gated_mechanism(spec).id == build_mechanism(spec).id == spec.id == "dcta"
    assert type(build_mechanism(spec)) is not type(build_gated_mechanism(spec))
    assert build_gated_mechanism(MechanismSpec("taylor", 2)).id == "taylor2"


@pytest.mark.parametrize("spec", [MechanismSpec(kind, 0, "modules") for kind in ("freqca", "delta", "dcta")])
def test_some_mechanisms_have_one_cut(spec: MechanismSpec) -> None:
    with pytest.raises(
        BadInputError, match=r"mechanism\.cut = 'modules': (freqca|delta|dcta) caches a stack of blocks"
    ):
        build_mechanism(spec)


def test_an_unknown_cut_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"mechanism\.cut = 'block': must be one of stack, modules"):
        build_mechanism(MechanismSpec("taylor", 1, "block"))


@pytest.mark.parametrize("name", ["fora", "taylor2_modules", "delta"])
def test_gates_need_the_residual_of_the_whole_stack(name: str) -> None:
    with pytest.raises(BadInputError, match="gates need one that predicts the whole stack's residual"):
        build_gated_mechanism(parse_mechanism(name))


def test_files_name_what_is_cached() -> None:
    names = {name: cut_name(parse_mechanism(name)) for name in ("taylor2", "fora", "delta")}
    assert names == {"taylor2": "block_stack_residual", "fora": "module_outputs", "delta": "rear_blocks_residual"}
