#!/usr/bin/env python3
"""Packs each published crate, and checks what is in the package and what its manifest says.

The packages are then compiled as a user would: unpacked, without the repository around them.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tomllib

FILES = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"]
FIELDS = ["categories", "description", "keywords", "license", "readme", "repository", "rust-version"]


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, **options)


def check(name, folder):
    """What is wrong with an unpacked crate."""
    for file in FILES:
        path = folder / file
        if not path.is_file() or not path.stat().st_size:
            yield f"{name}: no {file} in the package"
    manifest = tomllib.loads((folder / "Cargo.toml").read_text(encoding="utf-8"))
    for field in FIELDS:
        if not manifest["package"].get(field):
            yield f"{name}: no {field} in the manifest"
    features = set(manifest.get("features", {})) - {"default"}
    docs = manifest["package"].get("metadata", {}).get("docs", {}).get("rs", {})
    if features and not docs.get("all-features"):
        yield f"{name}: has features, and docs.rs would leave them out"
    for path in folder.rglob("*.rs"):
        if "tests" in path.relative_to(folder).parts or path.name == "tests.rs":
            yield f"{name}: {path.relative_to(folder)} is a test, and may read what is outside of the package"


def main():
    published = run(".ci/published", stdout=subprocess.PIPE).stdout.split()
    named = [word for name in published for word in ("-p", name)]
    metadata = run("cargo", "metadata", "--no-deps", "--format-version", "1", "--locked", stdout=subprocess.PIPE)
    metadata = json.loads(metadata.stdout)
    versions = {package["name"]: package["version"] for package in metadata["packages"]}
    packed = pathlib.Path(metadata["target_directory"], "package")
    run("cargo", "package", "--quiet", "--locked", "--allow-dirty", "--no-verify", *named)

    unpacked = packed / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    mistakes = []
    for name in published:
        with tarfile.open(packed / f"{name}-{versions[name]}.crate") as package:
            package.extractall(unpacked, filter="data")
        mistakes += check(name, unpacked / f"{name}-{versions[name]}")
    if mistakes:
        print("\n".join(mistakes))
        return 1

    # A package that is not on the registry yet is found by its path.
    patches = "".join(f'{name} = {{ path = "{name}-{versions[name]}" }}\n' for name in published)
    members = json.dumps([f"{name}-{versions[name]}" for name in published])
    (unpacked / "Cargo.toml").write_text(
        f'[workspace]\nresolver = "3"\nmembers = {members}\n\n[patch.crates-io]\n{patches}', encoding="utf-8"
    )
    # The versions that everything else is tested with; cargo drops what is not needed.
    shutil.copy("Cargo.lock", unpacked)
    environment = dict(os.environ, CARGO_TARGET_DIR=metadata["target_directory"])
    run("cargo", "check", "--quiet", "--workspace", "--all-features", cwd=unpacked, env=environment)
    print(f"{len(published)} crates are packed, and compile: {' '.join(published)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
