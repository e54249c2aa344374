// Checkpoints: shards, indices, params that stack, and messages for what is
// missing.
#include "runtime/Checkpoint.h"
#include "Support.h"

#include <filesystem>

using namespace moert;
using test::Folder;

namespace {

ParamSpec param(std::string name, Shape shape, Dtype dtype = MOERT_F32) {
  ParamSpec spec{name, dtype, std::move(shape), stackAxes(name, "test")};
  return spec;
}

TEST(Checkpoint, OneFileOrADirectoryWithOne) {
  Folder folder;
  test::writeFile(folder / "model.safetensors",
                  test::safetensors(test::mixWeights()));
  EXPECT_EQ(Checkpoint(folder / "model.safetensors").size(), 5u);
  EXPECT_EQ(Checkpoint(folder.path).size(), 5u);
  EXPECT_FAILURE(Checkpoint(folder / "none"), MOERT_IO,
                 "none: cannot be opened");
  Folder empty;
  EXPECT_FAILURE(
      Checkpoint(empty.path), MOERT_IO,
      "holds neither model.safetensors.index.json nor model.safetensors");
}

struct Sharded : testing::Test {
  Sharded() {
    test::writeFile(folder / "1.safetensors",
                    test::safetensors({{"b", {1}, {1}}, {"x", {1}, {2}}}));
    test::writeFile(folder / "2.safetensors",
                    test::safetensors({{"a", {1}, {3}}, {"b", {1}, {4}}}));
  }
  void index(std::string_view text) {
    test::writeFile(folder / "model.safetensors.index.json", text);
  }
  Failure open() {
    return test::failureOf([&] { Checkpoint checkpoint(folder.path); });
  }
  Folder folder;
};

TEST_F(Sharded, TheMapDecides) {
  index(
      R"({"metadata":{"total_size":12,"x":[1]},"weight_map":{"b":"2.safetensors","a":"2.safetensors","x":"1.safetensors"}})");
  for (const std::string &path :
       {folder.path, folder / "model.safetensors.index.json"}) {
    Checkpoint checkpoint(path);
    EXPECT_EQ(checkpoint.size(), 3u);
    EXPECT_EQ(readTensor(checkpoint, "b").element(0), 4);
    EXPECT_EQ(readTensor(checkpoint, "a").element(0), 3);
    EXPECT_EQ(readTensor(checkpoint, "x").element(0), 2);
  }
}

TEST_F(Sharded, BadIndices) {
  struct Case {
    const char *text;
    const char *message;
    moert_status status = MOERT_MALFORMED;
  };
  for (Case bad : std::initializer_list<Case>{
           {"", "is not JSON"},
           {"[]", "is an array, not an object"},
           {"{}", "has no 'weight_map'"},
           {R"({"weight_map":[]})", "'weight_map' is an array"},
           {R"({"weight_map":"x"})", "'weight_map' is a string"},
           {R"({"weight_map":{"a":1}})",
            "tensor 'a': found a number where a file name"},
           {R"({"weight_map":{"a":["2.safetensors"]}})",
            "tensor 'a': found an array where"},
           {R"({"weight_map":{"a":{"b":"c"}}})",
            "tensor 'a': found an object where"},
           {R"({"weight_map":{"a":"2.safetensors","a":"1.safetensors"}})",
            "tensor 'a': the name appears twice"},
           {R"({"weight_map":{},"weight_map":{}})",
            "'weight_map' appears twice"},
           {R"({"weight_map":{"a":""}})",
            "tensor 'a': '' is not a plain file name"},
           {R"({"weight_map":{"a":"."}})", "'.' is not a plain file name"},
           {R"({"weight_map":{"a":".."}})", "'..' is not a plain file name"},
           {R"({"weight_map":{"a":"../2.safetensors"}})",
            "is not a plain file name"},
           {R"({"weight_map":{"a":"/etc/passwd"}})",
            "is not a plain file name"},
           {R"({"weight_map":{"a":"sub/2.safetensors"}})",
            "is not a plain file name"},
           {R"({"weight_map":{"a":"2.safetensors\u0000x"}})",
            "is not a plain file name"},
           {R"({"weight_map":{"a":"none.safetensors"}})",
            "none.safetensors: cannot be opened", MOERT_IO},
           {R"({"weight_map":{"a":"1.safetensors"}})",
            "1.safetensors: has no tensor 'a'"},
           {R"({"weight_map":{},"x":[[[[1]]]]})", "nests deeper than 4"}}) {
    index(bad.text);
    Failure failure = open();
    EXPECT_EQ(failure.status(), bad.status) << failure.message();
    EXPECT_NE(failure.message().find(bad.message), std::string::npos)
        << failure.message();
  }
}

TEST_F(Sharded, LinksMayNotLeadOut) {
  Folder other;
  test::writeFile(other / "o.safetensors",
                  test::safetensors({{"a", {1}, {3}}}));
  std::filesystem::create_symlink(other / "o.safetensors",
                                  folder / "out.safetensors");
  std::filesystem::create_symlink("2.safetensors", folder / "in.safetensors");
  index(R"({"weight_map":{"a":"out.safetensors"}})");
  EXPECT_NE(open().message().find("is a symbolic link out of its directory"),
            std::string::npos);
  index(R"({"weight_map":{"a":"in.safetensors"}})");
  EXPECT_EQ(open().message(), "");
}

TEST(Param, StackAxes) {
  auto axes = stackAxes("l.{layer:12}.e.{expert}.w", "t");
  ASSERT_EQ(axes.size(), 2u);
  EXPECT_EQ(axes[0].name, "layer");
  EXPECT_EQ(axes[0].begin, 12);
  EXPECT_EQ(axes[1].name, "expert");
  EXPECT_EQ(axes[1].begin, 0);
  EXPECT_TRUE(stackAxes("plain", "t").empty());
  for (const char *bad : {"{", "}", "a{}b", "{:3}", "{a:}", "{a:x}", "{a:-1}",
                          "{a:9999999999}", "{a{b}}", "{a}}"})
    EXPECT_FAILURE(stackAxes(bad, "t"), MOERT_MALFORMED, "t: param name");
}

TEST(Param, Stacks) {
  Folder folder;
  std::vector<test::FloatTensor> tensors;
  for (int layer = 1; layer < 3; ++layer)
    for (int expert = 0; expert < 3; ++expert)
      tensors.push_back({fmt::format("m.{}.e{}.w", layer, expert),
                         {2},
                         {float(layer * 100 + expert * 10),
                          float(layer * 100 + expert * 10 + 1)}});
  test::writeFile(folder / "a.safetensors", test::safetensors(tensors));
  Checkpoint checkpoint(folder / "a.safetensors");
  Array stacked =
      readParam(checkpoint, param("{layer:1}.e{expert}.w", {2, 3, 2}), "m.");
  for (int i = 0; i < 12; ++i)
    EXPECT_EQ(stacked.element(i), (i / 6 + 1) * 100 + i / 2 % 3 * 10 + i % 2);
  EXPECT_EQ(
      readParam(checkpoint, param("{layer:1}.e{expert}.w", {0, 3, 2}), "m.")
          .count(),
      0);
  EXPECT_FAILURE(
      readParam(checkpoint, param("{layer:1}.e{expert}.w", {2, 4, 2}), "m."),
      MOERT_MALFORMED, "has no tensor 'm.1.e3.w'; the closest name is 'm.1.e");
  EXPECT_FAILURE(
      readParam(checkpoint,
                param("{layer:1}.e{expert}.w", {int64_t(1) << 40, 3, 2}), "m."),
      MOERT_MALFORMED, "has no tensor 'm.3.e0.w'");
}

TEST(Param, WrongTypeNamesBoth) {
  Folder folder;
  std::string path = folder / "a.safetensors";
  test::writeFile(
      path,
      test::safetensors(
          R"({"f8":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[2,14]}})",
          std::string(14, 0)));
  Checkpoint checkpoint(path);
  EXPECT_EQ(readParam(checkpoint, param("w", {2, 3}, MOERT_BF16), "").count(),
            6);
  EXPECT_FAILURE(readParam(checkpoint, param("w", {3, 2}, MOERT_BF16), ""),
                 MOERT_MALFORMED,
                 path + ": tensor 'w' is 2x3xbf16, the model wants 3x2xbf16");
  EXPECT_FAILURE(readParam(checkpoint, param("w", {2, 3}, MOERT_F16), ""),
                 MOERT_MALFORMED, "is 2x3xbf16, the model wants 2x3xf16");
  EXPECT_FAILURE(readParam(checkpoint, param("w", {2, 3, 1}, MOERT_BF16), ""),
                 MOERT_MALFORMED, "wants 2x3x1xbf16");
  EXPECT_FAILURE(readParam(checkpoint, param("f8", {2}, MOERT_U8), ""),
                 MOERT_MALFORMED, "is 2xF8_E4M3, the model wants 2xu8");
  EXPECT_FAILURE(readTensor(checkpoint, "f8"), MOERT_MALFORMED,
                 "which no model can use");
}

TEST(Param, MissingNamesTheClosest) {
  Folder folder;
  test::writeFile(
      folder / "a.safetensors",
      test::safetensors({{"model.layers.0.mlp.gate.weight", {1}, {1}},
                         {"model.layers.0.mlp.up.weight", {1}, {1}},
                         {"zzz{", {1}, {5}}}));
  Checkpoint checkpoint(folder / "a.safetensors");
  EXPECT_FAILURE(readTensor(checkpoint, "model.layers.0.mlp.gaet.weight"),
                 MOERT_MALFORMED,
                 "has no tensor 'model.layers.0.mlp.gaet.weight'; the closest "
                 "name is 'model.layers.0.mlp.gate.weight'");
  EXPECT_FAILURE(readParam(checkpoint, param("gate.weight", {1}), ""),
                 MOERT_MALFORMED,
                 "there is 'model.layers.0.mlp.gate.weight': is the prefix "
                 "'model.layers.0.mlp.'?");
  EXPECT_FAILURE(readParam(checkpoint, param("gate.weight", {1}), "mlp."),
                 MOERT_MALFORMED, "is the prefix 'model.layers.0.mlp.'?");
  EXPECT_FAILURE(readTensor(checkpoint, "q"), MOERT_MALFORMED,
                 "it has 3 other tensors");
  EXPECT_EQ(readTensor(checkpoint, "zzz{").element(0), 5);
}

TEST(Param, BooleansAreChecked) {
  Folder folder;
  test::writeFile(
      folder / "a.safetensors",
      test::safetensors(
          R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})",
          std::string("\0\1\2", 3)));
  EXPECT_FAILURE(readTensor(Checkpoint(folder / "a.safetensors"), "m"),
                 MOERT_MALFORMED,
                 "tensor 'm': element 2 of type bool is the byte 2");
}

} // namespace
