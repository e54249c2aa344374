// grouped.assign: the auction of codegen/reference/Auction.cpp, with the same
// f32 operations in the same order. Threads divide the experts while they bid,
// and the tokens while these choose.

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Segments.h"
#include "codegen/cpu/Sort.h"
#include "codegen/cpu/Team.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;

namespace moe::cpu {

namespace {
class AssignEmitter {
public:
  AssignEmitter(const Team &team, const Step &step);
  void emit();

private:
  enum Number { Segments, Runs, Unassigned }; // Unassigned: one a parity

  void findSegments();
  void auction(Value begin, Value size);
  void copyToken(Value token);
  void examine();
  void bid(Value expert, Value round);
  void choose(Value round);
  void chooseOnVectors(Value token, int64_t width);
  void settle(Value token, Value round);
  Value runRounds();
  void writeResult();

  Value get(const Ref &ref, Value at) {
    return f.toIndex(f.loadScalar(ref, at));
  }
  Value rowOf(Value token) {
    Value at = f.add(begin, token);
    return op.getSegments() ? get(order, at) : at;
  }
  /// Where [expert][token] lies in a matrix of this segment.
  Value cell(Value expert, Value token) {
    return f.add(f.add(f.mul(begin, experts), f.mul(expert, size)), token);
  }
  Value number(double value, int64_t width = 0) {
    return splatConstant(b, f.loc, b.getF32Type(), value, width);
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, f.loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, f.loc, x, y); }
  Value above(Value x, Value y) {
    return arith::CmpFOp::create(b, f.loc, arith::CmpFPredicate::OGT, x, y);
  }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, f.loc, condition, x, y);
  }
  Value isEqual(Value x, Value y) {
    return arith::CmpIOp::create(b, f.loc, arith::CmpIPredicate::eq, x, y);
  }
  Value both(Value x, Value y) { return arith::AndIOp::create(b, f.loc, x, y); }
  Value inverse(Value condition) {
    return arith::XOrIOp::create(b, f.loc, condition,
                                 arith::ConstantIntOp::create(b, f.loc, 1, 1));
  }
  Value unassigned(Value round) { // its place in `numbers`
    return f.add(f.rem(round, 2), Unassigned);
  }

  const Team &team;
  Frame &f;
  OpBuilder &b;
  grouped::AssignOp op;
  Ref weights, scores, chosen, ids;
  WordTables tables;      // of the thread
  Ref order, bounds;      // rows by segment; begin and end of every segment
  Ref score, value, bids; // matrices [expert][token] of every segment
  Ref cost, winner, best; // by token; best: the share of every expert
  Ref floats, numbers;    // epsilon and the largest score; see Number
  int64_t experts;
  Value begin, size, share; // of the segment at hand
};
} // namespace

AssignEmitter::AssignEmitter(const Team &team, const Step &step)
    : team(team), f(team.f), b(f.builder), op(cast<grouped::AssignOp>(step.op)),
      weights(f.ref(op.getWeights())), scores(f.ref(op.getScores())),
      chosen(f.ref(op.getChosen())), ids(f.ref(op.getIds())),
      tables(f, step.extra[0], step.extra[1]), experts(scores.rowElements) {
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  order = f.ref(step.extra[2], i32);
  bounds = f.ref(step.extra[3], i32);
  score = f.ref(step.extra[4], f32);
  value = f.ref(step.extra[5], f32);
  bids = f.ref(step.extra[6], f32);
  cost = f.ref(step.extra[7], f32);
  winner = f.ref(step.extra[8], i32);
  best = f.ref(step.extra[9], i32);
  floats = f.ref(step.extra[10], f32);
  numbers = f.ref(step.extra[11], b.getI64Type());
}

void AssignEmitter::emit() {
  if (!op.getSegments())
    return auction(f.constant(0), f.rowRange(op.getScores()).second);
  team.first([&] { findSegments(); });
  team.barrier();
  f.loop(f.constant(0), get(numbers, f.constant(Segments)), [&](Value segment) {
    Value at = f.mul(segment, 2);
    Value from = get(bounds, at);
    auction(from, f.sub(get(bounds, f.add(at, 1)), from));
  });
}

