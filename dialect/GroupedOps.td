// The grouped dialect: level 2, ragged groups of rows, still target-independent and still interpretable.
#ifndef MOE_GROUPED_OPS_TD
#define MOE_GROUPED_OPS_TD

include "dialect/GroupedDialect.td"
include "dialect/GroupedRouting.td"

def Grouped_PackedType : TypeDef<Grouped_Dialect, "Packed"> {
  let mnemonic = "packed";
  let summary = "weights in the layout of the kernels; each level of the target chooses its own";
  let description = [{
    `!grouped.packed<8x256x128xbf16, 2>`: two weights of 8 groups, 256 outputs and 128 inputs, packed together because they
    multiply the same rows. The shape is [groups, outputs, inputs].

    **Constraints**
    * (C1) the shape is static and has 3 dimensions of 1 or more.
    * (C2) elements are f64, f32, f16, bf16, or entries of 8 or 4 bits with scales (`--moe-quantize-weights`).
    * (C3) there is at least 1 weight.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType, "int64_t":$weights);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getGroups() const { return getShape()[0]; }
    int64_t getOutputs() const { return getShape()[1]; }
    int64_t getInputs() const { return getShape()[2]; }
  }];
}

def Grouped_TopKOp : Grouped_Op<"top_k", [Pure]> {
  let summary = "the k experts with the largest keys of every row, in descending order, and their weights";
  let description = [{
    ids[t, j] is the expert of the j-th largest key of row t: ties to the lower expert, NaN below -inf; weights[t, j] = w[t, ids[t, j]]
    as f32.

    **Inputs**
    * `weights`: w, [T, E], floats
    * `key`: the type of the weights
    * `top`: k

    **Outputs**
    * `chosen`: [T, k], f32
    * `ids`: [T, k], i32

    **Constraints**
    * (C1) the weights have rank 2, and E is static.
    * (C2) the key has the type of the weights.
    * (C3) 1 <= k <= E.
    * (C4) the results are [T, k].

    **Example**
    ```mlir
    func.func @example(%w: tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
      %c, %i = grouped.top_k %w by %w top 2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
      return %c, %i : tensor<?x2xf32>, tensor<?x2xi32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$weights, Moe_FloatTensor:$key, I64Attr:$top);
  let results = (outs Moe_WeightTensor:$chosen, Moe_IdTensor:$ids);
  let assemblyFormat = [{
    $weights `by` $key `top` $top attr-dict `:` type($weights) `,` type($key) `->` type($chosen) `,` type($ids)
  }];
  let hasVerifier = 1;
}

def Grouped_PlanOp : Grouped_Op<"plan", [Pure]> {
  let summary = "the stable counting sort of slots by expert";
  let description = [{
    From ids [T, k]: offsets [E + 1] (group e is rows offsets[e] ... offsets[e+1]-1), tokens [R] (row to token), slots [R] (row to flat slot
    t * k + j), rows [T, k] (slot to row, -1 when empty). R is the number of filled slots. An id below 0 is an empty slot; an id of
    E or more is a run-time error.

    **Inputs**
    * `ids`: [T, k], i32
    * `experts`: E

    **Outputs**
    * `offsets`: [E + 1]; `tokens`: [R]; `slots`: [R]; `rows`: [T, k]; all i32

    **Constraints**
    * (C1) the ids have rank 2, and k is static.
    * (C2) there is at least 1 expert.
    * (C3) the offsets are [E + 1].
    * (C4) tokens and slots have rank 1.
    * (C5) the rows have the shape of the ids.

    **Example**
    ```mlir
    func.func @example(%ids: tensor<?x2xi32>) -> tensor<9xi32> {
      %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 8
          : tensor<?x2xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
      return %offsets : tensor<9xi32>
    }
    ```
  }];
  let arguments = (ins Moe_IdTensor:$ids, I64Attr:$experts);
  let results = (outs Moe_IdTensor:$offsets, Moe_IdTensor:$tokens, Moe_IdTensor:$slots, Moe_IdTensor:$rows);
  let assemblyFormat = [{
    $ids `experts` $experts attr-dict `:` type($ids) `->` type($offsets) `,` type($tokens) `,` type($slots) `,` type($rows)
  }];
  let hasVerifier = 1;
}

def Grouped_PackOp : Grouped_Op<"pack", [Pure]> {
  let summary = "brings weights that multiply the same rows into the layout of the kernels";
  let description = [{
    Every weight is [E, N, K] (or [N, K]: one group); with `in_out` [E, K, N] (or [K, N]). The result's element type may differ from
    the weights': they are converted. Packing runs once, when the weights are loaded.

    **Inputs**
    * `weights`: n tensors of floats

    **Outputs**
    * `packed`: `!grouped.packed<ExNxK, n>`

    **Constraints**
    * (C1) there are as many weights as the packed type says.
    * (C2) every weight has the shape of the packed type.

    **Example**
    ```mlir
    func.func @example(%gate: tensor<8x256x128xbf16>, %up: tensor<8x256x128xbf16>) -> !grouped.packed<8x256x128xbf16, 2> {
      %p = grouped.pack %gate, %up : tensor<8x256x128xbf16>, tensor<8x256x128xbf16> -> !grouped.packed<8x256x128xbf16, 2>
      return %p : !grouped.packed<8x256x128xbf16, 2>
    }
    ```
  }];
  let arguments = (ins Variadic<Moe_FloatTensor>:$weights, UnitAttr:$in_out);
  let results = (outs Grouped_PackedType:$packed);
  let assemblyFormat = "$weights (`in_out` $in_out^)? attr-dict `:` type($weights) `->` qualified(type($packed))";
  let hasVerifier = 1;
}

def Grouped_MatmulOp : Grouped_Op<"matmul", [Pure, AttrSizedOperandSegments, SingleBlock]> {
  let summary = "rows times the weights of their group, with an epilogue over scalars";
  let description = [{
    For every grouped row r of group e and every column n, the region gets acc_w = sum_k a[row(r), k] * W_w[e, n, k] for each of the
    packed weights (f32), then one scalar per `with` operand, and yields what results[i][r, n] holds.

    * `rows %tokens`: row(r) = tokens[r] (the dispatch is fused into the load of A); without it row(r) = r.
    * `groups %offsets`: group e is rows offsets[e] ... offsets[e+1]-1; without it there is one group of all rows.
    * `with(...)`: a tensor [N] or [E, N] gives the column's (and group's) element, a tensor [R, N] the row's.
    * `combine %rows slots %slots scaled %w`: results are by token: y[t, n] = sum over t's filled slots j of
      w[t, j] * value[rows[t, j], n]; without `scaled` the factor is 1. `rows` and `slots` are those of `grouped.plan`. Sums are f32;
      their order depends on the token's routing alone.

    **Inputs**
    * `input`: a, [rows, K], floats
    * `tokens` (optional): [R], i32; `offsets` (optional): [E + 1], i32
    * `weights`: `!grouped.packed<ExNxK, n>`
    * `extras`: what `with` lists
    * `combine_rows` (optional): [T, k], i32; `combine_slots`: [R], i32; `combine_weights` (optional): [T, k], f32

    **Outputs**
    * `results`: [R, N], or [T, N] with `combine`; one for each yielded scalar

    **Constraints**
    * (C1) the input has rank 2 and K columns.
    * (C2) the tokens have rank 1.
    * (C3) the offsets are [E + 1]; without them the weights have one group.
    * (C4) an extra is [N], [E, N] or [R, N].
    * (C5) `combine` has rows and slots; `scaled` goes with `combine`.
    * (C6) combine rows have rank 2, slots rank 1, and the combine weights have the shape of the rows.
    * (C7) results are [R, N], or [T, N] with `combine`.
    * (C8) the region's arguments are one f32 for each of the n weights, then the element type of each extra.
    * (C9) the region ends with `grouped.yield` of one scalar for each result, of its element type.
    * (C10) the region computes scalars only.

    **Example**
    ```mlir
    // The gate and up projections of SwiGLU, with the dispatch and the activation inside.
    func.func @example(%x: tensor<?x128xf32>, %tokens: tensor<?xi32>, %offsets: tensor<9xi32>,
                       %w: !grouped.packed<8x256x128xbf16, 2>) -> tensor<?x256xf32> {
      %h = grouped.matmul %x rows %tokens groups %offsets weights %w
          : (tensor<?x128xf32>, tensor<?xi32>, tensor<9xi32>, !grouped.packed<8x256x128xbf16, 2>) -> tensor<?x256xf32> {
      ^bb0(%gate: f32, %up: f32):
        %s = moe.silu %gate : f32
        %p = arith.mulf %s, %up : f32
        grouped.yield rows(%p : f32)
      }
      return %h : tensor<?x256xf32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$input, Optional<Moe_IdTensor>:$tokens, Optional<Moe_IdTensor>:$offsets,
                   Grouped_PackedType:$weights, Variadic<Moe_FloatTensor>:$extras,
                   Optional<Moe_IdTensor>:$combine_rows, Optional<Moe_IdTensor>:$combine_slots,
                   Optional<Moe_WeightTensor>:$combine_weights);
  let results = (outs Variadic<Moe_FloatTensor>:$results);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $input (`rows` $tokens^)? (`groups` $offsets^)? `weights` $weights (`with` `(` $extras^ `)`)?
    (`combine` $combine_rows^ `slots` $combine_slots)? (`scaled` $combine_weights^)?
    attr-dict `:` functional-type(operands, results) $epilogue
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    bool isCombined() { return static_cast<bool>(getCombineRows()); }
  }];
}

