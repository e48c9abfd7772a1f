"""Training steps in PyTorch: `torch_peer.py VARIANT MODEL`."""

import sys
from pathlib import Path

import torch

from serve import MODELS, serve

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "pytorch"))
import mamba  # noqa: E402


class Fused(torch.autograd.Function):
    """The scan with its gradient written out: no graph node for each operation, nothing larger than
    one time step but the states, everything in place."""

    @staticmethod
    def forward(ctx, u, dt, A, B, C):
        drive = dt * u
        h = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
        states, y = [h], []
        for t in range(u.shape[1]):
            decay = torch.exp(dt[:, t, :, None] * A)
            h = torch.addcmul(decay.mul_(h), drive[:, t, :, None], B[:, t, None, :])
            states.append(h)
            y.append(torch.bmm(h, C[:, t, :, None]))
        ctx.save_for_backward(u, dt, A, B, C)
        ctx.states = states
        return torch.cat(y, -1).transpose(1, 2)

    @staticmethod
    def backward(ctx, dy):
        u, dt, A, B, C = ctx.saved_tensors
        states, drive, dy = ctx.states, dt * u, dy.contiguous()
        adjoint, dA = torch.zeros_like(states[0]), torch.zeros_like(A)
        inputs, rates, dB, dC = [], [], [], []
        for t in range(u.shape[1] - 1, -1, -1):
            adjoint.addcmul_(dy[:, t, :, None], C[:, t, None, :])
            dC.append(torch.bmm(dy[:, t, None, :], states[t + 1]))
            dB.append(torch.bmm(drive[:, t, None, :], adjoint))
            inputs.append(torch.bmm(adjoint, B[:, t, :, None]))
            adjoint.mul_(torch.exp(dt[:, t, :, None] * A))
            # By dt * A, the exponent: the state before, faded, times its adjoint.
            exponent = adjoint * states[t]
            rates.append((exponent * A).sum(-1, keepdim=True))
            dA.add_(exponent.mul_(dt[:, t, :, None]).sum(0))
        whole = lambda parts, along: torch.cat(parts[::-1], along)
        inputs = whole(inputs, -1).transpose(1, 2)
        ddt = u * inputs + whole(rates, -1).transpose(1, 2)
        return dt * inputs, ddt, dA, whole(dB, 1), whole(dC, 1)


def parallel(u, dt, A, B, C):
    """As in mambapy, and in transformers on CPUs."""
    from mambapy.pscan import pscan

    decay = torch.exp(dt.unsqueeze(-1) * A)
    drive = dt.unsqueeze(-1) * B.unsqueeze(2) * u.unsqueeze(-1)
    return (pscan(decay, drive) @ C.unsqueeze(-1)).squeeze(3)


def agree(scan):
    """Ends the program unless a scan and its gradient are those of the plain loop."""
    torch.manual_seed(1)
    shapes = [(2, 16, 6), (2, 16, 6), (6, 4), (2, 16, 4), (2, 16, 4)]

    def run(scan):
        torch.manual_seed(2)
        u, dt, A, B, C = (torch.randn(shape) for shape in shapes)
        inputs = [x.requires_grad_() for x in (u, dt.abs(), -A.abs(), B, C)]
        y = scan(*inputs)
        return [y, *torch.autograd.grad(y.square().sum(), inputs)]

    for found, expected in zip(run(scan), run(mamba.scan)):
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-4):
            sys.exit(f"the scan is wrong by {(found - expected).abs().max().item():.1e}")


def main():
    variant, model_name = sys.argv[1:]
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    if variant.endswith("-flush"):
        torch.set_flush_denormal(True)
    scans = {
        "mambapy": parallel,
        "loop": mamba.scan,
        "fused": Fused.apply,
        "fused-flush": Fused.apply,
        "compiled-scan": torch.compile(mamba.scan),
        "compiled-fused": Fused.apply,
        "compiled-model": mamba.scan,
    }
    sizes = dict(MODELS[model_name])
    batch, length = sizes.pop("batch"), sizes.pop("length")
    if not variant.startswith("compiled"):
        agree(scans[variant])
    torch.manual_seed(1)
    model = mamba.Forecaster(mamba.Sizes(**sizes), scans[variant])
    forward = torch.compile(model) if variant in ("compiled-model", "compiled-fused") else model
    optimizer = mamba.adamw(model, 1e-3, 0.01)
    inputs = torch.randn(batch, length, sizes["n_features"])
    target = torch.randn(batch, sizes["n_outputs"])

    def step():
        optimizer.zero_grad()
        (forward(inputs) - target).square().mean().backward()
        optimizer.step()

    serve(step, f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
