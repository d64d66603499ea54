"""Opens a model folder with transformers and prints what it found, as one JSON object on stdout.

    pip install -r tests/golden/requirements.txt
    python tests/transformers/check.py MODEL_DIR PAIRS.tsv

PAIRS.tsv holds two sentences a line as they stand in the pair files of the run (further columns are ignored).

The folder must open with AutoTokenizer, with AutoModelForMaskedLM where model.safetensors has the MLM head, where it has the NSP
head too with AutoModelForPreTraining, and where it has a classifier with AutoModelForSequenceClassification; these are the classes
of BERT, ALBERT, RoFormer or, in transformers before 5, NEZHA, as config.json says. Weights that are missing, or there without being
asked for, end the script with an error, as does a tokenizer that does not know its special tokens or gives a segment other than 0.
Where config.json says `mark_shared`, the models are given token type 1 at every token that the other sentence has too. Weights are
computed with in f32 whatever type they are stored in.

Printed:
    versions        of torch and transformers
    tokenizer       its class
    model           its class, for masked tokens; null without the MLM head
    vocabulary      number of tokens
    pretraining     whether the NSP head is there, so that AutoModelForPreTraining was opened too
    marks           whether the models were given token types that mark shared tokens
    labels          names of the classifier's outputs, in order; null without one
    rows            one object a pair:
        ids         what the tokenizer gives for the pair
        score       logit of [YES] minus logit of [NO] at [CLS]; null without the MLM head
        cls_logits  logits at [CLS] of the first 32 tokens. Before training all scores are 0; these are not.
        class_logits  outputs of the classifier; null without one
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

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


def logits_of(model, encoded):
    """At [CLS], over the vocabulary; of a classifier, over the classes."""
    with torch.no_grad():
        out = model(**encoded)
    logits = out.prediction_logits if hasattr(out, "prediction_logits") else out.logits
    return logits[0, 0] if logits.ndim == 3 else logits[0]


def mark_shared(ids):
    """Token types of a row for a model whose config.json says mark_shared; reserved tokens keep 0."""
    end = ids.index(RESERVED.index("[SEP]"))
    shared = {token for token in set(ids[:end]) & set(ids[end:]) if token >= len(RESERVED)}
    return [int(token in shared) for token in ids]


def open_models(folder):
    """The architectures that the folder has weights for, `None` for the others."""
    with safe_open(folder / "model.safetensors", "pt") as weights:
        names = weights.keys()
        has_mlm, has_nsp, has_classifier = (
            any(name.startswith(starts) for name in names)
            for starts in (
                ("cls.predictions.", "predictions."),
                ("cls.seq_relationship.", "sop_classifier."),
                ("classifier.",),
            )
        )
    # Each architecture has no use for some of them.
    poolers = [f"{family}.pooler." for family in ("bert", "albert", "nezha", "roformer")]
    heads = (*poolers, "cls.", "classifier.", "predictions.", "sop_classifier.")
    masked_lm = open_model(AutoModelForMaskedLM, folder, heads) if has_mlm else None
    pretraining = open_model(AutoModelForPreTraining, folder, heads) if has_mlm and has_nsp else None
    sequence = open_model(AutoModelForSequenceClassification, folder, heads) if has_classifier else None
    for model in (pretraining, sequence):
        if model is not None and not (model is pretraining and has_classifier):
            assert model.config.architectures == [type(model).__name__], model.config.architectures
    return masked_lm, pretraining, sequence


def main(folder, pairs):
    tokenizer = open_tokenizer(folder)
    masked_lm, pretraining, sequence = open_models(folder)
    for model in (masked_lm, sequence):
        if model is not None:
            assert model.config.vocab_size == len(tokenizer), "the model has another vocabulary than the tokenizer"

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    wants_marks = config.get("mark_shared", False)
    rows = []
    for line in pairs.read_text(encoding="utf-8-sig").splitlines():
        a, b = line.split("\t")[:2]
        encoded = tokenizer(a, b, return_tensors="pt")
        assert not encoded["token_type_ids"].any(), "a segment other than 0"
        ids = encoded["input_ids"][0].tolist()
        if wants_marks:
            encoded["token_type_ids"] = torch.tensor([mark_shared(ids)])
        row = {"ids": ids, "score": None, "cls_logits": None, "class_logits": None}
        if masked_lm is not None:
            logits = logits_of(masked_lm, encoded)
            if pretraining is not None:
                assert torch.equal(logits, logits_of(pretraining, encoded)), "the two architectures disagree"
            row |= {"score": (logits[YES] - logits[NO]).item(), "cls_logits": logits[:N_LOGITS].tolist()}
        if sequence is not None:
            row["class_logits"] = logits_of(sequence, encoded).tolist()
        rows.append(row)
    report = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "tokenizer": type(tokenizer).__name__,
        "model": None if masked_lm is None else type(masked_lm).__name__,
        "vocabulary": len(tokenizer),
        "pretraining": pretraining is not None,
        "marks": wants_marks,
        "labels": None if sequence is None else [sequence.config.id2label[i] for i in range(sequence.num_labels)],
        "rows": rows,
    }
    json.dump(report, sys.stdout)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
