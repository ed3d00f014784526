"""The command sllm."""
