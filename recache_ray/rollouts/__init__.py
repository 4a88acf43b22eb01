"""Running tasks: one worker around one diffusion model, and pools of them."""
