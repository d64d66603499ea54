"""Scores of prompts by `BertForNextSentencePrediction`, as a JSON list: margin of the first prompt less that of the second.

    prompts.py BERT TEXTS SIDE AROUND PROMPT PROMPT

TEXTS is `text TAB label`. SIDE is `prefix` (the prompt is the first sentence) or `suffix`. AROUND is what follows each text, with `__` where
the prompt has its positions; empty: no such place, and positions count from 0.
"""

import json
import sys

import torch
from transformers import AutoTokenizer, BertForNextSentencePrediction

bert, texts, side, around, *prompts = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(bert)
model = BertForNextSentencePrediction.from_pretrained(bert).eval()


def ids(text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def margin(text, prompt):
    before, _, behind = f"{text} {around}".partition("__")
    before, said, behind = ids(before), ids(prompt), ids(behind)
    # What is read, with the place of each token in the text that it is thought into.
    at = 2 if side == "prefix" and around else 1
    places = {}
    for name, tokens in [("before", before), ("said", said), ("behind", behind)]:
        places[name] = list(range(at, at + len(tokens)))
        at += len(tokens)
    whole, whole_places = before + behind, places["before"] + places["behind"]
    sentences = [(said, places["said"]), (whole, whole_places)]
    if side == "suffix":
        sentences.reverse()
    (first, first_places), (second, second_places) = sentences
    between = [1] if side == "prefix" else [at]
    positions = [0] + first_places + between + second_places + ([at] if side == "prefix" else [at + 1])
    tokens = [tokenizer.cls_token_id] + first + [tokenizer.sep_token_id] + second + [tokenizer.sep_token_id]
    if not around:
        positions = list(range(len(tokens)))
    types = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    with torch.no_grad():
        inputs = {"input_ids": tokens, "token_type_ids": types, "position_ids": positions}
        logits = model(**{name: torch.tensor([values]) for name, values in inputs.items()}).logits[0]
    return (logits[0] - logits[1]).item()


with open(texts, encoding="utf-8") as file:
    rows = [line.split("\t")[0] for line in file]
print(json.dumps([margin(row, prompts[0]) - margin(row, prompts[1]) for row in rows]))
