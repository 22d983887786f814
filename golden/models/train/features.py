"""Takes one feature after the other away from a trained model and prints how far its logits move.

    features.py PREPARED OUT FAMILY

Below 1e-4 (NMSE, the worst of two texts, one of them long) nobody would notice that an engine lacks
the feature. Knows the models' parts by the library's names.
"""

import sys
from pathlib import Path

import numpy
import torch

import loaded
from shapes import PHI3

FELT = 1e-4


def zeroed(ending, fill=0.0):
    def change(model):
        found = [value for name, value in model.named_parameters() if name.endswith(ending)]
        assert found, ending
        for value in found:
            value.data.fill_(fill)
    return change


def third(ending, part, parts):
    """One of several parts of a fused bias."""
    def change(model):
        for name, value in model.named_parameters():
            if name.endswith(ending):
                size = len(value) // parts
                value.data[part * size:(part + 1) * size] = 0
    return change


def every_other(ending, first):
    def change(model):
        for name, value in model.named_parameters():
            if name.endswith(ending):
                value.data[:, first::2] = 0
    return change


def gate(clamp):
    def change(model):
        for module in model.modules():
            if hasattr(module, "_apply_gate"):
                module._apply_gate = lambda x, of=module: clamp(x[..., ::2], x[..., 1::2], of)
    return change


def mixed(gate, up, of):
    return (up + 1) * gate * torch.sigmoid(gate * of.alpha)


def config(**words):
    def change(config):
        for key, value in words.items():
            if value is None:
                config.pop(key)
            else:
                config[key] = value
    return change


def rope(**words):
    def change(config):
        config["rope_scaling"] = config["rope_scaling"] | words
    return change


NORMS = {"norm weights": zeroed("norm.weight", 1.0)}
# Name → a change of the model, or (of the words of its configuration, "config").
FEATURES = {
    "gpt-oss": {
        "sinks": zeroed("sinks", -1e9), "q bias": zeroed("q_proj.bias"),
        "k bias": zeroed("k_proj.bias"), "v bias": zeroed("v_proj.bias"),
        "o bias": zeroed("o_proj.bias"), "router bias": zeroed("router.bias"),
        "gate bias": every_other("gate_up_proj_bias", 0),
        "up bias": every_other("gate_up_proj_bias", 1), "down bias": zeroed("down_proj_bias"),
        "gate clamp": gate(lambda g, u, of: mixed(g, u.clamp(-of.limit, of.limit), of)),
        "up clamp above": gate(lambda g, u, of: mixed(g.clamp(max=of.limit),
                                                      u.clamp(min=-of.limit), of)),
        "up clamp below": gate(lambda g, u, of: mixed(g.clamp(max=of.limit),
                                                      u.clamp(max=of.limit), of)),
        "window": (config(layer_types=["full_attention"] * 4), "config"),
        "window 31": (config(sliding_window=31), "config"),
        "yarn": (config(rope_scaling={"rope_type": "default"}), "config"),
        "exact yarn": (rope(truncate=True), "config"),
        "third expert": (config(num_experts_per_tok=2), "config"), **NORMS,
    },
    "qwen2": {"q bias": zeroed("q_proj.bias"), "k bias": zeroed("k_proj.bias"),
              "v bias": zeroed("v_proj.bias"), **NORMS},
    "phi3": {
        "window": (config(sliding_window=None), "config"),
        "window 95": (config(sliding_window=95), "config"),
        "long factors": (rope(long_factor=PHI3["rope_scaling"]["short_factor"]), "config"),
        "short factors": (rope(short_factor=[1.0] * 16), "config"), **NORMS,
    },
    "llama": {"rope factors": (config(rope_scaling=None), "config"), **NORMS},
    "gpt2": {
        "positions": zeroed("wpe.weight"), "q bias": third("c_attn.bias", 0, 3),
        "v bias": third("c_attn.bias", 2, 3), "o bias": zeroed("attn.c_proj.bias"),
        "up bias": zeroed("c_fc.bias"), "down bias": zeroed("mlp.c_proj.bias"),
        "norm biases": lambda model: [zeroed(f"{name}.bias")(model)
                                      for name in ["ln_1", "ln_2", "ln_f"]],
        "norm weights": lambda model: [zeroed(f"{name}.weight", 1.0)(model)
                                       for name in ["ln_1", "ln_2", "ln_f"]],
    },
}


@torch.no_grad()
def logits(model, rows):
    return [model(input_ids=row[None], use_cache=False).logits[0].double() for row in rows]


def moved(before, after):
    return max(float((a - b).square().sum() / b.square().sum())
               for a, b in zip(after, before, strict=True))


def main():
    prepared, folder, family = Path(sys.argv[1], sys.argv[3]), Path(sys.argv[2], sys.argv[3]), \
        sys.argv[3]
    ids = torch.tensor(numpy.load(prepared / "ids.npz")["ids"][-500:].astype(numpy.int64))
    rows = [ids[:40].to(loaded.DEVICE), ids.to(loaded.DEVICE)]
    before = logits(loaded.model_of(folder), rows)
    for name, change in FEATURES[family].items():
        if isinstance(change, tuple):
            model = loaded.model_of(folder, change[0])
        else:
            model = loaded.model_of(folder)
            change(model)
        distance = moved(before, logits(model, rows))
        note = "" if distance >= FELT else "   NOT FELT"
        print(f"{family}: without {name:15} {distance:.1e}{note}", flush=True)


main()
