"""`python -m training.starter`: make the starter model again, from the corpus to the figures."""

import argparse
from pathlib import Path
from random import Random

import torch

from training.starter import evaluate
from training.starter.export import write_card, write_gguf, write_hf, write_mlx, write_onnx
from training.starter.tokenizer import train_tokenizer
from training.starter.train import train

SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.starter", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="where to write")
    parser.add_argument("--steps", type=int, default=2400, help="batches to train for")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads to train with")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tokenizer = train_tokenizer(Random(SEED))
    model = train(tokenizer, options.steps, SEED)
    write_hf(model, tokenizer, options.models / "starter-hf")
    write_gguf(options.models / "starter-hf", options.models / "starter.gguf")
    write_onnx(options.models / "starter-hf", options.models / "starter-onnx")
    write_mlx(options.models / "starter-hf", options.models / "starter-mlx")
    for name in ("hf", "onnx", "mlx"):
        write_card(options.models / f"starter-{name}")
    evaluate.main(options.models)


if __name__ == "__main__":
    main()
