// Row operations of the moe dialect against numbers worked out by hand.
#include "Program.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace moe::test;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// A function of one tensor<?x?xf32>-like argument with `op` as its body.
std::string unary(const std::string &op, const std::string &type) {
  return "func.func @f(%x: " + type + ") -> " + type + " { %y = " + op + " : " +
         type + " return %y : " + type + " }";
}

TEST(Linear, MultipliesByTheTransposedWeightAndAddsTheBias) {
  Program program(R"(
    func.func @f(%x: tensor<?x2xf32>, %w: tensor<3x2xf32>, %b: tensor<3xf32>)
        -> tensor<?x3xf32> {
      %y = moe.linear %x, %w, %b
          : (tensor<?x2xf32>, tensor<3x2xf32>, tensor<3xf32>) -> tensor<?x3xf32>
      return %y : tensor<?x3xf32>
    })");
  // [1 2] times rows [1 0], [0 1], [3 4] is [1 2 11]; [5 6]: [5 6 39].
  auto results = program.run({floats({2, 2}, {1, 2, 5, 6}),
                              floats({3, 2}, {1, 0, 0, 1, 3, 4}),
                              floats({3}, {10, 20, 30})});
  expectFloats(results[0], {2, 3}, {11, 22, 41, 15, 26, 69});
}

TEST(Linear, TakesWeightsStoredByInput) {
  Program program(R"(
    func.func @f(%x: tensor<?x2xbf16>, %w: tensor<2x3xf32>) -> tensor<?x3xf32> {
      %y = moe.linear %x, %w in_out
          : (tensor<?x2xbf16>, tensor<2x3xf32>) -> tensor<?x3xf32>
      return %y : tensor<?x3xf32>
    })");
  // 1*[1 2 3] + 2*[4 5 6]
  auto results =
      program.run({floats({1, 2}, {1, 2}), floats({2, 3}, {1, 2, 3, 4, 5, 6})});
  expectFloats(results[0], {1, 3}, {9, 12, 15});
}

TEST(Linear, KeepsLeadingDimensionsAndNoRows) {
  Program program(R"(
    func.func @f(%x: tensor<?x2x1xf32>, %w: tensor<1x1xf32>) -> tensor<?x2x1xf32> {
      %y = moe.linear %x, %w
          : (tensor<?x2x1xf32>, tensor<1x1xf32>) -> tensor<?x2x1xf32>
      return %y : tensor<?x2x1xf32>
    })");
  expectFloats(program.run({floats({1, 2, 1}, {3, 4}), floats({1, 1}, {2})})[0],
               {1, 2, 1}, {6, 8});
  expectFloats(program.run({floats({0, 2, 1}, {}), floats({1, 1}, {2})})[0],
               {0, 2, 1}, {});
}

TEST(Softmax, SumsToOneOverTheLastDimension) {
  Program program(unary("moe.softmax %x", "tensor<?x3xf32>"));
  // Logarithms of 1, 2, 5 give 1/8, 2/8, 5/8; a large shift changes nothing.
  auto results =
      program.run({floats({2, 3}, {0, std::log(2), std::log(5), 1000,
                                   1000 + std::log(2), 1000 + std::log(5)})});
  expectFloats(results[0], {2, 3}, {0.125, 0.25, 0.625, 0.125, 0.25, 0.625},
               1e-12);
}

TEST(Softmax, RunsOverAnyDimension) {
  Program program(unary("moe.softmax %x over 0", "tensor<?x2xf32>"));
  // Columns (0, log 3) and (0, 0).
  expectFloats(program.run({floats({2, 2}, {0, 0, std::log(3), 0})})[0], {2, 2},
               {0.25, 0.5, 0.75, 0.5});
}

TEST(Softmax, InfinityAndNanStayInTheirRow) {
  Program program(unary("moe.softmax %x", "tensor<?x2xf32>"));
  expectFloats(program.run({floats(
                   {5, 2}, {-inf, 0, nan, 0, -inf, -inf, inf, 0, 1, 1})})[0],
               {5, 2}, {0, 1, nan, nan, nan, nan, nan, nan, 0.5, 0.5});
}

TEST(RmsNorm, DividesByTheRootMeanSquare) {
  Program program(R"(
    func.func @f(%x: tensor<?x2xf32>, %w: tensor<2xf32>) -> tensor<?x2xf32> {
      %y = moe.rms_norm %x, %w eps 0.5 : tensor<?x2xf32>, tensor<2xf32>
      return %y : tensor<?x2xf32>
    })");
  // mean(1, 16) = 8.5, + 0.5 = 9, root 3.
  auto results = program.run({floats({1, 2}, {1, 4}), floats({2}, {3, 6})});
  expectFloats(results[0], {1, 2}, {1, 8});
}

