#!/usr/bin/env python3
"""Write parity files: a model's inputs and weights with what PyTorch makes of them in double
precision, for `mambafleet backends check` to replay on any backend.

    pip install torch
    python parity.py DIR              writes NAME.safetensors for every case below
    python parity.py DIR --check      makes them anew and compares with those in DIR, to 1e-12

A file holds, in safetensors:

    input (B, L, F), target (B, O), param.<P>      float32
    f64.output (B, O), f64.loss, f64.grad.<P>      float64: forward and backward at param.<P>
    f64.after3.<P>                                 float64: after three AdamW steps on this batch

with <P> the names of mamba.py, and sizes and settings as texts in the header. The loss is the mean
squared error over all elements. AdamW has learning rate 1e-3, betas 0.9 and 0.999, epsilon 1e-8 and
a decoupled decay of 0.01, on every tensor or, where the text `decay` says "matrices", on matrices
and convolutions alone. Nothing is clipped.

The weights are not a model's initial ones: at those the scan moves the output by 1e-4, and a wrong
scan passes unnoticed. The last feature is tiny, so that some gradients are near AdamW's epsilon; some
of A_log is far from zero, so that its decay shows. All numbers come from Python's own generator,
which is the same everywhere. No size is a multiple of 8.
"""

import argparse
import json
import random
import struct
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from mamba import RMS_EPS, Forecaster, Sizes, adamw, scan

STEPS = 3
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
TINY = 2e-5  # scale of the last feature

# What `mambafleet backends check` allows single precision.
TOLERANCES = {"output": 2e-5, "loss": 2e-6, "gradient": 5e-5, "parameters": 5e-5}


def case(seed, batch, length, decay="all", **sizes):
    return {"seed": seed, "batch": batch, "length": length, "decay": decay, "sizes": Sizes(**sizes)}


CASES = {
    "one-layer": case(2, 3, 5, d_model=5, n_layers=1, d_state=3, d_conv=3, expand=2, dt_rank=1,
                      n_features=3, n_outputs=2),
    "two-layers": case(3, 5, 13, d_model=7, n_layers=2, d_state=5, d_conv=4, expand=2, dt_rank=3,
                       n_features=4, n_outputs=3),
    "three-layers": case(1, 2, 9, d_model=6, n_layers=3, d_state=1, d_conv=2, expand=3, dt_rank=5,
                         n_features=2, n_outputs=1),
    "many-windows": case(1, 11, 21, d_model=3, n_layers=1, d_state=19, d_conv=4, expand=3, dt_rank=3,
                         n_features=5, n_outputs=2),
    "wide": case(4, 3, 7, d_model=19, n_layers=1, d_state=17, d_conv=3, expand=2, dt_rank=7,
                 n_features=3, n_outputs=5),
    "one-step": case(1, 3, 1, d_model=5, n_layers=2, d_state=3, d_conv=3, expand=2, dt_rank=3,
                     n_features=3, n_outputs=2),
    "decay-on-matrices": case(6, 3, 5, "matrices", d_model=5, n_layers=2, d_state=7, d_conv=3,
                              expand=2, dt_rank=1, n_features=3, n_outputs=2),
}


def bounds(name):
    """The range that the values of a tensor are drawn from."""
    part = name.rsplit("mixer.")[-1]
    if part == "A_log":
        return -4.5, 0.7
    if part == "dt_proj.bias":
        return -1.0, 0.5
    if part in ("in_proj.weight", "x_proj.weight", "dt_proj.weight"):
        return -1.2, 1.2
    if part == "D":
        return -1.0, 1.0
    return (0.5, 1.5) if "norm" in part else (-0.7, 0.7)


def numbers(spec):
    """Input, target and weights of a case: numbers that float32 holds exactly."""
    generator, sizes = random.Random(spec["seed"]), spec["sizes"]

    def draw(shape, low, high):
        values = [generator.uniform(low, high) for _ in range(torch.Size(shape).numel())]
        return torch.tensor(values, dtype=torch.float32).reshape(shape)

    inputs = draw((spec["batch"], spec["length"], sizes.n_features), -1.5, 1.5)
    inputs[..., -1] *= TINY
    target = draw((spec["batch"], sizes.n_outputs), -1.5, 1.5)
    shapes = {name: tensor.shape for name, tensor in Forecaster(sizes).state_dict().items()}
    weights = {name: draw(shape, *bounds(name)) for name, shape in shapes.items()}
    return inputs, target, weights


def results(spec, dtype, scan=scan):
    """Output, loss, gradients and the parameters after the steps."""
    inputs, target, weights = numbers(spec)
    inputs, target = inputs.to(dtype), target.to(dtype)
    model = Forecaster(spec["sizes"], scan).to(dtype)
    model.load_state_dict(weights)
    optimizer = adamw(model, LEARNING_RATE, WEIGHT_DECAY, spec["decay"])
    found = {}
    for step in range(STEPS):
        optimizer.zero_grad()
        output = model(inputs)
        loss = (output - target).square().mean()
        loss.backward()
        if step == 0:
            found["output"], found["loss"] = output.detach(), loss.detach()
            # A convolution's padding may leave a tensor without a gradient; zero says the same.
            grads = {n: p.grad if p.grad is not None else torch.zeros_like(p)
                     for n, p in model.named_parameters()}
            found |= {f"grad.{name}": grad.clone() for name, grad in grads.items()}
        optimizer.step()
    found |= {f"after{STEPS}.{name}": p.detach() for name, p in model.named_parameters()}
    return {name: tensor.double() for name, tensor in found.items()}


