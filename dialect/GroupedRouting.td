// Choosing and editing the pairs of a routing at level 2, as tensors of weights and ids.
#ifndef MOE_GROUPED_ROUTING_TD
#define MOE_GROUPED_ROUTING_TD

include "dialect/GroupedDialect.td"

def Grouped_SelectOp : Grouped_Op<"select", [Pure]> {
  let summary = "chooses the experts of every row: with groups, by a threshold, or all";
  let description = [{
    The choices of `moe.route` other than `take`. With `top k` slot j holds the j-th choice; otherwise slot e holds expert e, or is
    empty. chosen[t, j] = w[t, ids[t, j]] as f32, 0 in an empty slot. `groups n keep m best j`: each token chooses among the m
    groups (of E / n neighbouring experts) whose j largest keys have the largest sum.

    **Inputs**
    * `weights`: w, [T, E], floats
    * `key`: the type of the weights
    * `threshold` (optional): an f32; `constant` (optional): a literal
    * `selection`; `top` (optional): k; `groups`, `keep`, `best` (optional): n, m, j

    **Outputs**
    * `chosen`: [T, k] or [T, E], f32
    * `ids`: [T, k] or [T, E], i32

    **Constraints**
    * (C1) the weights have rank 2, and E is static; the key has their type.
    * (C2) the selection is not `take`; 1 <= k <= E with `top`, and no other has k.
    * (C3) groups, keep and best go together; n divides E, m <= n, j <= E / n, k <= m * E / n, all 1 or more.
    * (C4) `greater_than`, `at_least` and `top_p` have either a constant or a threshold, the others none.
    * (C5) the results are [T, k], or [T, E] without k.

    **Example**
    ```mlir
    func.func @example(%w: tensor<?x16xf32>, %t: f32) -> (tensor<?x4xi32>, tensor<?x16xi32>) {
      %a, %i = grouped.select %w by %w groups 4 keep 2 best 2 selection top count 4
          : tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x4xf32>, tensor<?x4xi32>
      %b, %j = grouped.select %w by %w selection greater_than value %t
          : tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x16xf32>, tensor<?x16xi32>
      return %i, %j : tensor<?x4xi32>, tensor<?x16xi32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$weights, Moe_FloatTensor:$key, Optional<F32>:$threshold, Moe_Selection:$selection,
                   OptionalAttr<I64Attr>:$top, OptionalAttr<F64Attr>:$constant, OptionalAttr<I64Attr>:$groups,
                   OptionalAttr<I64Attr>:$keep, OptionalAttr<I64Attr>:$best);
  let results = (outs Moe_WeightTensor:$chosen, Moe_IdTensor:$ids);
  let assemblyFormat = [{
    $weights `by` $key (`groups` $groups^ `keep` $keep `best` $best)? `selection` $selection (`count` $top^)?
    (`literal` $constant^)? (`value` $threshold^)? attr-dict
    `:` type($weights) `,` type($key) `->` type($chosen) `,` type($ids)
  }];
  let hasVerifier = 1;
}

def Grouped_TakeOp : Grouped_Op<"take", [Pure]> {
  let summary = "the c rows with the largest keys of every expert, in each segment";
  let description = [{
    Slot e of row t holds expert e when t is among the c rows of its segment with the largest key[., e] (ties to the lower row, NaN
    below -inf), and chosen[t, e] = w[t, e] as f32; otherwise it is empty, with weight 0.

    **Inputs**
    * `weights`: w, [T, E], floats
    * `key`: the type of the weights
    * `capacity`: c, an index, or [T] of i32, equal inside a segment
    * `segments` (optional): [T], i32

    **Outputs**
    * `chosen`: [T, E], f32
    * `ids`: [T, E], i32

    **Constraints**
    * (C1) the weights have rank 2, and E is static; the key has their type.
    * (C2) segments are [T]; a capacity [T] has segments.
    * (C3) the results are [T, E].

    **Example**
    ```mlir
    func.func @example(%w: tensor<?x8xf32>, %c: index) -> (tensor<?x8xf32>, tensor<?x8xi32>) {
      %a, %i = grouped.take %w by %w to %c : (tensor<?x8xf32>, tensor<?x8xf32>, index) -> (tensor<?x8xf32>, tensor<?x8xi32>)
      return %a, %i : tensor<?x8xf32>, tensor<?x8xi32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$weights, Moe_FloatTensor:$key, Moe_Capacity:$capacity,
                   Optional<Moe_IdTensor>:$segments);
  let results = (outs Moe_WeightTensor:$chosen, Moe_IdTensor:$ids);
  let assemblyFormat = [{
    $weights `by` $key `to` $capacity (`segments` $segments^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Grouped_AssignOp : Grouped_Op<"assign", [Pure]> {
  let summary = "one expert a row, T/E rows an expert, by the auction of moe.assign";
  let description = [{
    As `moe.assign` says, with its attributes: chosen[t, 0] = w[t, ids[t, 0]] as f32.

    **Inputs**
    * `weights`: w, [T, E], floats
    * `scores`: the type of the weights
    * `segments` (optional): [T], i32
    * `over`, `at_least`, `rounds`

    **Outputs**
    * `chosen`: [T, 1], f32
    * `ids`: [T, 1], i32

    **Constraints**
    * (C1) the weights have rank 2, and E is static; the scores have their type.
    * (C2) segments are [T].
    * (C3) the results are [T, 1].

    **Example**
    ```mlir
    func.func @example(%w: tensor<?x8xf32>) -> (tensor<?x1xf32>, tensor<?x1xi32>) {
      %a, %i = grouped.assign %w by %w epsilon over 50.0 at_least 1.0e-4 rounds 100
          : (tensor<?x8xf32>, tensor<?x8xf32>) -> (tensor<?x1xf32>, tensor<?x1xi32>)
      return %a, %i : tensor<?x1xf32>, tensor<?x1xi32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$weights, Moe_FloatTensor:$scores, Optional<Moe_IdTensor>:$segments, F64Attr:$over,
                   F64Attr:$at_least, I64Attr:$rounds);
  let results = (outs Moe_WeightTensor:$chosen, Moe_IdTensor:$ids);
  let assemblyFormat = [{
    $weights `by` $scores `epsilon` `over` $over `at_least` $at_least `rounds` $rounds (`segments` $segments^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Grouped_LimitOp : Grouped_Op<"limit", [Pure, AttrSizedOperandSegments]> {
  let summary = "empties the slots that find their expert full";
  let description = [{
    As `moe.limit` says, over the filled slots; `place j` is there with `overflow next_choice`. A slot that does not stay gets id -1 and
    weight 0.

    **Inputs**
    * `weights`: [T, k], f32; `ids`: [T, k], i32
    * `capacity`: an index, or [T] of i32, equal inside a segment
    * `priority` (optional): [T], [T, k] or [T, E], floats; `segments` (optional): [T], i32
    * `experts`: E; `order`; `place` (optional): j

    **Outputs**
    * `kept`, `kept_ids`: the types of weights and ids

    **Constraints**
    * (C1) weights and ids have the same shape, of rank 2, and so have the results; k is static.
    * (C2) there is at least 1 expert.
    * (C3) an order by value has a priority of [T], [T, k] or [T, E], `choice` and `token_choice` have none or one of [T], the others none.
    * (C4) segments are [T]; a capacity [T] has segments.
    * (C5) 1 <= j <= k.

    **Example**
    ```mlir
    func.func @example(%w: tensor<?x2xf32>, %ids: tensor<?x2xi32>, %c: index) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
      %a, %i = grouped.limit %w, %ids experts 8 to %c order choice place 1
          : (tensor<?x2xf32>, tensor<?x2xi32>, index) -> (tensor<?x2xf32>, tensor<?x2xi32>)
      return %a, %i : tensor<?x2xf32>, tensor<?x2xi32>
    }
    ```
  }];
  let arguments = (ins Moe_WeightTensor:$weights, Moe_IdTensor:$ids, Moe_Capacity:$capacity, Optional<Moe_FloatTensor>:$priority,
                   Optional<Moe_IdTensor>:$segments, I64Attr:$experts, Moe_Order:$order, OptionalAttr<I64Attr>:$place);
  let results = (outs Moe_WeightTensor:$kept, Moe_IdTensor:$kept_ids);
  let assemblyFormat = [{
    $weights `,` $ids `experts` $experts `to` $capacity `order` $order (`by` $priority^)? (`place` $place^)?
    (`segments` $segments^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Grouped_JoinOp : Grouped_Op<"join", [Pure]> {
  let summary = "the slots of two routings of the same tokens";
  let description = [{
    Without `by_expert` the slots of the first, then those of the second; with it slot e of the result holds expert e. A pair of
    both routings has the sum of their weights, in the slot of the first; the second's slot is empty.

    **Inputs**
    * `first`: [T, k1], f32, and `first_ids`: i32; `second`: [T, k2], and `second_ids`
    * `experts`: E

    **Outputs**
    * `weights`, `ids`: [T, k1 + k2], or [T, E] with `by_expert`

    **Constraints**
    * (C1) weights and ids have the same shape, of rank 2, with a static number of slots.
    * (C2) there is at least 1 expert.
    * (C3) the results are [T, k1 + k2], or [T, E] with `by_expert`.

    **Example**
    ```mlir
    func.func @example(%v: tensor<?x1xf32>, %i: tensor<?x1xi32>, %w: tensor<?x2xf32>, %j: tensor<?x2xi32>) -> tensor<?x3xi32> {
      %a, %ids = grouped.join %v, %i, %w, %j experts 8
          : (tensor<?x1xf32>, tensor<?x1xi32>, tensor<?x2xf32>, tensor<?x2xi32>) -> (tensor<?x3xf32>, tensor<?x3xi32>)
      return %ids : tensor<?x3xi32>
    }
    ```
  }];
  let arguments = (ins Moe_WeightTensor:$first, Moe_IdTensor:$first_ids, Moe_WeightTensor:$second, Moe_IdTensor:$second_ids,
                   I64Attr:$experts, UnitAttr:$by_expert);
  let results = (outs Moe_WeightTensor:$weights, Moe_IdTensor:$ids);
  let assemblyFormat = [{
    $first `,` $first_ids `,` $second `,` $second_ids `experts` $experts (`by_expert` $by_expert^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Grouped_CheckIdsOp : Grouped_Op<"check_ids", [Pure]> {
  let summary = "ids as i32, after checking that rows hold distinct experts";
  let description = [{
    result = ids, with -1 for every id below 0. An id of E or more, or one that stands twice in a row (the last dimension), is a
    run-time error. Of a constant table this runs once, when the weights are loaded.

    **Inputs**
    * `ids`: [N, k], i32 or i64
    * `experts`: E

    **Outputs**
    * `result`: [N, k], i32

    **Constraints**
    * (C1) the ids have rank 2.
    * (C2) there is at least 1 expert.
    * (C3) the result has the shape of the ids.

    **Example**
    ```mlir
    func.func @example(%table: tensor<256x2xi64>) -> tensor<256x2xi32> {
      %t = grouped.check_ids %table experts 8 : tensor<256x2xi64> -> tensor<256x2xi32>
      return %t : tensor<256x2xi32>
    }
    ```
  }];
  let arguments = (ins Moe_IndexTensor:$ids, I64Attr:$experts);
  let results = (outs Moe_IdTensor:$result);
  let assemblyFormat = "$ids `experts` $experts attr-dict `:` type($ids) `->` type($result)";
  let hasVerifier = 1;
}

def Grouped_PickOp : Grouped_Op<"pick", [Pure]> {
  let summary = "for every slot the value of its expert, 0 for an empty slot";
  let description = [{
    result[t, j] = values[t, ids[t, j]], or values[ids[t, j]] of one value per expert; 0 (false) where ids[t, j] < 0.

    **Inputs**
    * `values`: [T, E] or [E]
    * `ids`: [T, k], i32

    **Outputs**
    * `result`: [T, k], elements of `values`

    **Constraints**
    * (C1) the values have rank 1 or 2, and E is static.
    * (C2) the ids have rank 2.
    * (C3) the result has the shape of the ids and the elements of the values.

    **Example**
    ```mlir
    func.func @example(%mask: tensor<8xi1>, %ids: tensor<?x2xi32>) -> tensor<?x2xi1> {
      %m = grouped.pick %mask at %ids : tensor<8xi1>, tensor<?x2xi32> -> tensor<?x2xi1>
      return %m : tensor<?x2xi1>
    }
    ```
  }];
  let arguments = (ins Moe_AnyTensor:$values, Moe_IdTensor:$ids);
  let results = (outs Moe_AnyTensor:$result);
  let assemblyFormat = "$values `at` $ids attr-dict `:` type($values) `,` type($ids) `->` type($result)";
  let hasVerifier = 1;
}

def Grouped_MatrixOp : Grouped_Op<"matrix", [Pure]> {
  let summary = "the weights as a dense matrix of tokens by experts";
  let description = [{
    result[t, e] = w[t, j] for the slot j with ids[t, j] = e, 0 without one.

    **Inputs**
    * `weights`: w, [T, k], f32
    * `ids`: [T, k], i32

    **Outputs**
    * `result`: [T, E], f32

    **Constraints**
    * (C1) weights and ids have the same shape, of rank 2.
    * (C2) the result is [T, E], and E is static.

    **Example**
    ```mlir
    func.func @example(%w: tensor<?x2xf32>, %ids: tensor<?x2xi32>) -> tensor<?x8xf32> {
      %m = grouped.matrix %w, %ids : tensor<?x2xf32>, tensor<?x2xi32> -> tensor<?x8xf32>
      return %m : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Moe_WeightTensor:$weights, Moe_IdTensor:$ids);
  let results = (outs Moe_WeightTensor:$result);
  let assemblyFormat = "$weights `,` $ids attr-dict `:` type($weights) `,` type($ids) `->` type($result)";
  let hasVerifier = 1;
}

def Grouped_BalanceLossOp : Grouped_Op<"balance_loss", [Pure]> {
  let summary = "the balance loss of moe.balance_loss, from the ids of slots";
  let description = [{
    As `moe.balance_loss` says; `counting first` counts slot 0, and `scale one` divides by k when counting all.

    **Inputs**
    * `probabilities`: [T, E], floats
    * `ids`: [T, k], i32
    * `segments` (optional): [T], i32
    * `counting`, `scale`

    **Outputs**
    * `result`: tensor<f32>

    **Constraints**
    * (C1) the probabilities have rank 2, and E is static.
    * (C2) the ids have rank 2, and k is static.
    * (C3) segments are [T].

    **Example**
    ```mlir
    func.func @example(%p: tensor<?x8xf32>, %ids: tensor<?x2xi32>) -> tensor<f32> {
      %l = grouped.balance_loss %p of %ids counting all scale one : tensor<?x8xf32>, tensor<?x2xi32>
      return %l : tensor<f32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$probabilities, Moe_IdTensor:$ids, Optional<Moe_IdTensor>:$segments,
                   Moe_Counting:$counting, Moe_BalanceScale:$scale);
  let results = (outs Moe_Scalar:$result);
  let assemblyFormat = [{
    $probabilities `of` $ids `counting` $counting `scale` $scale (`segments` $segments^)? attr-dict
    `:` type($probabilities) `,` type($ids) (`,` type($segments)^)?
  }];
  let hasVerifier = 1;
}

def Grouped_TraceOp : Grouped_Op<"trace", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "the ids or the weights of a routing, where the caller may record or replace them";
  let description = [{
    result = input, unless the caller of the function gives something else for this routing; the caller may also have the result
    written out. Ids are i32, weights f32. Ids that the caller gives are -1 or an expert, distinct in a row.

    **Inputs**
    * `input`: [T, k], i32 or f32
    * `routing`: the number of the routing in the function

    **Outputs**
    * `result`: the type of `input`

    **Constraints**
    * (C1) the input has rank 2, and k is static.
    * (C2) the number is not negative.

    **Example**
    ```mlir
    func.func @example(%w: tensor<?x2xf32>, %ids: tensor<?x2xi32>) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
      %i = grouped.trace %ids of 0 : tensor<?x2xi32>
      %v = grouped.trace %w of 0 : tensor<?x2xf32>
      return %v, %i : tensor<?x2xf32>, tensor<?x2xi32>
    }
    ```
  }];
  let arguments = (ins RankedTensorOf<[I32, F32]>:$input, I64Attr:$routing);
  let results = (outs RankedTensorOf<[I32, F32]>:$result);
  let assemblyFormat = "$input `of` $routing attr-dict `:` type($input)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether these are the ids, and not weights.
    bool isOfIds() { return getInput().getType().getElementType().isInteger(32); }
  }];
}

#endif // MOE_GROUPED_ROUTING_TD
