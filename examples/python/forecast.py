#!/usr/bin/env python3
"""Forecast with a generation that mambafleet committed, without mambafleet.

    pip install numpy safetensors
    python forecast.py STORE SYMBOL CSV

loads `STORE/symbols/SYMBOL/latest`, computes features of the CSV's newest bars, runs the Mamba
model in plain numpy and prints the quantiles that `mambafleet predict` prints.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

WARM_UP = 20  # rows before the volatility is defined
FLOOR = 1e-4  # smallest volatility


def read_bars(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    column = lambda name: np.array([float(row[name]) for row in rows])
    return [row["date"] for row in rows], {n: column(n) for n in ("open", "high", "low", "close", "volume")}


def trailing_volatility(close, halflife):
    """Exponentially weighted root mean square of the daily log returns up to each row."""
    returns = np.zeros_like(close)
    returns[1:] = np.log(close[1:] / close[:-1])
    decay = 2.0 ** (-1.0 / halflife)
    sigma = np.full_like(close, np.nan)
    variance = np.mean(returns[1 : WARM_UP + 1] ** 2)
    for t in range(WARM_UP, len(close)):
        if t > WARM_UP:
            variance = decay * variance + (1.0 - decay) * returns[t] ** 2
        sigma[t] = max(np.sqrt(variance), FLOOR)
    return sigma


def features(bars, sigma, names):
    """(rows, features) in the order of `names`; the first WARM_UP rows are not defined."""
    open_, high, low, close = (bars[n] for n in ("open", "high", "low", "close"))
    log_volume = np.log(1.0 + bars["volume"])
    back = lambda x, k: np.concatenate([np.full(k, np.nan), x[:-k]])
    usual = np.mean([back(log_volume, k) for k in range(1, 21)], axis=0)
    table = {
        "log_return": np.log(close / back(close, 1)) / sigma,
        "overnight_gap": np.log(open_ / back(close, 1)) / sigma,
        "intraday_return": np.log(close / open_) / sigma,
        "high_low_range": np.log(high / low) / (2.0 * np.sqrt(np.log(2.0))) / sigma,
        "volume_ratio": log_volume - usual,
        "log_volatility": np.log(sigma),
        "momentum_5": np.log(close / back(close, 5)) / (sigma * np.sqrt(5.0)),
        "momentum_20": np.log(close / back(close, 20)) / (sigma * np.sqrt(20.0)),
    }
    missing = [name for name in names if name not in table]
    if missing:
        raise SystemExit(f"this example does not compute {', '.join(missing)}")
    return np.stack([table[name] for name in names], axis=1)


def silu(x):
    return x / (1.0 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0.0, x)


def rms_norm(x, gain, eps=1e-5):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * gain


def mamba_block(w, x, spec):
    """One Mamba-1 mixer (Gu & Dao 2023) over a sequence of (length, d_model)."""
    length = len(x)
    d_inner, d_state, rank = spec["expand"] * spec["d_model"], spec["d_state"], spec["dt_rank"]
    branch, gate = np.split(x @ w["in_proj.weight"].T, 2, axis=1)
    taps = w["conv1d.weight"][:, 0, :]  # (d_inner, d_conv), the last tap on the current step
    padded = np.concatenate([np.zeros((spec["d_conv"] - 1, d_inner)), branch])
    u = sum(padded[k : k + length] * taps[:, k] for k in range(spec["d_conv"]))
    u = silu(u + w["conv1d.bias"])
    projected = u @ w["x_proj.weight"].T
    step, b, c = np.split(projected, [rank, rank + d_state], axis=1)
    dt = softplus(step @ w["dt_proj.weight"].T + w["dt_proj.bias"])
    a = -np.exp(w["A_log"])
    h = np.zeros((d_inner, d_state))
    y = np.empty_like(u)
    for t in range(length):
        h = np.exp(dt[t][:, None] * a) * h + (dt[t] * u[t])[:, None] * b[t]
        y[t] = h @ c[t] + w["D"] * u[t]
    return (y * silu(gate)) @ w["out_proj.weight"].T


def forward(weights, window, spec):
    """The head's raw values for one window of (lookback, features)."""
    w = {name: tensor.astype(np.float64) for name, tensor in weights.items()}
    x = window @ w["input_proj.weight"].T + w["input_proj.bias"]
    for layer in range(spec["n_layers"]):
        prefix = f"layers.{layer}."
        mixer = {n[len(prefix) + 6 :]: t for n, t in w.items() if n.startswith(prefix + "mixer.")}
        x = x + mamba_block(mixer, rms_norm(x, w[prefix + "norm.weight"]), spec)
    last = rms_norm(x[-1], w["norm_f.weight"])
    return w["head.weight"] @ last + w["head.bias"]


def sorted_quantiles(raw, levels):
    """Quantiles that cannot cross: the median, and softplus steps away from it."""
    middle = levels.index(0.5)
    out = np.empty(len(levels))
    out[middle] = raw[middle]
    for i in range(middle + 1, len(levels)):
        out[i] = out[i - 1] + softplus(raw[i])
    for i in range(middle - 1, -1, -1):
        out[i] = out[i + 1] - softplus(raw[i])
    return out


def forecast(store, symbol_dir, csv_path):
    generation = (Path(store) / "symbols" / symbol_dir / "latest").resolve()
    metadata = json.loads((generation / "metadata.json").read_text())
    weights = load_file(generation / "weights.safetensors")
    task, scaler = metadata["task"], metadata["scaler"]
    dates, bars = read_bars(csv_path)
    sigma = trailing_volatility(bars["close"], task["volatility_halflife"])
    table = features(bars, sigma, task["features"])
    scaled = (table - np.array(scaler["mean"])) / np.array(scaler["std"])
    window = scaled[-task["lookback"] :].astype(np.float32).astype(np.float64)
    levels = task["quantiles"]
    raw = forward(weights, window, metadata["model"]["spec"]).reshape(-1, len(levels))
    shrinkage = metadata.get("shrinkage", [])
    horizons = []
    for index, (horizon, row) in enumerate(zip(task["horizons"], raw)):
        quantiles = sorted_quantiles(row, levels)
        if index < len(shrinkage):
            # As much of the model as validation supports; the rest is the baseline's.
            spread, baseline = shrinkage[index]["spread"], np.array(shrinkage[index]["baseline"])
            quantiles = (1.0 - spread) * baseline + spread * quantiles
        returns = quantiles * sigma[-1] * np.sqrt(horizon)
        prices = bars["close"][-1] * np.exp(returns)
        horizons.append(
            {"horizon": horizon, "log_returns": returns.tolist(), "prices": prices.tolist()}
        )
    return {
        "symbol": metadata["symbol"],
        "generation": int(generation.name),
        "as_of": dates[-1],
        "close": bars["close"][-1],
        "levels": levels,
        "horizons": horizons,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("store", help="directory of the store")
    parser.add_argument("symbol", help="the symbol's directory below symbols/, such as AAPL")
    parser.add_argument("csv", help="file with date,open,high,low,close,volume")
    parser.add_argument("--format", choices=["human", "json"], default="human")
    args = parser.parse_args()
    result = forecast(args.store, args.symbol, args.csv)
    if args.format == "json":
        print(json.dumps(result, indent=2))
        return
    print(f"{result['symbol']}, generation {result['generation']}, close {result['close']} on {result['as_of']}")
    print("bars " + "".join(f"{'p%02d' % round(100 * q):>11}" for q in result["levels"]))
    for row in result["horizons"]:
        print(f"+{row['horizon']:<4}" + "".join(f"{price:11.4f}" for price in row["prices"]))


if __name__ == "__main__":
    main()
