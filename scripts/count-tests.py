#!/usr/bin/env python3
"""Sums up what scripts/test.sh left in a folder: lit.json, and for each GoogleTest program NAME.json and, when it
exited with an error, NAME.failed. Prints one line, and exits with 1 when a test failed or none ran."""

import json
import pathlib
import sys

passed, failed, skipped = [], [], []


def count_lit(path):
    for test in json.loads(path.read_text())["tests"]:
        name, code = test["name"], test["code"]
        {"PASS": passed, "FLAKYPASS": passed, "XFAIL": passed, "UNSUPPORTED": skipped, "SKIPPED": skipped}.get(code, failed).append(name)


def count_googletest(path):
    found = 0
    for suite in json.loads(path.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            name = f"{path.stem}: {suite['name']}.{test['name']}"
            if test.get("failures"):
                failed.append(name)
                found += 1
            elif test["result"] == "SKIPPED" or test["status"] == "NOTRUN":
                skipped.append(name)
            else:
                passed.append(name)
    return found


def main():
    folder = pathlib.Path(sys.argv[1])
    if (folder / "lit.json").exists():
        count_lit(folder / "lit.json")
    else:
        failed.append("lit (no results)")
    found = {path.stem: count_googletest(path) for path in folder.glob("moe-*-tests.json")}
    for path in sorted(folder.glob("moe-*-tests.failed")):
        if not found.get(path.stem):  # it died, or failed outside of any test
            failed.append(f"{path.stem}: {path.read_text().strip()}")

    for name in failed:
        print(f"failed: {name}")
    line = f"{len(passed)} passed, {len(failed)} failed"
    print(line + (f", {len(skipped)} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


sys.exit(main())
