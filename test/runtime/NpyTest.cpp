// .npy files: what is read, what is refused, and that writing gives back the
// same.
#include "runtime/Npy.h"
#include "Support.h"

using namespace moert;
using test::Folder;

namespace {

std::string npy(std::string_view header, std::string_view data, int major = 1,
                int minor = 0) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(major);
  file += static_cast<char>(minor);
  uint32_t length = static_cast<uint32_t>(header.size());
  file.append(reinterpret_cast<const char *>(&length), major == 1 ? 2 : 4);
  return file.append(header).append(data);
}

std::string header(std::string_view descr, std::string_view shape,
                   std::string_view fortran = "False") {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n",
                     descr, fortran, shape);
}

Array read(const std::string &file) {
  return NpyReader(std::vector<uint8_t>(file.begin(), file.end()), "x.npy")
      .next();
}

TEST(Npy, ReadsEveryTypeAndVersion) {
  struct Case {
    const char *descr;
    Dtype dtype;
  };
  for (auto [descr, dtype] : {Case{"<f4", MOERT_F32},
                              {"<f2", MOERT_F16},
                              {"<V2", MOERT_BF16},
                              {"|V2", MOERT_BF16},
                              {"bfloat16", MOERT_BF16},
                              {"<f8", MOERT_F64},
                              {"|b1", MOERT_I1},
                              {"|i1", MOERT_I8},
                              {"|u1", MOERT_U8},
                              {"<i4", MOERT_I32},
                              {"<i8", MOERT_I64}})
    for (int version : {1, 2, 3}) {
      std::string data(static_cast<size_t>(6 * dtypeBytes(dtype)), '\1');
      Array array = read(npy(header(descr, "(2, 3)"), data, version));
      EXPECT_EQ(array.dtype, dtype) << descr;
      EXPECT_EQ(array.shape, (Shape{2, 3}));
      EXPECT_EQ(std::memcmp(array.data.data(), data.data(), data.size()), 0);
    }
}

TEST(Npy, ReadsTheVariantsOfAHeader) {
  std::string data(4, '\0');
  for (std::string_view text :
       {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(1,)}",
        "{'shape': (1,), 'fortran_order': True, 'descr': '<f4', }",
        "  { 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 1 , ) } "
        "\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, "
        "1, 1), }"})
    EXPECT_EQ(read(npy(text, data)).count(), 1) << text;
  EXPECT_EQ(read(npy(header("<f4", "()"), data)).shape, Shape());
  EXPECT_EQ(read(npy(header("<f4", "(0, 5)"), "")).shape, (Shape{0, 5}));
}

