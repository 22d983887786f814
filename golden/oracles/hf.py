"""Asks the transformers library what a GGUF file's weights, decoded to f32, make of token ids.

    hf.py MODEL.gguf OUT.safetensors < {"prompts": {"short": [ids]}, "rows": {"short": [rows]}}

Writes per prompt the chosen rows of every layer's output (`short/l_out-3`) and of the logits
(`short/result_output`), and those logits once more with what llama.cpp does otherwise on purpose
(`short/as-llama-cpp`). Knows how a model is asked; `hf_model` knows how it is made.
"""

import argparse
import json
import sys

import safetensors.torch
import torch

import hf_model
import pinned


def ask(model, ids):
    """Every layer's output and the logits, all rows."""
    layers = getattr(model, "model", None)
    layers = layers.layers if layers is not None else model.transformer.h
    outputs = {}

    def keep(name):
        def hook(_module, _inputs, output):
            hidden = output[0] if isinstance(output, tuple) else output
            outputs[name] = hidden.reshape(-1, hidden.shape[-1]).clone()
        return hook

    hooks = [layer.register_forward_hook(keep(f"l_out-{index}"))
             for index, layer in enumerate(layers)]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    for hook in hooks:
        hook.remove()
    return outputs | {"result_output": logits}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("out")
    arguments = parser.parse_args()
    pinned.check("requirements-hf.txt")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    question = json.load(sys.stdin)
    model, other = (hf_model.load(arguments.model, otherwise) for otherwise in (False, True))
    tensors = {}
    for prompt, ids in question["prompts"].items():
        rows = torch.tensor(question["rows"][prompt])
        answers = ask(model, ids) | {"as-llama-cpp": ask(other, ids)["result_output"]}
        for name, values in answers.items():
            tensors[f"{prompt}/{name}"] = values[rows].contiguous()
    words = {"oracle": pinned.words("transformers", "torch", "gguf"), "threads": "1"}
    safetensors.torch.save_file(tensors, arguments.out, metadata=words)


main()
