// Files of recorded routings: both forms are read as they were written, and
// what does not fit the function is refused with its place.
#include "tools/Recording.h"
#include "runtime/Npz.h"
#include "test/runtime/Support.h"

#include <cmath>
#include <limits>

using namespace moe::tools;
using test::Folder;

namespace {

template <typename Number>
Array array(moert::Dtype dtype, moert::Shape shape,
            const std::vector<Number> &values) {
  Array made(dtype, std::move(shape), "a test");
  for (size_t i = 0; i < values.size(); ++i)
    moert::storeElement(dtype, made.data.data() + i * moert::dtypeBytes(dtype),
                        static_cast<double>(values[i]));
  return made;
}

std::vector<double> elements(const Array &array) {
  std::vector<double> values;
  for (int64_t i = 0; i < array.count(); ++i)
    values.push_back(array.element(i));
  return values;
}

RecordedRouting routing(moert::Shape shape, const std::vector<int> &ids,
                        const std::vector<double> &weights,
                        moert::Dtype dtype = MOERT_F32) {
  return {array(MOERT_I32, shape, ids), array(dtype, shape, weights)};
}

class Recording : public testing::Test {
protected:
  std::string write(const char *name,
                    const std::vector<RecordedRouting> &routings) {
    RecordingWriter writer(folder / name);
    writer.write(routings);
    writer.commit();
    return folder / name;
  }
  std::string lines(const std::string &text) {
    test::writeFile(folder / "x.jsonl", text);
    return folder / "x.jsonl";
  }
  Folder folder;
};

TEST_F(Recording, IsReadAsItWasWritten) {
  for (bool alike : {true, false})
    for (const char *name : {"r.npz", "r.jsonl"}) {
      SCOPED_TRACE(name);
      std::vector<RecordedRouting> routings;
      routings.push_back(
          routing({2, 2}, {3, 1, 0, -1}, {0.75, 0.25, 0.125, 0}));
      if (alike)
        routings.push_back(routing({2, 2}, {0, 2, 1, 3}, {1, 2, 3, 4}));
      else
        routings.push_back(routing({3, 1}, {0, -1, 1}, {1, 0, 3}));
      std::string path = write(name, routings);
      std::vector<RecordedRouting> read = readRecording(
          path,
          {{4, 2, 2}, alike ? RoutingShape{4, 2, 2} : RoutingShape{2, 1, -1}});
      ASSERT_EQ(read.size(), 2u);
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(read[i].ids.shape, routings[i].ids.shape);
        EXPECT_EQ(elements(read[i].ids), elements(routings[i].ids));
        EXPECT_EQ(elements(read[i].weights), elements(routings[i].weights));
      }
    }
}

TEST_F(Recording, WeightsKeepTheirBits) {
  double third = 1.0 / 3, tiny = std::numeric_limits<double>::denorm_min(),
         infinity = std::numeric_limits<double>::infinity();
  for (const char *name : {"r.npz", "r.jsonl"}) {
    std::vector<RecordedRouting> routings;
    routings.push_back(routing({1, 4}, {0, 1, 2, 3},
                               {third, tiny, -infinity, std::nan("")},
                               MOERT_F64));
    Array read =
        std::move(readRecording(write(name, routings), {{4, 4}})[0].weights);
    EXPECT_EQ(read.element(0), third);
    EXPECT_EQ(read.element(1), tiny);
    EXPECT_EQ(read.element(2), -infinity);
    EXPECT_TRUE(std::isnan(read.element(3)));
  }
}

TEST_F(Recording, OneArrayWhereRoutingsAreAlike) {
  std::vector<RecordedRouting> routings;
  routings.push_back(routing({2, 1}, {0, 1}, {1, 2}));
  routings.push_back(routing({2, 1}, {1, 0}, {3, 4}));
  moert::NpzReader archive(write("r.npz", routings));
  EXPECT_EQ(archive.names(), (std::vector<std::string>{"ids", "weights"}));
  Array ids = archive.read("ids");
  EXPECT_EQ(ids.type(), "2x2x1xi32"); // tokens, routings, slots
  EXPECT_EQ(elements(ids), (std::vector<double>{0, 1, 1, 0}));
  routings[1] = routing({1, 1}, {1}, {3});
  moert::NpzReader other(write("r.npz", routings));
  EXPECT_EQ(other.names(),
            (std::vector<std::string>{"ids0", "ids1", "weights0", "weights1"}));
}

