"""Makes next_sentence.json: logits of `BertForNextSentencePrediction` on the weights of bert_tiny.safetensors, for pairs and for
candidates that have the positions of a blank in the other sentence.

    pip install -r tests/golden/requirements.txt
    python tests/golden/next_sentence.py            # after make.py; rewrites next_sentence.json beside this script

A list of cases
    said, before, behind    tokens of the candidate, and of the text before and behind its blank
    blank                   whether the text has one; without, `behind` is empty and positions count from 0
    side                    "prefix": the candidate is the first sentence, "suffix": the second
    ids, types, positions   what the model read
    logits                  two numbers; index 0 is "next"

Positions are those of a text in which the candidate stands at the blank, [CLS] first; in the order prefix the [SEP] behind the
candidate has position 1 and the text begins at 2. f32 on one thread, each case alone.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForNextSentencePrediction

HERE = Path(__file__).parent
CLS, SEP = 2, 3


def layout(said, before, behind, blank, side):
    text = before + behind
    first, second = (said, text) if side == "prefix" else (text, said)
    ids = [CLS] + first + [SEP] + second + [SEP]
    types = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    if not blank:
        return ids, types, list(range(len(ids)))
    # The order in which the tokens are to be read: positions follow from it.
    a, c, b = len(before), len(said), len(behind)
    if side == "prefix":
        place = {"said": 1, "sep": 1 + c, "before": 2 + c, "behind": 2 + c + a}
        order = [0, place["sep"]] + [place["before"] + i for i in range(a)] + [place["said"] + i for i in range(c)]
        order += [place["behind"] + i for i in range(b)] + [len(ids) - 1]
    else:
        place = {"before": 1, "behind": 1 + a, "sep": 1 + a + b, "said": 2 + a + b}
        order = [0] + [place["before"] + i for i in range(a)] + [place["said"] + i for i in range(c)]
        order += [place["behind"] + i for i in range(b)] + [place["sep"], len(ids) - 1]
    positions = [0] * len(ids)
    for position, token in enumerate(order):
        positions[token] = position
    return ids, types, positions


def main():
    torch.set_num_threads(1)
    golden = json.loads((HERE / "bert_tiny.json").read_text())
    model = BertForNextSentencePrediction(BertConfig(**golden["config"], attn_implementation="eager")).eval()
    weights = load_file(HERE / "bert_tiny.safetensors")
    names = [name for name, _ in model.named_parameters()]
    rest = model.load_state_dict({f"{name}": weights[name] for name in names}, strict=False)
    assert not rest.unexpected_keys and all("position_ids" in name for name in rest.missing_keys), rest
    generator = torch.Generator().manual_seed(20_261_129)
    draw = lambda n: torch.randint(7, golden["config"]["vocab_size"], (n,), generator=generator).tolist()
    cases = []
    for c, a, b in [(3, 2, 1), (1, 5, 0), (2, 0, 4), (6, 7, 5)]:
        for side in ["prefix", "suffix"]:
            for blank in [True, False]:
                case = {"said": draw(c), "before": draw(a + (0 if blank else b)), "behind": draw(b) if blank else []}
                case |= {"blank": blank, "side": side}
                ids, types, positions = layout(case["said"], case["before"], case["behind"], blank, side)
                with torch.no_grad():
                    out = model(
                        input_ids=torch.tensor([ids]),
                        token_type_ids=torch.tensor([types]),
                        position_ids=torch.tensor([positions]),
                    )
                case |= {"ids": ids, "types": types, "positions": positions, "logits": out.logits[0].tolist()}
                cases.append(case)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "next_sentence.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
