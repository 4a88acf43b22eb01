"""The groups of settings. Each module that needs some imports its own group from here, never the whole."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class RunConfig:
    """Where a run lives and what makes it repeatable."""

    dir: str = knob("runs/default", "folder of this run; the same folder again resumes it", required=True)
    seed: int = knob(0, "seed of prompts, noise, sampling and initialisation", ge=0)


@dataclass(frozen=True)
class ModelConfig:
    """The diffusion model and the generation protocol."""

    kind: str = knob(
        "shapes",
        "model family, picks the adapter",
        choices=(
            "shapes",
            "flux",
            "wan",
            "hunyuan_video",
            "sd3",
            "pixart_sigma",
            "cogvideox",
            "qwen_image",
            "ltx",
        ),
    )
    path: str = knob("", "local folder or hub id of the pipeline; empty means the embedded one (shapes only)")
    revision: str = knob("", "hub revision; empty means the default branch")
    dtype: str = knob("float32", "weights and activations", choices=("float32", "bfloat16", "float16"))
    device: str = knob("auto", "auto takes a GPU when the worker has one", choices=("auto", "cpu", "cuda"))
    offload: str = knob(
        "none", "model moves each part to the GPU for its turn: less memory, more time", choices=("none", "model")
    )
    vae_tiling: bool = knob(False, "decode in overlapping tiles: less memory, other pixels at the seams")
    num_steps: int = knob(20, "T, denoising steps; below 10 there is little to take from a cache", ge=2, le=1000)
    height: int = knob(64, "pixels; AlexNet LPIPS needs 32", ge=32)
    width: int = knob(64, "pixels; AlexNet LPIPS needs 32", ge=32)
    frames: int = knob(1, "frames of a video; 1 for images", ge=1)
    fps: int = knob(16, "frames per second of a video file that is written", ge=1, le=240)
    guidance_scale: float = knob(
        1.0,
        "flux, hunyuan_video: embedded guidance, ignored by shapes; others: classifier-free guidance, off at 1",
        ge=0,
    )
    negative_prompt: str = knob("", "what classifier-free guidance leads away from")
    flow_shift: float = knob(0.0, "shift of the timesteps of a flow; 0 keeps the scheduler's own", ge=0, le=100)
    max_text_tokens: int = knob(24, "length the prompt embedding is padded to", ge=1, le=1024)


@dataclass(frozen=True)
class MechanismConfig:
    """What a cached step does."""

    kind: str = knob(
        "taylor",
        "taylor is TaylorSeer, newton is exact for uneven gaps, hermite is HiCache",
        choices=("reuse", "taylor", "newton", "hermite"),
    )
    order: int = knob(1, "forecast order; ignored by reuse", ge=0, le=4)


@dataclass(frozen=True)
class PromptsConfig:
    """Prompts and their disjoint splits."""

    file: str = knob("", "text file with one prompt a line (UTF-8); empty means the captions of shapes")
    num_train: int = knob(48, "prompts the policy learns from", ge=1)
    num_validation: int = knob(48, "prompts that choose between schedules", ge=1)
    num_test: int = knob(48, "prompts of the final table and of evaluate", ge=1)


@dataclass(frozen=True)
class ReferencesConfig:
    """The store of uncached generations."""

    dir: str = knob("references/default", "folder of the store; runs of the same model and T share it", required=True)
    requests_per_task: int = knob(4, "references one worker makes and stores at a time", ge=1, le=256)


@dataclass(frozen=True)
class RewardConfig:
    """The fidelity reward: how close a cached generation stays to its uncached reference."""

    lpips_net: str = knob("alex", "LPIPS backbone", choices=("alex", "vgg", "squeeze"))
    lpips_weights: str = knob(
        "seeded",
        "pretrained downloads the ImageNet backbone; seeded uses fixed random features and needs no download",
        choices=("pretrained", "seeded"),
    )
    fidelity: str = knob("linear", "linear is -LPIPS as published, log is -ln(LPIPS)", choices=("log", "linear"))


@dataclass(frozen=True)
class PolicyConfig:
    """The distribution over schedules."""

    kind: str = knob(
        "path",
        "path scores pairs of consecutive compute steps, the other two score steps",
        choices=("path", "conditional_bernoulli", "plackett_luce"),
    )
    parameterisation: str = knob(
        "tables",
        "tables: shared + per-budget tables; network: small MLP over features, carries to other T",
        choices=("tables", "network"),
    )
    hidden_size: int = knob(64, "width of the network parameterisation", ge=4, le=4096)
    logit_bound: float = knob(12.0, "scores are squashed into plus or minus this", gt=0, le=100)


@dataclass(frozen=True)
class LearningConfig:
    """The policy-gradient loop."""

    budgets: str = knob("3..5", 'budgets to learn, for example "3..10" or "5,8,12"', required=True)
    siblings: int = knob(8, "schedules sampled per (prompt, seed, budget); the baseline leaves one out", ge=2, le=1024)
    budgets_per_task: int = knob(0, "budgets one task covers; 0 means all, so that siblings share prefixes", ge=0)
    tasks_per_update: int = knob(2, "prompts per policy update", ge=1)
    num_updates: int = knob(16, "policy updates", ge=0)
    learning_rate: float = knob(0.1, "Adam step size", gt=0, le=10)
    entropy_weight: float = knob(0.25, "initial entropy bonus, in reward standard deviations; annealed to 0", ge=0)
    importance_clip: float = knob(2.0, "truncation of importance weights of stale groups", ge=1)
    max_grad_norm: float = knob(1.0, "gradient clipping", gt=0)
    order: str = knob(
        "deterministic",
        "deterministic is bit-exactly resumable, arrival applies groups as they finish",
        choices=("deterministic", "arrival"),
    )
    policy_lag: int = knob(0, "updates a task's policy may trail in deterministic order; 0 is synchronous", ge=0, le=64)
    max_policy_lag: int = knob(4, "arrival order drops groups older than this, counted", ge=0, le=1024)
    polish_evaluations: int = knob(1600, "rewards spent on local moves around the mode, on validation prompts", ge=0)
    save_every: int = knob(1, "updates between checkpoints", ge=1)
    keep_checkpoints: int = knob(3, "newest checkpoints kept", ge=2)
    max_failure_share: float = knob(0.2, "stop when more than this share of the tasks failed", ge=0, le=1)


@dataclass(frozen=True)
class RuntimeConfig:
    """Where rollouts run."""

    kind: str = knob("ray", "ray: actors on a local or joined cluster; inline: this process", choices=("ray", "inline"))
    address: str = knob("", "address of a running Ray cluster; empty starts a local one")
    num_workers: int = knob(2, "rollout actors", ge=1, le=4096)
    min_workers: int = knob(1, "training starts once this many rollout actors are ready", ge=1)
    cpus_per_worker: float = knob(1.0, "CPUs reserved per rollout actor", ge=0)
    gpus_per_worker: float = knob(0.0, "GPUs reserved per rollout actor; may be fractional", ge=0)
    threads_per_worker: int = knob(1, "torch threads per rollout actor; part of what makes results bit-equal", ge=1)
    max_batch: int = knob(32, "siblings generated together; more are run in turns", ge=1)
    startup_timeout_s: float = knob(300.0, "seconds to wait for min_workers before giving up", gt=0)
    task_timeout_s: float = knob(600.0, "seconds after which a rollout actor counts as hung and is replaced", gt=0)
    max_attempts: int = knob(5, "tries of one task before it counts as failed", ge=1)


@dataclass(frozen=True)
class TrackingConfig:
    """Where metrics go besides metrics.jsonl, which is always written."""

    mlflow: bool = knob(True, "log to MLflow")
    mlflow_uri: str = knob("", "sqlite:///... or http(s)://...; empty means sqlite in run.dir/mlflow.db")
    experiment: str = knob("", "MLflow experiment; empty means recache_ray/<model>, one for every model")
    run_name: str = knob("", "MLflow run name; empty means the name of run.dir, in a study the mechanism")
    study: str = knob("", "MLflow parent run that groups the runs to compare, one per mechanism; empty means none")


@dataclass(frozen=True)
class EvaluationConfig:
    """Held-out comparison with the baselines."""

    budgets: str = knob("", "budgets to evaluate; empty means learning.budgets")
    baselines: tuple[str, ...] = knob(
        ("uniform", "uniform_warm", "uniform_ends", "random"),
        "schedules to compare with; adaptive rivals (teacache, easycache, fbcache, dicache) also as NAME_frozen",
    )
    gate_prompts: int = knob(
        8, "prompts that thresholds of adaptive baselines are found on, never those of split", ge=1
    )
    split: str = knob("test", "prompts to evaluate on", choices=("train", "validation", "test"))
    random_schedules: int = knob(2, "schedules averaged for the random baseline", ge=1)
    bootstrap_samples: int = knob(1000, "resamplings of prompts behind the confidence intervals", ge=100)
    calibration_prompts: int = knob(4, "train prompts that calibrated baselines are measured on", ge=1)
    lemica_max_gap: int = knob(8, "longest jump between computed steps of lemica; each costs a generation", ge=2)
    grid_prompts: int = knob(4, "prompts shown in the image grid", ge=1, le=16)


@dataclass(frozen=True)
class GenerateConfig:
    """One picture."""

    prompt: str = knob("", "what to draw")
    budget: int | str = knob(6, "computed steps k, or x3, 30%, 250ms")
    output: str = knob("out.png", "file to write", required=True)
    seed: int = knob(0, "seed of the noise", ge=0)
    compare: bool = knob(False, "also run uncached and print LPIPS, PSNR and SSIM to it")


@dataclass(frozen=True)
class BenchConfig:
    """Learning and search on exhaustive tables."""

    tables_dir: str = knob("tables", "folder of the exhaustive tables; kept and used again", required=True)
    num_steps: int = knob(12, "T of the tables, in place of model.num_steps", ge=3, le=24)
    budgets: str = knob("2..6", "budgets of the tables, every schedule of each is run", required=True)
    mechanisms: tuple[str, ...] = knob((), "for example taylor1 or newton2; empty means one of every kind")
    prompts: int = knob(3, "training prompts a table averages over", ge=1, le=64)
    prompt_sets: int = knob(1, "tables per mechanism, each on other prompts", ge=1, le=64)
    policies: tuple[str, ...] = knob(
        ("path", "conditional_bernoulli", "plackett_luce"), "kinds of policy to learn with; the targets are for path"
    )
    evaluations: tuple[int, ...] = knob((1000,), "rewards a method may ask for; targets at 1000, 2000 and 4000")
    seeds: int = knob(1, "runs of every method on every table; the targets are for the mean of 3", ge=1, le=100)
