// See Sort.h. Four passes of a radix sort, eight bits each: O(n), no branch
// depends on single words, and a pass in which all digits are equal is left
// out.

#include "codegen/cpu/Sort.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Ranking.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::cpu {

/// A constant of the type of `like`, an integer or a vector of them.
static Value integerLike(Frame &f, Value like, const llvm::APInt &number) {
  Type type = like.getType();
  TypedAttr value;
  if (auto vector = dyn_cast<VectorType>(type))
    value = DenseElementsAttr::get(vector, number);
  else
    value = f.builder.getIntegerAttr(type, number);
  return arith::ConstantOp::create(f.builder, f.loc, value);
}

static Type withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(vector.clone(element)) : element;
}

/// `key` (i32, its bits order as unsigned) above `place`.
static Value wordOf(Frame &f, Value key, Value place) {
  OpBuilder &b = f.builder;
  Type type = withElement(key.getType(), b.getI64Type());
  Value wide = arith::ExtUIOp::create(b, f.loc, type, key);
  Value upper = arith::ShLIOp::create(
      b, f.loc, wide, integerLike(f, wide, llvm::APInt(64, 32)));
  Value lower = convertNumber(b, f.loc, place, b.getI64Type());
  return arith::OrIOp::create(b, f.loc, upper, lower);
}

Value descendingWord(Frame &f, Value number, Value place) {
  Value order = Ranking(f, getElementTypeOrSelf(number.getType())).of(number);
  Value key = arith::XOrIOp::create(
      f.builder, f.loc, order,
      integerLike(f, order, llvm::APInt::getSignedMaxValue(32)));
  return wordOf(f, key, place);
}

Value ascendingWord(Frame &f, Value number, Value place) {
  Value key = arith::XOrIOp::create(
      f.builder, f.loc, number,
      integerLike(f, number, llvm::APInt::getSignedMinValue(32)));
  return wordOf(f, key, place);
}

Value placeOf(Frame &f, Value word) {
  Value lower = arith::AndIOp::create(
      f.builder, f.loc, word,
      integerLike(f, word, llvm::APInt::getLowBitsSet(64, 32)));
  return f.toIndex(lower);
}

Value keyOf(Frame &f, Value word) {
  return arith::ShRUIOp::create(f.builder, f.loc, word,
                                integerLike(f, word, llvm::APInt(64, 32)));
}

namespace {
/// The body of the sorting function.
struct RadixSort {
  Frame &f;
  Value words, other, count;
  Value counts; // 4 x 256, of the digits of every pass

  static constexpr int64_t kDigits = 256;

  Value load(Value memory, Value at) const {
    return memref::LoadOp::create(f.builder, f.loc, memory, at);
  }
  void store(Value value, Value memory, Value at) const {
    memref::StoreOp::create(f.builder, f.loc, value, memory, at);
  }
  /// Where the digit of `word` is counted.
  Value counterOf(Value word, Value pass) const {
    OpBuilder &b = f.builder;
    Value shift =
        convertNumber(b, f.loc, f.add(f.mul(pass, 8), 32), b.getI64Type());
    Value moved = arith::ShRUIOp::create(b, f.loc, word, shift);
    Value digit = arith::AndIOp::create(
        b, f.loc, moved, integerLike(f, moved, llvm::APInt(64, kDigits - 1)));
    return f.add(f.mul(pass, kDigits), f.toIndex(digit));
  }

  void countDigits() const {
    f.loop(f.constant(0), f.constant(4 * kDigits),
           [&](Value i) { store(f.constant(0), counts, i); });
    f.loop(f.constant(0), count, [&](Value i) {
      Value word = load(words, i);
      for (int64_t pass = 0; pass < 4; ++pass) {
        Value at = counterOf(word, f.constant(pass));
        store(f.add(load(counts, at), 1), counts, at);
      }
    });
  }

  /// Moves all words to where their digit belongs.
  void move(Value from, Value to, Value pass) const {
    Value begin = f.mul(pass, kDigits);
    f.fold(begin, f.add(begin, kDigits), f.constant(0),
           [&](Value digit, ValueRange sum) -> SmallVector<Value> {
             Value size = load(counts, digit);
             store(sum[0], counts, digit);
             return {f.add(sum[0], size)};
           });
    f.loop(f.constant(0), count, [&](Value i) {
      Value word = load(from, i);
      Value at = counterOf(word, pass);
      Value place = load(counts, at);
      store(f.add(place, 1), counts, at);
      store(word, to, place);
    });
  }

