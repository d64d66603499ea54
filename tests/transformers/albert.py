"""States, logits, loss and gradients of an ALBERT with its MLM head, for comparison.

    python tests/transformers/albert.py FOLDER ROWS.json OUT.safetensors

ROWS.json is a list of rows of token ids; the first [SEP] ends segment 0. Targets stand at each [MASK], row after row: tokens
1000, 1001, …

Computed in f64: in f32 gradients of up to 8 are off by 1e-4 there, as they are here. Written in f32:
    states      (tokens, hidden) of all rows, end to end
    logits      (targets, 100) of tokens 1000 to 1099 at the targets
    loss        (1) mean over the targets
    grad.NAME   gradient of the loss by each weight
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AlbertForMaskedLM

SEP, MASK, FIRST_TARGET = 102, 103, 1000


def main(folder, rows, out):
    torch.set_num_threads(1)
    model = AlbertForMaskedLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    states, logits = [], []
    for ids in rows:
        first = ids.index(SEP) + 1
        ids = torch.tensor([ids])
        segments = torch.zeros_like(ids)
        segments[0, first:] = 1
        output = model(input_ids=ids, token_type_ids=segments, output_hidden_states=True)
        states.append(output.hidden_states[-1][0])
        logits.append(output.logits[0][ids[0] == MASK])
    logits = torch.cat(logits)
    targets = torch.arange(FIRST_TARGET, FIRST_TARGET + len(logits))
    loss = torch.nn.functional.cross_entropy(logits, targets)
    loss.backward()
    tensors = {"states": torch.cat(states), "logits": logits[:, FIRST_TARGET : FIRST_TARGET + 100], "loss": loss[None]}
    for name, weight in model.named_parameters():
        name = name.replace("predictions.decoder.bias", "predictions.bias")
        tensors[f"grad.{name}"] = weight.grad
    save_file({name: tensor.detach().float().contiguous() for name, tensor in tensors.items()}, out)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")), sys.argv[3])
