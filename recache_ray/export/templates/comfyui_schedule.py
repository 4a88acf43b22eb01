"""TITLE

A ComfyUI node: put this file into ``custom_nodes``. Steps outside the schedule take the model's output from the newest
computed steps, one history per conditioning. Sample with as many steps as the schedule has.
"""

import logging

import comfy.patcher_extension
import torch

NUM_STEPS = 1
COMPUTE_STEPS = (0,)
ORDER = 0

_KEY = "recache_schedule"


class History:
    """The newest outputs of one conditioning, newest first, as (step, output)."""

    def __init__(self):
        self.outputs = []

    def add(self, step, output):
        self.outputs = [(step, output), *self.outputs][:2]

    def forecast(self, step):
        """Reuse, or the line through the two newest outputs."""
        newest, output = self.outputs[0]
        if ORDER == 0 or len(self.outputs) < 2:
            return output
        before, older = self.outputs[1]
        return output + (output - older) * ((step - newest) / (newest - before))


class Run:
    """One sampling run: where it stands, and what it remembers."""

    def __init__(self):
        self.histories = {}
        self.computed = self.cached = 0

    def step_of(self, options):
        """Which step this call belongs to, by its noise level among those of the run."""
        levels = options["sample_sigmas"]
        if len(levels) - 1 != NUM_STEPS:
            raise ValueError(
                f"the sampler runs {len(levels) - 1} steps, the schedule has {NUM_STEPS}; set steps to {NUM_STEPS}"
            )
        return int(torch.argmin((levels[:-1].to(options["sigmas"].device) - options["sigmas"].flatten()[0]).abs()))

    def forward(self, executor, *args, **kwargs):
        options = kwargs.get("transformer_options") or args[-1]
        step, history = self.step_of(options), self.histories.setdefault(tuple(options["uuids"]), History())
        if step in COMPUTE_STEPS or not history.outputs:
            output = executor(*args, **kwargs)
            history.add(step, output)
            self.computed += 1
            return output
        self.cached += 1
        return history.forecast(step)

    def sample(self, executor, *args, **kwargs):
        self.__init__()
        try:
            return executor(*args, **kwargs)
        finally:
            calls = self.computed + self.cached
            logging.info("recache: computed %d of %d model calls", self.computed, calls)
            self.histories = {}


class RecacheSchedule:
    """Node: the model with the schedule applied."""

    CATEGORY = "advanced/model"
    FUNCTION = "patch"
    RETURN_TYPES = ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",)}}

    def patch(self, model):
        patched, run = model.clone(), Run()
        kinds = comfy.patcher_extension.WrappersMP
        patched.add_wrapper_with_key(kinds.OUTER_SAMPLE, _KEY, run.sample)
        patched.add_wrapper_with_key(kinds.DIFFUSION_MODEL, _KEY, run.forward)
        return (patched,)


NODE_CLASS_MAPPINGS = {"RecacheSchedule": RecacheSchedule}
NODE_DISPLAY_NAME_MAPPINGS = {"RecacheSchedule": "Recache schedule"}