TEST(Activations, FollowTheirFormulas) {
  const std::string type = "tensor<?xf32>";
  double log3 = std::log(3);
  // e^-log3 = 1/3, so sigmoid = 1 / (4/3).
  expectFloats(Program(unary("moe.sigmoid %x", type))
                   .run({floats({4}, {log3, 0, -inf, inf})})[0],
               {4}, {0.75, 0.5, 0, 1});
  expectFloats(Program(unary("moe.silu %x", type))
                   .run({floats({3}, {log3, 0, -1000})})[0],
               {3}, {0.75 * log3, 0, 0});
  expectFloats(
      Program(unary("moe.relu2 %x", type)).run({floats({3}, {3, -3, nan})})[0],
      {3}, {9, 0, nan});
  // log(1 + 3) at log 3; x itself where e^x would overflow.
  expectFloats(Program(unary("moe.softplus %x", type))
                   .run({floats({3}, {log3, 1000, -1000})})[0],
               {3}, {std::log(4), 1000, 0});
}

TEST(Activations, GeluHasTwoForms) {
  // Phi(1) = 0.841344746068543, Phi(-2) = 0.022750131948179 (tables).
  expectFloats(Program(unary("moe.gelu %x exact", "tensor<?xf32>"))
                   .run({floats({3}, {1, -2, 0})})[0],
               {3}, {0.841344746068543, -0.045500263896358, 0});
  // tanh(0.7978845608028654 * 1.044715) = tanh(0.8335619693) = 0.6823839
  expectFloats(Program(unary("moe.gelu %x tanh", "tensor<?xf32>"))
                   .run({floats({2}, {1, 0})})[0],
               {2}, {0.841191990608, 0}, 1e-9);
}

TEST(Activations, WorkOnScalars) {
  Program program("func.func @f(%x: f32) -> f32 { %y = moe.relu2 %x : f32 "
                  "return %y : f32 }");
  EXPECT_EQ(std::get<double>(program.run({moe::reference::Value(-1.0)})[0]), 0);
  EXPECT_EQ(std::get<double>(program.run({moe::reference::Value(3.0)})[0]), 9);
}

TEST(Map, RunsItsRegionForEveryElement) {
  Program program(R"(
    func.func @f(%x: tensor<?x2xf32>, %n: tensor<?x2xi32>, %k: f32)
        -> (tensor<?x2xf32>, tensor<?x2xi1>) {
      %y, %c = moe.map (%a = %x, %b = %n) : (tensor<?x2xf32>, tensor<?x2xi32>)
          -> (tensor<?x2xf32>, tensor<?x2xi1>) {
        %f = arith.sitofp %b : i32 to f32
        %s = arith.addf %a, %f : f32
        %p = arith.mulf %s, %k : f32
        %q = arith.cmpf ogt, %p, %f : f32
        moe.yield %p, %q : f32, i1
      }
      return %y, %c : tensor<?x2xf32>, tensor<?x2xi1>
    })");
  // (1.5 + 2) * 2 = 7 > 2; (-1 - 3) * 2 = -8 < -3
  auto results =
      program.run({floats({1, 2}, {1.5, -1}), integers({1, 2}, {2, -3}),
                   moe::reference::Value(2.0)});
  expectFloats(results[0], {1, 2}, {7, -8});
  expectIntegers(results[1], {1, 2}, {1, 0});
}

TEST(Map, NamesShapesThatDiffer) {
  Program program(R"(
    func.func @f(%x: tensor<?xf32>, %y: tensor<?xf32>) -> tensor<?xf32> {
      %z = moe.map (%a = %x, %b = %y) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> {
        %s = arith.addf %a, %b : f32
        moe.yield %s : f32
      }
      return %z : tensor<?xf32>
    })");
  EXPECT_EQ(program.error({floats({3}, {1, 2, 3}), floats({2}, {1, 2})}),
            "'moe.map' op inputs have shapes 3 and 2");
}

TEST(Broadcast, AlignsTrailingDimensions) {
  Program row(R"(
    func.func @f(%v: tensor<2xf32>, %x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %y = moe.broadcast %v like %x : tensor<2xf32>, tensor<?x2xf32>
      return %y : tensor<?x2xf32>
    })");
  expectFloats(row.run({floats({2}, {1, 2}), floats({2, 2}, {0, 0, 0, 0})})[0],
               {2, 2}, {1, 2, 1, 2});
  Program column(R"(
    func.func @f(%v: tensor<?x1xi32>, %x: tensor<?x2xf32>) -> tensor<?x2xi32> {
      %y = moe.broadcast %v like %x : tensor<?x1xi32>, tensor<?x2xf32>
      return %y : tensor<?x2xi32>
    })");
  expectIntegers(
      column.run({integers({2, 1}, {3, 4}), floats({2, 2}, {0, 0, 0, 0})})[0],
      {2, 2}, {3, 3, 4, 4});
  Program scalar(R"(
    func.func @f(%v: f32, %x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %y = moe.broadcast %v like %x : f32, tensor<?x2xf32>
      return %y : tensor<?x2xf32>
    })");
  expectFloats(
      scalar.run({moe::reference::Value(7.0), floats({1, 2}, {0, 0})})[0],
      {1, 2}, {7, 7});
}

