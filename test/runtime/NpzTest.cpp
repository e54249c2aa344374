// .npz files: what is read, what is refused and where, and that the same arrays
// give the same bytes.
#include "runtime/Npz.h"
#include "Support.h"

using namespace moert;
using test::Folder;

namespace {

Array numbers(Dtype dtype, Shape shape) {
  Array array(dtype, std::move(shape), "numbers");
  for (int64_t i = 0; i < array.count(); ++i)
    storeElement(dtype, array.data.data() + i * dtypeBytes(dtype),
                 static_cast<double>(i));
  return array;
}

class Npz : public testing::Test {
protected:
  Npz() {
    Array ids = numbers(MOERT_I32, {2, 3}), none = numbers(MOERT_F32, {0, 3});
    for (const char *name : {"a.npz", "b.npz"}) {
      AtomicFile file(folder / name);
      writeNpz(file, {{"ids", &ids}, {"none", &none}});
      file.commit();
    }
    good = test::readFile(folder / "a.npz");
  }

  /// Reads everything from other bytes.
  Failure read(const std::string &bytes) {
    test::writeFile(folder / "x.npz", bytes);
    return test::failureOf([&] {
      NpzReader archive(folder / "x.npz");
      for (const std::string &name : archive.names())
        archive.read(name);
    });
  }
  std::string with(size_t at, std::string_view bytes) const {
    return std::string(good).replace(at, bytes.size(), bytes);
  }

  Folder folder;
  std::string good;
};

TEST_F(Npz, IsReadAsItWasWritten) {
  NpzReader archive(folder / "a.npz");
  EXPECT_EQ(archive.names(), (std::vector<std::string>{"ids", "none"}));
  Array ids = archive.read("ids");
  EXPECT_EQ(ids.type(), "2x3xi32");
  EXPECT_EQ(ids.element(5), 5);
  EXPECT_EQ(archive.read("none").type(), "0x3xf32");
  EXPECT_FALSE(archive.has("nix"));
  EXPECT_FAILURE(archive.read("nix"), MOERT_MALFORMED, "has no array 'nix'");
  EXPECT_EQ(good, test::readFile(folder / "b.npz"));
}

TEST_F(Npz, ACommentMayFollow) {
  std::string file = good + "ten bytes!";
  file[good.size() - 2] = 10;
  EXPECT_EQ(read(file).status(), MOERT_OK) << read(file).message();
}

TEST_F(Npz, EveryTruncationIsFound) {
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(read(good.substr(0, size)).status(), MOERT_MALFORMED) << size;
}

TEST_F(Npz, DamageIsFound) {
  size_t end = good.size() - 22, directory = good.find("PK\1\2");
  size_t second = good.find("PK\1\2", directory + 1);
  struct Bad {
    size_t at;
    std::string bytes;
    const char *message;
  };
  for (const Bad &bad : std::vector<Bad>{
           {end, "QK", "has no end record of a zip archive"},
           {end + 4, "\1", "is a part of several archives"},
           {end + 8, "\1", "is a part of several archives"},
           {end + 8, "\1\0\1\0", "is a part of several archives"},
           {end + 8, std::string("\1\0\1\0", 4), "bytes follow the last one"},
           {end + 8, std::string("\3\0\3\0", 4), "does not fit the directory"},
           {end + 8, std::string("\0\x20\0\x20", 4),
            "has 8192 entries, more than 4096"},
           {end + 10, "\xff\xff", "zip64 archives are not supported"},
           {end + 12, "\xff\xff", "does not end before byte"},
           {end + 16, "\xff\xff", "does not end before byte"},
           {directory, "QK", "does not begin with its magic number"},
           {directory + 8, "\1", "'ids.npy' is encrypted"},
           {directory + 10, "\x8", "'ids.npy' is compressed"},
           {directory + 16, "\1\2\3", "it is damaged"},
           {directory + 20, "\1", "is stored in 1 bytes, but has"},
           {directory + 24, "\1", "'ids' is stored in"},
           {directory + 28, "\xff\xff", "does not fit the directory"},
           {directory + 42, "\xff\xff", "reaches beyond byte"},
           {directory + 42, "\1", "does not agree with the directory"},
           {directory + 46, "abc", "does not agree"},
           {directory + 49, "_npy", "'ids_npy' is not a .npy array"},
           {second + 42, std::string(4, '\0'), "entries overlap at byte 0"},
           {0, "QK", "does not agree with the directory"},
           {8, "\x8", "does not agree with the directory"},
           {26, "\xff\xff", "does not agree with the directory"},
           {30, "x", "does not agree with the directory"},
           {60, "\7", "it is damaged"}}) {
    SCOPED_TRACE(bad.message);
    Failure failure = read(with(bad.at, bad.bytes));
    EXPECT_EQ(failure.status(), MOERT_MALFORMED);
    EXPECT_NE(failure.message().find(bad.message), std::string::npos)
        << failure.message();
  }
}

TEST_F(Npz, NamesAreDistinct) {
  Array one = numbers(MOERT_I32, {1});
  AtomicFile file(folder / "twice.npz");
  writeNpz(file, {{"a", &one}, {"a", &one}});
  file.commit();
  EXPECT_FAILURE(NpzReader(folder / "twice.npz"), MOERT_MALFORMED,
                 "'a' appears twice");
}

TEST_F(Npz, AnEntryIsOneArray) {
  // The array of `ids` with a byte more than it says.
  std::string file = good;
  size_t shape = file.find("(2, 3)");
  file.replace(shape, 6, "(2, 2)");
  EXPECT_NE(read(file).message().find("damaged"), std::string::npos);
}

} // namespace
