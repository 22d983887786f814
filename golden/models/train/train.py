"""Trains one of the small models and writes it as its family is published.

    train.py PREPARED OUT FAMILY [STEPS]    # minutes on one GPU; PREPARED is prepare.py's folder

OUT/FAMILY gets model.safetensors, config.json and the tokenizer's files; `features.py` tells
whether the model feels all that it has. Knows shapes and ids, not what the text says.
"""

import json
import math
import os
import shutil
import sys
import time
from pathlib import Path

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402
from transformers.models.gpt_oss import modeling_gpt_oss  # noqa: E402

import mxfp4  # noqa: E402
from shapes import TRAINING  # noqa: E402

SEED = 5
ROWS = 64
HELD_OUT = 512  # documents at the end of the ids that no step sees
ROUND_FROM = 0.6  # of all steps
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def config_of(family, folder):
    words = json.loads((folder / "tokenizer_config.json").read_text())
    vocabulary = json.loads((folder / "tokenizer.json").read_text())
    tokens = dict(vocabulary["model"]["vocab"])
    tokens |= {token["content"]: token["id"] for token in vocabulary["added_tokens"]}
    config = dict(TRAINING[family]["config"])
    config |= {"vocab_size": max(tokens.values()) + 1, "eos_token_id": tokens[words["eos_token"]],
               "bos_token_id": tokens[words["bos_token"]]}
    # Phi-3's own default lies outside a small vocabulary.
    return config | {"pad_token_id": config["eos_token_id"]}


def all_experts(self, states, router_indices=None, routing_weights=None):
    """GptOssExperts.forward for training: every expert on every token, weights mostly zero."""
    dense = torch.zeros(len(states), self.num_experts, device=states.device,
                        dtype=routing_weights.dtype)
    dense = dense.scatter(1, router_indices, routing_weights)
    gate_up = torch.einsum("th,ehf->etf", states, self.gate_up_proj)
    gated = self._apply_gate(gate_up + self.gate_up_proj_bias[:, None].to(gate_up.dtype))
    out = torch.einsum("etf,efh->eth", gated, self.down_proj)
    out = out + self.down_proj_bias[:, None].to(out.dtype)
    return torch.einsum("eth,te->th", out, dense.to(out.dtype)).to(states.dtype)


def unsettle(model):
    """Starting values with which every feature is felt: libraries start many of them at nothing."""
    for name, value in model.named_parameters():
        if "norm" in name or ".ln_" in name:
            value.data += 0.2 * torch.randn_like(value)
        elif name.endswith("sinks"):
            value.data = 1.0 + torch.randn_like(value)
        elif name.endswith("gate_up_proj_bias"):
            value.data = 0.3 * torch.randn_like(value)
            # Gates that saturate, and ups on either side: every third unit lies near a limit.
            value.data[:, 0::6] += 6.0
            value.data[:, 7::12] += 7.0
            value.data[:, 8::12] += 2.0
            value.data[:, 9::12] -= 7.0
        elif name.endswith(("q_proj.bias", "k_proj.bias")):
            value.data = torch.randn_like(value)
        elif name.endswith("bias"):
            value.data = 0.3 * torch.randn_like(value)
    for name, value in model.named_parameters():
        if name.endswith("experts.down_proj"):
            value.data[:, 0::3] *= 0.2
            value.data[:, 1::3] *= 0.2
        if name.endswith("experts.gate_up_proj"):
            value.data[:, :, 0::6] *= 3
            value.data[:, :, 7::12] *= 3
            value.data[:, :, 9::12] *= 3


def groups(model, rate):
    """Matrices decay, everything else does not."""
    named = list(model.named_parameters())
    matrices = [value for _, value in named if value.ndim >= 2]
    others = [value for _, value in named if value.ndim < 2]
    return [{"params": matrices, "weight_decay": 0.05, "lr": rate},
            {"params": others, "weight_decay": 0.0, "lr": rate}]


