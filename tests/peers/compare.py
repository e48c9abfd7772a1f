#!/usr/bin/env python3
"""Times one training step of ref-S and ref-M in mambafleet, PyTorch and JAX, one thread each.

Every peer is a process of its own on the same core. They all get ready first; then they take turns,
several rounds, so that whatever the machine does meanwhile strikes all alike. The figures are medians
over the rounds; ratios are to mambafleet's own. A peer that cannot be had or does not get ready in
time is listed with the reason."""

import argparse
import json
import os
import platform
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PEERS = {
    "mambafleet": None,
    "PyTorch, parallel scan (mambapy)": ["torch_peer.py", "mambapy"],
    "PyTorch, plain loop": ["torch_peer.py", "loop"],
    "PyTorch, custom autograd function": ["torch_peer.py", "fused"],
    "  and denormals flushed": ["torch_peer.py", "fused-flush"],
    "PyTorch, torch.compile of the scan": ["torch_peer.py", "compiled-scan"],
    "PyTorch, torch.compile around the custom function": ["torch_peer.py", "compiled-fused"],
    "PyTorch, torch.compile of the model": ["torch_peer.py", "compiled-model"],
    "JAX, lax.scan": ["jax_peer.py"],
}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


class Peer:
    """A process that takes training steps when it is told to."""

    def __init__(self, name, command, log, patience):
        self.name, self.rounds, self.log = name, [], log
        self.versions = self.first_step = self.failure = None
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("w"),
            env=os.environ | ONE_THREAD, text=True, bufsize=1)
        ready = self.answer(patience)
        if ready:
            self.versions, self.first_step = ready["ready"], ready["first_step_s"]

    def answer(self, patience):
        """The next line, or None and the reason in `failure`."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                line = self.process.stdout.readline()
                if line.startswith("{"):
                    return json.loads(line)
                if not line:
                    last = self.log.read_text().strip().splitlines() or ["no message"]
                    self.fail(f"ended with {self.process.wait()}: {last[-1]}")
                    return None
        self.fail(f"no answer within {patience:.0f} s")
        return None

    def fail(self, reason):
        self.failure = reason
        self.process.kill()

    def run(self, seconds, patience):
        if self.failure is None:
            self.process.stdin.write(f"{seconds}\n")
            report = self.answer(patience)
            if report:
                self.rounds.append(report)

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def result(self):
        median = lambda key: statistics.median(r[key] for r in self.rounds) if self.rounds else None
        return {"peer": self.name.strip(), "versions": self.versions, "first_step_s": self.first_step,
                "wall_ms": median("wall_ms"), "cpu_ms": median("cpu_ms"), "rounds": self.rounds,
                "failure": self.failure}


def measure(model, arguments):
    """The results of all peers on one model."""
    peers = []
    for name, script in PEERS.items():
        if arguments.only and not any(word in name for word in arguments.only):
            continue
        command = [arguments.ours, model] if script is None else [
            sys.executable, str(HERE / script[0]), *script[1:], model]
        log = arguments.logs / f"{model}-{len(peers)}.log"
        print(f"{model}: getting {name.strip()} ready", file=sys.stderr, flush=True)
        peers.append(Peer(name, command, log, arguments.patience))
    for index in range(arguments.rounds):
        print(f"{model}: round {index + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        for peer in peers:
            peer.run(arguments.seconds, arguments.patience)
    for peer in peers:
        peer.end()
    return [(peer.name, peer.result()) for peer in peers]


def table(model, results):
    """The results of one model as lines."""
    ours = next((r for name, r in results if name == "mambafleet"), None)
    lines = [f"{model:52}{'CPU MS':>10}{'WALL MS':>10}{'RATIO':>9}{'FIRST STEP':>12}"]
    for name, result in results:
        if not result["rounds"]:
            lines.append(f"{name:52}  {result['failure']}")
            continue
        ratio = result["cpu_ms"] / ours["cpu_ms"] if ours and ours["cpu_ms"] else float("nan")
        lines.append(f"{name:52}{result['cpu_ms']:10.1f}{result['wall_ms']:10.1f}{ratio:9.1f}"
                     f"{result['first_step_s']:10.1f} s")
    return "\n".join(lines)


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--ours", required=True, help="the program examples/step of backend-native")
    parser.add_argument("--out", type=Path, required=True, help="directory for results and logs")
    parser.add_argument("--models", nargs="+", default=["ref-S", "ref-M"])
    parser.add_argument("--only", nargs="+", help="peers whose names contain one of these words")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="least time per peer and round")
    parser.add_argument("--patience", type=float, default=600.0, help="longest wait for an answer, seconds")
    arguments = parser.parse_args()
    arguments.logs = arguments.out
    arguments.out.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    load = os.getloadavg()[0]
    report = {"schema": 1, "processor": processor(), "load_before": load, "models": {}}
    print(f"{report['processor']}, one core; load before: {load:.1f}")
    for model in arguments.models:
        results = measure(model, arguments)
        report["models"][model] = [result for _, result in results]
        print(f"\n{table(model, results)}", flush=True)
    path = arguments.out / "results.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nmedians of {arguments.rounds} rounds of at least {arguments.seconds:g} s, all threads of a "
          f"process; every round is in {path}")


if __name__ == "__main__":
    main()
