"""`python -m training.embed_starter`: make starter-embed again, from the corpus to the figures."""

import argparse
from pathlib import Path
from random import Random

import torch

from training.embed_starter import evaluate
from training.embed_starter.export import write_card, write_gguf, write_hf, write_onnx
from training.embed_starter.tokenizer import train_tokenizer
from training.embed_starter.train import train

SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.embed_starter", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="where to write")
    parser.add_argument("--steps", type=int, default=600, help="batches to train for")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads to train with")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tokenizer = train_tokenizer(Random(SEED))
    model = train(tokenizer, options.steps, SEED)
    folder = options.models / evaluate.FOLDER
    write_hf(model, tokenizer, folder)
    write_onnx(folder)
    write_gguf(folder, options.models / evaluate.GGUF)
    write_card(folder)
    evaluate.report(options.models)


if __name__ == "__main__":
    main()
