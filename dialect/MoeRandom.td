// Random numbers as a function of seed, stream and position: the same on every machine, in any order.
#ifndef MOE_RANDOM_TD
#define MOE_RANDOM_TD

include "dialect/MoeRows.td"

def Moe_Distribution : I32EnumAttr<"Distribution", "what random numbers are drawn from", [
    I32EnumAttrCase<"Normal", 0, "normal">, I32EnumAttrCase<"Uniform", 1, "uniform">,
    I32EnumAttrCase<"Gumbel", 2, "gumbel">]> {
  let cppNamespace = "::moe";
}

def Moe_RandomOp : Moe_Op<"random", [Pure, DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "random numbers from a counter-based generator (Philox4x32-10)";
  let description = [{
    Element i (row-major) depends on the seed, the stream and i alone. Philox4x32-10 (Salmon et al., SC 2011) with the key (low and high 32
    bits of the seed) and the counter (low 32 bits of i, high 32 bits of i, stream, 0) gives words r0, r1, r2, r3; r0 and r1 are
    used:

    * `uniform`: floor(r0 / 2^8) * 2^-24, in [0, 1)
    * `normal`: sqrt(-2 log u) * cos(2 pi v), with u = (floor(r0 / 2^8) + 1) * 2^-24 and v = floor(r1 / 2^8) * 2^-24
    * `gumbel`: -log(-log u), with u = (floor(r0 / 2^9) + 1/2) * 2^-23

    Two calls that must be independent have different streams.

    **Inputs**
    * `distribution`: `normal`, `uniform` or `gumbel`
    * `like`: the tensor whose shape is wanted
    * `seed`: an i64
    * `stream`: a number

    **Outputs**
    * `result`: f32 in the shape of `like`

    **Constraints**
    * (C1) 0 <= stream < 2^32.

    **Example**
    ```mlir
    func.func @example(%l: tensor<?x8xf32>, %seed: i64) -> tensor<?x8xf32> {
      %n = moe.random normal like %l seed %seed stream 0 : tensor<?x8xf32>
      %h = arith.addf %l, %n : tensor<?x8xf32>
      return %h : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Moe_AnyTensor:$like, I64:$seed, Moe_Distribution:$distribution, I64Attr:$stream);
  let results = (outs Moe_WeightTensor:$result);
  let assemblyFormat = "$distribution `like` $like `seed` $seed `stream` $stream attr-dict `:` type($like)";
  let hasVerifier = 1;
}

#endif // MOE_RANDOM_TD
