// Reading a routing as a matrix, as pairs and as sums; the numbers that capacities are made of.
#ifndef MOE_READ_TD
#define MOE_READ_TD

include "dialect/MoeEdit.td"

def Moe_ToMatrixOp : Moe_Op<"to_matrix", [Pure]> {
  let summary = "the routing as a dense matrix of tokens by experts";
  let description = [{
    result[t, e] = G[t, e], and 0 where there is no pair.

    **Inputs**
    * `routing`: any routing

    **Outputs**
    * `result`: [T, E], f32

    **Constraints**
    * (C1) the result is [?, E].

    **Example**
    ```mlir
    func.func @example(%r: !moe.routing<8, top 2>) -> tensor<?x8xf32> {
      %g = moe.to_matrix %r : !moe.routing<8, top 2> -> tensor<?x8xf32>
      return %g : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing);
  let results = (outs Moe_WeightTensor:$result);
  let assemblyFormat = "$routing attr-dict `:` qualified(type($routing)) `->` type($result)";
  let hasVerifier = 1;
}

def Moe_PairsOp : Moe_Op<"pairs", [Pure]> {
  let summary = "the pairs one by one, in dispatch order";
  let description = [{
    Row r of each result says about row r of a `moe.dispatch` by this routing: its expert, its token, the slot of the pair (the
    expert again for a routing without slots) and its weight.

    **Inputs**
    * `routing`: any routing

    **Outputs**
    * `expert`, `token`, `slot`: [R], i32; `weight`: [R], f32; R is the number of pairs

    **Constraints**
    * (C1) the results are [?].

    **Example**
    ```mlir
    !i = tensor<?xi32>
    func.func @example(%r: !moe.routing<8, top 2>) -> (!i, tensor<?xf32>) {
      %expert, %token, %slot, %weight = moe.pairs %r : !moe.routing<8, top 2> -> !i, !i, !i, tensor<?xf32>
      return %token, %weight : !i, tensor<?xf32>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing);
  let results = (outs Moe_IdTensor:$expert, Moe_IdTensor:$token, Moe_IdTensor:$slot, Moe_WeightTensor:$weight);
  let assemblyFormat = [{
    $routing attr-dict `:` qualified(type($routing)) `->` type($expert) `,` type($token) `,` type($slot) `,` type($weight)
  }];
  let hasVerifier = 1;
}

def Moe_ImportanceOp : Moe_Op<"importance", [Pure]> {
  let summary = "weight per expert";
  let description = [{
    importance[e] = sum over t of G[t, e] (arXiv 1701.06538, equation 6).

    **Inputs**
    * `routing`: any routing

    **Outputs**
    * `result`: [E], f32

    **Constraints**
    * (C1) the result has one value for each of the E experts.

    **Example**
    ```mlir
    func.func @example(%r: !moe.routing<8, top 2>) -> tensor<8xf32> {
      %i = moe.importance %r : !moe.routing<8, top 2> -> tensor<8xf32>
      return %i : tensor<8xf32>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing);
  let results = (outs Moe_WeightTensor:$result);
  let assemblyFormat = "$routing attr-dict `:` qualified(type($routing)) `->` type($result)";
  let hasVerifier = 1;
}

def Moe_TokensOp : Moe_Op<"tokens", [Pure]> {
  let summary = "the number of rows of a tensor";
  let description = [{
    The size of dimension 0: T for a tensor of one row per token, from which `moe.capacity` makes a capacity.

    **Inputs**
    * `input`: a tensor

    **Outputs**
    * `result`: an index

    **Constraints**
    * (C1) the input has rank 1 or more.

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x64xf32>) -> index {
      %t = moe.tokens %x : tensor<?x64xf32>
      return %t : index
    }
    ```
  }];
  let arguments = (ins Moe_AnyTensor:$input);
  let results = (outs Index:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Moe_SegmentSizeOp : Moe_Op<"segment_size", [Pure, SameOperandsAndResultType]> {
  let summary = "per token, the number of tokens of its segment";
  let description = [{
    result[t] is the number of tokens u with segments[u] = segments[t]: the T of a capacity for each segment.

    **Inputs**
    * `segments`: [T], i32

    **Outputs**
    * `result`: [T], i32

    **Constraints**
    * (C1) segments have rank 1.

    **Example**
    ```mlir
    func.func @example(%seq: tensor<?xi32>) -> tensor<?xi32> {
      %n = moe.segment_size %seq : tensor<?xi32>
      %c = moe.capacity %n by flaxformer factor 1.25 experts 8 minimum 4 : tensor<?xi32>
      return %c : tensor<?xi32>
    }
    ```
  }];
  let arguments = (ins Moe_IdTensor:$segments);
  let results = (outs Moe_IdTensor:$result);
  let assemblyFormat = "$segments attr-dict `:` type($segments)";
  let hasVerifier = 1;
}

def Moe_CapacityFormula : I32EnumAttr<"CapacityFormula", "whose capacity", [
    I32EnumAttrCase<"Mesh", 0, "mesh">, I32EnumAttrCase<"Flaxformer", 1, "flaxformer">,
    I32EnumAttrCase<"MegaBlocks", 2, "megablocks">, I32EnumAttrCase<"DeepSpeed", 3, "deepspeed">,
    I32EnumAttrCase<"Megatron", 4, "megatron">, I32EnumAttrCase<"Tutel", 5, "tutel">, I32EnumAttrCase<"VMoE", 6, "vmoe">,
    I32EnumAttrCase<"VMoEExpertChoice", 7, "vmoe_expert_choice">, I32EnumAttrCase<"SoftMoE", 8, "soft_moe">]> {
  let cppNamespace = "::moe";
}

def Moe_CapacityOp : Moe_Op<"capacity", [Pure, SameOperandsAndResultType]> {
  let summary = "tokens an expert may get, by the formula of a published program";
  let description = [{
    With T tokens, factor f, E experts, k choices, minimum m and multiple q; in f64, evaluated as written, unless said otherwise:

    | formula | capacity |
    |---|---|
    | `mesh` | max(min(T, floor(T * f / E)), m) |
    | `flaxformer` | max(round(f * T / E), m), half to even |
    | `megablocks` | floor(f * (k * T / E)); that program reads 0 as "drop nothing" |
    | `deepspeed` | max(ceil((T / E) * (f * k)), m), in f32 after f * k |
    | `megatron` | ceil((k * T / E) * f) |
    | `tutel` | k * floor(f * ceil(T / E)) |
    | `vmoe` | ceil(k * T * f / E), rounded up to a multiple of q; below 1 is a run-time error |
    | `vmoe_expert_choice` | ceil(T * f / E), rounded up to a multiple of q; below 1 is a run-time error |
    | `soft_moe` | round(T * f / E), half to even; below 1 is a run-time error |

    Any other formula is arithmetic on `moe.tokens`.

    **Inputs**
    * `tokens`: T, an index, or [T] of i32 (from `moe.segment_size`)
    * `factor`: f; `experts`: E; `choices`: k; `minimum`: m; `multiple`: q

    **Outputs**
    * `result`: the type of `tokens`

    **Constraints**
    * (C1) `megablocks`, `deepspeed`, `megatron`, `tutel` and `vmoe` have choices, the others none.
    * (C2) `mesh`, `flaxformer` and `deepspeed` have a minimum, the others none.
    * (C3) `vmoe` and `vmoe_expert_choice` have a multiple, the others none.
    * (C4) the factor is finite and not negative.
    * (C5) experts, choices and multiple are 1 or more, the minimum is not negative.

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x64xf32>) -> (index, index) {
      %t = moe.tokens %x : tensor<?x64xf32>
      %a = moe.capacity %t by mesh factor 1.25 experts 8 minimum 4 : index
      %b = moe.capacity %t by vmoe factor 1.05 experts 8 choices 2 multiple 4 : index
      return %a, %b : index, index
    }
    ```
  }];
  let arguments = (ins Moe_Capacity:$tokens, Moe_CapacityFormula:$formula, F64Attr:$factor, I64Attr:$experts,
                   OptionalAttr<I64Attr>:$choices, OptionalAttr<I64Attr>:$minimum, OptionalAttr<I64Attr>:$multiple);
  let results = (outs Moe_Capacity:$result);
  let assemblyFormat = [{
    $tokens `by` $formula `factor` $factor `experts` $experts (`choices` $choices^)? (`minimum` $minimum^)? (`multiple` $multiple^)?
    attr-dict `:` type($tokens)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether the program reads this capacity as "drop nothing": factor 0 of MegaBlocks and Tutel.
    bool isDropless() {
      return getFactor().isZero() &&
             (getFormula() == ::moe::CapacityFormula::MegaBlocks || getFormula() == ::moe::CapacityFormula::Tutel);
    }
  }];
}

#endif // MOE_READ_TD
