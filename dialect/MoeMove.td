// Moving rows through experts: dispatch, expert, combine, and the terminator of all moe regions.
#ifndef MOE_MOVE_TD
#define MOE_MOVE_TD

include "dialect/MoeRouting.td"

def Moe_DispatchOp : Moe_Op<"dispatch", [Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "gathers the rows of every expert, experts ascending, tokens ascending inside an expert";
  let description = [{
    One row for each pair (t, e) of the routing: a copy of x[t], with `weighted` times G[t, e] (Llama-4 weighs the input). The rows
    are in *dispatch order*: by expert, then by token. Weighing the input and weighing the output are different functions,
    and no rewrite turns one into the other.

    **Inputs**
    * `input`: x, [T, ...]; floats when `weighted`
    * `routing`: any routing of T tokens

    **Outputs**
    * `result`: [R, ...], where R is the number of pairs

    **Constraints**
    * (C1) x has rank 1 or more.
    * (C2) `weighted` needs floats.

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x64xf32>, %r: !moe.routing<8, top 2>) -> tensor<?x64xf32> {
      %in = moe.dispatch %x by %r weighted : tensor<?x64xf32>, !moe.routing<8, top 2>
      return %in : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Moe_AnyTensor:$input, Moe_RoutingType:$routing, UnitAttr:$weighted);
  let results = (outs Moe_AnyTensor:$result);
  let assemblyFormat = "$input `by` $routing (`weighted` $weighted^)? attr-dict `:` type($input) `,` qualified(type($routing))";
  let hasVerifier = 1;
}

def Moe_ExpertOp : Moe_Op<"expert", [AttrSizedOperandSegments, RecursiveMemoryEffects, RecursivelySpeculatable]> {
  let summary = "applies f_e to the rows of every expert";
  let description = [{
    The region *is* f_e. It runs once per expert with that expert's rows of each `rows` tensor and that expert's slice
    of each `each` tensor (dimension 0 dropped); anything captured from outside is shared. An expert without tokens runs on 0
    rows.

    `moe.yield %y` returns row tensors with as many rows as the region got; the results hold them in dispatch order.
    `moe.yield rows(...) each(...)` returns also per-expert tensors, which are stacked along E.

    Several kinds of experts are several ranges, each with its own region and its own `each` tensors (dimension 0 is the size of
    the range); `rows(%u)` after a range gives the row arguments other names in its region. A region may mix rows (attention among
    the selected tokens) or contain a routing of its own. Calls in it are inlined before it is lowered.

    **Inputs**
    * `routing`: any routing
    * `rows`: tensors [R, ...] in dispatch order, most often made by `moe.dispatch`
    * `each`: tensors [size of the range, ...]
    * `bounds`: 0 = b_0 < b_1 < ... = E; range i is the experts b_i ... b_(i+1) - 1
    * `each_counts`: how many of the `each` tensors belong to each range

    **Outputs**
    * `results`: row tensors [R, ...], then per-expert tensors [E, ...]

    **Constraints**
    * (C1) the ranges follow each other from expert 0 to E, none empty; there is one region for each.
    * (C2) the each counts are not negative and add up to the number of `each` tensors.
    * (C3) `rows` tensors have rank 1 or more and a dynamic dimension 0.
    * (C4) dimension 0 of an `each` tensor is the size of its range.
    * (C5) a region's arguments are the `rows` types, then the `each` types without dimension 0.
    * (C6) every region ends with `moe.yield` of as many row and per-expert values as the first; together one for each result.
    * (C7) yielded rows have the type of their result, and a dynamic dimension 0.
    * (C8) a yielded per-expert tensor is its result without dimension 0, which is E.
    * (C9) dispatched rows come from a routing of the same support.
    * (C10) rows are not by token: what the routing was made from, as far as it can be followed.

    **Example**
    ```mlir
    !x = tensor<?x64xf32>
    !w = tensor<6x64x64xf32>
    !r = !moe.routing<8, top 2>
    // Experts 0 to 5 are linear, 6 and 7 return their input.
    func.func @example(%x: !x, %r: !r, %w: !w) -> !x {
      %in = moe.dispatch %x by %r : !x, !r
      %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
          range 0 to 6 each(%v = %w) : (!w) {
        %y = moe.linear %t, %v : (!x, tensor<64x64xf32>) -> !x
        moe.yield %y : !x
      }
          range 6 to 8 rows(%u) {
        moe.yield %u : !x
      }
      %y = moe.combine %out by %r weighted : !x, !r
      return %y : !x
    }
    ```
  }];
  let arguments = (ins Moe_RoutingType:$routing, Variadic<Moe_AnyTensor>:$rows, Variadic<Moe_AnyTensor>:$each,
                   DenseI64ArrayAttr:$bounds, DenseI64ArrayAttr:$each_counts);
  let results = (outs Variadic<Moe_AnyTensor>:$results);
  let regions = (region VariadicRegion<SizedRegion<1>>:$bodies);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$results, "::mlir::Value":$routing, "::mlir::ValueRange":$rows,
    "::mlir::ValueRange":$each, "::llvm::ArrayRef<int64_t>":$bounds, "::llvm::ArrayRef<int64_t>":$eachCounts)>];
  let extraClassDeclaration = [{
    // Range i covers experts getBounds()[i] ... getBounds()[i+1]-1; getBounds() has one entry more than there are regions.
    unsigned getNumRanges() { return getBodies().size(); }
    int64_t getRangeBegin(unsigned range) { return getBounds()[range]; }
    int64_t getRangeEnd(unsigned range) { return getBounds()[range + 1]; }
    /// The `each` operands of one range, in the order of its region's arguments after the rows.
    ::mlir::OperandRange getEachOf(unsigned range);
    /// Results [0, n) are row tensors, the rest per-expert tensors.
    unsigned getNumRowResults();
  }];
}

