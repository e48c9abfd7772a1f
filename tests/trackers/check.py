"""Real runs with TensorBoard and MLflow: what each of them knows in the end. The argument is the program."""

import contextlib
import json
import math
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"

from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
TASK = """
[data.synthetic]
bars = 400
[run]
parallel = 2
retries = 1
backoff = "10ms"
[task]
lookback = 8
horizons = [1, 3]
[model]
d_model = 8
n_layers = 1
d_state = 4
[train]
epochs = {epochs}
patience = {epochs}
batch_size = 32
[observe]
report = false
tensorboard = true
mlflow = "{url}"
mlflow_experiment = "nightly & more"
mlflow_timeout = "{timeout}"
"""
EPOCHS = 3


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def until(what, found, seconds=120):
    """The first result that is something; nothing that may not be there yet is an error."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            if result := found():
                return result
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def end(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def serving(command, ready):
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        until(ready, lambda: get(ready))
        yield process
    except AssertionError:
        log.seek(0)
        sys.stderr.write(log.read().decode(errors="replace"))
        raise
    finally:
        end(process)


def mlflow_server(directory, port, prefix=""):
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{directory}/mlflow.db"]
    command += ["--artifacts-destination", f"{directory}/artifacts"]
    command += ["--static-prefix", prefix] if prefix else []
    return serving(command, f"http://127.0.0.1:{port}{prefix}/health")


class Place:
    """A directory with a configuration, and a store."""

    def __init__(self, url, epochs=EPOCHS, timeout="30s"):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mambafleet-trackers-"))
        text = TASK.format(epochs=epochs, url=url, timeout=timeout)
        (self.dir / "mambafleet.toml").write_text(text)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            shutil.rmtree(self.dir)
        else:
            print(f"kept: {self.dir}", file=sys.stderr)

    def start(self, args):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAMBAFLEET_")}
        return subprocess.Popen(
            [PROGRAM, *args.split()], cwd=self.dir, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    def run(self, args, code):
        return self.ended(self.start(args), code)

    def ended(self, process, code):
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == code, (process.returncode, stdout, stderr)
        return stdout, stderr

    def record(self):
        return max(path for path in (self.dir / "mambafleet-store/runs").iterdir() if path.is_dir())

    def events(self, kind):
        lines = (self.record() / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["type"] == kind]

    def generation(self, symbol_dir):
        found = (self.dir / "mambafleet-store/symbols" / symbol_dir).glob("0*")
        return max(found)

    def metrics(self, symbol_dir):
        return json.loads((self.generation(symbol_dir) / "metrics.json").read_text())


def warnings(stderr):
    return [line for line in stderr.splitlines() if "WARN" in line or "warning" in line]


def close(found, expected):
    return math.isclose(found, expected, rel_tol=1e-6)


def expected_finals(metrics):
    headline = metrics["headline"]
    test, baseline = headline["test_loss"], headline["baseline_loss"]
    return {
        "loss/test": test,
        "loss/baseline": baseline,
        "loss/best_validation": headline["best_validation_loss"],
        "skill": 1 - test / baseline,
    }


LOSSES = {"loss/train": "train_loss", "loss/validation": "validation_loss"}
PARTS = {*LOSSES, "samples_per_second"}


def expected_epochs(place, symbol, symbol_dir, tag):
    """Steps and values: losses as the generation has them, the speed as the run's record has it."""
    if field := LOSSES.get(tag):
        return [(epoch["epoch"], epoch[field]) for epoch in place.metrics(symbol_dir)["epochs"]]
    events = [event for event in place.events("progress") if event["symbol"] == symbol]
    return [(event["epoch"], event[tag]) for event in events]


def check_tensorboard_files(place, symbols):
    logdir = place.record() / "tensorboard"
    assert sorted(path.name for path in logdir.iterdir()) == sorted(symbols.values())
    for symbol, symbol_dir in symbols.items():
        metrics = place.metrics(symbol_dir)
        accumulator = EventAccumulator(str(logdir / symbol_dir))
        accumulator.Reload()
        tags = accumulator.Tags()
        finals = expected_finals(metrics)
        assert set(tags["scalars"]) == PARTS | set(finals), tags
        for tag in PARTS:
            found = [(scalar.step, scalar.value) for scalar in accumulator.Scalars(tag)]
            wanted = expected_epochs(place, symbol, symbol_dir, tag)
            assert [step for step, _ in found] == [step for step, _ in wanted], (tag, found, wanted)
            assert all(close(f[1], w[1]) for f, w in zip(found, wanted)), (tag, found, wanted)
        for tag, value in finals.items():
            (found,) = accumulator.Scalars(tag)
            assert found.step == len(metrics["epochs"]) and close(found.value, value), (tag, found)
        texts = {tag: accumulator.Tensors(tag) for tag in tags["tensors"]}
        assert set(texts) == {"settings", "outcome"}, texts
        settings = texts["settings"][0].tensor_proto.string_val[0].decode()
        assert f"| train.epochs | {EPOCHS} |" in settings, settings
    print("EventAccumulator: every scalar has its steps and values")


