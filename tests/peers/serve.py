"""What every peer does: warm up, then take steps for as long as it is told, and say what they took.

The line that comes in is a number of seconds; the line that goes out is JSON: `steps`, and `wall_ms`
and `cpu_ms` of one step (all threads of the process together)."""

import json
import sys
import time

# batch, length, features, d_model, layers, d_state, d_conv, expand, dt_rank, outputs
MODELS = {
    "ref-S": dict(batch=64, length=64, n_features=8, d_model=64, n_layers=2, d_state=16, d_conv=4,
                  expand=2, dt_rank=4, n_outputs=5),
    "ref-M": dict(batch=32, length=128, n_features=8, d_model=128, n_layers=4, d_state=16, d_conv=4,
                  expand=2, dt_rank=8, n_outputs=5),
}


def serve(step, versions):
    """Serves until the input ends. `step()` takes one and waits until it is done."""
    started = time.perf_counter()
    step()
    first = time.perf_counter() - started
    step()
    print(json.dumps({"ready": versions, "first_step_s": first}), flush=True)
    for line in sys.stdin:
        wall, cpu, steps = time.perf_counter(), time.process_time(), 0
        while steps == 0 or time.perf_counter() - wall < float(line):
            step()
            steps += 1
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        report = {"steps": steps, "wall_ms": 1e3 * wall / steps, "cpu_ms": 1e3 * cpu / steps}
        print(json.dumps(report), flush=True)
