"""Writes a GGUF model of some 100 KB with random weights: what it says means nothing, its server's wire does.

    python3 tiny_model.py FILE
"""

import random
import struct
import sys

UINT32, FLOAT32, STRING, ARRAY, INT32 = 4, 6, 8, 9, 5
EMBED, HEADS, LAYERS, FEED, CONTEXT = 32, 4, 1, 64, 16384


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, value):
    packed = {UINT32: lambda: struct.pack("<I", value), FLOAT32: lambda: struct.pack("<f", value), STRING: lambda: text(value)}
    return text(key) + struct.pack("<I", kind) + packed[kind]()


def array(key, kind, values):
    packed = {FLOAT32: lambda v: struct.pack("<f", v), STRING: text, INT32: lambda v: struct.pack("<i", v)}
    head = text(key) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return head + b"".join(packed[kind](value) for value in values)


def main(path):
    words = [f"\u2581{first}{second}" for first in "bdfgklmnprst" for second in "aeiou"]
    letters = ["\u2581"] + [chr(code) for code in range(33, 127)]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + letters + words
    kinds = [2, 3, 3] + [6] * 256 + [1] * (len(letters) + len(words))
    scores = [0.0] * 3 + [-1000.0] * 256 + [-float(rank) for rank in range(len(letters) + len(words))]
    facts = [
        entry("general.architecture", STRING, "llama"),
        entry("general.name", STRING, "tiny"),
        entry("llama.context_length", UINT32, CONTEXT),
        entry("llama.embedding_length", UINT32, EMBED),
        entry("llama.block_count", UINT32, LAYERS),
        entry("llama.feed_forward_length", UINT32, FEED),
        entry("llama.attention.head_count", UINT32, HEADS),
        entry("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5),
        entry("llama.rope.dimension_count", UINT32, EMBED // HEADS),
        entry("llama.vocab_size", UINT32, len(tokens)),
        entry("tokenizer.ggml.model", STRING, "llama"),
        array("tokenizer.ggml.tokens", STRING, tokens),
        array("tokenizer.ggml.scores", FLOAT32, scores),
        array("tokenizer.ggml.token_type", INT32, kinds),
        entry("tokenizer.ggml.bos_token_id", UINT32, 1),
        entry("tokenizer.ggml.eos_token_id", UINT32, 2),
    ]
    tensors = [("token_embd.weight", (EMBED, len(tokens))), ("output_norm.weight", (EMBED,)), ("output.weight", (EMBED, len(tokens)))]
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        tensors += [(block + name, (EMBED, EMBED)) for name in ("attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight")]
        tensors += [(block + "attn_norm.weight", (EMBED,)), (block + "ffn_norm.weight", (EMBED,))]
        tensors += [(block + "ffn_gate.weight", (EMBED, FEED)), (block + "ffn_up.weight", (EMBED, FEED)), (block + "ffn_down.weight", (FEED, EMBED))]
    chance = random.Random(4711)
    infos, data = b"", b""
    for name, shape in tensors:
        count = 1
        for size in shape:
            count *= size
        infos += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", size) for size in shape)
        infos += struct.pack("<IQ", 0, len(data))
        data += struct.pack(f"<{count}f", *(chance.gauss(0, 0.3) for _ in range(count)))
        data += b"\0" * (-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts)) + b"".join(facts) + infos
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % 32) + data)


if __name__ == "__main__":
    main(sys.argv[1])
