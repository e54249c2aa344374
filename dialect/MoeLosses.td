// Losses and statistics of routing that are more than a line of arithmetic.
#ifndef MOE_LOSSES_TD
#define MOE_LOSSES_TD

include "dialect/MoeRead.td"

def Moe_BalanceLossOp : Moe_Op<"balance_loss", [Pure]> {
  let summary = "E * sum over e of f[e] * P[e]: the load of every expert times its mean probability";
  let description = [{
    f[e] = c[e] / T, where c[e] counts the tokens whose first slot holds e (`first`) or the pairs of e (`all`), and P[e] is the
    mean of p[t, e] over tokens. `scale choices` returns E * sum f[e] P[e], which at balance is k when counting all and 1 when counting
    first (Switch, GShard, flaxformer, Hugging Face); `scale one` divides it by that value (Megatron, MegaBlocks, DeepSpeed's
    top-k). With `segments` each segment is a loss with its own T, and the result is their mean. Without tokens the loss is 0.

    **Inputs**
    * `probabilities`: p, [T, E], floats
    * `routing`: the choices to count, most often before `moe.limit`
    * `segments` (optional): [T], i32
    * `counting`, `scale`

    **Outputs**
    * `result`: tensor<f32>

    **Constraints**
    * (C1) the probabilities are [T, E].
    * (C2) segments are [T].
    * (C3) counting first choices, and `scale one`, need a routing with slots.

    **Example**
    ```mlir
    func.func @example(%p: tensor<?x8xf32>, %r: !moe.routing<8, top 2>, %seq: tensor<?xi32>) -> tensor<f32> {
      %a = moe.balance_loss %p of %r counting first scale choices : tensor<?x8xf32>, !moe.routing<8, top 2>
      %b = moe.balance_loss %p of %r counting all scale one segments %seq
          : tensor<?x8xf32>, !moe.routing<8, top 2>, tensor<?xi32>
      %l = arith.addf %a, %b : tensor<f32>
      return %l : tensor<f32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$probabilities, Moe_RoutingType:$routing, Optional<Moe_IdTensor>:$segments,
                   Moe_Counting:$counting, Moe_BalanceScale:$scale);
  let results = (outs Moe_Scalar:$result);
  let assemblyFormat = [{
    $probabilities `of` $routing `counting` $counting `scale` $scale (`segments` $segments^)? attr-dict
    `:` type($probabilities) `,` qualified(type($routing)) (`,` type($segments)^)?
  }];
  let hasVerifier = 1;
}

def Moe_ZLossOp : Moe_Op<"z_loss", [Pure]> {
  let summary = "the mean over tokens of the squared log-sum-exp of logits (ST-MoE, arXiv 2202.08906)";
  let description = [{
    result = (1/T) sum over t of (log sum over e of exp(l[t, e]))^2. Without tokens the loss is 0.

    **Inputs**
    * `logits`: l, [T, E], floats

    **Outputs**
    * `result`: tensor<f32>

    **Constraints**
    * (C1) the logits have rank 2.

    **Example**
    ```mlir
    func.func @example(%l: tensor<?x8xf32>) -> tensor<f32> {
      %z = moe.z_loss %l : tensor<?x8xf32>
      return %z : tensor<f32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$logits);
  let results = (outs Moe_Scalar:$result);
  let assemblyFormat = "$logits attr-dict `:` type($logits)";
  let hasVerifier = 1;
}

def Moe_CvSquaredOp : Moe_Op<"cv_squared", [Pure]> {
  let summary = "the squared coefficient of variation of importance or load (arXiv 1701.06538)";
  let description = [{
    result = var / (mean^2 + eps), with mean = (1/n) sum v[i] and the population variance var = (1/n) sum (v[i] - mean)^2.

    **Inputs**
    * `values`: v, [n], floats
    * `plus`: eps, a number

    **Outputs**
    * `result`: tensor<f32>

    **Constraints**
    * (C1) the values have rank 1.
    * (C2) eps is finite and not negative.

    **Example**
    ```mlir
    func.func @example(%r: !moe.routing<8, top 2>) -> tensor<f32> {
      %i = moe.importance %r : !moe.routing<8, top 2> -> tensor<8xf32>
      %c = moe.cv_squared %i plus 1.0e-10 : tensor<8xf32>
      return %c : tensor<f32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$values, F64Attr:$plus);
  let results = (outs Moe_Scalar:$result);
  let assemblyFormat = "$values `plus` $plus attr-dict `:` type($values)";
  let hasVerifier = 1;
}

def Moe_NoisyLoadOp : Moe_Op<"noisy_load", [Pure, AllTypesMatch<["clean", "noisy", "stddev"]>]> {
  let summary = "the expected load of experts under noisy top-k gating (arXiv 1701.06538, equation 10)";
  let description = [{
    load[e] = sum over t of P(t, e), the probability that e stays among the top k when its own noise is drawn again:

        P(t, e) = Phi((clean[t, e] - threshold(t, e)) / stddev[t, e])

    with the standard normal Phi(z / s) = (1 + erf(z / (sqrt(2) s + 1e-20))) / 2. threshold(t, e) is the (k+1)-th largest of
    noisy[t, ...] when noisy[t, e] is above it, otherwise the k-th largest: the k-th largest excluding e. With k = E every expert counts
    every token.

    **Inputs**
    * `clean`: logits without noise, [T, E], floats
    * `noisy`, `stddev`: the type of `clean`
    * `top`: k

    **Outputs**
    * `result`: [E], f32

    **Constraints**
    * (C1) the logits have rank 2, and E is static.
    * (C2) 1 <= k <= E.
    * (C3) the result has one value for each of the E experts.

    **Example**
    ```mlir
    !l = tensor<?x8xf32>
    func.func @example(%clean: !l, %noise: !l, %stddev: !l) -> tensor<8xf32> {
      %scaled = arith.mulf %noise, %stddev : !l
      %noisy = arith.addf %clean, %scaled : !l
      %load = moe.noisy_load %clean, %noisy, %stddev top 2 : !l -> tensor<8xf32>
      return %load : tensor<8xf32>
    }
    ```
  }];
  let arguments = (ins Moe_FloatTensor:$clean, Moe_FloatTensor:$noisy, Moe_FloatTensor:$stddev, I64Attr:$top);
  let results = (outs Moe_WeightTensor:$result);
  let assemblyFormat = [{
    $clean `,` $noisy `,` $stddev `top` $top attr-dict
    `:` type($clean) `->` type($result)
  }];
  let hasVerifier = 1;
}

#endif // MOE_LOSSES_TD