TEST(Broadcast, NeverStretchesADynamicDimension) {
  Program program(R"(
    func.func @f(%v: tensor<?x2xf32>, %x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %y = moe.broadcast %v like %x : tensor<?x2xf32>, tensor<?x2xf32>
      return %y : tensor<?x2xf32>
    })");
  EXPECT_EQ(
      program.error({floats({1, 2}, {1, 2}), floats({2, 2}, {0, 0, 0, 0})}),
      "'moe.broadcast' op cannot stretch 1x2 to 2x2");
}

std::string reduction(const std::string &kind, const std::string &element,
                      int over) {
  std::string in = "tensor<?x3x" + element + ">";
  std::string out =
      over == 0 ? "tensor<3x" + element + ">" : "tensor<?x" + element + ">";
  return "func.func @f(%x: " + in + ") -> " + out + " { %y = moe.reduce " +
         kind + " %x over " + std::to_string(over) + " : " + in + " -> " + out +
         " return %y : " + out + " }";
}

TEST(Reduce, FoldsOneDimension) {
  auto x = floats({2, 3}, {1, 2, 3, -4, 5, 6});
  expectFloats(Program(reduction("sum", "f32", 1)).run({x})[0], {2}, {6, 7});
  expectFloats(Program(reduction("sum", "f32", 0)).run({x})[0], {3},
               {-3, 7, 9});
  expectFloats(Program(reduction("prod", "f32", 1)).run({x})[0], {2},
               {6, -120});
  expectFloats(Program(reduction("max", "f32", 0)).run({x})[0], {3}, {1, 5, 6});
  expectFloats(Program(reduction("min", "f32", 1)).run({x})[0], {2}, {1, -4});
}

TEST(Reduce, PropagatesNanAndWrapsIntegers) {
  auto x = floats({1, 3}, {1, nan, 3});
  expectFloats(Program(reduction("max", "f32", 1)).run({x})[0], {1}, {nan});
  expectFloats(Program(reduction("min", "f32", 1)).run({x})[0], {1}, {nan});
  // 100 + 100 + 100 = 300 = 256 + 44
  expectIntegers(Program(reduction("sum", "i8", 1))
                     .run({integers({1, 3}, {100, 100, 100})})[0],
                 {1}, {44});
}

TEST(Reduce, GivesTheNeutralElementOverNothing) {
  auto none = floats({0, 3}, {});
  expectFloats(Program(reduction("sum", "f32", 0)).run({none})[0], {3},
               {0, 0, 0});
  expectFloats(Program(reduction("prod", "f32", 0)).run({none})[0], {3},
               {1, 1, 1});
  expectFloats(Program(reduction("max", "f32", 0)).run({none})[0], {3},
               {-inf, -inf, -inf});
  expectIntegers(
      Program(reduction("max", "i32", 0)).run({integers({0, 3}, {})})[0], {3},
      {INT32_MIN, INT32_MIN, INT32_MIN});
}

TEST(Split, KeepsTheOrderOfElements) {
  Program program(R"(
    func.func @f(%x: tensor<?x4xf32>) -> tensor<?x2x2xf32> {
      %y = moe.split %x : tensor<?x4xf32> into tensor<?x2x2xf32>
      return %y : tensor<?x2x2xf32>
    })");
  expectFloats(program.run({floats({1, 4}, {1, 2, 3, 4})})[0], {1, 2, 2},
               {1, 2, 3, 4});
}

TEST(Gather, TakesRowsByNumber) {
  Program program(R"(
    func.func @f(%t: tensor<3x2xf32>, %i: tensor<?xi32>) -> tensor<?x2xf32> {
      %y = moe.gather %t at %i : tensor<3x2xf32>, tensor<?xi32> -> tensor<?x2xf32>
      return %y : tensor<?x2xf32>
    })");
  auto table = floats({3, 2}, {1, 2, 3, 4, 5, 6});
  expectFloats(program.run({table, integers({3}, {2, 0, 2})})[0], {3, 2},
               {5, 6, 1, 2, 5, 6});
  expectFloats(program.run({table, integers({0}, {})})[0], {0, 2}, {});
  EXPECT_EQ(program.error({table, integers({1}, {3})}),
            "'moe.gather' op index 3 is out of range, the table has 3 rows");
  EXPECT_EQ(program.error({table, integers({1}, {-1})}),
            "'moe.gather' op index -1 is out of range, the table has 3 rows");
}

} // namespace
