"""Makes the golden files of the tests: a tiny random BERT with its logits, loss, gradients and ten AdamW steps; and the
same BERT under three heads at once, with positions and a mask of its own for each token.

    pip install -r tests/golden/requirements.txt
    python tests/golden/make.py            # rewrites bert_tiny.* and bert_tiny_heads.safetensors beside this script

bert_tiny.safetensors
    weights           under their Hugging Face names; the tied decoder is left out
    grad.NAME         gradient of `loss` by each weight; that of the word embeddings is the sum over both of its uses
    input_ids         (tokens) rows end to end, i64; id 0 = [PAD] does not occur
    segment_ids       (tokens) i64
    offsets           (rows + 1) i64: row r is offsets[r]..offsets[r + 1]; positions count from 0 in each row
    mlm_positions     (targets) i64: indices into the packed tokens, ascending
    mlm_targets       (targets) i64: the token to predict there
    nsp_labels        (rows) i64: 0 = is next, 1 = random
    mlm_logits        (tokens, vocab) f32, at every packed position
    nsp_logits        (rows, 2) f32

bert_tiny.json
    sizes, the config, library versions, the losses, and the losses of ten AdamW steps.

loss = mlm_loss + nsp_loss
mlm_loss = mean over all MLM targets of the batch of -log softmax(mlm_logits)[target]
nsp_loss = mean over all rows of -log softmax(nsp_logits)[label]

bert_tiny_heads.safetensors, of the same weights, rows and targets
    classifier.weight (3, 32), classifier.bias (3)
    position_ids      (tokens) i64: no order, none twice in a row
    class_labels      (rows) i64
    sequence_logits   (rows, 3) f32: BertForSequenceClassification at these positions, all tokens visible
    visible           (tokens) i64: how many tokens of its row each token sees. Of segment 0, all of segment 0; of segment 1,
                      those up to itself (UniLM: token i sees token j where the segments up to j sum to no more than up to i)
    mlm_logits        (tokens, vocab) f32, under that mask, as all that follows
    nsp_logits        (rows, 2) f32
    class_logits      (rows, 3) f32, of the pooled states
    loss              (1) f32: mlm_loss + nsp_loss + class_loss, of one pass through the encoder
    grad.NAME         gradient of `loss` by each weight

The optimiser sees the same batch ten times. The loss of a step is measured before its update. Weight decay is
on weights with two dimensions only; there is no clipping and no schedule.

The model runs on a padded batch with an attention mask, as Transformers does it; that this equals each row
alone is asserted here. Everything is f32 on one thread.
"""

import copy
import json
import math
from pathlib import Path

import numpy
import safetensors
import torch
import transformers
from safetensors.torch import save_file
from transformers import BertConfig, BertForPreTraining, BertForSequenceClassification

SEED = 20_240_229
LENGTHS = [11, 3, 24, 8, 17]  # one as short as can be, one of max_position_embeddings
N_MLM_TARGETS = 14
N_CLASSES = 3
STEPS = 10
ADAMW = {"learning_rate": 1e-2, "betas": [0.9, 0.999], "eps": 1e-6, "weight_decay": 0.01}
HERE = Path(__file__).parent

CONFIG = BertConfig(
    vocab_size=61,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=24,
    type_vocab_size=2,
    hidden_act="gelu",  # erf
    layer_norm_eps=1e-12,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.2,
    attn_implementation="eager",
)


