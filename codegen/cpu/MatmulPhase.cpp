// One grouped.matmul: cuts it into tasks and gives the kernel its epilogue. No
// result depends on how it is cut.

#include "codegen/cpu/Phases.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Matmul.h"
#include "codegen/cpu/Nodes.h"
#include "codegen/cpu/VectorAccess.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {

class MatmulPhase {
public:
  MatmulPhase(Frame &f, unsigned counter, const Step &step)
      : f(f), counter(counter), step(step),
        op(cast<grouped::MatmulOp>(step.op)),
        layout(packedLayout(op.getWeights().getType(), f.schedule.level())) {
    if (op.getOffsets())
      plan = op.getOffsets().getDefiningOp<grouped::PlanOp>();
  }

  void emit();

private:
  void emitPlain();
  void emitCombined();
  MatmulBlock block(Value group, Value rowBegin, Value rowEnd, Value panelBegin,
                    Value panelEnd);
  SmallVector<Value> epilogueValues(const EpilogueSite &site);
  Value extra(const EpilogueSite &site, Value operand);
  void storeResults(const EpilogueSite &site);
  Value resultsOfSums();
  void addToTokens(const EpilogueSite &site);
  void forPanelColumns(Value panel,
                       llvm::function_ref<void(Value, int64_t)> body);
  /// Rows of all groups.
  Value allRows() {
    return f.extent(f.schedule.extents().of(
        op.getTokens() ? Value(op.getTokens()) : Value(op.getInput())));
  }
  Value panelsPerTask(Value groups, Value panels, int64_t most);
  Value firstPlace(Value node, const Ref &filled, Value groups);
  Value firstPanelBlock(Value node, Value perTask);
  Value chooseParts();
  Ref sums(unsigned number) {
    return f.ref(step.extra[number], f.builder.getF32Type());
  }

  Frame &f;
  unsigned counter;
  const Step &step;
  grouped::MatmulOp op;
  PackedLayout layout;
  grouped::PlanOp plan;
  Value partInputs, cacheBytes;
};

} // namespace

MatmulBlock MatmulPhase::block(Value group, Value rowBegin, Value rowEnd,
                               Value panelBegin, Value panelEnd) {
  Layout input = f.schedule.matmulInput(op);
  Value flat = f.memrefs[input.storage];
  Type element = cast<MemRefType>(flat.getType()).getElementType();
  // Any number of rows: the loops stay inside by themselves.
  SmallVector<OpFoldResult> sizes = {f.builder.getIndexAttr(int64_t(1) << 31),
                                     f.builder.getIndexAttr(layout.inputs)};
  SmallVector<OpFoldResult> strides;
  for (int64_t stride : input.strides)
    strides.push_back(f.builder.getIndexAttr(stride));
  auto strided = StridedLayoutAttr::get(f.builder.getContext(), input.offset,
                                        input.strides);
  MatmulBlock result;
  result.a = memref::ReinterpretCastOp::create(
      f.builder, f.loc,
      MemRefType::get({int64_t(1) << 31, layout.inputs}, element, strided),
      flat, f.builder.getIndexAttr(input.offset), sizes, strides);
  if (op.getTokens())
    result.rowIds = f.ref(op.getTokens()).memref;
  if (std::optional<unsigned> scales = f.schedule.matmulScales(op))
    result.rowScales = f.memrefs[*scales];
  result.packed = f.ref(op.getWeights()).memref;
  result.group = group;
  result.rowBegin = rowBegin;
  result.rowEnd = rowEnd;
  if (std::optional<unsigned> panel = f.schedule.rowPanel())
    result.rowPanel = f.memrefs[*panel];
  result.panelBegin = panelBegin;
  result.panelEnd = panelEnd;
  result.partInputs = partInputs;
  result.cacheBytes = cacheBytes;
  return result;
}

/// The vector of a `with` operand: by column, by group and column, or by row.
Value MatmulPhase::extra(const EpilogueSite &site, Value operand) {
  auto type = cast<RankedTensorType>(operand.getType());
  Ref ref = f.ref(operand);
  Value row = f.constant(0);
  if (type.getRank() == 2) {
    bool byGroup =
        type.hasStaticShape() && type.getDimSize(0) == layout.experts;
    row = byGroup ? site.group : site.row;
  } else {
    ref.layout.strides.clear();
  }
  return f.load(ref, f.add(f.rowAddress(ref, row), site.column), site.lanes);
}

SmallVector<Value> MatmulPhase::epilogueValues(const EpilogueSite &site) {
  SmallVector<Value> arguments(site.accumulators);
  for (Value operand : op.getExtras())
    arguments.push_back(extra(site, operand));
  return emitBlockOnVectors(f.builder, f.loc, op.getEpilogue().front(),
                            arguments, f.lanes, f.scalars);
}

