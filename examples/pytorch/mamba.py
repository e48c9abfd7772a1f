"""The forecaster of mambafleet in PyTorch: Mamba-1 (Gu & Dao 2023), names and shapes as in the
reference implementation, so that weights go to and fro by name.

    x = input_proj(features)                                   per time step
    per layer: x = x + mixer(norm(x))
    outputs = head(norm_f(x at the last time step))

Conventions: RMSNorm with 1e-5 inside the root; A = -exp(A_log); B discretised as dt * B; D * u
added before the gate; `in_proj` gives the branch through the scan first and the gate second;
`x_proj` gives dt, B and C in this order; the last tap of the convolution is on the current step.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

RMS_EPS = 1e-5


@dataclass(frozen=True)
class Sizes:
    """What fixes the shape of a model."""

    d_model: int
    n_layers: int
    d_state: int
    d_conv: int
    expand: int
    dt_rank: int
    n_features: int
    n_outputs: int

    @property
    def d_inner(self):
        return self.expand * self.d_model


def scan(u, dt, A, B, C):
    """The selective scan, one time step after the other. `u` and `dt` are (batch, length, d_inner),
    `B` and `C` (batch, length, d_state), `A` (d_inner, d_state); gives (batch, length, d_inner)."""
    h = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    drive = dt * u
    y = []
    for t in range(u.shape[1]):
        decay = torch.exp(dt[:, t, :, None] * A)
        h = decay * h + drive[:, t, :, None] * B[:, t, None, :]
        y.append((h * C[:, t, None, :]).sum(-1))
    return torch.stack(y, 1)


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + RMS_EPS) * self.weight


class Mixer(nn.Module):
    def __init__(self, sizes, scan):
        super().__init__()
        inner, states, rank = sizes.d_inner, sizes.d_state, sizes.dt_rank
        self.split = [rank, states, states]
        self.scan = scan
        self.in_proj = nn.Linear(sizes.d_model, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, sizes.d_conv, groups=inner, padding=sizes.d_conv - 1)
        self.x_proj = nn.Linear(inner, rank + 2 * states, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, sizes.d_model, bias=False)
        with torch.no_grad():
            dt = torch.exp(torch.empty(inner).uniform_(math.log(1e-3), math.log(0.1)))
            self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))
            self.out_proj.weight.div_(math.sqrt(sizes.n_layers))

    def forward(self, x):
        u, z = self.in_proj(x).chunk(2, -1)
        u = self.conv1d(u.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        u = F.silu(u)
        dt, B, C = self.x_proj(u).split(self.split, -1)
        dt = F.softplus(self.dt_proj(dt))
        y = self.scan(u, dt, -torch.exp(self.A_log), B, C) + self.D * u
        return self.out_proj(y * F.silu(z))


class Layer(nn.Module):
    def __init__(self, sizes, scan):
        super().__init__()
        self.norm = RMSNorm(sizes.d_model)
        self.mixer = Mixer(sizes, scan)

    def forward(self, x):
        return x + self.mixer(self.norm(x))


class Forecaster(nn.Module):
    """(batch, length, features) to the head's values (batch, outputs)."""

    def __init__(self, sizes, scan=scan):
        super().__init__()
        self.input_proj = nn.Linear(sizes.n_features, sizes.d_model)
        self.layers = nn.ModuleList(Layer(sizes, scan) for _ in range(sizes.n_layers))
        self.norm_f = RMSNorm(sizes.d_model)
        self.head = nn.Linear(sizes.d_model, sizes.n_outputs)
        with torch.no_grad():
            self.input_proj.bias.zero_()
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()

    def forward(self, x):
        x = self.input_proj(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm_f(x[:, -1]))


def quantiles(raw, levels):
    """The head's values as quantiles that cannot cross: (batch, horizons, levels). The one of the
    level 0.5 is the median; outwards from it each adds or subtracts the softplus of its own."""
    raw = raw.unflatten(-1, (-1, len(levels)))
    anchor = levels.index(0.5)
    median, step = raw[..., anchor : anchor + 1], F.softplus(raw)
    above = median + step[..., anchor + 1 :].cumsum(-1)
    below = median - step[..., :anchor].flip(-1).cumsum(-1).flip(-1)
    return torch.cat([below, median, above], -1)


def pinball(outputs, targets, levels):
    """Mean pinball loss of quantiles (batch, horizons, levels) against (batch, horizons)."""
    error = targets[..., None] - outputs
    weight = error.new_tensor(levels)
    return torch.maximum(weight * error, (weight - 1.0) * error).mean()


def decays(name):
    """Whether weight decay applies by default: to matrices and convolutions alone."""
    spared = ("bias", "A_log", ".D", "norm.weight", "norm_f.weight")
    return not name.endswith(spared)


def adamw(model, learning_rate, weight_decay, decay="matrices"):
    """AdamW as mambafleet has it. `decay` is "matrices" or "all"."""
    fades = lambda name: decay == "all" or decays(name)
    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if fades(n)], "weight_decay": weight_decay},
        {"params": [p for n, p in named if not fades(n)], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), eps=1e-8)
