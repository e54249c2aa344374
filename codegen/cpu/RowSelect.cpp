// The choice of one row's experts: rounds of maximum and first place, or a
// sort, for what looks at the order of the keys, comparisons of vectors for the
// rest.

#include "codegen/cpu/OpKinds.h"
#include "codegen/cpu/Ranking.h"
#include "codegen/cpu/Rows.h"
#include "codegen/cpu/Sort.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {
/// The places of the largest of `size` ranks from `begin` on, counted from it,
/// one after the other. They are excluded then.
class LargestFirst {
public:
  /// `rounds`: places that are asked for. `words`, `other`: scratch for many.
  LargestFirst(Frame &f, const Ranking &ranking, const Ref &ranks, Value begin,
               int64_t size, int64_t rounds, const Ref &words, const Ref &other)
      : f(f), ranking(ranking), ranks(ranks), begin(begin), size(size),
        words(words), isSorted(rounds > kMostRounds) {
    if (!isSorted)
      return;
    f.loop(size, [&](Value i) { f.storeScalar(words, i, i); });
    emitSortByRanks(
        f, words, other, f.constant(size), cast<IntegerType>(ranks.type),
        [&](Value at) { return f.loadScalar(ranks, f.add(begin, at)); });
  }

  Value at(Value round) const {
    if (!isSorted)
      return ranking.take(ranks, begin, size);
    Value place = placeOf(f, f.loadScalar(words, round));
    f.storeScalar(ranks, f.add(begin, place), ranking.excluded());
    return place;
  }

private:
  Frame &f;
  const Ranking &ranking;
  Ref ranks;
  Value begin;
  int64_t size;
  Ref words;
  bool isSorted;
};

struct RowChoice {
  Frame &f;
  Ref weights, key, chosen, ids;
  Ref ranks, words, other; // scratch
  int64_t experts;
  Ranking ranking;
  Value fromWeights, fromKey, toChosen, toIds;

  RowChoice(Frame &f, Value row, Value weightsOf, Value keyOf, Value chosenOf,
            Value idsOf)
      : f(f), weights(f.ref(weightsOf)), key(f.ref(keyOf)),
        chosen(f.ref(chosenOf)), ids(f.ref(idsOf)), experts(key.rowElements),
        ranking(f, key.type), fromWeights(f.rowAddress(weights, row)),
        fromKey(f.rowAddress(key, row)), toChosen(f.rowAddress(chosen, row)),
        toIds(f.rowAddress(ids, row)) {}

  /// Expert `expert` in a slot.
  void fill(Value slot, Value expert) {
    Value weight = f.loadScalar(weights, f.add(fromWeights, expert));
    f.storeScalar(ids, f.add(toIds, slot),
                  convertNumber(f.builder, f.loc, expert, ids.type));
    f.storeScalar(chosen, f.add(toChosen, slot),
                  convertNumber(f.builder, f.loc, weight, chosen.type));
  }

  void useScratch(ArrayRef<unsigned> extra) {
    ranks = f.ref(extra[0], Ranking::rankType(key.type));
    words = f.ref(extra[1], f.builder.getI64Type());
    other = f.ref(extra[2], f.builder.getI64Type());
  }

  /// All experts; `rounds` of them are asked for.
  LargestFirst orderOfAll(int64_t rounds) {
    return {f, ranking, ranks, f.constant(0), experts, rounds, words, other};
  }

  void top(int64_t count) {
    LargestFirst order = orderOfAll(count);
    f.loop(count, [&](Value slot) { fill(slot, order.at(slot)); });
  }

  /// Slot e holds expert e where `condition`(keys of f32 or f64, their column,
  /// how many of them exist) says so.
  void where(llvm::function_ref<Value(Value, Value, int64_t)> condition) {
    OpBuilder &b = f.builder;
    auto whole = cast<IntegerType>(ids.type);
    Value none = splatConstant(b, f.loc, whole, -1, f.lanes);
    Value zero = splatConstant(b, f.loc, chosen.type, 0, f.lanes);
    Value lane = laneNumbers(f, whole);
    f.columns(experts, [&](Value column, int64_t lanes) {
      Value keys =
          convertNumber(b, f.loc, f.load(key, f.add(fromKey, column), lanes),
                        wideType(key.type));
      Value stays = condition(keys, column, lanes);
      Value first = vector::BroadcastOp::create(
          b, f.loc, f.vectorOf(whole), convertNumber(b, f.loc, column, whole));
      Value expert = arith::AddIOp::create(b, f.loc, first, lane);
      f.store(ids, f.add(toIds, column),
              arith::SelectOp::create(b, f.loc, stays, expert, none), lanes);
      Value weight = convertNumber(
          b, f.loc, f.load(weights, f.add(fromWeights, column), lanes),
          chosen.type);
      f.store(chosen, f.add(toChosen, column),
              arith::SelectOp::create(b, f.loc, stays, weight, zero), lanes);
    });
  }

