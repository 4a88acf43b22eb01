import getpass
import json
import platform
import re
from pathlib import Path

from recache_ray.tracking.provenance import provenance


def test_facts_are_flat_json_with_versions_and_seed() -> None:
    facts = provenance(seed=11)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["seed"] == 11 and facts["python"] == platform.python_version()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(facts["date"]))
    assert {"version/torch", "version/diffusers", "version/recache_ray"} <= set(facts)
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", str(facts.get("git_commit", "0" * 40)))


def test_nothing_names_a_host_or_a_folder() -> None:
    text = json.dumps(provenance(seed=0))
    assert str(Path(__file__).resolve().parents[3]) not in text and str(Path.home()) not in text
    assert platform.node() not in text
    assert getpass.getuser() not in re.findall(r"\w+", text)
