#!/usr/bin/env python3
"""A trainer for mambafleet's `command` backend that needs nothing but Python.

    mambafleet train --backend command --set 'train.command=["python3", "examples/command/linear.py"]'

Every quantile is a linear function of the last row of a window and of the window's mean, trained by
stochastic gradient descent on the pinball loss. docs/command-backend.md describes the protocol.
"""

import array
import json
import os
import random
import struct
import sys
import threading


def say(what, **members):
    print(json.dumps({"mambafleet": 1, "type": what, **members}), flush=True)


def read_arrays(path):
    """The arrays of a safetensors file of 32-bit floats: name -> (shape, values)."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            values = array.array("f", data[begin:end])
            if sys.byteorder == "big":
                values.byteswap()
            arrays[name] = (entry["shape"], values)
    return arrays


def write_arrays(path, arrays):
    header, body = {}, b""
    for name, (shape, values) in arrays.items():
        values = array.array("f", values)
        if sys.byteorder == "big":
            values.byteswap()
        end = len(body) + len(values) * 4
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), end]}
        body += values.tobytes()
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def rows(array):
    """What the model sees of each window: 1, the last row, the mean of all rows."""
    (samples, length, features), values = array
    size = length * features
    for start in range(0, samples * size, size):
        window = values[start : start + size]
        means = [sum(window[f::features]) / length for f in range(features)]
        yield [1.0, *window[size - features :], *means]


def forecast(weights, row):
    return [sum(w * x for w, x in zip(column, row)) for column in weights]


def pinball(level, error):
    return max(level * error, (level - 1.0) * error)


def ascending(outputs, levels):
    """Quantiles that cross are put in order, horizon by horizon."""
    return [q for h in range(0, len(outputs), levels) for q in sorted(outputs[h : h + levels])]


def loss(weights, samples, levels):
    total = 0.0
    for row, targets in samples:
        outputs = ascending(forecast(weights, row), len(levels))
        for i, output in enumerate(outputs):
            total += pinball(levels[i % len(levels)], targets[i // len(levels)] - output)
    return total / (len(samples) * len(weights))


def part(arrays, name):
    (samples, horizons), targets = arrays[name + ".targets"]
    pairs = zip(rows(arrays[name + ".inputs"]), range(samples))
    return [(row, targets[i * horizons : (i + 1) * horizons]) for row, i in pairs]


def train(request):
    job = request["job"]
    arrays = read_arrays(request["windows"])
    levels = job["model"]["objective"]["levels"]
    training, validation = part(arrays, "train"), part(arrays, "validation")
    width, horizons = len(training[0][0]), len(training[0][1])
    # The start is the quantiles of the training targets, the same for every window.
    weights = []
    for h in range(horizons):
        ordered = sorted(targets[h] for _, targets in training)
        for level in levels:
            weights.append([ordered[int(level * (len(ordered) - 1))]] + [0.0] * (width - 1))
    order, numbers = list(training), random.Random(job["train"]["seed"])
    best, best_epoch, best_loss = weights, 0, float("inf")
    for epoch in range(1, job["train"]["epochs"] + 1):
        numbers.shuffle(order)
        total = 0.0
        rate = job["train"]["learning_rate"] * 10 / epoch**0.5
        for row, targets in order:
            for i, column in enumerate(weights):
                level = levels[i % len(levels)]
                error = targets[i // len(levels)] - sum(w * x for w, x in zip(column, row))
                total += pinball(level, error)
                step = rate * (level if error > 0 else level - 1.0)
                weights[i] = [w + step * x for w, x in zip(column, row)]
        validated = loss(weights, validation, levels)
        train_loss = total / (len(order) * len(weights))
        say("progress", epoch=epoch, train_loss=train_loss, validation_loss=validated, learning_rate=rate)
        if validated < best_loss:
            best, best_epoch, best_loss = list(weights), epoch, validated
        elif epoch - best_epoch >= job["train"]["patience"]:
            break
    flat = [w for column in best for w in column]
    write_arrays(request["weights"], {"weights": ([len(best), width], flat)})
    say("done", best_epoch=best_epoch, metrics={"validation_loss": best_loss})


def predict(request):
    (outputs, width), flat = read_arrays(request["weights"])["weights"]
    weights = [flat[i * width : (i + 1) * width] for i in range(outputs)]
    levels = len(request["model"]["objective"]["levels"])
    inputs = read_arrays(request["inputs"])["inputs"]
    made = [q for row in rows(inputs) for q in ascending(forecast(weights, row), levels)]
    write_arrays(request["predictions"], {"predictions": ([request["samples"], outputs], made)})
    say("predicted")


def main():
    say("hello", name="linear.py", version="1")

    def work(request):
        try:
            {"train": train, "predict": predict}[request["type"]](request)
        except Exception as error:
            say("error", kind="other", message=f"{type(error).__name__}: {error}")
            raise

    # Work happens in a thread of its own, so that the end of standard input is noticed.
    for line in sys.stdin:
        threading.Thread(target=work, args=(json.loads(line),), daemon=True).start()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
