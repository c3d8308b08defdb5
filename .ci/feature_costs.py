#!/usr/bin/env python3
"""Says what each feature of msip-runtime costs, and checks the README's table of them.

    .ci/feature_costs.py            compares the README's table with the manifest and with `cargo tree`
    .ci/feature_costs.py --measure  builds it with each feature too, in a folder of its own, and prints the table's figures

A feature's crates are those that `cargo tree` lists with it and not without any, on the system that this runs on. Its
processor time is what it adds to a clean debug build: that of a build with it after one without any, which compiles its
crates and msip-runtime, less that of msip-runtime without any.
"""

import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import tomllib

PACKAGE = "msip-runtime"
# The README's rows: | `name` | yes or no | what it is for | crates | processor time | C compiler |
ROW = re.compile(r"^\| (?:`([\w-]+)`|none) \| (yes|no|) \| [^|]* \| (\d+) \| [^|]* \| (yes|no) \|$", re.MULTILINE)


def selected(feature):
    return ["--locked", "-p", PACKAGE, "--no-default-features", *(["--features", feature] if feature else [])]


def crates(feature):
    """The crates that a build with this feature compiles, by name and version."""
    command = ["cargo", "tree", *selected(feature), "--edges", "normal,build", "--prefix", "none"]
    lines = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()
    return {" ".join(line.split()[:2]) for line in lines if line}


def built(feature, folder):
    """The processor time of a debug build into this folder, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["cargo", "build", "--quiet", *selected(feature), "--target-dir", folder], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(features):
    with tempfile.TemporaryDirectory() as folder:
        print(f"none: {built('', folder):.1f} s", flush=True)
        subprocess.run(["cargo", "clean", "--quiet", "-p", PACKAGE, "--target-dir", folder], check=True)
        alone = built("", folder)
        for feature in features:
            print(f"{feature}: {built(feature, folder) - alone:+.1f} s", flush=True)


def main():
    manifest = tomllib.loads(pathlib.Path(PACKAGE, "Cargo.toml").read_text(encoding="utf-8"))
    features = dict(manifest["features"])
    default = features.pop("default")
    rows = {row[0]: row[1:] for row in ROW.findall(pathlib.Path("README.md").read_text(encoding="utf-8"))}
    base = crates("")
    differences = []
    if set(rows) != {"", *features}:
        differences.append(f"the table has {sorted(rows)}, the manifest {sorted(features)}")
    for feature in ["", *features]:
        used = crates(feature)
        is_default = ("yes" if feature in default else "no") if feature else ""
        compiles_c = "yes" if any(crate.startswith("cc ") for crate in used) else "no"
        expected = (is_default, str(len(used - base) if feature else len(used)), compiles_c)
        if rows.get(feature) != expected:
            differences.append(f"{feature or 'none'}: {expected} is right, the table has {rows.get(feature)}")
    if differences:
        print("the README's table of features (default, crates, C compiler):", *differences, sep="\n")
        return 1
    if "--measure" in sys.argv[1:]:
        measure(features)
    return 0


if __name__ == "__main__":
    sys.exit(main())
