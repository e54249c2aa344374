// arith and math, on scalars and element by element, against known values.
#include "Program.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace moe::test;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// A function of tensors of `in` to a tensor of `out` whose body is `op`, which
/// may name its arguments %a, %b, %c.
std::string function(const std::string &op, int arguments,
                     const std::string &in, const std::string &out) {
  const char *names[] = {"%a", "%b", "%c"};
  std::string list;
  for (int i = 0; i < arguments; ++i)
    list += std::string(i ? ", " : "") + names[i] + ": tensor<?x" + in + ">";
  return "func.func @f(" + list + ") -> tensor<?x" + out + "> { %r = " + op +
         " return %r : tensor<?x" + out + "> }";
}

struct FloatCase {
  const char *op;
  Numbers a, b, expected;
};

TEST(Arith, ComputesWithFloats) {
  const FloatCase cases[] = {
      {"addf", {1, 2}, {3, 4}, {4, 6}},
      {"subf", {1, 2}, {3, 4}, {-2, -2}},
      {"mulf", {1, 2}, {3, 4}, {3, 8}},
      {"divf", {1, 2}, {4, 0}, {0.25, inf}},
      {"remf", {5.5, -5.5}, {2, 2}, {1.5, -1.5}},
      {"maximumf", {1, nan, 2}, {3, 4, 1}, {3, nan, 2}},
      {"minimumf", {1, 4, 2}, {3, nan, 1}, {1, nan, 1}},
      {"maxnumf", {1, nan}, {3, 4}, {3, 4}},
      {"minnumf", {1, nan}, {3, 4}, {1, 4}},
  };
  for (const FloatCase &test : cases) {
    SCOPED_TRACE(test.op);
    int64_t n = test.a.size();
    Program program(
        function("arith." + std::string(test.op) + " %a, %b : tensor<?xf32>", 2,
                 "f32", "f32"));
    expectFloats(program.run({floats({n}, test.a), floats({n}, test.b)})[0],
                 {n}, test.expected);
  }
  Program negate(function("arith.negf %a : tensor<?xf32>", 1, "f32", "f32"));
  expectFloats(negate.run({floats({2}, {1, -2})})[0], {2}, {-1, 2});
}

TEST(Arith, ComparesFloats) {
  const struct {
    const char *predicate;
    Integers expected; // for (1, 2), (2, 1), (1, 1), (1, nan)
  } cases[] = {
      {"oeq", {0, 0, 1, 0}},  {"ogt", {0, 1, 0, 0}}, {"oge", {0, 1, 1, 0}},
      {"olt", {1, 0, 0, 0}},  {"ole", {1, 0, 1, 0}}, {"one", {1, 1, 0, 0}},
      {"ord", {1, 1, 1, 0}},  {"ueq", {0, 0, 1, 1}}, {"ugt", {0, 1, 0, 1}},
      {"uge", {0, 1, 1, 1}},  {"ult", {1, 0, 0, 1}}, {"ule", {1, 0, 1, 1}},
      {"une", {1, 1, 0, 1}},  {"uno", {0, 0, 0, 1}}, {"true", {1, 1, 1, 1}},
      {"false", {0, 0, 0, 0}}};
  for (auto &test : cases) {
    SCOPED_TRACE(test.predicate);
    Program program(function("arith.cmpf " + std::string(test.predicate) +
                                 ", %a, %b : tensor<?xf32>",
                             2, "f32", "i1"));
    expectIntegers(program.run({floats({4}, {1, 2, 1, 1}),
                                floats({4}, {2, 1, 1, nan})})[0],
                   {4}, test.expected);
  }
}

struct IntegerCase {
  const char *op;
  Integers a, b, expected;
};