void AssignEmitter::findSegments() {
  emitSortSegments(f, op.getSegments(), tables);
  Value rows = f.rowRange(op.getScores()).second;
  f.loop(f.constant(0), rows, [&](Value i) {
    f.storeScalar(order, i, placeOf(f, f.loadScalar(tables.words, i)));
  });
  Value count = foldSegments(f, rows, tables, f.constant(0),
                             [&](Value from, Value end, Value number,
                                 ValueRange) -> SmallVector<Value> {
                               Value at = f.mul(number, 2);
                               f.storeScalar(bounds, at, from);
                               f.storeScalar(bounds, f.add(at, 1), end);
                               return {f.add(number, 1)};
                             })[0];
  f.storeScalar(numbers, f.constant(Segments), count);
}

/// The rows [begin, begin + size) of `order`.
void AssignEmitter::auction(Value from, Value count) {
  begin = from;
  size = count;
  share = f.div(size, f.constant(experts));
  auto [first, last] = team.part(size);
  f.loop(first, last, [&](Value token) { copyToken(token); });
  team.first([&] { examine(); });
  team.barrier();
  Value runs = isEqual(get(numbers, f.constant(Runs)), f.constant(1));
  f.ifThen(runs, [&] {
    Value done = runRounds();
    team.first([&] { f.ifThen(done, [&] { writeResult(); }); });
  });
  team.barrier(); // the next auction writes numbers
}

/// Scores, the first values, and a slot that is empty, or holds the only
/// expert.
void AssignEmitter::copyToken(Value token) {
  Value row = rowOf(token), from = f.rowAddress(scores, row);
  f.loop(f.constant(0), f.constant(experts), [&](Value expert) {
    Value number = convertNumber(
        b, f.loc, f.loadScalar(scores, f.add(from, expert)), b.getF32Type());
    f.storeScalar(score, cell(expert, token), number);
    f.storeScalar(value, cell(expert, token), number);
  });
  Value at = f.add(begin, token);
  f.storeScalar(cost, at, number(0));
  f.storeScalar(winner, at, f.constant(-1));
  f.storeScalar(ids, f.rowAddress(ids, row), f.constant(experts == 1 ? 0 : -1));
  Value weight = number(0);
  if (experts == 1)
    weight = convertNumber(b, f.loc,
                           f.loadScalar(weights, f.rowAddress(weights, row)),
                           b.getF32Type());
  f.storeScalar(chosen, f.rowAddress(chosen, row), weight);
}

