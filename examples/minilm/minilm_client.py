"""
Asks a server for the embeddings of texts, over REST, and says how near they are to the first.

    python minilm_client.py --server=127.0.0.1:8501 "The weather is lovely." "It is so sunny!"

It needs neither TensorFlow nor the weights: only the vocabulary of the package.
"""

import argparse
import json
import urllib.request
from dataclasses import asdict
from typing import Any

import numpy as np
from weights import find_source
from wordpiece import WordPiece

TIMEOUT_SECONDS = 30.0


def embed(server: str, model: str, texts: list[str]) -> Any:
    """Ask for the embeddings of texts; float64, [texts, 384]."""
    batch = asdict(WordPiece.read(find_source() / "vocab.txt").encode(texts))
    url = f"http://{server}/v1/models/{model}:predict"
    body = json.dumps({"inputs": batch}).encode()
    with urllib.request.urlopen(url, body, TIMEOUT_SECONDS) as answer:
        return np.array(json.load(answer)["outputs"])


def main() -> None:
    """Compare the texts of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", required=True, help="HOST:PORT of its REST")
    parser.add_argument("--model", default="minilm", help="the model's name there")
    parser.add_argument("texts", nargs="+", help="the first is compared with all")
    arguments = parser.parse_args()
    embeddings = embed(arguments.server, arguments.model, arguments.texts)
    for text, nearness in zip(arguments.texts, embeddings @ embeddings[0], strict=True):
        print(f"{nearness:7.4f}  {text}")


if __name__ == "__main__":
    main()
