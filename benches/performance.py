#!/usr/bin/env python3
"""Measures lineaged at growing sizes and writes docs/performance.md with its plots.

Needs Linux (/proc), Python 3.9 or newer without further packages, and what building lineaged needs (Rust, a C compiler). It builds the
release program and examples/performance, grows a real project, serves it from memory in a process of its own, and lets three clients read it
in turns: lineaged, the floor (examples/performance/floor.rs) and the script (benches/script.py).

    python3 benches/performance.py                          about 25 minutes on two cores, 6 GB of memory and of disk
    python3 benches/performance.py --quick                  1,000 models only, about 3 minutes
    python3 benches/performance.py --sample target/         grows the project whose dbt artifacts lie in this folder
    python3 benches/performance.py --render                 writes the document anew from the figures of the last run
"""
import argparse
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "performance"))

import document  # noqa: E402
import measure  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000", help="numbers of models (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="1,000 models and one round")
    parser.add_argument("--sample", help="a dbt target folder (default: the project that `lineaged demo` shows)")
    parser.add_argument("--out", default="docs/performance.md", help="the document (default: %(default)s)")
    parser.add_argument("--render", action="store_true", help="measure nothing: write the document from the last figures")
    options = parser.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    if not options.render:
        sizes = [1000] if options.quick else [int(size) for size in options.sizes.split(",")]
        figures = measure.everything(sizes, options.quick, options.sample)
        with open(measure.FIGURES, "w") as file:
            json.dump(figures, file, indent=1)
    with open(measure.FIGURES) as file:
        document.write(json.load(file), options.out)


main()
