"""Runs the programs and takes their measure. What is found is plain data, which `document` makes tables of."""
import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request

import reads

FOLDER = "target/performance"
FIGURES = f"{FOLDER}/figures.json"
PROGRAM = os.path.abspath("target/release/lineaged")
EXAMPLE = os.path.abspath("target/release/examples/performance")
SOURCES_PER_MODEL = 1
LATENCY = 100
# The pace is a promise to the platform and no work: at these sizes it would hide everything else.
PACE = 100_000
# The reads are measured on the largest size up to this one.
LARGEST_READ = 10_000
# The queries that read nodes in full, in contrast to those that ask for stamps and ids.
PAGES = r"Applied\w+|Definition(?!Ids|Lineage)\w+"
COUNTERS = ("cpu", "fetch_cpu", "insert_cpu", "wall", "memory", "read", "written", "requests", "bytes", "misses")


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def everything(sizes, is_quick, sample):
    """All figures, by what they are of."""
    began = time.time()
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    say("building")
    subprocess.run(["cargo", "build", "--release", "--bin", "lineaged", "--example", "performance"], check=True)
    name = os.path.basename(os.path.normpath(sample)) if sample else None
    figures = {"machine": machine(), "command": command(sample, name)}
    figures["sample"] = f"`{name}`, a folder of dbt artifacts" if name else "the project that `lineaged demo` shows"
    figures["environments"] = []
    read_at = max([size for size in sizes if size <= LARGEST_READ], default=min(sizes))
    for size in sizes:
        for shape in ("wide", "deep"):
            with Api(size, shape, sample) as api:
                found = Syncs(api, rounds_of(size, shape, is_quick)).measured(size == max(sizes) and size > LARGEST_READ)
                figures["environments"].append(found)
                if shape == "wide" and size == read_at:
                    figures["reads"] = reads.measured(api, 1 if is_quick else 5)
    dist = "target/dist/lineaged"
    figures["program"] = os.path.getsize(dist) if os.path.exists(dist) else None
    figures["seconds"] = time.time() - began
    return figures


def rounds_of(size, shape, is_quick):
    if is_quick or size > 20_000:
        return 1
    return 5 if size <= 2_000 else 3 if shape == "wide" else 2


def command(sample, name):
    return " ".join(["python3", "benches/performance.py", *(name if word == sample else word for word in sys.argv[1:])])


def machine():
    def first(path, pattern):
        with open(path) as file:
            found = re.search(pattern, file.read(), re.M)
        return found.group(1).strip() if found else "unknown"

    output = lambda *words: subprocess.run(words, capture_output=True, text=True).stdout.strip()
    return {
        "processor": first("/proc/cpuinfo", r"^model name\s*: (.*)$"),
        "cores": os.cpu_count(),
        "memory": int(first("/proc/meminfo", r"^MemTotal:\s*(\d+)")) // 1024,
        "system": f"{platform.system()} {platform.release()}",
        "rust": output("rustc", "--version"),
        "python": platform.python_version(),
        "commit": output("git", "rev-parse", "--short", "HEAD"),
        "at": f"{datetime.date.today():%Y-%m-%d}",
    }


