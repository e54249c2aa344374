// Bounds check of an ELF shared object before the dynamic linker sees it: a
// truncated one would be a SIGBUS there. Finds a section's contents on the way.
#ifndef MOE_RUNTIME_ELF_H
#define MOE_RUNTIME_ELF_H

#include "runtime/File.h"

#include <string>
#include <string_view>

namespace moert {

/// Checks that `file` is an x86-64 shared object whose headers, sections and
/// loaded segments lie inside it, and returns the contents of the one section
/// called `section`. MOERT_MALFORMED names the file and what is wrong.
std::string readElfSection(const File &file, std::string_view section);

} // namespace moert

#endif
