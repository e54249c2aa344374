// Sums, maxima, softmax and norms, over columns of one row or over all rows.
// Every sum has a fixed order.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;

namespace moe::cpu {

Type wideType(Type element) {
  if (!isa<FloatType>(element))
    return IntegerType::get(element.getContext(), 64);
  return element.isF64() ? element
                         : Type(Float32Type::get(element.getContext()));
}

namespace {
/// A reduction on vectors of the wide type.
struct Reducer {
  Frame &f;
  Reduction kind;
  Type type; // wide

  bool isFloat() const { return isa<FloatType>(type); }
  Value splat(TypedAttr number) const {
    return arith::ConstantOp::create(
        f.builder, f.loc,
        DenseElementsAttr::get(f.vectorOf(type), ArrayRef<Attribute>{number}));
  }
  Value identity() const {
    if (kind == Reduction::Sum || kind == Reduction::Prod)
      return splatConstant(f.builder, f.loc, type,
                           kind == Reduction::Prod ? 1 : 0, f.lanes);
    bool max = kind == Reduction::Max;
    if (isFloat()) {
      double infinity = std::numeric_limits<double>::infinity();
      return splat(f.builder.getFloatAttr(type, max ? -infinity : infinity));
    }
    return splat(
        f.builder.getI64IntegerAttr(max ? std::numeric_limits<int64_t>::min()
                                        : std::numeric_limits<int64_t>::max()));
  }
  Value combine(Value a, Value b) const {
    OpBuilder &builder = f.builder;
    switch (kind) {
    case Reduction::Sum:
      return isFloat() ? Value(arith::AddFOp::create(builder, f.loc, a, b))
                       : Value(arith::AddIOp::create(builder, f.loc, a, b));
    case Reduction::Prod:
      return isFloat() ? Value(arith::MulFOp::create(builder, f.loc, a, b))
                       : Value(arith::MulIOp::create(builder, f.loc, a, b));
    case Reduction::Max:
      return isFloat() ? Value(arith::MaximumFOp::create(builder, f.loc, a, b))
                       : Value(arith::MaxSIOp::create(builder, f.loc, a, b));
    case Reduction::Min:
      return isFloat() ? Value(arith::MinimumFOp::create(builder, f.loc, a, b))
                       : Value(arith::MinSIOp::create(builder, f.loc, a, b));
    }
    llvm_unreachable("unknown reduction");
  }
  Value horizontal(Value vector) const {
    auto pick = [&](vector::CombiningKind whole, vector::CombiningKind real) {
      return vector::ReductionOp::create(f.builder, f.loc,
                                         isFloat() ? real : whole, vector);
    };
    using Kind = vector::CombiningKind;
    switch (kind) {
    case Reduction::Sum:
      return pick(Kind::ADD, Kind::ADD);
    case Reduction::Prod:
      return pick(Kind::MUL, Kind::MUL);
    case Reduction::Max:
      return pick(Kind::MAXSI, Kind::MAXIMUMF);
    case Reduction::Min:
      return pick(Kind::MINSI, Kind::MINIMUMF);
    }
    llvm_unreachable("unknown reduction");
  }
  Value widen(Value vector) const {
    return convertNumber(f.builder, f.loc, vector, type);
  }
  /// Of `count` contiguous elements; `make` turns a loaded vector into a term.
  Value row(const Ref &ref, Value address, int64_t count,
            llvm::function_ref<Value(Value)> make) const {
    Value start = identity();
    Value total = f.foldColumns(
        count, start,
        [&](Value column, int64_t lanes, ValueRange so) -> SmallVector<Value> {
          Value term = make(widen(f.load(ref, f.add(address, column), lanes)));
          return {combine(so[0], f.fillLanes(term, lanes, start))};
        })[0];
    return horizontal(total);
  }
  /// Lane by lane over elements `step` apart.
  Value column(const Ref &ref, Value begin, Value end,
               llvm::function_ref<Value(Value)> address, int64_t lanes,
               llvm::function_ref<Value(Value)> make) const {
    return f.fold(begin, end, identity(),
                  [&](Value i, ValueRange so) -> SmallVector<Value> {
                    Value term = make(widen(f.load(ref, address(i), lanes)));
                    return {combine(so[0], term)};
                  })[0];
  }
};

/// The shape around a reduced dimension d > 0 of one row.
struct Around {
  int64_t outer = 1, reduced = 1, inner = 1;
  Around(RankedTensorType type, int64_t dimension) {
    for (int64_t d = 1; d < type.getRank(); ++d)
      (d < dimension    ? outer
       : d == dimension ? reduced
                        : inner) *= type.getDimSize(d);
  }
};
} // namespace

static Value same(Value value) { return value; }

static Value spread(Frame &f, Value scalar) {
  return vector::BroadcastOp::create(f.builder, f.loc,
                                     f.vectorOf(scalar.getType()), scalar);
}

static Value expOfDistance(Frame &f, Value x, Value max) {
  Value distance = arith::SubFOp::create(f.builder, f.loc, x, max);
  return math::ExpOp::create(f.builder, f.loc, distance);
}

void emitReduceRow(Frame &f, ReduceOp op, Value row) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  Around around(type, op.getDimension());
  Ref in = f.ref(op.getInput()), out = f.ref(op.getResult());
  Value from = f.rowAddress(in, row), to = f.rowAddress(out, row);
  Reducer reducer{f, op.getKind(), wideType(in.type)};
  f.loop(around.outer, [&](Value o) {
    Value first = f.add(from, f.mul(o, around.reduced * around.inner));
    Value target = f.add(to, f.mul(o, around.inner));
    if (around.inner == 1) {
      Value total = reducer.row(in, first, around.reduced, same);
      f.storeScalar(out, target,
                    convertNumber(f.builder, f.loc, total, out.type));
      return;
    }
    f.columns(around.inner, [&](Value column, int64_t lanes) {
      Value total = reducer.column(
          in, f.constant(0), f.constant(around.reduced),
          [&](Value i) {
            return f.add(f.add(first, column), f.mul(i, around.inner));
          },
          lanes, same);
      f.store(out, f.add(target, column),
              convertNumber(f.builder, f.loc, total, out.type), lanes);
    });
  });
}