/// The value before a rounding that memory need not have.
static Value beforeRounding(Value value, Type stored) {
  auto truncation = value.getDefiningOp<arith::TruncFOp>();
  if (truncation &&
      getElementTypeOrSelf(truncation.getIn().getType()) == stored)
    return truncation.getIn();
  return value;
}

void MatmulPhase::storeResults(const EpilogueSite &site) {
  for (auto [result, value] :
       llvm::zip_equal(op.getResults(), epilogueValues(site))) {
    Ref out = f.ref(result);
    Type stored = cast<MemRefType>(out.memref.getType()).getElementType();
    f.store(out, f.add(f.rowAddress(out, site.row), site.column),
            beforeRounding(value, stored), site.lanes);
  }
}

/// The result if it is the sums of one weight as they are, else null.
Value MatmulPhase::resultsOfSums() {
  Block &body = op.getEpilogue().front();
  auto yielded = body.getTerminator()->getOperands();
  if (layout.isQuantized() || layout.weights != 1 || yielded.size() != 1 ||
      yielded[0] != body.getArgument(0))
    return nullptr;
  Ref out = f.ref(op.getResults().front());
  if (!cast<MemRefType>(out.memref.getType()).getElementType().isF32() ||
      out.scratch || out.layout.strides.size() != 2 ||
      out.layout.strides.back() != 1)
    return nullptr;
  Value address = f.rowAddress(out, f.constant(0));
  SmallVector<OpFoldResult> sizes = {f.builder.getIndexAttr(int64_t(1) << 31),
                                     f.builder.getIndexAttr(layout.outputs)};
  SmallVector<OpFoldResult> strides = {
      f.builder.getIndexAttr(out.layout.strides.front()),
      f.builder.getIndexAttr(1)};
  Value strided = memref::ReinterpretCastOp::create(
      f.builder, f.loc, out.memref, address, sizes, strides);
  return memref::CastOp::create(f.builder, f.loc,
                                resultsType(f.builder.getContext()), strided);
}

/// sums[token of the row] += weight * value.
void MatmulPhase::addToTokens(const EpilogueSite &site) {
  OpBuilder &b = f.builder;
  Ref slots = f.ref(op.getCombineSlots());
  int64_t choices = op.getCombineRows().getType().getDimSize(1);
  Value slot = f.toIndex(f.loadScalar(slots, f.rowAddress(slots, site.row)));
  Value token = f.div(slot, f.constant(choices));
  Value weight;
  Type f32 = b.getF32Type();
  if (op.getCombineWeights()) {
    Ref weights = f.ref(op.getCombineWeights());
    Value at =
        f.add(f.rowAddress(weights, token), f.sub(slot, f.mul(token, choices)));
    weight = vector::BroadcastOp::create(
        b, f.loc, f.vectorOf(f32),
        convertNumber(b, f.loc, f.loadScalar(weights, at), f32));
  }
  for (auto [number, value] : llvm::enumerate(epilogueValues(site))) {
    Value term = convertNumber(b, f.loc, beforeRounding(value, f32), f32);
    Ref out = sums(number);
    Value at = f.add(f.rowAddress(out, token), site.column);
    Value before = f.load(out, at, site.lanes);
    Value after =
        weight ? Value(vector::FMAOp::create(b, f.loc, term, weight, before))
               : Value(arith::AddFOp::create(b, f.loc, term, before));
    f.store(out, at, after, site.lanes);
  }
}

