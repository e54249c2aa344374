// Routers as phases: behind the product that makes the logits one pass over the
// rows does everything, and between its steps nothing but a row is kept.

#include "KernelHarness.h"

#include "codegen/cpu/Schedule.h"
#include "passes/Passes.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace moe;

namespace {

constexpr const char *kTypes = R"(
!x = tensor<?x32xf32>
!w = tensor<16x32xf32>
!s = tensor<?x16xf32>
!i = tensor<?x4xi32>
!v = tensor<?x4xf32>
!top = !moe.routing<16, top 4>
!any = !moe.routing<16, any>
)";

struct Router {
  const char *name;
  const char *body; // from logits %l to %i and %v, or to a matrix %m
  bool isMatrix = false;
};

void PrintTo(const Router &router, std::ostream *stream) {
  *stream << router.name;
}

constexpr Router kRouters[] = {
    {"softmax", R"(
  %p = moe.softmax %l : !s
  %r = moe.route %p top 4 : !s -> !top
  %n = moe.normalize %r by lp 2.0 : !top
  %i = moe.indices %n : !top -> !i
  %v = moe.weights %n : !top -> !v
)"},
    {"groups", R"(
  %p = moe.sigmoid %l : !s
  %b = moe.broadcast %bias like %p : tensor<16xf32>, !s
  %key = arith.addf %p, %b : !s
  %r = moe.route %p by %key groups 4 keep 2 score sum 2 top 4 : !s -> !top
  %n = moe.normalize %r by sum plus 1.0e-20 : !top
  %t = moe.scale %n by 2.5 : !top
  %i = moe.indices %t : !top -> !i
  %v = moe.weights %t : !top -> !v
)"},
    {"threshold", R"(
  %p = moe.softmax %l : !s
  %r = moe.route %p at_least 0.1 : !s -> !any
  %n = moe.normalize %r by sum at_least 1.0e-6 : !any
  %m = moe.to_matrix %n : !any -> !s
)",
     true},
    {"join", R"(
  %p = moe.softmax %l : !s
  %a = moe.route %p top 3 : !s -> !moe.routing<16, top 3>
  %q = moe.sigmoid %l : !s
  %b = moe.route %q top 1 : !s -> !moe.routing<16, top 1>
  %r = moe.join %a, %b : !moe.routing<16, top 3>, !moe.routing<16, top 1> -> !top
  %n = moe.normalize %r by softmax : !top
  %i = moe.indices %n : !top -> !i
  %v = moe.weights %n : !top -> !v
)"},
};

class ScheduleTest : public testing::TestWithParam<Router> {};

TEST_P(ScheduleTest, RouterIsOnePassOverRows) {
  const Router &router = GetParam();
  std::string text = kTypes;
  text += router.isMatrix ? "func.func @router(%x: !x, %m0: !moe.scope) -> !s {"
                          : "func.func @router(%x: !x, %m0: !moe.scope) -> "
                            "(!i, !v) {";
  text += R"(
  %w = moe.param %m0 "gate" : !w
  %bias = moe.param %m0 "bias" : tensor<16xf32>
  %l = moe.linear %x, %w : (!x, !w) -> !s
)";
  text += router.body;
  text += router.isMatrix ? "  return %m : !s\n}\n"
                          : "  return %i, %v : !i, !v\n}\n";
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(text, &test::context());
  ASSERT_TRUE(module);
  PassManager manager(&test::context());
  buildMoeToGrouped(manager);
  ASSERT_TRUE(succeeded(manager.run(*module)));
  auto entry = module->lookupSymbol<func::FuncOp>("router");

  FailureOr<cpu::Extents> extents = cpu::Extents::analyse(entry);
  ASSERT_TRUE(succeeded(extents));
  FailureOr<cpu::Schedule> schedule =
      cpu::Schedule::create(entry, *extents, cpu::levels().front());
  ASSERT_TRUE(succeeded(schedule));

  std::vector<cpu::Phase::Kind> kinds;
  for (const cpu::Phase &phase : schedule->phases())
    kinds.push_back(phase.kind);
  EXPECT_EQ(kinds,
            (std::vector{cpu::Phase::Kind::Matmul, cpu::Phase::Kind::Rows}));
  std::vector<int64_t> kept; // columns of what is in the workspace
  for (const cpu::Storage &storage : schedule->storages())
    if (storage.kind == cpu::Storage::Kind::Workspace)
      kept.push_back(storage.rowStride);
  EXPECT_EQ(kept, std::vector<int64_t>{16}); // the logits, or scores
}

INSTANTIATE_TEST_SUITE_P(Routers, ScheduleTest, testing::ValuesIn(kRouters),
                         testing::PrintToStringParamName());

} // namespace
