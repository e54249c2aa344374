// What the operations of the grouped dialect (level 2) compute.
#include "codegen/reference/Interpreter.h"
#include "dialect/GroupedDialect.h"

using namespace mlir;
using namespace moe::grouped;

namespace moe::reference {

// ids[t, j]: the j-th largest key of row t; chosen[t, j] = weights[t, ids[t,
// j]]
static void topK(TopKOp op, Frame &frame) {
  const Tensor &weights = frame.tensor(op.getWeights()),
               &key = frame.tensor(op.getKey());
  if (key.shape != weights.shape)
    fail("weights are " + shapeText(weights.shape) + ", but the key is " +
         shapeText(key.shape));
  int64_t experts = weights.shape[1], top = op.getTop();
  Shape shape = {weights.rows(), top};
  std::vector<double> chosen;
  std::vector<int64_t> ids;
  for (int64_t t = 0; t < weights.rows(); ++t)
    for (int64_t expert : largest(
             ArrayRef<double>(key.floats()).slice(t * experts, experts), top)) {
      chosen.push_back(weights.floats()[t * experts + expert]);
      ids.push_back(expert);
    }
  frame.set(op.getChosen(), Tensor(shape, std::move(chosen)));
  frame.set(op.getIds(), Tensor(shape, std::move(ids)));
}

/// Plans that share a routing (moe.loads) report as the first of them.
static void countLoads(PlanOp op, ArrayRef<int64_t> offsets, Frame &frame) {
  auto number = op->getAttrOfType<IntegerAttr>("moe.routing");
  if (!number)
    return;
  int64_t experts = op.getExperts(), all = experts, first = 0, block = experts,
          stride = experts;
  Operation *reporter = op;
  if (auto part = op->getAttrOfType<DenseI64ArrayAttr>("moe.loads")) {
    all = part[0];
    first = part[1];
    block = part[2];
    stride = part[3];
    op->getParentOfType<func::FuncOp>().walk([&](PlanOp other) {
      reporter = other;
      return other->getAttr("moe.routing") == number ? WalkResult::interrupt()
                                                     : WalkResult::advance();
    });
  }
  std::vector<int64_t> counts(all);
  for (int64_t e = 0; e < experts; ++e)
    counts[first + e / block * stride + e % block] =
        offsets[e + 1] - offsets[e];
  // All parts have the same slots.
  const Tensor &ids = frame.tensor(op.getIds());
  frame.interpreter.countPlan(reporter, ids.shape[1],
                              first == 0 ? ids.size() : 0, counts);
}

// The filled slots sorted by expert, stably: experts ascending, tokens
// ascending, slots ascending.
static void plan(PlanOp op, Frame &frame) {
  const Tensor &ids = frame.tensor(op.getIds());
  int64_t experts = op.getExperts(), choices = ids.shape[1];
  for (int64_t id : ids.integers())
    if (id >= experts)
      fail("id " + Twine(id) + " is out of range, there are " + Twine(experts) +
           " experts");
  std::vector<int64_t> offsets = {0}, tokens, slots, rows(ids.size(), -1);
  for (int64_t expert = 0; expert < experts; ++expert) {
    for (int64_t slot = 0; slot < ids.size(); ++slot)
      if (ids.integers()[slot] == expert) {
        rows[slot] = slots.size();
        tokens.push_back(slot / choices);
        slots.push_back(slot);
      }
    offsets.push_back(slots.size());
  }
  countLoads(op, offsets, frame);
  int64_t numRows = slots.size();
  frame.set(op.getOffsets(), Tensor({experts + 1}, std::move(offsets)));
  frame.set(op.getTokens(), Tensor({numRows}, std::move(tokens)));
  frame.set(op.getSlots(), Tensor({numRows}, std::move(slots)));
  frame.set(op.getRows(), Tensor(ids.shape, std::move(rows)));
}

/// What is left of weights that share a scale of type `narrow` (null: f32):
/// entries from -most to most.
static void roundToEntries(llvm::MutableArrayRef<double> weights,
                           FloatType narrow, float most) {
  float largest = 0;
  for (double weight : weights)
    largest = std::isnan(weight) || std::isnan(largest)
                  ? NAN
                  : std::max(largest, std::abs(static_cast<float>(weight)));
  float scale = largest / most;
  float inverse = largest > 0 ? most / largest : 0;
  if (narrow) {
    scale = static_cast<float>(roundTo(narrow, static_cast<double>(scale)));
    inverse = scale > 0 ? 1 / scale : 0;
  }
  for (double &weight : weights) {
    float entry = std::nearbyintf(static_cast<float>(weight) * inverse);
    weight = scale * std::fmin(std::fmax(entry, -most), most);
  }
}

/// Entries of 4 bits around a zero point: scale * (-z ... 15 - z).
static void roundAroundZeroPoint(llvm::MutableArrayRef<double> weights,
                                 FloatType scales) {
  float low = 0, high = 0;
  bool isNumber = true;
  for (double weight : weights) {
    auto narrow = static_cast<float>(weight);
    low = std::min(low, narrow);
    high = std::max(high, narrow);
    isNumber &= !std::isnan(narrow);
  }
  float scale = isNumber ? (high - low) / 15 : NAN;
  scale = static_cast<float>(roundTo(scales, static_cast<double>(scale)));
  float inverse = scale > 0 ? 1 / scale : 0;
  float zero = std::fmin(std::fmax(std::nearbyintf(-low * inverse), 0), 15);
  for (double &weight : weights) {
    float entry = std::nearbyintf(static_cast<float>(weight) * inverse);
    weight = scale * std::fmin(std::fmax(entry, -zero), 15 - zero);
  }
}

/// Weights [groups, outputs, inputs] with a scale for each output (i8), or for
/// each output and 32 inputs (si8, i4), and a zero point (ui4). Computed in
/// f32, as when weights are loaded.
static void quantize(Tensor &weight, Type entry) {
  bool grouped = !entry.isSignlessInteger(8);
  int64_t inputs = weight.shape[2], step = grouped ? 32 : inputs;
  FloatType scales =
      grouped ? BFloat16Type::get(entry.getContext()) : FloatType();
  float most = entry.isInteger(4) ? 7 : 127;
  llvm::MutableArrayRef<double> all = weight.floats();
  for (size_t row = 0; row < all.size(); row += inputs)
    for (int64_t k = 0; k < inputs; k += step) {
      auto group = all.slice(row + k, std::min(step, inputs - k));
      if (entry.isUnsignedInteger())
        roundAroundZeroPoint(group, scales);
      else
        roundToEntries(group, scales, most);
    }
}

// Every weight as [groups, outputs, inputs]; in the interpreter packing changes
// nothing else but what quantising rounds.
static void pack(PackOp op, Frame &frame) {
  PackedType type = op.getPacked().getType();
  Packed packed;
  for (mlir::Value value : op.getWeights()) {
    const Tensor &weight = frame.tensor(value);
    int64_t outputs = type.getOutputs(), inputs = type.getInputs();
    Tensor arranged =
        rearrange(weight, type.getShape(),
                  [&](ArrayRef<int64_t> i) { // i = group, output, input
                    return op.getInOut()
                               ? (i[0] * inputs + i[2]) * outputs + i[1]
                               : (i[0] * outputs + i[1]) * inputs + i[2];
                  });
    if (type.getElementType().isInteger())
      quantize(arranged, type.getElementType());
    packed.weights.push_back(
        std::make_shared<const Tensor>(std::move(arranged)));
  }
  frame.set(op.getPacked(), toValue(std::move(packed)));
}

/// The element of a `with` operand for row r of group e and column n: [N], [E,
/// N] or [R, N].
static Scalar extraElement(mlir::Value operand, const Tensor &extra,
                           ArrayRef<int64_t> packed, int64_t e, int64_t r,
                           int64_t n) {
  int64_t columns = packed[1];
  if (extra.rank() == 1)
    return extra.at(n);
  auto type = cast<RankedTensorType>(operand.getType());
  bool byGroup = type.hasStaticShape() && type.getDimSize(0) == packed[0];
  return extra.at((byGroup ? e : r) * columns + n);
}

/// y[t] = sum over t's filled slots, rows ascending (or slots ascending), of
/// weight (or 1) * the slot's row
static Tensor combineRows(const Tensor &input, const Tensor &rows,
                          const Tensor *weights, bool rowsAscending) {
  if (weights && weights->shape != rows.shape)
    fail("weights are " + shapeText(weights->shape) + ", but the slots are " +
         shapeText(rows.shape));
  Shape shape = input.shape;
  shape[0] = rows.rows();
  Tensor y(shape, std::vector<double>(elementCount(shape)));
  int64_t choices = rows.shape[1], width = y.rowSize();
  for (int64_t t = 0; t < rows.rows(); ++t) {
    SmallVector<int64_t> slots;
    for (int64_t slot = t * choices; slot < (t + 1) * choices; ++slot) {
      int64_t row = rows.integers()[slot];
      if (row < -1 || row >= input.rows())
        fail("row " + Twine(row) + " is out of range, the input has " +
             Twine(input.rows()) + " rows");
      if (row >= 0)
        slots.push_back(slot);
    }
    if (rowsAscending)
      llvm::sort(slots, [&](int64_t a, int64_t b) {
        return rows.integers()[a] < rows.integers()[b];
      });
    for (int64_t slot : slots)
      for (int64_t i = 0; i < width; ++i)
        y.floats()[t * width + i] +=
            (weights ? weights->floats()[slot] : 1) *
            input.floats()[rows.integers()[slot] * width + i];
  }
  return y;
}

/// Group boundaries: ascending from 0 to the number of rows.
static SmallVector<int64_t> groupOffsets(const Tensor &offsets, int64_t rows) {
  SmallVector<int64_t> result(ArrayRef<int64_t>(offsets.integers()));
  if (result.front() != 0 || result.back() != rows || !llvm::is_sorted(result))
    fail("groups run from row " + Twine(result.front()) + " to " +
         Twine(result.back()) + ", expected ascending from 0 to " +
         Twine(rows));
  return result;
}

// results[r, n] = epilogue(sum_k a[row(r), k] * W_w[e, n, k]..., extras...),
// then summed by token if combined
static void matmul(MatmulOp op, Frame &frame) {
  std::shared_ptr<const Tensor> a = frame.share(op.getInput());
  auto packed =
      std::get<std::shared_ptr<const Packed>>(frame.get(op.getWeights()));
  ArrayRef<int64_t> shape = op.getWeights().getType().getShape();
  int64_t columns = shape[1], depth = shape[2];
  int64_t numRows =
      op.getTokens() ? frame.tensor(op.getTokens()).rows() : a->rows();
  SmallVector<int64_t> offsets = {0, numRows};
  if (op.getOffsets())
    offsets = groupOffsets(frame.tensor(op.getOffsets()), numRows);
  SmallVector<std::shared_ptr<const Tensor>> extras;
  for (mlir::Value extra : op.getExtras()) {
    extras.push_back(frame.share(extra));
    if (ShapedType::isDynamic(
            cast<RankedTensorType>(extra.getType()).getDimSize(0)) &&
        extras.back()->rows() != numRows)
      fail("operand of the epilogue has " + Twine(extras.back()->rows()) +
           " rows, but there are " + Twine(numRows));
  }
  SmallVector<Tensor> results;
  for (mlir::Value result : op.getResults())
    results.emplace_back(getElementTypeOrSelf(result.getType()),
                         ArrayRef<int64_t>{numRows, columns});

  for (int64_t e = 0; e + 1 < static_cast<int64_t>(offsets.size()); ++e)
    for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r) {
      int64_t row =
          op.getTokens() ? frame.tensor(op.getTokens()).integers()[r] : r;
      if (row < 0 || row >= a->rows())
        fail("row " + Twine(row) + " is out of range, the input has " +
             Twine(a->rows()) + " rows");
      for (int64_t n = 0; n < columns; ++n) {
        SmallVector<Value> arguments;
        for (const std::shared_ptr<const Tensor> &weight : packed->weights) {
          double sum = 0;
          for (int64_t k = 0; k < depth; ++k)
            sum += a->floats()[row * depth + k] *
                   weight->floats()[(e * columns + n) * depth + k];
          arguments.push_back(sum);
        }
        for (auto [operand, extra] : llvm::zip(op.getExtras(), extras))
          arguments.push_back(
              toValue(extraElement(operand, *extra, shape, e, r, n)));
        for (auto [result, value] :
             llvm::zip(results, frame.run(op.getEpilogue(), arguments)))
          result.floats()[r * columns + n] = std::get<double>(value);
      }
    }

