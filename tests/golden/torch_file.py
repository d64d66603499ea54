#!/usr/bin/env python3
"""Makes torch_file.bin beside this script: tensors as torch.save stores them, of every kind that a checkpoint may hold.

    python tests/golden/torch_file.py        # needs torch
"""

from collections import OrderedDict
from pathlib import Path

import torch

matrix = torch.arange(6, dtype=torch.float32).reshape(2, 3)
tensors = OrderedDict(
    matrix=matrix,
    transposed=matrix.t(),  # a view of the same numbers
    last_row=matrix[1],
    half=torch.tensor([0.5, -2.0], dtype=torch.float16),
    brain=torch.tensor([[1.5], [-3.0]], dtype=torch.bfloat16),
    parameter=torch.nn.Parameter(torch.tensor([7.0])),
    number=torch.tensor(9.0),
    position_ids=torch.arange(3),
    empty=torch.zeros(0, 4),
)
torch.save(tensors, Path(__file__).with_name("torch_file.bin"))
