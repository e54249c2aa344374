"""OpenVINO's plugin for CPUs: the layer as exporters write it (rows repeated for every expert, three batched products), which the
plugin turns into its GatherMatmul of the chosen experts only. Weights of q8 and q4 have a scale for each group of them.

A layer in which it finds no three GatherMatmuls is an error: as written, it computes all experts.
"""

import numpy as np
import openvino
from common import serve
from openvino import opset13 as ops

PRECISION = {"f32": "f32", "bf16": "bf16", "q8": "bf16", "q4": "bf16"}  # of arithmetic
GROUP = 32


def ints(*values):
    return ops.constant(np.array(values, np.int64))


def packed_to_4_bits(entries):
    flat = entries.reshape(-1, 2).astype(np.uint8) & 15
    return flat[:, 0] | flat[:, 1] << 4


def grouped(weights, bits):
    """[E, N, K] as integers without zero point, and a scale for each group of K."""
    shape = (*weights.shape[:-1], weights.shape[-1] // GROUP, GROUP)
    groups = weights.reshape(shape)
    scales = np.abs(groups).max(-1, keepdims=True) / (127 if bits == 8 else 7)
    entries = np.rint(groups / scales).astype(np.int8)
    if bits == 4:
        tensor = openvino.Tensor(openvino.Type.i4, openvino.Shape(shape))
        tensor.data.reshape(-1)[:] = packed_to_4_bits(entries).view(np.int8)
        integers = ops.convert(ops.constant(tensor), "f16")
    else:
        integers = ops.convert(ops.constant(entries), "f16")
    real = ops.multiply(integers, ops.constant(scales.astype(np.float16)))
    return ops.convert(ops.reshape(real, ints(*weights.shape), False), "f32")


class Peer:
    def __init__(self, weights, dtype, threads, variant):
        def expert(numbers):
            return ops.constant(numbers) if dtype in ("bf16", "f32") else grouped(numbers, {"q8": 8, "q4": 4}[dtype])

        hidden, experts = weights.hidden, weights.experts
        x = ops.parameter([1, -1, hidden], np.float32)
        rows = ops.reshape(x, ints(-1, hidden), False)
        scores = ops.softmax(ops.matmul(rows, ops.constant(weights.router), False, True), 1)
        best = ops.topk(scores, ops.constant(np.int64(weights.choices)), 1, "max", "value", index_element_type="i64")
        shares = ops.divide(best.output(0), ops.reduce_sum(best.output(0), ints(-1), True))
        tokens = ops.gather(ops.shape_of(rows), ints(0), ops.constant(np.int64(0)))
        none = ops.broadcast(ops.constant(np.float32(0)), ops.concat([tokens, ints(experts)], 0))
        routes = ops.scatter_elements_update(none, best.output(1), shares, ops.constant(np.int64(1)))
        routes = ops.reshape(ops.transpose(routes, ints(1, 0)), ints(experts, 1, -1), False)

        repeated = ops.reshape(ops.tile(rows, ints(experts, 1)), ints(experts, -1, hidden), False)
        gate = ops.matmul(repeated, expert(weights.gate), False, True)
        gate = ops.multiply(gate, ops.sigmoid(gate))  # fused to a Swish of one operand; the API makes it with two
        inner = ops.multiply(gate, ops.matmul(repeated, expert(weights.up), False, True))
        outer = ops.matmul(inner, expert(weights.down), False, True)
        outer = ops.reshape(outer, ints(experts, 1, -1, hidden), False)
        result = ops.reduce_sum(ops.multiply(outer, ops.unsqueeze(routes, ints(-1))), ints(0), False)
        model = openvino.Model([result], [x], "layer")
        del gate, inner, outer, result
        config = {"INFERENCE_PRECISION_HINT": PRECISION[dtype], "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(model, "CPU", config)
        kinds = [str(node.get_rt_info()["layerType"].value) for node in compiled.get_runtime_model().get_ops()]
        if kinds.count("GatherMatmul") != 3:
            raise RuntimeError(f"its experts are not fused: {', '.join(kinds)}")
        self.request = compiled.create_infer_request()

    def input(self, rows):
        return openvino.Tensor(rows[None].copy())

    def run(self, rows):
        self.request.set_input_tensor(rows)
        self.request.infer()
        return self.request.get_output_tensor()

    def output(self, result):
        return result.data.copy()


if __name__ == "__main__":
    serve(Peer)
