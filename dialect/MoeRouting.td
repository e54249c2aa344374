// Editing and reading the weights of a routing; its pairs stay.
#ifndef MOE_ROUTING_TD
#define MOE_ROUTING_TD

include "dialect/MoeSelect.td"

def Moe_NormalizeOp : Moe_Op<"normalize", [Pure, SameOperandsAndResultType]> {
  let summary = "divides the weights of every row, over its pairs";
  let description = [{
    For the weights w of one token, over its pairs in slot order:

    * `by sum`: w / sum(w); `plus e`: w / (sum(w) + e); `at_least e`: w / max(sum(w), e)
    * `by softmax`: exp(w - max(w)) / sum(exp(w - max(w)))
    * `by lp p`: w / (sum(|w|^p))^(1/p)

    Empty slots are skipped; a token without pairs stays without. The support does not change. A sum of 0 without
    `plus` or `at_least` gives the NaN or infinity of the division.

    **Inputs**
    * `routing`: any routing
    * `norm`: `sum`, `softmax` or `lp`; `p` belongs to `lp`, `plus` and `at_least` to `sum`

    **Outputs**
    * `result`: the type of `routing`

    **Constraints**
    * (C1) `lp` has an exponent, and nothing else has one.
    * (C2) the exponent is finite and more than 0.
    * (C3) `plus` and `at_least` go with `sum`, one of them at most.
    * (C4) they are finite and not negative.

    **Example**
    ```mlir
    func.func @example(%r: !moe.routing<16, top 4>) -> !moe.routing<16, top 4> {
      %a = moe.normalize %r by sum plus 1.0e-20 : !moe.routing<16, top 4>
      %b = moe.normalize %a by lp 2.0 : !moe.routing<16, top 4>
      %c = moe.normalize %b by softmax : !moe.routing<16, top 4>
      return %c : !moe.routing<16, top 4>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing, Moe_Norm:$norm, OptionalAttr<F64Attr>:$p, OptionalAttr<F64Attr>:$plus,
                   OptionalAttr<F64Attr>:$at_least);
  let results = (outs Moe_RoutingType:$result);
  let assemblyFormat = [{
    $routing `by` $norm ($p^)? (`plus` $plus^)? (`at_least` $at_least^)? attr-dict `:` qualified(type($routing))
  }];
  let hasVerifier = 1;
}

def Moe_ScaleOp : Moe_Op<"scale", [Pure, AllTypesMatch<["routing", "result"]>]> {
  let summary = "multiplies the weights by a constant, a value, or one value per expert";
  let description = [{
    G'[t, e] = G[t, e] * c, where c is a literal, an f32 value, or v[e] of a tensor [E]. The support does not change, not even when a
    factor is 0.

    **Inputs**
    * `routing`: any routing
    * `constant`, a literal; or `factor`, an f32 or a tensor [E] of f32

    **Outputs**
    * `result`: the type of `routing`

    **Constraints**
    * (C1) there is either a constant or a factor.
    * (C2) a tensor has one value for each of the E experts.
    * (C3) a constant is finite.

    **Example**
    ```mlir
    func.func @example(%r: !moe.routing<16, top 4>, %v: tensor<16xf32>) -> !moe.routing<16, top 4> {
      %a = moe.scale %r by 2.5 : !moe.routing<16, top 4>
      %b = moe.scale %a by %v : !moe.routing<16, top 4>, tensor<16xf32>
      return %b : !moe.routing<16, top 4>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing, Optional<AnyTypeOf<[F32, Moe_WeightTensor]>>:$factor,
                   OptionalAttr<F64Attr>:$constant);
  let results = (outs Moe_RoutingType:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Moe_WeightsOp : Moe_Op<"weights", [Pure]> {
  let summary = "the weights by token and slot; an empty slot has 0";
  let description = [{
    w[t, j] is the weight of the j-th choice of token t. With `indices` and `with_weights` this is the way to edit weights by
    arithmetic that `normalize` and `scale` do not know.

    **Inputs**
    * `routing`: `!moe.routing<E, top k>`

    **Outputs**
    * `result`: [T, k], f32

    **Constraints**
    * (C1) the routing has slots: its shape is `top k`.
    * (C2) the tensor is [?, k].

    **Example**
    ```mlir
    func.func @example(%r: !moe.routing<8, top 2>) -> tensor<?x2xf32> {
      %w = moe.weights %r : !moe.routing<8, top 2> -> tensor<?x2xf32>
      return %w : tensor<?x2xf32>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing);
  let results = (outs Moe_WeightTensor:$result);
  let assemblyFormat = "$routing attr-dict `:` qualified(type($routing)) `->` type($result)";
  let hasVerifier = 1;
}

def Moe_IndicesOp : Moe_Op<"indices", [Pure]> {
  let summary = "the experts by token and slot; an empty slot has -1";
  let description = [{
    ids[t, j] is the expert of the j-th choice of token t.

    **Inputs**
    * `routing`: `!moe.routing<E, top k>`

    **Outputs**
    * `result`: [T, k], i32, in -1 ... E-1

    **Constraints**
    * (C1) the routing has slots: its shape is `top k`.
    * (C2) the tensor is [?, k].

    **Example**
    ```mlir
    func.func @example(%r: !moe.routing<8, top 2>) -> tensor<?x2xi32> {
      %i = moe.indices %r : !moe.routing<8, top 2> -> tensor<?x2xi32>
      return %i : tensor<?x2xi32>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing);
  let results = (outs Moe_IdTensor:$result);
  let assemblyFormat = "$routing attr-dict `:` qualified(type($routing)) `->` type($result)";
  let hasVerifier = 1;
}

def Moe_WithWeightsOp : Moe_Op<"with_weights", [Pure, AllTypesMatch<["routing", "result"]>]> {
  let summary = "the same pairs with other weights";
  let description = [{
    G'[t, e] = w[t, j] for the j-th choice e of token t. The support does not change: what w holds for an empty slot is ignored, a
    weight of 0 leaves the pair in place. The number of rows of w must be T, otherwise it is a run-time error.

    **Inputs**
    * `routing`: `!moe.routing<E, top k>`
    * `weights`: w, [T, k], f32

    **Outputs**
    * `result`: the type of `routing`

    **Constraints**
    * (C1) the routing has slots: its shape is `top k`.
    * (C2) the tensor is [?, k].

    **Example**
    ```mlir
    func.func @squared(%r: !moe.routing<8, top 2>) -> !moe.routing<8, top 2> {
      %w = moe.weights %r : !moe.routing<8, top 2> -> tensor<?x2xf32>
      %s = arith.mulf %w, %w : tensor<?x2xf32>
      %q = moe.with_weights %r, %s : !moe.routing<8, top 2>, tensor<?x2xf32>
      return %q : !moe.routing<8, top 2>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing, Moe_WeightTensor:$weights);
  let results = (outs Moe_RoutingType:$result);
  let assemblyFormat = "$routing `,` $weights attr-dict `:` qualified(type($routing)) `,` type($weights)";
  let hasVerifier = 1;
}

def Moe_CountsOp : Moe_Op<"counts", [Pure]> {
  let summary = "tokens per expert";
  let description = [{
    counts[e] is the number of tokens whose row has a pair with expert e. The sum over e is the number of pairs.

    **Inputs**
    * `routing`: any routing

    **Outputs**
    * `result`: [E], i32

    **Constraints**
    * (C1) the result has one count for each of the E experts.

    **Example**
    ```mlir
    func.func @load(%r: !moe.routing<8, top 2>) -> tensor<8xi32> {
      %c = moe.counts %r : !moe.routing<8, top 2> -> tensor<8xi32>
      return %c : tensor<8xi32>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing);
  let results = (outs Moe_IdTensor:$result);
  let assemblyFormat = "$routing attr-dict `:` qualified(type($routing)) `->` type($result)";
  let hasVerifier = 1;
}

#endif // MOE_ROUTING_TD
