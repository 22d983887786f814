"""MXFP4 in training: weights that are rounded on the way forward, and the blocks they end as.

Rounds as the OCP specification does: 32 numbers share the power of two that fits the largest.
Knows tensors, no model.
"""

import torch
from torch.nn.utils import parametrize

BLOCK = 32
VALUES = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
BORDERS = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]


def _codes(blocks):
    """Blocks along the last dimension → codes without sign, exponents."""
    largest = blocks.abs().amax(-1, keepdim=True)
    exponent = torch.frexp(largest).exponent - 1 - 2  # 4 = 2^2 is the largest code's power of two
    exponent = exponent.where(largest > 0, torch.zeros_like(exponent)).clamp(-127, 127)
    borders = torch.tensor(BORDERS, device=blocks.device)
    return torch.bucketize(torch.ldexp(blocks.abs().float(), -exponent), borders), exponent


def rounded(weight, dim):
    """The nearest values that MXFP4 has, in the type of `weight`."""
    blocks = weight.detach().float().transpose(dim, -1).contiguous()
    shape = blocks.shape
    blocks = blocks.reshape(-1, BLOCK)
    codes, exponent = _codes(blocks)
    values = torch.tensor(VALUES, device=weight.device)[codes]
    nearest = torch.ldexp(values, exponent).copysign(blocks)
    return nearest.reshape(shape).transpose(dim, -1).contiguous().to(weight.dtype)


def packed(weight):
    """`_blocks` and `_scales` as gpt-oss checkpoints have them; blocks along the last dimension."""
    blocks = weight.float().reshape(*weight.shape[:-1], -1, BLOCK)
    codes, exponent = _codes(blocks)
    nibbles = (codes + 8 * blocks.signbit().long()).to(torch.uint8)
    pairs = nibbles[..., 0::2] | (nibbles[..., 1::2] << 4)
    return pairs, (exponent.squeeze(-1) + 127).to(torch.uint8)


def unpacked(blocks, scales):
    """What `packed` was given."""
    nibbles = torch.stack([blocks & 15, blocks >> 4], -1).flatten(-2).long()
    values = torch.tensor(VALUES + [-value for value in VALUES])[nibbles]
    return torch.ldexp(values, scales.int().unsqueeze(-1) - 127).flatten(-2)


class _Rounding(torch.nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, weight):
        return weight + (rounded(weight, self.dim) - weight).detach()


def _places(model, which):
    for name, module in model.named_modules():
        for parameter in [key for key, _ in module.named_parameters(recurse=False)]:
            full = f"{name}.{parameter}"
            for ending, dim in which.items():
                if full.endswith(ending):
                    yield module, parameter, dim


def round_forward(model, which):
    """From now on the model computes with rounded weights, gradients pass as if it did not."""
    for module, parameter, dim in list(_places(model, which)):
        parametrize.register_parametrization(module, parameter, _Rounding(dim), unsafe=True)


def settle(model):
    """Makes the rounded weights the weights."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            for parameter in list(module.parametrizations):
                parametrize.remove_parametrizations(module, parameter, leave_parametrized=True)
