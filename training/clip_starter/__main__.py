"""`python -m training.clip_starter`: make starter-clip again, to the figures."""

import argparse
from pathlib import Path
from random import Random

import torch
from transformers import CLIPModel, CLIPTokenizer

from training.clip_starter import evaluate
from training.clip_starter.export import write_card, write_hf, write_onnx
from training.clip_starter.tokenizer import train_tokenizer
from training.clip_starter.train import train, train_texts

SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.clip_starter", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="where to write")
    parser.add_argument("--steps", type=int, default=2400, help="batches to train for")
    parser.add_argument("--text-steps", type=int, default=1500, help="then, with texts alone")
    parser.add_argument("--further", action="store_true", help="only that, with the model there is")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads to train with")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.models / evaluate.FOLDER
    if options.further:
        tokenizer = CLIPTokenizer.from_pretrained(folder)
        network = CLIPModel.from_pretrained(folder, dtype=torch.float32).train()
    else:
        tokenizer = train_tokenizer(Random(SEED))
        network = train(tokenizer, options.steps, SEED)
    train_texts(network, tokenizer, options.text_steps, SEED)
    network.half().float().eval()  # float16 weights are the model in every format
    write_hf(network, tokenizer, folder)
    write_onnx(folder)
    write_card(folder)
    evaluate.report(options.models)


if __name__ == "__main__":
    main()
