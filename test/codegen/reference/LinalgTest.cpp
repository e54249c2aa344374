// linalg on tensors: regions over index maps, named operations among them.
#include "Program.h"

#include <gtest/gtest.h>

using namespace moe::test;

namespace {

TEST(Linalg, RunsAGenericReduction) {
  Program program(R"(
    #in = affine_map<(d0, d1) -> (d0, d1)>
    #out = affine_map<(d0, d1) -> (d0)>
    func.func @f(%x: tensor<?x2xf32>, %init: tensor<?xf32>) -> tensor<?xf32> {
      %y = linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "reduction"]}
          ins(%x : tensor<?x2xf32>) outs(%init : tensor<?xf32>) {
      ^bb0(%a: f32, %sum: f32):
        %s = arith.addf %a, %sum : f32
        linalg.yield %s : f32
      } -> tensor<?xf32>
      return %y : tensor<?xf32>
    })");
  expectFloats(
      program.run({floats({2, 2}, {1, 2, 3, 4}), floats({2}, {10, 20})})[0],
      {2}, {13, 27});
  EXPECT_EQ(program.error({floats({2, 2}, {1, 2, 3, 4}), floats({1}, {10})}),
            "'linalg.generic' op loop 0 has sizes 2 and 1");
}

TEST(Linalg, ReadsIndicesAndSeveralResults) {
  Program program(R"(
    #id = affine_map<(d0) -> (d0)>
    #shifted = affine_map<(d0) -> (2 * d0 + 1)>
    func.func @f(%x: tensor<4xf32>, %a: tensor<2xf32>, %b: tensor<2xi32>) -> (tensor<2xf32>, tensor<2xi32>) {
      %y:2 = linalg.generic {indexing_maps = [#shifted, #id, #id], iterator_types = ["parallel"]}
          ins(%x : tensor<4xf32>) outs(%a, %b : tensor<2xf32>, tensor<2xi32>) {
      ^bb0(%v: f32, %c: f32, %d: i32):
        %i = linalg.index 0 : index
        %n = arith.index_cast %i : index to i32
        linalg.yield %v, %n : f32, i32
      } -> (tensor<2xf32>, tensor<2xi32>)
      return %y#0, %y#1 : tensor<2xf32>, tensor<2xi32>
    })");
  auto results = program.run(
      {floats({4}, {1, 2, 3, 4}), floats({2}, {0, 0}), integers({2}, {0, 0})});
  expectFloats(results[0], {2}, {2, 4});
  expectIntegers(results[1], {2}, {0, 1});
}

TEST(Linalg, KnowsNamedOperations) {
  Program program(R"(
    func.func @f(%x: tensor<2x3xf32>, %y: tensor<3x1xf32>, %v: f32)
        -> (tensor<3x2xf32>, tensor<2x1xf32>, tensor<2xf32>, tensor<2x3xf32>, tensor<2x3xf32>) {
      %e0 = tensor.empty() : tensor<3x2xf32>
      %t = linalg.transpose ins(%x : tensor<2x3xf32>) outs(%e0 : tensor<3x2xf32>) permutation = [1, 0]
      %e1 = tensor.empty() : tensor<2x1xf32>
      %f = linalg.fill ins(%v : f32) outs(%e1 : tensor<2x1xf32>) -> tensor<2x1xf32>
      %m = linalg.matmul ins(%x, %y : tensor<2x3xf32>, tensor<3x1xf32>) outs(%f : tensor<2x1xf32>) -> tensor<2x1xf32>
      %e2 = tensor.from_elements %v, %v : tensor<2xf32>
      %r = linalg.reduce { arith.maximumf } ins(%x : tensor<2x3xf32>) outs(%e2 : tensor<2xf32>) dimensions = [1]
      %e3 = tensor.empty() : tensor<2x3xf32>
      %b = linalg.broadcast ins(%r : tensor<2xf32>) outs(%e3 : tensor<2x3xf32>) dimensions = [1]
      %p = linalg.map { arith.addf } ins(%x, %b : tensor<2x3xf32>, tensor<2x3xf32>) outs(%e3 : tensor<2x3xf32>)
      return %t, %m, %r, %b, %p
          : tensor<3x2xf32>, tensor<2x1xf32>, tensor<2xf32>, tensor<2x3xf32>, tensor<2x3xf32>
    })");
  auto results =
      program.run({floats({2, 3}, {1, 2, 3, 4, 5, 6}),
                   floats({3, 1}, {1, 10, 100}), moe::reference::Value(0.5)});
  expectFloats(results[0], {3, 2}, {1, 4, 2, 5, 3, 6});
  expectFloats(results[1], {2, 1}, {321.5, 654.5});
  expectFloats(results[2], {2}, {3, 6});
  expectFloats(results[3], {2, 3}, {3, 3, 3, 6, 6, 6});
  expectFloats(results[4], {2, 3}, {4, 5, 6, 10, 11, 12});
}

} // namespace
