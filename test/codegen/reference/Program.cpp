// Running .mlir text in tests, see Program.h.
#include "Program.h"

#include "dialect/GroupedDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace mlir;

namespace moe::test {

Program::Program(const std::string &text, reference::Options options)
    : options(options) {
  context.loadDialect<MoeDialect, grouped::GroupedDialect, arith::ArithDialect,
                      func::FuncDialect, linalg::LinalgDialect,
                      math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                      tensor::TensorDialect>();
  module = parseSourceString<ModuleOp>(text, &context, "program");
  EXPECT_TRUE(module) << "the program does not parse";
}

FailureOr<SmallVector<reference::Value>>
Program::interpret(ArrayRef<reference::Value> inputs) {
  if (!module)
    return failure();
  reference::Interpreter interpreter(
      *module,
      [&](StringRef name, RankedTensorType) {
        auto found = params.find(name.str());
        if (found == params.end())
          reference::fail("no param '" + name + "'");
        return found->second;
      },
      options);
  auto results =
      interpreter.run(*module->getOps<func::FuncOp>().begin(), inputs);
  loads.clear();
  slots.clear();
  for (const reference::Load &load : interpreter.loads()) {
    loads.push_back(load.counts);
    slots.push_back(load.slots);
  }
  return results;
}

std::vector<reference::Value> Program::run(ArrayRef<reference::Value> inputs) {
  auto results = interpret(inputs);
  if (failed(results)) {
    ADD_FAILURE() << "the program ends with an error";
    return std::vector<reference::Value>(16);
  }
  return {results->begin(), results->end()};
}

std::string Program::error(ArrayRef<reference::Value> inputs) {
  std::string text;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    text += diagnostic.str();
    return success();
  });
  EXPECT_TRUE(failed(interpret(inputs))) << "the program ends without error";
  return text;
}

reference::Value floats(ArrayRef<int64_t> shape, Numbers elements) {
  return reference::toValue(reference::Tensor(shape, std::move(elements)));
}

reference::Value integers(ArrayRef<int64_t> shape, Integers elements) {
  return reference::toValue(reference::Tensor(shape, std::move(elements)));
}

/// The tensor of a value of the wanted kind and shape, or null after a failure.
static const reference::Tensor *
tensorOf(const reference::Value &value, ArrayRef<int64_t> shape, bool isFloat) {
  auto *tensor = std::get_if<std::shared_ptr<const reference::Tensor>>(&value);
  if (!tensor || (*tensor)->isFloat() != isFloat ||
      ArrayRef<int64_t>((*tensor)->shape) != shape) {
    ADD_FAILURE() << "found "
                  << (tensor ? reference::shapeText((*tensor)->shape)
                             : "another kind of value")
                  << ", wanted " << reference::shapeText(shape);
    return nullptr;
  }
  return tensor->get();
}

void expectFloats(const reference::Value &value, ArrayRef<int64_t> shape,
                  const Numbers &expected, double tolerance) {
  const reference::Tensor *tensor = tensorOf(value, shape, /*isFloat=*/true);
  for (size_t i = 0; tensor && i < expected.size(); ++i) {
    double found = tensor->floats()[i];
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(found)) << "element " << i << " is " << found;
    else if (std::isinf(expected[i]))
      EXPECT_EQ(found, expected[i]) << "element " << i;
    else
      EXPECT_NEAR(found, expected[i], tolerance) << "element " << i;
  }
}

void expectIntegers(const reference::Value &value, ArrayRef<int64_t> shape,
                    const Integers &expected) {
  const reference::Tensor *tensor = tensorOf(value, shape, /*isFloat=*/false);
  if (tensor)
    EXPECT_EQ(tensor->integers(), expected);
}

} // namespace moe::test
