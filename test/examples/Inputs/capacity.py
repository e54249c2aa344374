"""Writes a program with one moe.capacity for every row of the table of published capacities.

usage: capacity.py TABLE.safetensors EVERY > PROGRAM.mlir

The function takes the column T and has one result per formula, in the order of FORMULAS, each with a value for every row. Where the
original program raises (-1) or needs data (-2), and in rows that EVERY does not divide, the result has the number of the table.
"""

import array
import json
import pathlib
import struct
import sys

FORMULAS = {
    "mesh": "mesh factor {cf} experts {E} minimum 4",
    "flaxformer": "flaxformer factor {cf} experts {E} minimum 4",
    "megablocks": "megablocks factor {cf} experts {E} choices {k}",
    "deepspeed": "deepspeed factor {cf} experts {E} choices {k} minimum 4",
    "megatron": "megatron factor {cf} experts {E} choices {k}",
    "tutel": "tutel factor {cf} experts {E} choices {k}",
    "vmoe": "vmoe factor {cf} experts {E} choices {k} multiple 4",
    "vmoe_round_multiple1": "soft_moe factor {cf} experts {E}",
}


def read(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = json.loads(data[8 : 8 + length])
    tensors.pop("__metadata__", None)
    codes = {"I32": "i", "F64": "d"}
    return {
        name: array.array(codes[entry["dtype"]], data[slice(*(8 + length + offset for offset in entry["data_offsets"]))])
        for name, entry in tensors.items()
    }


def main():
    table = read(sys.argv[1])
    rows = len(table["T"])
    kind = f"tensor<{rows}xi32>"
    every = int(sys.argv[2])
    print(f"func.func @capacities(%T: {kind}) -> ({', '.join([kind] * len(FORMULAS))}) {{")
    for name, formula in FORMULAS.items():
        values = []
        for row in range(rows):
            value, expected = f"%{name}{row}", table[name][row]
            values.append(value)
            if expected < 0 or row % every:
                print(f"  {value} = arith.constant {expected} : i32")
                continue
            text = formula.format(**{key: repr(table[key][row]) for key in ("cf", "E", "k")})
            print(f"  {value}_i = arith.constant {row} : index")
            print(f"  {value}_n = tensor.extract %T[{value}_i] : {kind}")
            print(f"  {value}_t = arith.index_cast {value}_n : i32 to index")
            print(f"  {value}_c = moe.capacity {value}_t by {text} : index")
            print(f"  {value} = arith.index_cast {value}_c : index to i32")
        print(f"  %{name} = tensor.from_elements {', '.join(values)} : {kind}")
    print(f"  return {', '.join('%' + name for name in FORMULAS)} : {', '.join([kind] * len(FORMULAS))}\n}}")


main()
