"""A trained folder as a model in f32 and its tokenizer. Knows how `train.py` wrote it."""

import json

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

import mxfp4

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def empty(config):
    """A model of these words, with arithmetic that depends on no other library."""
    words = {k: v for k, v in config.items() if k not in ("model_type", "quantization_config")}
    if config["model_type"] == "gpt_oss":
        words["experts_implementation"] = "eager"
    return AutoModelForCausalLM.from_config(
        AutoConfig.for_model(config["model_type"], **words),
        attn_implementation="eager", dtype=torch.float32)


def model_of(folder, change=None):
    """The model; `change` edits config.json's words first."""
    config = json.loads((folder / "config.json").read_text())
    if change:
        change(config)
    model = empty(config)
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if name.endswith("_blocks")]:
        base = name.removesuffix("_blocks")
        values = mxfp4.unpacked(tensors.pop(name), tensors.pop(f"{base}_scales"))
        tensors[base] = values.transpose(1, 2).contiguous()
    missing, surplus = model.load_state_dict(
        {name: value.float() for name, value in tensors.items()}, strict=False)
    if surplus or set(missing) - {"lm_head.weight"}:
        raise SystemExit(f"{folder}: missing {missing}, surplus {surplus}")
    model.tie_weights()
    return model.to(DEVICE).eval()


def tokenizer_of(folder):
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