class Documents:
    """Rows that begin with a document and go on with the next ones."""

    def __init__(self, path):
        stored = numpy.load(path)
        self.ids = torch.tensor(stored["ids"].astype(numpy.int64), device=DEVICE)
        starts = torch.tensor(stored["starts"].astype(numpy.int64), device=DEVICE)
        held = max(1, len(starts) - HELD_OUT)
        self.train, self.held = starts[:held], starts[held:]
        self.limit = int(self.held[0])

    def rows(self, generator, count, length):
        starts = self.train[self.train <= self.limit - length]
        pick = torch.randint(len(starts), (count,), generator=generator).to(DEVICE)
        return self._at(starts[pick], length)

    def held_rows(self, length):
        starts = self.held[self.held <= len(self.ids) - length]
        return self._at(starts[:64], length)

    def _at(self, starts, length):
        return self.ids[starts[:, None] + torch.arange(length, device=DEVICE)]


def schedule(step, steps):
    warm = min(1.0, (step + 1) / 100)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def train(family, model, documents, steps):
    plan = TRAINING[family]
    optimizer = torch.optim.AdamW(groups(model, plan["rate"]), betas=(0.9, 0.98))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step, steps))
    generator = torch.Generator().manual_seed(SEED)
    started = time.time()
    for step in range(steps):
        if step == int(ROUND_FROM * steps) and "mxfp4" in plan:
            mxfp4.round_forward(model, plan["mxfp4"])
        ids = documents.rows(generator, ROWS, plan["lengths"][step % len(plan["lengths"])])
        with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda"):
            result = model(input_ids=ids, labels=ids, use_cache=False)
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 250 == 0 or step == steps - 1:
            loss, seconds = float(result.loss), time.time() - started
            print(f"{family} step {step} loss {loss:.3f} {seconds:.0f} s", flush=True)
    mxfp4.settle(model)


def tensors_of(family, model):
    """Parameters in bf16, as published; gpt-oss's experts as blocks and scales."""
    tensors = {}
    for name, value in model.state_dict().items():
        value = value.detach().cpu()
        if family == "gpt-oss" and name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            blocks, scales = mxfp4.packed(value.transpose(1, 2).contiguous())
            tensors |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        elif not (name == "lm_head.weight" and model.config.tie_word_embeddings):
            kind = torch.float16 if family == "gpt2" else torch.bfloat16
            tensors[name] = value.to(kind).contiguous()
    return tensors


def write(family, model, config, prepared, folder):
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors_of(family, model), folder / "model.safetensors", {"format": "pt"})
    if family == "gpt-oss":
        config = config | {"quantization_config": {"quant_method": "mxfp4"}}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    for name in ["tokenizer.json", "tokenizer_config.json", "tokenizer.model",
                 "chat_template.jinja"]:
        if (prepared / name).exists():
            shutil.copy(prepared / name, folder / name)


def held_out_loss(model, documents, length):
    with torch.no_grad():
        rows = documents.held_rows(length)
        logits = model(input_ids=rows, use_cache=False).logits.float()
        return float(F.cross_entropy(logits[:, :-1].flatten(0, 1), rows[:, 1:].flatten()))


def main():
    prepared, out, family = Path(sys.argv[1], sys.argv[3]), Path(sys.argv[2]), sys.argv[3]
    plan = TRAINING[family]
    steps = int(sys.argv[4]) if len(sys.argv) > 4 else plan["steps"]
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True, warn_only=True)
    config = config_of(family, prepared)
    model_type = config["model_type"]
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(model_type, **{k: v for k, v in config.items() if k != "model_type"}),
        attn_implementation="eager", dtype=torch.float32)
    unsettle(model)
    model.to(DEVICE).train()
    if family == "gpt-oss":
        model.config.output_router_logits = True  # the balance of experts is part of the loss
        modeling_gpt_oss.GptOssExperts.forward = all_experts
    documents = Documents(prepared / "ids.npz")
    size = sum(value.numel() for value in model.parameters())
    print(f"{family}: {size} parameters, vocabulary {config['vocab_size']}", flush=True)
    train(family, model, documents, steps)
    model.eval()
    for length in plan["lengths"]:
        loss = held_out_loss(model, documents, length)
        print(f"{family}: held-out loss {loss:.4f} on rows of {length}", flush=True)
    write(family, model, config, prepared, out / family)


if __name__ == "__main__":
    main()
