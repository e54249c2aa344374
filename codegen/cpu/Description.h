// The artefact's description of itself: functions, arguments, params, steps.

#ifndef MOE_CODEGEN_CPU_DESCRIPTION_H
#define MOE_CODEGEN_CPU_DESCRIPTION_H

#include "codegen/cpu/Target.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>

namespace moe::cpu {

/// The functions of a level-2 module: an entry and its prepare steps in order.
struct EntryFunctions {
  mlir::func::FuncOp entry;
  llvm::SmallVector<mlir::func::FuncOp> steps;
};

/// Fails with a diagnostic if there is no entry, or if steps and arguments do
/// not fit together.
mlir::FailureOr<llvm::SmallVector<EntryFunctions>>
findEntries(mlir::ModuleOp module);

/// Symbols without the level's suffix.
std::string entrySymbol(mlir::func::FuncOp entry);
std::string workspaceSymbol(mlir::func::FuncOp entry);
std::string stepSymbol(mlir::func::FuncOp entry, size_t step);

/// The JSON text of the description.
mlir::FailureOr<std::string> describe(llvm::ArrayRef<EntryFunctions> entries,
                                      llvm::ArrayRef<Level> levels);

/// A module in the LLVM dialect that holds nothing but the description, framed
/// as runtime/Abi.h says.
mlir::OwningOpRef<mlir::ModuleOp> descriptionModule(mlir::MLIRContext *context,
                                                    llvm::StringRef json);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_DESCRIPTION_H