TEST(Arith, ComputesWithIntegersOfTheirWidth) {
  const IntegerCase cases[] = {
      {"addi", {1, 127}, {2, 1}, {3, -128}}, // wraps
      {"subi", {1, -128}, {2, 1}, {-1, 127}},
      {"muli", {3, 64}, {4, 4}, {12, 0}},
      {"divsi", {-7, 7, -128}, {2, -2, -1}, {-3, -3, -128}},
      {"remsi", {-7, 7, -128}, {2, -2, -1}, {-1, 1, 0}},
      {"floordivsi", {-7, 7}, {2, 2}, {-4, 3}},
      {"ceildivsi", {-7, 7}, {2, 2}, {-3, 4}},
      {"divui", {-1, 7}, {2, 2}, {127, 3}}, // 255 / 2
      {"remui", {-1, 7}, {2, 2}, {1, 1}},
      {"ceildivui", {-1, 6}, {2, 2}, {-128, 3}}, // 128
      {"andi", {6, -1}, {3, 5}, {2, 5}},
      {"ori", {6, 0}, {3, 5}, {7, 5}},
      {"xori", {6, -1}, {3, 5}, {5, -6}},
      {"shli", {3, 64}, {2, 1}, {12, -128}},
      {"shrsi", {-8, 8}, {1, 1}, {-4, 4}},
      {"shrui", {-8, 8}, {1, 1}, {124, 4}}, // 248 / 2
      {"maxsi", {-1, 2}, {1, 1}, {1, 2}},
      {"minsi", {-1, 2}, {1, 1}, {-1, 1}},
      {"maxui", {-1, 2}, {1, 1}, {-1, 2}},
      {"minui", {-1, 2}, {1, 1}, {1, 1}},
  };
  for (const IntegerCase &test : cases) {
    SCOPED_TRACE(test.op);
    int64_t n = test.a.size();
    Program program(
        function("arith." + std::string(test.op) + " %a, %b : tensor<?xi8>", 2,
                 "i8", "i8"));
    expectIntegers(
        program.run({integers({n}, test.a), integers({n}, test.b)})[0], {n},
        test.expected);
  }
}

TEST(Arith, RefusesToDivideByZero) {
  Program program(
      function("arith.divsi %a, %b : tensor<?xi32>", 2, "i32", "i32"));
  EXPECT_EQ(program.error({integers({1}, {7}), integers({1}, {0})}),
            "'arith.divsi' op divides 7 by 0");
}

TEST(Arith, ComparesIntegers) {
  const struct {
    const char *predicate;
    Integers expected; // for (-1, 1), (1, -1), (1, 1)
  } cases[] = {{"eq", {0, 0, 1}},  {"ne", {1, 1, 0}},  {"slt", {1, 0, 0}},
               {"sle", {1, 0, 1}}, {"sgt", {0, 1, 0}}, {"sge", {0, 1, 1}},
               {"ult", {0, 1, 0}}, {"ule", {0, 1, 1}}, {"ugt", {1, 0, 0}},
               {"uge", {1, 0, 1}}};
  for (auto &test : cases) {
    SCOPED_TRACE(test.predicate);
    Program program(function("arith.cmpi " + std::string(test.predicate) +
                                 ", %a, %b : tensor<?xi32>",
                             2, "i32", "i1"));
    expectIntegers(
        program.run({integers({3}, {-1, 1, 1}), integers({3}, {1, -1, 1})})[0],
        {3}, test.expected);
  }
}

TEST(Arith, Selects) {
  Program program(R"(
    func.func @f(%c: tensor<?xi1>, %d: i1, %a: tensor<?xf32>, %b: tensor<?xf32>)
        -> (tensor<?xf32>, tensor<?xf32>) {
      %x = arith.select %c, %a, %b : tensor<?xi1>, tensor<?xf32>
      %y = arith.select %d, %a, %b : tensor<?xf32>
      return %x, %y : tensor<?xf32>, tensor<?xf32>
    })");
  auto results =
      program.run({integers({2}, {1, 0}), moe::reference::Value(int64_t(0)),
                   floats({2}, {1, 2}), floats({2}, {3, 4})});
  expectFloats(results[0], {2}, {1, 4});
  expectFloats(results[1], {2}, {3, 4});
}