  Value toF64(Value number) {
    return convertNumber(f.builder, f.loc, number, f.builder.getF64Type());
  }
  Value keyAt(Value expert) {
    return toF64(f.loadScalar(key, f.add(fromKey, expert)));
  }
  Value addF64(Value a, Value b) {
    return arith::AddFOp::create(f.builder, f.loc, a, b);
  }
};

/// grouped.select of one row. Sums of keys are f64 in the order of the choice,
/// as in the reference.
struct RowSelect : RowChoice {
  grouped::SelectOp op;
  Ref groupRanks, scores; // scratch

  RowSelect(Frame &f, const Step &step, grouped::SelectOp op, Value row)
      : RowChoice(f, row, op.getWeights(), op.getKey(), op.getChosen(),
                  op.getIds()),
        op(op) {
    ArrayRef<unsigned> extra = step.extra;
    if (!extra.empty())
      useScratch(extra);
    if (op.getGroups()) {
      groupRanks = f.ref(extra[3], Ranking::rankType(key.type));
      scores = f.ref(extra[4], f.builder.getI64Type());
    }
  }

  /// Experts that a token may choose.
  int64_t allowed() {
    return op.getGroups()
               ? static_cast<int64_t>(*op.getKeep() * experts / *op.getGroups())
               : experts;
  }

  /// Excludes the experts outside of the best groups.
  void excludeGroups() {
    auto groups = static_cast<int64_t>(*op.getGroups());
    auto best = static_cast<int64_t>(*op.getBest()),
         keep = static_cast<int64_t>(*op.getKeep());
    int64_t size = experts / groups;
    Value zero = splatConstant(f.builder, f.loc, f.builder.getF64Type(), 0, 0);
    Ranking byScore(f, f.builder.getF64Type());
    ranking.fill(groupRanks, key, fromKey, experts); // used up below
    f.loop(groups, [&](Value group) {
      Value begin = f.mul(group, size);
      LargestFirst order(f, ranking, groupRanks, begin, size, best, words,
                         other);
      Value score =
          f.fold(f.constant(0), f.constant(best), zero,
                 [&](Value round, ValueRange so) -> SmallVector<Value> {
                   Value member = order.at(round);
                   return {addF64(so[0], keyAt(f.add(begin, member)))};
                 })[0];
      f.storeScalar(scores, group, byScore.of(score));
    });
    LargestFirst order(f, byScore, scores, f.constant(0), groups, keep, words,
                       other);
    f.loop(keep, [&](Value round) { order.at(round); });
    // The groups taken are the kept ones.
    Value gone = vector::BroadcastOp::create(
        f.builder, f.loc, f.vectorOf(ranks.type), ranking.excluded());
    f.loop(groups, [&](Value group) {
      Value isOut = arith::CmpIOp::create(
          f.builder, f.loc, arith::CmpIPredicate::ne,
          f.loadScalar(scores, group), byScore.excluded());
      f.ifThen(isOut, [&] {
        f.columns(size, [&](Value column, int64_t lanes) {
          f.store(ranks, f.add(f.mul(group, size), column), gone, lanes);
        });
      });
    });
  }

  /// The number to compare with, as `type`.
  Value threshold(Type type) {
    if (op.getThreshold())
      return convertNumber(f.builder, f.loc,
                           f.scalars.lookup(op.getThreshold()), type);
    double literal = op.getConstant()->convertToDouble();
    if (!key.type.isF64())
      literal = static_cast<float>(literal);
    return splatConstant(f.builder, f.loc, type, literal, 0);
  }

  Value isAllowed(Value column, int64_t lanes) {
    Value gone = vector::BroadcastOp::create(
        f.builder, f.loc, f.vectorOf(ranks.type), ranking.excluded());
    return arith::CmpIOp::create(f.builder, f.loc, arith::CmpIPredicate::ne,
                                 f.load(ranks, column, lanes), gone);
  }

