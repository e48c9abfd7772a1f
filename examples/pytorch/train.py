#!/usr/bin/env python3
"""A trainer for mambafleet's `command` backend: the same Mamba forecaster in PyTorch.

    pip install torch safetensors numpy

    [train]
    backend = "command"
    command = ["python3", "examples/pytorch/train.py", "examples/pytorch/mamba.py"]

docs/command-backend.md describes the protocol. The second file is named for the fingerprint alone:
symbols are trained anew when it changes. Training is as mambafleet's own: AdamW on shuffled batches
with warm-up and a cosine, clipped gradients, early stopping, and the best weights in the end.
"""

import json
import math
import os
import queue
import sys
import threading

import torch
from safetensors.torch import load_file, save_file

from mamba import Forecaster, Sizes, adamw, pinball, quantiles

PROTOCOL = 1
CHUNK = 64  # windows that are forecast together


class Refusal(Exception):
    """What the program says in place of an answer."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def say(what, **members):
    print(json.dumps({"mambafleet": PROTOCOL, "type": what, **members}), flush=True)


class Task:
    """The model that a request describes, and how it is judged."""

    def __init__(self, model):
        spec, self.objective = model["spec"], model["objective"]
        self.levels = self.objective.get("levels")
        if self.objective["kind"] == "pinball":
            outputs = self.objective["horizons"] * len(self.levels)
        elif self.objective["kind"] == "mse":
            outputs = self.objective["targets"]
        else:
            raise Refusal("other", f"objective {self.objective['kind']!r} is not known here")
        self.model = Forecaster(Sizes(**spec, n_features=model["n_features"], n_outputs=outputs))

    def outputs(self, inputs):
        raw = self.model(inputs)
        return raw if self.levels is None else quantiles(raw, self.levels)

    def loss(self, inputs, targets):
        outputs = self.outputs(inputs)
        if self.levels is None:
            return (outputs - targets).square().mean()
        return pinball(outputs, targets, self.levels)

    @torch.no_grad()
    def forecast(self, inputs):
        """(windows, outputs). The last chunk is filled up, so that a window is always computed in
        the same way, whatever stands beside it."""
        parts = []
        for chunk in inputs.split(CHUNK):
            filled = inputs.new_zeros(CHUNK, *inputs.shape[1:])
            filled[: len(chunk)] = chunk
            parts.append(self.outputs(filled).flatten(1)[: len(chunk)])
        return torch.cat(parts)

    @torch.no_grad()
    def mean_loss(self, inputs, targets):
        parts = zip(inputs.split(CHUNK), targets.split(CHUNK))
        return sum(self.loss(x, y).item() * len(x) for x, y in parts) / len(inputs)


def rate(step, total, peak, warmup):
    """Linear warm-up, then half a cosine down to a tenth of the peak."""
    warm = int(warmup * total)
    if step < warm:
        return peak * (step + 1) / (warm + 1)
    done = min((step - warm) / max(total - warm, 1), 1.0)
    return peak * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * done)))


def train(request):
    job = request["job"]
    settings, optimizer = job["train"], job["optimizer"]
    torch.set_num_threads(job["threads"])
    torch.manual_seed(settings["seed"])
    windows = load_file(request["windows"])
    inputs, targets = windows["train.inputs"], windows["train.targets"]
    if len(inputs) == 0 or len(windows["validation.inputs"]) == 0:
        raise Refusal("data", "there are no windows to train on or to validate with")
    task = Task(job["model"])
    decay = optimizer.get("decay", "matrices")
    steps = adamw(task.model, settings["learning_rate"], optimizer["weight_decay"], decay)
    size, epochs = settings["batch_size"], settings["epochs"]
    per_epoch = -(-len(inputs) // size)
    best, best_epoch, kept = math.inf, 0, None
    for epoch in range(1, epochs + 1):
        total = 0.0
        for index, chosen in enumerate(torch.randperm(len(inputs)).split(size)):
            step = (epoch - 1) * per_epoch + index
            for group in steps.param_groups:
                group["lr"] = rate(step, epochs * per_epoch, settings["learning_rate"], settings["warmup"])
            steps.zero_grad()
            loss = task.loss(inputs[chosen], targets[chosen])
            if not torch.isfinite(loss):
                raise Refusal("diverged", f"the loss is {loss.item()} in epoch {epoch}")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(task.model.parameters(), optimizer["grad_clip"])
            steps.step()
            total += loss.item() * len(chosen)
        validation = task.mean_loss(windows["validation.inputs"], windows["validation.targets"])
        if not math.isfinite(validation):
            raise Refusal("diverged", f"the validation loss is {validation} in epoch {epoch}")
        say("progress", epoch=epoch, train_loss=total / len(inputs), validation_loss=validation)
        if validation < best:
            best, best_epoch = validation, epoch
            kept = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
        elif epoch - best_epoch >= settings["patience"]:
            break
    save_file(kept, request["weights"])
    say("done", best_epoch=best_epoch, metrics={"validation_loss": best, "torch": torch.__version__})


def predict(request):
    torch.set_num_threads(request["threads"])
    task = Task(request["model"])
    task.model.load_state_dict(load_file(request["weights"]))
    predictions = task.forecast(load_file(request["inputs"])["inputs"])
    save_file({"predictions": predictions.contiguous()}, request["predictions"])
    say("predicted")


def listen(requests):
    """Hands on what comes in, and ends the program with its input: nobody wants the result then."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def main():
    say("hello", name="train.py", version=f"torch-{torch.__version__}")
    requests = queue.Queue()
    threading.Thread(target=listen, args=(requests,), daemon=True).start()
    while True:
        request = json.loads(requests.get())
        try:
            if request["mambafleet"] != PROTOCOL:
                raise Refusal("other", f"protocol {request['mambafleet']} is not spoken here")
            {"train": train, "predict": predict}[request["type"]](request)
        except Refusal as refusal:
            say("error", kind=refusal.kind, message=str(refusal))
        except Exception as error:
            say("error", kind="other", message=f"{type(error).__name__}: {error}")
            raise


if __name__ == "__main__":
    main()
