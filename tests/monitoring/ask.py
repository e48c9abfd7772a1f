"""What tests/monitoring/run asks: of a run, of Prometheus, of the dashboard."""

import json
import pathlib
import re
import socket
import sys
import time
import urllib.parse
import urllib.request

PATIENCE = 60  # seconds


def until(attempt, what):
    """The first answer that is not None."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = attempt()
        if answer is not None:
            return answer
        time.sleep(0.1)
    sys.exit(f"waited {PATIENCE} s in vain for {what}")


def address(events):
    """Where a run can be asked, from its first line."""

    def first():
        line = pathlib.Path(events).read_text().split("\n")[0:2]
        return json.loads(line[0])["url"] if len(line) > 1 else None

    print(until(first, "the first line"))


def port():
    """A port that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        print(free.getsockname()[1])


def fetch(url):
    with urllib.request.urlopen(url) as answer:
        sys.stdout.write(answer.read().decode())


def query(base, expression):
    """The samples that Prometheus has for an expression; None while it is not up."""
    url = f"{base}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(url) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{expression}\n{error.read().decode()}")
    except OSError:
        return None


def wait(base, expression):
    result = until(lambda: query(base, expression) or None, expression)
    print(f"{len(result)} series: {expression}")


def value(base, expression):
    result = until(lambda: query(base, expression) or None, expression)
    print(result[0]["value"][1])


# What has nothing to show in a fleet that trained a minute ago and had no accident.
QUIET = re.compile(r"cause\) \(increase|_worker_memory_bytes")


def every(base, examples):
    examples = pathlib.Path(examples)
    dashboard = json.loads((examples / "grafana-dashboard.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)), "two panels have the same id"
    seen = empty = 0
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$fleet", ".*").replace("$__rate_interval", "1m")
            assert "$" not in expression, expression
            result = query(base, expression)
            seen += 1
            if not result:
                empty += 1
                assert QUIET.search(expression), f"{panel['title']}: nothing for {expression}"
            names = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            for series in result or []:
                lacking = names - series["metric"].keys()
                assert not lacking, f"{panel['title']}: no label {lacking} in {series['metric']}"
    print(f"dashboard: {seen} expressions in {len(ids)} panels, {empty} without data")
    with urllib.request.urlopen(f"{base}/api/v1/rules") as answer:
        groups = json.load(answer)["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    for rule in rules:
        assert rule["health"] == "ok", rule
    print(f"rules: {len(rules)} evaluated without an error")


globals()[sys.argv[1]](*sys.argv[2:])
