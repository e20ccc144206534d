"""
A model that is fed with examples: many signatures of one graph, as TensorFlow 1 exported them.

All signatures but one share the placeholder, which is what multi-inference needs.
"""

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.compat import v1

CLASSIFY, REGRESS, PREDICT = (
    f"tensorflow/serving/{verb}" for verb in ("classify", "regress", "predict")
)


def write(target: Path) -> None:
    """
    Write classifications and regressions of the features x (float), n (int64) and word (bytes).

    x is needed, the others have defaults.  What the names of the wrong ones say is wrong with them.
    """
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        examples = v1.placeholder(tf.string, [None], name="examples")
        spec = {
            "x": tf.io.FixedLenFeature([], tf.float32),
            "n": tf.io.FixedLenFeature([], tf.int64, default_value=0),
            "word": tf.io.FixedLenFeature([], tf.string, default_value="none"),
        }
        features = v1.io.parse_example(examples, spec)
        x, n, word = (features[name] for name in spec)
        outputs = _outputs(x, n, word)
        builder = v1.saved_model.Builder(str(target))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={
                name: v1.saved_model.build_signature_def(
                    {alias: v1.saved_model.build_tensor_info(examples) for alias in inputs},
                    {
                        alias: v1.saved_model.build_tensor_info(tensor)
                        for alias, tensor in tensors.items()
                    },
                    method,
                )
                for name, (method, inputs, tensors) in _signatures(outputs).items()
            }
            | {"elsewhere": _elsewhere()},
        )
        builder.save()


def _outputs(x: Any, n: Any, word: Any) -> dict[str, Any]:
    """
    Make what the signatures give, from features of shape (examples,).
    """
    scores = tf.stack([x, 2.0 * x], axis=1, name="scores")
    return {
        "scores": scores,
        "classes": tf.stack([word, tf.fill(tf.shape(word), "other")], axis=1, name="classes"),
        "half_plus_two": tf.add(0.5 * x, 2.0, name="half_plus_two"),
        "column": tf.reshape(x + tf.cast(n, tf.float32), [-1, 1]),
        "third": tf.concat([scores, scores[:, :1]], axis=1),
        "double": tf.cast(scores, tf.float64),
        "parsed": tf.identity(n),
    }


def _signatures(made: dict[str, Any]) -> dict[str, tuple[str, list[str], dict[str, Any]]]:
    """
    Name the method, the inputs and the outputs of each signature.
    """
    scores, classes = made["scores"], made["classes"]
    given = ["inputs"]
    flat = made["half_plus_two"]
    return {
        "serving_default": (CLASSIFY, given, {"classes": classes, "scores": scores}),
        "scores": (CLASSIFY, given, {"scores": scores}),
        "classes": (CLASSIFY, given, {"classes": classes}),
        "regress": (REGRESS, given, {"outputs": flat}),
        "column": (REGRESS, given, {"outputs": made["column"]}),
        "predict": (PREDICT, given, {"y": flat}),
        "unknown_method": ("mine", given, {"y": flat}),
        "no_outputs": (PREDICT, given, {}),
        "two_inputs": (CLASSIFY, ["inputs", "more"], {"scores": scores}),
        "three_outputs": (CLASSIFY, given, {"scores": scores, "a": flat, "b": flat}),
        "wrong_input": (CLASSIFY, ["x"], {"scores": scores}),
        "wrong_output": (CLASSIFY, given, {"y": scores}),
        "flat_scores": (CLASSIFY, given, {"scores": flat}),
        "flat_classes": (CLASSIFY, given, {"classes": classes[:, 0]}),
        "double_scores": (CLASSIFY, given, {"scores": made["double"]}),
        "number_classes": (CLASSIFY, given, {"classes": scores}),
        "short_scores": (CLASSIFY, given, {"scores": scores[1:]}),
        "short_classes": (CLASSIFY, given, {"classes": classes[1:]}),
        "uneven": (CLASSIFY, given, {"classes": classes, "scores": made["third"]}),
        "regress_wrong_input": (REGRESS, ["x"], {"outputs": flat}),
        "regress_wrong_output": (REGRESS, given, {"y": flat}),
        "regress_wide": (REGRESS, given, {"outputs": scores}),
        "regress_short": (REGRESS, given, {"outputs": flat[1:]}),
        "regress_integer": (REGRESS, given, {"outputs": made["parsed"]}),
    }


def _elsewhere() -> Any:
    """
    Make a regression that reads another placeholder.
    """
    other = v1.placeholder(tf.string, [None], name="other_examples")
    lengths = tf.cast(tf.strings.length(other), tf.float32)
    return v1.saved_model.build_signature_def(
        {"inputs": v1.saved_model.build_tensor_info(other)},
        {"outputs": v1.saved_model.build_tensor_info(lengths)},
        REGRESS,
    )
