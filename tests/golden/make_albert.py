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
from make import HERE, SEED, STEPS, LENGTHS, pad, random_batch, rows_of, save
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


def random_model(generator):
    model = AlbertForPreTraining(CONFIG)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(0.0, CONFIG.initializer_range, generator=generator)
            if name.endswith("LayerNorm.weight") or name.endswith("layer_norm.weight"):
                weight.add_(1.0)
    return model.train()  # dropout is 0


def losses(model, batch):
    offsets = batch["offsets"]
    out = model(
        input_ids=pad(rows_of(batch["input_ids"], offsets)),
        token_type_ids=pad(rows_of(batch["segment_ids"], offsets)),
        attention_mask=pad([torch.ones(length, dtype=torch.int64) for length in LENGTHS]),
    )
    mlm_logits = torch.cat([row[:length] for row, length in zip(out.prediction_logits, LENGTHS)])
    cross_entropy = torch.nn.functional.cross_entropy
    mlm_loss = cross_entropy(mlm_logits[batch["mlm_positions"]], batch["mlm_targets"])
    nsp_loss = cross_entropy(out.sop_logits, batch["nsp_labels"])
    return mlm_loss + nsp_loss, mlm_logits, out.sop_logits


def ten_steps(model, batch):
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": ADAMW["weight_decay"]},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(
        groups, lr=ADAMW["learning_rate"], betas=tuple(ADAMW["betas"]), eps=ADAMW["eps"], foreach=False
    )
    history = []
    for _ in range(STEPS):
        loss, _, _ = losses(model, batch)
        history.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return history


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED + 2)
    model = random_model(generator)
    batch = random_batch(generator)
    loss, mlm_logits, nsp_logits = losses(model, batch)
    loss.backward()
    tensors = dict(batch, mlm_logits=mlm_logits, nsp_logits=nsp_logits)
    for name, weight in model.named_parameters():  # a tied weight appears once
        name = name.replace("predictions.decoder.bias", "predictions.bias")
        assert "decoder" not in name, name
        assert weight.grad.abs().max() > 1e-6 or name.endswith("key.bias"), name
        tensors[name], tensors[f"grad.{name}"] = weight, weight.grad
    save(tensors, "albert_tiny.safetensors")
    os.chmod(HERE / "albert_tiny.safetensors", 0o644)
    keys = (
        "model_type vocab_size embedding_size hidden_size num_hidden_layers num_hidden_groups inner_group_num "
        "num_attention_heads intermediate_size max_position_embeddings type_vocab_size hidden_act layer_norm_eps "
        "hidden_dropout_prob attention_probs_dropout_prob initializer_range"
    ).split()
    golden = {
        "made_by": "tests/golden/make_albert.py",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "seed": SEED + 2,
        "config": {key: getattr(CONFIG, key) for key in keys},
        "loss": loss.item(),
        "adamw": {**ADAMW, "steps": STEPS, "losses": ten_steps(model, batch)},
    }
    text = json.dumps(golden, indent=2, ensure_ascii=False)
    (HERE / "albert_tiny.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
