"""Makes docs/performance.md and its plots of the figures."""
import os

import plot
import targets

MB = 1_000_000
STEPS = {
    "first": "first sync",
    "floor": "floor",
    "script": "script",
    "unchanged": "unchanged",
    "full": "full read, nothing changed",
    "changed": "1 % changed",
}


def write(figures, out):
    base = os.path.splitext(out)[0]
    plot.first_syncs(figures["environments"], f"{base}-first-sync.svg")
    plot.later_syncs(figures["environments"], f"{base}-later-syncs.svg")
    sections = [
        head(figures),
        targets.section(figures),
        environments(figures["environments"]),
        first_syncs(figures["environments"], os.path.basename(base)),
        later_syncs(figures["environments"], os.path.basename(base)),
        late(figures["environments"]),
        *reads(figures["reads"]),
        BENCHES,
    ]
    with open(out, "w") as file:
        file.write("\n\n".join(sections) + "\n")


def head(figures):
    machine = figures["machine"]
    return f"""# Performance

Made by `{figures['command']}` at {machine['commit']} on {machine['at']}, in {figures['seconds'] / 60:.0f} minutes; do not edit: the command
writes it anew. The machine: {machine['processor']}, {machine['cores']} cores, {machine['memory'] / 1000:.0f} GB, {machine['system']}; {machine['rust']},
Python {machine['python']}. Grown from {figures['sample']}.{figures.get('remark', '')}

Trust CPU seconds (user and system) and ratios within this page; other machines are faster or slower as a whole. Each figure is the median
of the rounds, in which the programs took turns. Answers came from memory, compressed, by a process of its own; the pace that lineaged
keeps as a promise to the platform (`discovery.requests_per_minute`) was lifted, since it is no work. What a process reads and writes is what
it passed to the file system, cached or not (`rchar`, `wchar`). Peak memory below some 30 MB can't be told.

- *floor* (`examples/performance/floor.rs`): the same requests by a bare client in the same chains, four at once, the answers parsed into plain
  structs; then the very rows that lineaged left, history, words and pairs included, inserted in the order of their keys in one durable transaction, indexes
  made after. It compares, proves, derives and checks nothing.
- *script* (`benches/script.py`): what one writes in an afternoon in Python: the lists into three tables, no history, no proof, no pairs,
  not half the fields."""


