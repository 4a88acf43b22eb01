"""No file that is loaded can run code, and no token leaves the process that has it."""

from __future__ import annotations

import ast
import json
import logging
import re
from pathlib import Path

import pytest

from recache_ray.cli.main import main
from recache_ray.cli.verb import Finished
from recache_ray.cli.verbs import VERBS
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config
from recache_ray.distributed.outcome import capture, one_line
from recache_ray.errors import BadInputError
from recache_ray.tracking.names import without_secrets
from recache_ray.tracking.provenance import provenance

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "recache_ray").rglob("*.py"))
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}
UNSAFE_CALLS = {
    "torch.load",
    "torch.save",
    "torch.jit.load",
    "torch.package",
    "pd.read_pickle",
    "pandas.read_pickle",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "eval",
    "exec",
}
# the published HPSv2 checkpoint exists as a pickle alone; this reader builds tensors and refuses everything else
ALLOWED = {"recache_ray/metrics/quality/weights.py": ["torch.load(weights_only=True)"]}
TOKEN = "hf_" + "aB3" * 11


def unsafe(tree: ast.AST) -> list[str]:
    """What of a module can run code from a file."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            tensors_only = any(
                keyword.arg == "weights_only"
                and isinstance(keyword.value, ast.Constant)
                and keyword.value.value is True
                for keyword in node.keywords
            )
            if name in UNSAFE_CALLS:
                found.append(f"{name}(weights_only=True)" if name == "torch.load" and tensors_only else name)
            for keyword in node.keywords:
                on = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                if keyword.arg in ("allow_pickle", "trust_remote_code") and on:
                    found.append(f"{name}({keyword.arg}=True)")
                if keyword.arg == "use_safetensors" and not on:
                    found.append(f"{name}(use_safetensors=...)")
    return found


def test_the_package_loads_no_file_that_could_run_code() -> None:
    assert len(SOURCES) > 100
    found = {str(path.relative_to(ROOT)): unsafe(ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert {path: names for path, names in found.items() if names} == ALLOWED


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "def f(): import dill",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "Model.from_pretrained(x, trust_remote_code=True)",
        "Model.from_pretrained(x, use_safetensors=False)",
        "yaml.load(text)",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_is_for(code: str) -> None:
    assert unsafe(ast.parse(code))


def test_every_dependency_of_a_release_is_pinned_to_one_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9._-]+==[0-9][a-z0-9.+]*", line) for line in pins)
    pinned = {line.split("==")[0] for line in pins}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)
    assert block is not None
    names = {name.lower().replace("_", "-") for name in re.findall(r'"([A-Za-z0-9_-]+)', block[1])}
    assert names - pinned == set()


@pytest.mark.parametrize("text", [f"401 for {TOKEN} at hub", f"Bearer {TOKEN}", f"'{TOKEN}'"])
def test_a_hub_token_is_recognised_by_its_shape(text: str) -> None:
    assert TOKEN[3:] not in without_secrets(text)
    assert without_secrets("the hf_hub module, hf_home") == "the hf_hub module, hf_home"


@pytest.mark.parametrize("variable", ["HF_TOKEN", "RAY_AUTH_TOKEN", "MLFLOW_TRACKING_PASSWORD"])
def test_tokens_of_other_shapes_are_recognised_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "correct-horse")
    assert without_secrets("refused: correct-horse") == "refused: ***"
    monkeypatch.setenv(variable, "step")
    assert without_secrets("one step") == "one step", "too short to be one"


def test_errors_and_warnings_of_workers_come_back_without_tokens() -> None:
    def fail() -> None:
        logging.getLogger("recache_ray.x").warning("retrying with %s", TOKEN)
        raise OSError(f"401 Unauthorized: {TOKEN}")

    outcome = capture(fail)
    assert outcome.error is not None and "401" in outcome.error.message and "401" in outcome.error.details
    assert TOKEN not in repr(outcome) and "hf_***" in repr(outcome)
    assert TOKEN not in one_line(BadInputError(TOKEN))


@pytest.mark.parametrize("debug", ["", "1"])
@pytest.mark.parametrize("error", [BadInputError, ValueError])
def test_errors_on_the_terminal_are_without_tokens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], debug: str, error: type[Exception]
) -> None:
    def run(config: Config, progress: object) -> Finished:
        raise error(f"cannot load with {TOKEN}")

    verb = VERBS["train"]
    monkeypatch.setitem(VERBS, "train", type(verb)(**{n: getattr(verb, n) for n in verb.__slots__} | {"run": run}))
    monkeypatch.setenv("RECACHE_DEBUG", debug)
    assert main(["train"]) in (1, 2)
    printed = capsys.readouterr().err
    assert "cannot load with hf_***" in printed and TOKEN not in printed


def test_what_a_run_records_of_its_surroundings_holds_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    assert TOKEN not in json.dumps([provenance(0), to_mapping(Config())])
    assert not [name for name in to_mapping(Config()) if "token" in name.lower()]
