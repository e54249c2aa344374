// Random damage to valid files: every reader says yes or gives a message, and
// nothing else, in bounded time.
#include "Support.h"
#include "runtime/Checkpoint.h"
#include "runtime/Description.h"
#include "runtime/Elf.h"
#include "runtime/Npy.h"
#include "runtime/Npz.h"

#include <elf.h>
#include <random>

using namespace moert;
using test::Folder;

namespace {

/// One to four changes: a byte, a bit, a piece removed, doubled, or replaced by
/// something that means much.
std::string damaged(std::string text, std::mt19937_64 &random) {
  static const char *pieces[] = {"[",
                                 "]",
                                 "{",
                                 "}",
                                 ",",
                                 ":",
                                 "\"",
                                 "\\u0000",
                                 "0",
                                 "-1",
                                 "1e9",
                                 "null",
                                 "true",
                                 "18446744073709551615",
                                 "9223372036854775808",
                                 "\xff",
                                 "__metadata__",
                                 "dtype",
                                 "shape",
                                 "data_offsets",
                                 "F4",
                                 "[[[[[",
                                 "4294967296"};
  size_t changes = 1 + random() % 4;
  for (size_t i = 0; i < changes && !text.empty(); ++i) {
    size_t at = random() % text.size();
    size_t count = 1 + random() % std::min<size_t>(text.size() - at, 12);
    switch (random() % 6) {
    case 0:
      text[at] = static_cast<char>(random());
      break;
    case 1:
      text[at] = static_cast<char>(text[at] ^ (1 << random() % 8));
      break;
    case 2:
      text.erase(at, count);
      break;
    case 3:
      text.insert(at, text.substr(at, count));
      break;
    case 4:
      text.insert(at, pieces[random() % std::size(pieces)]);
      break;
    case 5:
      text.replace(at, count, pieces[random() % std::size(pieces)]);
      break;
    }
  }
  return text;
}

/// What a reader may do.
void expectOkOrMalformed(const Failure &failure) {
  bool fine = failure.status() == MOERT_OK ||
              failure.status() == MOERT_MALFORMED ||
              failure.status() == MOERT_MEMORY;
  EXPECT_TRUE(fine) << failure.message();
  EXPECT_EQ(failure.message().empty(), failure.status() == MOERT_OK);
  EXPECT_LT(failure.message().size(), 4096u);
}

TEST(Mutation, SafetensorsHeaders) {
  std::mt19937_64 random(1);
  std::vector<std::string> seeds = {
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})",
      R"({"t":{"dtype":"F4","shape":[2],"data_offsets":[0,1],"x":[[1]]},"u":{"dtype":"U8","shape":[31],"data_offsets":[1,32]}})"};
  int accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string header = damaged(seeds[i % 2], random);
    Failure failure = test::failureOf([&] {
      SafetensorsHeader parsed(header, 32, "x");
      ++accepted;
      // What is accepted lies inside the file.
      for (size_t t = 0; t < parsed.size(); ++t) {
        SafetensorsHeader::Tensor tensor = parsed.tensor(t);
        ASSERT_LE(0, tensor.begin);
        ASSERT_LE(tensor.begin, tensor.end);
        ASSERT_LE(tensor.end, 32);
        ASSERT_EQ(*parsed.find(tensor.name), t);
      }
    });
    expectOkOrMalformed(failure);
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 50'000);
}

TEST(Mutation, NpyFiles) {
  std::mt19937_64 random(2);
  std::string seed =
      std::string("\x93NUMPY\1\0\x3b\0", 10) +
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" +
      std::string(24, 'x');
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string file = damaged(seed, random);
    expectOkOrMalformed(test::failureOf([&] {
      Array array =
          NpyReader(std::vector<uint8_t>(file.begin(), file.end()), "x").next();
      ASSERT_LE(array.data.size(), static_cast<int64_t>(file.size()));
      ++accepted;
    }));
  }
  EXPECT_GT(accepted, 20);
}

TEST(Mutation, NpzFiles) {
  std::mt19937_64 random(5);
  Folder folder;
  Array ids(MOERT_I32, {2, 3}, ""), weights(MOERT_F32, {2, 1, 3}, "");
  AtomicFile file(folder / "good.npz");
  writeNpz(file, {{"ids", &ids}, {"weights", &weights}});
  file.commit();
  std::string seed = test::readFile(folder / "good.npz");
  int accepted = 0;
  for (int i = 0; i < 4'000; ++i) {
    std::string bad = damaged(seed, random);
    test::writeFile(folder / "bad.npz", bad);
    expectOkOrMalformed(test::failureOf([&] {
      NpzReader archive(folder / "bad.npz");
      for (const std::string &name : archive.names())
        ASSERT_LE(archive.read(name).data.size(),
                  static_cast<int64_t>(bad.size()));
      ++accepted;
    }));
  }
  EXPECT_GT(accepted, 20);
}

TEST(Mutation, Descriptions) {
  std::mt19937_64 random(3);
  std::string json = test::description();
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = damaged(json, random);
    moert_meta_header header = {
        {}, MOERT_ABI_MAJOR, MOERT_ABI_MINOR, text.size()};
    std::memcpy(header.magic, MOERT_META_MAGIC, 8);
    std::string section =
        std::string(reinterpret_cast<const char *>(&header), sizeof(header)) +
        text;
    expectOkOrMalformed(test::failureOf([&] {
      parseDescription(section, "x");
      ++accepted;
    }));
  }
  EXPECT_GT(accepted, 20);
}

TEST(Mutation, IndicesAndElfHeaders) {
  std::mt19937_64 random(4);
  Folder folder;
  test::writeFile(folder / "1.safetensors",
                  test::safetensors({{"a", {1}, {1}}, {"b", {1}, {2}}}));
  std::string index =
      R"({"metadata":{"total_size":8},"weight_map":{"a":"1.safetensors","b":"1.safetensors"}})";
  for (int i = 0; i < 500; ++i) {
    test::writeFile(folder / "model.safetensors.index.json",
                    damaged(index, random));
    Failure failure =
        test::failureOf([&] { Checkpoint checkpoint(folder.path); });
    if (failure.status() != MOERT_IO) // a file name that does not exist
      expectOkOrMalformed(failure);
  }
  test::writeArtefact(folder / "a.so", test::description());
  std::string whole = test::readFile(folder / "a.so");
  Elf64_Ehdr elf;
  std::memcpy(&elf, whole.data(), sizeof(elf));
  for (int i = 0; i < 400; ++i) {
    // Damage only where headers are; the file keeps its length.
    std::string file = whole;
    for (size_t change = 0; change < 1 + random() % 4; ++change) {
      size_t at =
          random() % 2
              ? random() % 600
              : elf.e_shoff + random() % (elf.e_shnum * sizeof(Elf64_Shdr));
      file[at] = static_cast<char>(random());
    }
    test::writeFile(folder / "b.so", file);
    File opened(folder / "b.so");
    expectOkOrMalformed(
        test::failureOf([&] { readElfSection(opened, MOERT_META_SECTION); }));
  }
}

} // namespace
