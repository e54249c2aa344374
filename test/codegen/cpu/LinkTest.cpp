// What the linked object exports and needs, and what is refused.

#include "KernelHarness.h"

#include "codegen/cpu/Link.h"
#include "codegen/cpu/Lower.h"
#include "codegen/cpu/Object.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Object/ELFObjectFile.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace moe;
using namespace moe::test;

namespace {

/// Compiles text to an object of `level`, or returns the diagnostics.
struct Compiled {
  llvm::SmallVector<char, 0> object;
  std::string error;
};

Compiled compileText(const cpu::Level &level, StringRef text) {
  Compiled result;
  ScopedDiagnosticHandler handler(&context(), [&](Diagnostic &diagnostic) {
    result.error += diagnostic.str();
    return success();
  });
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context());
  if (module && succeeded(cpu::lowerToLLVM(*module, level)))
    (void)cpu::emitCode(*module, level, cpu::CodeKind::Object, result.object);
  return result;
}

StringRef bytes(const Compiled &compiled) {
  return StringRef(compiled.object.data(), compiled.object.size());
}

constexpr const char *kParallel = R"(
func.func private @twice(%x: memref<4xi64>) {
  %two = arith.constant 2 : i32
  omp.parallel num_threads(%two : i32) {
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : i64
    %old = memref.atomic_rmw addi %one, %x[%zero] : (i64, memref<4xi64>) -> i64
    omp.barrier
    %next = arith.constant 1 : index
    %sum = memref.atomic_rmw addi %one, %x[%next] : (i64, memref<4xi64>) -> i64
    omp.terminator
  }
  return
}
func.func @moe_twice(%x: memref<4xi64>) {
  func.call @twice(%x) : (memref<4xi64>) -> ()
  return
}
func.func @other(%x: memref<4xi64>) {
  return
}
)";

TEST(LinkTest, ExportsOnlyMoeAndNeedsOnlyLibomp) {
  Compiled compiled = compileText(cpu::levels()[0], kParallel);
  ASSERT_EQ(compiled.error, "");
  auto linked = cpu::linkSharedObject({bytes(compiled)});
  ASSERT_TRUE(static_cast<bool>(linked)) << llvm::toString(linked.takeError());
  StringRef content(linked->data(), linked->size());
  auto file = llvm::object::ObjectFile::createELFObjectFile(
      llvm::MemoryBufferRef(content, "linked"));
  ASSERT_TRUE(static_cast<bool>(file));
  std::vector<std::string> exported, undefined;
  auto &elf = cast<llvm::object::ELF64LEObjectFile>(**file);
  for (const llvm::object::ELFSymbolRef &symbol :
       elf.getDynamicSymbolIterators()) {
    uint32_t flags = cantFail(symbol.getFlags());
    bool missing = flags & llvm::object::SymbolRef::SF_Undefined;
    (missing ? undefined : exported)
        .push_back(cantFail(symbol.getName()).str());
  }
  EXPECT_EQ(exported, std::vector<std::string>{"moe_twice"});
  EXPECT_FALSE(undefined.empty());
  for (StringRef name : undefined)
    EXPECT_TRUE(name.starts_with("__kmpc_")) << name.str();
  EXPECT_TRUE(content.contains("libomp.so.5"));
  EXPECT_FALSE(content.contains("/lib"));
  EXPECT_FALSE(content.contains("moe-link"));
}

TEST(LinkTest, RunsTwoThreads) {
  auto kernels =
      Kernels::compile(cpu::levels()[0], [](OpBuilder &, ModuleOp module) {
        OwningOpRef<ModuleOp> parsed =
            parseSourceString<ModuleOp>(kParallel, &context());
        module.getBody()->getOperations().splice(
            module.getBody()->end(), parsed->getBody()->getOperations());
      });
  int64_t counters[4] = {};
  kernels->call("moe_twice", Arguments().memref(counters, {4}));
  EXPECT_EQ(counters[0], 2);
  EXPECT_EQ(counters[1], 2);
}

TEST(LinkTest, RefusesUnknownSymbolAndLinksAgain) {
  Compiled compiled = compileText(cpu::levels()[0], R"(
func.func private @cosine(%x: f64) -> f64
func.func @moe_f(%x: f64) -> f64 {
  %y = func.call @cosine(%x) : (f64) -> f64
  return %y : f64
}
)");
  ASSERT_EQ(compiled.error, "");
  auto refused = cpu::linkSharedObject({bytes(compiled)});
  ASSERT_FALSE(static_cast<bool>(refused));
  EXPECT_EQ(
      llvm::toString(refused.takeError()),
      "generated code needs the symbol 'cosine', but may need only libc's "
      "mem* and libomp's");

  // The same symbol twice is LLD's own error; afterwards it links as before.
  Compiled twice = compileText(cpu::levels()[0], kParallel);
  auto doubled = cpu::linkSharedObject({bytes(twice), bytes(twice)});
  ASSERT_FALSE(static_cast<bool>(doubled));
  EXPECT_NE(llvm::toString(doubled.takeError()).find("duplicate symbol"),
            std::string::npos);
  auto again = cpu::linkSharedObject({bytes(twice)});
  EXPECT_TRUE(static_cast<bool>(again)) << llvm::toString(again.takeError());
}

TEST(LinkTest, RefusesInstructionsOfAHigherLevel) {
  Compiled compiled = compileText(*cpu::findLevel("avx512"), R"(
func.func @moe_f(%s: memref<16xf32>, %a: memref<32xbf16>) {
  %c0 = arith.constant 0 : index
  %0 = vector.load %s[%c0] : memref<16xf32>, vector<16xf32>
  %1 = vector.load %a[%c0] : memref<32xbf16>, vector<32xbf16>
  %2 = x86vector.avx512.dot %0, %1, %1 : vector<32xbf16> -> vector<16xf32>
  vector.store %2, %s[%c0] : memref<16xf32>, vector<16xf32>
  return
}
)");
  EXPECT_EQ(compiled.error, "level avx512 lacks the feature avx512bf16 that "
                            "llvm.x86.avx512bf16.dpbf16ps.512 needs");
  EXPECT_TRUE(compiled.object.empty());
}

} // namespace
