// Row operations of the moe dialect: what standard dialects lack for arithmetic on rows of tokens.
#ifndef MOE_ROWS_TD
#define MOE_ROWS_TD

include "dialect/MoeDialect.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Moe_LinearOp : Moe_Op<"linear", [Pure]> {
  let summary = "rows times a weight: x W^T + b, with W as checkpoints store it";
  let description = [{
    y[..., o] = sum_i x[..., i] * w[o, i] (+ b[o]); with `in_out` the weight is stored [in, out]: sum_i x[..., i] * w[i, o].
    The sum is accumulated in f32 at least. Element types of x, w, b and y may differ (bf16 rows, f32 router); all leading
    dimensions of x are kept.

    **Inputs**
    * `input`: x, [..., in], floats
    * `weight`: w, [out, in], or [in, out] with `in_out`
    * `bias` (optional): b, [out]

    **Outputs**
    * `result`: y, [..., out]

    **Constraints**
    * (C1) x has rank 1 or more; w has rank 2.
    * (C2) the last dimension of x equals the input dimension of w.
    * (C3) b has rank 1 and the output dimension of w.
    * (C4) y has the shape of x with the last dimension replaced by the output dimension.

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x64xf32>, %w: tensor<8x64xbf16>) -> tensor<?x8xf32> {
      %y = moe.linear %x, %w : (tensor<?x64xf32>, tensor<8x64xbf16>) -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$input, Moe_FloatTensor:$weight, Optional<Moe_FloatTensor>:$bias,
                   UnitAttr:$in_out);
  let results = (outs Moe_FloatTensor:$result);
  let assemblyFormat = [{
    $input `,` $weight (`,` $bias^)? (`in_out` $in_out^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getInputWidth() { return getWeight().getType().getDimSize(getInOut() ? 0 : 1); }
    int64_t getOutputWidth() { return getWeight().getType().getDimSize(getInOut() ? 1 : 0); }
  }];
}

def Moe_SoftmaxOp : Moe_Op<"softmax", [Pure, SameOperandsAndResultType]> {
  let summary = "softmax over one dimension: exp(x - max) / sum";
  let description = [{
    Along dimension d: y[i] = exp(x[i] - m) / sum_j exp(x[j] - m), where m = max_j x[j]. Without `over` the last dimension
    is meant. An entry of -inf becomes 0; a NaN, a +inf, or nothing but -inf makes the whole slice NaN.

    **Inputs**
    * `input`: x, floats of any shape
    * `dimension` (optional): d

    **Outputs**
    * `result`: y, the type of x

    **Constraints**
    * (C1) 0 <= d < rank of x.

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = moe.softmax %x : tensor<?x8xf32>
      %z = moe.softmax %y over 0 : tensor<?x8xf32>
      return %z : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$input, OptionalAttr<I64Attr>:$dimension);
  let results = (outs Moe_FloatTensor:$result);
  let assemblyFormat = "$input (`over` $dimension^)? attr-dict `:` type($input)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The dimension that sums to 1: `over d`, or the last.
    int64_t getReducedDimension() { return getDimension().value_or(getInput().getType().getRank() - 1); }
  }];
}

def Moe_RmsNormOp : Moe_Op<"rms_norm", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "divides rows by their root mean square (arXiv 1910.07467)";
  let description = [{
    y[..., i] = x[..., i] / sqrt((1/n) sum_j x[..., j]^2 + eps) * w[i], where n is the last dimension. Models that keep
    w - 1 in the checkpoint (Gemma) add 1 with `arith` first.

    **Inputs**
    * `input`: x, [..., n], floats
    * `weight`: w, [n]; its element type may differ from that of x
    * `eps`: a number of 0 or more

    **Outputs**
    * `result`: y, the type of x

    **Constraints**
    * (C1) x has rank 1 or more.
    * (C2) w has rank 1 and the last dimension of x.
    * (C3) eps is finite and not negative.

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x64xbf16>, %w: tensor<64xbf16>) -> tensor<?x64xbf16> {
      %y = moe.rms_norm %x, %w eps 1.0e-5 : tensor<?x64xbf16>, tensor<64xbf16>
      return %y : tensor<?x64xbf16>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$input, Moe_FloatTensor:$weight, F64Attr:$eps);
  let results = (outs Moe_FloatTensor:$result);
  let assemblyFormat = "$input `,` $weight `eps` $eps attr-dict `:` type($input) `,` type($weight)";
  let hasVerifier = 1;
}