  void byCondition() {
    OpBuilder &b = f.builder;
    Type wide = wideType(key.type);
    auto compare = [&](arith::CmpFPredicate how, Value keys,
                       Value with) -> Value {
      return arith::CmpFOp::create(b, f.loc, how, keys, with);
    };
    Value bound;
    if (op.getThreshold() || op.getConstant())
      bound = vector::BroadcastOp::create(b, f.loc, f.vectorOf(wide),
                                          threshold(wide));
    where([&](Value keys, Value column, int64_t lanes) -> Value {
      Value stays;
      switch (op.getSelection()) {
      case Selection::GreaterThan:
        stays = compare(arith::CmpFPredicate::OGT, keys, bound);
        break;
      case Selection::AtLeast:
        stays = compare(arith::CmpFPredicate::OGE, keys, bound);
        break;
      case Selection::Nonzero:
        stays = compare(arith::CmpFPredicate::UNE, keys,
                        splatConstant(b, f.loc, wide, 0, f.lanes));
        break;
      case Selection::All:
        stays = splatConstant(b, f.loc, b.getI1Type(), 1, f.lanes);
        break;
      case Selection::Top:
      case Selection::TopP:
      case Selection::Take:
        llvm_unreachable("looks at the order of the keys");
      }
      return op.getGroups() ? Value(arith::AndIOp::create(
                                  b, f.loc, stays, isAllowed(column, lanes)))
                            : stays;
    });
  }

  /// Whether a key is below 0: then sums may become small again.
  Value anyNegative() {
    OpBuilder &b = f.builder;
    Type wide = wideType(key.type);
    Value zero = splatConstant(b, f.loc, wide, 0, f.lanes);
    Value no = splatConstant(b, f.loc, b.getI1Type(), 0, f.lanes);
    Value any = f.foldColumns(
        experts, no,
        [&](Value column, int64_t lanes, ValueRange so) -> SmallVector<Value> {
          Value keys = convertNumber(
              b, f.loc, f.load(key, f.add(fromKey, column), lanes), wide);
          Value below = arith::CmpFOp::create(
              b, f.loc, arith::CmpFPredicate::OLT, keys, zero);
          return {arith::OrIOp::create(b, f.loc, so[0], below)};
        })[0];
    return vector::ReductionOp::create(b, f.loc, vector::CombiningKind::OR,
                                       any);
  }

  /// Takes experts while the sum of the keys before is below p.
  void topP() {
    OpBuilder &b = f.builder;
    Type f64 = b.getF64Type();
    where([&](Value, Value, int64_t) {
      return splatConstant(b, f.loc, b.getI1Type(), 0, f.lanes);
    });
    Value p = threshold(f64), negative = anyNegative();
    Value zero = splatConstant(b, f.loc, f64, 0, 0);
    LargestFirst order = orderOfAll(experts > kFewExperts ? allowed() : 0);
    auto isBelow = [&](Value sum) -> Value {
      return arith::CmpFOp::create(b, f.loc, arith::CmpFPredicate::OLT, sum, p);
    };
    scf::WhileOp::create(
        b, f.loc, TypeRange{b.getIndexType(), f64},
        ValueRange{f.constant(0), zero},
        [&](OpBuilder &, Location, ValueRange so) {
          Value wants =
              arith::OrIOp::create(b, f.loc, isBelow(so[1]), negative);
          Value more = arith::AndIOp::create(
              b, f.loc, wants, f.less(so[0], f.constant(allowed())));
          scf::ConditionOp::create(b, f.loc, more, so);
        },
        [&](OpBuilder &, Location, ValueRange so) {
          Value expert = order.at(so[0]);
          f.ifThen(isBelow(so[1]), [&] { fill(expert, expert); });
          scf::YieldOp::create(
              b, f.loc,
              ValueRange{f.add(so[0], 1), addF64(so[1], keyAt(expert))});
        });
  }

  void emit() {
    if (ranks.memref)
      ranking.fill(ranks, key, fromKey, experts);
    if (op.getGroups())
      excludeGroups();
    switch (op.getSelection()) {
    case Selection::Top:
      return top(static_cast<int64_t>(*op.getTop()));
    case Selection::TopP:
      return topP();
    case Selection::GreaterThan:
    case Selection::AtLeast:
    case Selection::Nonzero:
    case Selection::All:
      return byCondition();
    case Selection::Take:
      llvm_unreachable("is an operation of its own");
    }
  }
};
} // namespace

void emitTopKRow(Frame &f, const Step &step, Value row) {
  auto op = cast<grouped::TopKOp>(step.op);
  RowChoice choice(f, row, op.getWeights(), op.getKey(), op.getChosen(),
                   op.getIds());
  choice.useScratch(step.extra);
  choice.ranking.fill(choice.ranks, choice.key, choice.fromKey, choice.experts);
  choice.top(static_cast<int64_t>(op.getTop()));
}

void emitSelectRow(Frame &f, const Step &step, Value row) {
  RowSelect(f, step, cast<grouped::SelectOp>(step.op), row).emit();
}

} // namespace moe::cpu