def drawn_anew(model, generator):
    """Every weight, so that no bias is 0 and no norm is 1 by its default."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(0.0, model.config.initializer_range, generator=generator)
            if name.endswith(("LayerNorm.weight", "layer_norm.weight")):
                weight.add_(1.0)
    return model.train()  # dropout is 0


def random_batch(generator):
    """Rows end to end. Row 1 is all segment 0; the others turn to segment 1 somewhere inside."""
    offsets = torch.tensor([0] + LENGTHS).cumsum(0)
    n_tokens = int(offsets[-1])
    input_ids = torch.randint(1, CONFIG.vocab_size, (n_tokens,), generator=generator)
    segment_ids = torch.zeros(n_tokens, dtype=torch.int64)
    for row, length in enumerate(LENGTHS):
        turn = length if length == 3 else int(torch.randint(2, length - 1, (), generator=generator))
        segment_ids[offsets[row] + turn : offsets[row + 1]] = 1
    positions = torch.randperm(n_tokens, generator=generator)[:N_MLM_TARGETS].sort().values
    return {
        "input_ids": input_ids,
        "segment_ids": segment_ids,
        "offsets": offsets,
        "mlm_positions": positions,
        "mlm_targets": torch.randint(0, CONFIG.vocab_size, (N_MLM_TARGETS,), generator=generator),
        "nsp_labels": torch.tensor([0, 1, 1, 0, 1]),
    }


def visible_tokens(segment_ids):
    """How many tokens of its row each token sees, by the rule of the docstring, and the same as a matrix."""
    sums = segment_ids.cumsum(0)
    mask = sums[None, :] <= sums[:, None]
    visible = mask.sum(1)
    assert torch.equal(mask, torch.arange(len(sums))[None, :] < visible[:, None])  # a prefix
    return visible, mask


def rows_of(packed, offsets):
    return [packed[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist())]


def pad(rows):
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)


def forward(model, batch):
    """MLM logits at the packed positions (tokens, vocab) and NSP logits (rows, 2); of an ALBERT those of its sentence order."""
    offsets = batch["offsets"]
    out = model(
        input_ids=pad(rows_of(batch["input_ids"], offsets)),
        token_type_ids=pad(rows_of(batch["segment_ids"], offsets)),
        attention_mask=pad([torch.ones(length, dtype=torch.int64) for length in LENGTHS]),
    )
    logits = [row[:length] for row, length in zip(out.prediction_logits, LENGTHS)]
    return torch.cat(logits), out.get("seq_relationship_logits", out.get("sop_logits"))


def losses(model, batch):
    mlm_logits, nsp_logits = forward(model, batch)
    cross_entropy = torch.nn.functional.cross_entropy
    mlm_loss = cross_entropy(mlm_logits[batch["mlm_positions"]], batch["mlm_targets"])
    nsp_loss = cross_entropy(nsp_logits, batch["nsp_labels"])
    return mlm_loss, nsp_loss, mlm_logits, nsp_logits


def assert_rows_alone_give_the_same(model, batch, mlm_logits, nsp_logits):
    offsets = batch["offsets"]
    rows = zip(*(rows_of(batch[name], offsets) for name in ("input_ids", "segment_ids")))
    with torch.no_grad():
        for row, (input_ids, segment_ids) in enumerate(rows):
            out = model(input_ids=input_ids[None], token_type_ids=segment_ids[None])
            packed = mlm_logits[offsets[row] : offsets[row + 1]]
            assert (out.prediction_logits[0] - packed).abs().max() < 2e-5
            assert (out.seq_relationship_logits[0] - nsp_logits[row]).abs().max() < 2e-5


def heads(pretraining, batch):
    """Tensors of bert_tiny_heads.safetensors. Leaves no gradients."""
    generator = torch.Generator().manual_seed(SEED + 1)  # of its own: the first file stays as it was
    config = copy.deepcopy(CONFIG)
    config.num_labels = N_CLASSES
    sequence = BertForSequenceClassification(config).train()  # dropout is 0
    sequence.bert = pretraining.bert
    with torch.no_grad():
        for weight in sequence.classifier.parameters():
            weight.normal_(0.0, CONFIG.initializer_range, generator=generator)
    draws = [torch.randperm(CONFIG.max_position_embeddings, generator=generator)[:length] for length in LENGTHS]
    tensors = {"position_ids": torch.cat(draws), "class_labels": torch.tensor([2, 0, 1, 1, 2])}
    ids, segments = (rows_of(batch[name], batch["offsets"]) for name in ("input_ids", "segment_ids"))
    inputs = {"input_ids": pad(ids), "token_type_ids": pad(segments), "position_ids": pad(draws)}
    ones = pad([torch.ones(length, dtype=torch.int64) for length in LENGTHS])
    tensors["sequence_logits"] = sequence(**inputs, attention_mask=ones).logits

    longest = max(LENGTHS)
    mask = torch.full((len(LENGTHS), 1, longest, longest), torch.finfo(torch.float32).min)
    visible = [visible_tokens(row) for row in segments]
    for row, (_, matrix) in enumerate(visible):
        n = len(matrix)
        mask[row, 0, :n, :n].masked_fill_(matrix, 0.0)
        mask[row, 0, n:, 0] = 0.0  # padding has to see something
    tensors["visible"] = torch.cat([row for row, _ in visible])

    out = pretraining.bert(**inputs, attention_mask=mask)
    mlm_logits, tensors["nsp_logits"] = pretraining.cls(out.last_hidden_state, out.pooler_output)
    tensors["mlm_logits"] = torch.cat([row[:length] for row, length in zip(mlm_logits, LENGTHS)])
    tensors["class_logits"] = sequence.classifier(out.pooler_output)
    cross_entropy = torch.nn.functional.cross_entropy
    loss = (
        cross_entropy(tensors["mlm_logits"][batch["mlm_positions"]], batch["mlm_targets"])
        + cross_entropy(tensors["nsp_logits"], batch["nsp_labels"])
        + cross_entropy(tensors["class_logits"], tensors["class_labels"])
    )
    tensors["loss"] = loss[None]
    pretraining.zero_grad()
    loss.backward()
    tensors |= {f"classifier.{name}": weight for name, weight in sequence.classifier.named_parameters()}
    gradients = dict(pretraining.named_parameters()) | dict(sequence.named_parameters())
    for name, weight in gradients.items():
        name = name.replace("cls.predictions.decoder.bias", "cls.predictions.bias")
        tensors[f"grad.{name}"] = weight.grad.clone()
    pretraining.zero_grad()
    return tensors


def weights_and_gradients(model):
    """Under their names, those of the gradients after `grad.`."""
    tensors = {}
    for name, weight in model.named_parameters():  # a tied weight appears once
        name = name.replace("predictions.decoder.bias", "predictions.bias")
        assert "decoder" not in name, name
        assert weight.grad.abs().max() > 1e-6 or name.endswith("key.bias"), name
        tensors[name], tensors[f"grad.{name}"] = weight, weight.grad
    return tensors


def ten_steps(model, batch, learning_rate=ADAMW["learning_rate"]):
    """Losses (total, MLM, NSP) of each step, measured before its update."""
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": ADAMW["weight_decay"]},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(
        groups, lr=learning_rate, betas=tuple(ADAMW["betas"]), eps=ADAMW["eps"], foreach=False
    )
    history = []
    for _ in range(STEPS):
        mlm_loss, nsp_loss, _, _ = losses(model, batch)
        loss = mlm_loss + nsp_loss
        history.append((loss.item(), mlm_loss.item(), nsp_loss.item()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return history


def save(tensors, name):
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, HERE / name, metadata={"format": "pt"})


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    generator = torch.Generator().manual_seed(SEED)
    model = drawn_anew(BertForPreTraining(CONFIG), generator)
    batch = random_batch(generator)

    mlm_loss, nsp_loss, mlm_logits, nsp_logits = losses(model, batch)
    loss = mlm_loss + nsp_loss
    loss.backward()
    assert_rows_alone_give_the_same(model, batch, mlm_logits, nsp_logits)

    tensors = dict(batch, mlm_logits=mlm_logits, nsp_logits=nsp_logits) | weights_and_gradients(model)
    n_parameters = sum(weight.numel() for weight in model.parameters())
    save(tensors, "bert_tiny.safetensors")
    save(heads(model, batch), "bert_tiny_heads.safetensors")

    history = ten_steps(model, batch)
    assert all(math.isfinite(value) for step in history for value in step)
    config_keys = (
        "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size max_position_embeddings "
        "type_vocab_size hidden_act layer_norm_eps hidden_dropout_prob attention_probs_dropout_prob initializer_range"
    ).split()
    golden = {
        "made_by": "tests/golden/make.py",
        "versions": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "safetensors": safetensors.__version__,
            "numpy": numpy.__version__,
        },
        "seed": SEED,
        "config": {"model_type": "bert", **{key: getattr(CONFIG, key) for key in config_keys}},
        "sizes": {
            "rows": len(LENGTHS),
            "lengths": LENGTHS,
            "tokens": sum(LENGTHS),
            "mlm_targets": N_MLM_TARGETS,
            "parameters": n_parameters,
        },
        "loss": loss.item(),
        "mlm_loss": mlm_loss.item(),
        "nsp_loss": nsp_loss.item(),
        "adamw": {
            **ADAMW,
            "steps": STEPS,
            "losses": [step[0] for step in history],
            "mlm_losses": [step[1] for step in history],
            "nsp_losses": [step[2] for step in history],
        },
    }
    text = json.dumps(golden, indent=2, ensure_ascii=False)
    (HERE / "bert_tiny.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
