// Reads the .mlir or bytecode of a model without ever dying of deep nesting:
// the brackets are counted first and the parser runs on a stack of its own.
#ifndef MOE_TOOLS_PARSEMODEL_H
#define MOE_TOOLS_PARSEMODEL_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/MemoryBuffer.h"

namespace moe::tools {

/// Brackets nested deeper than this are refused.
inline constexpr int maxNesting = 256;

/// Reads, parses and verifies `path` ("-": standard input). On failure prints
/// diagnostics to stderr, returns null and sets `exitCode`: 5 if the file
/// cannot be read, 4 if it is not text, 1 for anything wrong with its text.
/// `tool` begins the message of a file that cannot be read.
mlir::OwningOpRef<mlir::ModuleOp> parseModel(llvm::StringRef path,
                                             mlir::MLIRContext &context,
                                             int &exitCode,
                                             llvm::StringRef tool = "error");

/// The same for text already in memory; `name` stands in diagnostics.
mlir::OwningOpRef<mlir::ModuleOp> parseModelText(llvm::StringRef text,
                                                 llvm::StringRef name,
                                                 mlir::MLIRContext &context);

/// Prints an error and returns true if brackets of a text (not bytecode) are
/// nested more than maxNesting deep.
bool nestsTooDeep(const llvm::MemoryBuffer &buffer);

/// Runs `body` on a thread with a stack of 64 MiB and waits for it. An
/// exception of `body` continues in the caller.
void onLargeStack(llvm::function_ref<void()> body);

} // namespace moe::tools

#endif // MOE_TOOLS_PARSEMODEL_H
