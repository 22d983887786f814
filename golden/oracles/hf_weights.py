"""The weights of a GGUF file, decoded to f32 and named as the transformers library names them.

Knows both naming schemes and layouts of five architectures; nothing of configurations or passes.
"""

import re

import gguf
import numpy
import torch

DENSE = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
LAYERS = {
    "llama": DENSE,
    "qwen2": DENSE,
    # Phi-3's file names the fused matrix, gate above up, after its lower half.
    "phi3": DENSE | {"ffn_up": "mlp.gate_up_proj"},
    "gpt2": {
        "attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj",
        "ffn_norm": "ln_2", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj",
    },
    "gpt-oss": DENSE | {
        "post_attention_norm": "post_attention_layernorm", "ffn_gate_inp": "mlp.router",
        "attn_sinks": "self_attn.sinks",
    },
}
TOP = {
    "token_embd.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight",
    "output_norm.weight": "model.norm.weight",
}
TOP_GPT2 = {
    "token_embd.weight": "transformer.wte.weight", "position_embd.weight": "transformer.wpe.weight",
    "output.weight": "lm_head.weight", "output_norm.weight": "transformer.ln_f.weight",
    "output_norm.bias": "transformer.ln_f.bias",
}
# Numbers of a rotation, not weights of a layer.
ROPE = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}


class File:
    """Metadata and tensors of a GGUF file; every tensor is decoded to f32 when asked for."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.arch = self.reader.fields["general.architecture"].contents()
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}

    def get(self, key, default=None):
        """`key` without the architecture in front; a missing key without a default is an error."""
        field = self.reader.fields.get(f"{self.arch}.{key}")
        if field is not None:
            return field.contents()
        if default is None:
            raise SystemExit(f"{self.arch}.{key} is missing")
        return default

    def tensor(self, name):
        tensor = self.tensors[name]
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        shape = [int(count) for count in reversed(tensor.shape)]
        return torch.from_numpy(numpy.array(values, dtype=numpy.float32).reshape(shape))

    def n_vocab(self):
        return int(self.tensors["token_embd.weight"].shape[1])


def state(file):
    """Name → tensor for `load_state_dict`."""
    found = {}
    experts = {}
    top = TOP_GPT2 if file.arch == "gpt2" else TOP
    for name in file.tensors:
        if name in ROPE:
            continue
        if name in top:
            found[top[name]] = file.tensor(name)
            continue
        layer, role, kind = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name).groups()
        if role.endswith("_exps"):
            experts.setdefault(int(layer), {})[role, kind] = file.tensor(name)
            continue
        found.update([placed(file, int(layer), role, kind, file.tensor(name))])
    for layer, parts in experts.items():
        found.update(fused_experts(f"model.layers.{layer}.mlp.experts", parts))
    head, embedding = "lm_head.weight", top["token_embd.weight"]
    found.setdefault(head, found[embedding])
    return found


def placed(file, layer, role, kind, values):
    """A tensor of a layer under its other name, in its other layout."""
    name = LAYERS[file.arch][role]
    if file.arch == "llama" and role in ("attn_q", "attn_k"):
        count = file.get("attention.head_count" + ("_kv" if role == "attn_k" else ""))
        values = halves(values, count)
    if file.arch == "gpt2":
        # A Conv1D multiplies from the other side.
        values = values.T.contiguous() if values.ndim == 2 else values
        return f"transformer.h.{layer}.{name}.{kind}", values
    name = f"model.layers.{layer}.{name}"
    return (name if name.endswith("sinks") else f"{name}.{kind}"), values


def halves(values, heads):
    """Pairs that a llama file keeps side by side, back to a head's two halves."""
    size = values.shape[0] // heads // 2
    return values.reshape(heads, size, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def fused_experts(prefix, parts):
    """Gate and up in alternating columns, as the reference trains them."""
    weights = [parts[f"ffn_{name}_exps", "weight"].transpose(1, 2) for name in ("gate", "up")]
    biases = [parts[f"ffn_{name}_exps", "bias"] for name in ("gate", "up")]
    return {
        f"{prefix}.gate_up_proj": torch.stack(weights, dim=-1).flatten(-2),
        f"{prefix}.gate_up_proj_bias": torch.stack(biases, dim=-1).flatten(-2),
        f"{prefix}.down_proj": parts["ffn_down_exps", "weight"].transpose(1, 2).contiguous(),
        f"{prefix}.down_proj_bias": parts["ffn_down_exps", "bias"],
    }
