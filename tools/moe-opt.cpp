// moe-opt: mlir-opt for this project's dialects, passes and pipelines.
#include "mlir/IR/AsmState.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "tools/ParseModel.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ToolOutputFile.h"
#include <csignal>
using namespace mlir;
static constexpr char help[] = R"(moe-opt [MODEL.mlir|-] [-o FILE] [passes]
  Reads a model, verifies it, runs passes in the order given, prints it.
    moe-opt examples/mixtral.mlir --moe-to-grouped
    moe-opt model.mlir --inline --canonicalize --mlir-print-ir-after-all -o out.mlir
  Options as in mlir-opt; --help-list names all of them and every pass.
  Exit codes: 0 ok, 1 the model or a pass failed, 2 usage, 5 a file cannot be read or written.
)";

int main(int argc, char **argv) {
  std::signal(SIGPIPE, SIG_IGN); // a reader that stops is an error of writing
  if (argc == 2 && StringRef(argv[1]) == "--help")
    return llvm::outs() << help, 0;
  DialectRegistry registry;
  moe::registerDialects(registry);
  registerTransformsPasses();
  moe::registerMoePasses();
  moe::registerPipelines();
  llvm::cl::opt<std::string> input(llvm::cl::Positional, llvm::cl::init("-"));
  llvm::cl::opt<std::string> output("o", llvm::cl::init("-"));
  MlirOptMainConfig::registerCLOptions(registry);
  registerAsmPrinterCLOptions();
  registerMLIRContextCLOptions();
  registerPassManagerCLOptions();
  if (!llvm::cl::ParseCommandLineOptions(argc, argv, "", &llvm::errs()))
    return 2;
  std::string error;
  auto buffer = openInputFile(input, &error);
  auto file = buffer ? openOutputFile(output, &error) : nullptr;
  if (!file)
    return llvm::errs() << "moe-opt: " << error << "\n", 5;
  if (moe::tools::nestsTooDeep(*buffer))
    return 1;
  auto config = MlirOptMainConfig::createFromCLOptions();
  LogicalResult result = failure();
  moe::tools::onLargeStack([&] {
    result = MlirOptMain(file->os(), std::move(buffer), registry, config);
  });
  file->os().flush();
  if (std::error_code problem = file->os().error()) {
    file->os().clear_error();
    return llvm::errs() << "moe-opt: " << output << ": " << problem.message()
                        << "\n",
           5;
  }
  if (succeeded(result))
    file->keep();
  return asMainReturnCode(result);
}