def Moe_YieldOp : Moe_Op<"yield", [Pure, Terminator, ReturnLike, AttrSizedOperandSegments,
                                   ParentOneOf<["MapOp", "ExpertOp"]>]> {
  let summary = "ends a region of map or expert";
  let description = [{
    In `moe.map`: the scalars of the results. In `moe.expert`: row tensors, and with `each(...)` tensors of the one expert, which are
    stacked along E.

    **Inputs**
    * `rows`: scalars (map) or row tensors (expert)
    * `each`: per-expert tensors (expert)

    **Example**
    ```mlir
    !x = tensor<?x64xf32>
    !r = !moe.routing<8, top 2>
    // The mean of every expert's rows is a statistic per expert.
    func.func @example(%x: !x, %r: !r) -> (!x, tensor<8x64xf32>) {
      %in = moe.dispatch %x by %r : !x, !r
      %out:2 = moe.expert by %r rows(%t = %in) : !r, (!x) -> (!x, tensor<8x64xf32>) {
        %s = moe.reduce sum %t over 0 : !x -> tensor<64xf32>
        moe.yield rows(%t : !x) each(%s : tensor<64xf32>)
      }
      return %out#0, %out#1 : !x, tensor<8x64xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$rows, Variadic<AnyType>:$each);
  let hasCustomAssemblyFormat = 1;
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$rows), [{ build($_builder, $_state, rows, {}); }]>];
}

def Moe_CombineOp : Moe_Op<"combine", [Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "sums the expert rows of every token, each times its weight or 1";
  let description = [{
    y[t] = sum over the pairs (t, e) of G[t, e] * x[row of (t, e)] (`weighted`), or of x[row of (t, e)] (`unweighted`); the text always
    says which. The sum is in f32 at least and in an order that depends on the token's own pairs alone. A token without pairs gets
    zeros.

    **Inputs**
    * `input`: x, [R, ...], floats in dispatch order, most often a result of `moe.expert`
    * `routing`: the routing of that dispatch, or one of the same support
    * `weighting`: `weighted` or `unweighted`

    **Outputs**
    * `result`: y, [T, ...], with the element type of x

    **Constraints**
    * (C1) x has rank 1 or more.
    * (C2) x comes from experts (or a dispatch) of the same support, as far as it can be followed through row-wise operations.
    * (C3) `weighted` does not follow a `weighted` dispatch: the weights would be applied twice.
    * (C4) x is not by token: what the routing was made from, as far as it can be followed.

    **Example**
    ```mlir
    func.func @example(%out: tensor<?x64xf32>, %r: !moe.routing<8, top 2>) -> tensor<?x64xf32> {
      %y = moe.combine %out by %r weighted : tensor<?x64xf32>, !moe.routing<8, top 2>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$input, Moe_RoutingType:$routing, Moe_Weighting:$weighting);
  let results = (outs Moe_FloatTensor:$result);
  let assemblyFormat = "$input `by` $routing $weighting attr-dict `:` type($input) `,` qualified(type($routing))";
  let hasVerifier = 1;
}

def Moe_ScopeOp : Moe_Op<"scope", [Pure]> {
  let summary = "a longer prefix: text appended, {} replaced by an index";
  let description = [{
    The result is the prefix of `scope` followed by `text`, in which `{}` stands for the index in decimal. The index is a constant or
    the induction variable of an `scf.for` with constant bounds, so that every name is known when the model is compiled; `moe-lift-params`
    refuses anything else.

    **Inputs**
    * `scope`: a prefix
    * `text`: what is appended
    * `index` (optional): replaces `{}`

    **Outputs**
    * `result`: the longer prefix

    **Constraints**
    * (C1) the text has one `{}` when there is an index, and no other braces.

    **Example**
    ```mlir
    func.func @example(%m: !moe.scope) -> tensor<8x64xf32> {
      %three = arith.constant 3 : index
      %layer = moe.scope %m "model.layers.{}." at %three
      %w = moe.param %layer "mlp.gate.weight" : tensor<8x64xf32>
      return %w : tensor<8x64xf32>
    }
    ```
  }];
  let arguments = (ins Moe_ScopeType:$scope, StrAttr:$text, Optional<Index>:$index);
  let results = (outs Moe_ScopeType:$result);
  let assemblyFormat = "$scope $text (`at` $index^)? attr-dict";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Moe_ParamOp : Moe_Op<"param", [Pure]> {
  let summary = "a tensor of the checkpoint, with the type as stored; {expert} stacks several";
  let description = [{
    The name is the scope's prefix followed by the text. Every named `{...}` adds one leading dimension, in order, with indices
    0 ... dim-1 of the written type; `{expert:8}` starts at 8. The type is the one in the checkpoint: the model slices, reshapes and
    transposes with ordinary operations, and what depends on params alone runs once, when the weights are loaded.

    **Inputs**
    * `scope`: a prefix
    * `text`: the rest of the name

    **Outputs**
    * `result`: one dimension for each `{...}`, then the shape of the stored tensor

    **Constraints**
    * (C1) the shape is static.
    * (C2) every `{` has its `}`.
    * (C3) every placeholder has a name, and starts at an index of 0 or more, in up to 9 digits.
    * (C4) there are not more placeholders than dimensions.

    **Example**
    ```mlir
    func.func @example(%m: !moe.scope) -> tensor<8x256x128xbf16> {
      %w1 = moe.param %m "experts.{expert}.w1.weight" : tensor<8x256x128xbf16>
      return %w1 : tensor<8x256x128xbf16>
    }
    ```
  }];
  let arguments = (ins Moe_ScopeType:$scope, StrAttr:$text);
  let results = (outs Moe_AnyTensor:$result);
  let assemblyFormat = "$scope $text attr-dict `:` type($result)";
  let hasVerifier = 1;
}

#endif // MOE_MOVE_TD
