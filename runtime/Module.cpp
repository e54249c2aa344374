// A loaded artefact, see Module.h.
#include "runtime/Module.h"
#include "runtime/Elf.h"
#include "runtime/Failure.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>

namespace moert {

namespace {
/// OpenMP's idle threads wait inside their library, which therefore must
/// outlive the artefact that brought it.
void keepOpenMP() {
  for (const char *library : {"libomp.so.5", "libomp.so"})
    if (void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE))
      dlclose(handle);
}
} // namespace

Module::Module(const std::string &path) : name(path) {
  std::string section;
  {
    File file(path);
    section = readElfSection(file, MOERT_META_SECTION);
  }
  parsed = parseDescription(section, path);

  // A name without a slash would be searched for among the system's libraries.
  std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr),
                                              &free);
  code = dlopen(real ? real.get() : path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!code) {
    const char *why = dlerror();
    fail(MOERT_RUN_ERROR, "{}: cannot be loaded: {}", path,
         why ? why : "unknown reason");
  }
  keepOpenMP();
  // The linker hands out what it has already loaded under this name, even if
  // the file has been replaced since.
  const void *loaded = dlsym(code, MOERT_META_SYMBOL);
  const char *wrong =
      !loaded ? "does not export " MOERT_META_SYMBOL
      : std::memcmp(loaded, section.data(), section.size()) != 0
          ? "is already loaded in another version; close that module first"
          : nullptr;
  if (wrong) {
    dlclose(code);
    fail(MOERT_MALFORMED, "{}: {}", path, wrong);
  }
}

Module::~Module() { dlclose(code); }

int32_t Module::findFunction(std::string_view function) const {
  std::string names;
  for (size_t i = 0; i < parsed.functions.size(); ++i) {
    if (parsed.functions[i].name == function)
      return static_cast<int32_t>(i);
    names += fmt::format("{}{}", names.empty() ? "" : ", ",
                         quote(parsed.functions[i].name));
  }
  fail(MOERT_USAGE, "{}: has no function {}; it has {}", name, quote(function),
       names.empty() ? "none" : names);
}

void *Module::symbol(const std::string &symbolName) const {
  void *found = dlsym(code, symbolName.c_str());
  if (!found)
    fail(MOERT_MALFORMED,
         "{}: damaged artefact: its description names {}, its code lacks it",
         name, quote(symbolName));
  return found;
}

} // namespace moert