TEST(Npy, RefusesWhatBreaksARule) {
  std::string good = header("<f4", "(2,)");
  std::string data(8, '\0');
  struct Case {
    std::string file;
    const char *message;
  };
  std::vector<Case> cases = {
      {"", "ends at byte 0"},
      {"\x93NUMPY\1", "ends at byte 7"},
      {"\x93NUMPX" + npy(good, data).substr(6), "magic"},
      {npy(good, data, 0), "version 0.0"},
      {npy(good, data, 4), "version 4.0"},
      {npy(good, data, 1, 1), "version 1.1"},
      {npy(good, data).substr(0, 30), "inside the header"},
      {npy(good, data).substr(0, npy(good, data).size() - 1),
       "need 8 bytes from byte"},
      {npy(std::string(2'000'000, ' '), data, 2), "longer than"},
      {npy("", data), "expected '{'"},
      {npy("{}", data), "'descr' is missing"},
      {npy("{'descr': '<f4', 'shape': (2,)}", data),
       "'fortran_order' is missing"},
      {npy("{'descr': '<f4', 'fortran_order': False}", data),
       "'shape' is missing"},
      {npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': "
           "(2,)}",
           data),
       "appears twice"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}",
           data),
       "unknown key 'x'"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", data),
       "expected '}'"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", data),
       "after the closing brace"},
      {npy("{'descr: '<f4'}", data), "expected ':'"},
      {npy("{'descr': '<f4", data), "does not end"},
      {npy("{descr: '<f4'}", data), "expected a quoted text"},
      {npy(header(">f4", "(2,)"), data), "element type '>f4'"},
      {npy(header("<f3", "(2,)"), data), "element type '<f3'"},
      {npy(header("<c8", "(1,)"), data), "element type '<c8'"},
      {npy(header("|O", "(1,)"), data), "element type '|O'"},
      {npy(header("<i2", "(4,)"), data), "element type '<i2'"},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
           data),
       "structured"},
      {npy(header("<f4", "(2, 1)", "True"), data), "Fortran order"},
      {npy(header("<f4", "(2,)", "0"), data), "neither True nor False"},
      {npy(header("<f4", "(2)"), data), "needs a comma"},
      {npy(header("<f4", "[2]"), data), "expected '('"},
      {npy(header("<f4", "(-2,)"), data), "expected a size"},
      {npy(header("<f4", "(2.0,)"), data), "needs a comma"},
      {npy(header("<f4", "(2,,)"), data), "expected a size"},
      {npy(header("<f4", "(1,1,1,1,1,1,1,1,1)"), data),
       "more than 8 dimensions"},
      {npy(header("<f4", "(9223372036854775808,)"), data),
       "does not fit 63 bits"},
      {npy(header("<f4", "(9223372036854775807,)"), data), "more than 2^63"},
      {npy(header("<f4", "(4294967296, 4294967296)"), data), "more than 2^63"},
      {npy(header("<f4", "(3,)"), data), "need 12 bytes from byte"},
      {npy(header("<f4", "(1000000000000,)"), data),
       "need 4000000000000 bytes"},
      {npy(header("|b1", "(2,)"), "\1\2"),
       "element 1 of type bool is the byte 2"},
  };
  EXPECT_GE(cases.size(), 40u);
  for (const Case &bad : cases)
    EXPECT_FAILURE(read(bad.file), MOERT_MALFORMED, bad.message);
  for (size_t length = 0; length < npy(good, data).size(); ++length)
    EXPECT_FAILURE(read(npy(good, data).substr(0, length)), MOERT_MALFORMED,
                   "x.npy: ");
}

TEST(Npy, StreamsWithoutEnd) {
  EXPECT_FAILURE(readNpy("/dev/zero"), MOERT_MALFORMED,
                 "/dev/zero: does not have the magic number of .npy at byte 0");
}

TEST(Npy, WritesWhatItReads) {
  Folder folder;
  std::string path = folder / "a.npy";
  for (int i = 0; i < dtypeCount; ++i)
    for (const Shape &shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0, 7},
                               Shape{1, 2, 1, 2, 1, 2, 1, 2}}) {
      Array array(static_cast<Dtype>(i), shape, "array");
      std::ranges::fill(array.data.span(), uint8_t(1));
      AtomicFile file(path);
      writeNpy(file, array.dtype, array.shape, array.data.span());
      file.commit();
      Array back = readNpy(path);
      EXPECT_EQ(back.type(), array.type());
      EXPECT_EQ(std::memcmp(back.data.data(), array.data.data(),
                            static_cast<size_t>(array.data.size())),
                0);
      std::string bytes = test::readFile(path);
      EXPECT_EQ((bytes.size() - static_cast<size_t>(array.data.size())) % 64,
                0u); // data are aligned
    }
}

TEST(Npy, SeveralArraysInOneFile) {
  Folder folder;
  test::writeFile(folder / "a.npy", npy(header("|u1", "(2,)"), "ab") +
                                        npy(header("|u1", "()"), "c"));
  NpyReader reader(folder / "a.npy");
  EXPECT_FALSE(reader.atEnd());
  EXPECT_EQ(reader.next().count(), 2);
  EXPECT_EQ(reader.next().element(0), 'c');
  EXPECT_TRUE(reader.atEnd());
  EXPECT_FAILURE(reader.next(), MOERT_MALFORMED, "ends at byte");
  EXPECT_FAILURE(NpyReader(folder / "none.npy"), MOERT_IO, "No such file");
}

} // namespace