/// Whether the auction can run, and epsilon.
void AssignEmitter::examine() {
  double infinity = std::numeric_limits<double>::infinity();
  Type f32 = b.getF32Type();
  Value none = number(0, f.lanes), low = number(infinity, f.lanes),
        high = number(-infinity, f.lanes);
  SmallVector<Value> all = f.fold(
      f.constant(0), size, {low, high, none},
      [&](Value token, ValueRange outer) -> SmallVector<Value> {
        Value from = f.rowAddress(scores, rowOf(token));
        return f.foldColumns(
            experts, outer,
            [&](Value column, int64_t lanes,
                ValueRange so) -> SmallVector<Value> {
              Value x = convertNumber(
                  b, f.loc, f.load(scores, f.add(from, column), lanes), f32);
              auto known = [&](Value identity) {
                return f.fillLanes(x, lanes, identity);
              };
              Value finite = known(none); // x - x is 0, or NaN
              return {arith::MinNumFOp::create(b, f.loc, so[0], known(low)),
                      arith::MaxNumFOp::create(b, f.loc, so[1], known(high)),
                      add(so[2], sub(finite, finite))};
            });
      });
  auto reduce = [&](vector::CombiningKind kind, Value vector) -> Value {
    return vector::ReductionOp::create(b, f.loc, kind, vector);
  };
  Value least = reduce(vector::CombiningKind::MINNUMF, all[0]);
  Value most = reduce(vector::CombiningKind::MAXNUMF, all[1]);
  Value zero = reduce(vector::CombiningKind::ADD, all[2]);
  Value finite =
      arith::CmpFOp::create(b, f.loc, arith::CmpFPredicate::ORD, zero, zero);
  Value over = number(static_cast<float>(op.getOver().convertToDouble()));
  Value atLeast = number(static_cast<float>(op.getAtLeast().convertToDouble()));
  Value part = arith::DivFOp::create(b, f.loc, sub(most, least), over);
  f.storeScalar(floats, f.constant(0),
                select(above(atLeast, part), atLeast, part));
  f.storeScalar(floats, f.constant(1), most);
  Value divides = isEqual(f.mul(share, experts), size);
  f.ifThen(inverse(finite), [&] { reportError(f, MOERT_CODE_FINITE, {}); });
  f.ifThen(inverse(divides), [&] {
    reportError(f, MOERT_CODE_SHARE, {size, f.constant(experts)});
  });
  Value runs = both(both(finite, divides), f.less(f.constant(0), size));
  if (experts == 1)
    runs = arith::ConstantIntOp::create(b, f.loc, 0, 1);
  f.storeScalar(numbers, f.constant(Runs),
                select(runs, f.constant(1), f.constant(0)));
  f.storeScalar(numbers, f.constant(Unassigned), f.constant(0));
}

/// All threads go through the rounds together. Returns whether every token has
/// an expert at the end.
Value AssignEmitter::runRounds() {
  constexpr int64_t limit = 100000; // as the reference
  Value last = f.constant(static_cast<int64_t>(op.getRounds()) + limit);
  Type index = b.getIndexType(), i1 = b.getI1Type();
  auto loop = scf::WhileOp::create(b, f.loc, TypeRange{index, i1},
                                   ValueRange{f.constant(0)});
  OpBuilder::InsertionGuard guard(b);
  Block *before = b.createBlock(&loop.getBefore(), {}, index, f.loc);
  Value round = before->getArgument(0);
  team.each(f.constant(experts), [&](Value expert) { bid(expert, round); });
  team.barrier();
  choose(round);
  team.barrier();
  Value open = isEqual(get(numbers, unassigned(round)), f.constant(1));
  Value tooLong = both(open, isEqual(round, last));
  team.first([&] {
    f.ifThen(tooLong, [&] { reportError(f, MOERT_CODE_AUCTION, {round}); });
  });
  Value goesOn = both(open, inverse(tooLong));
  scf::ConditionOp::create(b, f.loc, goesOn,
                           ValueRange{f.add(round, 1), inverse(open)});
  Block *after =
      b.createBlock(&loop.getAfter(), {}, {index, i1}, {f.loc, f.loc});
  scf::YieldOp::create(b, f.loc, after->getArgument(0));
  return loop.getResult(1);
}

/// Bids of an expert on its share of tokens of largest value, and on those
/// that it holds.
void AssignEmitter::bid(Value expert, Value round) {
  f.loop(f.constant(0), size, [&](Value token) {
    Value at = cell(expert, token);
    f.storeScalar(bids, at, number(0));
    f.storeScalar(tables.words, token,
                  descendingWord(f, f.loadScalar(value, at), token));
  });
  emitSelect(f, tables.words.memref, tables.other.memref, size, share);
  auto tokenAt = [&](Value i) {
    return placeOf(f, f.loadScalar(tables.words, i));
  };
  Value next = f.loadScalar(value, cell(expert, tokenAt(share)));
  Value epsilon = f.loadScalar(floats, f.constant(0));
  Value firstBest = f.add(begin, f.mul(expert, share));
  f.loop(f.constant(0), share, [&](Value i) {
    Value token = tokenAt(i), at = cell(expert, token);
    f.storeScalar(best, f.add(firstBest, i), token);
    f.storeScalar(bids, at, add(sub(f.loadScalar(value, at), next), epsilon));
  });
  Value holds = both(f.less(f.constant(0), round),
                     f.less(round, f.constant(op.getRounds())));
  f.ifThen(holds, [&] {
    f.loop(f.constant(0), size, [&](Value token) {
      Value held = isEqual(get(winner, f.add(begin, token)), expert);
      f.ifThen(held,
               [&] { f.storeScalar(bids, cell(expert, token), epsilon); });
    });
  });
}