def table(names, rows):
    """Markdown; all but the first column stand to the right."""
    lines = [names, ["---"] + ["---:"] * (len(names) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def seconds(value):
    return number(value, 3 if value < 0.1 else 2 if value < 10 else 1)


def megabytes(value):
    return "" if value is None else number(value / MB, 1 if value < 100 * MB else 0)


def label(environment):
    return f"{environment['size']:,}, {environment['shape']}"


def environments(found):
    names = ["models, shape", "nodes", "tests", "sources", "edges", "columns", "pairs", "code, MB", "file, MB", "rounds"]
    rows = [
        [label(one), *(number(one[name]) for name in ("nodes", "tests", "sources", "edges", "columns", "lineage"))]
        + [megabytes(one["code"]), megabytes(one["file"]), one["rounds"]]
        for one in found
    ]
    return f"""## What was read

Copies of the sample, with 1.5 tests and one source for each model, 15 columns a model and code of real lengths. In the *wide* shape each copy
hangs to the first by three edges; in the *deep* one copies stand on one another in rows (of three copies, or of 500 models if these are more), so that many pairs are connected.

{table(names, rows)}"""


def first_syncs(found, base):
    names = ["models, shape", "program", "CPU, s", "to the floor", "µs a node", "wall, s", "memory, MB", "requests", "received, MB", "read, MB", "written, MB"]
    rows = []
    for one in found:
        for name in ("first", "floor", "script"):
            step = one["steps"][name]
            ratio = number(step["cpu"] / one["steps"]["floor"]["cpu"], 2)
            cells = [label(one), "lineaged" if name == "first" else name, seconds(step["cpu"]), ratio, number(step["cpu"] / one["nodes"] * 1e6)]
            cells += [seconds(step["wall"]), number(step.get("memory")), number(step["requests"])]
            rows.append(cells + [megabytes(step.get(key)) for key in ("bytes", "read", "written")])
    phases = [[label(one), seconds(one["steps"]["floor"]["fetch_cpu"]), seconds(one["steps"]["floor"]["insert_cpu"])] for one in found]
    return f"""## The first sync

![CPU seconds of the first sync by nodes]({base}-first-sync.svg)

{table(names, rows)}

The script receives uncompressed answers, as Python's library asks for them. What the floor's seconds go to:

{table(["models, shape", "fetch and parse, s", "insert, s"], phases)}"""


def later_syncs(found, base):
    names = ["models", "sync", "CPU, s", "to the first", "wall, s", "memory, MB", "requests", "received, MB", "read, MB", "written, MB"]
    rows = []
    for one in (one for one in found if "unchanged" in one["steps"]):
        for name in ("first", "full", "changed", "unchanged"):
            step = one["steps"][name]
            cells = [number(one["size"]), STEPS[name], seconds(step["cpu"]), f"{step['cpu'] / one['steps']['first']['cpu']:.1%}", seconds(step["wall"])]
            cells += [number(step["memory"]), number(step["requests"]), *(megabytes(step[key]) for key in ("bytes", "read"))]
            rows.append([*cells, f"{step['written'] / MB:,.2f}"])
    return f"""## Syncs after the first

In the wide shape. *1 % changed*: one in a hundred models is described anew, one has other parents, and one is new.

![CPU seconds of syncs by nodes]({base}-later-syncs.svg)

{table(names, rows)}"""


def late(found):
    names = ["models", "sync", "CPU, s", "wall, s", "requests", "longest chain", "chain x latency, s"]
    rows = []
    for one in (one for one in found if "late" in one):
        for name, step in one["late"].items():
            chain = step.get("chain")
            cells = [number(one["size"]), STEPS[name], seconds(step["cpu"]), seconds(step["wall"]), number(step["requests"])]
            rows.append([*cells, number(chain), number(chain and chain * targets.LATENCY, 1)])
    return f"""## With 100 ms a request

Pages of one list are asked for one after the other, since each names where the next begins; lists are read beside each other, four requests at once.

{table(names, rows)}"""


def reads(found):
    facts = ", ".join(f"{number(found[name])} {word}" for name, word in
                      (("nodes", "nodes"), ("lineage", "pairs"), ("changes", "changes"), ("run_results", "run results")))
    asked = [
        [one["number"], f"`{one['command']}`", number(one["wall"] * 1000), number(one["cpu"] * 1000), megabytes(one["read"])]
        for one in found["questions"]
    ]
    routes = [
        [f"`{one['route']}`", *(number(one[when][name], 1) for when in ("alone", "beside") for name in ("p50", "p99")), number(one["beside"]["count"])]
        for one in found["routes"]
    ]
    memory = found["memory"]
    route_names = ["GET", "p50, ms", "p99, ms", "p50 while syncs write", "p99 while syncs write", "requests then"]
    return [
        f"""## Questions

The commands of the questions ([questions.md](questions.md)), each a cold process, on {found['size']:,} models ({facts}). `NODE` is the
model on which the most stands, `{found['node']}`.

{table(["question", "command", "wall, ms", "CPU, ms", "read, MB"], asked)}""",
        f"""## Routes

`lineaged serve` on the same catalog, each route asked by four clients at once, by processes on the same cores; first alone, then while
`lineaged sync` writes beside it, once 1 % that changed and once that everything ran again.

{table(route_names, routes)}

Memory of `serve`: {memory['rest']:.0f} MB at rest, {memory['load']:.0f} MB at most under this load, {memory['after']:.0f} MB ten seconds after it.""",
    ]


BENCHES = """## Hot paths

`cargo bench` measures the parts by themselves, on 1,000 models, and tells what moved since the last run: `decode_page` (what a page of the API becomes),
`diff_unchanged`, `diff_one_percent`, `cycles`, `load_stored`, `apply_first`, `apply_one_percent`, `apply_pairs` (one model stands on other parents),
`selection_descendants`, `selection_tags`, and the first page of each view, `view_nodes` and so on."""