/// All columns, or those of this thread of the team.
static void
columnsOf(Frame &f, const Team *team, int64_t count,
          llvm::function_ref<void(Value column, int64_t lanes)> body) {
  if (team)
    team->columns(count, body);
  else
    f.columns(count, body);
}

void emitReduceOverRows(Frame &f, ReduceOp op, const Team *team) {
  Ref in = f.ref(op.getInput()), out = f.ref(op.getResult());
  Reducer reducer{f, op.getKind(), wideType(in.type)};
  auto [begin, end] = f.rowRange(op.getInput());
  // The columns of a row become the whole result.
  Layout start = out.layout;
  start.strides.clear();
  Ref flat = out;
  flat.layout = start;
  Value to = f.rowAddress(flat, f.constant(0));
  columnsOf(f, team, in.rowElements, [&](Value column, int64_t lanes) {
    Value total = reducer.column(
        in, begin, end,
        [&](Value row) { return f.add(f.rowAddress(in, row), column); }, lanes,
        same);
    f.store(out, f.add(to, column),
            convertNumber(f.builder, f.loc, total, out.type), lanes);
  });
}

void emitSoftmaxRow(Frame &f, SoftmaxOp op, Value row) {
  auto type = cast<RankedTensorType>(op.getInput().getType());
  Around around(type, op.getReducedDimension());
  Ref in = f.ref(op.getInput()), out = f.ref(op.getResult());
  Value from = f.rowAddress(in, row), to = f.rowAddress(out, row);
  Type wide = wideType(in.type);
  Reducer max{f, Reduction::Max, wide}, sum{f, Reduction::Sum, wide};
  f.loop(around.outer, [&](Value o) {
    Value offset = f.mul(o, around.reduced * around.inner);
    Value first = f.add(from, offset), target = f.add(to, offset);
    if (around.inner == 1) {
      Value top = spread(f, max.row(in, first, around.reduced, same));
      Value total = spread(f, sum.row(in, first, around.reduced, [&](Value x) {
        return expOfDistance(f, x, top);
      }));
      f.columns(around.reduced, [&](Value column, int64_t lanes) {
        Value x = sum.widen(f.load(in, f.add(first, column), lanes));
        Value y = arith::DivFOp::create(f.builder, f.loc,
                                        expOfDistance(f, x, top), total);
        f.store(out, f.add(target, column),
                convertNumber(f.builder, f.loc, y, out.type), lanes);
      });
      return;
    }
    f.columns(around.inner, [&](Value column, int64_t lanes) {
      auto at = [&](Value base) {
        return [&f, base, column, &around](Value i) {
          return f.add(f.add(base, column), f.mul(i, around.inner));
        };
      };
      Value none = f.constant(0), all = f.constant(around.reduced);
      Value top = max.column(in, none, all, at(first), lanes, same);
      Value total = sum.column(in, none, all, at(first), lanes, [&](Value x) {
        return expOfDistance(f, x, top);
      });
      f.loop(none, all, [&](Value i) {
        Value x = sum.widen(f.load(in, at(first)(i), lanes));
        Value y = arith::DivFOp::create(f.builder, f.loc,
                                        expOfDistance(f, x, top), total);
        f.store(out, at(target)(i),
                convertNumber(f.builder, f.loc, y, out.type), lanes);
      });
    });
  });
}

