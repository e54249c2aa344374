// moe-compile: a model's text to an artefact, stopping after any phase.
#include "codegen/cpu/Compile.h"
#include "codegen/cpu/Lower.h"
#include "codegen/cpu/Remarks.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"
#include "runtime/Failure.h"
#include "runtime/File.h"
#include "tools/ParseModel.h"
#include "tools/ToolMain.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/SourceMgr.h"

#include <CLI/CLI.hpp>

using namespace mlir;
using namespace moe;

namespace {

constexpr const char *kExamples =
    "Examples:\n"
    "  moe-compile examples/mixtral.mlir -o mixtral.so\n"
    "  moe-compile examples/mixtral.mlir --emit=cpu --level=avx2 -o -\n"
    "  moe-compile examples/mixtral.mlir --weights-format=q4 --remarks -o "
    "q4.so\n"
    "Exit status: 0 ok, 1 an error in the model, 2 usage, 5 a file cannot be\n"
    "read or written, 6 memory.\n";

struct Options {
  std::string model;
  std::string output = "-";
  std::string target = "cpu";
  std::string emit = "so";
  std::vector<std::string> levels;
  std::string weightsFormat;
  bool emulated = false;
  bool checkCausal = false;
  bool remarks = false;
};

/// What `moe-to-grouped` takes away: routings, names of the checkpoint, calls,
/// and products and losses outside of groups.
bool isLevelOne(Operation *op) {
  auto isAbstract = [](Type type) { return isa<RoutingType, ScopeType>(type); };
  if (auto function = dyn_cast<func::FuncOp>(op))
    return llvm::any_of(function.getArgumentTypes(), isAbstract);
  return llvm::any_of(op->getOperandTypes(), isAbstract) ||
         llvm::any_of(op->getResultTypes(), isAbstract) ||
         (isa<BalanceLossOp, ZLossOp, CvSquaredOp, NoisyLoadOp, func::CallOp>(
              op) &&
          !op->getParentOfType<grouped::LoopOp>()) ||
         (isa<LinearOp>(op) && !isUnpacked(cast<LinearOp>(op)) &&
          !op->getParentOfType<grouped::LoopOp>());
}

/// A file written by --emit=grouped, or by hand, needs no lowering.
bool isGrouped(ModuleOp module) {
  return !module
              .walk([](Operation *op) {
                return isLevelOne(op) ? WalkResult::interrupt()
                                      : WalkResult::advance();
              })
              .wasInterrupted();
}

std::string textOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  return text;
}