  for (auto [result, tensor] : llvm::zip(op.getResults(), results)) {
    if (op.isCombined())
      tensor = combineRows(tensor, frame.tensor(op.getCombineRows()),
                           op.getCombineWeights()
                               ? &frame.tensor(op.getCombineWeights())
                               : nullptr,
                           /*rowsAscending=*/true);
    frame.set(result, std::move(tensor));
  }
}

static void combine(grouped::CombineOp op, Frame &frame) {
  frame.set(
      op.getResult(),
      combineRows(frame.tensor(op.getInput()), frame.tensor(op.getRows()),
                  op.getWeights() ? &frame.tensor(op.getWeights()) : nullptr,
                  /*rowsAscending=*/false));
}

static void loop(LoopOp op, Frame &frame) {
  const Tensor &offsets = frame.tensor(op.getOffsets());
  SmallVector<Value> results = runGroups(
      frame, groupOffsets(offsets, offsets.integers().back()), op.getRows(),
      [&](unsigned range) -> ValueRange { return op.getEachOf(range); },
      op.getBounds(), op.getBodies(), op.getNumRowResults());
  for (auto [result, value] : llvm::zip(op.getResults(), results))
    frame.set(result, std::move(value));
}

void addGroupedOps(OpTable &table) {
  table.add<TopKOp>(topK);
  table.add<PlanOp>(plan);
  table.add<PackOp>(pack);
  table.add<MatmulOp>(matmul);
  table.add<grouped::CombineOp>(combine);
  table.add<LoopOp>(loop);
}

} // namespace moe::reference