TEST_F(Recording, NoTokens) {
  for (const char *name : {"r.npz", "r.jsonl"}) {
    std::vector<RecordedRouting> routings;
    routings.push_back(routing({0, 2}, {}, {}));
    EXPECT_EQ(readRecording(write(name, routings), {{4, 2, 0}})[0].ids.shape,
              (moert::Shape{0, 2}));
  }
}

TEST_F(Recording, WeightsOfEmptySlotsAreZero) {
  std::string path =
      lines(R"({"routing":0,"token":0,"ids":[-1,2],"weights":["NaN",0.5]})");
  EXPECT_EQ(elements(readRecording(path, {{4, 2}})[0].weights),
            (std::vector<double>{0, 0.5}));
}

TEST_F(Recording, OtherEndsAreRefused) {
  EXPECT_FAILURE(RecordingWriter(folder / "r.npy"), MOERT_USAGE,
                 "wanted a file that ends with .npz or .jsonl");
  EXPECT_FAILURE(readRecording("r.json", {}), MOERT_USAGE, "r.json: wanted");
  EXPECT_FAILURE(readRecording(folder / "none.npz", {{4, 2}}), MOERT_IO,
                 "none.npz");
}

TEST_F(Recording, LinesThatDoNotFit) {
  struct Bad {
    const char *text, *message;
  };
  for (Bad bad : {
           Bad{"[]", "line 1: is not an object of"},
           {"{", "line 1"},
           {R"({"routing":0,"token":0,"ids":[0,1],"weights":[1,1],"x":1})",
            "line 1: is not an object of"},
           {R"({"routing":0,"token":-1,"ids":[0,1],"weights":[1,1]})",
            "has no number 'token'"},
           {R"({"routing":0,"token":4294967296,"ids":[0,1],"weights":[1,1]})",
            "'token' is 4294967296, more than 2147483647"},
           {R"({"routing":1,"token":0,"ids":[0,1],"weights":[1,1]})",
            "has routing 1, the function has 1"},
           {R"({"routing":0,"token":0,"ids":[0],"weights":[1,1]})",
            "has 1 ids and 2 weights, wanted 2 slots"},
           {R"({"routing":0,"token":0,"ids":[0,1],"weights":[1]})",
            "has 2 ids and 1 weights, wanted 2 slots"},
           {R"({"routing":0,"token":0,"ids":[0,1.5],"weights":[1,1]})",
            "an id is no expert's number"},
           {R"({"routing":0,"token":0,"ids":[0,"1"],"weights":[1,1]})",
            "an id is no expert's number"},
           {R"({"routing":0,"token":0,"ids":[0,1e300],"weights":[1,1]})",
            "an id is no expert's number"},
           {R"({"routing":0,"token":0,"ids":[0,1],"weights":[1,null]})",
            "a weight is no number"},
           {R"({"routing":0,"token":0,"ids":[0,1],"weights":[1,"nan"]})",
            "a weight is no number"},
           {R"({"routing":0,"token":0,"ids":[0,4],"weights":[1,1]})",
            "routing 0: token 0 has expert 4, wanted -1 to 3"},
           {R"({"routing":0,"token":0,"ids":[-2,1],"weights":[1,1]})",
            "token 0 has expert -2, wanted -1 to 3"},
           {R"({"routing":0,"token":0,"ids":[1,1],"weights":[1,1]})",
            "token 0 has expert 1 twice"},
           {R"({"routing":0,"token":1,"ids":[0,1],"weights":[1,1]})",
            "has no line for token 0 of routing 0"},
           {"", "has ids 0x2xi32 and weights 0x2xf64, wanted 1 tokens"},
       }) {
    SCOPED_TRACE(bad.text);
    EXPECT_FAILURE(readRecording(lines(bad.text), {{4, 2, 1}}), MOERT_MALFORMED,
                   bad.message);
  }
  std::string twice = R"({"routing":0,"token":0,"ids":[0,1],"weights":[1,1]})";
  EXPECT_FAILURE(readRecording(lines(twice + "\n" + twice), {{4, 2, 1}}),
                 MOERT_MALFORMED, "line 2: has token 0 of routing 0 again");
}

