"""The console script as a user runs it: a tiny FLUX model from a folder, prompts from a file, no Ray."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.csv
import pytest
from PIL import Image

from recache_ray.cli.main import main

pytestmark = pytest.mark.integration

PROMPTS = "a red star\na blue circle\na green square\na white ring\na black cross\n"
SETTINGS = [
    "model.kind=flux",
    "model.path=model",
    "model.height=32",
    "model.width=32",
    "model.num_steps=5",
    "model.max_text_tokens=16",
    "prompts.file=prompts.txt",
    "prompts.num_train=2",
    "evaluation.calibration_prompts=2",
    "prompts.num_validation=1",
    "prompts.num_test=2",
    "learning.budgets=2..3",
    "learning.num_updates=12",
    "learning.siblings=2",
    "learning.polish_evaluations=6",
    "evaluation.bootstrap_samples=100",
    "evaluation.grid_prompts=1",
    "evaluation.random_schedules=1",
    "runtime=inline",
    "tracking=jsonl",
]
HEAVY = ("torch", "numpy", "diffusers", "ray", "hydra", "omegaconf", "mlflow", "rich")


def recache(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recache_ray.cli.main", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and prompts."""
    from recache_ray.testing.tiny_flux import tiny_flux_pipeline

    folder = tmp_path_factory.mktemp("place")
    tiny_flux_pipeline().save_pretrained(folder / "model")
    (folder / "prompts.txt").write_text(PROMPTS)
    return folder


