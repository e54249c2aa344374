// See Remarks.h.

#include "codegen/cpu/Remarks.h"

#include "codegen/cpu/MatrixTiles.h"
#include "codegen/cpu/Schedule.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace moe::cpu {

static StringRef nameOf(Family family) {
  switch (family) {
  case Family::Fma:
    return "f32 multiply-adds";
  case Family::Bf16Dot:
    return "vdpbf16ps";
  case Family::Int16Dot:
    return "vpmaddwd on 16-bit entries";
  case Family::Int8Dot:
    return "vpdpbusd";
  }
  llvm_unreachable("unknown family");
}

static std::string bytesText(int64_t bytes) {
  double value = static_cast<double>(bytes);
  if (bytes >= 1 << 20)
    return llvm::formatv("{0:f1} MiB", value / (1 << 20));
  if (bytes >= 1 << 10)
    return llvm::formatv("{0:f1} KiB", value / (1 << 10));
  return llvm::formatv("{0} bytes", bytes);
}

/// Bytes of one row of a tensor.
static int64_t rowBytes(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getDimSize(1) * static_cast<int64_t>(llvm::divideCeil(
                                  type.getElementTypeBitWidth(), 8));
}

/// What does not depend on the machine: the weights of an expert, which it
/// reads if it has rows, and what every row moves and multiplies.
static void remarkOnTraffic(InFlightDiagnostic &text, grouped::MatmulOp op,
                            const PackedLayout &layout) {
  int64_t reads = rowBytes(op.getInput()), writes = 0;
  for (Value extra : op.getExtras())
    if (auto type = cast<RankedTensorType>(extra.getType());
        type.getRank() == 2 && type.getDimSize(0) != layout.experts)
      reads += rowBytes(extra);
  for (Value result : op.getResults())
    writes += rowBytes(result);
  text << "; " << bytesText(layout.bytes() / layout.experts)
       << (layout.experts > 1 ? " for every expert with rows; a row: "
                              : " for all rows; a row: ")
       << bytesText(reads) << " read, " << bytesText(writes)
       << (op.isCombined() ? " added to, " : " written, ")
       << layout.inputs * layout.outputs * layout.weights << " multiply-adds";
}

static void remark(grouped::MatmulOp op, const Level &level) {
  PackedLayout layout = packedLayout(op.getWeights().getType(), level);
  InFlightDiagnostic text = op.emitRemark();
  Type rows = op.getInput().getType();
  bool matrix = hasMatrixForm(layout, rows);
  int64_t largest = layout.maxRows();
  text << level.name << ": ";
  if (matrix) {
    text << (tiledLayout(layout).isQuantized() ? "tdpbusd" : "tdpbf16ps")
         << (layout.hasGroups() ? " on unpacked weights" : "") << ", tiles of "
         << MatrixRows::kTiles * MatrixRows::kRows << " rows x "
         << layout.columns() << " columns from " << matrixRowsFrom(layout)
         << " rows on, else ";
    largest = std::min(largest, matrixRowsFrom(layout) - 1);
  }
  text << nameOf(chooseFamily(layout, rows)) << ", tiles of " << largest
       << " rows x " << layout.columns() << " columns";
  if (layout.weights > 1)
    text << " of " << layout.weights << " weights";
  int64_t few = level.panelsAtOnce(1, layout.vectors());
  if (few > 1)
    text << " (1 row: " << few << " panels)";
  text << "; " << layout.experts << " x " << layout.panels() << " panels of "
       << bytesText(layout.panelBytes()) << ", " << bytesText(layout.bytes())
       << " of ";
  text << layout.element << " packed";
  double stored = static_cast<double>(layout.bytes()) /
                  (static_cast<double>(layout.experts * layout.weights) *
                   static_cast<double>(layout.outputs * layout.inputs));
  text << " (" << llvm::formatv("{0:f2}", stored).str() << " bytes a weight)";
  if (layout.isQuantized())
    text << "; rows quantised once";
  text << (op.getTokens() ? "; rows gathered" : "; rows in order");
  if (op.isCombined())
    text << ", summed by token";
  int64_t scalars =
      std::distance(op.getEpilogue().front().without_terminator().begin(),
                    op.getEpilogue().front().without_terminator().end());
  if (scalars > 0)
    text << "; " << scalars << (scalars == 1 ? " operation" : " operations")
         << " on the sums";
  remarkOnTraffic(text, op, layout);
}

void remarkOnProducts(ModuleOp module, ArrayRef<Level> levels) {
  module.walk([&](grouped::MatmulOp op) {
    for (const Level &level : levels)
      remark(op, level);
  });
}

} // namespace moe::cpu
