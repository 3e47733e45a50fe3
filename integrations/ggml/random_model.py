#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A llama of 25 million random weights, for timings: random_model.py TOKENIZER.gguf OUT.gguf

The tokenizer is that of another model; the file (GGUF version 3, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) has fp32 weights and is
meant for llama-quantize, which writes the models that are measured.
"""
import array
import random
import struct
import sys

EMBEDDING, BLOCKS, FORWARD, HEADS, KV_HEADS, CONTEXT, VOCABULARY = 512, 8, 1536, 16, 8, 512, 384
KV_WIDTH = EMBEDDING // HEADS * KV_HEADS
ALIGNMENT = 32
U32, STRING, ARRAY, F32 = 4, 8, 9, 0
SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
CHANGED = {"general.name": "random-25M", "llama.embedding_length": EMBEDDING, "llama.block_count": BLOCKS, "llama.feed_forward_length": FORWARD,
           "llama.attention.head_count": HEADS, "llama.attention.head_count_kv": KV_HEADS, "llama.context_length": CONTEXT}


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


class Reader:
    """The metadata of a GGUF file as pairs of a key and the bytes that follow it."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, code):
        value = struct.unpack_from("<" + code, self.data, self.at)[0]
        self.at += struct.calcsize("<" + code)
        return value

    def text(self):
        size = self.take("Q")
        self.at += size
        return self.data[self.at - size : self.at].decode()

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            inner, count = self.take("I"), self.take("Q")
            for _ in range(count):
                self.skip(inner)
        else:
            self.at += SCALAR_BYTES[kind]

    def pairs(self):
        if self.data[:4] != b"GGUF":
            sys.exit("random_model.py: the tokenizer's file is no GGUF")
        self.at = 8
        self.take("Q")
        for _ in range(self.take("Q")):
            key, begin = self.text(), self.at
            self.skip(self.take("I"))
            yield key, self.data[begin : self.at]


def tensors():
    yield "token_embd.weight", (EMBEDDING, VOCABULARY)
    yield "output_norm.weight", (EMBEDDING,)
    yield "output.weight", (EMBEDDING, VOCABULARY)
    for i in range(BLOCKS):
        for name, shape in (("attn_norm", (EMBEDDING,)), ("ffn_norm", (EMBEDDING,)), ("attn_q", (EMBEDDING, EMBEDDING)), ("attn_k", (EMBEDDING, KV_WIDTH)),
                            ("attn_v", (EMBEDDING, KV_WIDTH)), ("attn_output", (EMBEDDING, EMBEDDING)), ("ffn_gate", (EMBEDDING, FORWARD)),
                            ("ffn_down", (FORWARD, EMBEDDING)), ("ffn_up", (EMBEDDING, FORWARD))):
            yield f"blk.{i}.{name}.weight", shape


def size_of(shape):
    count = 1
    for extent in shape:
        count *= extent
    return count


def metadata(path):
    with open(path, "rb") as file:
        for key, value in Reader(file.read()).pairs():
            if key in CHANGED:
                new = CHANGED[key]
                value = struct.pack("<I", STRING) + string(new) if isinstance(new, str) else struct.pack("<II", U32, new)
            yield string(key) + value


def main():
    pairs, named = list(metadata(sys.argv[1])), list(tensors())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(named), len(pairs)) + b"".join(pairs)
    offset = 0
    for name, shape in named:
        head += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, F32, offset)
        offset += -(-size_of(shape) * 4 // ALIGNMENT) * ALIGNMENT
    rng = random.Random(1)
    # One pool for all tensors, each from another place on: values do not matter for time.
    pool = array.array("f", (rng.uniform(-0.08, 0.08) for _ in range(1 << 17)))
    with open(sys.argv[2], "wb") as out:
        out.write(head + b"\0" * (-len(head) % ALIGNMENT))
        for name, shape in named:
            count, skip = size_of(shape), rng.randrange(1 << 16)
            values = (pool * (2 + count // len(pool)))[skip : skip + count] if len(shape) > 1 else array.array("f", [1.0] * count)
            out.write(values.tobytes() + b"\0" * (-4 * count % ALIGNMENT))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
