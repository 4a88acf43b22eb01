"""Every cluster file in the repository is right, and a broken copy of it is refused with the reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import ray
import yaml

from recache_ray.cli.main import main
from recache_ray.cli.resolve import resolve
from recache_ray.cli.verbs import VERBS
from recache_ray.distributed.cluster_files.check import check_cluster_file
from recache_ray.distributed.cluster_files.instances import GPU_MACHINES
from recache_ray.errors import BadInputError

CLUSTER = Path(__file__).parents[3] / "cluster"
FILES = sorted(str(file.relative_to(CLUSTER)) for file in CLUSTER.rglob("*.yaml"))
RAY_UP = ("gpu.yaml", "gpu-gcp.yaml", "on-prem.yaml")
PINNED = f"{ray.__version__}-py311"


@pytest.fixture(autouse=True)
def prepared_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the wheel built, and a home with a token."""
    (tmp_path / "dist").mkdir()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


def filled(name: str) -> str:
    return re.sub(r"FILL_IN_[A-Z_]+", "filled-in", (CLUSTER / name).read_text(encoding="utf-8"))


def test_the_repository_has_the_files_the_readme_names() -> None:
    assert set(FILES) == {
        *RAY_UP,
        "kuberay/raycluster.yaml",
        "kuberay/rayjob.yaml",
        "kuberay/shared-volume.yaml",
        "runtime-env.yaml",
        "serve.yaml",
    }


@pytest.mark.parametrize("name", FILES)
def test_nothing_but_placeholders_is_left_to_do(name: str, tmp_path: Path) -> None:
    shipped = check_cluster_file(CLUSTER / name)
    assert shipped.problems == ()
    assert all(re.search(r"line \d+: replace FILL_IN_[A-Z_]+$", item) for item in shipped.to_do)
    (tmp_path / "copy.yaml").write_text(filled(name))
    assert check_cluster_file(tmp_path / "copy.yaml").ready


