// All passes, one file each, named after their option: passes/FuseGather.cpp is --moe-fuse-gather.
#ifndef MOE_PASSES_TD
#define MOE_PASSES_TD

include "mlir/Pass/PassBase.td"

def LiftParams : Pass<"moe-lift-params", "::mlir::ModuleOp"> {
  let summary = "names of the checkpoint become arguments of the entry";
  let description = [{
    Every `moe.param` becomes an argument with the attribute `moe.param`, one for each distinct name; the name is the text of all
    scopes on the way from the entry's argument. That argument and all scopes disappear. Calls must have been inlined before.
    An `scf.for` with constant bounds whose body needs its variable for a scope is unrolled: every layer has its own names.

    Before:
    ```
    func.func @f(%x: tensor<?x64xf32>, %m: !moe.scope) -> tensor<?x8xf32> {
      %l = moe.scope %m "layers.{}." at %c3
      %w = moe.param %l "gate.weight" : tensor<8x64xf32>
    ```
    After:
    ```
    func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32> {moe.param = "layers.3.gate.weight"}) -> tensor<?x8xf32> {
    ```
    Errors: scopes merged by control flow or passed to a recursive function; one name with two types; a scope's index that
    is not known.
  }];
}

def FoldSoftmaxTopK : Pass<"moe-fold-softmax-top-k", "::mlir::func::FuncOp"> {
  let summary = "softmax, top k, divide by the sum = top k, softmax over the chosen";
  let description = [{
    The softmax over all experts is never computed: its order is that of the logits, and its sum cancels.

    Before:
    ```
    %s = moe.softmax %l : tensor<?x8xf32>
    %g = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
    %r = moe.normalize %g by sum : !moe.routing<8, top 2>
    ```
    After:
    ```
    %g = moe.route %l top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
    %r = moe.normalize %g by softmax : !moe.routing<8, top 2>
    ```
    Proof: exp(l_e) is larger for a larger l_e and the softmax divides all of a row by one positive number, so the order is the same; of a
    chosen expert, (exp(l_e) / S) / (sum of the chosen exp(l_i) / S) = exp(l_e) / sum of the chosen exp(l_i).

    `by lp 1.0` is the same as `by sum` here. Nothing is folded where it would be another function: with a key of its own, with groups,
    without renormalisation, with `plus` or `at_least`, by another norm, when something else reads the weights, or in bf16 and f16, where
    many probabilities are equal and their logits are not.

    What floats make of it: weights are equal to rounding. Experts are the same unless two probabilities of a row are one number, by
    rounding or because both are 0; then the lower number was first before, and the larger logit is after. A row with a NaN or +inf has
    only NaN as probabilities, so experts 0, 1, ... before, with weights NaN; after, NaN ranks last, and the weights are NaN only
    if one of the chosen logits is NaN or +inf.

    Not in `moe-to-grouped`, for these rows: what it would save, the exponentials of the experts that are not chosen, is a few vector
    instructions beside the product that makes the logits.
  }];
}

def FoldScale : Pass<"moe-fold-scale", "::mlir::func::FuncOp"> {
  let summary = "constant factors of weights meet in one scale, or cancel";
  let description = [{
    A multiplication of T rows of results becomes one of their few weights. Three rewrites, each with its proof:

    * `scale` by a of `scale` by b is `scale` by a b, because (w a) b = w (a b).
    * `scale` by c before `normalize by sum` or `by lp` disappears, because the sum of c w is c times the sum of w. Not with `plus` or
      `at_least`, which c does not multiply; not for c = 0, where 0 / 0 is no number; not for c < 0 before `lp`, which takes
      absolute values; never before `softmax`.
    * `combine weighted` times c is `combine weighted` by `scale` by c, because c (sum of w f) = sum of (c w) f. Not `unweighted`, which
      reads no weights; not when the sum itself is needed; not in f64, because weights are f32.

    Before:
    ```
    %y = moe.combine %out by %r weighted : tensor<?x64xf32>, !moe.routing<8, top 2>
    %c = moe.broadcast %factor like %y : f32, tensor<?x64xf32>
    %z = arith.mulf %y, %c : tensor<?x64xf32>
    ```
    After:
    ```
    %s = moe.scale %r by 2.5 : !moe.routing<8, top 2>
    %z = moe.combine %out by %s weighted : tensor<?x64xf32>, !moe.routing<8, top 2>
    ```
    Factors that depend on the expert or are known only at run time stay, and so do products that are not normal numbers of f32. Answers
    are equal to rounding, as long as no product of a weight over- or underflows.
  }];
}

