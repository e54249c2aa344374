// Bounds check of an ELF shared object, see Elf.h.
#include "runtime/Elf.h"
#include "runtime/Failure.h"

#include <cstring>
#include <elf.h>
#include <optional>
#include <vector>

namespace moert {

namespace {
constexpr int64_t largestSection =
    64 << 20; // of those read here: names and description

/// Whether [offset, offset + count) lies inside the file.
bool inside(const File &file, uint64_t offset, uint64_t count) {
  auto size = static_cast<uint64_t>(file.size());
  return offset <= size && count <= size - offset;
}

template <typename Row>
std::vector<Row> readTable(const File &file, const char *what, uint64_t offset,
                           uint64_t count, uint64_t rowBytes) {
  if (rowBytes != sizeof(Row))
    fail(MOERT_MALFORMED, "{}: damaged artefact: a {} has {} bytes, not {}",
         file.path(), what, rowBytes, sizeof(Row));
  if (!inside(file, offset, count * sizeof(Row)))
    fail(MOERT_MALFORMED,
         "{}: truncated artefact: {} {}s from byte {} do not fit its {} bytes",
         file.path(), count, what, offset, file.size());
  std::vector<Row> rows(count);
  file.readAt(static_cast<int64_t>(offset), rows.data(),
              static_cast<int64_t>(count * sizeof(Row)));
  return rows;
}

std::string readSection(const File &file, const Elf64_Shdr &section) {
  if (section.sh_type == SHT_NOBITS || section.sh_size > largestSection ||
      !inside(file, section.sh_offset, section.sh_size))
    fail(
        MOERT_MALFORMED,
        "{}: damaged artefact: a section of {} bytes at byte {} cannot be read",
        file.path(), section.sh_size, section.sh_offset);
  std::string content(section.sh_size, 0);
  file.readAt(static_cast<int64_t>(section.sh_offset), content.data(),
              static_cast<int64_t>(content.size()));
  return content;
}

Elf64_Ehdr readHeader(const File &file) {
  Elf64_Ehdr header;
  if (file.size() < SELFMAG)
    fail(MOERT_MALFORMED, "{}: is not an artefact: it has {} bytes",
         file.path(), file.size());
  char magic[SELFMAG];
  file.readAt(0, magic, SELFMAG);
  if (std::memcmp(magic, ELFMAG, SELFMAG) != 0)
    fail(MOERT_MALFORMED,
         "{}: is not an artefact: it does not begin as an ELF file",
         file.path());
  if (!inside(file, 0, sizeof(header)))
    fail(MOERT_MALFORMED,
         "{}: truncated artefact: {} bytes do not hold the ELF header of {}",
         file.path(), file.size(), sizeof(header));
  file.readAt(0, &header, sizeof(header));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_ident[EI_VERSION] != EV_CURRENT ||
      header.e_machine != EM_X86_64 || header.e_type != ET_DYN)
    fail(MOERT_MALFORMED,
         "{}: is not an x86-64 shared object (class {}, byte order {}, machine "
         "{}, type {})",
         file.path(), header.e_ident[EI_CLASS], header.e_ident[EI_DATA],
         header.e_machine, header.e_type);
  return header;
}

void checkSegments(const File &file, const Elf64_Ehdr &header) {
  auto segments = readTable<Elf64_Phdr>(file, "program header", header.e_phoff,
                                        header.e_phnum, header.e_phentsize);
  bool loads = false;
  for (const Elf64_Phdr &segment : segments) {
    loads |= segment.p_type == PT_LOAD;
    if (segment.p_type != PT_GNU_STACK &&
        !inside(file, segment.p_offset, segment.p_filesz))
      fail(MOERT_MALFORMED,
           "{}: truncated artefact: a segment needs bytes {} to {}, the file "
           "has {}",
           file.path(), segment.p_offset, segment.p_offset + segment.p_filesz,
           file.size());
    if (segment.p_type == PT_LOAD && segment.p_filesz > segment.p_memsz)
      fail(MOERT_MALFORMED,
           "{}: damaged artefact: a segment of {} bytes in memory holds {} of "
           "the file",
           file.path(), segment.p_memsz, segment.p_filesz);
  }
  if (!loads)
    fail(MOERT_MALFORMED, "{}: damaged artefact: nothing to load", file.path());
}
} // namespace

std::string readElfSection(const File &file, std::string_view wanted) {
  Elf64_Ehdr header = readHeader(file);
  checkSegments(file, header);
  auto sections = readTable<Elf64_Shdr>(file, "section header", header.e_shoff,
                                        header.e_shnum, header.e_shentsize);
  for (const Elf64_Shdr &section : sections)
    if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
        !inside(file, section.sh_offset, section.sh_size))
      fail(MOERT_MALFORMED,
           "{}: truncated artefact: a section needs bytes {} to {}, the file "
           "has {}",
           file.path(), section.sh_offset, section.sh_offset + section.sh_size,
           file.size());
  if (header.e_shstrndx >= sections.size())
    fail(MOERT_MALFORMED,
         "{}: is not an artefact of moe-compile: it has no section names",
         file.path());
  std::string names = readSection(file, sections[header.e_shstrndx]);

  std::optional<Elf64_Shdr> found;
  for (const Elf64_Shdr &section : sections) {
    if (section.sh_name >= names.size())
      continue;
    std::string_view name = std::string_view(names).substr(section.sh_name);
    name = name.substr(0, name.find('\0'));
    if (name != wanted)
      continue;
    if (found)
      fail(MOERT_MALFORMED, "{}: damaged artefact: two sections {}",
           file.path(), wanted);
    found = section;
  }
  if (!found)
    fail(MOERT_MALFORMED,
         "{}: is not an artefact of moe-compile: it has no section {}",
         file.path(), wanted);
  return readSection(file, *found);
}

} // namespace moert
