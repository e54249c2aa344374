// Attention among the rows at hand, and rotary positions: what routed attention and mixture of depths need.
#ifndef MOE_ATTENTION_TD
#define MOE_ATTENTION_TD

include "dialect/MoeRows.td"

def Moe_RopePairs : I32EnumAttr<"RopePairs", "which columns rotate together", [
    I32EnumAttrCase<"Half", 0, "half">, I32EnumAttrCase<"Interleaved", 1, "interleaved">]> {
  let cppNamespace = "::moe";
}

def Moe_RopeOp : Moe_Op<"rope", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotates pairs of columns by the position (RoPE, arXiv 2104.09864)";
  let description = [{
    With n frequencies, the first 2n of D columns are n pairs, and the rest stays. Pair i of row t turns by the angle
    a = positions[t] * frequencies[i]: (x, y) becomes (x cos a - y sin a, y cos a + x sin a). `half` pairs columns i and i + n (Llama),
    `interleaved` 2i and 2i + 1 (DeepSeek). The angle is computed in f32 at least.

    **Inputs**
    * `input`: [T, ..., D], floats
    * `positions`: [T], i32
    * `frequencies`: [n], f32
    * `pairs`: `half` or `interleaved`

    **Outputs**
    * `result`: the type of `input`

    **Constraints**
    * (C1) the input has rank 2 or more, and D is static.
    * (C2) the positions are [T].
    * (C3) the frequencies have rank 1, and 2n <= D.

    **Example**
    ```mlir
    !q = tensor<?x4x32xf32>
    func.func @example(%q: !q, %pos: tensor<?xi32>) -> !q {
      %f = moe.rope_frequencies {dim = 32, theta = 1.0e4} : tensor<16xf32>
      %y = moe.rope %q at %pos by %f pairs half : !q, tensor<?xi32>, tensor<16xf32>
      return %y : !q
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$input, Moe_IdTensor:$positions, Moe_WeightTensor:$frequencies, Moe_RopePairs:$pairs);
  let results = (outs Moe_FloatTensor:$result);
  let assemblyFormat = [{
    $input `at` $positions `by` $frequencies `pairs` $pairs attr-dict
    `:` type($input) `,` type($positions) `,` type($frequencies)
  }];
  let hasVerifier = 1;
}

def Moe_RopeFrequenciesOp : Moe_Op<"rope_frequencies", [Pure]> {
  let summary = "the frequencies of rotary positions, scaled for long contexts or not";
  let description = [{
    f[i] = theta^(-2i/dim), in f64. With `factor` alone every frequency is divided by it (linear scaling). With `low`, `high` and `original`
    as well (Llama 3.1), r = original * f / (2 pi) is the number of turns within the original context; a frequency of r < low is
    divided by the factor, one of r > high stays, and one between is s * f + (1 - s) * f / factor with s = (r - low) / (high - low).

    **Inputs**
    * `dim`, `theta`; optional `factor`; optional `low`, `high`, `original`

    **Outputs**
    * `result`: [dim / 2], f32

    **Constraints**
    * (C1) dim is even and 2 or more, and the result is [dim / 2].
    * (C2) theta and the factor are finite and more than 0.
    * (C3) low, high and original go together, and with a factor; 0 < low < high, and original is 1 or more.

    **Example**
    ```mlir
    func.func @example() -> tensor<16xf32> {
      %f = moe.rope_frequencies {dim = 32, theta = 5.0e5, factor = 8.0, low = 1.0, high = 4.0, original = 8192} : tensor<16xf32>
      return %f : tensor<16xf32>
    }
    ```
  }];
  let arguments = (ins I64Attr:$dim, F64Attr:$theta, OptionalAttr<F64Attr>:$factor, OptionalAttr<F64Attr>:$low,
                   OptionalAttr<F64Attr>:$high, OptionalAttr<I64Attr>:$original);
  let results = (outs Moe_WeightTensor:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Moe_AttentionOp : Moe_Op<"attention", [Pure, AttrSizedOperandSegments]> {
  let summary = "attention of query rows over key rows of the same segment";
  let description = [{
    Head h of query row t sees key row s of head h / (H / G) when their segments are equal and, with `causal`, the key's position is
    at most the query's; with `window` w also the query's position is less than the key's plus w. Over the rows that it sees:

        y[t, h] = sum over s of softmax over s (scale * q[t, h] . k[s, g]) * v[s, g]

    A row that sees nothing gives 0. Sums are in f32 at least. `scale` is always said.

    **Inputs**
    * `query`: [T, H, D]; `key`: [S, G, D]; `value`: [S, G, V]; floats
    * `query_segments`: [T], `key_segments`: [S], i32, both or none
    * `query_positions`: [T], `key_positions`: [S], i32, both or none
    * `scale`: a number; `causal`; `window` (optional): w

    **Outputs**
    * `result`: [T, H, V]

    **Constraints**
    * (C1) query, key and value have rank 3.
    * (C2) query and key have equal widths; key and value have equal rows and heads.
    * (C3) the heads of the keys divide those of the queries, and all are static.
    * (C4) segments and positions are [T] and [S], both or none.
    * (C5) `causal` and `window` need positions.
    * (C6) the scale is finite; the window is 1 or more.
    * (C7) the result is [T, H, V].

    **Example**
    ```mlir
    !q = tensor<?x4x32xf32>
    !k = tensor<?x2x32xf32>
    !i = tensor<?xi32>
    func.func @example(%q: !q, %k: !k, %v: !k, %seq: !i, %pos: !i) -> !q {
      %y = moe.attention %q, %k, %v segments(%seq, %seq) positions(%pos, %pos) {causal, scale = 0.17677669}
          : (!q, !k, !k, !i, !i, !i, !i) -> !q
      return %y : !q
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$query, Moe_FloatTensor:$key, Moe_FloatTensor:$value,
                   Optional<Moe_IdTensor>:$query_segments, Optional<Moe_IdTensor>:$key_segments,
                   Optional<Moe_IdTensor>:$query_positions, Optional<Moe_IdTensor>:$key_positions,
                   F64Attr:$scale, UnitAttr:$causal, OptionalAttr<I64Attr>:$window);
  let results = (outs Moe_FloatTensor:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`segments` `(` $query_segments^ `,` $key_segments `)`)?
    (`positions` `(` $query_positions^ `,` $key_positions `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif // MOE_ATTENTION_TD
