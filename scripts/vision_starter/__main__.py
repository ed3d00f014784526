"""`python -m scripts.vision_starter`: make both vision models again, from nothing."""

import argparse
import tempfile
from pathlib import Path
from random import Random

import torch
from transformers import PreTrainedTokenizerFast

from scripts.vision_starter import evaluate, hyperclovax
from scripts.vision_starter.export import install, write_all
from scripts.vision_starter.hyperclovax_files import write_hyperclovax
from scripts.vision_starter.hyperclovax_prompt import new_tokenizer
from scripts.vision_starter.network import Network
from scripts.vision_starter.tokenizer import train_tokenizer
from scripts.vision_starter.train import Steps, train

SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.vision_starter", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="where to write")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads to train with")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tokenizer = train_tokenizer(Random(SEED))
    with tempfile.TemporaryDirectory(dir=options.models) as folder:
        network = train(tokenizer, Steps(), SEED)
        write_all(network, tokenizer, Path(folder))
        _hyperclovax(network, tokenizer, Path(folder))
        install(Path(folder), options.models)
    for name in evaluate.REPORTS:
        evaluate.report(options.models, name, count=1200)


def _hyperclovax(network: Network, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Train and write the second model, its text half started from that of the first."""
    names = new_tokenizer(tokenizer)
    model = hyperclovax.train(names, network.state_dict(), SEED)
    write_hyperclovax(model, names, folder)


if __name__ == "__main__":
    main()