BROKEN = [
    # what Ray refuses by itself
    ("gpu.yaml", "idle_timeout_minutes:", "idle_timeout_minute:", r"refused by Ray: .*idle_timeout_minute"),
    ("gpu.yaml", "{CPU: 8, GPU: 1}", "{CPU: 8, GPU: 0.5}", r"refused by Ray: .*GPU: 0.5 is not of type 'integer'"),
    ("gpu.yaml", "head_node_type: head", "head_node_type: haed", r"refused by Ray: .*head_node_type"),
    ("gpu.yaml", "  container_name: recache\n", "", r"refused by Ray: Must provide a container"),
    ("gpu-gcp.yaml", "    min_workers: 0", "    min_workers: 9", r"refused by Ray: .*max_workers. is smaller"),
    ("on-prem.yaml", "  worker_ips:", "  worker_ip:", r"refused by Ray: .*worker_ips"),
    # what Ray lets pass
    ("gpu.yaml", "max_workers: 8\n    priority", "max_workers: -1\n    priority", r"min_workers = 0: must be at most"),
    ("gpu.yaml", "type: aws", "type: awz", r"provider\.type = awz: these checks know aws, gcp, local"),
    ("gpu.yaml", "cache_stopped_nodes: false", "cache_stoped_nodes: false", r"did you mean cache_stopped_nodes\?"),
    ("gpu.yaml", "cache_stopped_nodes: false", "cache_stopped_nodes: true", r"stopped spot node cannot be started"),
    ("gpu.yaml", "g6e.2xlarge", "g6e.2xlrge", r"InstanceType = g6e\.2xlrge: not a known machine.*did you mean g6e\."),
    ("gpu.yaml", "g6e.2xlarge", "g6e.12xlarge", r"has 4 GPUs, but resources say 1; set GPU: 4"),
    ("gpu.yaml", "{CPU: 8, GPU: 1}", "{CPU: 16, GPU: 1}", r"has 8 CPUs, but resources say 16"),
    ("gpu.yaml", "m7i.2xlarge", "m7i.2xlrge", r"head\.node_config\.InstanceType = m7i\.2xlrge: not a known machine"),
    ("gpu.yaml", "{CPU: 0, GPU: 0}", "{CPU: 8, GPU: 0}", r"the head would take rollouts; set CPU: 0"),
    ("gpu.yaml", "{CPU: 0, GPU: 0}", "{CPU: 0}", r"the head would take rollouts; set GPU: 0"),
    ("gpu.yaml", "priority: 10", "priority: 0", r"gpu_spot\.priority: spot must come first; set it above 0"),
    ("gpu.yaml", "RAY_enable_autoscaler_v2=1", "RAY_enable_autoscaler_v2=0", r"only autoscaler v2 reads priority"),
    (
        "gpu.yaml",
        "InstanceType: m7i.2xlarge",
        "InstanceType: m7i.2xlarge\n      InstanceMarketOptions: {MarketType: spot}",
        r"the head on spot takes the whole run with it",
    ),
    ("gpu.yaml", f"ray:{PINNED}-cpu", "ray:latest-cpu", r"docker\.head_image .* does not pin Ray and Python"),
    ("gpu.yaml", f"ray:{PINNED}-cpu", "ray:2.59.0-py311-cpu", rf"Ray 2\.59\.0, but .* Ray {ray.__version__}; use"),
    ("gpu.yaml", f"ray:{PINNED}-cpu", f"ray:{ray.__version__}-py312-cpu", r"every node must have the same Python"),
    ("gpu.yaml", f"ray:{PINNED}-cpu", f"ray:{ray.__version__}-py310-cpu", r"Python 310, must be at least 311"),
    ("gpu.yaml", f"rayproject/ray:{PINNED}-gpu", f"rayproject/ray-ml:{PINNED}-gpu", r"no ray-ml images any more"),
    ("gpu.yaml", "    - --env=RAY_AUTH_MODE=token\n", "", r"the head asks no token of clients"),
    ("gpu.yaml", "  /home/ray/.ray/auth_token: ~/.ray/auth_token\n", "", r"file_mounts: no token for the nodes"),
    ("gpu.yaml", "    - --volume=/shared:/shared\n", "", r"HF_HOME of the worker is on no volume"),
    ("gpu.yaml", "recache: dist", "recache: dits", r"file_mounts: dits does not exist here; correct the path"),
    ("gpu.yaml", "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", r"the dashboard listens on 0\.0\.0\.0"),
    (
        "gpu.yaml",
        "\nsetup_commands:\n",
        "\nworker_setup_commands:\n",
        r"setup_commands: left out, Ray installs a night",
    ),
    ("gpu.yaml", "--constraint /home/ray/recache/constraints.txt /", "/", r"installs whatever is newest; add --constr"),
    ("gpu.yaml", "--autoscaling-config=~/ray_bootstrap_config.yaml", "", r"no node would ever join"),
    ("gpu.yaml", "--address=$RAY_HEAD_IP:6379", "", r"worker_start_ray_commands: do not join the head"),
    (
        "gpu.yaml",
        "  region: us-west-2\n",
        "  region: us-west-2\n  security_group:\n    IpPermissions:\n"
        "      - {FromPort: 8265, ToPort: 8265, IpProtocol: tcp, IpRanges: [{CidrIp: 0.0.0.0/0}]}\n",
        r"opens ports 8265 to 8265 to the world",
    ),
    ("gpu-gcp.yaml", "a2-highgpu-1g", "a2-highgpu-2g", r"machineType = a2-highgpu-2g: has 2 GPUs"),
    ("gpu-gcp.yaml", "a2-highgpu-1g", "a2-highgpu-1", r"did you mean a2-highgpu-1g\?"),
    ("gpu-gcp.yaml", "project_id:", "projekt_id:", r"provider\.projekt_id: .* did you mean project_id\?"),
    ("on-prem.yaml", "--num-cpus=0 --num-gpus=0", "", r"the head would take rollouts; add --num-cpus=0 --num-gpus=0"),
    ("on-prem.yaml", "docker:", "metadata:", r"no image, so every node has the Ray and Python it happens to have"),
    ("kuberay/raycluster.yaml", "enableInTreeAutoscaling", "enableInTreAutoscaling", r"did you mean enableInTreeAuto"),
    ("kuberay/raycluster.yaml", 'rayVersion: "2.60.0"', 'rayVersion: "2.52.0"', r"rayVersion = '2\.52\.0': must be"),
    ("kuberay/raycluster.yaml", "mode: token", "mode: disabled", r"clients would need no token"),
    ("kuberay/raycluster.yaml", 'num-cpus: "0"', 'num-cpus: "4"', r"num-cpus: the head would take rollouts"),
    ("kuberay/raycluster.yaml", 'num-cpus: "0"', "num-cpus: 0", r'num-cpus = 0: must be text; write "0"'),
    ("kuberay/raycluster.yaml", "ClusterIP", "LoadBalancer", r"LoadBalancer: opens the dashboard to others"),
    ("kuberay/raycluster.yaml", "minReplicas: 0", "minReplicas: 9", r"minReplicas = 9 must be at most maxReplicas = 8"),
    ("kuberay/raycluster.yaml", ', nvidia.com/gpu: "1"', "", r"no container has a limit of nvidia\.com/gpu"),
    ("kuberay/raycluster.yaml", "mountPath: /shared}", "mountPath: /data}", r"HF_HOME is on no volume"),
    (
        "kuberay/raycluster.yaml",
        "name: shm, emptyDir",
        "name: shn, emptyDir",
        r"mounts the volume shm, which .* not have",
    ),
    ("kuberay/raycluster.yaml", "version: v2", "version: v1", r"autoscalerOptions\.version: must be v2"),
    ("kuberay/raycluster.yaml", "ray.io/v1", "ray.io/v1alpha1", r"apiVersion = ray\.io/v1alpha1: must be ray\.io/v1"),
    ("kuberay/raycluster.yaml", "ray2.60.0-py311", "latest", r"does not pin Ray and Python"),
    ("kuberay/rayjob.yaml", "shutdownAfterJobFinishes: true", "shutdownAfterJobFinishes: false", r"cost after the job"),
    (
        "kuberay/rayjob.yaml",
        "submissionMode: K8sJobMode",
        "submissionMode: K8sJob",
        r"submissionMode = K8sJob: must be",
    ),
    ("kuberay/rayjob.yaml", "runtime=cluster ", "", r"would start a Ray of its own on the head"),
    ("kuberay/rayjob.yaml", "    env_vars:", "    env_var:", r"runtimeEnvYAML: env_var: not a field of a runtime"),
    ("kuberay/rayjob.yaml", "  activeDeadlineSeconds: 172800\n", "", r"a stuck job would run for ever"),
    ("kuberay/rayjob.yaml", 'PYTHONUNBUFFERED: "1"', "PYTHONUNBUFFERED: 1", r"runtimeEnvYAML: refused by Ray"),
    ("kuberay/shared-volume.yaml", "ReadWriteMany", "ReadWriteOnce", r"every pod mounts it; must have ReadWriteMany"),
    ("runtime-env.yaml", 'OMP_NUM_THREADS: "4"', "OMP_NUM_THREADS: 4", r"refused by Ray: .*env_vars"),
    ("runtime-env.yaml", "env_vars:", "pip: [numpy]\nenv_vars:", r"pip: every node would install again"),
    ("serve.yaml", "num_replicas: 1", "num_replicas: -1", r"refused by Ray Serve: .*num_replicas"),
    ("serve.yaml", "import_path:", "import_pat:", r"refused by Ray Serve: applications\.0\.import_pat"),
    ("serve.yaml", "host: 127.0.0.1", "host: 0.0.0.0", r"host = 0\.0\.0\.0: anybody who reaches the port may draw"),
]


