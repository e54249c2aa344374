// What holds for all operations: unknown ones, arguments, written types,
// limits.
#include "Program.h"

#include <gtest/gtest.h>

using namespace moe::test;

namespace {

TEST(Interpreter, NamesAnUnknownOperationAndItsPlace) {
  Program program(R"(
    func.func @f(%x: f32) -> f32 {
      %y = math.acos %x : f32
      return %y : f32
    })");
  EXPECT_EQ(program.error({moe::reference::Value(1.0)}),
            "unknown operation 'math.acos' at program:3:12");
}

TEST(Interpreter, NamesAnUnknownOperationInsideARegion) {
  Program program(R"(
    func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
      %z = moe.map (%a = %x) : (tensor<?xf32>) -> tensor<?xf32> {
        %b = scf.execute_region -> f32 {
          scf.yield %a : f32
        }
        moe.yield %b : f32
      }
      return %z : tensor<?xf32>
    })");
  EXPECT_EQ(program.error({floats({2}, {1, 2})}),
            "unknown operation 'scf.execute_region' at program:4:14");
}

TEST(Interpreter, RefusesRegionsOfSeveralBlocks) {
  Program program(R"(
    func.func @f() {
      return
    ^next:
      return
    })");
  EXPECT_EQ(program.error({}), "has a region of 2 blocks, expected 1");
}

TEST(Interpreter, CountsInputs) {
  Program program(R"(
    func.func @f(%x: f32, %m: !moe.scope, %p: tensor<1xf32> {moe.param = "p"}, %y: f32) -> f32 {
      return %y : f32
    })");
  program.params.try_emplace("p", moe::reference::Tensor({1}, Numbers{1}));
  EXPECT_EQ(std::get<double>(program.run(
                {moe::reference::Value(1.0), moe::reference::Value(2.0)})[0]),
            2);
  EXPECT_EQ(program.error({moe::reference::Value(1.0)}),
            "@f takes 2 inputs, found 1");
}

TEST(Interpreter, ChecksInputsAgainstTheirTypes) {
  Program program(R"(
    func.func @f(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      return %x : tensor<?x2xf32>
    })");
  EXPECT_EQ(program.error({floats({2, 3}, {1, 2, 3, 4, 5, 6})}),
            "gives a tensor of 2x3 floats for an argument of type "
            "tensor<?x2xf32>");
  EXPECT_EQ(program.error({integers({1, 2}, {1, 2})}),
            "gives a tensor of 1x2 integers for an argument of type "
            "tensor<?x2xf32>");
}

TEST(Interpreter, ReadsEveryParamOnce) {
  Program program(R"(
    func.func @f(%m: !moe.scope) -> tensor<1xf32> {
      %a = moe.param %m "missing" : tensor<1xf32>
      return %a : tensor<1xf32>
    })");
  EXPECT_EQ(program.error({}), "'moe.param' op no param 'missing'");
}

TEST(Interpreter, AddsLoadsOfRepeatedRoutings) {
  Program program(R"(
    !r = !moe.routing<2, top 2>
    func.func @f(%w: tensor<?x2xf32>) {
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %three = arith.constant 3 : index
      scf.for %i = %zero to %three step %one {
        %r = moe.route %w top 1 : tensor<?x2xf32> -> !moe.routing<2, top 1>
        %n = moe.counts %r : !moe.routing<2, top 1> -> tensor<2xi32>
      }
      %q = moe.route %w top 2 : tensor<?x2xf32> -> !r
      %l = moe.limit %q to %one order weight overflow drop : !r, index
      %k = moe.scale %l by 2.0 : !r
      %m = moe.counts %k : !r -> tensor<2xi32>
      %a = moe.dispatch %w by %l : tensor<?x2xf32>, !r
      %n = moe.counts %q : !r -> tensor<2xi32>
      return
    })");
  program.run({floats({3, 2}, {1, 0, 0, 1, 1, 0})});
  // In the order of what made the pairs: top 1, top 2, limit.
  EXPECT_EQ(program.loads, (std::vector<Integers>{{6, 3}, {3, 3}, {1, 1}}));
  EXPECT_EQ(program.slots, Integers({9, 6, 6}));
}

TEST(Interpreter, CountsEveryCallOfARouterAlone) {
  Program program(R"(
    !r = !moe.routing<2, top 1>
    func.func @f(%v: tensor<?x2xf32>, %w: tensor<?x2xf32>) {
      %a = func.call @route(%v) : (tensor<?x2xf32>) -> !r
      %b = func.call @route(%w) : (tensor<?x2xf32>) -> !r
      %n = moe.counts %b : !r -> tensor<2xi32>
      %m = moe.counts %a : !r -> tensor<2xi32>
      return
    }
    func.func private @route(%w: tensor<?x2xf32>) -> !r {
      %r = moe.route %w top 1 : tensor<?x2xf32> -> !r
      return %r : !r
    })");
  program.run({floats({1, 2}, {1, 0}), floats({2, 2}, {0, 1, 0, 1})});
  EXPECT_EQ(program.loads, (std::vector<Integers>{{1, 0}, {0, 2}}));
}

TEST(Interpreter, RefusesHugeTensors) {
  Program program(R"(
    func.func @f(%n: index) -> tensor<?x?xf32> {
      %x = tensor.empty(%n, %n) : tensor<?x?xf32>
      return %x : tensor<?x?xf32>
    })");
  EXPECT_EQ(
      program.error({moe::reference::Value(int64_t(1) << 40)}),
      "'tensor.empty' op a tensor of 1099511627776x1099511627776 elements is "
      "beyond the limit of 2^30");
}

} // namespace