@pytest.fixture(scope="module")
def trained(place: Path) -> Path:
    """A finished run."""
    done = recache("train", "run.dir=trained", *SETTINGS, cwd=place)
    assert done.returncode == 0, done.stderr
    (place / "trained.out").write_text(done.stdout)
    (place / "trained.err").write_text(done.stderr)
    return place / "trained"


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same folder as the working directory, for commands run in this process."""
    monkeypatch.chdir(place)
    yield place
    shutil.rmtree(place / "refused", ignore_errors=True)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["bench", "rollout", "--help-all"], ["trian"]])
def test_help_and_mistyped_verbs_are_quick(arguments: list[str], tmp_path: Path) -> None:
    """CPU time, because the machine may be busy."""
    program = (
        "import sys, time\n"
        "from recache_ray.cli.main import main\n"
        f"main({arguments!r})\n"
        f"print('loaded', [name for name in {HEAVY!r} if name in sys.modules])\n"
        "print('seconds', time.process_time())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    *_, loaded, seconds = done.stdout.splitlines()
    assert loaded == "loaded []"
    assert float(seconds.split()[1]) < 1.0


def test_refusing_settings_needs_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from recache_ray.cli.main import main\n"
        "print(main(['train', 'model.num_steps=1']), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m recache_ray.cli.main train --help-all | head -n 1",
        shell=True, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""


def test_train_leaves_everything_it_promises(trained: Path) -> None:
    for name in ("config.json", "metrics.jsonl", "schedules.json", "policy/config.json", "policy/model.safetensors"):
        assert (trained / name).is_file(), name
    out, err = (trained.parent / "trained.out").read_text(), (trained.parent / "trained.err").read_text()
    assert "budget" in out and "policy" in out and "ratio" in out
    assert "learn" in err and "12/12" in err and "forwards saved" in err
    assert not (trained.parent / "outputs").exists()


def test_a_run_without_any_policy_update_ends_well(here: Path) -> None:
    untrained = ["learning.num_updates=0", "learning.polish_evaluations=0", "evaluation.baselines=[uniform]"]
    assert main(["train", "run.dir=untrained", *SETTINGS, *untrained]) == 0
    assert (here / "untrained" / "schedules.json").exists()
    assert not (here / "untrained" / "evaluation" / "learning.png").exists()


def test_resuming_a_finished_run_changes_nothing(trained: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained / "policy" / "model.safetensors").read_bytes(), (trained / "schedules.json").read_text()
    assert main(["train", "run.dir=trained"]) == 0
    assert "12/12" not in capsys.readouterr().err
    after = (trained / "policy" / "model.safetensors").read_bytes(), (trained / "schedules.json").read_text()
    assert before[0] == after[0]
    assert json.loads(before[1])["schedules"] == json.loads(after[1])["schedules"]


def test_a_run_with_other_settings_is_refused(trained: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    assert main(["train", "run.dir=trained", "learning.num_updates=13"]) == 2
    err = capsys.readouterr().err
    assert "learning.num_updates = 13 (the run has 12)" in err and "another run.dir" in err
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_evaluate_writes_the_frontier(trained: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "run.dir=trained", "evaluation.baselines=uniform,random"]) == 0
    assert "frontier.parquet" in capsys.readouterr().out
    table = pyarrow.csv.read_csv(trained / "evaluation" / "frontier.csv")
    assert table.column_names == [
        "schedule",
        "mechanism",
        "num_steps",
        "budget",
        "computed_steps_mean",
        "computed_steps_std",
        "flops_ratio",
        "seconds",
        "lpips",
        "psnr",
        "ssim",
        "quality",
        "reward",
        "num_samples",
        "lpips_ci_low",
        "lpips_ci_high",
    ]
    assert set(table["budget"].to_pylist()) == {2, 3}


def test_a_rival_search_gets_the_learners_evaluations_and_all_costs_are_stated(
    trained: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from recache_ray.evaluation.search_cost import COSTS, total_work

    assert main(["evaluate", "run.dir=trained", "evaluation.baselines=[uniform,budcache]"]) == 0
    out = capsys.readouterr().out
    assert "What finding the schedules took" in out and "cost.parquet" in out
    measured = json.loads((trained / "schedules.json").read_text())["provenance"]["evaluations"]
    costs = COSTS.read(trained / "evaluation" / "cost.parquet")
    parts = {cost.part: cost for cost in costs if cost.method == "policy"}
    # the polish was told of rivals that had to be calibrated
    assert set(parts) == {"references", "policy gradient", "polish", "residuals"}
    assert parts["policy gradient"].generations + parts["polish"].generations >= measured > 0
    assert parts["polish"].generations <= 6
    num_steps = json.loads((trained / "config.json").read_text())["model"]["num_steps"]
    assert parts["references"].forwards_executed == (2 + 1) * num_steps
    searched = [cost for cost in costs if (cost.method, cost.part) == ("budcache", "search")]
    assert [cost.budgets for cost in searched] == [(2,), (3,)]
    assert all(0 < cost.generations <= measured // 2 for cost in searched)
    assert list(total_work(costs)) == ["policy", "budcache"]
    lines = (trained / "metrics.jsonl").read_bytes().count(b"work/forwards_executed")
    assert lines >= 12


def test_generate_makes_the_picture(trained: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "prompt=a red, round star: ${x}"
    assert main(["generate", "run.dir=trained", prompt, "budget=3", "output=out.png", "compare=true"]) == 0
    assert Image.open(here / "out.png").size == (32, 32)
    out = capsys.readouterr().out
    assert "3 of 5 steps computed" in out and "LPIPS" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["budget=0"], ["budget", "0"]),
        (["budget=6"], ["budget", "num_steps = 5"]),
        (["budget=many"], ["budget", "many"]),
        (["output=nowhere/out.png"], ["output", "nowhere"]),
        (["output=out.xyz"], ["output", "out.xyz"]),
        (["prompt="], ["prompt", "prompt=..."]),
        (["seed=-1"], ["generate.seed", "-1"]),
    ],
)
def test_generate_refuses(
    trained: Path, here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: list[str]
) -> None:
    assert main(["generate", "run.dir=trained", "prompt=a red star", *arguments]) == 2
    one_line(capsys, says)


def test_bench_rollout_compares_both_ways(trained: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether the targets are met depends on the machine and the model; that they are judged does not."""
    status = main(["bench", "rollout", "run.dir=trained", *SETTINGS])
    out = capsys.readouterr().out
    figures = json.loads((trained / "bench_rollout.json").read_text())
    assert "one pipeline call per schedule" in out and "trained policy" in out
    assert status == (0 if out.splitlines()[-2].endswith("met") else 1)
    assert figures["forwards_executed"] < figures["forwards_requested"]


def test_bench_learning_measures_every_schedule_once_and_keeps_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["bench.num_steps=[5,6]", "bench.budgets=2..3", "bench.prompts=2", "bench.evaluations=[20]"]
    arguments = ["run.dir=benched", "bench.mechanisms=[reuse,newton2]", "bench.policies=[path]", *sizes, *SETTINGS]
    status = main(["bench", "learning", *arguments])
    out, err = capsys.readouterr()
    figures = json.loads(Path("benched/bench_learning.json").read_text())
    assert status == (1 if figures["misses"] else 0)
    assert "tables" in err and "T = 5, reuse, set 0" in out and "T = 6, newton2, set 0" in out
    assert all(run["regret"] >= 1.0 - 1e-12 and run["asked"] <= 20 for run in figures["runs"])

    files = sorted(Path("tables").glob("*/*.parquet"))
    stored = [path.stat().st_mtime_ns for path in files]
    assert len(files) == 2 * 2 * 2 * 2
    assert len(list(Path("tables").glob("*/calibration/*.safetensors"))) == 2 * 2 * 2
    files[0].unlink()
    main(["bench", "learning", *arguments])
    assert "tables" in capsys.readouterr().err
    again = json.loads(Path("benched/bench_learning.json").read_text())
    assert [run["regret"] for run in again["runs"]] == [run["regret"] for run in figures["runs"]]
    assert [path.stat().st_mtime_ns for path in files[1:]] == stored[1:]


