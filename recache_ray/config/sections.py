"""The groups of settings. Each module that needs some imports its own group from here, never the whole."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.embedded import EMBEDDED_KINDS
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
            *EMBEDDED_KINDS,
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
    path: str = knob("", "local folder or hub id of the pipeline; empty means the embedded one (shapes, shapes-video)")
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
        "taylor: TaylorSeer, newton: exact for uneven gaps, hermite: HiCache, delta: Delta-DiT, dcta: DiCache's",
        choices=("reuse", "taylor", "newton", "hermite", "foca", "freqca", "delta", "dcta", "cache_dit"),
    )
    order: int = knob(1, "forecast order; ignored by reuse, foca, delta and dcta", ge=0, le=4)
    cut: str = knob(
        "stack",
        "stack predicts the blocks as a whole, modules every attention and MLP output (reuse: FORA)",
        choices=("stack", "modules"),
    )


@dataclass(frozen=True)
class PromptsConfig:
    """Prompts and their disjoint splits."""

    file: str = knob("", "text file with one prompt a line (UTF-8); empty means captions of the embedded model")
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
    """Fidelity, how close a cached generation stays to its uncached reference, plus alpha times quality."""

    lpips_net: str = knob("alex", "LPIPS backbone", choices=("alex", "vgg", "squeeze"))
    lpips_weights: str = knob(
        "seeded",
        "pretrained downloads the ImageNet backbone; seeded uses fixed random features and needs no download",
        choices=("pretrained", "seeded"),
    )
    fidelity: str = knob(
        "linear",
        "linear is -LPIPS as published, log is -ln(LPIPS), none leaves quality alone",
        choices=("log", "linear", "none"),
    )
    alpha: float = knob(
        0.0, "weight of the quality term; 7 as published, chosen by reward=published and reward=quality", ge=0, le=1000
    )
    quality: str = knob(
        "auto",
        "auto takes none at alpha 0, else shapes' own or hpsv2.1; a named one is measured at alpha 0 too",
        choices=("auto", "shapes", "open_clip", "hpsv2.0", "hpsv2.1", "clipscore", "pickscore", "imagereward"),
    )
    quality_path: str = knob("", "its checkpoint, folder or hub id; empty means the published one")
    quality_revision: str = knob("", "hub revision; empty means the default branch")
    quality_env: str = knob("", "folder of imagereward's own environment")
    frames: int = knob(0, "evenly spaced frames of a video that LPIPS and quality look at; 0 means all", ge=0)
    video_convention: str = knob(
        "per_frame",
        "PSNR and SSIM: per_frame as TeaCache and PAB, whole_video as EasyCache",
        choices=("per_frame", "whole_video"),
    )


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

    budgets: str = knob(
        "3..5",
        'budgets to learn, for example "3..10", "5,8,12", "x5,20%", or "250ms" once measured',
        required=True,
    )
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
    num_judges: int = knob(
        0,
        "validation prompts the polish judges schedules on, drawn by how hard they are after all have been screened; "
        "0 means all, each counting the same",
        ge=0,
    )
    rivals: tuple[str, ...] = knob(
        ("uniform_warm", "uniform_ends", "magcache_frozen", "dpcache"),
        "baselines whose schedules the polish tries first; those that need a calibration are calibrated before",
    )
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
        "schedules to compare with; adaptive rivals (teacache, easycache, fbcache, dicache) also as NAME_frozen; "
        "budcache and random_search run many generations",
    )
    gate_prompts: int = knob(
        8, "prompts that thresholds of adaptive baselines are found on, never those of split", ge=1
    )
    gate_budgets: str = knob("", "budgets adaptive baselines are brought to; empty means all that are evaluated")
    split: str = knob("test", "prompts to evaluate on", choices=("train", "validation", "test"))
    random_schedules: int = knob(2, "schedules averaged for the random baseline", ge=1)
    bootstrap_samples: int = knob(1000, "resamplings of prompts behind the confidence intervals", ge=100)
    calibration_prompts: int = knob(4, "train prompts that calibrated baselines are measured on", ge=1)
    lemica_max_gap: int = knob(8, "longest jump between computed steps of lemica; each costs a generation", ge=2)
    search_evaluations: int = knob(
        0,
        "evaluations of (prompt, schedule) per budget of budcache and random_search; 0 means as many as this run's "
        "learner measured, divided by its budgets",
        ge=0,
        le=1_000_000,
    )
    search_prompts: int = knob(1, "train prompts budcache and random_search judge on; 1 as published", ge=1, le=4096)
    grid_prompts: int = knob(4, "prompts shown in the image grid", ge=1, le=16)


@dataclass(frozen=True)
class TransferConfig:
    """A run's schedules at other numbers of steps."""

    num_steps: tuple[int, ...] = knob((), "numbers of steps to carry the schedules of the run to, each 2..1000")
    against: tuple[str, ...] = knob((), "folders of runs trained at these numbers of steps, to compare with")


