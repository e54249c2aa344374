"""Makes other files of recorded routings.

usage: replay.py shift EXPERTS IN.jsonl OUT.jsonl     every expert becomes the next one, every weight half as large
       replay.py numpy IN.jsonl OUT.npz               as numpy.savez writes it: ids and weights of [tokens, routings, slots]
       replay.py edit IN.jsonl OUT.jsonl KEY VALUE    the first line with another value
       replay.py cut IN OUT BYTES                     without the last bytes
"""

import json
import pathlib
import struct
import sys
import zipfile


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def write(path, records):
    pathlib.Path(path).write_text("".join(json.dumps(r) + "\n" for r in records))


def npy(descr, shape, values, form):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}{form}", *values)


def main():
    kind, *rest = sys.argv[1:]
    if kind == "shift":
        experts, records = int(rest[0]), lines(rest[1])
        for r in records:
            r["ids"] = [(i + 1) % experts if i >= 0 else i for i in r["ids"]]
            r["weights"] = [w / 2 for w in r["weights"]]
        write(rest[2], records)
    elif kind == "numpy":
        records = sorted(lines(rest[0]), key=lambda r: (r["token"], r["routing"]))
        routings = max(r["routing"] for r in records) + 1
        shape = (len(records) // routings, routings, len(records[0]["ids"]))
        with zipfile.ZipFile(rest[1], "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, content in (("ids", npy("<i8", shape, [i for r in records for i in r["ids"]], "q")),
                                  ("weights", npy("<f4", shape, [w for r in records for w in r["weights"]], "f"))):
                with archive.open(name + ".npy", "w", force_zip64=True) as entry:
                    entry.write(content)
    elif kind == "edit":
        records = lines(rest[0])
        records[0][rest[2]] = json.loads(rest[3])
        write(rest[1], records)
    elif kind == "cut":
        pathlib.Path(rest[1]).write_bytes(pathlib.Path(rest[0]).read_bytes()[:-int(rest[2])])
    else:
        sys.exit(__doc__)


main()
