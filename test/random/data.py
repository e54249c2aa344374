"""Files that the tools read and write: safetensors, .npy, and the records of moe-random-evaluate."""

import json
import math
import struct
from array import array

NAMES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "i32": "I32", "i64": "I64", "f64": "F64"}


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + len(t.data)]}
        offset += len(t.data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            file.write(t.data)


def read_npy(path):
    """(shape, list of numbers, bytes of the file)"""
    raw = path.read_bytes()
    length = struct.unpack_from("<H", raw, 8)[0]
    header = eval(raw[10:10 + length].decode(), {"__builtins__": {}})  # noqa: a dictionary, written by our own tool
    data, descr = raw[10 + length:], header["descr"]
    if isinstance(descr, list) or descr.lstrip("<|=") in ("V2", "u2", "bfloat16"):
        bits = array("H", data)
        values = array("f", array("I", [b << 16 for b in bits]).tobytes())
    elif descr == "<f2":
        values = struct.unpack(f"<{len(data) // 2}e", data)
    else:
        values = array({"<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q"}[descr], data)
    return header["shape"], list(values), raw


def read_records(raw):
    """What moe-random-evaluate prints: ({(number, function): {result: (shape, elements)}}, [errors])"""
    results, errors, at = {}, [], 0
    while at < len(raw):
        end = raw.index(b"\n", at)
        kind, number, rest = raw[at:end].decode().split(" ", 2)
        at = end + 1
        if kind != "R":
            errors.append((kind, int(number), rest))
            continue
        function, result, _, sizes = rest.split(" ")
        shape = tuple(int(n) for n in sizes.split(",") if n)
        count = math.prod(shape)
        values = array("d", raw[at:at + 8 * count])
        at += 8 * count
        results.setdefault((int(number), function), {})[int(result)] = (shape, values)
    return results, errors
