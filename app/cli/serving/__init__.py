"""What ``sllm serve`` runs: one process, or several workers with a model server beside them.

The parent of several binds the address, starts the others and starts again what has died.
"""
