// Making a routing: by scores, by a table, from given experts, by a balanced assignment.
#ifndef MOE_SELECT_TD
#define MOE_SELECT_TD

include "dialect/MoeRows.td"

def Moe_RouteOp : Moe_Op<"route", [Pure, AttrSizedOperandSegments]> {
  let summary = "chooses the pairs of a routing by their scores";
  let description = [{
    The choice looks at key[t, e]; the weight of a chosen pair is G[t, e] = weights[t, e]. The key defaults to the weights; a selection
    bias (DeepSeek-V3: score + bias) or noise goes into the key and stays out of the weights. Nothing is normalised: that is
    `moe.normalize`.

    * `top k`: every token visits its k experts of largest key; slot j holds the j-th choice.
    * `take %c`: every expert takes its c tokens of largest key, all of them when there are not more (expert choice, arXiv
      2202.09368). With `segments` it takes c tokens of each segment; c is then an index, or one value per token, equal inside a
      segment. A capacity below 1 takes nothing.
    * `greater_than t`, `at_least t`: the experts whose key is above t, or not below it. A literal is rounded to f32 unless keys are
      f64. A NaN is neither.
    * `top_p p`: in descending order of the key, every expert before which the keys sum to less than p: the one that crosses p is
      chosen too (arXiv 2403.07652).
    * `nonzero`: the experts whose key is not 0 (a NaN is not 0).
    * `all`: every expert.

    `groups n keep m score max` or `score sum j` restricts all but `take`: experts are n groups of neighbours; a group's score is the sum
    of its j largest keys (`max`: j = 1); a token chooses among the experts of its m best groups, and never another.

    In every comparison ties go to the lower expert, group or token, and NaN ranks below -inf, so `top k` gives k distinct experts
    even to a row of NaN. Keys are compared in f32 at least.

    **Inputs**
    * `weights`: [T, E], floats
    * `key` (optional): the type of the weights
    * `capacity` (take): c, an index or [T] of i32; `segments` (take, optional): [T], i32
    * `threshold`, an f32, or `constant`, a literal: t or p
    * `selection`, and `top`: k
    * `groups`: n; `keep`: m; `best`: j

    **Outputs**
    * `routing`: `!moe.routing<E, top k>` with no slot empty, `<E, take>`, or for the others `<E, any>`

    **Constraints**
    * (C1) the weights have rank 2, and E is static.
    * (C2) the key has the type of the weights.
    * (C3) 1 <= k <= E with `top`; no other selection has k.
    * (C4) the result has the shape of the selection.
    * (C5) groups, the number kept and their score are given together, and not with `take`.
    * (C6) n divides E, and 1 <= m <= n.
    * (C7) 1 <= j <= E / n.
    * (C8) k <= m * E / n.
    * (C9) `take` has a capacity, the others neither a capacity nor segments.
    * (C10) segments are [T]; a capacity [T] has segments.
    * (C11) the capacity is not that of a dropless program.
    * (C12) `greater_than`, `at_least` and `top_p` have a threshold, either a literal or a value; the others have none.
    * (C13) a literal is finite; p is more than 0 and at most 1.

    **Example**
    ```mlir
    !s = tensor<?x16xf32>
    func.func @example(%score: !s, %key: !s, %c: index, %t: f32) {
      %biased = moe.route %score by %key groups 4 keep 2 score sum 2 top 4 : !s -> !moe.routing<16, top 4>
      %chosen = moe.route %score take %c : !s, index -> !moe.routing<16, take>
      %fixed  = moe.route %score greater_than 0.2 : !s -> !moe.routing<16, any>
      %value  = moe.route %score top_p %t : !s -> !moe.routing<16, any>
      %dense  = moe.route %score all : !s -> !moe.routing<16, any>
      return
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$weights, Optional<Moe_FloatTensor>:$key, Optional<Moe_Capacity>:$capacity,
                   Optional<Moe_IdTensor>:$segments, Optional<F32>:$threshold,
                   DefaultValuedAttr<Moe_Selection, "::moe::Selection::Top">:$selection, DefaultValuedAttr<I64Attr, "0">:$top,
                   OptionalAttr<F64Attr>:$constant, OptionalAttr<I64Attr>:$groups, OptionalAttr<I64Attr>:$keep,
                   OptionalAttr<I64Attr>:$best);
  let results = (outs Moe_RoutingType:$routing);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasFolder = 1;
  let extraClassDeclaration = [{
    /// What the choice looks at: the key, or the weights.
    ::mlir::TypedValue<::mlir::RankedTensorType> getChosenBy() { return getKey() ? getKey() : getWeights(); }
    /// Whether this is `top k` without groups.
    bool isPlainTop() { return getSelection() == ::moe::Selection::Top && !getGroups(); }
  }];
}

def Moe_LookupOp : Moe_Op<"lookup", [Pure]> {
  let summary = "the experts of a token are the row of a table (hash layers, arXiv 2106.04426)";
  let description = [{
    Slot j of token t holds the expert table[ids[t], j]; an entry of -1 leaves the slot empty. Its weight is scores[t, expert], or 1
    without scores (DeepSeek-V4 looks the experts up and weighs them by scores). An id outside the table, an entry of E or more,
    and an expert that stands twice in a row are run-time errors.

    **Inputs**
    * `ids`: [T], i32 or i64
    * `table`: [V, K], i32 or i64
    * `scores` (optional): [T, E], floats

    **Outputs**
    * `routing`: `!moe.routing<E, top K>`

    **Constraints**
    * (C1) the ids have rank 1.
    * (C2) the table has rank 2.
    * (C3) the scores are [T, E].
    * (C4) the routing has a slot for every column of the table.

    **Example**
    ```mlir
    func.func @example(%ids: tensor<?xi32>, %table: tensor<256x2xi32>, %s: tensor<?x8xf32>) -> !moe.routing<8, top 2> {
      %a = moe.lookup %ids in %table : tensor<?xi32>, tensor<256x2xi32> -> !moe.routing<8, top 2>
      %b = moe.lookup %ids in %table weights %s : tensor<?xi32>, tensor<256x2xi32>, tensor<?x8xf32> -> !moe.routing<8, top 2>
      return %b : !moe.routing<8, top 2>
    }
    ```
  }];
  let arguments = (ins Moe_IndexTensor:$ids, Moe_IndexTensor:$table, Optional<Moe_FloatTensor>:$scores);
  let results = (outs Moe_RoutingType:$routing);
  let assemblyFormat = [{
    $ids `in` $table (`weights` $scores^)? attr-dict `:` type($ids) `,` type($table) (`,` type($scores)^)? `->`
    qualified(type($routing))
  }];
  let hasVerifier = 1;
}

def Moe_FromIndicesOp : Moe_Op<"from_indices", [Pure]> {
  let summary = "a routing from given experts and weights";
  let description = [{
    Slot j of token t holds the expert ids[t, j] with weight weights[t, j]; an id below 0 leaves the slot empty, and its weight is 0.
    So a recorded routing is replayed, and so a router that no selection covers says what it chose. An id of E or more, and an expert that
    stands twice in a row, are run-time errors.

    **Inputs**
    * `ids`: [T, k], i32
    * `weights`: [T, k], f32

    **Outputs**
    * `routing`: `!moe.routing<E, top k>`

    **Constraints**
    * (C1) ids and weights are [T, k].

    **Example**
    ```mlir
    func.func @example(%ids: tensor<?x2xi32>, %weights: tensor<?x2xf32>) -> !moe.routing<8, top 2> {
      %r = moe.from_indices %ids, %weights : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<8, top 2>
      return %r : !moe.routing<8, top 2>
    }
    ```
  }];
  let arguments = (ins Moe_IdTensor:$ids, Moe_WeightTensor:$weights);
  let results = (outs Moe_RoutingType:$routing);
  let assemblyFormat = "$ids `,` $weights attr-dict `:` type($ids) `,` type($weights) `->` qualified(type($routing))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Moe_AssignOp : Moe_Op<"assign", [Pure]> {
  let summary = "one expert a token, T/E tokens an expert, by auction (BASE, arXiv 2103.16716)";
  let description = [{
    The auction of fairseq's balanced_assignment, in f32: n = T/E, epsilon = max((max scores - min scores) / over, at_least), and every
    token has a cost, 0 at first. In each round every expert looks at value = score - cost of every token, bids value - v + epsilon on
    its n tokens of largest value, where v is the (n+1)-th largest, and epsilon on the tokens it holds; a token goes to the highest
    bid (ties to the lower expert), and its cost grows by that bid. A token won in a round has the largest value of all for its
    winner in the next, from round `rounds` on its score instead, which ends quickly. The auction ends when every token has an
    expert. For inference, BASE takes the best expert of every token instead: `moe.route %w by %scores top 1`.

    With `segments` every segment is an auction of its own. A segment whose number of tokens is not a multiple of E, a score that is
    not finite, and an auction that does not end (huge scores absorb every bid) are run-time errors. With E = 1 every token goes to
    expert 0.

    **Inputs**
    * `weights`: [T, E], floats; G[t, e] of an assigned pair is weights[t, e]
    * `scores`: the type of the weights
    * `segments` (optional): [T], i32
    * `over`, `at_least`: numbers; `rounds`: a count

    **Outputs**
    * `routing`: `!moe.routing<E, top 1>`, no slot empty

    **Constraints**
    * (C1) the weights have rank 2, and E is static.
    * (C2) the scores have the type of the weights.
    * (C3) segments are [T].
    * (C4) `over` and `at_least` are finite and more than 0.
    * (C5) there is 1 round or more.
    * (C6) the result is `!moe.routing<E, top 1>`.

    **Example**
    ```mlir
    !s = tensor<?x8xf32>
    func.func @base(%gate: !s, %scores: !s) -> !moe.routing<8, top 1> {
      %r = moe.assign %gate by %scores epsilon over 50.0 at_least 1.0e-4 rounds 100 : !s -> !moe.routing<8, top 1>
      return %r : !moe.routing<8, top 1>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$weights, Moe_FloatTensor:$scores, Optional<Moe_IdTensor>:$segments, F64Attr:$over,
                   F64Attr:$at_least, I64Attr:$rounds);
  let results = (outs Moe_RoutingType:$routing);
  let assemblyFormat = [{
    $weights `by` $scores `epsilon` `over` $over `at_least` $at_least `rounds` $rounds (`segments` $segments^)? attr-dict
    `:` custom<ScoreTypes>(type($weights), type($scores)) (`,` type($segments)^)? `->` qualified(type($routing))
  }];
  let hasVerifier = 1;
}

#endif // MOE_SELECT_TD