def Grouped_CombineOp : Grouped_Op<"combine", [Pure]> {
  let summary = "sums the grouped rows of every token, each times its weight or 1";
  let description = [{
    y[t, ...] = sum_j w[t, j] * x[rows[t, j], ...] over the slots j with rows[t, j] >= 0, in f32 at least; without `weighted` w is 1. A
    token without filled slots gets zeros.

    **Inputs**
    * `input`: x, [R, ...], floats
    * `rows`: [T, k], i32, from `grouped.plan`
    * `weights` (optional): w, [T, k], f32

    **Outputs**
    * `result`: y, [T, ...]

    **Constraints**
    * (C1) the rows have rank 2.
    * (C2) the weights have the shape of the rows.
    * (C3) x has rank 1 or more.
    * (C4) y has the shape of x with T rows.

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x64xf32>, %rows: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> tensor<?x64xf32> {
      %y = grouped.combine %x by %rows weighted %w : (tensor<?x64xf32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$input, Moe_IdTensor:$rows, Optional<Moe_WeightTensor>:$weights);
  let results = (outs Moe_FloatTensor:$result);
  let assemblyFormat = "$input `by` $rows (`weighted` $weights^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Grouped_LoopOp : Grouped_Op<"loop", [AttrSizedOperandSegments, RecursiveMemoryEffects, RecursivelySpeculatable]> {
  let summary = "runs a region once per group, for experts whose rows mix";
  let description = [{
    The region gets group e's rows of each `rows` tensor (grouped rows, dimension 0 ragged) and slice e of each `each` tensor;
    results are row tensors (all groups, one after the other), then per-expert tensors stacked along E. Ranges as in `moe.expert`.

    **Inputs**
    * `offsets`: [E + 1], i32
    * `rows`: [R, ...]
    * `each`: [size of the range, ...]
    * `bounds`, `each_counts`: as in `moe.expert`

    **Outputs**
    * `results`: row tensors [R, ...], then per-expert tensors [E, ...]

    **Constraints**
    * (C1) the ranges follow each other from group 0, none empty; there is one region for each.
    * (C2) the each counts are not negative and add up to the number of `each` tensors.
    * (C3) `rows` tensors have rank 1 or more and a dynamic dimension 0.
    * (C4) dimension 0 of an `each` tensor is the size of its range.
    * (C5) a region's arguments are the `rows` types, then the `each` types without dimension 0.
    * (C6) every region ends with `grouped.yield` of as many row and per-expert values as the first; together one for each result.
    * (C7) yielded rows have the type of their result, and a dynamic dimension 0.
    * (C8) a yielded per-expert tensor is its result without dimension 0, which is E.
    * (C9) the offsets have one entry more than there are groups.

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %offsets: tensor<9xi32>) -> tensor<?x64xf32> {
      %y = grouped.loop over %offsets rows(%x) each(%w) bounds [0, 8] counts [1]
          : (tensor<9xi32>, tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x64xf32> {
      ^bb0(%t: tensor<?x64xf32>, %v: tensor<64xf32>):
        %n = moe.softmax %t over 0 : tensor<?x64xf32>
        %b = moe.broadcast %v like %n : tensor<64xf32>, tensor<?x64xf32>
        %m = arith.mulf %n, %b : tensor<?x64xf32>
        grouped.yield rows(%m : tensor<?x64xf32>)
      }
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Moe_IdTensor:$offsets, Variadic<Moe_AnyTensor>:$rows, Variadic<Moe_AnyTensor>:$each,
                   DenseI64ArrayAttr:$bounds, DenseI64ArrayAttr:$each_counts);
  let results = (outs Variadic<Moe_AnyTensor>:$results);
  let regions = (region VariadicRegion<SizedRegion<1>>:$bodies);
  let assemblyFormat = [{
    `over` $offsets (`rows` `(` $rows^ `)`)? (`each` `(` $each^ `)`)? `bounds` $bounds `counts` $each_counts attr-dict
    `:` functional-type(operands, results) $bodies
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::OperandRange getEachOf(unsigned range);
    unsigned getNumRowResults();
  }];
}

def Grouped_YieldOp : Grouped_Op<"yield", [Pure, Terminator, ReturnLike, AttrSizedOperandSegments,
                                           ParentOneOf<["MatmulOp", "LoopOp"]>]> {
  let summary = "ends a region of matmul or loop";
  let description = [{
    In `grouped.matmul`: the scalars of the results, as `rows`. In `grouped.loop`: row tensors, and per-expert tensors as `each`.

    **Inputs**
    * `rows`: scalars (matmul) or row tensors (loop)
    * `each`: per-expert tensors (loop)

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x64xf32>, %offsets: tensor<9xi32>) -> tensor<8x64xf32> {
      %y = grouped.loop over %offsets rows(%x) bounds [0, 8] counts [0] : (tensor<9xi32>, tensor<?x64xf32>) -> tensor<8x64xf32> {
      ^bb0(%t: tensor<?x64xf32>):
        %s = moe.reduce sum %t over 0 : tensor<?x64xf32> -> tensor<64xf32>
        grouped.yield each(%s : tensor<64xf32>)
      }
      return %y : tensor<8x64xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$rows, Variadic<AnyType>:$each);
  let assemblyFormat = [{ (`rows` `(` $rows^ `:` type($rows) `)`)? (`each` `(` $each^ `:` type($each) `)`)? attr-dict }];
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$rows), [{ build($_builder, $_state, rows, {}); }]>];
}

#endif // MOE_GROUPED_OPS_TD
