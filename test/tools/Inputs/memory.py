# What loaded weights take: a process that loads a layer's weights through libmoert grows by hardly more than their packed size, and
# while it loads by one param more. Arguments: libmoert.so, artefact, function, experts, hidden and inner width of a bf16 layer.
import ctypes
import json
import os
import struct
import sys
import tempfile

library, artefact, function, *sizes = sys.argv[1:]
experts, hidden, inner = map(int, sizes)


def write_weights(path):
    """Random bf16 weights as moe-bench's model names them; returns the bytes of the largest param."""
    shapes = {"gate.weight": (experts, hidden)}
    for expert in range(experts):
        shapes[f"experts.{expert}.w1.weight"] = shapes[f"experts.{expert}.w3.weight"] = (inner, hidden)
        shapes[f"experts.{expert}.w2.weight"] = (hidden, inner)
    header, end = {}, 0
    for name, (rows, columns) in shapes.items():
        header[name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [end, end + 2 * rows * columns]}
        end += 2 * rows * columns
    text = json.dumps(header).encode()
    block = b"".join(struct.pack("<H", (0x3C00 + 37 * i % 0x180) | (i % 2) << 15) for i in range(4096))
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for begin in range(0, end, len(block)):
            file.write(block[: end - begin])
    return 2 * experts * hidden * inner


def status(field):
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))


class Options(ctypes.Structure):
    _fields_ = [
        ("function", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("prefix", ctypes.c_char_p),
        ("level", ctypes.c_char_p),
        ("collect_loads", ctypes.c_int32),
        ("progress", ctypes.c_void_p),
        ("progress_data", ctypes.c_void_p),
        ("cache_bytes", ctypes.c_int64),
        ("nodes", ctypes.c_int32),
    ]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 2048)]


moert = ctypes.CDLL(library)
moert.moert_session_constant_bytes.restype = ctypes.c_int64
error = Error()


def check(code):
    if code != 0:
        sys.exit(error.message.decode())


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "weights.safetensors")
    largest = write_weights(path)
    module, weights, session = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    check(moert.moert_module_open(artefact.encode(), ctypes.byref(module), ctypes.byref(error)))
    options = Options(threads=2)
    index = ctypes.c_int32()
    check(moert.moert_module_find_function(module, function.encode(), ctypes.byref(index), ctypes.byref(error)))
    options.function = index.value
    before = status("VmRSS")
    check(moert.moert_weights_open(path.encode(), ctypes.byref(weights), ctypes.byref(error)))
    check(moert.moert_session_create(module, weights, ctypes.byref(options), ctypes.byref(session), ctypes.byref(error)))
    moert.moert_weights_close(weights)
packed = moert.moert_session_constant_bytes(session)
steady, peak = status("VmRSS") - before, status("VmHWM") - before
# Threads and code take some, and huge pages are 2 MiB.
slack = 8 << 20
text = f"packed {packed}, steady {steady}, peak {peak}, largest param {largest}"
if not packed <= steady + slack or steady > 1.05 * packed + slack:
    sys.exit(f"{text}: steady memory is not the packed size")
if peak > 1.05 * packed + 2 * largest + slack:
    sys.exit(f"{text}: the peak is more than the packed size and one product's weights")
print(text)
