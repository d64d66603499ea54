"""Makes the golden file of a tiny random ALBERT: its weights, logits, loss, gradients and ten AdamW steps.

    pip install -r tests/golden/requirements.txt
    python tests/golden/make_albert.py     # rewrites albert_tiny.json and albert_tiny.safetensors beside this script

The batch, the losses and the optimiser are those of make.py, on an AlbertForPreTraining: four layers of two groups, embeddings
narrower than the layers, GELU by the hyperbolic tangent. Weights and gradients stand under the names of transformers; the gradient
of a shared layer is the sum over its uses. `nsp_logits` are the answers of its head for the order of sentences.
"""

import json
import os

import torch
import transformers
from make import ADAMW as OF_BERT
from make import HERE, SEED, STEPS, drawn_anew, losses, random_batch, save, ten_steps, weights_and_gradients
from transformers import AlbertConfig, AlbertForPreTraining

ADAMW = OF_BERT | {"learning_rate": 2e-3}  # in a larger one shared layers run away, and last bits with them
CONFIG = AlbertConfig(
    vocab_size=61,
    embedding_size=12,
    hidden_size=32,
    num_hidden_layers=4,
    num_hidden_groups=2,
    inner_group_num=1,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=24,
    type_vocab_size=2,
    hidden_act="gelu_new",
    layer_norm_eps=1e-12,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    classifier_dropout_prob=0.0,
    initializer_range=0.2,
    attn_implementation="eager",
)


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED + 2)
    model = drawn_anew(AlbertForPreTraining(CONFIG), generator)
    batch = random_batch(generator)
    mlm_loss, nsp_loss, mlm_logits, nsp_logits = losses(model, batch)
    loss = mlm_loss + nsp_loss
    loss.backward()
    tensors = dict(batch, mlm_logits=mlm_logits, nsp_logits=nsp_logits) | weights_and_gradients(model)
    save(tensors, "albert_tiny.safetensors")
    os.chmod(HERE / "albert_tiny.safetensors", 0o644)
    keys = (
        "model_type vocab_size embedding_size hidden_size num_hidden_layers num_hidden_groups inner_group_num "
        "num_attention_heads intermediate_size max_position_embeddings type_vocab_size hidden_act layer_norm_eps "
        "hidden_dropout_prob attention_probs_dropout_prob initializer_range"
    ).split()
    history = [loss for loss, _, _ in ten_steps(model, batch, ADAMW["learning_rate"])]
    golden = {
        "made_by": "tests/golden/make_albert.py",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "seed": SEED + 2,
        "config": {key: getattr(CONFIG, key) for key in keys},
        "loss": loss.item(),
        "adamw": {**ADAMW, "steps": STEPS, "losses": history},
    }
    text = json.dumps(golden, indent=2, ensure_ascii=False)
    (HERE / "albert_tiny.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
