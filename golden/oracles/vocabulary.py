"""One small vocabulary, written as the two files in which engines meet it: tokenizer.json and GGUF.

Knows both file formats; nothing of how the vocabulary came to be.
"""

import json

import gguf

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


def write_gguf(path, name, keys, tokens, types, merges=None, scores=None):
    """A vocabulary-only file. `keys` holds tokenizer.ggml.* values: text, number or truth."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    # llama.cpp reads these of every llama model, even without weights.
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    for key, value in keys.items():
        key = f"tokenizer.ggml.{key}"
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        else:
            writer.add_string(key, value)
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_types(types)
    if merges is not None:
        writer.add_token_merges([" ".join(pair) for pair in merges])
    if scores is not None:
        writer.add_token_scores(scores)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def merges_of(tokenizer):
    """The pairs of a BPE tokenizer, best first."""
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def write_json(path, tokenizer):
    """What the `tokenizers` crate saves, without the white space."""
    compact = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    with open(path, "w", encoding="utf-8") as file:
        file.write(compact + "\n")
