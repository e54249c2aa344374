// tensor, scf and func against small examples.
#include "Program.h"

#include <gtest/gtest.h>

using namespace moe::test;

namespace {

moe::reference::Value number(int64_t n) { return n; }

TEST(Func, CallsFunctions) {
  Program program(R"(
    func.func @f(%x: f32) -> (f32, f32) {
      %a, %b = func.call @g(%x) : (f32) -> (f32, f32)
      %c, %d = func.call @g(%b) : (f32) -> (f32, f32)
      return %a, %c : f32, f32
    }
    func.func private @g(%x: f32) -> (f32, f32) {
      %y = arith.addf %x, %x : f32
      return %x, %y : f32, f32
    })");
  auto results = program.run({moe::reference::Value(3.0)});
  EXPECT_EQ(std::get<double>(results[0]), 3);
  EXPECT_EQ(std::get<double>(results[1]), 6);
}

TEST(Func, StopsAtEndlessRecursionAndMissingBodies) {
  Program recursive(R"(
    func.func @f() {
      func.call @f() : () -> ()
      return
    })");
  EXPECT_EQ(recursive.error({}),
            "'func.call' op calls are nested more than 256 "
            "deep at @f");
  Program external(R"(
    func.func @f() {
      func.call @g() : () -> ()
      return
    }
    func.func private @g())");
  EXPECT_EQ(external.error({}), "'func.call' op calls @g, which has no body");
}

const std::string loop = R"(
    func.func @f(%begin: index, %end: index, %step: index) -> (index, index) {
      %zero = arith.constant 0 : index
      %sum, %n = scf.for %i = %begin to %end step %step iter_args(%s = %zero, %m = %zero) -> (index, index) {
        %one = arith.constant 1 : index
        %t = arith.addi %s, %i : index
        %o = arith.addi %m, %one : index
        scf.yield %t, %o : index, index
      }
      return %sum, %n : index, index
    })";

// The test gives on twice what it gets, and it runs once more than the body.
TEST(Scf, LoopsWhile) {
  Program program(R"(
    func.func @f(%x: index, %limit: index) -> (index, index) {
      %one = arith.constant 1 : index
      %zero = arith.constant 0 : index
      %r, %n = scf.while (%a = %x, %m = %zero) : (index, index) -> (index, index) {
        %double = arith.addi %a, %a : index
        %small = arith.cmpi slt, %double, %limit : index
        scf.condition(%small) %double, %m : index, index
      } do {
      ^bb0(%a: index, %m: index):
        %b = arith.addi %a, %one : index
        %o = arith.addi %m, %one : index
        scf.yield %b, %o : index, index
      }
      return %r, %n : index, index
    })");
  auto results = program.run({number(1), number(20)}); // 2 6 14 30
  EXPECT_EQ(std::get<int64_t>(results[0]), 30);
  EXPECT_EQ(std::get<int64_t>(results[1]), 3);
  results = program.run({number(10), number(20)});
  EXPECT_EQ(std::get<int64_t>(results[0]), 20);
  EXPECT_EQ(std::get<int64_t>(results[1]), 0);
}

TEST(Scf, LoopsFromBeginToEnd) {
  Program program(loop);
  auto results = program.run({number(1), number(8), number(3)}); // 1, 4, 7
  EXPECT_EQ(std::get<int64_t>(results[0]), 12);
  EXPECT_EQ(std::get<int64_t>(results[1]), 3);
  results = program.run({number(5), number(5), number(1)});
  EXPECT_EQ(std::get<int64_t>(results[1]), 0);
  results = program.run({number(INT64_MAX - 2), number(INT64_MAX), number(9)});
  EXPECT_EQ(std::get<int64_t>(results[1]), 1);
  EXPECT_EQ(program.error({number(0), number(5), number(0)}),
            "'scf.for' op has step 0, expected at least 1");
}

TEST(Scf, Branches) {
  Program program(R"(
    func.func @f(%c: i1) -> f32 {
      %one = arith.constant 1.0 : f32
      %two = arith.constant 2.0 : f32
      scf.if %c {
      }
      %r = scf.if %c -> f32 {
        scf.yield %one : f32
      } else {
        scf.yield %two : f32
      }
      return %r : f32
    })");
  EXPECT_EQ(std::get<double>(program.run({number(1)})[0]), 1);
  EXPECT_EQ(std::get<double>(program.run({number(0)})[0]), 2);
}

TEST(Tensor, MakesTensors) {
  Program program(R"(
    func.func @f(%n: index, %v: f32) -> (tensor<?x2xf32>, tensor<?xf32>, tensor<2xf32>, tensor<?x2xindex>) {
      %a = tensor.empty(%n) : tensor<?x2xf32>
      %b = tensor.splat %v[%n] : tensor<?xf32>
      %c = tensor.from_elements %v, %v : tensor<2xf32>
      %d = tensor.generate %n {
      ^bb0(%i: index, %j: index):
        %s = arith.addi %i, %j : index
        tensor.yield %s : index
      } : tensor<?x2xindex>
      return %a, %b, %c, %d : tensor<?x2xf32>, tensor<?xf32>, tensor<2xf32>, tensor<?x2xindex>
    })");
  auto results = program.run({number(3), moe::reference::Value(4.0)});
  expectFloats(results[0], {3, 2}, {});
  expectFloats(results[1], {3}, {4, 4, 4});
  expectFloats(results[2], {2}, {4, 4});
  expectIntegers(results[3], {3, 2}, {0, 1, 1, 2, 2, 3});
  EXPECT_EQ(
      program.error({number(-1), moe::reference::Value(4.0)}),
      "'tensor.empty' op a tensor of -1x2 elements is beyond the limit of "
      "2^30");
}