def check_tensorboard(place, symbol_dirs):
    logdir, port = place.record() / "tensorboard", free_port()
    url = f"http://127.0.0.1:{port}/data"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--host", "127.0.0.1"]
    with serving([*command, "--port", str(port)], f"{url}/environment"):
        def tags():
            found = json.loads(get(f"{url}/plugin/scalars/tags"))
            return found if set(found) == set(symbol_dirs) and all(
                "skill" in found[run] for run in found
            ) else None
        found = until("TensorBoard's tags", tags)
        assert all(PARTS <= set(tags) for tags in found.values()), found
        for run in symbol_dirs:
            query = urllib.parse.urlencode({"run": run, "tag": "loss/validation"})
            scalars = json.loads(get(f"{url}/plugin/scalars/scalars?{query}"))
            assert [step for _, step, _ in scalars] == list(range(1, EPOCHS + 1)), scalars
        texts = json.loads(get(f"{url}/plugin/text/tags"))
        assert all(set(texts[run]) >= {"settings", "outcome"} for run in symbol_dirs), texts
        query = urllib.parse.urlencode({"run": symbol_dirs[0], "tag": "settings"})
        (text,) = json.loads(get(f"{url}/plugin/text/text?{query}"))
        assert "<table>" in text["text"], text
    print("tensorboard: serves the scalars and texts of", ", ".join(symbol_dirs))


def history(client, run, key):
    return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)]


def find_runs(client, record):
    """The run of the whole, and those nested in it by name."""
    experiment = client.get_experiment_by_name("nightly & more")
    ours = client.search_runs(
        [experiment.experiment_id], f"tags.`mambafleet.run` = '{record.name}'", max_results=1000
    )
    (parent,) = [run for run in ours if "mlflow.parentRunId" not in run.data.tags]
    nested = {run.info.run_name: run for run in ours if run is not parent}
    assert len(nested) == len(ours) - 1, ours
    assert all(
        run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in nested.values()
    )
    return parent, nested


def check_mlflow(client, place, symbols):
    record = place.record()
    parent, nested = find_runs(client, record)
    assert parent.info.run_name == record.name and parent.info.status == "FAILED", parent
    assert parent.data.params["run.symbols"] == "3" and parent.data.params["run.parallel"] == "2"
    assert parent.data.params["train.epochs"] == str(EPOCHS) and "train.seed" not in parent.data.params
    assert parent.data.tags["mambafleet.record"] == str(record.resolve()), parent.data.tags
    assert parent.data.metrics["symbols/trained"] == 2 and parent.data.metrics["symbols/failed"] == 1
    assert set(nested) == {*symbols, "BAD"}, nested
    for symbol, symbol_dir in symbols.items():
        run, metrics = nested[symbol], place.metrics(symbol_dir)
        assert run.info.status == "FINISHED" and run.info.end_time >= run.info.start_time, run
        job = next(
            job for job in json.loads((record / "plan.json").read_text())["jobs"]
            if job["symbol"] == symbol
        )
        params = run.data.params
        for section in ("model", "train"):
            for name, value in job[section].items():
                found = params[f"{section}.{name}"]
                assert found == str(value) or float(found) == value, (name, found, value)
        assert params["task.horizons"] == "1, 3" and params["bars"] == "400", params
        for key in PARTS:
            wanted = expected_epochs(place, symbol, symbol_dir, key)
            found = history(client, run, key)
            assert found == wanted, (key, found, wanted)
        for key, value in expected_finals(metrics).items():
            assert history(client, run, key) == [(len(metrics["epochs"]), value)], (key, value)
        tags = run.data.tags
        directory = place.generation(symbol_dir).resolve()
        assert tags["mambafleet.generation_dir"] == str(directory), (tags, directory)
        assert str(directory) in tags["mlflow.note.content"]
        assert tags["mambafleet.outcome"] == "trained" and tags["mambafleet.generation"] == "1"
        assert tags["mlflow.source.name"] == "mambafleet train"
        assert run.data.metrics["commit/bytes"] > 0
    bad = nested["BAD"]
    assert bad.info.status == "FAILED" and bad.data.tags["mambafleet.failure"] == "data", bad
    assert "BAD" in bad.data.tags["mambafleet.cause"], bad.data.tags
    print("MLflow: experiment, runs, parameters, histories, tags and statuses are right")


