"""Gives what `lineaged export` writes to those who read it, and records what they say in recorded.json.

    python3 -m venv datahub && datahub/bin/pip install acryl-datahub
    python3 -m venv dbt && dbt/bin/pip install 'dbt-core==1.11.*' dbt-duckdb
    cargo build && python3 tests/exports/record.py target/debug/lineaged datahub dbt PROJECT

PROJECT is the folder of a dbt project with a profile, and with the files of its last commands in `target`. Nothing is sent anywhere.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

READ = """
import sys
from dbt.artifacts.schemas.catalog import CatalogArtifact
from dbt.artifacts.schemas.freshness import FreshnessExecutionResultArtifact
from dbt.artifacts.schemas.run import RunResultsArtifact
from dbt.contracts.graph.manifest import WritableManifest
for reader, name in [(WritableManifest, "manifest"), (CatalogArtifact, "catalog"), (RunResultsArtifact, "run_results"),
                     (FreshnessExecutionResultArtifact, "sources")]:
    reader.read_and_check_versions(f"{sys.argv[1]}/{name}.json")
"""

SELECTORS = ["state:old", "state:new", "state:modified.body", "state:modified", "result:error", "result:fail"]


def run(*command, cwd, **extra):
    environment = {**os.environ, **extra, "DO_NOT_TRACK": "1", "DATAHUB_TELEMETRY_ENABLED": "false"}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def datahub(lineaged, venv, folder):
    """The demo's proposals are valid, and pass through DataHub's file source to its file sink."""
    run(lineaged, "demo", cwd=folder)
    run(lineaged, "export", "datahub", "--output", "given.json", cwd=folder)
    checked = run(venv / "bin/datahub", "check", "metadata-file", "given.json", cwd=folder).splitlines()[0]
    recipe = "source: {type: file, config: {path: given.json}}\nsink: {type: file, config: {filename: taken.json}}\n"
    (folder / "recipe.yml").write_text(recipe)
    run(venv / "bin/datahub", "ingest", "-c", "recipe.yml", cwd=folder)
    given, taken = (json.loads((folder / name).read_text()) for name in ("given.json", "taken.json"))
    aspects = [sorted((it["entityUrn"], it["aspectName"]) for it in proposals) for proposals in (given, taken)]
    return {"check": checked.split("[")[0], "given": len(given), "taken": len(taken), "same aspects": aspects[0] == aspects[1]}


def artifacts(lineaged, venv, folder, project):
    """dbt's own reader takes all four files, and selects by what they say."""
    config = f'[[environments]]\nname = "core"\norigin = "artifacts"\npaths = ["{project}/target"]\n'
    (folder / "lineaged.toml").write_text(config)
    run(lineaged, "sync", cwd=folder)
    run(lineaged, "export", "artifacts", "--output", "out", cwd=folder)
    run(venv / "bin/python", "-c", READ, folder / "out", cwd=folder)
    found = {}
    for selector in SELECTORS:
        target = ("--target-path", folder / "target", "--log-path", folder / "logs", "--profiles-dir", project)
        command = ("ls", "--state", folder / "out", "--select", selector, *target)
        listed = run(venv / "bin/dbt", "-q", *command, cwd=project).splitlines()
        found[selector] = len([line for line in listed if line and "No nodes" not in line])
    return found


def version(venv, package):
    return run(venv / "bin/pip", "show", package, cwd=".").splitlines()[1].split()[1]


def main():
    lineaged, datahub_venv, dbt_venv, project = (pathlib.Path(part).resolve() for part in sys.argv[1:5])
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        recorded = {
            f"acryl-datahub {version(datahub_venv, 'acryl-datahub')}": datahub(lineaged, datahub_venv, pathlib.Path(one)),
            f"dbt-core {version(dbt_venv, 'dbt-core')}": artifacts(lineaged, dbt_venv, pathlib.Path(two), project),
        }
    path = pathlib.Path(__file__).with_name("recorded.json")
    path.write_text(json.dumps(recorded, indent=2) + "\n")


if __name__ == "__main__":
    main()
