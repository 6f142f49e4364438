#!/usr/bin/env python3
"""Records what `dbt ls` selects, for the test `selection_is_that_of_dbt_ls` (tests/it/selection.rs).

    python3 -m venv /tmp/dbt && /tmp/dbt/bin/pip install 'dbt-core==1.11.*' 'dbt-duckdb==1.11.*'
    /tmp/dbt/bin/python tests/selection/record.py SAMPLES_FOLDER > tests/selection/dbt_ls.json

SAMPLES_FOLDER holds a folder for each project of PROJECTS, with its manifest.json. The bundled project is recorded, too. dbt is
given the parsed manifest, so no project is needed but an empty one of the same name; since the method `path` looks at files, an
empty file is laid out for each node's file and each properties file, those of packages beside those of the project.

Each line of the table: the selectors, the exclusions, how many nodes dbt selects, and the first 16 digits of the SHA-256 of their
ids, sorted and ended by line breaks.

What the Discovery API does not know is left out:
  - analyses, functions, macros and operations: they are no resource types of the API, so `ls` is asked for the others only;
  - `config` of types other than model, snapshot and test: the API has no configuration of seeds, sources, exposures, metrics,
    saved queries and semantic models, so `config:` is always intersected with those three types;
  - `group` of metrics and of seeds: the API has none, so `group:` is intersected with models, snapshots and tests;
  - `state` and `selector`: lineaged does not have them;
  - `result` and `source_status`: dbt compares with files of another run for them.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import sys
import tempfile
from pathlib import Path

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest, WritableManifest
from dbt.contracts.graph.nodes import GenericTestNode
from dbt.version import __version__

HERE = Path(__file__).resolve().parent
BUNDLED = HERE.parent.parent / "src" / "demo" / "mini_shop" / "manifest.json"
PROJECTS = {
    "dwh-sm2-1.12": 60,
    "jaffle-semantic-1.12": 60,
    "quickbooks-1.6-local": 80,
    "shopify-1.8-local": 80,
    "tuva-0.18-large": 60,
}
TYPES = ["model", "snapshot", "seed", "test", "source", "exposure", "metric", "saved_query", "semantic_model", "unit_test"]
CONFIGURED = ["resource_type:model", "resource_type:snapshot", "resource_type:test"]


def values(manifest, rng):
    """A value for each method, of what the project has, now and then with a wildcard or a slip of the pen."""
    nodes = [n for n in manifest.nodes.values() if n.resource_type in TYPES]
    models = [n for n in nodes if n.resource_type == "model"] or nodes
    everything = nodes + [
        n
        for d in (manifest.sources, manifest.exposures, manifest.metrics, manifest.unit_tests)
        for n in d.values()
    ]

    def vary(text):
        turn = rng.random()
        if turn < 0.7 or len(text) < 4:
            return text
        at = rng.randrange(1, len(text) - 1)
        return rng.choice([text[:at] + "*", "*" + text[at:], text[:at] + "?" + text[at + 1:], text[:at] + "[!0]" + text[at + 1:]])

    def fqn(node):
        parts = list(node.fqn)
        turn = rng.random()
        if turn < 0.3:
            return node.name
        if turn < 0.5:
            return ".".join(parts)
        if turn < 0.7:
            return ".".join(parts[: rng.randrange(1, len(parts) + 1)])
        if turn < 0.85:
            return ".".join(parts[1:] or parts)
        return ".".join(parts[: rng.randrange(1, len(parts) + 1)]) + rng.choice([".*", "*", ".*_*"])

    def path(node):
        parts = Path(node.original_file_path).parts
        turn = rng.random()
        some = "/".join(parts[: rng.randrange(1, len(parts) + 1)])
        patch = getattr(node, "patch_path", None)
        if patch and turn < 0.2:
            return patch.split("://")[1]
        if turn < 0.7:
            return some
        return rng.choice([some + "/*", "/".join(parts[:-1] + ("*.sql",)), "**/" + parts[-1], parts[0] + "/**/*.yml"])

    def named(d):
        return rng.choice(list(d.values())) if d else None

    def source():
        node = named(manifest.sources)
        if not node:
            return "source:*"
        full = [node.package_name, node.source_name, node.name]
        return "source:" + ".".join(vary(p) for p in rng.choice([full, full[1:], full[1:2]]))

    def config():
        node = rng.choice(models)
        key, value = rng.choice([
            ("materialized", node.config.materialized),
            ("enabled", "true"),
            ("tags", (list(node.tags) or ["none"])[0]),
            ("schema", node.config.schema or "x"),
            ("contract.enforced", rng.choice(["true", "False"])),
            ("meta.owner", (node.config.meta or {}).get("owner", "x")),
            ("severity", rng.choice(["warn", "ERROR"])),
            ("full_refresh", "false"),
        ])
        return f"config.{key}:{value}," + rng.choice(CONFIGURED)

    tags = sorted({t for n in everything for t in getattr(n, "tags", [])}) or ["none"]
    groups = sorted({n.config.group for n in models if getattr(n.config, "group", None)}) or ["none"]
    tests = sorted({n.test_metadata.name for n in nodes if getattr(n, "test_metadata", None)}) or ["unique"]
    packages = sorted({n.package_name for n in everything})

    def simple(method, d):
        node = named(d)
        name = node.name if node else "none"
        package = node.package_name if node else "none"
        return f"{method}:" + rng.choice([vary(name), f"{package}.{vary(name)}", "*"])

    return {
        "fqn": lambda: rng.choice(["", "fqn:"]) + vary(fqn(rng.choice(nodes))),
        "tag": lambda: "tag:" + vary(rng.choice(tags)),
        "group": lambda: "group:" + vary(rng.choice(groups)) + "," + rng.choice(CONFIGURED),
        "access": lambda: "access:" + rng.choice(["public", "protected", "private"]),
        "source": source,
        "path": lambda: rng.choice(["path:", "path:", ""]) + path(rng.choice(everything)),
        "file": lambda: "file:" + vary(rng.choice([Path, lambda p: Path(Path(p).stem)])(rng.choice(everything).original_file_path).name),
        "package": lambda: "package:" + rng.choice(["this", vary(rng.choice(packages))]),
        "config": config,
        "test_name": lambda: "test_name:" + vary(rng.choice(tests)),
        "test_type": lambda: "test_type:" + rng.choice(["generic", "singular", "data", "unit"]),
        "resource_type": lambda: "resource_type:" + rng.choice(TYPES),
        "exposure": lambda: simple("exposure", manifest.exposures),
        "metric": lambda: simple("metric", manifest.metrics),
        "semantic_model": lambda: simple("semantic_model", manifest.semantic_models),
        "saved_query": lambda: simple("saved_query", manifest.saved_queries),
        "unit_test": lambda: simple("unit_test", manifest.unit_tests),
        "version": lambda: "version:" + rng.choice(["latest", "old", "prerelease", "none"]),
    }


def criterion(rng, method):
    """One criterion, now and then with operators around its first part."""
    first, comma, rest = method().partition(",")
    if first.endswith("+") or first.startswith("+"):
        return first + comma + rest
    before = rng.choice(["", "", "", "+", "1+", "2+", "@"])
    after = "" if before == "@" else rng.choice(["", "", "", "+", "+1", "+3"])
    return before + first + after + comma + rest


def selectors(manifest, count, rng):
    methods = values(manifest, rng)
    names = list(methods)
    for number in range(count):
        first = criterion(rng, methods[names[number % len(names)]])
        select = [first]
        if rng.random() < 0.3:
            select[0] += "," + criterion(rng, methods[rng.choice(names)])
        if rng.random() < 0.25:
            select.append(criterion(rng, methods[rng.choice(names)]))
        if rng.random() < 0.1:
            select = [" ".join(select)]
        exclude = [criterion(rng, methods[rng.choice(names)])] if rng.random() < 0.25 else []
        if rng.random() < 0.05:
            select, exclude = [], [first]
        yield select, exclude


def lay_out(folder, manifest, name):
    (folder / "dbt_project.yml").write_text(f"name: {name}\nversion: '1.0'\nprofile: p\nconfig-version: 2\n")
    (folder / "profiles.yml").write_text("p: {target: t, outputs: {t: {type: duckdb, path: ':memory:'}}}\n")
    every = [*manifest.nodes.values(), *manifest.sources.values(), *manifest.exposures.values(), *manifest.metrics.values(),
             *manifest.semantic_models.values(), *manifest.saved_queries.values(), *manifest.unit_tests.values()]
    for node in every:
        patch = getattr(node, "patch_path", None)
        for path in [node.original_file_path] + ([patch.split("://")[1]] if patch else []):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()


def record(path, count, seed):
    manifest = Manifest.from_writable_manifest(WritableManifest.read_and_check_versions(str(path)))
    raw = json.loads(path.read_text())
    name = raw["metadata"]["project_name"]
    # Read from JSON, each test is a singular one to dbt; read from a project, those with metadata are generic.
    for unique_id, node in raw["nodes"].items():
        if node["resource_type"] == "test" and node.get("test_metadata"):
            manifest.nodes[unique_id] = GenericTestNode.from_dict(node)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        lay_out(folder, manifest, name)
        os.chdir(folder)
        for select, exclude in selectors(manifest, count, random.Random(seed)):
            arguments = ["--quiet", "ls", "--output", "json", "--output-keys", "unique_id", "--project-dir", str(folder),
                         "--profiles-dir", str(folder)]
            for kind in TYPES:
                arguments += ["--resource-type", kind]
            for flag, texts in (("--select", select), ("--exclude", exclude)):
                for text in texts:
                    arguments += [flag, text]
            with contextlib.redirect_stdout(io.StringIO()):
                result = dbtRunner(manifest=manifest).invoke(arguments)
            if not result.success:
                sys.exit(f"{path}: {select} {exclude}: {result.exception}")
            ids = sorted(json.loads(line)["unique_id"] for line in result.result or [])
            digest = hashlib.sha256("".join(f"{i}\n" for i in ids).encode()).hexdigest()[:16]
            table.append([select, exclude, len(ids), digest])
        os.chdir("/")
    return table


def main():
    samples = Path(sys.argv[1]).resolve()
    found = {"mini_shop": record(BUNDLED, 150, 1)}
    for number, (name, count) in enumerate(PROJECTS.items()):
        found[name] = record(samples / name / "manifest.json", count, 100 + number)
        print(name, file=sys.stderr)
    lines = ",\n".join(
        f" {json.dumps(name)}: [\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]" for name, rows in found.items()
    )
    print("{\n" + f' "dbt": {json.dumps(__version__)},\n' + lines + "\n}")


main()