TEST_F(Recording, ArraysThatDoNotFit) {
  auto file =
      [&](const std::vector<std::pair<std::string, const Array *>> &arrays) {
        moert::AtomicFile out(folder / "x.npz");
        moert::writeNpz(out, arrays);
        out.commit();
        return folder / "x.npz";
      };
  Array ids = array<int>(MOERT_I64, {1, 1, 2}, {0, 1}),
        weights = array<int>(MOERT_F32, {1, 1, 2}, {1, 1}),
        flat = array<int>(MOERT_F32, {1, 2}, {1, 1}),
        half = array<int>(MOERT_F16, {1, 1, 2}, {1, 1});
  std::vector<RoutingShape> wanted = {{4, 2, 1}};
  EXPECT_EQ(readRecording(file({{"ids", &ids}, {"weights", &weights}}), wanted)
                .size(),
            1u);
  EXPECT_FAILURE(readRecording(file({{"ids", &ids}}), wanted), MOERT_MALFORMED,
                 "has 1 arrays, wanted 2: 'ids' and 'weights'");
  EXPECT_FAILURE(readRecording(file({{"ids0", &ids}, {"b", &ids}}), wanted),
                 MOERT_MALFORMED, "has no array 'weights0'");
  EXPECT_FAILURE(
      readRecording(file({{"ids", &flat}, {"weights", &flat}}), wanted),
      MOERT_MALFORMED, "ids is 1x2xf32, wanted integers");
  EXPECT_FAILURE(
      readRecording(file({{"ids", &ids}, {"weights", &half}}), wanted),
      MOERT_MALFORMED, "weights is 1x1x2xf16, wanted f32 or f64");
  EXPECT_FAILURE(
      readRecording(file({{"ids", &ids}, {"weights", &flat}}), wanted),
      MOERT_MALFORMED, "wanted both of tokens x 1 routings x 2 slots");
  EXPECT_FAILURE(readRecording(file({{"ids", &ids}, {"weights", &weights}}),
                               {{4, 2, 1}, {4, 2, 1}}),
                 MOERT_MALFORMED,
                 "wanted both of tokens x 2 routings x 2 slots");
  EXPECT_FAILURE(
      readRecording(file({{"ids", &ids}, {"weights", &weights}}), {{4, 2, 3}}),
      MOERT_MALFORMED,
      "routing 0 has ids 1x2xi32 and weights 1x2xf32, wanted 3 "
      "tokens x 2 slots");
  moert::storeInteger(MOERT_I64, ids.data.data(), int64_t(1) << 40);
  EXPECT_FAILURE(
      readRecording(file({{"ids", &ids}, {"weights", &weights}}), wanted),
      MOERT_MALFORMED, "element 0 is 1099511627776, no expert");
}

TEST_F(Recording, GroupsTensorsByRouting) {
  // Routing 1 is weighed in two ways, routing 0 in none.
  std::vector<TracedRouting> grouped = groupTraced(
      {{1, true, 2, 8}, {1, false, 2, 8}, {0, true, 3, 4}, {1, false, 2, 8}});
  ASSERT_EQ(grouped.size(), 3u);
  EXPECT_EQ(grouped[0].ids, 2u);
  EXPECT_FALSE(grouped[0].weights);
  EXPECT_EQ(grouped[0].shape.experts, 4);
  EXPECT_EQ(grouped[1].ids, 0u);
  EXPECT_EQ(grouped[1].weights, 1u);
  EXPECT_EQ(grouped[2].ids, 0u);
  EXPECT_EQ(grouped[2].weights, 3u);
  std::vector<RecordedRouting> given;
  for (int i = 0; i < 3; ++i)
    given.push_back(routing({1, 2}, {0, 1}, {1, 1}));
  EXPECT_NO_THROW(checkSameIds("f", grouped, given));
  given[2] = routing({1, 2}, {1, 0}, {1, 1});
  EXPECT_FAILURE(checkSameIds("f", grouped, given), MOERT_MALFORMED,
                 "f: routings 1 and 2 are one choice with two weights");
  EXPECT_EQ(elements(unitWeights(array<int>(MOERT_I32, {1, 3}, {2, -1, 0}))),
            (std::vector<double>{1, 0, 1}));
}

} // namespace