  void emit() const {
    OpBuilder &b = f.builder;
    countDigits();
    Value untouched = arith::ConstantIntOp::create(b, f.loc, 0, 1);
    Value first = load(words, f.constant(0));
    SmallVector<Value> at = f.fold(
        f.constant(0), f.constant(4), {words, other, untouched},
        [&](Value pass, ValueRange so) -> SmallVector<Value> {
          Value size = load(counts, counterOf(first, pass));
          Value some = f.less(size, count);
          auto choice = scf::IfOp::create(b, f.loc, so.getTypes(), some, true);
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToStart(choice.thenBlock());
          move(so[0], so[1], pass);
          Value moved = arith::XOrIOp::create(
              b, f.loc, so[2], arith::ConstantIntOp::create(b, f.loc, 1, 1));
          scf::YieldOp::create(b, f.loc, ValueRange{so[1], so[0], moved});
          b.setInsertionPointToStart(choice.elseBlock());
          scf::YieldOp::create(b, f.loc, so);
          return choice.getResults();
        });
    f.ifThen(at[2], [&] {
      f.loop(f.constant(0), count,
             [&](Value i) { store(load(other, i), words, i); });
    });
  }
};
} // namespace

namespace {
/// The body of the selecting function: counts the upper bits of all words, and
/// sorts those that share them with the word of the rank.
struct Selection {
  Frame &f;
  Value words, other, count, rank;
  Value counts; // of upper bits

  static constexpr int64_t kBits = 11, kBins = 1 << kBits;

  Value load(Value memory, Value at) const {
    return memref::LoadOp::create(f.builder, f.loc, memory, at);
  }
  void store(Value value, Value memory, Value at) const {
    memref::StoreOp::create(f.builder, f.loc, value, memory, at);
  }
  Value binOf(Value word) const {
    return f.toIndex(arith::ShRUIOp::create(
        f.builder, f.loc, word,
        integerLike(f, word, llvm::APInt(64, 64 - kBits))));
  }
  Value one(Value condition) const { // 1 if it is true
    return arith::SelectOp::create(f.builder, f.loc, condition, f.constant(1),
                                   f.constant(0));
  }

  void countBins() const {
    f.loop(f.constant(0), f.constant(kBins),
           [&](Value i) { store(f.constant(0), counts, i); });
    f.loop(f.constant(0), count, [&](Value i) {
      Value bin = binOf(load(words, i));
      store(f.add(load(counts, bin), 1), counts, bin);
    });
  }

  /// The bin of the word of the rank, and the words below that bin.
  std::pair<Value, Value> findBin() const {
    OpBuilder &b = f.builder;
    Type index = b.getIndexType();
    auto loop = scf::WhileOp::create(b, f.loc, TypeRange{index, index},
                                     ValueRange{f.constant(0), f.constant(0)});
    OpBuilder::InsertionGuard guard(b);
    Block *before =
        b.createBlock(&loop.getBefore(), {}, {index, index}, {f.loc, f.loc});
    Value bin = before->getArgument(0), below = before->getArgument(1);
    Value inside = f.add(below, load(counts, bin));
    Value goesOn = arith::CmpIOp::create(b, f.loc, arith::CmpIPredicate::sle,
                                         inside, rank);
    scf::ConditionOp::create(b, f.loc, goesOn, ValueRange{bin, below});
    Block *after =
        b.createBlock(&loop.getAfter(), {}, {index, index}, {f.loc, f.loc});
    Value passed = after->getArgument(0);
    Value more = f.add(after->getArgument(1), load(counts, passed));
    scf::YieldOp::create(b, f.loc, ValueRange{f.add(passed, 1), more});
    return {loop.getResult(0), loop.getResult(1)};
  }

