"""Compares column lineage with that of Python's sqlglot, which is given the same lists of columns, and records where they differ.

    python3 -m venv sqlglot && sqlglot/bin/pip install 'sqlglot==30.*'
    cargo build && sqlglot/bin/python tests/columns/compare.py target/debug/lineaged FOLDER...

Each FOLDER holds artifacts of a dbt project. `recorded.json` gets, of each, how many columns both know, how many agree, and those that
don't, with what only one of both says. sqlglot looks through ephemeral models, so lineage is followed through them here, too.
"""

import collections
import json
import logging
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

import sqlglot
from sqlglot import exp
from sqlglot.lineage import to_node
from sqlglot.optimizer import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import ensure_schema

logging.disable(logging.CRITICAL)
sys.setrecursionlimit(20_000)


def catalog(lineaged, folder, place):
    config = f'[[environments]]\nname = "sample"\norigin = "artifacts"\npaths = [{json.dumps(str(folder))}]\n'
    pathlib.Path(place, "lineaged.toml").write_text(config)
    subprocess.run([lineaged, "sync"], cwd=place, check=True, capture_output=True)
    return sqlite3.connect(f"{place}/lineaged.db")


def relations(db):
    """The place of each relation, and its columns: the warehouse's, else those that its code gives, else the declared ones."""
    places = {}
    for row in db.execute("SELECT unique_id, database_name, schema_name, coalesce(identifier, name), materialization FROM nodes "
                          "WHERE resource_type IN ('model', 'source', 'seed', 'snapshot')"):
        places[row[0]] = ([part or "" for part in row[1:4]], row[4] == "ephemeral")
    lists = collections.defaultdict(dict)
    for sql in (
        "SELECT unique_id, name FROM columns ORDER BY unique_id, position",
        "SELECT n.unique_id, d.name FROM derived_column d JOIN node n USING (node_key) ORDER BY n.unique_id, d.position",
        "SELECT unique_id, name FROM columns WHERE in_warehouse ORDER BY unique_id, position",
    ):
        found = collections.defaultdict(dict)
        for unique_id, name in db.execute(sql):
            found[unique_id][name] = "unknown"
        lists.update(found)
    return places, lists


def theirs(sql, dialect, places, lists, parents):
    """The columns of a statement, each with the relations' columns that it comes from."""
    schema, by_name = {}, {}
    for unique_id in parents:
        (database, name, table), is_ephemeral = places[unique_id]
        if is_ephemeral:
            continue
        by_name[".".join([database, name, table]).lower()] = unique_id
        if lists[unique_id]:
            schema.setdefault(database, {}).setdefault(name, {})[table] = lists[unique_id]
    schema = ensure_schema(schema, dialect=dialect)
    statement = qualify.qualify(
        sqlglot.parse_one(sql, dialect=dialect), dialect=dialect, schema=schema, validate_qualify_columns=False, identify=False)
    scope, found, cache = build_scope(statement), {}, {}
    for column in statement.selects:
        if column.is_star:
            continue
        origins = set()
        for node in to_node(column.alias_or_name, scope, dialect, schema, trim_selects=False, _cache=cache).walk():
            table = node.expression
            if not node.downstream and isinstance(table, exp.Table):
                unique_id = by_name.get(".".join([table.catalog, table.db, table.name]).lower())
                name = node.name.split(".")[-1].strip('"`').lower()
                if unique_id and name != "*":
                    origins.add(f"{unique_id}.{name}")
        found[column.alias_or_name.lower()] = origins
    return found


def ours(db, places):
    """The same of every column of the catalog."""
    above = collections.defaultdict(set)
    for child, to, parent, of in db.execute("SELECT child_id, lower(child_column), parent_id, lower(parent_column) FROM column_lineage"):
        above[child, to].add((parent, of))

    def through(place):
        for parent, column in above[place]:
            if places.get(parent, (None, False))[1]:
                yield from through((parent, column))
            else:
                yield f"{parent}.{column}"

    return {place: set(through(place)) for place in list(above)}


def compared(lineaged, folder):
    with tempfile.TemporaryDirectory() as place:
        db = catalog(lineaged, folder, place)
        (dialect,) = db.execute("SELECT adapter_type FROM environments").fetchone()
        places, lists = relations(db)
        own, figures, differ = ours(db, places), collections.Counter(), []
        parents = collections.defaultdict(set)
        for child, parent in db.execute("SELECT child_id, parent_id FROM edges"):
            parents[child].add(parent)

        def readable(unique_id):
            for parent in parents[unique_id]:
                if parent in places:
                    yield parent
                    if places[parent][1]:
                        yield from readable(parent)

        resolved = ("SELECT unique_id, compiled_code FROM code JOIN column_lineage_status USING (environment_id, unique_id) "
                    "WHERE status = 'resolved'")
        for unique_id, sql in db.execute(resolved):
            try:
                found = theirs(sql, dialect, places, lists, set(readable(unique_id)))
            except Exception as error:  # What it can't read is counted, whatever the reason.
                figures[f"sqlglot: {type(error).__name__}"] += 1
                continue
            for name, origins in found.items():
                mine = {origin for origin in own.get((unique_id, name), set()) if not origin.startswith(f"{unique_id}.")}
                figures["columns"] += 1
                figures["agree"] += mine == origins
                if mine != origins:
                    differ.append([f"{unique_id}.{name}", sorted(mine - origins), sorted(origins - mine)])
        return {**figures, "differ": differ}


def main():
    lineaged, folders = os.path.abspath(sys.argv[1]), [pathlib.Path(path).resolve() for path in sys.argv[2:]]
    recorded = {"sqlglot": sqlglot.__version__}
    for folder in folders:
        recorded[folder.name] = found = compared(lineaged, folder)
        print(folder.name, {name: figure for name, figure in found.items() if name != "differ"}, len(found["differ"]), flush=True)
    path = pathlib.Path(__file__).with_name("recorded.json")
    path.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
