// One object per level: each has its own target machine, so nothing of a higher
// level can leak into the code of a lower one.

#include "codegen/cpu/Object.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"

#include <mutex>

using namespace mlir;

namespace moe::cpu {

static void initialiseX86() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
}

static std::unique_ptr<llvm::TargetMachine> createMachine(ModuleOp module,
                                                          const Level &level) {
  initialiseX86();
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string message;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target) {
    module.emitError() << "no code generator for x86-64: " << message;
    return nullptr;
  }
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, level.cpu, level.features, llvm::TargetOptions(),
      llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// LLVM aborts on an intrinsic whose feature is missing, so look before.
static LogicalResult checkFeatures(ModuleOp module, const Level &level,
                                   const llvm::Module &code,
                                   const llvm::TargetMachine &machine) {
  static constexpr std::pair<StringRef, StringRef> kNeeds[] = {
      {"llvm.x86.avx512bf16.", "+avx512bf16"},
      {"llvm.x86.avx512.vpdpbusd.256", "+avxvnni"},
      {"llvm.x86.avx512.", "+avx512f"},
      {"llvm.x86.avx2.", "+avx2"},
      {"llvm.x86.avx.", "+avx"},
      {"llvm.x86.fma.", "+fma"},
      {"llvm.x86.t", "+amx-tile"},
  };
  for (const llvm::Function &function : code) {
    if (!function.getName().starts_with("llvm.x86."))
      continue;
    const auto *need = llvm::find_if(kNeeds, [&](const auto &entry) {
      return function.getName().starts_with(entry.first);
    });
    if (need == std::end(kNeeds))
      return module.emitError() << "intrinsic " << function.getName()
                                << " belongs to no known x86 feature";
    if (!machine.getMCSubtargetInfo()->checkFeatures(need->second.str()))
      return module.emitError()
             << "level " << level.name << (level.emulated ? " (emulated)" : "")
             << " lacks the feature " << need->second.drop_front() << " that "
             << function.getName() << " needs";
  }
  return success();
}

/// The code that matters is tiled, vectorised and unrolled already, so LLVM
/// only has to simplify it: a third of the time of its default pipeline, and
/// the same kernels.
static constexpr StringRef kPipeline =
    "function(sroa,early-cse<memssa>,simplifycfg,"
    "instcombine<no-verify-fixpoint>,loop-mssa(loop-rotate,licm),gvn,"
    "simplifycfg,instcombine<no-verify-fixpoint>),globaldce";

static void optimise(llvm::Module &code, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  llvm::ModulePassManager passes;
  llvm::cantFail(builder.parsePassPipeline(passes, kPipeline));
  passes.run(code, modules);
}

LogicalResult emitCode(ModuleOp module, const Level &level, CodeKind kind,
                       llvm::SmallVectorImpl<char> &output) {
  std::unique_ptr<llvm::TargetMachine> machine = createMachine(module, level);
  if (!machine)
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code =
      translateModuleToLLVMIR(module, context, "moe");
  if (!code)
    return module.emitError("cannot translate the module to LLVM IR");
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  if (failed(checkFeatures(module, level, *code, *machine)))
    return failure();
  // The target machine alone does not steer passes that look at attributes.
  for (llvm::Function &function : *code) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", level.cpu);
    if (!level.features.empty())
      function.addFnAttr("target-features", level.features);
  }
  std::string message;
  llvm::raw_string_ostream messages(message);
  if (llvm::verifyModule(*code, &messages))
    return module.emitError() << "invalid LLVM IR: " << message;
  optimise(*code, *machine);

  llvm::raw_svector_ostream stream(output);
  if (kind == CodeKind::LLVMIR) {
    code->print(stream, nullptr);
    return success();
  }
  llvm::legacy::PassManager passes;
  auto file = kind == CodeKind::Assembly ? llvm::CodeGenFileType::AssemblyFile
                                         : llvm::CodeGenFileType::ObjectFile;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, file))
    return module.emitError(
        "x86-64 code generator cannot write this file type");
  passes.run(*code);
  return success();
}

} // namespace moe::cpu
