// LLD as a library. libomp is represented by a stub made on the spot, so the
// compiling machine needs none and no path of it can get into the artefact.

#include "codegen/cpu/Link.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>
#include <set>

LLD_HAS_DRIVER(elf)

namespace moe::cpu {

using llvm::Error;
using llvm::StringRef;

static Error failure(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// The OpenMP symbols that the objects need; an error for any other symbol that
/// none of them defines.
static llvm::Expected<std::set<std::string>>
findOpenMPSymbols(llvm::ArrayRef<StringRef> objects) {
  std::set<std::string> undefined, defined, openMP;
  for (StringRef bytes : objects) {
    auto object = llvm::object::ObjectFile::createObjectFile(
        llvm::MemoryBufferRef(bytes, "object"));
    if (!object)
      return object.takeError();
    for (const llvm::object::SymbolRef &symbol : (*object)->symbols()) {
      llvm::Expected<uint32_t> flags = symbol.getFlags();
      if (!flags)
        return flags.takeError();
      llvm::Expected<StringRef> name = symbol.getName();
      if (!name)
        return name.takeError();
      if (name->empty())
        continue;
      bool missing = *flags & llvm::object::SymbolRef::SF_Undefined;
      (missing ? undefined : defined).insert(name->str());
    }
  }
  for (const std::string &name : undefined) {
    if (defined.count(name))
      continue;
    StringRef text(name);
    if (text.starts_with("__kmpc_") || text.starts_with("omp_"))
      openMP.insert(name);
    else if (!llvm::is_contained({"memcpy", "memmove", "memset", "memcmp"},
                                 text) &&
             text != "_GLOBAL_OFFSET_TABLE_")
      return failure("generated code needs the symbol '" + text +
                     "', but may need only libc's mem* and libomp's");
  }
  return openMP;
}

static Error writeFile(StringRef path, StringRef content) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (code)
    return failure(path + ": " + code.message());
  stream << content;
  stream.close();
  if (stream.has_error()) {
    code = stream.error();
    stream.clear_error();
    return failure(path + ": " + code.message());
  }
  return Error::success();
}

static Error runLLD(llvm::ArrayRef<std::string> arguments) {
  // LLD keeps global state while it runs.
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  llvm::SmallVector<const char *> pointers{"ld.lld"};
  for (const std::string &argument : arguments)
    pointers.push_back(argument.c_str());
  std::string text;
  llvm::raw_string_ostream messages(text);
  lld::Result result =
      lld::lldMain(pointers, messages, messages, {{lld::Gnu, &lld::elf::link}});
  if (!result.canRunAgain)
    llvm::report_fatal_error("LLD cannot run again in this process");
  if (result.retCode != 0)
    return failure("LLD failed: " + text);
  return Error::success();
}

llvm::Expected<llvm::SmallVector<char, 0>>
linkSharedObject(llvm::ArrayRef<StringRef> objects) {
  llvm::Expected<std::set<std::string>> openMP = findOpenMPSymbols(objects);
  if (!openMP)
    return openMP.takeError();

  llvm::SmallString<128> folder;
  if (std::error_code code =
          llvm::sys::fs::createUniqueDirectory("moe-link", folder))
    return failure("no temporary folder: " + code.message());
  llvm::scope_exit removeFolder(
      [&] { llvm::sys::fs::remove_directories(folder); });
  auto path = [&](const llvm::Twine &name) {
    llvm::SmallString<128> result(folder);
    llvm::sys::path::append(result, name);
    return result.str().str();
  };

  std::string exports = "{ global: moe_*; local: *; };\n";
  if (Error error = writeFile(path("exports"), exports))
    return error;
  std::vector<std::string> arguments = {"-m",
                                        "elf_x86_64",
                                        "-shared",
                                        "-z",
                                        "now",
                                        "-z",
                                        "noexecstack",
                                        "--build-id=none",
                                        "--version-script=" + path("exports"),
                                        "-o",
                                        path("artefact.so")};
  for (auto [i, bytes] : llvm::enumerate(objects)) {
    std::string object = path(llvm::Twine(i) + ".o");
    if (Error error = writeFile(object, bytes))
      return error;
    arguments.push_back(object);
  }
  if (!openMP->empty()) {
    // A linker script with one assignment a symbol is input enough for a stub.
    std::string script;
    for (const std::string &symbol : *openMP)
      script += symbol + " = 0;\n";
    if (Error error = writeFile(path("libomp.ld"), script))
      return error;
    if (Error error =
            runLLD({"-m", "elf_x86_64", "-shared", "-soname", "libomp.so.5",
                    path("libomp.ld"), "-o", path("libomp.so")}))
      return error;
    arguments.push_back(path("libomp.so"));
  }
  if (Error error = runLLD(arguments))
    return error;

  auto buffer = llvm::MemoryBuffer::getFile(path("artefact.so"),
                                            /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return failure("cannot read the linked object: " +
                   buffer.getError().message());
  return llvm::SmallVector<char, 0>((*buffer)->getBufferStart(),
                                    (*buffer)->getBufferEnd());
}

} // namespace moe::cpu
