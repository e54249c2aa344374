// The moe dialect, its types and its enumerations: level 1, what users write.
#ifndef MOE_DIALECT_TD
#define MOE_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Moe_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::moe";
  let summary = "Mixtures of experts as sparse matrices.";
  let description = [{
    A *routing* is a sparse matrix G of T tokens by E experts; the stored numbers are the combine weights:

        y[t] = sum over e in row t of  G[t,e] * f_e(x[t])

    `dispatch` reads G by columns, `expert` applies f_e to the rows of group e, `combine` reads G by rows.
    Everything else makes G (`route`, `lookup`, `from_indices`, `assign`), edits it (`normalize`, `scale`, `with_weights`, `keep`,
    `join`, `limit`) or reads it (`weights`, `indices`, `to_matrix`, `pairs`, `counts`, `importance`).

    Conventions that hold for every operation:

    * Rows are tokens. Their number T is dynamic and may be 0; an expert may get no token. Dynamic sizes that must agree
      and do not are a run-time error that names both.
    * The *support* of a routing is its set of pairs (token, expert). `normalize`, `scale` and `with_weights` keep it; `keep`,
      `join` and `limit` make a new one. `dispatch`, `expert` and `combine` of one layer must agree on the support, not on the weights.
    * Ties go to the lower index. NaN ranks below -inf.
    * An empty slot has weight 0 and expert -1 and takes part in nothing.
    * Arithmetic on f16 and bf16 happens in f32 and is rounded once, when the result is stored; weights of a routing are
      f32. Every sum has an order that depends on shapes and on the token's own routing alone, so results are
      reproducible.
    * Tokens whose number in `segments` is the same are one segment, wherever they stand; without `segments` all tokens are one.
    * Operations are pure. One that can fail at run time (`gather`) may still be removed when its result is not used.
  }];
  let useDefaultTypePrinterParser = 1;
}

class Moe_Type<string name, string typeMnemonic> : TypeDef<Moe_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Moe_RoutingShape : I32EnumAttr<"RoutingShape", "the static structure of a routing", [
    I32EnumAttrCase<"Top", 0, "top">, I32EnumAttrCase<"Take", 1, "take">, I32EnumAttrCase<"Any", 2, "any">]> {
  let cppNamespace = "::moe";
}

def Moe_RoutingType : Moe_Type<"Routing", "routing"> {
  let summary = "a sparse matrix of T tokens by E experts";
  let description = [{
    `!moe.routing<8, top 2>`: 8 experts, at most 2 a token, in order of choice; a slot may be empty.
    `!moe.routing<8, take>`: a number of tokens an expert. `!moe.routing<8, any>`: any set of pairs.

    **Constraints**
    * (C1) there is at least 1 expert.
    * (C2) 1 <= k <= E in `top k`.
  }];
  let parameters = (ins "int64_t":$experts, "RoutingShape":$shape, "int64_t":$choices);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Moe_ScopeType : Moe_Type<"Scope", "scope"> {
  let summary = "a prefix into the checkpoint; holds no data";
  let description = [{
    The entry function takes one as an argument; `moe.scope` makes longer ones, `moe.param` reads a tensor below one.
  }];
}

def Moe_GeluForm : I32EnumAttr<"GeluForm", "which gelu", [
    I32EnumAttrCase<"Exact", 0, "exact">, I32EnumAttrCase<"Tanh", 1, "tanh">]> {
  let cppNamespace = "::moe";
}

def Moe_Reduction : I32EnumAttr<"Reduction", "what a reduction computes", [
    I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Prod", 1, "prod">,
    I32EnumAttrCase<"Max", 2, "max">, I32EnumAttrCase<"Min", 3, "min">]> {
  let cppNamespace = "::moe";
}

def Moe_Norm : I32EnumAttr<"Norm", "what the weights of a row are divided by", [
    I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Softmax", 1, "softmax">, I32EnumAttrCase<"Lp", 2, "lp">]> {
  let cppNamespace = "::moe";
}

def Moe_Weighting : I32EnumAttr<"Weighting", "whether combine applies the weights", [
    I32EnumAttrCase<"Weighted", 0, "weighted">, I32EnumAttrCase<"Unweighted", 1, "unweighted">]> {
  let cppNamespace = "::moe";
}

// What both levels say about a choice, an order or a loss.
def Moe_Selection : I32EnumAttr<"Selection", "which pairs a route chooses", [
    I32EnumAttrCase<"Top", 0, "top">, I32EnumAttrCase<"Take", 1, "take">,
    I32EnumAttrCase<"GreaterThan", 2, "greater_than">, I32EnumAttrCase<"AtLeast", 3, "at_least">,
    I32EnumAttrCase<"TopP", 4, "top_p">, I32EnumAttrCase<"Nonzero", 5, "nonzero">, I32EnumAttrCase<"All", 6, "all">]> {
  let cppNamespace = "::moe";
}

def Moe_Order : I32EnumAttr<"Order", "which pairs an expert keeps first", [
    I32EnumAttrCase<"Position", 0, "position">, I32EnumAttrCase<"Choice", 1, "choice">,
    I32EnumAttrCase<"TokenChoice", 2, "token_choice">, I32EnumAttrCase<"Weight", 3, "weight">,
    I32EnumAttrCase<"Value", 4, "value">]> {
  let cppNamespace = "::moe";
}

def Moe_Counting : I32EnumAttr<"Counting", "which choices of a token a loss counts", [
    I32EnumAttrCase<"First", 0, "first">, I32EnumAttrCase<"All", 1, "all">]> {
  let cppNamespace = "::moe";
}

def Moe_BalanceScale : I32EnumAttr<"BalanceScale", "the value of a balance loss at balance", [
    I32EnumAttrCase<"Choices", 0, "choices">, I32EnumAttrCase<"One", 1, "one">]> {
  let cppNamespace = "::moe";
}

class Moe_Op<string mnemonic, list<Trait> traits = []> : Op<Moe_Dialect, mnemonic, traits>;

// Row tensors: any rank, floating-point elements, the first dimension counts rows.
def Moe_Float : AnyTypeOf<[F64, F32, F16, BF16], "f64, f32, f16 or bf16">;
def Moe_FloatTensor : RankedTensorOf<[F64, F32, F16, BF16]>;
def Moe_AnyTensor : RankedTensorOf<[AnyFloat, AnyInteger, Index]>;
def Moe_IndexTensor : RankedTensorOf<[I32, I64]>;
def Moe_FloatLike : AnyTypeOf<[Moe_Float, Moe_FloatTensor, VectorOfAnyRankOf<[F64, F32, F16, BF16]>],
                              "a float, or a tensor or vector of floats">;
// What a routing holds, seen as tensors: f32 weights, i32 experts and counts.
def Moe_WeightTensor : RankedTensorOf<[F32]>;
def Moe_IdTensor : RankedTensorOf<[I32]>;
def Moe_MaskTensor : RankedTensorOf<[I1]>;
// Tokens an expert: for all alike, or one value per token, equal inside its segment.
def Moe_Capacity : AnyTypeOf<[Index, Moe_IdTensor], "index or ranked tensor of 32-bit signless integer values">;
def Moe_Scalar : Type<And<[CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">,
                           CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getRank() == 0">,
                           CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getElementType().isF32()">]>,
                      "tensor<f32>", "::mlir::RankedTensorType">,
                 BuildableType<"::mlir::RankedTensorType::get({}, $_builder.getF32Type())">;

#endif // MOE_DIALECT_TD
