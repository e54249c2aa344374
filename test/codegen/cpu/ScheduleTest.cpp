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

/// The schedule of a function, and the module and extents that it points to.
struct Scheduled {
  Scheduled(const std::string &text, const char *function)
      : module(parseSourceString<ModuleOp>(text, &test::context())) {
    PassManager manager(&test::context());
    buildMoeToGrouped(manager);
    if (!module || failed(manager.run(*module)))
      return;
    auto entry = module->lookupSymbol<func::FuncOp>(function);
    extents = cpu::Extents::analyse(entry);
    if (succeeded(extents))
      schedule = cpu::Schedule::create(entry, *extents, cpu::levels().front());
  }
  OwningOpRef<ModuleOp> module;
  FailureOr<cpu::Extents> extents = failure();
  FailureOr<cpu::Schedule> schedule = failure();
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
  Scheduled compiled(text, "router");
  ASSERT_TRUE(succeeded(compiled.schedule));
  const cpu::Schedule &schedule = *compiled.schedule;

  std::vector<cpu::Phase::Kind> kinds;
  for (const cpu::Phase &phase : schedule.phases())
    kinds.push_back(phase.kind);
  EXPECT_EQ(kinds,
            (std::vector{cpu::Phase::Kind::Matmul, cpu::Phase::Kind::Rows}));
  std::vector<int64_t> kept; // columns of what is in the workspace
  for (const cpu::Storage &storage : schedule.storages())
    if (storage.kind == cpu::Storage::Kind::Workspace)
      kept.push_back(storage.rowStride);
  EXPECT_EQ(kept, std::vector<int64_t>{16}); // the logits, or scores
}

/// Bytes of workspace for each row of a chain of layers with a bias on the
/// choice, which no token's row depends on.
int64_t bytesPerRow(int layers) {
  std::string text = std::string(kTypes) +
                     "func.func @chain(%x0: !x, %m: !moe.scope) -> !x {\n";
  for (int i = 0; i < layers; ++i) {
    std::string layer = R"(
  %sN = moe.scope %m "layers.N."
  %wN = moe.param %sN "gate" : !w
  %biasN = moe.param %sN "bias" : tensor<16xf32>
  %upN = moe.param %sN "{expert}.up" : tensor<16x32x32xf32>
  %lN = moe.linear %xN, %wN : (!x, !w) -> !s
  %pN = moe.sigmoid %lN : !s
  %bN = moe.broadcast %biasN like %pN : tensor<16xf32>, !s
  %keyN = arith.addf %pN, %bN : !s
  %rN = moe.route %pN by %keyN top 4 : !s -> !top
  %inN = moe.dispatch %xN by %rN : !x, !top
  %outN = moe.expert by %rN rows(%t = %inN) each(%u = %upN) : !top, (!x, tensor<16x32x32xf32>) -> !x {
    %h = moe.linear %t, %u : (!x, tensor<32x32xf32>) -> !x
    moe.yield %h : !x
  }
  %yN = moe.combine %outN by %rN weighted : !x, !top
  %xM = arith.addf %xN, %yN : !x
)";
    for (size_t at; (at = layer.find('N')) != std::string::npos;)
      layer.replace(at, 1, std::to_string(i));
    for (size_t at; (at = layer.find('M')) != std::string::npos;)
      layer.replace(at, 1, std::to_string(i + 1));
    text += layer;
  }
  text += "  return %x" + std::to_string(layers) + " : !x\n}\n";
  Scheduled chain(text, "chain");
  if (failed(chain.schedule))
    return -1;
  int64_t bytes = 0;
  for (const cpu::Place &place : chain.schedule->places())
    if (place.rows.kind == cpu::Extent::Kind::Input)
      bytes += place.rowBytes;
  return bytes;
}

// Of two layers the second writes the result and not the workspace.
TEST(ChainTest, NeedsNoMoreThanThreeLayers) {
  int64_t three = bytesPerRow(3);
  EXPECT_GT(three, 0);
  EXPECT_EQ(bytesPerRow(4), three);
  EXPECT_EQ(bytesPerRow(6), three);
}

INSTANTIATE_TEST_SUITE_P(Routers, ScheduleTest, testing::ValuesIn(kRouters),
                         testing::PrintToStringParamName());

} // namespace