def whole(directory):
    port, prefix = free_port(), "/tracking"
    url = f"http://127.0.0.1:{port}{prefix}"
    symbols = {"GOOD": "GOOD", "^GSPC": "%5EGSPC"}
    with mlflow_server(directory, port, prefix), Place(url) as place:
        place.run("data synth prices --symbols " + ",".join(symbols), 0)
        stdout, stderr = place.run("train --data prices --symbols BAD," + ",".join(symbols), 3)
        assert f"tensorboard: {place.record().resolve()}/tensorboard" in stdout, stdout
        assert not warnings(stderr), stderr
        check_tensorboard_files(place, symbols)
        check_tensorboard(place, list(symbols.values()))
        check_mlflow(MlflowClient(url), place, symbols)


LONG = 1500


def killed(directory):
    """The server is killed in mid-run."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with mlflow_server(directory, port) as server, Place(url, LONG, "2s") as place:
        training = place.start("train --symbols A,B")
        client = MlflowClient(url)

        def epochs():
            _, nested = find_runs(client, place.record())
            return history(client, nested["A"], "loss/train")

        until("an epoch in MLflow", epochs)
        end(server)
        before = len(place.events("progress"))
        _, stderr = place.ended(training, 0)
        assert before < len(place.events("progress")), "the run was over before the server was"
        (warning,) = warnings(stderr)
        assert f"MLflow at {url} did not get all of this run: " in warning, warning
        assert "cannot be reached: Connection refused" in warning, warning
        check_finished(place)
    print("a server killed in mid-run:", warning.strip())


def late(directory):
    """The server comes when the run goes on already, and gets everything, a failed attempt too."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Place(url, LONG, "120s") as place:
        training = place.start("train --symbols A,B")

        def worker():
            of_a = [e for e in place.events("progress") if e["symbol"] == "A"]
            starts = [e for e in place.events("attempt_started") if e["symbol"] == "A"]
            return starts[0]["pid"] if of_a else None

        os.kill(until("an epoch", worker), signal.SIGKILL)
        with mlflow_server(directory, port):
            _, stderr = place.ended(training, 0)
            assert not warnings(stderr), stderr
            parent, nested = find_runs(MlflowClient(url), place.record())
            check_late(MlflowClient(url), place, parent, nested)
        check_second_attempt(place)


def check_late(client, place, parent, nested):
    assert set(nested) == {"A", "A (attempt 2)", "B"}, nested
    failed = nested.pop("A")
    assert failed.info.status == "FAILED" and history(client, failed, "loss/train"), failed
    assert failed.data.tags["mambafleet.failure"] == "crashed", failed
    assert all(run.info.status == "FINISHED" for run in (parent, *nested.values())), nested
    for name, run in nested.items():
        symbol = run.data.tags["mambafleet.symbol"]
        wanted = expected_epochs(place, symbol, symbol, "loss/train")
        found = sorted(history(client, run, "loss/train"))
        assert found == wanted, (name, len(found), len(wanted))
    print(f"a server that comes late has all {2 * len(wanted)} epochs, and a failed attempt")


def check_second_attempt(place):
    """TensorBoard shows the epochs of the second attempt, each once."""
    logdir = place.record() / "tensorboard/A"
    assert len(list(logdir.iterdir())) == 2
    accumulator = EventAccumulator(str(logdir))
    accumulator.Reload()
    steps = [scalar.step for scalar in accumulator.Scalars("loss/train")]
    assert steps == list(range(1, len(steps) + 1)), steps
    assert len(steps) == len(place.metrics("A")["epochs"]), len(steps)
    print("EventAccumulator: a second attempt takes the place of the first")


def check_finished(place):
    (finished,) = place.events("run_finished")
    assert all(symbol["outcome"] == "trained" for symbol in finished["summary"]["symbols"])


for check in whole, killed, late:
    with tempfile.TemporaryDirectory(prefix="mambafleet-mlflow-") as directory:
        began = time.monotonic()
        check(directory)
        print(f"{check.__name__}: {time.monotonic() - began:.0f} s", flush=True)