@pytest.mark.parametrize(("name", "right", "wrong", "reason"), BROKEN)
def test_a_broken_copy_is_refused_with_the_reason(
    tmp_path: Path, name: str, right: str, wrong: str, reason: str
) -> None:
    text = filled(name)
    assert right in text, "the case no longer breaks anything"
    (tmp_path / "copy.yaml").write_text(text.replace(right, wrong))
    problems = check_cluster_file(tmp_path / "copy.yaml").problems
    assert any(re.search(reason, problem) for problem in problems), problems
    assert all("\n" not in problem for problem in problems)


def test_every_file_is_broken_somewhere_above() -> None:
    assert {name for name, *_ in BROKEN} == set(FILES)


@pytest.mark.parametrize("name", RAY_UP)
@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("HF_TOKEN=abcdefgh", "HF_TOKEN is given in the file"),
        ("X=hf_abcdefghijklmnopqrst", "what looks like a hub token"),
        ("X=AKIAABCDEFGHIJKLMNOP", "what looks like an AWS access key"),
        ("MLFLOW=http://ann:hunter22@host", "what looks like a user and password"),
    ],
)
def test_a_secret_is_refused_and_not_repeated(tmp_path: Path, name: str, secret: str, reason: str) -> None:
    option = "    - --env=RAY_USAGE_STATS_ENABLED=0\n"
    (tmp_path / "copy.yaml").write_text(filled(name).replace(option, f"{option}    - --env={secret}\n"))
    problems = check_cluster_file(tmp_path / "copy.yaml").problems
    assert [problem for problem in problems if reason in problem]
    assert secret.split("=")[1] not in " ".join(problems)


