// What the runtime's tests share, see Support.h.
#include "Support.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace test {

Folder::Folder() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "moe-test-XXXXXX").string();
  if (!mkdtemp(pattern.data()))
    throw std::runtime_error("no temporary folder");
  path = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::vector<std::string> Folder::files() const {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(path))
    names.push_back(entry.path().filename());
  return names;
}

void writeFile(const std::string &path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file)
    throw std::runtime_error("cannot write " + path);
}

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

std::string safetensors(std::string_view header, std::string_view data) {
  uint64_t length = header.size();
  std::string file(reinterpret_cast<const char *>(&length), 8);
  return file.append(header).append(data);
}

std::string safetensors(const std::vector<FloatTensor> &tensors) {
  std::string header, data;
  for (const FloatTensor &tensor : tensors) {
    std::string shape;
    for (int64_t size : tensor.shape)
      shape += fmt::format("{}{}", shape.empty() ? "" : ",", size);
    size_t begin = data.size();
    data.append(reinterpret_cast<const char *>(tensor.values.data()),
                tensor.values.size() * 4);
    header += fmt::format(
        R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
        header.empty() ? "" : ",", tensor.name, shape, begin, data.size());
  }
  return safetensors("{" + header + "}", data);
}

moert::Failure failureOf(const std::function<void()> &call) {
  try {
    call();
  } catch (const moert::Failure &failure) {
    return failure;
  }
  return {MOERT_OK, ""};
}

std::string description(
    std::initializer_list<std::pair<std::string_view, std::string_view>> edit) {
  std::string text =
      R"({ "producer":"by hand", "levels":["avx2","avx512","avx512bf16"],
  "functions":[ { "name":"mix",
    "inputs":[ {"dtype":"f32","shape":["d0",4]}, {"dtype":"f32","shape":["d0"]} ],
    "results":[ {"dtype":"f32","shape":["d0",4]} ],
    "params":[ {"name":"gate.weight","dtype":"f32","shape":[4],"stack":[]},
               {"name":"experts.{expert}.w","dtype":"f32","shape":[3,4],"stack":[{"name":"expert","begin":0}]} ],
    "constants":[ {"param":0}, {"step":0} ],
    "steps":[ {"symbol":"moe_mix_prepare0","params":[1],"results":[1],
               "bytes":{"avx2":[16],"avx512":[16],"avx512bf16":[16]}} ],
    "routings":[ {"experts":3,"choices":1} ],
    "traced":[ {"dtype":"i32","shape":["d0",1],"times":1,"routing":0},
               {"dtype":"f32","shape":["d0",1],"times":1,"routing":0} ],
    "entry":"moe_mix", "workspace":"moe_mix_workspace" } ] })";
  for (auto [from, to] : edit) {
    size_t at = text.find(from);
    if (at == std::string::npos)
      throw std::runtime_error("nothing to edit: " + std::string(from));
    text.replace(at, from.size(), to);
  }
  return text;
}

void writeArtefact(const std::string &path, std::string_view json,
                   uint32_t major, uint32_t minor) {
  std::string file = readFile(TEST_ARTEFACT);
  size_t at = file.find(std::string_view("MOEMLIR\0", 8));
  moert_meta_header header = {};
  std::memcpy(header.magic, MOERT_META_MAGIC, 8);
  header.major = major;
  header.minor = minor;
  header.json_length = json.size();
  file.replace(at, sizeof(header),
               std::string_view(reinterpret_cast<const char *>(&header),
                                sizeof(header)));
  file.replace(at + sizeof(header), json.size(), json);
  writeFile(path, file);
}

std::vector<FloatTensor> mixWeights(const std::string &prefix) {
  return {{prefix + "gate.weight", {4}, {1, 2, 3, 4}},
          {prefix + "experts.0.w", {4}, {1, 0, 0, 0}},
          {prefix + "experts.1.w", {4}, {10, 20, 0, 0}},
          {prefix + "experts.2.w", {4}, {100, 0, 300, 0}},
          {prefix + "extra", {1}, {7}}};
}

} // namespace test