/// Every token of this thread goes to its highest bid and gets dearer by it.
void AssignEmitter::choose(Value round) {
  auto [first, last] = team.part(size);
  Value vectors = f.div(f.sub(last, first), f.constant(f.lanes));
  Value rest = f.add(first, f.mul(vectors, f.lanes));
  f.loop(f.constant(0), vectors, [&, first = first](Value i) {
    chooseOnVectors(f.add(first, f.mul(i, f.lanes)), f.lanes);
  });
  f.loop(rest, last, [&](Value token) { chooseOnVectors(token, 1); });
  // Nobody reads the other parity until the next barrier but one.
  team.first([&] {
    f.storeScalar(numbers, unassigned(f.add(round, 1)), f.constant(0));
  });
  f.loop(first, last, [&](Value token) { settle(token, round); });
}

void AssignEmitter::chooseOnVectors(Value token, int64_t width) {
  Type i32 = b.getI32Type();
  auto whole = [&](int64_t value) {
    return splatConstant(b, f.loc, i32, static_cast<double>(value), width);
  };
  Value none = f.constant(0);
  Value lowest = f.load(bids, cell(none, token), width, width);
  SmallVector<Value> highest =
      f.fold(f.constant(1), f.constant(experts), {lowest, whole(0)},
             [&](Value expert, ValueRange so) -> SmallVector<Value> {
               Value here = f.load(bids, cell(expert, token), width, width);
               Value higher = above(here, so[0]);
               Value id = vector::BroadcastOp::create(
                   b, f.loc, VectorType::get({width}, i32),
                   convertNumber(b, f.loc, expert, i32));
               return {select(higher, here, so[0]), select(higher, id, so[1])};
             });
  Value at = f.add(begin, token);
  Value won = above(highest[0], number(0, width));
  f.store(winner, at, select(won, highest[1], whole(-1)), width);
  Value price = add(f.load(cost, at, width, width), highest[0]);
  f.store(cost, at, price, width);
  f.loop(f.constant(0), f.constant(experts), [&](Value expert) {
    Value place = cell(expert, token);
    f.store(value, place, sub(f.load(score, place, width, width), price),
            width);
  });
}

/// What an expert holds has the largest value of all for it, at last its score.
void AssignEmitter::settle(Value token, Value round) {
  Value expert = get(winner, f.add(begin, token));
  Value held = inverse(f.less(expert, f.constant(0)));
  auto choice = scf::IfOp::create(b, f.loc, held, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  Value at = cell(expert, token);
  Value early = f.less(round, f.constant(op.getRounds()));
  f.storeScalar(value, at,
                select(early, f.loadScalar(floats, f.constant(1)),
                       f.loadScalar(score, at)));
  b.setInsertionPointToStart(choice.elseBlock());
  f.storeScalar(numbers, unassigned(round), f.constant(1));
}

void AssignEmitter::writeResult() {
  f.loop(f.constant(0), f.constant(experts), [&](Value expert) {
    Value firstBest = f.add(begin, f.mul(expert, share));
    f.loop(f.constant(0), share, [&](Value i) {
      Value row = rowOf(get(best, f.add(firstBest, i)));
      Value weight =
          f.loadScalar(weights, f.add(f.rowAddress(weights, row), expert));
      f.storeScalar(ids, f.rowAddress(ids, row), expert);
      f.storeScalar(chosen, f.rowAddress(chosen, row),
                    convertNumber(b, f.loc, weight, b.getF32Type()));
    });
  });
}

void emitAssign(const Team &team, const Step &step) {
  AssignEmitter(team, step).emit();
}

} // namespace moe::cpu
