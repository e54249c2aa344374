"""ONNX Runtime's `com.microsoft.MoE` on f32 weights, and `QMoE` on 8-bit weights with a scale for each 32 of them (with one
for each output it is much slower)."""

import tempfile

import numpy as np
import onnx
import onnxruntime
from common import serve
from onnx import TensorProto, helper, numpy_helper


def interleaved(gate, up):
    """[E, 2F, H] with the rows of gate and up in turn, as swiglu_fusion=1 wants them."""
    experts, inner, hidden = gate.shape
    return np.stack([gate, up], 2).reshape(experts, 2 * inner, hidden)


BLOCK = 32


def quantized(weights):
    """Bytes with zero point 128, and f32 scales."""
    blocks = weights.reshape(*weights.shape[:-1], -1, BLOCK)
    scales = np.abs(blocks).max(-1) / 127
    entries = (np.rint(blocks / scales[..., None]) + 128).astype(np.uint8)
    return entries.reshape(weights.shape), scales.astype(np.float32)


class Peer:
    def __init__(self, weights, dtype, threads, variant):
        values = {"router": weights.router.T.copy()}
        fused, down = interleaved(weights.gate, weights.up), weights.down
        attributes = {
            "k": weights.choices,
            "activation_type": "swiglu",
            "swiglu_fusion": 1,
            "activation_alpha": 1.0,
            "activation_beta": 0.0,
            "swiglu_limit": 1e30,
            "normalize_routing_weights": 1,
        }
        if dtype == "q8":
            values["fc1"], values["fc1_scales"] = quantized(fused)
            values["fc2"], values["fc2_scales"] = quantized(down)
            names = ["x", "logits", "fc1", "fc1_scales", "", "fc2", "fc2_scales"]
            attributes |= {"expert_weight_bits": 8, "block_size": BLOCK}
            node = helper.make_node("QMoE", names, ["y"], domain="com.microsoft", **attributes)
        elif dtype == "f32":
            values["fc1"], values["fc2"] = fused, down
            node = helper.make_node("MoE", ["x", "logits", "fc1", "", "fc2"], ["y"], domain="com.microsoft", **attributes)
        else:
            raise ValueError(f"no {dtype} on CPUs")
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "router"], ["logits"]), node],
            "layer",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", weights.hidden])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", weights.hidden])],
            [numpy_helper.from_array(value, name) for name, value in values.items()],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=9
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Weights of more than 2 GiB have to be in a file of their own.
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/layer.onnx"
            onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=1024)
            del model, graph, values
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def input(self, rows):
        return {"x": rows}

    def run(self, rows):
        return self.session.run(None, rows)[0]

    def output(self, result):
        return result


if __name__ == "__main__":
    serve(Peer)
