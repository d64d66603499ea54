#!/usr/bin/env python3
"""The same sentences as tests/bench/decode.rs by `generate` of transformers, for the same sizes: sentences a second.

    tests/bench/decode_transformers.py [--threads N] [--repeats N]

8 sources of 12 tokens get 32 sentences of 16 tokens; each token is drawn from the 5 likeliest of 7,000, with random weights, so that no
sentence ends before. `generate` has no mask by which a source sees all of itself, so that each token sees those before it alone: other
sentences by as much work. Prints the medians, with keys and values kept and with everything computed anew. Needs torch and transformers.
"""

import argparse
import statistics
import time

import torch
from transformers import BertConfig, BertLMHeadModel

SOURCES, SAMPLES, SOURCE_TOKENS, STEPS, VOCABULARY = 8, 32, 12, 16, 7000
SIZES = {"mini": (4, 256, 4), "base": (12, 768, 12)}


def model(layers, hidden, heads):
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        max_position_embeddings=64,
        is_decoder=True,
    )
    return BertLMHeadModel(config).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    sources = torch.tensor([[7 + number * 97 + at * 13 for at in range(SOURCE_TOKENS)] for number in range(SOURCES)])
    for name, size in SIZES.items():
        network = model(*size)
        for way, use_cache in [("cached", True), ("recomputed", False)]:
            speeds = []
            for _ in range(options.repeats if name == "mini" else 2):
                begin = time.perf_counter()
                with torch.inference_mode():
                    written = network.generate(
                        sources,
                        attention_mask=torch.ones_like(sources),
                        do_sample=True,
                        top_k=5,
                        num_return_sequences=SAMPLES,
                        min_new_tokens=STEPS,
                        max_new_tokens=STEPS,
                        use_cache=use_cache,
                        pad_token_id=0,
                        eos_token_id=1,
                    )
                assert written.shape == (SOURCES * SAMPLES, SOURCE_TOKENS + STEPS)
                speeds.append(SOURCES * SAMPLES / (time.perf_counter() - begin))
            print(f"{name} {way:<11} {statistics.median(speeds):8.1f} sentences a second")


if __name__ == "__main__":
    main()