// Activations work on scalars (inside map), tensors and vectors alike.
class Moe_ActivationOp<string mnemonic, string formula, string remarks, string form = "">
    : Moe_Op<mnemonic, [Pure, SameOperandsAndResultType, Elementwise, Scalarizable, Vectorizable, Tensorizable]> {
  let summary = formula;
  let description = remarks # [{
    Works element by element on a tensor or vector, and on a scalar inside `moe.map` or an epilogue. NaN stays NaN.

    **Inputs**
    * `input`: x, a float, or a tensor or vector of floats

    **Outputs**
    * `result`: y, the type of x

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = moe.}] # mnemonic # " %x" # form # [{ : tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatLike:$input);
  let results = (outs Moe_FloatLike:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

def Moe_SiluOp : Moe_ActivationOp<"silu", "SiLU: x * sigmoid(x)", [{
    y = x / (1 + exp(-x)), also called swish (arXiv 1702.03118). SwiGLU is `silu` of the gate times the up projection.
    silu(-inf) is NaN by this formula (-inf * 0).
}]>;

def Moe_SigmoidOp : Moe_ActivationOp<"sigmoid", "the logistic function: 1 / (1 + exp(-x))", [{
    y = 1 / (1 + exp(-x)), without overflow: 0 at -inf, 1 at +inf.
}]>;

def Moe_Relu2Op : Moe_ActivationOp<"relu2", "squared ReLU: max(x, 0)^2", [{
    y = max(x, 0)^2, the squared ReLU (arXiv 2109.08668).
}]>;

def Moe_SoftplusOp : Moe_ActivationOp<"softplus", "smooth ReLU: log(1 + exp(x))", [{
    y = max(x, 0) + log(1 + exp(-|x|)), which equals log(1 + exp(x)) and does not overflow.
}]>;

def Moe_GeluOp : Moe_ActivationOp<"gelu", "GELU, exact or by its tanh approximation (arXiv 1606.08415)", [{
    `exact`: y = x/2 * (1 + erf(x / sqrt(2))). `tanh`: y = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). Checkpoints are
    trained with one of them; the text always says which.
}], " tanh"> {
  let arguments = (ins Moe_FloatLike:$input, DefaultValuedAttr<Moe_GeluForm, "GeluForm::Exact">:$form);
  let assemblyFormat = "$input $form attr-dict `:` type($input)";
}