def test_spot_comes_first_and_everything_scales_to_zero() -> None:
    for name in RAY_UP[:2]:
        types = yaml.safe_load(filled(name))["available_node_types"]
        assert types["head"]["max_workers"] == 0
        assert all(node_type.get("min_workers", 0) == 0 for node_type in types.values())
        assert types["gpu_spot"]["priority"] > types["gpu_ondemand"]["priority"]
        assert {node_type["labels"]["recache/role"] for node_type in types.values()} == {"learner", "rollout"}


def test_the_two_spot_types_of_google_are_recognised(tmp_path: Path) -> None:
    text = filled("gpu-gcp.yaml").replace("priority: 10", "priority: 0")
    for written in ("preemptible: true", "provisioningModel: SPOT"):
        (tmp_path / "copy.yaml").write_text(text.replace("preemptible: true", written))
        assert any("spot must come first" in line for line in check_cluster_file(tmp_path / "copy.yaml").problems)


def test_the_job_of_kuberay_is_a_command_this_release_understands() -> None:
    job = yaml.safe_load(filled("kuberay/rayjob.yaml"))["spec"]
    program, verb, *arguments = job["entrypoint"].split()
    assert (program, verb) == ("recache", "train")
    config = resolve(arguments, {}, "fresh")
    assert config.runtime.address == "auto" and config.runtime.gpus_per_worker == 1
    assert all(folder.startswith("/shared/") for folder in (config.run.dir, config.references.dir, config.prompts.file))
    environment = yaml.safe_load((CLUSTER / "runtime-env.yaml").read_text())
    assert yaml.safe_load(job["runtimeEnvYAML"]) == environment


def test_both_objects_of_kuberay_describe_the_same_cluster() -> None:
    cluster, job = (yaml.safe_load(filled(f"kuberay/{name}.yaml"))["spec"] for name in ("raycluster", "rayjob"))
    assert job["rayClusterSpec"] == cluster


def test_the_readme_names_every_file_and_its_commands_are_understood() -> None:
    text = (CLUSTER / "README.md").read_text(encoding="utf-8")
    assert [
        name for name in (*FILES, "Dockerfile", "grafana-dashboard.json", "prometheus.yml") if name not in text
    ] == []
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    commands = re.findall(r"recache (train|check-cluster) ([^\n#]*)", blocks)
    assert {verb for verb, _ in commands} == {"train", "check-cluster"}
    for verb, rest in commands:
        config = resolve(rest.split(), VERBS[verb].spellings, "fresh")
        assert verb != "train" or config.runtime.address == "auto"
        assert verb != "train" or config.run.dir.startswith("/shared/")


def test_images_everywhere_are_those_of_the_pinned_ray() -> None:
    assert f"FROM rayproject/ray:{PINNED}-gpu\n" in (CLUSTER / "Dockerfile").read_text()
    assert f"ray=={ray.__version__}\n" in (CLUSTER.parent / "constraints.txt").read_text()


def test_machine_tables_are_whole_numbers_of_gpus() -> None:
    assert all(cpus >= gpus >= 1 for table in GPU_MACHINES.values() for cpus, gpus in table.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", r"copy\.yaml: not YAML \(.*\); correct it$"),
        ("- a", r"holds no settings; name a cluster file"),
        ("color: red", r"neither a file for ray up .* its keys are color$"),
        (b"\xff\xfe", r"cannot be read \(not text in UTF-8\)"),
    ],
)
def test_what_is_no_cluster_file_is_bad_input(tmp_path: Path, content: str | bytes, message: str) -> None:
    (tmp_path / "copy.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInputError, match=message):
        check_cluster_file(tmp_path / "copy.yaml")


def test_the_verb_says_what_is_left_and_ends_with_2_until_it_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dist").rmdir()
    assert main(["check-cluster", f"file={CLUSTER / 'gpu.yaml'}"]) == 2
    out = capsys.readouterr().out
    assert "dist does not exist; make it with: make wheel" in out and "replace FILL_IN_AMI_ID" in out
    assert "gpu_spot: 0 to 8 workers, each 8 CPU, 1 GPU" in out
    (tmp_path / "dist").mkdir()
    (tmp_path / "copy.yaml").write_text(filled("gpu.yaml"))
    assert main(["check-cluster", "file=copy.yaml"]) == 0
    assert capsys.readouterr().out.endswith("ready to use\n")
    assert main(["check-cluster", "file=nowhere.yaml"]) == 2
    assert "cluster.file = 'nowhere.yaml': cannot be read (No such file" in capsys.readouterr().err
