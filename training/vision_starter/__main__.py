"""`python -m training.vision_starter`: make both vision models again, from nothing."""

import argparse
import tempfile
from pathlib import Path
from random import Random

import torch
from transformers import PreTrainedTokenizerFast

from app.provider.architectures.hyperclovax.loading import load
from training.vision_starter import evaluate, hyperclovax, train
from training.vision_starter.export import install, write_all
from training.vision_starter.hyperclovax_files import FOLDER, write_hyperclovax
from training.vision_starter.hyperclovax_prompt import new_tokenizer
from training.vision_starter.network import Network
from training.vision_starter.tokenizer import train_tokenizer

SEED = 7
HF = "starter-vision-hf"


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(dir=options.models) as folder:
        if options.further:
            MORE[options.further](options, Path(folder))
        else:
            _from_nothing(Path(folder))
        install(Path(folder), options.models)
    for name in [options.further] if options.further else evaluate.REPORTS:
        evaluate.report(options.models, name, count=1200)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.vision_starter", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="where to write")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads to train with")
    parser.add_argument("--further", choices=MORE, help="train one that is there already")
    parser.add_argument("--steps", type=int, default=1000, help="batches to train it further")
    parser.add_argument("--seed", type=int, default=SEED + 1, help="of what it is trained on then")
    return parser.parse_args()


def _from_nothing(folder: Path) -> None:
    tokenizer = train_tokenizer(Random(SEED))
    network = train.train(tokenizer, train.Steps(), SEED)
    write_all(network, tokenizer, folder)
    names = new_tokenizer(tokenizer)
    model = hyperclovax.train(names, network.state_dict(), SEED)
    write_hyperclovax(model, names, folder)


def _further_qwen(options: argparse.Namespace, folder: Path) -> None:
    source = options.models / HF
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source)
    network = Network.from_pretrained(source, dtype=torch.float32)
    write_all(train.go_on(network, tokenizer, options.steps, options.seed), tokenizer, folder)


def _further_hyperclovax(options: argparse.Namespace, folder: Path) -> None:
    source = options.models / FOLDER
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source)
    model = load(source, torch.float32)
    write_hyperclovax(
        hyperclovax.go_on(model, tokenizer, options.steps, options.seed), tokenizer, folder
    )


MORE = {HF: _further_qwen, FOLDER: _further_hyperclovax}


if __name__ == "__main__":
    main()