@dataclass(frozen=True)
class GenerateConfig:
    """One picture."""

    prompt: str = knob("", "what to draw")
    budget: int | str = knob(6, "computed steps k, or x3, 30%, 250ms")
    output: str = knob("out.png", "file to write", required=True)
    seed: int = knob(0, "seed of the noise", ge=0)
    compare: bool = knob(False, "also run uncached and print LPIPS, PSNR and SSIM to it")


@dataclass(frozen=True)
class ExportConfig:
    """A schedule for a server, and the proof that the server runs it."""

    to: str = knob(
        "cache-dit", "format of the file, one of those in docs/export.md, or hub: a folder to share", required=True
    )
    budget: int | str = knob(6, "computed steps k, or x3, 30%, 250ms")
    output: str = knob("", "folder or file to write; empty means run.dir/export")
    mechanism: str = knob("", "forecast of cached steps, for example reuse; empty means the one learned with")
    file: str = knob("", "an exported file to verify; empty means the one in run.dir/export")


@dataclass(frozen=True)
class BenchConfig:
    """Learning and search on exhaustive tables, and mechanisms side by side."""

    tables_dir: str = knob("tables", "folder of the exhaustive tables; kept and used again", required=True)
    num_steps: tuple[int, ...] = knob((12,), "every T of the tables, in place of model.num_steps", ge=3, le=24)
    budgets: str = knob("2..6", "budgets of the tables at every T, every schedule of each is run", required=True)
    mechanisms: tuple[str, ...] = knob(
        (), "for example [foca,fora]; empty means the four that learning has targets for, and all to bench mechanisms"
    )
    prompts: int = knob(3, "training prompts a table averages over; test prompts of bench mechanisms", ge=1, le=64)
    prompt_sets: int = knob(1, "tables per mechanism, each on other prompts", ge=1, le=64)
    policies: tuple[str, ...] = knob(
        ("path", "conditional_bernoulli", "plackett_luce"), "kinds of policy to learn with; the targets are for path"
    )
    evaluations: tuple[int, ...] = knob((1000,), "rewards a method may ask for; targets at 1000, 2000 and 4000", ge=1)
    seeds: int = knob(1, "runs of every method on every table; the targets are for the mean of 3", ge=1, le=100)
    alphas: tuple[float, ...] = knob((0.0, 1.0, 3.0, 7.0, 20.0), "weights of the quality term to train a policy with")
    quality_only: bool = knob(True, "also train a policy on the quality term alone")


@dataclass(frozen=True)
class ResultsConfig:
    """Publishing evaluated runs."""

    runs: tuple[str, ...] = knob((), "folders of evaluated runs: other mechanisms, other seeds; empty means run.dir")
    name: str = knob("main_job", "names the files, and the section of the readme between its marks", required=True)
    dir: str = knob("docs/results", "folder of the files NAME.json, NAME.csv, NAME.md and NAME.png", required=True)
    readme: str = knob("README.md", "file with the lines <!-- results:begin NAME --> and <!-- results:end NAME -->")


@dataclass(frozen=True)
class PlanConfig:
    """What a run would cost; the run itself is described by the other sections."""

    architecture: str = knob(
        "", "a model by name instead of the section model, at its published size and steps, see docs/cost.md"
    )
    size: str = knob("", "of plan.architecture, as 832x480x81 (width, height, frames); empty means the published one")
    peak_tflops: float = knob(989.4, "peak of one device in model.dtype, dense; the default is an H100 SXM's", gt=0)
    utilisation: float = knob(0.4, "share of the peak the transformer sustains; assumed, not measured", gt=0, le=1)
    memory_gib: float = knob(80.0, "memory of one device", gt=0)
    executed_share: float = knob(
        0.8, "forwards executed of those requested; assumed, 0.80 was measured on shapes (docs/pipeline.md)", gt=0, le=1
    )
    extra_s: float = knob(0.3, "seconds of a generation outside the transformer: decoding, reward; assumed", ge=0)


@dataclass(frozen=True)
class ClusterConfig:
    """A cluster that somebody else starts."""

    file: str = knob("", "file for ray up, KubeRay object or runtime environment of a job")