TEST(Arith, ConvertsIntegers) {
  const struct {
    const char *op, *in, *out;
    Integers a, expected;
  } cases[] = {{"extsi", "i8", "i32", {-3, 5}, {-3, 5}},
               {"extsi", "i1", "i32", {1, 0}, {-1, 0}},
               {"extui", "i8", "i32", {-3, 5}, {253, 5}},
               {"extui", "i1", "i32", {1, 0}, {1, 0}},
               {"trunci", "i32", "i8", {300, -1}, {44, -1}},
               {"trunci", "i32", "i1", {3, 2}, {1, 0}},
               {"index_cast", "i32", "index", {-1, 7}, {-1, 7}},
               {"index_cast", "index", "i8", {300, 7}, {44, 7}},
               {"index_castui", "i8", "index", {-1, 7}, {255, 7}}};
  for (auto &test : cases) {
    SCOPED_TRACE(std::string(test.op) + " " + test.in + " " + test.out);
    Program program(function("arith." + std::string(test.op) +
                                 " %a : tensor<?x" + test.in +
                                 "> to tensor<?x" + test.out + ">",
                             1, test.in, test.out));
    expectIntegers(program.run({integers({2}, test.a)})[0], {2}, test.expected);
  }
}

TEST(Arith, ConvertsBetweenFloatsAndIntegers) {
  expectFloats(
      Program(function("arith.sitofp %a : tensor<?xi8> to tensor<?xf32>", 1,
                       "i8", "f32"))
          .run({integers({2}, {-1, 7})})[0],
      {2}, {-1, 7});
  expectFloats(
      Program(function("arith.uitofp %a : tensor<?xi8> to tensor<?xf32>", 1,
                       "i8", "f32"))
          .run({integers({2}, {-1, 7})})[0],
      {2}, {255, 7});
  Program toSigned(function("arith.fptosi %a : tensor<?xf32> to tensor<?xi8>",
                            1, "f32", "i8"));
  expectIntegers(
      toSigned.run({floats({7}, {-1.9, 1.9, -128.5, 128, -1e30, inf, nan})})[0],
      {7}, {-1, 1, -128, 127, -128, 127, 0});
  expectIntegers(
      Program(function("arith.fptoui %a : tensor<?xf32> to tensor<?xi8>", 1,
                       "f32", "i8"))
          .run({floats({5}, {255, 256, -0.5, -3, nan})})[0],
      {5}, {-1, -1, 0, 0, 0});
  expectIntegers(
      Program(function("arith.fptosi %a : tensor<?xf64> to tensor<?xi64>", 1,
                       "f64", "i64"))
          .run({floats({3}, {0x1p63, -0x1p63, -0x1p64})})[0],
      {3}, {INT64_MAX, INT64_MIN, INT64_MIN});
}

TEST(Arith, HoldsConstantsOfAllKinds) {
  Program program(R"(
    func.func @f() -> (f32, i8, i1, index, tensor<2x2xbf16>, tensor<2xi32>, tensor<2xi1>) {
      %a = arith.constant 1.5 : f32
      %b = arith.constant -3 : i8
      %c = arith.constant true
      %d = arith.constant 9 : index
      %e = arith.constant dense<[[1.0, 2.0], [3.0, -0.5]]> : tensor<2x2xbf16>
      %g = arith.constant dense<7> : tensor<2xi32>
      %h = arith.constant dense<[true, false]> : tensor<2xi1>
      return %a, %b, %c, %d, %e, %g, %h
          : f32, i8, i1, index, tensor<2x2xbf16>, tensor<2xi32>, tensor<2xi1>
    })");
  auto results = program.run({});
  EXPECT_EQ(std::get<double>(results[0]), 1.5);
  EXPECT_EQ(std::get<int64_t>(results[1]), -3);
  EXPECT_EQ(std::get<int64_t>(results[2]), 1);
  EXPECT_EQ(std::get<int64_t>(results[3]), 9);
  expectFloats(results[4], {2, 2}, {1, 2, 3, -0.5});
  expectIntegers(results[5], {2}, {7, 7});
  expectIntegers(results[6], {2}, {1, 0});
}

TEST(Arith, NamesShapesThatDiffer) {
  Program program(
      function("arith.addf %a, %b : tensor<?xf32>", 2, "f32", "f32"));
  EXPECT_EQ(program.error({floats({2}, {1, 2}), floats({3}, {1, 2, 3})}),
            "'arith.addf' op operands have shapes 2 and 3");
}

