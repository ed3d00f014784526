"""MLX models on mlx-lm, batched continuously."""

UNWANTED_LIBRARIES = ("torch",)
"""mlx-lm imports it where it is installed, without need: 200 MB and ten seconds of every start."""