def FoldTables : Pass<"moe-fold-tables", "::mlir::func::FuncOp"> {
  let summary = "what tables say of constant ids is known at compile time, a whole plan included";
  let description = [{
    For integers that are constants: `grouped.check_ids`, `moe.gather` and `grouped.plan` are computed, so a routing by a constant table
    of constant ids (the slots of Soft MoE, or a fixed assignment) becomes a fixed permutation. And a constant table that is looked up
    to look into another table becomes one table, because A at (B at ids) = (A at B) at ids.

    Before, at level 2:
    ```
    %ids = arith.constant dense<[[1], [0], [1]]> : tensor<3x1xi32>
    %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 2
        : tensor<3x1xi32> -> tensor<3xi32>, tensor<3xi32>, tensor<3xi32>, tensor<3x1xi32>
    ```
    After:
    ```
    %offsets = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
    %tokens = arith.constant dense<[1, 0, 2]> : tensor<3xi32>
    %slots = arith.constant dense<[1, 0, 2]> : tensor<3xi32>
    %rows = arith.constant dense<[[1], [0], [2]]> : tensor<3x1xi32>
    ```
    Whatever would stop a run stays where it is: an id out of range, an expert twice in a row, an inner table with an entry that is not
    in the outer one (that entry may never be looked up), a table that is not known. Two tables stay two when one would be larger.

    Not in `moe-to-grouped`: the runtime reports the load of every plan, which a constant does not have.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect", "::moe::MoeDialect"];
}

def WeighActivations : Pass<"moe-weigh-activations", "::mlir::func::FuncOp"> {
  let summary = "the weight of a pair multiplies what the expert's last linear reads";
  let description = [{
    A linear without bias gives w (D h) = D (w h), so the sum of w (D h) over a token's experts is the sum of D (w h). The expert must end
    with such a linear in every range. Anything before it, an activation above all, is not linear, so the weight goes no further
    towards the input: weighing the input is another function (Llama-4), unless the whole expert is one linear.

    Before:
    ```
    %out = moe.expert by %r rows(%t = %in) each(%up = %u, %down = %d) : !r, (!x, !u, !d) -> !x {
      %a = moe.linear %t, %up : (!x, tensor<32x64xf32>) -> !h
      %h = moe.relu2 %a : !h
      %f = moe.linear %h, %down : (!h, tensor<64x32xf32>) -> !x
      moe.yield %f : !x
    }
    %y = moe.combine %out by %r weighted : !x, !r
    ```
    After:
    ```
    %e, %token, %slot, %w = moe.pairs %r : !r -> !i, !i, !i, tensor<?xf32>
    %n = moe.tokens %w : tensor<?xf32>
    %column = tensor.expand_shape %w [[0, 1]] output_shape [%n, 1] : tensor<?xf32> into tensor<?x1xf32>
    %out = moe.expert by %r rows(%t = %in, %wt = %column) each(%up = %u, %down = %d) : ... {
      %a = moe.linear %t, %up : (!x, tensor<32x64xf32>) -> !h
      %h = moe.relu2 %a : !h
      %b = moe.broadcast %wt like %h : tensor<?x1xf32>, !h
      %hw = arith.mulf %h, %b : !h
      %f = moe.linear %hw, %down : (!h, tensor<64x32xf32>) -> !x
      moe.yield %f : !x
    }
    %y = moe.combine %out by %r unweighted : !x, !r
    ```
    Not with a bias in any range, which the weight multiplies too; not when a range ends with something else, when the rows are read
    before the sum, or in bf16 and f16, where the product would be rounded once more.

    Not in `moe-to-grouped`: on the CPU a matmul with `combine` multiplies its accumulators by the weight on their way to memory, which
    costs nothing, and the product by activations would be one more pass over them.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

def LowerRouting : Pass<"moe-lower-routing", "::mlir::func::FuncOp"> {
  let summary = "a routing becomes weights, ids and a plan";
  let description = [{
    `!moe.routing<E, top k>` becomes two tensors, weights [T, k] of f32 and ids [T, k] of i32; any other routing becomes [T, E], where
    slot e holds expert e. An empty slot has id -1 and weight 0. What makes or edits pairs becomes the `grouped` op that the dialect's
    page lists; `normalize`, `scale` and `with_weights` become arithmetic on the weights, masked only where a slot may be empty;
    `dispatch`, `expert`, `combine`, `counts` and `pairs` use a `grouped.plan` of the ids, one for each support. Plans are numbered in
    program order by the attribute `moe.routing`, by which the runtime reports loads.

    Before:
    ```
    %g = moe.route %l top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
    %r = moe.normalize %g by softmax : !moe.routing<8, top 2>
    %in = moe.dispatch %x by %r : tensor<?x64xf32>, !moe.routing<8, top 2>
    ```
    After:
    ```
    %chosen, %ids = grouped.top_k %l by %l top 2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
    %weights = moe.softmax %chosen : tensor<?x2xf32>
    %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 8 {moe.routing = 0} : ...
    %in = moe.gather %x at %tokens : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
    ```
    Error: an entry that takes or returns a routing.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect",
                           "::moe::grouped::GroupedDialect"];
}

def LowerLosses : Pass<"moe-lower-losses", "::mlir::func::FuncOp"> {
  let summary = "losses and expected loads become reductions and maps";
  let description = [{
    `z_loss`, `cv_squared` and `noisy_load` are arithmetic on rows. Sums over tokens or experts are in f64, so that they are exact to f32
    for any number of tokens; exponentials, logarithms and error functions are in f32.

    Before:
    ```
    %c = moe.cv_squared %i plus 1.0e-10 : tensor<8xf32>
    ```
    After:
    ```
    %v = arith.extf %i : tensor<8xf32> to tensor<8xf64>
    %s = moe.reduce sum %v over 0 : tensor<8xf64> -> tensor<f64>
    %mean = moe.map (%a = %s, %n = %eight) : (tensor<f64>, tensor<f64>) -> tensor<f64> { ... }
    %stretched = moe.broadcast %mean like %v : tensor<f64>, tensor<8xf64>
    %squares = moe.map (%a = %v, %b = %stretched) : (tensor<8xf64>, tensor<8xf64>) -> tensor<8xf64> { ... }
    ...
    %c = arith.truncf %d : tensor<f64> to tensor<f32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect",
                           "::moe::grouped::GroupedDialect"];
}

def TraceRoutings : Pass<"moe-trace-routings", "::mlir::func::FuncOp"> {
  let summary = "lets the caller record or replace the experts and weights of every routing";
  let description = [{
    The ids that a plan sorts, and the weights by which its rows are dispatched or combined, go through `grouped.trace`, numbered as
    the plan is. Only what follows the routing by expert reads the traced tensors: dispatch, experts, combine, counts, pairs. What looks at the
    router's own choice (`weights`, `indices`, losses) does not.

    Before:
    ```
    %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 8 {moe.routing = 0} : ...
    %y = grouped.combine %out by %rows weighted %w : ...
    ```
    After:
    ```
    %0 = grouped.trace %ids of 0 : tensor<?x2xi32>
    %offsets, %tokens, %slots, %rows = grouped.plan %0 experts 8 {moe.routing = 0} : ...
    %1 = grouped.trace %w of 0 : tensor<?x2xf32>
    %y = grouped.combine %out by %rows weighted %1 : ...
    ```
    A routing inside an expert or a loop runs several times on other rows, and one that depends on params alone is no choice of the
    run: both stay as they are.
  }];
  let dependentDialects = ["::moe::grouped::GroupedDialect"];
}

def LiftExperts : Pass<"moe-lift-experts", "::mlir::func::FuncOp"> {
  let summary = "row-wise ops of an expert region work on the rows of all experts at once";
  let description = [{
    A region in which row r of every value depends only on row r of its inputs needs no loop over experts. A `linear` by an `each`
    weight becomes a `grouped.matmul` with groups, its bias an operand of the epilogue; a `linear` by a captured weight becomes a
    dense one over all rows; other per-expert vectors are gathered by the expert of every row; ops on per-expert tensors alone
    work on the stacked tensors; everything else stays what it is.

    Before:
    ```
    %out = grouped.loop over %offsets rows(%in) each(%w) bounds [0, 8] counts [1] : ... {
    ^bb0(%t: tensor<?x64xf32>, %g: tensor<32x64xf32>):
      %a = moe.linear %t, %g : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
      %s = moe.silu %a : tensor<?x32xf32>
      grouped.yield rows(%s : tensor<?x32xf32>)
    }
    ```
    After:
    ```
    %p = grouped.pack %w : tensor<8x32x64xf32> -> !grouped.packed<8x32x64xf32, 1>
    %a = grouped.matmul %in groups %offsets weights %p : ... {
    ^bb0(%acc: f32):
      grouped.yield rows(%acc : f32)
    }
    %s = moe.silu %a : tensor<?x32xf32>
    ```
    A routing inside the region becomes one of all inner experts: its plan has a group for each inner expert of each expert, number
    expert * inner + id, and each of them has its own slice of the weights, [E, n, ...] as [E * n, ...]. So every inner linear is
    one matmul as well. Capacities and choices by experts count the rows of one outer expert: a limit sees the numbers of all inner
    experts, and `take` and `assign` the outer expert as a segment.

    Before:
    ```
    %y = grouped.loop over %offsets rows(%in) each(%w) bounds [0, 4] counts [1] : ... {
    ^bb0(%t: tensor<?x64xf32>, %v: tensor<2x32x64xf32>):
      ...
      %o, %tokens, %slots, %rows = grouped.plan %ids experts 2 : ...
      %u = moe.gather %t at %tokens : ...
      %z = grouped.loop over %o rows(%u) each(%v) bounds [0, 2] counts [1] : ... { ... moe.linear ... }
    ```
    After:
    ```
    %all = moe.map (%id = %ids, %e = %expert_of_row) ... // e * 2 + id, or -1
    %o, %tokens, %slots, %rows = grouped.plan %all experts 8 : ...
    %p = grouped.pack %w' : tensor<8x32x64xf32> -> !grouped.packed<8x32x64xf32, 1>
    %z = grouped.matmul %in rows %tokens groups %o weights %p : ...
    ```
    Experts of several ranges become a loop for each range, over a plan of the slots that chose it (`moe.loads` says where its
    experts stand among all: their number, the first, and the size of a block and the distance to the next); each is then lifted
    by itself, and a sum over all experts is the sum of theirs.

    Attention among an expert's rows sees the expert as a segment. A result per expert that mixes rows, such as a mean, is a loop of
    the ops that make it; the rest is lifted. The loop over one expert alone disappears in any case: its rows are all rows.

    A region whose rows depend on an op that mixes rows (a reduction over rows, `linalg`, an op unknown here), or that yields
    per-expert tensors alone, stays a loop over experts, with what is inside: slower, and right. What is the same for all experts moves out of it.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

def FoldTransposes : Pass<"moe-fold-transposes", "::mlir::func::FuncOp"> {
  let summary = "a linalg operation reads a transposed tensor through its own indexing map";
  let description = [{
    So that a sum over rows reads them where they are, and no tensor has rows as its columns.

    Before:
    ```
    %t = linalg.transpose ins(%d : tensor<?x32xf32>) outs(%e : tensor<32x?xf32>) permutation = [1, 0]
    %s = linalg.matmul ins(%t, %x : tensor<32x?xf32>, tensor<?x64xf32>) outs(%z : tensor<32x64xf32>) -> tensor<32x64xf32>
    ```
    After:
    ```
    // maps (s, n, t) -> (t, s), (t, n), (s, n)
    %s = linalg.generic ... ins(%d, %x : tensor<?x32xf32>, tensor<?x64xf32>) outs(%z : tensor<32x64xf32>) ...
    ```
    Whatever else reads the transposed tensor still does.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def LowerLinear : Pass<"moe-lower-linear", "::mlir::func::FuncOp"> {
  let summary = "a dense linear is a grouped matmul with one group";
  let description = [{
    Leading dimensions are collapsed to rows and restored; the bias and the conversion of the result are in the epilogue. Only
    linears inside a `grouped.loop` stay, and those of f64: a matmul sums in f32.

    Before:
    ```
    %l = moe.linear %x, %w : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
    ```
    After:
    ```
    %p = grouped.pack %w : tensor<8x64xf32> -> !grouped.packed<1x8x64xf32, 1>
    %l = grouped.matmul %x weights %p : (tensor<?x64xf32>, !grouped.packed<1x8x64xf32, 1>) -> tensor<?x8xf32> {
    ^bb0(%acc: f32):
      grouped.yield rows(%acc : f32)
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect",
                           "::moe::grouped::GroupedDialect"];
}

def FuseGather : Pass<"moe-fuse-gather", "::mlir::func::FuncOp"> {
  let summary = "dispatch disappears into the load of the matmul's rows";
  let description = [{
    Applies when matmuls are the only readers of the gathered rows. A conversion of dispatched rows moves before the gather first, so
    that it is made once per token and not once per choice.

    Before:
    ```
    %in = moe.gather %x at %tokens : tensor<?x64xf32>, tensor<?xi32> -> tensor<?x64xf32>
    %a = grouped.matmul %in groups %offsets weights %p : ...
    ```
    After:
    ```
    %a = grouped.matmul %x rows %tokens groups %offsets weights %p : ...
    ```
    Gathers by other indices than a plan's stay: they check their indices.
  }];
}

def PairGateUp : Pass<"moe-pair-gate-up", "::mlir::func::FuncOp"> {
  let summary = "matmuls of the same rows whose results meet in one expression become one matmul";
  let description = [{
    The rows are loaded once, and the expression can then be fused because both accumulators are at hand. Up to three weights of
    the same shape, element type and storage order are packed together; the epilogues stand side by side.

    Before:
    ```
    %a = grouped.matmul %x rows %tokens groups %offsets weights %gate : ...
    %b = grouped.matmul %x rows %tokens groups %offsets weights %up : ...
    %s = moe.silu %a : tensor<?x32xf32>
    %h = arith.mulf %s, %b : tensor<?x32xf32>
    ```
    After:
    ```
    %p = grouped.pack %w1, %w3 : tensor<8x32x64xf32>, tensor<8x32x64xf32> -> !grouped.packed<8x32x64xf32, 2>
    %a, %b = grouped.matmul %x rows %tokens groups %offsets weights %p : ... {
    ^bb0(%gate: f32, %up: f32):
      grouped.yield rows(%gate, %up : f32, f32)
    }
    ```
    Matmuls that share only their rows (query, key and value) stay apart.
  }];
}

def FuseEpilogue : Pass<"moe-fuse-epilogue", "::mlir::func::FuncOp"> {
  let summary = "element-wise ops after a matmul move into its epilogue";
  let description = [{
    Any scalar expression: `arith`, `math`, activations, `moe.map`, conversions. Vectors stretched over rows, per-expert vectors
    gathered by the expert of every row, and tensors of the result's shape become operands `with(...)`.

    Before:
    ```
    %a, %b = grouped.matmul ... { ^bb0(%gate: f32, %up: f32): grouped.yield rows(%gate, %up : f32, f32) }
    %s = moe.silu %a : tensor<?x32xf32>
    %h = arith.mulf %s, %b : tensor<?x32xf32>
    ```
    After:
    ```
    %h = grouped.matmul ... {
    ^bb0(%gate: f32, %up: f32):
      %s = moe.silu %gate : f32
      %h = arith.mulf %s, %up : f32
      grouped.yield rows(%h : f32)
    }
    ```
    Ops stay outside when the matmul would have to write more tensors than before.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FuseCombine : Pass<"moe-fuse-combine", "::mlir::func::FuncOp"> {
  let summary = "the sum over a token's experts happens where the last matmul writes";
  let description = [{
    Before:
    ```
    %f = grouped.matmul %h groups %offsets weights %p : ...
    %y = grouped.combine %f by %rows weighted %w : ...
    ```
    After:
    ```
    %y = grouped.matmul %h groups %offsets weights %p combine %rows slots %slots scaled %w : ...
    ```
    Applies when the sum is the only reader of the matmul's one result.
  }];
}

def QuantizeWeights : Pass<"moe-quantize-weights", "::mlir::func::FuncOp"> {
  let summary = "packed weights of experts become entries of 8 or 4 bits with scales";
  let description = [{
    The weight is from then on scale * entry. Weights of dense products (routers, shared experts) stay as they are.

    * `q8`: one scale for each output of each expert, max |w| / 127; entry = w / scale rounded to nearest even.
    * `q8g`: one scale for each output and 32 inputs, max |w| / 127 rounded to bf16; entry = w / scale, in -127 ... 127.
    * `q4`: one scale for each output and 32 inputs, max |w| / 7 rounded to bf16; entry = w / scale, in -7 ... 7.
    * `q4z`: also a zero point for each, for weights that are not symmetric: scale = (high - low) / 15 rounded to bf16, where low = min(w, 0)
      and high = max(w, 0); z = -low / scale, in 0 ... 15; entry = w / scale, in -z ... 15 - z. A weight moves by at most 0.53 scale.

    Before:
    ```
    %p = grouped.pack %w : tensor<8x32x64xbf16> -> !grouped.packed<8x32x64xbf16, 1>
    ```
    After:
    ```
    %p = grouped.pack %w : tensor<8x32x64xbf16> -> !grouped.packed<8x32x64xi8, 1>
    ```
    Kernels quantise the rows in the same way, one scale a row. An element of the result moves by at most
    sum_k |scale * entry_k| * s / 2, where s = max |a| / 127 is the scale of its row.
  }];
  let options = [Option<"format", "format", "std::string", "\"q8\"", "q8: 8 bits, one scale an output; q8g: one for 32 inputs; q4: 4 bits, one scale for 32 inputs; q4z: and a zero point">];
}

def HoistParams : Pass<"moe-hoist-params", "::mlir::ModuleOp"> {
  let summary = "what depends on params alone runs once, when weights are loaded";
  let description = [{
    Every value that depends on params alone and that the rest of the entry needs is made by a *prepare step*, a function of its own, so
    that the peak of memory while loading is what is packed plus one step's params. Packing is always hoisted, with all that it
    needs; another op only if it does not enlarge its input. Conversions of weights disappear into packing, which converts by
    itself; a widening leaves the narrow type in the packed weights.

    Before:
    ```
    func.func @f(%x: tensor<?x64xf32>, %w: tensor<8x64xf32> {moe.param = "gate.weight"}) -> tensor<?x8xf32> {
      %p = grouped.pack %w : tensor<8x64xf32> -> !grouped.packed<1x8x64xf32, 1>
    ```
    After:
    ```
    func.func @f_prepare0(%w: tensor<8x64xf32> {moe.param = "gate.weight"}) -> !grouped.packed<1x8x64xf32, 1>
        attributes {moe.prepare_of = "f", moe.step = 0} {
      %p = grouped.pack %w : tensor<8x64xf32> -> !grouped.packed<1x8x64xf32, 1>
      return %p : !grouped.packed<1x8x64xf32, 1>
    }
    func.func @f(%x: tensor<?x64xf32>, %p: !grouped.packed<1x8x64xf32, 1> {moe.step = 0, moe.result = 0}) -> tensor<?x8xf32> {
    ```
    The entry's arguments are then its inputs, the params that it uses as stored, and the results of the steps.
  }];
}

def CheckCausal : Pass<"moe-check-causal", "::mlir::ModuleOp"> {
  let summary = "proves that no token's output depends on later tokens, or names the op that may make it so";
  let description = [{
    A function f of rows x is *causal* when more tokens behind do not change what is there: f(x[:n]) = f(x)[:n] for every n, as far as no
    run stops with an error. So neither later tokens nor their number may matter. Every public function is checked; results
    without rows (losses, counts) are numbers of the whole batch and are not.

    Each value gets one of four facts about row r, which belongs to token t. They are ordered, and an op takes the largest of its
    operands' and its own:

    | fact | row r depends on | own fact of |
    |---|---|---|
    | nothing | no token | constants, params, arguments without rows |
    | own | t alone | arguments with a dynamic first dimension |
    | earlier | t and the tokens before it | `limit` by position and token by token, causal attention, row numbers inside an expert |
    | all | perhaps later tokens, or their number | see below |

    A composition of functions that are causal is causal, so a result of the first three facts is proved. What needs care is whose
    row r is. Rows are tokens, or pairs of one routing (after `dispatch`), or one expert's rows (in its region); ops that
    read two kinds together, and expert regions and `combine` that read rows of another routing, are not followed. One expert's
    rows stand in the order of tokens; pairs do not, so what numbers or orders them depends on all. Calls are followed with
    the facts of their operands, a loop until its facts stay.

    Not causal, or not proved to be: `route take`, `assign`; `limit` by weight, by a value or with a priority, and by `choice` with
    more than one slot (first choices of later tokens come before second ones); a capacity made of `moe.tokens` or
    `moe.segment_size` (with a fixed one, `order position` is causal); softmax, reductions and `linalg` over rows; attention that is not
    `causal`; the number of rows used as a number; rows read by number, moved or concatenated; an op that is not known.

    Assumed: rows of arguments are tokens in their order; arguments without rows (a capacity, a seed) do not depend on tokens; and
    arguments that `attention` compares as positions grow strictly with the row, within each of its segments.

    Equal routings made by two equal ops are two routings here: run `--cse` first. Errors name the result and, in a note, the op; with
    `remarks` every function gets its verdict as a remark, and the pass does not fail.
  }];
  let options = [Option<"remarks", "remarks", "bool", /*default=*/"false",
                        "say the verdict of every function and do not fail">];
}

def VerifyGrouped : Pass<"moe-verify-grouped", "::mlir::ModuleOp"> {
  let summary = "checks that a module is in the form that the phases below expect";
  let description = [{
    Every function is an entry with a body or a prepare step; an entry's inputs come before its constants, and its steps are there; no op of
    level 1 is left that `moe-to-grouped` should have lowered, and no control flow.
  }];
}

#endif // MOE_PASSES_TD