/// Whether a product has weights that --weights-format packs.
bool hasQuantizedProduct(ModuleOp module) {
  return module
      .walk([](grouped::MatmulOp op) {
        return op.getWeights().getType().getElementType().isInteger()
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Levels of --level, or all useful ones. An emulated one has the tiles and
/// layouts of its level but the name and the instructions of the lowest.
SmallVector<cpu::Level> chooseLevels(const Options &options, ModuleOp module) {
  SmallVector<cpu::Level> levels;
  for (const std::string &name : options.levels) {
    levels.push_back(*cpu::findLevel(name));
    if (options.emulated) {
      levels.back() = cpu::emulate(levels.back());
      levels.back().name = cpu::levels().front().name;
    }
  }
  return levels.empty() ? cpu::usefulLevels(module) : levels;
}

void write(const Options &options, std::string_view bytes) {
  moert::AtomicFile file(options.output);
  file.write(bytes);
  file.commit();
}

/// The bytes that --emit asks for; nothing after a diagnostic.
std::optional<std::string> compile(const Options &options, ModuleOp module) {
  if (options.checkCausal) {
    PassManager manager(module.getContext());
    manager.addPass(createCheckCausal());
    if (failed(manager.run(module)))
      return std::nullopt;
  }
  if (options.emit == "mlir")
    return textOf(module);
  PassManager manager(module.getContext());
  if (isGrouped(module)) {
    if (!options.weightsFormat.empty())
      moert::fail(
          MOERT_USAGE,
          "--weights-format={}: {} is level 2 already, expected a model "
          "of level 1",
          options.weightsFormat, moert::quote(options.model));
    manager.addNestedPass<func::FuncOp>(createFoldTransposes());
    manager.addPass(createVerifyGrouped());
  } else {
    buildMoeToGrouped(manager, options.weightsFormat);
  }
  if (failed(manager.run(module)))
    return std::nullopt;
  if (!options.weightsFormat.empty() && !hasQuantizedProduct(module))
    module.emitWarning() << "--weights-format=" << options.weightsFormat
                         << " changes nothing: no expert multiplies by weights "
                            "of the checkpoint";
  if (options.emit == "grouped")
    return textOf(module);
  SmallVector<cpu::Level> levels = chooseLevels(options, module);
  if (options.remarks)
    cpu::remarkOnProducts(module, levels);
  if (options.emit == "so") {
    auto artefact = cpu::compileArtefact(module, levels);
    if (failed(artefact))
      return std::nullopt;
    return std::string(artefact->begin(), artefact->end());
  }
  if (options.emit == "cpu") {
    OwningOpRef<ModuleOp> level = cpu::emitLevel(module, levels.front());
    if (!level)
      return std::nullopt;
    return textOf(*level);
  }
  cpu::CodeKind kind = options.emit == "llvm"  ? cpu::CodeKind::LLVMIR
                       : options.emit == "asm" ? cpu::CodeKind::Assembly
                                               : cpu::CodeKind::Object;
  SmallVector<char, 0> code;
  if (failed(cpu::compileLevel(module, levels.front(), kind, code)))
    return std::nullopt;
  return std::string(code.begin(), code.end());
}

/// What one option alone does not show.
void checkOptions(const Options &options) {
  if (options.output.empty())
    moert::fail(MOERT_USAGE, "--output: '' names no file");
  llvm::StringSet<> seen;
  for (const std::string &name : options.levels)
    if (!seen.insert(name).second)
      moert::fail(MOERT_USAGE, "--level: {} twice, wanted every level once",
                  name);
  if (options.emulated && options.levels.size() != 1)
    moert::fail(MOERT_USAGE, "--emulated: {} levels, wanted one",
                options.levels.size());
  if (options.remarks && (options.emit == "mlir" || options.emit == "grouped"))
    moert::fail(MOERT_USAGE,
                "--remarks: wanted --emit=cpu, llvm, asm, obj or so, not {}",
                options.emit);
}

int run(const Options &options) {
  checkOptions(options);
  DialectRegistry registry;
  registerDialects(registry);
  cpu::registerCompilation(registry);
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  context.loadAllAvailableDialects();
  int exitCode = MOERT_RUN_ERROR;
  OwningOpRef<ModuleOp> module =
      tools::parseModel(options.model, context, exitCode, "moe-compile");
  if (!module)
    return exitCode;
  // Diagnostics of the passes show the model's lines, as the parser's do.
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context);
  std::optional<std::string> bytes;
  tools::onLargeStack([&] { bytes = compile(options, *module); });
  if (!bytes)
    return MOERT_RUN_ERROR;
  write(options, *bytes);
  return MOERT_OK;
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  CLI::App app{"moe-compile: compiles mixtures of experts ahead of time"};
  app.footer(kExamples);
  app.set_version_flag("--version",
                       fmt::format("moe-compile {}", moert_version()));
  std::vector<std::string> names;
  for (const cpu::Level &level : cpu::levels())
    names.push_back(level.name.str());
  app.add_option("MODEL", options.model, "model (.mlir), - for standard input")
      ->required();
  app.add_option("-o,--output", options.output,
                 "file to write, - for standard output")
      ->required();
  app.add_option("--target", options.target, "machine")
      ->check(CLI::IsMember({"cpu"}))
      ->capture_default_str();
  app.add_option("--emit", options.emit,
                 "phase to stop after: level 1, 2 or 3, code, artefact")
      ->check(
          CLI::IsMember({"mlir", "grouped", "cpu", "llvm", "asm", "obj", "so"}))
      ->capture_default_str();
  app.add_option("--level", options.levels,
                 "instruction set levels, as avx2,avx512 (default: all, amx "
                 "only for bf16 and quantised products, avxvnni only for "
                 "quantised ones); the first one for "
                 "--emit=cpu|llvm|asm|obj")
      ->delimiter(',')
      ->allow_extra_args(false) // what follows is the model
      ->check(CLI::IsMember(names));
  app.add_option(
         "--weights-format", options.weightsFormat,
         "experts' weights: q8 as 8-bit entries, one scale an output; q8g with "
         "one scale for 32 inputs; q4 as 4-bit ones, one scale for 32 inputs; "
         "q4z also with a zero point")
      ->check(CLI::IsMember({"q8", "q8g", "q4", "q4z"}));
  app.add_flag("--emulated", options.emulated,
               "make one --level run on every machine, slowly (for tests)")
      ->needs("--level");
  app.add_flag("--check-causal", options.checkCausal,
               "refuse a model whose tokens may depend on later ones");
  app.add_flag("--remarks", options.remarks,
               "say how every product is computed: instructions, tiles, bytes");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &help) {
    app.exit(help);
    return MOERT_OK;
  } catch (const CLI::ParseError &error) {
    fmt::print(stderr, "moe-compile: {} (moe-compile --help explains)\n",
               error.what());
    return MOERT_USAGE;
  }
  return tools::runTool("moe-compile", [&] { return run(options); });
}
