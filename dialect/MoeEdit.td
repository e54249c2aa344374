// Editing the pairs of a routing: keep some, join two, limit the load of experts.
#ifndef MOE_EDIT_TD
#define MOE_EDIT_TD

include "dialect/MoeRouting.td"

def Moe_KeepOp : Moe_Op<"keep", [Pure, AllTypesMatch<["routing", "result"]>]> {
  let summary = "drops the pairs whose mask is false";
  let description = [{
    The mask says for every pair (t, e) in slot j whether it stays: mask[t, j] of a mask per slot, mask[e] of one per expert, mask[t, e]
    of one per pair. A dropped pair leaves its slot empty, and the others stay in theirs. When k = E, a mask [T, E] is per slot.

    **Inputs**
    * `routing`: any routing
    * `mask`: [T, k] (needs slots), [E] or [T, E] of i1

    **Outputs**
    * `result`: the type of `routing`

    **Constraints**
    * (C1) the mask is per slot, per expert or per pair.

    **Example**
    ```mlir
    func.func @example(%r: !moe.routing<8, top 2>, %slots: tensor<?x2xi1>, %experts: tensor<8xi1>) -> !moe.routing<8, top 2> {
      %a = moe.keep %r where %slots : !moe.routing<8, top 2>, tensor<?x2xi1>
      %b = moe.keep %a where %experts : !moe.routing<8, top 2>, tensor<8xi1>
      return %b : !moe.routing<8, top 2>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing, Moe_MaskTensor:$mask);
  let results = (outs Moe_RoutingType:$result);
  let assemblyFormat = "$routing `where` $mask attr-dict `:` qualified(type($routing)) `,` type($mask)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let extraClassDeclaration = [{
    /// Whether the mask is [T, k]: one value per slot.
    bool isPerSlot() {
      return getMask().getType().getRank() == 2 && getRouting().getType().getShape() == ::moe::RoutingShape::Top &&
             getMask().getType().getDimSize(1) == getRouting().getType().getChoices();
    }
    /// Whether the mask is [E]: one value per expert.
    bool isPerExpert() { return getMask().getType().getRank() == 1; }
  }];
}

def Moe_JoinOp : Moe_Op<"join", [Pure]> {
  let summary = "the pairs of both routings; the weights of a pair in both add up";
  let description = [{
    G'[t, e] = G1[t, e] + G2[t, e], and the support is the union. Two routings with slots join to one with the slots of the first,
    then those of the second; a pair of both stands in the first's slot, and the second's slot is empty. Any two routings join to
    `any`.

    **Inputs**
    * `first`, `second`: routings of the same tokens and experts

    **Outputs**
    * `result`: `!moe.routing<E, top k1 + k2>` of `top k1` and `top k2`, or `!moe.routing<E, any>`

    **Constraints**
    * (C1) all routings have the same number of experts.
    * (C2) the result is `any`, or of two routings with slots has the slots of both.

    **Example**
    ```mlir
    func.func @example(%a: !moe.routing<8, top 1>, %b: !moe.routing<8, top 2>) -> !moe.routing<8, top 3> {
      %r = moe.join %a, %b : !moe.routing<8, top 1>, !moe.routing<8, top 2> -> !moe.routing<8, top 3>
      return %r : !moe.routing<8, top 3>
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$first, Moe_RoutingType:$second);
  let results = (outs Moe_RoutingType:$result);
  let assemblyFormat = [{
    $first `,` $second attr-dict `:` qualified(type($first)) `,` qualified(type($second)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Moe_LimitOp : Moe_Op<"limit", [Pure, AttrSizedOperandSegments, AllTypesMatch<["routing", "result"]>]> {
  let summary = "at most c tokens an expert; the rest is dropped, or takes its next choice";
  let description = [{
    Pairs are looked at one by one, in an order. A pair stays when its expert has kept fewer than c pairs (of the token's segment), and,
    with `overflow next_choice`, when its token has kept fewer than j: then the slots are preferences, of which `place j` are
    wanted. A pair that does not stay leaves its slot empty, and the others stay in theirs, with their weights. The order of
    pairs (t, e) in slot s:

    * `position`: by t, then by e.
    * `choice`: by s, then by t: all first choices come before second ones (GShard, arXiv 2006.16668).
    * `token_choice`: by t, then by s (DeepSpeed's top-k gating).
    * `weight`: by descending weight, then by t, then by s.
    * `%p`: by descending priority, then by t, then by s; %p is [T], [T, k] (with slots) or [T, E]. Noise gives a random order.
    * `choice by %p`, `token_choice by %p`: as without `by`, but tokens in descending order of %p, which is [T] (batch priority, arXiv
      2106.05974: the largest weight of every token).

    NaN ranks below -inf; routings without slots have slot e for expert e. `order choice place 1 overflow next_choice` is "no token
    left behind" of mesh_tensorflow.

    **Inputs**
    * `routing`: any routing
    * `capacity`: c, an index, or [T] of i32, equal inside a segment; below 1 nothing stays
    * `priority` (optional): floats; `segments` (optional): [T], i32
    * `order`; `place` (next_choice): j

    **Outputs**
    * `result`: the type of `routing`

    **Constraints**
    * (C1) `choice` and `token_choice` need a routing with slots.
    * (C2) an order by value has a priority; `position` and `weight` have none.
    * (C3) the priority has one value per token; by value also one per slot or per pair.
    * (C4) segments are [T]; a capacity [T] has segments.
    * (C5) the capacity is not that of a dropless program.
    * (C6) `next_choice` needs a routing with slots, and an order other than `position`.
    * (C7) 1 <= j <= k.

    **Example**
    ```mlir
    !r = !moe.routing<8, top 2>
    func.func @example(%r: !r, %c: index, %u: tensor<?x2xf32>, %v: tensor<?xf32>, %seq: tensor<?xi32>) -> !r {
      %a = moe.limit %r to %c order choice overflow drop : !r, index
      %b = moe.limit %a to %c order %u overflow drop segments %seq : !r, index, tensor<?x2xf32>, tensor<?xi32>
      %d = moe.limit %b to %c order choice by %v overflow drop : !r, index, tensor<?xf32>
      %e = moe.limit %d to %c order choice place 1 overflow next_choice : !r, index
      return %e : !r
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing, Moe_Capacity:$capacity, Optional<Moe_FloatTensor>:$priority,
                   Optional<Moe_IdTensor>:$segments, Moe_Order:$order, OptionalAttr<I64Attr>:$place);
  let results = (outs Moe_RoutingType:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // MOE_EDIT_TD