def Moe_MapOp : Moe_Op<"map", [Pure, SingleBlock]> {
  let summary = "any scalar expression over tensors of one shape";
  let description = [{
    For every index i the region gets the elements in_1[i], in_2[i], ... and yields out_1[i], out_2[i], ... Constants live inside
    the region (MLIR has no dense constant of a dynamic shape), scalars from outside may be used in it. The same kind of region
    is the epilogue of `grouped.matmul`.

    **Inputs**
    * `inputs`: one or more tensors of one shape; element types may differ

    **Outputs**
    * `results`: tensors of that shape, one for each yielded scalar

    **Constraints**
    * (C1) there is at least one input; it gives the shape.
    * (C2) all inputs and results have compatible shapes.
    * (C3) the region has one argument for each input, of its element type.
    * (C4) the region ends with `moe.yield` of one scalar for each result, of its element type.
    * (C5) the region computes scalars only.

    **Example**
    ```mlir
    func.func @clamped(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %z = moe.map (%a = %x, %b = %y) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
        %limit = arith.constant 7.0 : f32
        %c = arith.minimumf %a, %limit : f32
        %s = moe.sigmoid %c : f32
        %p = arith.mulf %s, %b : f32
        moe.yield %p : f32
      }
      return %z : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<Moe_AnyTensor>:$inputs);
  let results = (outs Variadic<Moe_AnyTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Moe_BroadcastOp : Moe_Op<"broadcast", [Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "stretches a scalar or tensor to the shape of another (numpy's rule)";
  let description = [{
    Trailing dimensions are aligned; a missing or static dimension of 1 is repeated. A dynamic dimension is never stretched: it must
    equal that of `like` at run time, so a single token does not silently become many. Only the shape of `like` is read.

    **Inputs**
    * `input`: a scalar or a tensor
    * `like`: the tensor whose shape is wanted

    **Outputs**
    * `result`: the shape of `like` with the element type of `input`

    **Constraints**
    * (C1) the rank of `input` is at most that of `like`.
    * (C2) each dimension of `input` is 1 or that of `like`, aligned at the end.

    **Example**
    ```mlir
    func.func @example(%scores: tensor<?x16xf32>, %bias: tensor<16xf32>) -> tensor<?x16xf32> {
      %b = moe.broadcast %bias like %scores : tensor<16xf32>, tensor<?x16xf32>
      %key = arith.addf %scores, %b : tensor<?x16xf32>
      return %key : tensor<?x16xf32>
    }
    ```
  }];
  let arguments = (ins AnyTypeOf<[AnyFloat, AnySignlessInteger, Index, Moe_AnyTensor]>:$input, Moe_AnyTensor:$like);
  let results = (outs Moe_AnyTensor:$result);
  let assemblyFormat = "$input `like` $like attr-dict `:` type($input) `,` type($like)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Moe_ReduceOp : Moe_Op<"reduce", [Pure]> {
  let summary = "sum, product, maximum or minimum over one dimension, which disappears";
  let description = [{
    Over ascending indices of dimension d, starting from 0, 1, -inf or +inf (for integers the smallest or largest value), which is
    also the result over an empty dimension. `sum` and `prod` accumulate in f32 at least; integers wrap around. `max` and `min`
    propagate NaN.

    **Inputs**
    * `kind`: `sum`, `prod`, `max` or `min`
    * `input`: a tensor
    * `dimension`: d

    **Outputs**
    * `result`: the type of `input` without dimension d

    **Constraints**
    * (C1) 0 <= d < rank of the input.
    * (C2) the result has the input's element type, and its shape without dimension d.

    **Example**
    ```mlir
    func.func @example(%x: tensor<?x8xf32>) -> tensor<?xf32> {
      %y = moe.reduce sum %x over 1 : tensor<?x8xf32> -> tensor<?xf32>
      return %y : tensor<?xf32>
    }
    ```
  }];
  let arguments = (ins Moe_Reduction:$kind, Moe_AnyTensor:$input, I64Attr:$dimension);
  let results = (outs Moe_AnyTensor:$result);
  let assemblyFormat = "$kind $input `over` $dimension attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Moe_SplitOp : Moe_Op<"split", [Pure]> {
  let summary = "views the last dimension as several";
  let description = [{
    The elements stay in row-major order: y[..., a, b] = x[..., a * B + b]. `tensor.collapse_shape` is the inverse.

    **Inputs**
    * `input`: x, [..., n]

    **Outputs**
    * `result`: y, [..., n_1, n_2, ...] with n_1 * n_2 * ... = n

    **Constraints**
    * (C1) x has rank 1 or more.
    * (C2) x and y have one element type, y has at least the rank of x.
    * (C3) the leading dimensions are kept; the others are static and their product is the last dimension of x.

    **Example**
    ```mlir
    func.func @heads(%q: tensor<?x128xbf16>) -> tensor<?x4x32xbf16> {
      %h = moe.split %q : tensor<?x128xbf16> into tensor<?x4x32xbf16>
      return %h : tensor<?x4x32xbf16>
    }
    ```
  }];
  let arguments = (ins Moe_AnyTensor:$input);
  let results = (outs Moe_AnyTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `into` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Moe_GatherOp : Moe_Op<"gather", [Pure]> {
  let summary = "rows of a table, by number";
  let description = [{
    y[i..., j...] = table[indices[i...], j...]: embeddings of token ids, or the rows whose logits are wanted. An index below 0 or not
    below the table's first dimension is a run-time error that names both.

    **Inputs**
    * `table`: [N, ...], any elements
    * `indices`: i32 or i64 of any shape

    **Outputs**
    * `result`: the shape of `indices` followed by that of one row

    **Constraints**
    * (C1) the table has rank 1 or more.
    * (C2) the result has the table's element type, and the shape of the indices followed by the table's without its first dimension.

    **Example**
    ```mlir
    func.func @embed(%table: tensor<256x128xbf16>, %ids: tensor<?xi32>) -> tensor<?x128xbf16> {
      %x = moe.gather %table at %ids : tensor<256x128xbf16>, tensor<?xi32> -> tensor<?x128xbf16>
      return %x : tensor<?x128xbf16>
    }
    ```
  }];
  let arguments = (ins Moe_AnyTensor:$table, Moe_IndexTensor:$indices);
  let results = (outs Moe_AnyTensor:$result);
  let assemblyFormat = "$table `at` $indices attr-dict `:` type($table) `,` type($indices) `->` type($result)";
  let hasVerifier = 1;
}

#endif // MOE_ROWS_TD
