# SPDX-License-Identifier: Apache-2.0
"""Times PyTorch's CPU operators for npu_bench. A line of stdin is a request, the answer is the seconds of one call:

gemm TYPE N REPEAT                         C = A B, square
gemm_portable TYPE N REPEAT                the same without oneDNN, as on a CPU that has no instructions for TYPE
attention TYPE HEADS LENGTH DIM REPEAT     scaled_dot_product_attention, causal, one batch
version                                    answers with PyTorch's version instead
"""
import os
import sys
import time

import torch

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def seconds_per(repeat, call):
    begin = time.monotonic()
    for _ in range(repeat):
        call()
    return (time.monotonic() - begin) / repeat


def gemm(operands, kind, n, repeat):
    if (kind, n) not in operands:
        torch.manual_seed(1)
        operands[kind, n] = [torch.randn(n, n).to(TYPES[kind]) for _ in range(2)]
    a, b = operands[kind, n]
    return seconds_per(repeat, lambda: torch.mm(a, b))


def gemm_portable(operands, kind, n, repeat):
    with torch.backends.mkldnn.flags(enabled=False):
        return gemm(operands, kind, n, repeat)


def attention(operands, kind, heads, length, dim, repeat):
    key = kind, heads, length, dim
    if key not in operands:
        torch.manual_seed(2)
        operands[key] = [torch.randn(1, heads, length, dim).to(TYPES[kind]) for _ in range(3)]
    q, k, v = operands[key]
    return seconds_per(repeat, lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))


def main():
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    operands = {}
    with torch.inference_mode():
        for line in sys.stdin:
            what, *words = line.split()
            if what == "version":
                print(torch.__version__, flush=True)
            else:
                work = {"gemm": gemm, "gemm_portable": gemm_portable, "attention": attention}[what]
                print(work(operands, words[0], *map(int, words[1:])), flush=True)


main()