class Api:
    """The grown project, served from memory by a process of its own."""

    def __init__(self, size, shape, sample):
        self.size, self.shape, self.sample = size, shape, sample

    def __enter__(self):
        say(f"growing to {self.size} models, {self.shape}")
        options = ["--models", str(self.size), "--sources", str(SOURCES_PER_MODEL)]
        options += ["--deep"] if self.shape == "deep" else []
        options += ["--sample", self.sample] if self.sample else []
        self.process = subprocess.Popen([EXAMPLE, "serve", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the API did not start")
        self.url = json.loads(line)["url"]
        self.folder = f"{FOLDER}/{self.shape}-{self.size}"
        os.makedirs(self.folder)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        shutil.rmtree(self.folder)

    def control(self, **what):
        """Changes what is served, and tells what was asked since the last reset."""
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/control", json.dumps(what).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def asked(self):
        """Of the requests since the last reset: how many stand one behind another, and how many were pages of nodes."""
        with urllib.request.urlopen(f"{self.url}/asked") as answer:
            bodies = [json.loads(body) for body in json.load(answer)]
        lists = [json.dumps([body["query"], {**body["variables"], "after": None}], sort_keys=True) for body in bodies]
        pages = [name for body in bodies for name in re.findall(r"query (\w+)", body["query"]) if re.match(PAGES, name)]
        return {"chain": max(map(lists.count, set(lists)), default=0), "pages": len(pages)}


def measured(command, folder, api=None):
    """Runs a command to its end: CPU, time, memory, bytes through the file system; and what it asked the API for."""
    if api:
        api.control(reset=True)
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    printed = process.stdout.read().decode()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with open(f"/proc/{process.pid}/io") as file:
        io = dict(line.split(": ") for line in file.read().splitlines())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):
        raise SystemExit(f"{command} failed with {process.returncode}:\n{printed}")
    found = {
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.monotonic() - began,
        "memory": usage.ru_maxrss / 1024,
        "read": int(io["rchar"]),
        "written": int(io["wchar"]),
        "printed": printed,
    }
    return {**found, **(api.control() if api else {})}


def middle(rounds):
    """The median of each figure over the rounds."""
    present = [name for name in COUNTERS if name in rounds[0]]
    return {name: statistics.median(one[name] for one in rounds) for name in present}


class Syncs:
    """Everything that is written, in one environment, in turns."""

    def __init__(self, api, rounds):
        self.api, self.rounds = api, rounds
        self.catalog = f"{api.folder}/catalog.db"
        write_config(api)

    def measured(self, is_largest):
        api = self.api
        say("filling the memory")
        self.first()
        found = {"size": api.size, "shape": api.shape, "rounds": self.rounds, **self.counts()}
        self.floor()
        self.script()
        if api.shape == "wide":
            self.later()
        steps = ["first", "floor", "script"] + (["unchanged", "full", "changed"] if api.shape == "wide" else [])
        rounds = [self.one_round(number, steps) for number in range(self.rounds)]
        found["steps"] = {name: middle([one[name] for one in rounds]) for name in steps}
        if api.shape == "wide":
            found["late"] = self.late(["first"] if is_largest else ["first", "unchanged", "full", "changed"])
        return found

    def one_round(self, number, steps):
        say(f"round {number + 1} of {self.rounds}")
        found = {"first": self.first(), "floor": self.floor(), "script": self.script()}
        if "changed" in steps:
            found.update(self.later())
        missed = [name for name, step in found.items() if step.get("misses")]
        if missed:
            say(f"the memory had to be filled during {', '.join(missed)}: the time of these is not theirs alone")
        return found

    def late(self, steps):
        """The same with a latency. The first sync comes again, since the catalog has seen what changed."""
        say(f"{LATENCY} ms a request")
        self.api.control(latency=LATENCY)
        found = {"first": self.first()}
        found["first"].update(self.api.asked())
        found.update(self.later() if "changed" in steps else {})
        self.api.control(latency=0)
        return {name: {key: one[key] for key in one if key != "printed"} for name, one in found.items()}

    def sync(self, *options):
        return measured([PROGRAM, "sync", *options], self.api.folder, self.api)

    def first(self):
        remove_catalog(self.catalog)
        return self.sync()

    def later(self):
        found = {"unchanged": middle([self.sync() for _ in range(3)]), "full": self.sync("--full")}
        self.api.control(state="changed")
        found["changed"] = self.sync()
        self.api.control(state="first")
        return found

    def floor(self):
        """Replays what the first sync asked for; it measures itself, since it first takes the rows from the catalog."""
        new = f"{self.api.folder}/floor.db"
        remove_catalog(new)
        found = measured([EXAMPLE, "floor", self.api.url, self.catalog, new], None)
        os.remove(new)
        return json.loads(found["printed"])

    def script(self):
        new = f"{self.api.folder}/script.db"
        remove_catalog(new)
        script = os.path.abspath("benches/script.py")
        asked = [sys.executable, script, f"{self.api.url}/graphql", "token", "1", os.path.abspath(new)]
        found = measured(asked, None, self.api)
        os.remove(new)
        return found

    def counts(self):
        """How large the environment is, as the contract tells it."""
        with contextlib.closing(sqlite3.connect(self.catalog)) as catalog:
            count = lambda sql: catalog.execute(f"SELECT count(*) FROM {sql}").fetchone()[0]
            kinds = ("models", "tests", "sources")
            found = {kind: count(f"nodes WHERE resource_type = '{kind[:-1]}'") for kind in kinds}
            found["tests"] += count("nodes WHERE resource_type = 'unit_test'")
            found.update({view: count(view) for view in ("nodes", "edges", "columns", "lineage", "changes")})
            code = "SELECT sum(length(raw_code)), sum(length(compiled_code)) FROM code"
            found["code"] = sum(number or 0 for number in catalog.execute(code).fetchone())
        found["file"] = os.path.getsize(self.catalog)
        return found


def remove_catalog(path):
    for suffix in ("", "-wal", "-shm", ".lock"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path + suffix)


def write_config(api):
    path = f"{api.folder}/lineaged.toml"
    with open(path, "w") as file:
        file.write(
            f'[catalog]\npath = "catalog.db"\n[discovery]\nurl = "{api.url}/graphql"\ntoken = "token"\nrequests_per_minute = {PACE}\n'
            '[http]\nlisten = "127.0.0.1:0"\n[schedule]\ninterval = "24h"\n[[environments]]\nid = 1\nname = "prod"\n'
        )
    os.chmod(path, 0o600)
