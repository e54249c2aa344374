// Compiling and calling the generated product, see Generated.h.
#include "bench/Generated.h"
#include "codegen/cpu/MatrixTiles.h"
#include "codegen/cpu/Pack.h"
#include "codegen/cpu/VectorAccess.h"
#include "runtime/Cpu.h"
#include "runtime/Machine.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace moe::bench {

static const cpu::Level &levelOf(const ProductKind &product) {
  auto [kind, onTiles] = product;
  const char *name = onTiles                    ? "amx"
                     : kind == TileKind::Fma256 ? "avx2"
                     : kind == TileKind::Fma512 ? "avx512"
                                                : "avx512bf16";
  return *cpu::findLevel(name);
}

bool Generated::runs(const ProductKind &product) {
  // Asking also gets leave to use the tile registers.
  return llvm::is_contained(moert::supportedLevels(),
                            std::string_view(levelOf(product).name));
}

Generated::Generated(Problem &problem) {
  TileKind kind = problem.kind;
  const Size &size = problem.size;
  Builder types(&test::context());
  Type stored = kind == TileKind::Bytes512 ? Type(types.getI8Type())
                : kind == TileKind::Dot512 ? Type(types.getBF16Type())
                                           : Type(types.getF32Type());
  cpu::PackedLayout layout{1, size.outputs, size.inputs,
                           1, stored,       levelOf(problem)};
  int64_t dynamic = ShapedType::kDynamic;
  kernels = test::Kernels::compile(layout.level, [&](OpBuilder &builder,
                                                     ModuleOp module) {
    Location loc = builder.getUnknownLoc();
    Type index = builder.getIndexType();
    Type f32 = builder.getF32Type();
    Type bytes = MemRefType::get({dynamic}, builder.getI8Type());
    test::addFunction(
        builder, module, "moe_pack",
        {MemRefType::get({size.outputs, size.inputs}, f32), bytes, index},
        [&](OpBuilder &builder, ValueRange args) {
          Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
          cpu::emitPack(builder, loc, layout, args.take_front(1), false,
                        args[1], zero, args[2]);
        });
    int64_t stride = problem.rowBytes * 8 / stored.getIntOrFloatBitWidth();
    Type rows = MemRefType::get(
        {dynamic, size.inputs}, stored,
        StridedLayoutAttr::get(&test::context(), 0, {stride, 1}));
    test::addFunction(
        builder, module, "moe_matmul",
        {rows, MemRefType::get({dynamic}, f32), bytes, index, index,
         MemRefType::get({dynamic, size.outputs}, f32), bytes},
        [&](OpBuilder &builder, ValueRange args) {
          Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
          cpu::MatmulBlock block;
          block.a = args[0];
          if (layout.isQuantized())
            block.rowScales = args[1];
          block.packed = args[2];
          block.group = block.rowBegin = block.panelBegin = zero;
          block.rowEnd = args[3];
          block.panelEnd = args[4];
          block.rowPanel = args[6];
          block.cacheBytes = arith::ConstantIndexOp::create(
              builder, loc, moert::findMachine(0, 0).cacheBytes);
          if (!layout.isQuantized())
            block.results = memref::CastOp::create(
                builder, loc, cpu::resultsType(builder.getContext()), args[5]);
          cpu::emitMatmul(builder, loc, layout, block,
                          [&](OpBuilder &builder, Location loc,
                              const cpu::EpilogueSite &site) {
                            cpu::storeLanes(
                                builder, loc, site.accumulators[0], args[5],
                                ValueRange{site.row, site.column}, site.lanes);
                          });
        });
  });
  if (cpu::hasMatrixForm(layout, stored))
    rowPanel = moert::Buffer(cpu::MatrixRows::of(layout).bytes(), "rows");
  problem.packed = moert::Buffer(layout.bytes(), "packed weights");
  problem.panelBytes = layout.panelBytes();
  if (layout.isQuantized()) {
    problem.scalesOffset = layout.scalesOffset();
    problem.sumsOffset = layout.sumsOffset();
  }
  kernels->call("moe_pack",
                test::Arguments()
                    .memref(problem.weights.data(), {size.outputs, size.inputs})
                    .memref(problem.packed.data(), {layout.bytes()})
                    .index(layout.panels()));
}

void Generated::multiply(const Problem &problem, float *results) {
  const Size &size = problem.size;
  int64_t entryBytes = 4 / tilePairing(problem.kind);
  // The emitted code reads only.
  auto *rows = const_cast<uint8_t *>(problem.rows.data());
  auto *scales = const_cast<float *>(problem.rowScales.data());
  auto *packed = const_cast<uint8_t *>(problem.packed.data());
  kernels->call("moe_matmul", test::Arguments()
                                  .memref(rows, {size.rows, size.inputs},
                                          {problem.rowBytes / entryBytes, 1})
                                  .memref(scales, {size.rows})
                                  .memref(packed, {problem.packed.size()})
                                  .index(size.rows)
                                  .index(problem.panels())
                                  .memref(results, {size.rows, size.outputs})
                                  .memref(rowPanel.data(), {rowPanel.size()}));
}

} // namespace moe::bench