/// body(column, lanes that exist) for the vectors of one weight's columns in a
/// panel.
void MatmulPhase::forPanelColumns(
    Value panel, llvm::function_ref<void(Value, int64_t)> body) {
  int64_t columns = layout.panelColumns();
  Value first = f.mul(panel, columns);
  auto emit = [&](int64_t count) {
    for (int64_t c = 0; c < count; c += f.lanes)
      body(f.add(first, c), std::min(f.lanes, count - c));
  };
  int64_t partial = layout.outputs % columns;
  if (partial == 0)
    return emit(columns);
  Value last = f.is(Frame::Compare::eq, panel, layout.panels() - 1);
  auto choice = scf::IfOp::create(f.builder, f.loc, last,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(f.builder);
  f.builder.setInsertionPointToStart(choice.thenBlock());
  emit(partial);
  f.builder.setInsertionPointToStart(choice.elseBlock());
  emit(columns);
}

/// Several panels at once let a group's rows stay in the cache, but every
/// thread should get about eight tasks. Tasks side by side write no cache line
/// together. Panels of matrix tiles are narrow: where most groups have rows
/// enough for them, gathering and reading rows again costs more than a few
/// large tasks.
Value MatmulPhase::panelsPerTask(Value groups, Value panels, int64_t most) {
  constexpr int64_t kTasks = 8, kMatrixTasks = 2, kMatrixPanels = 64;
  int64_t least = 1;
  for (Value result : op.getResults()) {
    int64_t bytes = elementBytes(f.schedule.storageOf(result).element);
    least = std::max(least, MOERT_ALIGNMENT / (layout.panelColumns() * bytes));
  }
  Value tasks = f.constant(kTasks), largest = f.constant(std::max(most, least));
  if (hasMatrixForm(layout, op.getInput().getType())) {
    Value rows = allRows();
    Value many = f.less(f.mul(groups, matrixRowsFrom(layout)), rows);
    auto choose = [&](int64_t yes, Value no) {
      return arith::SelectOp::create(f.builder, f.loc, many, f.constant(yes),
                                     no);
    };
    tasks = choose(kMatrixTasks, tasks);
    largest = choose(std::max(kMatrixPanels, least), largest);
  }
  Value share = f.div(panels, f.mul(f.mul(f.threads, tasks), least));
  share = f.mul(f.max(share, f.constant(1)), least);
  return f.min(share, largest);
}

/// The place in the list of filled groups of the first that a node holds.
Value MatmulPhase::firstPlace(Value node, const Ref &filled, Value groups) {
  Value first = firstOfNode(f, node, f.constant(layout.experts));
  Value one = f.less(f.nodes, f.constant(2));
  Value none = f.constant(0);
  // With one node there is nothing to count.
  Value counted = arith::SelectOp::create(f.builder, f.loc, one, none, groups);
  Value before = f.fold(
      none, counted, none,
      [&](Value place, ValueRange so) -> SmallVector<Value> {
        Value group = f.toIndex(f.loadScalar(filled, f.add(place, 1)));
        Value more = arith::IndexCastUIOp::create(
            f.builder, f.loc, f.builder.getIndexType(), f.less(group, first));
        return {f.add(so[0], more)};
      })[0];
  return arith::SelectOp::create(f.builder, f.loc, one, f.mul(node, groups),
                                 before);
}

/// The first block of panels that a node holds.
Value MatmulPhase::firstPanelBlock(Value node, Value perTask) {
  return f.ceilDiv(firstOfNode(f, node, f.constant(layout.panels())), perTask);
}

void MatmulPhase::emitPlain() {
  Value groups = f.constant(1), rows;
  Ref filled, offsets;
  if (plan) {
    filled = f.ref(f.schedule.filledGroups(plan), f.builder.getI32Type());
    offsets = f.ref(plan.getOffsets());
    groups = f.toIndex(f.loadScalar(filled, f.constant(0)));
  } else {
    rows = allRows();
  }
  Value panels = f.constant(layout.panels());
  Value perTask = panelsPerTask(groups, f.mul(groups, layout.panels()), 4);
  Value panelBlocks = f.ceilDiv(panels, perTask);
  // One group of few panels: its rows are divided too.
  Value rowBlocks = f.constant(1), rowsPerTask;
  if (!plan) {
    Value wanted = f.ceilDiv(f.mul(f.threads, 8), panelBlocks);
    Value possible = f.ceilDiv(f.max(rows, f.constant(1)), f.constant(24));
    rowBlocks = f.min(wanted, possible);
    rowsPerTask = f.ceilDiv(f.max(rows, f.constant(1)), rowBlocks);
  }
  Value perGroup = plan ? panelBlocks : f.mul(panelBlocks, rowBlocks);
  auto first = [&](Value node) {
    return plan ? f.mul(firstPlace(node, filled, groups), perGroup)
                : f.mul(firstPanelBlock(node, perTask), rowBlocks);
  };
  nodeTasks(f, counter, Steal::Always, first, [&](Value task) {
    Value group = f.constant(0), begin, end, panelBlock;
    if (plan) {
      Value place = f.div(task, perGroup);
      panelBlock = f.sub(task, f.mul(place, perGroup));
      group = f.toIndex(f.loadScalar(filled, f.add(place, 1)));
      begin = f.toIndex(f.loadScalar(offsets, group));
      end = f.toIndex(f.loadScalar(offsets, f.add(group, 1)));
    } else {
      panelBlock = f.div(task, rowBlocks);
      Value rowBlock = f.sub(task, f.mul(panelBlock, rowBlocks));
      begin = f.min(f.mul(rowBlock, rowsPerTask), rows);
      end = f.min(f.add(begin, rowsPerTask), rows);
    }
    Value panelBegin = f.mul(panelBlock, perTask);
    Value panelEnd = f.min(f.add(panelBegin, perTask), panels);
    observeTask(f, counter, group, panelBegin, panelEnd);
    MatmulBlock part = block(group, begin, end, panelBegin, panelEnd);
    part.allRows = rows; // of one group; null: end - begin
    part.results = resultsOfSums();
    emitMatmul(f.builder, f.loc, layout, part,
               [&](OpBuilder &, Location, const EpilogueSite &site) {
                 storeResults(site);
               });
  });
}

/// A task owns columns of the results: it clears them, adds the rows of all
/// groups in ascending order, and rounds at last.
void MatmulPhase::emitCombined() {
  OpBuilder &b = f.builder;
  auto [firstToken, lastToken] = f.rowRange(op.getCombineRows());
  Value panels = f.constant(layout.panels());
  Value groups = f.constant(1);
  Ref filled;
  if (plan) {
    filled = f.ref(f.schedule.filledGroups(plan), b.getI32Type());
    groups = f.toIndex(f.loadScalar(filled, f.constant(0)));
  }
  Value perTask = panelsPerTask(groups, panels, 8);
  Value zero = splatConstant(b, f.loc, b.getF32Type(), 0, f.lanes);
  auto first = [&](Value node) { return firstPanelBlock(node, perTask); };
  nodeTasks(
      f, counter, Steal::Always, first,
      [&, begin = firstToken, end = lastToken](Value task) {
        Value panelBegin = f.mul(task, perTask);
        Value panelEnd = f.min(f.add(panelBegin, perTask), panels);
        observeTask(f, counter, Value(), panelBegin, panelEnd);
        auto forTokens =
            [&](llvm::function_ref<void(Value, Value, int64_t)> body) {
              f.loop(begin, end, [&](Value token) {
                f.loop(panelBegin, panelEnd, [&](Value panel) {
                  forPanelColumns(panel, [&](Value column, int64_t lanes) {
                    body(token, column, lanes);
                  });
                });
              });
            };
        forTokens([&](Value token, Value column, int64_t lanes) {
          for (unsigned i = 0; i < op.getNumResults(); ++i)
            f.store(sums(i), f.add(f.rowAddress(sums(i), token), column), zero,
                    lanes);
        });
        auto emitGroup = [&](Value group, Value rowBegin, Value rowEnd) {
          emitMatmul(b, f.loc, layout,
                     block(group, rowBegin, rowEnd, panelBegin, panelEnd),
                     [&](OpBuilder &, Location, const EpilogueSite &site) {
                       addToTokens(site);
                     });
        };
        if (plan) {
          Ref offsets = f.ref(plan.getOffsets());
          f.loop(f.constant(0), groups, [&](Value place) {
            Value group = f.toIndex(f.loadScalar(filled, f.add(place, 1)));
            emitGroup(group, f.toIndex(f.loadScalar(offsets, group)),
                      f.toIndex(f.loadScalar(offsets, f.add(group, 1))));
          });
        } else {
          auto [rowBegin, rowEnd] = f.rowRange(op.getCombineSlots());
          emitGroup(f.constant(0), rowBegin, rowEnd);
        }
        for (auto [number, result] : llvm::enumerate(op.getResults())) {
          if (step.extra[number] == f.schedule.layout(result).storage)
            continue;
          Ref from = sums(number), to = f.ref(result);
          forTokens([&](Value token, Value column, int64_t lanes) {
            Value value =
                f.load(from, f.add(f.rowAddress(from, token), column), lanes);
            f.store(to, f.add(f.rowAddress(to, token), column),
                    convertNumber(b, f.loc, value, to.type), lanes);
          });
        }
      });
}

/// Inputs of a part of a panel that fits half of the cache, beside rows and
/// sums; null if panels are so small that they always fit. Matrix tiles have
/// parts of their own.
Value MatmulPhase::chooseParts() {
  constexpr int64_t kSmall = 128 << 10; // half of the least L2
  bool matrix = hasMatrixForm(layout, op.getInput().getType());
  if (matrix || layout.panelBytes() <= kSmall)
    return nullptr;
  Value room = f.max(f.constant(kSmall), f.div(cacheBytes, f.constant(2)));
  Value parts = f.ceilDiv(f.constant(layout.panelBytes()), room);
  Value inputs = f.ceilDiv(f.constant(layout.inputs), parts);
  return f.mul(f.ceilDiv(inputs, f.constant(kPartUnit)), kPartUnit);
}

void MatmulPhase::emit() {
  // What an unknown cache has: as on most servers.
  Value cache = f.toIndex(contextField(f, ContextField::CacheBytes));
  Value known = f.less(f.constant(0), cache);
  cacheBytes = arith::SelectOp::create(f.builder, f.loc, known, cache,
                                       f.constant(1 << 20));
  partInputs = chooseParts();
  if (op.isCombined())
    emitCombined();
  else
    emitPlain();
}

void emitMatmulPhase(Frame &frame, unsigned counter, const Step &step) {
  MatmulPhase(frame, counter, step).emit();
}

} // namespace moe::cpu
