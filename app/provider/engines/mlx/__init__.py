"""MLX models on mlx-lm, batched continuously."""
