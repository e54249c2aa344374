// Loading an artefact: bounds and description are checked before any of its
// code is loaded.
#include "runtime/Module.h"
#include "Support.h"
#include "runtime/Cpu.h"
#include "runtime/Elf.h"

#include <algorithm>
#include <elf.h>
#include <fstream>

using namespace moert;
using test::Folder;

extern "C" int usableFromC99(void);

namespace {

TEST(CInterface, IsC99) { EXPECT_TRUE(usableFromC99()); }

TEST(Module, Loads) {
  Folder folder;
  test::writeArtefact(folder / "a.so", test::description());
  Module module(folder / "a.so");
  EXPECT_EQ(module.findFunction("mix"), 0);
  EXPECT_NE(module.symbol("moe_mix_avx2"), nullptr);
  EXPECT_FAILURE(module.findFunction("mux"), MOERT_USAGE,
                 "has no function 'mux'; it has 'mix'");
  EXPECT_FAILURE(module.symbol("moe_mux_avx2"), MOERT_MALFORMED,
                 "its code lacks it");
}

TEST(Module, WhatIsNoArtefact) {
  Folder folder;
  EXPECT_FAILURE(Module(folder / "none.so"), MOERT_IO,
                 "none.so: cannot be opened");
  test::writeFile(folder / "a.so", "");
  EXPECT_FAILURE(Module(folder / "a.so"), MOERT_MALFORMED,
                 "is not an artefact");
  test::writeFile(folder / "a.so", "module { }");
  EXPECT_FAILURE(Module(folder / "a.so"), MOERT_MALFORMED,
                 "does not begin as an ELF file");
  EXPECT_FAILURE(Module("/proc/self/exe"), MOERT_MALFORMED,
                 "no section .moe.meta");
}

TEST(Module, AnotherVersion) {
  Folder folder;
  test::writeArtefact(folder / "a.so", test::description(), 9, 3);
  EXPECT_FAILURE(Module(folder / "a.so"), MOERT_MALFORMED,
                 "version 9.3, this runtime loads 1.0 to 1.4");
}

TEST(Module, CutAnywhere) {
  Folder folder;
  test::writeArtefact(folder / "whole.so", test::description());
  std::string whole = test::readFile(folder / "whole.so");
  // Every length near the start and near the end, and a grid between.
  for (size_t length = 0; length < whole.size();
       length += length < 256 || whole.size() - length < 256 ? 1 : 997) {
    test::writeFile(folder / "cut.so", whole.substr(0, length));
    File file(folder / "cut.so");
    EXPECT_EQ(test::failureOf([&] {
                readElfSection(file, MOERT_META_SECTION);
              }).status(),
              MOERT_MALFORMED)
        << length;
  }
}

/// A change of one number in the headers.
template <typename Number>
std::string edited(std::string file, size_t at, Number value) {
  std::memcpy(file.data() + at, &value, sizeof(value));
  return file;
}

TEST(Module, BoundsOfElf) {
  Folder folder;
  test::writeArtefact(folder / "whole.so", test::description());
  std::string whole = test::readFile(folder / "whole.so");
  Elf64_Ehdr header;
  std::memcpy(&header, whole.data(), sizeof(header));
  auto refused = [&](const std::string &file, const char *message) {
    test::writeFile(folder / "bad.so", file);
    EXPECT_FAILURE(Module(folder / "bad.so"), MOERT_MALFORMED, message);
  };
  refused(edited(whole, EI_CLASS, char(ELFCLASS32)),
          "is not an x86-64 shared object");
  refused(edited(whole, EI_DATA, char(ELFDATA2MSB)),
          "is not an x86-64 shared object");
  refused(
      edited(whole, offsetof(Elf64_Ehdr, e_machine), Elf64_Half(EM_AARCH64)),
      "is not an x86-64 shared object");
  refused(edited(whole, offsetof(Elf64_Ehdr, e_type), Elf64_Half(ET_REL)),
          "is not an x86-64 shared object");
  refused(edited(whole, offsetof(Elf64_Ehdr, e_phoff), Elf64_Off(whole.size())),
          "program headers from byte");
  refused(edited(whole, offsetof(Elf64_Ehdr, e_phoff), ~Elf64_Off(0)),
          "program headers from byte");
  refused(
      edited(whole, offsetof(Elf64_Ehdr, e_shoff), Elf64_Off(whole.size() - 1)),
      "section headers from byte");
  refused(edited(whole, offsetof(Elf64_Ehdr, e_shoff), ~Elf64_Off(7)),
          "section headers from byte");
  refused(edited(whole, offsetof(Elf64_Ehdr, e_phentsize), Elf64_Half(8)),
          "a program header has 8 bytes, not 56");
  refused(edited(whole, offsetof(Elf64_Ehdr, e_shentsize), Elf64_Half(8)),
          "a section header has 8 bytes, not 64");
  refused(edited(whole, offsetof(Elf64_Ehdr, e_phnum), Elf64_Half(0)),
          "nothing to load");
  refused(edited(whole, offsetof(Elf64_Ehdr, e_shnum), Elf64_Half(0)),
          "no section names");
  refused(edited(whole, offsetof(Elf64_Ehdr, e_shstrndx), Elf64_Half(0xfff)),
          "no section names");
  refused(edited(whole, header.e_phoff + offsetof(Elf64_Phdr, p_filesz),
                 Elf64_Xword(whole.size() + 1)),
          "a segment needs bytes");
  refused(edited(whole, header.e_phoff + offsetof(Elf64_Phdr, p_offset),
                 ~Elf64_Off(0)),
          "a segment needs bytes");
  size_t names = header.e_shoff + header.e_shstrndx * sizeof(Elf64_Shdr);
  refused(edited(whole, names + offsetof(Elf64_Shdr, sh_size),
                 Elf64_Xword(1) << 40),
          "a section needs bytes");
  refused(edited(whole, names + offsetof(Elf64_Shdr, sh_offset),
                 Elf64_Off(whole.size())),
          "a section needs bytes");
  refused(edited(whole, names + offsetof(Elf64_Shdr, sh_type),
                 Elf64_Word(SHT_NOBITS)),
          "cannot be read");
}

TEST(Module, ReplacedWhileOpen) {
  Folder folder;
  std::string path = folder / "a.so";
  test::writeArtefact(folder / "new.so",
                      test::description({{"by hand", "by foot"}}));
  test::writeArtefact(path, test::description());
  {
    Module first(path);
    ASSERT_EQ(rename((folder / "new.so").c_str(), path.c_str()), 0);
    EXPECT_FAILURE(Module again(path), MOERT_MALFORMED,
                   "already loaded in another version");
  }
  EXPECT_EQ(Module(path).description().producer, "by foot");
}

TEST(Cpu, ChoosesTheHighestLevelOfBoth) {
  std::vector<std::string> offered = {"avx2", "avx512"};
  std::vector<std::string_view> all = {"avx2", "avx512", "avx512bf16", "amx"};
  std::vector<std::string_view> old = {"avx2"};
  std::vector<std::string_view> none;
  EXPECT_EQ(chooseLevel(offered, all, false, {}), "avx512");
  EXPECT_EQ(chooseLevel(offered, old, false, {}), "avx2");
  EXPECT_EQ(chooseLevel(offered, all, false, "avx2"), "avx2");
  EXPECT_FAILURE(chooseLevel(offered, none, false, {}), MOERT_NO_DEVICE,
                 "the artefact has code for the levels 'avx2', 'avx512', this "
                 "CPU supports none");
  EXPECT_FAILURE(chooseLevel(offered, old, false, "avx512"), MOERT_NO_DEVICE,
                 "this CPU does not support the level 'avx512'");
  EXPECT_FAILURE(chooseLevel(offered, all, false, "avx512bf16"),
                 MOERT_NO_DEVICE, "no code for the level 'avx512bf16'");
  EXPECT_FAILURE(chooseLevel(offered, all, false, "sse9"), MOERT_USAGE,
                 "unknown instruction set level 'sse9'");
  EXPECT_FAILURE(chooseLevel(offered, all, false, ""), MOERT_USAGE,
                 "unknown instruction set level ''");
  EXPECT_GE(availableThreads(), 1);
}

TEST(Cpu, ChoosesCodeThatPrefetchesOnCpusWithAmx) {
  using Names = std::vector<std::string_view>;
  auto choose = [](std::vector<std::string> offered, const Names &supported,
                   bool cpuHasAmx) {
    return chooseLevel(offered, supported, cpuHasAmx, {});
  };
  const Names zen4 = {"avx2", "avx512", "avx512bf16"};
  const Names zen5 = {"avx2", "avxvnni", "avx512", "avx512bf16"};
  const Names denied = zen5; // tiles, but no leave to use them
  const Names xeon = {"avx2", "avxvnni", "avx512", "avx512bf16", "amx"};
  // f32, bf16 and quantised models.
  const std::vector<std::string> f32 = {"avx2", "avx512", "avx512bf16"};
  const std::vector<std::string> bf16 = {"avx2", "avx512", "avx512bf16", "amx"};
  const std::vector<std::string> q8 = {"avx2", "avxvnni", "avx512",
                                       "avx512bf16", "amx"};
  EXPECT_EQ(choose(f32, zen4, false), "avx512bf16");
  EXPECT_EQ(choose(f32, zen5, false), "avx512bf16");
  EXPECT_EQ(choose(f32, xeon, true), "avx512");
  EXPECT_EQ(choose(f32, denied, true), "avx512");
  EXPECT_EQ(choose(bf16, zen5, false), "avx512bf16");
  EXPECT_EQ(choose(q8, zen5, false), "avx512bf16");
  for (const std::vector<std::string> &offered : {bf16, q8}) {
    EXPECT_EQ(choose(offered, xeon, true), "amx");
    EXPECT_EQ(choose(offered, denied, true), "avx512bf16");
  }
  EXPECT_EQ(choose({"avx2", "avx512bf16"}, xeon, true), "avx512bf16");
  EXPECT_EQ(choose({"avx2", "avxvnni"}, xeon, true), "avxvnni");
  EXPECT_EQ(choose({"avx2"}, xeon, true), "avx2");
  // A system may save no registers of 512 bits.
  EXPECT_EQ(choose(f32, {"avx2", "avxvnni"}, true), "avx2");
  EXPECT_EQ(chooseLevel(f32, xeon, true, "avx512bf16"), "avx512bf16");
}

TEST(Cpu, AmxNeedsTheFlagsOfTheSystem) {
  std::ifstream file("/proc/cpuinfo");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  bool has = text.find(" amx_tile") != std::string::npos &&
             text.find(" amx_bf16") != std::string::npos &&
             text.find(" amx_int8") != std::string::npos;
  std::vector<std::string_view> supported = supportedLevels();
  EXPECT_EQ(std::ranges::count(supported, "amx"), has);
}

} // namespace
