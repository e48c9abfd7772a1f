"""Training steps in JAX with `lax.scan`: `jax_peer.py MODEL`."""

import os
import sys
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from serve import MODELS, serve  # noqa: E402

ROOT = Path(__file__).parents[2]


def scan(u, dt, A, B, C):
    def one(h, now):
        u, dt, B, C = now
        h = jnp.exp(dt[..., None] * A) * h + (dt * u)[..., None] * B[:, None, :]
        return h, jnp.einsum("bdn,bn->bd", h, C)

    start = jnp.zeros((u.shape[0], *A.shape), u.dtype)
    steps = [jnp.swapaxes(x, 0, 1) for x in (u, dt, B, C)]
    return jnp.swapaxes(jax.lax.scan(one, start, steps)[1], 0, 1)


def norm(x, gain):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5) * gain


def forward(weights, x, n_layers, dt_rank, d_state):
    x = x @ weights["input_proj.weight"].T + weights["input_proj.bias"]
    for layer in range(n_layers):
        get = lambda part: weights[f"layers.{layer}.mixer.{part}"]
        both = norm(x, weights[f"layers.{layer}.norm.weight"]) @ get("in_proj.weight").T
        u, z = jnp.split(both, 2, -1)
        taps = get("conv1d.weight")
        length, width = u.shape[1], taps.shape[-1]
        padded = jnp.pad(u, ((0, 0), (width - 1, 0), (0, 0)))
        u = sum(padded[:, k : k + length] * taps[:, 0, k] for k in range(width))
        u = jax.nn.silu(u + get("conv1d.bias"))
        dt, B, C = jnp.split(u @ get("x_proj.weight").T, [dt_rank, dt_rank + d_state], -1)
        dt = jax.nn.softplus(dt @ get("dt_proj.weight").T + get("dt_proj.bias"))
        y = scan(u, dt, -jnp.exp(get("A_log")), B, C) + get("D") * u
        x = x + (y * jax.nn.silu(z)) @ get("out_proj.weight").T
    return norm(x[:, -1], weights["norm_f.weight"]) @ weights["head.weight"].T + weights["head.bias"]


def loss(weights, x, target, *sizes):
    return jnp.mean((forward(weights, x, *sizes) - target) ** 2)


def agree():
    """Ends the program unless model and gradient are those of a parity file."""
    sys.path.insert(0, str(ROOT / "examples" / "pytorch"))
    import parity

    found, texts = parity.read(ROOT / "tests" / "parity" / "two-layers.safetensors")
    arrays = {name: np.array(values).reshape(shape) for name, (shape, values) in found.items()}
    part = lambda kind: {n[len(kind):]: a for n, a in arrays.items() if n.startswith(kind)}
    sizes = [int(texts[key]) for key in ("n_layer", "dt_rank", "d_state")]
    weights = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), part("param."))
    x, target = (jnp.asarray(arrays[name], jnp.float32) for name in ("input", "target"))
    grads = jax.grad(loss)(weights, x, target, *sizes)
    for name, expected in part("f64.grad.").items():
        off = np.linalg.norm(grads[name] - expected) / np.linalg.norm(expected)
        if not off < 1e-4:
            sys.exit(f"the gradient of {name} is off by {off:.1e}")


def main():
    agree()
    sizes = MODELS[sys.argv[1]]
    random = np.random.default_rng(1)
    normal = lambda *shape: jnp.asarray(random.normal(size=shape), jnp.float32)
    x = normal(sizes["batch"], sizes["length"], sizes["n_features"])
    target = normal(sizes["batch"], sizes["n_outputs"])
    sys.path.insert(0, str(ROOT / "examples" / "pytorch"))
    import mamba

    model = mamba.Forecaster(mamba.Sizes(**{k: v for k, v in sizes.items() if k not in ("batch", "length")}))
    weights = {n: jnp.asarray(p.detach().numpy()) for n, p in model.named_parameters()}
    fixed = (sizes["n_layers"], sizes["dt_rank"], sizes["d_state"])
    fades = {name: 0.01 if mamba.decays(name) else 0.0 for name in weights}

    @jax.jit
    def update(weights, first, second, count):
        value, grads = jax.value_and_grad(loss)(weights, x, target, *fixed)
        count = count + 1
        tree = jax.tree.map
        first = tree(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
        second = tree(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)
        a, b = 1e-3 / (1.0 - 0.9**count), jnp.sqrt(1.0 - 0.999**count)
        moved = tree(lambda w, m, v, fade: w * (1.0 - 1e-3 * fade) - a * m / (jnp.sqrt(v) / b + 1e-8),
                     weights, first, second, fades)
        return moved, first, second, count, value

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = [weights, zeros, zeros, jnp.float32(0)]

    def step():
        *state[:], value = update(*state)
        value.block_until_ready()

    serve(step, f"jax {jax.__version__}")


if __name__ == "__main__":
    main()
