#!/usr/bin/env python3
"""A trainer for mambafleet's `command` backend: the same Mamba forecaster in PyTorch.

    pip install torch safetensors numpy

    [train]
    backend = "command"
    command = ["python3", "examples/pytorch/train.py", "examples/pytorch/mamba.py"]

docs/command-backend.md describes the protocol. The second file is named for the fingerprint alone:
symbols are trained anew when it changes. Training is as mambafleet's own: AdamW on shuffled batches,
a learning rate that rises and falls, clipped gradients, early stopping, and the best weights in the
end. The initial weights and the order of the samples are PyTorch's own, unless they are given:

    --init FILE     safetensors with all weights, which training starts from
    --order FILE    safetensors with `order` (epochs, samples): what each epoch goes through
"""

import argparse
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


def rate(step, total, settings):
    """The learning rate of a step: up within the warm-up, down or not after it."""
    peak, kind = settings["learning_rate"], settings["schedule"]
    warm = int(settings["warmup"] * total)
    cosine = lambda start, end, at: end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * at))
    fallen = min((step - warm) / max(total - warm, 1), 1.0)
    if kind == "one_cycle":
        low = 1.0 / 25.0
        return peak * (cosine(low, 1.0, step / warm) if step < warm else cosine(1.0, low * 1e-4, fallen))
    if step < warm:
        return peak * (step + 1) / (warm + 1)
    return peak * (1.0 if kind == "constant" else cosine(1.0, 0.1, fallen))


def train(request, given):
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
    init = given.init or request.get("init")
    if init:
        task.model.load_state_dict(load_file(init))
    orders = load_file(given.order)["order"] if given.order else None
    size, epochs = settings["batch_size"], settings["epochs"]
    per_step = size * settings["accumulate"]
    per_epoch = -(-len(inputs) // per_step)
    best, best_epoch, kept = math.inf, 0, None
    for epoch in range(1, epochs + 1):
        total = 0.0
        order = torch.randperm(len(inputs)) if orders is None else orders[epoch - 1]
        for index, chosen in enumerate(order.split(per_step)):
            now = rate((epoch - 1) * per_epoch + index, epochs * per_epoch, settings)
            for group in steps.param_groups:
                group["lr"] = now
            steps.zero_grad()
            for batch in chosen.split(size):
                loss = task.loss(inputs[batch], targets[batch])
                if not torch.isfinite(loss):
                    raise Refusal("diverged", f"the loss is {loss.item()} in epoch {epoch}")
                # A step follows the mean over all its samples.
                (loss * (len(batch) / len(chosen))).backward()
                total += loss.item() * len(batch)
            torch.nn.utils.clip_grad_norm_(task.model.parameters(), optimizer["grad_clip"])
            steps.step()
        validation = task.mean_loss(windows["validation.inputs"], windows["validation.targets"])
        if not math.isfinite(validation):
            raise Refusal("diverged", f"the validation loss is {validation} in epoch {epoch}")
        say("progress", epoch=epoch, train_loss=total / len(inputs), validation_loss=validation,
            learning_rate=now)
        if validation < best:
            best, best_epoch = validation, epoch
            kept = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
        elif epoch - best_epoch >= settings["patience"]:
            break
    save_file(kept, request["weights"])
    say("done", best_epoch=best_epoch, metrics={"validation_loss": best, "torch": torch.__version__})


def predict(request, _given):
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
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--init", metavar="FILE")
    parser.add_argument("--order", metavar="FILE")
    parser.add_argument("files", nargs="*", help="not read; they are part of the fingerprint")
    given = parser.parse_args()
    say("hello", name="train.py", version=f"torch-{torch.__version__}")
    requests = queue.Queue()
    threading.Thread(target=listen, args=(requests,), daemon=True).start()
    while True:
        request = json.loads(requests.get())
        try:
            if request["mambafleet"] != PROTOCOL:
                raise Refusal("other", f"protocol {request['mambafleet']} is not spoken here")
            {"train": train, "predict": predict}[request["type"]](request, given)
        except Refusal as refusal:
            say("error", kind=refusal.kind, message=str(refusal))
        except Exception as error:
            say("error", kind="other", message=f"{type(error).__name__}: {error}")
            raise


if __name__ == "__main__":
    main()