  void emit() const {
    OpBuilder &b = f.builder;
    countBins();
    auto [bin, below] = findBin();
    auto compare = [&](arith::CmpIPredicate predicate, Value x, Value y) {
      return one(arith::CmpIOp::create(b, f.loc, predicate, x, y));
    };
    // Lower words go to the end of `other`, those of the bin stay in front.
    Value last = f.add(count, -1);
    SmallVector<Value> ends = f.fold(
        f.constant(0), count, {f.constant(0), f.constant(0)},
        [&, bin = bin](Value i, ValueRange so) -> SmallVector<Value> {
          Value word = load(words, i), here = binOf(word);
          store(word, other, f.sub(last, so[0]));
          store(word, words, so[1]);
          return {f.add(so[0], compare(arith::CmpIPredicate::ult, here, bin)),
                  f.add(so[1], compare(arith::CmpIPredicate::eq, here, bin))};
        });
    emitSort(f, words, other, ends[1]);
    Value wanted = f.add(f.sub(rank, below), 1);
    f.loop(f.constant(0), wanted, [&, below = below](Value i) {
      Value at = f.sub(f.add(wanted, -1), i);
      store(load(words, at), words, f.add(below, at));
    });
    f.loop(f.constant(0), below,
           [&](Value i) { store(load(other, f.sub(last, i)), words, i); });
  }
};
} // namespace

/// A function of the module on memory of words and `numbers` of type index,
/// made when first asked for; `body` gets its arguments and memory of
/// `counters` counters.
static func::FuncOp
wordFunction(Frame &f, StringRef name, int64_t numbers, int64_t counters,
             llvm::function_ref<void(ValueRange, Value)> body) {
  OpBuilder &b = f.builder;
  ModuleOp module = moduleOf(f);
  if (auto made = module.lookupSymbol<func::FuncOp>(name))
    return made;
  SmallVector<Type> types(
      2, MemRefType::get({ShapedType::kDynamic}, b.getI64Type()));
  types.append(numbers, b.getIndexType());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  auto function =
      func::FuncOp::create(b, f.loc, name, b.getFunctionType(types, {}));
  function.setPrivate();
  b.setInsertionPointToStart(function.addEntryBlock());
  Value counts = memref::AllocaOp::create(
      b, f.loc, MemRefType::get({counters}, b.getIndexType()));
  body(function.getArguments(), counts);
  func::ReturnOp::create(b, f.loc);
  return function;
}

void emitSort(Frame &f, Value words, Value other, Value count) {
  func::FuncOp function = wordFunction(
      f, "moe_sort", 1, 4 * RadixSort::kDigits,
      [&](ValueRange arguments, Value counts) {
        f.ifThen(f.less(f.constant(1), arguments[2]), [&] {
          RadixSort{f, arguments[0], arguments[1], arguments[2], counts}.emit();
        });
      });
  func::CallOp::create(f.builder, f.loc, function,
                       ValueRange{words, other, count});
}

void emitSortByRanks(Frame &f, const Ref &words, const Ref &other, Value count,
                     IntegerType type,
                     llvm::function_ref<Value(Value)> rankAt) {
  OpBuilder &b = f.builder;
  unsigned bits = type.getWidth();
  // The bits [first, first + 32) of a rank, flipped so that large ones lead.
  auto round = [&](unsigned first) {
    f.loop(f.constant(0), count, [&](Value i) {
      Value place = placeOf(f, f.loadScalar(words, i));
      Value rank = rankAt(place);
      Value order = arith::XOrIOp::create(
          b, f.loc, rank,
          integerLike(f, rank, llvm::APInt::getSignedMaxValue(bits)));
      if (first != 0)
        order = arith::ShRUIOp::create(
            b, f.loc, order, integerLike(f, order, llvm::APInt(bits, first)));
      Value key = convertNumber(b, f.loc, order, b.getI32Type());
      f.storeScalar(words, i, wordOf(f, key, place));
    });
    emitSort(f, words.memref, other.memref, count);
  };
  round(0);
  if (bits > 32)
    round(32); // stable: the lower halves decide where the upper ones tie
}

void emitSortByNumbers(Frame &f, const Ref &words, const Ref &other,
                       Value count, Type number,
                       llvm::function_ref<Value(Value)> numberAt) {
  Ranking ranking(f, number);
  emitSortByRanks(f, words, other, count, Ranking::rankType(number),
                  [&](Value place) { return ranking.of(numberAt(place)); });
}

void emitSelect(Frame &f, Value words, Value other, Value count, Value rank) {
  func::FuncOp function = wordFunction(
      f, "moe_select", 2, Selection::kBins,
      [&](ValueRange arguments, Value counts) {
        Selection{f,     arguments[0], arguments[1], arguments[2], arguments[3],
                  counts}
            .emit();
      });
  func::CallOp::create(f.builder, f.loc, function,
                       ValueRange{words, other, count, rank});
}

} // namespace moe::cpu
