#!/usr/bin/env python3
"""What one writes in an afternoon instead: all lists of the Discovery API into nodes, edges and columns. No history, no proof, no retries.

Usage: script.py URL TOKEN ENVIRONMENT FILE
"""
import json
import sqlite3
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

COMMON = "uniqueId name description filePath fqn tags meta"
PARENTS = "parents { uniqueId }"
RUN = "executionInfo { lastRunStatus lastRunGeneratedAt lastRunError lastRunId executeCompletedAt executionTime }"
TABLE = "database schema catalog { columns { name index type description } }"
MODEL = f"packageName alias materializedType access group config language rawCode compiledCode {RUN} {TABLE}"
LISTS = [
    ("applied", "models", f"{MODEL} {PARENTS}"),
    ("applied", "tests", f"columnName testType testedNodeUniqueId lastKnownResult rawCode compiledCode {RUN} {PARENTS}"),
    ("applied", "sources", f"identifier loader freshness {{ freshnessStatus maxLoadedAt snapshottedAt }} {TABLE}"),
    ("applied", "seeds", f"packageName alias {RUN} {TABLE}"),
    ("applied", "snapshots", f"packageName alias rawCode compiledCode {RUN} {TABLE} {PARENTS}"),
    ("applied", "exposures", f"exposureType maturity ownerName ownerEmail url {PARENTS}"),
    ("definition", "metrics", f"packageName type {PARENTS}"),
    ("definition", "semanticModels", f"packageName {PARENTS}"),
    ("definition", "savedQueries", f"packageName {PARENTS}"),
]


def pages(url, token, environment, state, name, fields):
    query = f"""query Page($id: BigInt!, $after: String) {{ environment(id: $id) {{ {state} {{ {name}(first: 500, after: $after) {{
        pageInfo {{ hasNextPage endCursor }} edges {{ node {{ {COMMON} {fields} }} }} }} }} }} }}"""
    after, more = None, True
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    while more:
        body = json.dumps({"query": query, "variables": {"id": environment, "after": after}}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            page = json.load(answer)["data"]["environment"][state][name]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        yield [edge["node"] for edge in page["edges"]]


def rows(name, nodes):
    plain = [(node["uniqueId"], name, node.get("name"), node.get("description"), json.dumps(node.get("tags")), json.dumps(node.get("meta")),
              node.get("rawCode"), node.get("compiledCode"), json.dumps(node.get("executionInfo"))) for node in nodes]
    edges = [(parent["uniqueId"], node["uniqueId"]) for node in nodes for parent in node.get("parents") or []]
    columns = [(node["uniqueId"], column["name"], column["index"], column["type"], column["description"])
               for node in nodes for column in (node.get("catalog") or {}).get("columns") or []]
    return plain, edges, columns


def main(url, token, environment, file):
    catalog = sqlite3.connect(file)
    catalog.executescript("""PRAGMA journal_mode = WAL;
        CREATE TABLE nodes (id TEXT PRIMARY KEY, kind, name, description, tags, meta, raw_code, compiled_code, run);
        CREATE TABLE edges (parent TEXT, child TEXT); CREATE TABLE columns (id TEXT, name, position, type, description);""")
    with ThreadPoolExecutor(4) as pool:
        lists = pool.map(lambda it: (it[1], [rows(it[1], page) for page in pages(url, token, environment, *it)]), LISTS)
        for name, found in lists:
            for nodes, edges, columns in found:
                catalog.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", nodes)
                catalog.executemany("INSERT INTO edges VALUES (?, ?)", edges)
                catalog.executemany("INSERT INTO columns VALUES (?, ?, ?, ?, ?)", columns)
    catalog.executescript("CREATE INDEX edges_by_child ON edges (child); CREATE INDEX columns_by_id ON columns (id);")
    catalog.commit()


main(*sys.argv[1:])
