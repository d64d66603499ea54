"""Opens a model folder with transformers and prints what it found, as one JSON object on stdout.

    pip install -r tests/golden/requirements.txt
    python tests/transformers/check.py MODEL_DIR PAIRS.tsv

PAIRS.tsv holds two sentences a line as they stand in the pair files of the run (further columns are ignored).

The folder must open with AutoTokenizer, with BertForMaskedLM and, where model.safetensors has the NSP head, with
BertForPreTraining. Weights that are missing, or there without being asked for, end the script with an error, as does a
tokenizer that does not know its special tokens or gives a segment other than 0. Weights are computed with in f32 whatever
type they are stored in.

Printed:
    versions        of torch and transformers
    tokenizer       its class
    vocabulary      number of tokens
    pretraining     whether the NSP head is there, so that BertForPreTraining was opened too
    rows            one object a pair:
        ids         what the tokenizer gives for the pair
        score       logit of [YES] minus logit of [NO] at [CLS]
        cls_logits  logits at [CLS] of the first 32 tokens. Before training all scores are 0; these are not.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from transformers import AutoTokenizer, BertForMaskedLM, BertForPreTraining

RESERVED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[NO]", "[YES]"]
NO, YES = 5, 6
N_LOGITS = 32


def open_model(architecture, folder, may_be_left_over=()):
    """The model in eval mode; refuses missing weights, and left over ones unless they begin as allowed."""
    model, info = architecture.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    left_over = [name for name in info["unexpected_keys"] if not name.startswith(tuple(may_be_left_over))]
    for what, names in [
        ("missing", info["missing_keys"]),
        ("unexpected", left_over),
        ("mismatched", info["mismatched_keys"]),
    ]:
        assert not names, f"{architecture.__name__}: {what} weights: {sorted(names)}"
    return model.eval()


def open_tokenizer(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    known = [tokenizer.pad_token, tokenizer.unk_token, tokenizer.cls_token, tokenizer.sep_token, tokenizer.mask_token]
    assert known == RESERVED[:5], known
    assert tokenizer.convert_tokens_to_ids(RESERVED) == list(range(len(RESERVED)))
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == lines, "vocab.txt and tokenizer.json differ"
    return tokenizer


def logits_at_cls(model, encoded):
    with torch.no_grad():
        out = model(**encoded)
    logits = out.prediction_logits if hasattr(out, "prediction_logits") else out.logits
    return logits[0, 0]


def main(folder, pairs):
    tokenizer = open_tokenizer(folder)
    heads = ("bert.pooler.", "cls.seq_relationship.")  # BertForMaskedLM has no use for them
    masked_lm = open_model(BertForMaskedLM, folder, may_be_left_over=heads)
    with safe_open(folder / "model.safetensors", "pt") as weights:
        has_nsp = "cls.seq_relationship.weight" in weights.keys()
    pretraining = open_model(BertForPreTraining, folder) if has_nsp else None
    assert masked_lm.config.vocab_size == len(tokenizer), "the model has another vocabulary than the tokenizer"

    rows = []
    for line in pairs.read_text(encoding="utf-8-sig").splitlines():
        a, b = line.split("\t")[:2]
        encoded = tokenizer(a, b, return_tensors="pt")
        assert not encoded["token_type_ids"].any(), "a segment other than 0"
        logits = logits_at_cls(masked_lm, encoded)
        if pretraining is not None:
            assert torch.equal(logits, logits_at_cls(pretraining, encoded)), "the two architectures disagree"
        rows.append({
            "ids": encoded["input_ids"][0].tolist(),
            "score": (logits[YES] - logits[NO]).item(),
            "cls_logits": logits[:N_LOGITS].tolist(),
        })
    report = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "tokenizer": type(tokenizer).__name__,
        "vocabulary": len(tokenizer),
        "pretraining": has_nsp,
        "rows": rows,
    }
    json.dump(report, sys.stdout)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
