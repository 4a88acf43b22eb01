"""The user's price table, and what hours on its machines come to."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recache_ray.config.root import Config
from recache_ray.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Machine:
    """A line of the table: money per hour, ``spot`` None where there is no such offer."""

    name: str
    gpus: int
    on_demand: float
    spot: float | None


@dataclass(frozen=True, slots=True)
class Prices:
    """A price table, as its owner wrote it."""

    file: str
    currency: str
    as_of: str
    machines: Mapping[str, Machine]

    def machine(self, name: str, setting: str) -> Machine:
        """The line of a machine.

        Raises:
            BadInputError: names the table and the nearest machine in it.
        """
        if name in self.machines:
            return self.machines[name]
        close = difflib.get_close_matches(name, self.machines, n=1)
        guess = f"did you mean {close[0]}?" if close else f"it has {', '.join(self.machines)};"
        raise BadInputError(f"{setting} = {name!r}: not in {self.file}; {guess} add a line for it there")


@dataclass(frozen=True, slots=True)
class Bill:
    """The machines of a run and what an hour of all of them costs.

    Attributes:
        machine: that rollout actors run on.
        machines: how many of it.
        hourly: money per hour, the head's included.
        spot: whether rollout machines are spot ones.
        prices: the table.
    """

    machine: Machine
    machines: int
    hourly: float
    spot: bool
    prices: Prices

    def money(self, hours: float) -> str:
        """What so many hours cost, with the currency."""
        return f"{self.hourly * hours:,.2f} {self.prices.currency}"

    @property
    def terms(self) -> str:
        """``4 x g6.xlarge spot``."""
        return f"{self.machines} x {self.machine.name} {'spot' if self.spot else 'on demand'}"


def bill(config: Config, workers: int) -> Bill | None:
    """What ``workers`` rollout actors would be billed an hour; None where no machine is named.

    A worker without a reservation of GPUs is taken to have one device to itself. Machines are whole.

    Raises:
        BadInputError: if the table cannot be read, lacks the machine or its spot price, or the machine has too few GPUs
            for one worker.
    """
    section = config.price
    if not section.instance:
        return None
    prices = load_prices(Path(section.file))
    machine = prices.machine(section.instance, "price.instance")
    each = config.runtime.gpus_per_worker or 1.0
    if machine.gpus < each:
        raise BadInputError(
            f"price.instance = {machine.name!r}: has {machine.gpus} GPUs in {prices.file}, one worker takes {each:g}; "
            "choose another machine or lower runtime.gpus_per_worker"
        )
    rate = machine.spot if section.spot else machine.on_demand
    if rate is None:
        raise BadInputError(
            f"price.spot = true: {machine.name} has no spot price in {prices.file}; add one or set price.spot=false"
        )
    per_machine = int(machine.gpus // each) if each >= 1 else machine.gpus * int(1 / each + 1e-9)
    machines = math.ceil(workers / per_machine)
    head = prices.machine(section.head, "price.head").on_demand if section.head else 0.0
    return Bill(machine, machines, machines * rate + head, section.spot, prices)


def load_prices(path: Path) -> Prices:
    """Read a price table.

    Raises:
        BadInputError: names the file, the line's machine and what is wrong with it.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise BadInputError(f"price.file = {str(path)!r}: cannot be read ({reason}); see conf/prices.yaml") from error
    if not isinstance(values, dict) or not isinstance(values.get("machines"), dict) or not values["machines"]:
        raise BadInputError(f"price.file = {str(path)!r}: has no machines; see conf/prices.yaml for the form")
    machines = {str(name): _machine(path, str(name), row) for name, row in values["machines"].items()}
    return Prices(str(path), str(values.get("currency", "USD")), str(values.get("as_of", "no date")), machines)


def _machine(path: Path, name: str, row: Any) -> Machine:
    known = {"gpus", "on_demand", "spot"}
    if not isinstance(row, dict) or not {"gpus", "on_demand"} <= set(row) <= known:
        raise BadInputError(
            f"price.file = {str(path)!r}: {name} = {row}: must have gpus and on_demand, and may have spot"
        )
    for key, value in row.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < 0 or (key == "gpus" and value != int(value)):
            raise BadInputError(f"price.file = {str(path)!r}: {name}.{key} = {value!r}: must be a number, at least 0")
    spot = float(row["spot"]) if "spot" in row else None
    return Machine(name, int(row["gpus"]), float(row["on_demand"]), spot)
