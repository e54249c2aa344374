// See Compile.h.

#include "codegen/cpu/Compile.h"

#include "codegen/cpu/Description.h"
#include "codegen/cpu/Entry.h"
#include "codegen/cpu/Link.h"
#include "codegen/cpu/Lower.h"
#include "codegen/cpu/Matmul.h"
#include "codegen/cpu/Schedule.h"

#include "dialect/GroupedDialect.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/thread.h"

using namespace mlir;

namespace moe::cpu {

static constexpr unsigned kStackBytes = 64u << 20;

void registerCompilation(DialectRegistry &registry) {
  registerCpuLowering(registry);
  registry.insert<MoeDialect, grouped::GroupedDialect, linalg::LinalgDialect,
                  tensor::TensorDialect>();
}

static LogicalResult emitOne(OpBuilder &builder, func::FuncOp source,
                             const Level &level, const std::string &symbol,
                             const std::string &workspace) {
  FailureOr<Extents> extents = Extents::analyse(source);
  if (failed(extents))
    return failure();
  FailureOr<Schedule> schedule = Schedule::create(source, *extents, level);
  if (failed(schedule))
    return failure();
  std::string suffix = ("_" + level.name).str();
  emitFunction(builder, source, *schedule, symbol + suffix,
               /*ownMemory=*/workspace.empty());
  if (!workspace.empty())
    emitWorkspaceFunction(builder, source, *schedule, workspace + suffix);
  return success();
}

OwningOpRef<ModuleOp> emitLevel(ModuleOp grouped, const Level &level) {
  FailureOr<SmallVector<EntryFunctions>> entries = findEntries(grouped);
  if (failed(entries))
    return nullptr;
  OwningOpRef<ModuleOp> module = ModuleOp::create(grouped.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  for (const EntryFunctions &functions : *entries) {
    if (failed(emitOne(builder, functions.entry, level,
                       entrySymbol(functions.entry),
                       workspaceSymbol(functions.entry))))
      return nullptr;
    for (auto [number, step] : llvm::enumerate(functions.steps))
      if (failed(emitOne(builder, step, level,
                         stepSymbol(functions.entry, number), "")))
        return nullptr;
  }
  if (failed(verify(*module)))
    return nullptr;
  return module;
}

/// Whether a product takes other code than on the level below.
static bool isUsefulFor(const Level &level, grouped::MatmulOp op) {
  PackedLayout layout = packedLayout(op.getWeights().getType(), level);
  if (level.matrixRows != 0)
    return hasMatrixForm(layout, op.getInput().getType());
  return level.bf16Dot || !level.int8Dot || layout.isQuantized();
}

SmallVector<Level> usefulLevels(ModuleOp grouped) {
  SmallVector<Level> useful;
  for (const Level &level : levels()) {
    bool special = level.matrixRows != 0 || (level.int8Dot && !level.bf16Dot);
    WalkResult walk = grouped.walk([&](grouped::MatmulOp op) {
      return isUsefulFor(level, op) ? WalkResult::interrupt()
                                    : WalkResult::advance();
    });
    if (!special || walk.wasInterrupted())
      useful.push_back(level);
  }
  return useful;
}

static LogicalResult lowerAndEmit(ModuleOp module, const Level &level,
                                  CodeKind kind,
                                  llvm::SmallVectorImpl<char> &output) {
  if (failed(lowerToLLVM(module, level)))
    return failure();
  return emitCode(module, level, kind, output);
}

LogicalResult compileLevel(ModuleOp grouped, const Level &level, CodeKind kind,
                           llvm::SmallVectorImpl<char> &output) {
  OwningOpRef<ModuleOp> module = emitLevel(grouped, level);
  if (!module)
    return failure();
  return lowerAndEmit(*module, level, kind, output);
}

/// Nearly all time goes into lowering and code generation, so levels run side
/// by side. Errors of the model come before that, in order and once.
static LogicalResult
compileObjects(ModuleOp grouped, ArrayRef<Level> levels,
               MutableArrayRef<SmallVector<char, 0>> objects) {
  std::vector<OwningOpRef<ModuleOp>> modules;
  for (const Level &level : levels) {
    modules.push_back(emitLevel(grouped, level));
    if (!modules.back())
      return failure();
  }
  std::vector<char> done(levels.size(), false); // not vector<bool>: threads
  std::vector<llvm::thread> threads;
  for (size_t i = 0; i < levels.size(); ++i)
    threads.emplace_back(std::optional<unsigned>(kStackBytes), [&, i] {
      done[i] = succeeded(
          lowerAndEmit(*modules[i], levels[i], CodeKind::Object, objects[i]));
    });
  for (llvm::thread &thread : threads)
    thread.join();
  return success(llvm::all_of(done, [](char ok) { return ok; }));
}

FailureOr<SmallVector<char, 0>> compileArtefact(ModuleOp grouped,
                                                ArrayRef<Level> levels) {
  FailureOr<SmallVector<EntryFunctions>> entries = findEntries(grouped);
  if (failed(entries))
    return failure();
  FailureOr<std::string> json = describe(*entries, levels);
  if (failed(json))
    return failure();
  SmallVector<SmallVector<char, 0>> objects(levels.size() + 1);
  if (failed(compileObjects(
          grouped, levels, MutableArrayRef(objects).take_front(levels.size()))))
    return failure();
  OwningOpRef<ModuleOp> description =
      descriptionModule(grouped.getContext(), *json);
  if (failed(emitCode(*description, levels.front(), CodeKind::Object,
                      objects.back())))
    return failure();
  SmallVector<StringRef> inputs;
  for (const SmallVector<char, 0> &object : objects)
    inputs.push_back(StringRef(object.data(), object.size()));
  llvm::Expected<SmallVector<char, 0>> linked = linkSharedObject(inputs);
  if (!linked)
    return grouped.emitError() << llvm::toString(linked.takeError());
  return std::move(*linked);
}

} // namespace moe::cpu