def deviation(kind, found, reference):
    """How far a result is off, as `mambafleet backends check` measures it."""
    difference = found - reference
    if kind == "gradient":
        return (difference.norm() / reference.norm().clamp_min(1e-300)).item()
    return difference.abs().max().item()


def kind_of(name):
    kinds = {"grad": "gradient", f"after{STEPS}": "parameters"}
    return kinds.get(name.split(".")[0], name)


def examine(name, spec, reference):
    """Ends the program unless the case is fit to judge by: PyTorch's own single precision passes
    with room to spare, and a model without its scan fails by far."""
    rough = results(spec, torch.float32)
    for quantity, value in reference.items():
        kind = kind_of(quantity)
        off = deviation(kind, rough[quantity], value)
        if not off <= TOLERANCES[kind] / 2:
            sys.exit(f"{name}: {quantity} is off by {off:.1e} in float32: use another seed")
    without = results(spec, torch.float64, lambda u, dt, A, B, C: 0.0 * u)
    moved = deviation("output", without["output"], reference["output"])
    if not moved > 1000 * TOLERANCES["output"]:
        sys.exit(f"{name}: without its scan the output moves by {moved:.1e} only")
    return moved


def tensors(spec):
    """Everything that a file holds."""
    inputs, target, weights = numbers(spec)
    reference = results(spec, torch.float64)
    stored = {"input": inputs, "target": target}
    stored |= {f"param.{name}": tensor for name, tensor in weights.items()}
    return stored | {f"f64.{name}": tensor for name, tensor in reference.items()}, reference


def texts(spec):
    """Sizes and settings for the header."""
    sizes = asdict(spec["sizes"])
    return {
        "d_model": sizes["d_model"],
        "d_inner": spec["sizes"].d_inner,
        "d_state": sizes["d_state"],
        "d_conv": sizes["d_conv"],
        "dt_rank": sizes["dt_rank"],
        "n_layer": sizes["n_layers"],
        "n_features": sizes["n_features"],
        "n_out": sizes["n_outputs"],
        "seq_len": spec["length"],
        "batch": spec["batch"],
        "rms_eps": RMS_EPS,
        "steps": STEPS,
        "adamw": f"lr={LEARNING_RATE} betas=0.9,0.999 eps=1e-08 weight_decay={WEIGHT_DECAY}",
        "decay": spec["decay"],
        "seed": spec["seed"],
    }


def write(path, stored, header_texts):
    """A safetensors file whose bytes depend on the content alone."""
    codes = {torch.float32: ("F32", "f"), torch.float64: ("F64", "d")}
    header = {"__metadata__": {key: str(value) for key, value in header_texts.items()}}
    body = b""
    # Wide numbers first, so that every tensor is aligned.
    for name in sorted(stored, key=lambda name: (-stored[name].element_size(), name)):
        tensor = stored[name]
        dtype, code = codes[tensor.dtype]
        values = tensor.flatten().tolist()
        start = len(body)
        body += struct.pack(f"<{len(values)}{code}", *values)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [start, len(body)]}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)


def read(path):
    """The tensors of a safetensors file as flat lists, and its texts."""
    content = path.read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:end])
    header_texts = header.pop("__metadata__")
    found = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        code, size = {"F32": ("f", 4), "F64": ("d", 8)}[entry["dtype"]]
        data = content[end + start : end + stop]
        found[name] = entry["shape"], struct.unpack(f"<{len(data) // size}{code}", data)
    return found, header_texts


def check(path, stored, header_texts):
    """The largest difference between a file and what it should hold."""
    found, found_texts = read(path)
    if found_texts != {key: str(value) for key, value in header_texts.items()}:
        sys.exit(f"{path}: its texts are {found_texts}")
    if found.keys() != stored.keys():
        sys.exit(f"{path}: tensors differ: {sorted(found.keys() ^ stored.keys())}")
    worst = 0.0
    for name, (shape, values) in found.items():
        if shape != list(stored[name].shape):
            sys.exit(f"{path}: {name} has shape {shape}")
        pairs = zip(values, stored[name].flatten().tolist())
        difference = max(abs(a - b) for a, b in pairs)
        if not difference <= 1e-12:
            sys.exit(f"{path}: {name} differs by {difference:.1e}")
        worst = max(worst, difference)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("dir", type=Path, metavar="DIR")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.check:
        arguments.dir.mkdir(parents=True, exist_ok=True)
    for name, spec in CASES.items():
        stored, reference = tensors(spec)
        moved = examine(name, spec, reference)
        path = arguments.dir / f"{name}.safetensors"
        if arguments.check:
            worst = check(path, stored, texts(spec))
            print(f"{path}: as made now, to {worst:.1e}")
        else:
            write(path, stored, texts(spec))
            print(f"{path}: {path.stat().st_size} bytes; the scan moves the output by {moved:.2g}")


if __name__ == "__main__":
    main()
