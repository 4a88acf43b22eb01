"""What the trainings of the embedded models, ``shapes`` and ``shapes_video``, have in common."""
