"""What a cached step does, and how a schedule is imposed on a diffusers transformer."""
