// A loaded artefact: its checked description and its code.
#ifndef MOE_RUNTIME_MODULE_H
#define MOE_RUNTIME_MODULE_H

#include "runtime/Description.h"

#include <string>

namespace moert {

class Module {
public:
  /// MOERT_IO, MOERT_MALFORMED, or MOERT_RUN_ERROR where the dynamic linker
  /// refuses the file.
  explicit Module(const std::string &path);
  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;
  ~Module();

  const std::string &path() const { return name; }
  const Description &description() const { return parsed; }
  /// MOERT_USAGE for an unknown name; lists what there is.
  int32_t findFunction(std::string_view function) const;
  /// MOERT_MALFORMED if the code lacks it.
  void *symbol(const std::string &symbolName) const;

private:
  std::string name;
  Description parsed;
  void *code = nullptr;
};

} // namespace moert

#endif