def empty(folder: Path) -> None:
    (folder / "refused" / "bad.txt").write_text("\n\n")


def not_utf8(folder: Path) -> None:
    (folder / "refused" / "bad.txt").write_bytes(PROMPTS.encode() + b"caf\xe9\n")


def repeated(folder: Path) -> None:
    (folder / "refused" / "bad.txt").write_text(PROMPTS + "a blue circle\n")


def too_few(folder: Path) -> None:
    (folder / "refused" / "bad.txt").write_text("a red star\n")


def missing(folder: Path) -> None:
    pass


def occupied(folder: Path) -> None:
    (folder / "refused" / "file").write_text("")


@pytest.mark.parametrize(
    ("prepare", "arguments", "says"),
    [
        (missing, ["prompts.file=refused/none.txt"], ["refused/none.txt"]),
        (empty, ["prompts.file=refused/bad.txt"], ["refused/bad.txt"]),
        (not_utf8, ["prompts.file=refused/bad.txt"], ["refused/bad.txt", "UTF-8"]),
        (repeated, ["prompts.file=refused/bad.txt"], ["refused/bad.txt", "a blue circle"]),
        (too_few, ["prompts.file=refused/bad.txt"], ["refused/bad.txt", "prompts.num_"]),
        (occupied, ["run.dir=refused/file/run"], ["run.dir", "refused/file/run"]),
        (missing, ["model.path=refused/model"], ["refused/model"]),
        (missing, ["runtime.gpus_per_worker=64"], ["runtime.gpus_per_worker = 64"]),
        (missing, ["model.num_steps=6", "references.dir=trained_references"], ["trained_references"]),
    ],
)
def test_train_refuses_in_one_line_and_loses_nothing(
    trained: Path,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Path], None],
    arguments: list[str],
    says: list[str],
) -> None:
    (here / "refused").mkdir(exist_ok=True)
    if not (here / "trained_references").exists():
        shutil.copytree(here / "references" / "default", here / "trained_references")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file() and "refused" not in path.parts}
    prepare(here)
    assert main(["train", *SETTINGS, "run.dir=refused/run", *arguments]) == 2
    one_line(capsys, says)
    assert {path: path.read_bytes() for path in before} == before


def interrupted(place: Path, name: str, number: signal.Signals) -> Path:
    """A run stopped by a signal soon after its first checkpoint."""
    with subprocess.Popen(
        [sys.executable, "-m", "recache_ray.cli.main", "train", f"run.dir={name}", *SETTINGS],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        checkpoints = place / name / "checkpoints"
        wait_for(lambda: any(checkpoints.glob("checkpoint-*/checksums.json")) or process.poll() is not None)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    assert not (place / name / "schedules.json").exists()
    return place / name


def test_sigterm_is_an_interruption(place: Path) -> None:
    interrupted(place, "terminated", signal.SIGTERM)


def test_ctrl_c_leaves_a_checkpoint_that_resumes_to_the_same_weights(trained: Path, place: Path) -> None:
    stopped = interrupted(place, "stopped", signal.SIGINT)
    again = recache("train", "run.dir=stopped", cwd=place)
    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stderr
    for name in ("model.safetensors", "config.json"):
        assert (stopped / "policy" / name).read_bytes() == (trained / "policy" / name).read_bytes()


def test_the_wheel_brings_its_configuration(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(root / name, source / name)
    shutil.copytree(root / "conf", source / "conf")
    skipped = shutil.ignore_patterns("__pycache__", "*.safetensors", "*.png")
    shutil.copytree(root / "recache_ray", source / "recache_ray", ignore=skipped)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True)
    [wheel] = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    shutil.rmtree(source)

    done = recache("train", "mechanism=newton2", "--print-config", cwd=tmp_path, PYTHONPATH=str(tmp_path / "installed"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["mechanism"] == {"kind": "newton", "order": 2, "cut": "stack"}


def one_line(capsys: pytest.CaptureFixture[str], says: list[str]) -> None:
    """The error is the last line of stderr, after whatever progress there was, and the only one."""
    *_, last = lines = capsys.readouterr().err.splitlines()
    assert last.startswith("recache: error: ")
    assert sum(line.startswith("recache: error") for line in lines) == 1
    assert [part for part in says if part not in last] == [], last
    assert not any("Traceback" in line for line in lines)


def wait_for(condition: Callable[[], bool], timeout_s: float = 200.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