void emitSoftmaxOverRows(Frame &f, SoftmaxOp op, const Team *team) {
  Ref in = f.ref(op.getInput()), out = f.ref(op.getResult());
  Type wide = wideType(in.type);
  Reducer max{f, Reduction::Max, wide}, sum{f, Reduction::Sum, wide};
  auto [begin, end] = f.rowRange(op.getInput());
  columnsOf(f, team, in.rowElements,
            [&, begin = begin, end = end](Value column, int64_t lanes) {
              auto at = [&](const Ref &ref) {
                return [&f, &ref, column](Value row) {
                  return f.add(f.rowAddress(ref, row), column);
                };
              };
              Value top = max.column(in, begin, end, at(in), lanes, same);
              Value total =
                  sum.column(in, begin, end, at(in), lanes,
                             [&](Value x) { return expOfDistance(f, x, top); });
              f.loop(begin, end, [&](Value row) {
                Value x = sum.widen(f.load(in, at(in)(row), lanes));
                Value y = arith::DivFOp::create(
                    f.builder, f.loc, expOfDistance(f, x, top), total);
                f.store(out, at(out)(row),
                        convertNumber(f.builder, f.loc, y, out.type), lanes);
              });
            });
}

void emitRmsNormRow(Frame &f, RmsNormOp op, Value row) {
  OpBuilder &b = f.builder;
  auto type = cast<RankedTensorType>(op.getInput().getType());
  int64_t width = type.getShape().back();
  int64_t vectors =
      type.getRank() == 1 ? 1 : rowElements(type) / std::max<int64_t>(width, 1);
  Ref in = f.ref(op.getInput()), out = f.ref(op.getResult());
  Ref weight = f.ref(op.getWeight());
  Value weights = f.wholeRowAddress(weight, f.constant(0));
  Value from = f.rowAddress(in, row), to = f.rowAddress(out, row);
  Type wide = wideType(in.type);
  Reducer sum{f, Reduction::Sum, wide};
  auto number = [&](double value) {
    return splatConstant(b, f.loc, wide, value, 0);
  };
  f.loop(vectors, [&](Value o) {
    Value offset = f.mul(o, width);
    Value first = f.add(from, offset), target = f.add(to, offset);
    Value squares = sum.row(in, first, width, [&](Value x) -> Value {
      return arith::MulFOp::create(b, f.loc, x, x);
    });
    Value mean = arith::DivFOp::create(b, f.loc, squares,
                                       number(static_cast<double>(width)));
    Value shifted = arith::AddFOp::create(
        b, f.loc, mean, number(op.getEps().convertToDouble()));
    Value scale = spread(
        f, arith::DivFOp::create(b, f.loc, number(1),
                                 math::SqrtOp::create(b, f.loc, shifted)));
    f.columns(width, [&](Value column, int64_t lanes) {
      Value x = sum.widen(f.load(in, f.add(first, column), lanes));
      Value w = sum.widen(f.load(weight, f.add(weights, column), lanes));
      Value scaled = arith::MulFOp::create(b, f.loc, x, scale);
      Value y = arith::MulFOp::create(b, f.loc, scaled, w);
      f.store(out, f.add(target, column), convertNumber(b, f.loc, y, out.type),
              lanes);
    });
  });
}

} // namespace moe::cpu
