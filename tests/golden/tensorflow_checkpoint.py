"""Stores the weights of bert_tiny.safetensors as Google's run_pretraining.py does: a TensorFlow checkpoint.

    pip install tensorflow-cpu safetensors numpy
    python tests/golden/make.py                     # before, where bert_tiny.safetensors is not there
    python tests/golden/tensorflow_checkpoint.py    # rewrites bert_tiny_tensorflow/ beside this script

bert_tiny_tensorflow/bert_model.ckpt.index, bert_model.ckpt.data-0000N-of-00002
    all weights in two shards under the names of google-research/bert, kernels (in, out); and what a training leaves beside
    them: `global_step` (i64) and Adam's moments of one bias.
bert_tiny_tensorflow/bert_config.json
    the sizes, under the keys of google-research/bert.

Written by TensorFlow itself, so that reading it is reading what others have stored.
"""

import json
import shutil
import tempfile
from pathlib import Path

import numpy
import tensorflow as tf
from safetensors.numpy import load_file

HERE = Path(__file__).parent
FOLDER = HERE / "bert_tiny_tensorflow"


def google_name(name):
    """The name that TensorFlow gives a weight, and whether it stores it transposed."""
    if name == "cls.predictions.bias":
        return "cls/predictions/output_bias", False
    if name.startswith("cls.seq_relationship."):
        end = {"weight": "output_weights", "bias": "output_bias"}[name.rsplit(".", 1)[1]]
        return f"cls/seq_relationship/{end}", False
    path, end = name.rsplit(".", 1)
    is_norm, is_table = path.endswith("LayerNorm"), path.endswith("_embeddings")
    path = path.replace("encoder.layer.", "encoder.layer_").replace(".", "/")
    if is_table:
        return path, False
    if is_norm:
        return f"{path}/{'gamma' if end == 'weight' else 'beta'}", False
    return f"{path}/{'kernel' if end == 'weight' else 'bias'}", end == "weight"


def weights():
    stored = {}
    for name, values in load_file(HERE / "bert_tiny.safetensors").items():
        if name.startswith(("bert.", "cls.")):
            google, is_transposed = google_name(name)
            stored[google] = numpy.ascontiguousarray(values.T if is_transposed else values)
    moment = numpy.zeros_like(stored["cls/predictions/output_bias"])
    stored["cls/predictions/output_bias/adam_m"] = moment
    stored["cls/predictions/output_bias/adam_v"] = moment
    stored["global_step"] = numpy.int64(1_000_000)
    return stored


def save(tensors, prefix):
    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    tensors = weights()
    halves = [{name: tensors[name] for name in sorted(tensors)[half::2]} for half in (0, 1)]
    with tempfile.TemporaryDirectory() as folder:
        parts = [Path(folder) / f"part-{half}" for half in (0, 1)]
        for half, part in zip(halves, parts):
            save(half, part)
        tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=[str(part) for part in parts],
            destination_prefix=str(FOLDER / "bert_model.ckpt"),
            delete_old_dirs=False,
        )
    golden = json.loads((HERE / "bert_tiny.json").read_text(encoding="utf-8"))["config"]
    keys = (
        "attention_probs_dropout_prob hidden_act hidden_dropout_prob hidden_size initializer_range intermediate_size "
        "max_position_embeddings num_attention_heads num_hidden_layers type_vocab_size vocab_size"
    ).split()
    text = json.dumps({key: golden[key] for key in keys}, indent=2)
    (FOLDER / "bert_config.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
