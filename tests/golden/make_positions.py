"""Makes the golden files of a tiny random NEZHA and of a tiny random RoFormer: weights, logits, loss, gradients and ten AdamW steps.

    pip install "transformers==4.46.3" "torch==2.5.1" "numpy<2" safetensors    # the last transformers that have NEZHA
    python tests/golden/make_positions.py nezha       # rewrites nezha_tiny.json and nezha_tiny.safetensors beside this script
    pip install -r tests/golden/requirements.txt
    python tests/golden/make_positions.py roformer    # roformer_tiny.json and roformer_tiny.safetensors

The batch, the losses and the optimiser are those of make.py. Rows are longer than the NEZHA's table of distances reaches, so that both
of its ends are read. transformers have no RoFormer that learns next sentences: it is given the pooler and the answers of a BERT here,
under the names they would have. Its table of sines and cosines is in the file, as transformers write it, and has no gradient.
"""

import json
import os
import sys

import torch
import transformers
from make import ADAMW as OF_BERT
from make import CONFIG, HERE, SEED, STEPS, drawn_anew, losses, random_batch, save, ten_steps, weights_and_gradients
from transformers.models.bert.modeling_bert import BertForPreTrainingOutput, BertPooler

ADAMW = OF_BERT | {"learning_rate": 2e-3}
SIZES = {
    "vocab_size": CONFIG.vocab_size,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.2,
}


def nezha():
    from transformers import NezhaConfig, NezhaForPreTraining

    return NezhaForPreTraining(NezhaConfig(**SIZES, max_relative_position=5, classifier_dropout=0.0))


def roformer():
    from transformers import RoFormerConfig, RoFormerForMaskedLM

    class RoFormerForPreTraining(RoFormerForMaskedLM):
        """With the pooler and the next sentences of a BERT."""

        def __init__(self, config):
            super().__init__(config)
            self.roformer.pooler = BertPooler(config)
            self.cls.seq_relationship = torch.nn.Linear(config.hidden_size, 2)
            # A parameter without a gradient there: not to be drawn anew.
            positions = self.roformer.encoder.embed_positions
            table = positions.weight.detach().clone()
            del positions.weight
            positions.register_buffer("weight", table)

        def forward(self, **inputs):
            states = self.roformer(**inputs).last_hidden_state
            answers = self.cls.seq_relationship(self.roformer.pooler(states))
            return BertForPreTrainingOutput(prediction_logits=self.cls(states), seq_relationship_logits=answers)

    return RoFormerForPreTraining(RoFormerConfig(**SIZES, rotary_value=False))


def main(family, seed, make):
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    model = drawn_anew(make(), generator)
    batch = random_batch(generator)
    mlm_loss, nsp_loss, mlm_logits, nsp_logits = losses(model, batch)
    loss = mlm_loss + nsp_loss
    loss.backward()
    tensors = dict(batch, mlm_logits=mlm_logits, nsp_logits=nsp_logits) | weights_and_gradients(model)
    constants = {name: table for name, table in model.named_buffers() if name.endswith("embed_positions.weight")}
    save(tensors | constants, f"{family}_tiny.safetensors")
    os.chmod(HERE / f"{family}_tiny.safetensors", 0o644)
    of_family = {"nezha": ["max_relative_position"], "roformer": ["rotary_value", "embedding_size"]}[family]
    history = [loss for loss, _, _ in ten_steps(model, batch, ADAMW["learning_rate"])]
    golden = {
        "made_by": "tests/golden/make_positions.py",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "seed": seed,
        "config": {key: getattr(model.config, key) for key in ["model_type", *SIZES, *of_family]},
        "loss": loss.item(),
        "adamw": {**ADAMW, "steps": STEPS, "losses": history},
    }
    text = json.dumps(golden, indent=2, ensure_ascii=False)
    (HERE / f"{family}_tiny.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    families = {"nezha": (SEED + 3, nezha), "roformer": (SEED + 4, roformer)}
    if len(sys.argv) != 2 or sys.argv[1] not in families:
        sys.exit(__doc__)
    main(sys.argv[1], *families[sys.argv[1]])
