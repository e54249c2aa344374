// Reading a model's text on a large stack, see ParseModel.h.
#include "tools/ParseModel.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/thread.h"

#include <exception>
#include <system_error>

using namespace mlir;

namespace moe::tools {

/// The first bracket that opens level maxNesting + 1, or null. Strings and
/// comments do not count; `->` and `>=` close nothing.
static const char *findTooDeep(StringRef text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
    case '"':
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        if (text[i] == '\\')
          ++i;
      break;
    case '/':
      if (text.substr(i).starts_with("//"))
        i = std::min(text.find('\n', i), text.size());
      break;
    case '(':
    case '[':
    case '{':
    case '<':
      if (++depth > maxNesting)
        return text.data() + i;
      break;
    case '>':
      if ((i > 0 && text[i - 1] == '-') || text.substr(i + 1).starts_with("="))
        break;
      [[fallthrough]];
    case ')':
    case ']':
    case '}':
      depth = std::max(depth - 1, 0);
      break;
    default: // every other character changes no depth
      break;
    }
  }
  return nullptr;
}

static bool isBytecode(StringRef content) {
  return content.starts_with("ML\xefR");
}

bool nestsTooDeep(const llvm::MemoryBuffer &buffer) {
  StringRef text = buffer.getBuffer();
  const char *place = isBytecode(text) ? nullptr : findTooDeep(text);
  if (!place)
    return false;
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBuffer(buffer), {});
  sources.PrintMessage(llvm::errs(), llvm::SMLoc::getFromPointer(place),
                       llvm::SourceMgr::DK_Error,
                       "brackets are nested more than " + Twine(maxNesting) +
                           " deep");
  return true;
}

void onLargeStack(llvm::function_ref<void()> body) {
  std::exception_ptr exception;
  llvm::thread thread(std::optional<unsigned>(64u << 20), [&] {
    try {
      body();
    } catch (...) {
      exception = std::current_exception();
    }
  });
  thread.join();
  if (exception)
    std::rethrow_exception(exception);
}

static OwningOpRef<ModuleOp>
parseBuffer(std::unique_ptr<llvm::MemoryBuffer> buffer, MLIRContext &context) {
  if (nestsTooDeep(*buffer))
    return {};
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(buffer), {});
  OwningOpRef<ModuleOp> module;
  SourceMgrDiagnosticHandler handler(sources, &context);
  onLargeStack([&] { module = parseSourceFile<ModuleOp>(sources, &context); });
  return module;
}

OwningOpRef<ModuleOp> parseModelText(StringRef text, StringRef name,
                                     MLIRContext &context) {
  return parseBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, name), context);
}

OwningOpRef<ModuleOp> parseModel(StringRef path, MLIRContext &context,
                                 int &exitCode, StringRef tool) {
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer =
      llvm::MemoryBuffer::getFileOrSTDIN(path);
  if (std::error_code error = buffer.getError()) {
    llvm::errs() << tool << ": cannot read '" << path
                 << "': " << error.message() << "\n";
    exitCode = 5;
    return {};
  }
  StringRef content = (*buffer)->getBuffer();
  if (!isBytecode(content) && content.contains('\0')) {
    llvm::errs() << tool << ": " << path
                 << ": is not text, expected a model (.mlir)\n";
    exitCode = 4;
    return {};
  }
  OwningOpRef<ModuleOp> module = parseBuffer(std::move(*buffer), context);
  exitCode = module ? 0 : 1;
  return module;
}

} // namespace moe::tools
