"""What reading costs: the questions of docs/questions.md from cold processes, and every route under four clients."""
import contextlib
import http.client
import json
import multiprocessing
import re
import shlex
import signal
import sqlite3
import statistics
import subprocess
import threading
import time
import urllib.parse

import measure

CLIENTS = 4
# Seconds for which all clients ask for the same route before they go on to the next, and how often they come round without a sync.
SLICE = 0.05
TURNS = 16
# Seconds that `serve` is given to become quiet.
QUIET = 10
# What is asked beside each route's first page: `NODE` is the most used model.
FURTHER = ["/api/v1/changes?limit=100&unique_id=NODE", "/api/v1/changes?limit=100&since=1d", "/api/v1/nodes?limit=100&select=NODE%2B"]


def measured(api, rounds):
    measure.say("reads: making a history")
    catalog = f"{api.folder}/catalog.db"
    measure.remove_catalog(catalog)
    # A first time for the memory to be filled, a second time for the clients.
    write(api, ["first", "changed", "rerun"])
    measure.remove_catalog(catalog)
    write(api, ["first"])
    with contextlib.closing(sqlite3.connect(catalog)) as connection:
        names = chosen(connection)
    found = {"size": api.size, "node": names["NODE"], **served(api, names)}
    with contextlib.closing(sqlite3.connect(catalog)) as connection:
        count = lambda view: connection.execute(f"SELECT count(*) FROM {view}").fetchone()[0]
        found.update({view: count(view) for view in ("nodes", "lineage", "changes", "run_results")})
    found["questions"] = questions(api, names, rounds)
    api.control(state="first")
    return found


def write(api, states):
    for state in states:
        api.control(state=state)
        measure.measured([measure.PROGRAM, "sync"], api.folder, api)


def chosen(connection):
    """The model and the source on which the most stands, and a run."""
    most = "SELECT ancestor_id FROM lineage WHERE ancestor_id LIKE ? GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    first = lambda sql, *values: (connection.execute(sql, values).fetchone() or [""])[0]
    source = first(most, "source.%").split(".", 3)
    run = first("SELECT run_id FROM runs ORDER BY completed_at DESC LIMIT 1")
    node = first(most, "model.%")
    column = first("SELECT parent_column FROM column_lineage WHERE parent_id = ? GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1", node)
    columns = {
        name: f"{node}.{column}"
        for name in ("NODE.COLUMN", "raw_shop.payments.amount_cents", "stg_payments.amount")
    }
    return {**columns, " --fail-on exposure": "", "NODE": node, "source:raw_shop.orders": "source:" + ".".join(source[2:]), "run_id=N": f"run_id={run}"}


def named(text, names):
    for word, name in names.items():
        text = re.sub(rf"{re.escape(word)}\b", lambda _: name, text)
    return text


def questions(api, names, rounds):
    """Each question's commands, the median of some rounds each; those that are asked by HTTP are among the routes."""
    with open("docs/questions.md") as file:
        sections = re.findall(r"^## (\d+)\. (.*?)\n(.*?)(?=^## |\Z)", file.read(), re.M | re.S)
    found = []
    for number, question, text in sections:
        commands = re.search(r"```sh\n(.*?)```", text, re.S).group(1).splitlines()
        for command in (command for command in commands if command.startswith("lineaged ")):
            words = shlex.split(named(command, names))
            runs = [measure.measured([measure.PROGRAM, *words[1:]], api.folder) for _ in range(rounds)]
            one = {name: statistics.median(run[name] for run in runs) for name in ("cpu", "wall", "memory", "read")}
            found.append({"number": int(number), "question": question, "command": command, **one})
    return found


class Serve:
    """`lineaged serve`, beside which others sync."""

    def __init__(self, folder):
        self.folder, self.highest = folder, 0

    def __enter__(self):
        command = [measure.PROGRAM, "serve"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.address = next(self.addresses())
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        threading.Thread(target=self.watch, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def addresses(self):
        for line in self.process.stderr:
            address = json.loads(line).get("fields", {}).get("address")
            if address:
                yield address

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            found = re.search(r"^VmRSS:\s*(\d+)", file.read(), re.M)
        return int(found.group(1)) / 1024 if found else 0

    def watch(self):
        while self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.highest = max(self.highest, self.memory())
            time.sleep(0.05)


def served(api, names):
    """Latencies of every route, alone and while syncs write, and the memory that this takes."""
    with Serve(api.folder) as serve:
        routes = every_route(serve.address, names)
        time.sleep(QUIET)
        memory = {"rest": serve.memory()}
        measure.say(f"reads: {len(routes)} routes, {CLIENTS} clients, alone")
        alone = asked_until(serve.address, routes, lambda: time.sleep(SLICE * TURNS * len(routes)))
        measure.say("reads: the same while syncs write")
        beside = asked_until(serve.address, routes, lambda: write(api, ["changed", "rerun"]))
        memory["load"] = serve.highest
        time.sleep(QUIET)
        memory["after"] = serve.memory()
    latencies = [{"route": route, "alone": summary(alone[route]), "beside": summary(beside[route])} for route in routes]
    return {"routes": latencies, "memory": memory}


def every_route(address, names):
    """A GET of each path of the OpenAPI document, of each list the first hundred rows."""
    connection = http.client.HTTPConnection(address)
    connection.request("GET", "/openapi.json")
    paths = json.load(connection.getresponse())["paths"]
    routes = []
    for path, methods in paths.items():
        if "get" in methods:
            parameters = {parameter["name"] for parameter in methods["get"].get("parameters", [])}
            values = {"q": "customer", "limit": 100, "node": "NODE"}
            query = urllib.parse.urlencode({name: values[name] for name in values if name in parameters})
            path = path.replace("{unique_id}", "NODE").replace("{name}", names["NODE.COLUMN"].removeprefix(names["NODE"] + "."))
            routes.append(path + (f"?{query}" if query else ""))
    return [route.replace("NODE", urllib.parse.quote(names["NODE"])) for route in sorted(routes) + FURTHER]


def asked_until(address, routes, work):
    """Clients in processes of their own ask for one route after the other while this is done: milliseconds by route."""
    context = multiprocessing.get_context("fork")
    ended, results = context.Event(), context.SimpleQueue()
    clients = [context.Process(target=client, args=(address, routes, ended, results)) for _ in range(CLIENTS)]
    for process in clients:
        process.start()
    work()
    ended.set()
    found = {route: [] for route in routes}
    for _ in clients:
        for route, milliseconds in results.get():
            found[route].append(milliseconds)
    for process in clients:
        process.join()
    return found


def client(address, routes, ended, results):
    connection, found = http.client.HTTPConnection(address), []
    while not ended.is_set():
        began = time.perf_counter()
        route = routes[int(time.monotonic() / SLICE) % len(routes)]
        connection.request("GET", route)
        answer = connection.getresponse()
        answer.read()
        found.append((route, (time.perf_counter() - began) * 1000))
        if answer.status != 200:
            raise SystemExit(f"{route} was answered with {answer.status}")
    results.put(found)


def summary(milliseconds):
    milliseconds.sort()
    at = lambda share: milliseconds[min(len(milliseconds) - 1, int(len(milliseconds) * share))] if milliseconds else None
    return {"count": len(milliseconds), "p50": at(0.5), "p99": at(0.99)}