TEST(Arith, RoundsOnlyWhereAskedTo) {
  const std::string text = R"(
    func.func @f(%a: tensor<?xf32>) -> tensor<?xf32> {
      %b = arith.truncf %a : tensor<?xf32> to tensor<?xbf16>
      %c = arith.extf %b : tensor<?xbf16> to tensor<?xf32>
      return %c : tensor<?xf32>
    })";
  // bf16 keeps 8 bits: 1 + 1/256 is a tie and goes to the even 1, 1 + 3/256 to
  // the even 1 + 1/64.
  auto a = floats({2}, {1 + 1. / 256, 1 + 3. / 256});
  expectFloats(Program(text).run({a})[0], {2}, {1 + 1. / 256, 1 + 3. / 256}, 0);
  expectFloats(Program(text, {.round = true}).run({a})[0], {2},
               {1, 1 + 1. / 64}, 0);
}

TEST(Arith, RoundsResultsToTheirType) {
  const std::string text =
      function("arith.divf %a, %b : tensor<?xf32>", 2, "f32", "f32");
  auto one = floats({1}, {1}), three = floats({1}, {3});
  expectFloats(Program(text).run({one, three})[0], {1}, {1. / 3}, 0);
  expectFloats(Program(text, {.round = true}).run({one, three})[0], {1},
               {1.f / 3.f}, 0);
}

TEST(Math, FollowsItsNames) {
  const struct {
    const char *op;
    double a, expected;
  } cases[] = {{"exp", 1, 2.718281828459045},
               {"exp2", 3, 8},
               {"expm1", 1, 1.718281828459045},
               {"log", 2.718281828459045, 1},
               {"log2", 8, 3},
               {"log10", 1000, 3},
               {"log1p", 1.718281828459045, 1},
               {"sqrt", 9, 3},
               {"rsqrt", 4, 0.5},
               {"cbrt", 27, 3},
               {"tanh", 0.5493061443340548, 0.5}, // log(3)/2
               {"sin", 0.5235987755982989, 0.5},  // pi/6
               {"cos", 1.0471975511965979, 0.5},  // pi/3
               {"erf", 0.4769362762044699, 0.5},
               {"erfc", 0.4769362762044699, 0.5},
               {"absf", -2, 2},
               {"ceil", -1.5, -1},
               {"floor", -1.5, -2},
               {"round", -2.5, -3},
               {"roundeven", 2.5, 2},
               {"trunc", -1.5, -1}};
  for (auto &test : cases) {
    SCOPED_TRACE(test.op);
    Program program(
        function("math." + std::string(test.op) + " %a : tensor<?xf32>", 1,
                 "f32", "f32"));
    expectFloats(program.run({floats({1}, {test.a})})[0], {1}, {test.expected},
                 1e-14);
  }
}

TEST(Math, TakesSeveralOperands) {
  auto two = floats({1}, {2}), three = floats({1}, {3}),
       ten = floats({1}, {10});
  expectFloats(
      Program(function("math.powf %a, %b : tensor<?xf32>", 2, "f32", "f32"))
          .run({two, three})[0],
      {1}, {8});
  expectFloats(
      Program(function("math.atan2 %a, %b : tensor<?xf32>", 2, "f32", "f32"))
          .run({two, two})[0],
      {1}, {0.7853981633974483});
  expectFloats(
      Program(function("math.copysign %a, %b : tensor<?xf32>", 2, "f32", "f32"))
          .run({two, floats({1}, {-1})})[0],
      {1}, {-2});
  expectFloats(
      Program(function("math.fma %a, %b, %c : tensor<?xf32>", 3, "f32", "f32"))
          .run({two, three, ten})[0],
      {1}, {16});
  Program power(R"(
    func.func @f(%a: f32, %n: i32) -> f32 {
      %r = math.fpowi %a, %n : f32, i32
      return %r : f32
    })");
  EXPECT_EQ(
      std::get<double>(power.run(
          {moe::reference::Value(2.0), moe::reference::Value(int64_t(-2))})[0]),
      0.25);
  expectIntegers(Program(function("math.absi %a : tensor<?xi8>", 1, "i8", "i8"))
                     .run({integers({2}, {-5, -128})})[0],
                 {2}, {5, -128});
}

} // namespace
