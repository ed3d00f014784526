"""`python -m training.clip_starter`: make starter-clip again, from nothing to the figures."""

import argparse
from pathlib import Path
from random import Random

import torch

from training.clip_starter import evaluate
from training.clip_starter.export import write_card, write_hf, write_onnx
from training.clip_starter.tokenizer import train_tokenizer
from training.clip_starter.train import train

SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.clip_starter", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="where to write")
    parser.add_argument("--steps", type=int, default=1500, help="batches to train for")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads to train with")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tokenizer = train_tokenizer(Random(SEED))
    network = train(tokenizer, options.steps, SEED)
    folder = options.models / evaluate.FOLDER
    write_hf(network, tokenizer, folder)
    write_onnx(folder)
    write_card(folder)
    evaluate.report(options.models)


if __name__ == "__main__":
    main()