TEST(Tensor, ReadsAndWritesElements) {
  Program program(R"(
    func.func @f(%x: tensor<?x2xf32>, %i: index) -> (f32, tensor<?x2xf32>, index, tensor<2x2xf32>) {
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %e = tensor.extract %x[%i, %zero] : tensor<?x2xf32>
      %y = tensor.insert %e into %x[%zero, %one] : tensor<?x2xf32>
      %d = tensor.dim %x, %zero : tensor<?x2xf32>
      %c = tensor.cast %x : tensor<?x2xf32> to tensor<2x2xf32>
      return %e, %y, %d, %c : f32, tensor<?x2xf32>, index, tensor<2x2xf32>
    })");
  auto x = floats({2, 2}, {1, 2, 3, 4});
  auto results = program.run({x, number(1)});
  EXPECT_EQ(std::get<double>(results[0]), 3);
  expectFloats(results[1], {2, 2}, {1, 3, 3, 4});
  EXPECT_EQ(std::get<int64_t>(results[2]), 2);
  expectFloats(results[3], {2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(program.error({x, number(2)}),
            "'tensor.extract' op index 2 is out of range, the dimension has 2 "
            "elements");
  EXPECT_EQ(
      program.error({floats({1, 2}, {1, 2}), number(0)}),
      "'tensor.cast' op gives a tensor of 1x2 floats for a result of type "
      "tensor<2x2xf32>");
}

TEST(Tensor, SlicesWithStrides) {
  Program program(R"(
    func.func @f(%x: tensor<2x4xf32>, %i: index, %y: tensor<2x2xf32>)
        -> (tensor<2x2xf32>, tensor<4xf32>, tensor<2x4xf32>) {
      %odd = tensor.extract_slice %x[0, 1] [2, 2] [1, 2] : tensor<2x4xf32> to tensor<2x2xf32>
      %row = tensor.extract_slice %x[%i, 0] [1, 4] [1, 1] : tensor<2x4xf32> to tensor<4xf32>
      %put = tensor.insert_slice %y into %x[0, 0] [2, 2] [1, 2] : tensor<2x2xf32> into tensor<2x4xf32>
      return %odd, %row, %put : tensor<2x2xf32>, tensor<4xf32>, tensor<2x4xf32>
    })");
  auto x = floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  auto y = floats({2, 2}, {10, 20, 30, 40});
  auto results = program.run({x, number(1), y});
  expectFloats(results[0], {2, 2}, {2, 4, 6, 8});
  expectFloats(results[1], {4}, {5, 6, 7, 8});
  expectFloats(results[2], {2, 4}, {10, 2, 20, 4, 30, 6, 40, 8});
  EXPECT_EQ(program.error({x, number(2), y}),
            "'tensor.extract_slice' op index 2 is out of range, the dimension "
            "has 2 elements");
}

TEST(Tensor, ChangesShapes) {
  Program program(R"(
    func.func @f(%x: tensor<?x4xf32>, %n: index) -> (tensor<?x2x2xf32>, tensor<?xf32>, tensor<?x4xf32>) {
      %a = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 2, 2] : tensor<?x4xf32> into tensor<?x2x2xf32>
      %b = tensor.collapse_shape %x [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
      %c = tensor.concat dim(0) %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
      return %a, %b, %c : tensor<?x2x2xf32>, tensor<?xf32>, tensor<?x4xf32>
    })");
  auto x = floats({1, 4}, {1, 2, 3, 4});
  auto results = program.run({x, number(1)});
  expectFloats(results[0], {1, 2, 2}, {1, 2, 3, 4});
  expectFloats(results[1], {4}, {1, 2, 3, 4});
  expectFloats(results[2], {2, 4}, {1, 2, 3, 4, 1, 2, 3, 4});
  EXPECT_EQ(program.error({x, number(2)}),
            "'tensor.expand_shape' op cannot view 1x4 as 2x2x2");
}

TEST(Tensor, JoinsAlongAnyDimension) {
  Program program(R"(
    func.func @f(%x: tensor<?x1xf32>, %y: tensor<?x2xf32>) -> tensor<?x3xf32> {
      %c = tensor.concat dim(1) %x, %y : (tensor<?x1xf32>, tensor<?x2xf32>) -> tensor<?x3xf32>
      return %c : tensor<?x3xf32>
    })");
  expectFloats(
      program.run({floats({2, 1}, {1, 4}), floats({2, 2}, {2, 3, 5, 6})})[0],
      {2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(program.error({floats({2, 1}, {1, 4}), floats({1, 2}, {2, 3})}),
            "'tensor.concat' op joins tensors of 2x1 and 1x2");
}

} // namespace
