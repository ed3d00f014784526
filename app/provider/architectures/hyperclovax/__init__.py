"""HyperCLOVA X SEED Vision (``hyperclovax_vlm``): pictures become rows of a Llama's input.

Written from the published description of the model; nothing of a repository's own code is run.
"""
