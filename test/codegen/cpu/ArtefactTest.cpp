// A compiled model in the runtime: no allocation in the steady state, the same
// bits for any number of threads, sessions side by side, and its symbols.
#include "test/runtime/Allocations.h"
#include "test/runtime/Support.h"

#include "runtime/Cpu.h"
#include "runtime/moert.h"

#include <cstdlib>
#include <elf.h>
#include <set>
#include <thread>

using test::Folder;

namespace {

constexpr int64_t kExperts = 5, kWidth = 24, kInner = 40;

/// One layer, top 2 of 5 experts, in the type `!e`.
constexpr const char *kModel = R"(
!x = tensor<?x24x!e>
!s = tensor<?x5xf32>
!h = tensor<?x40x!e>
!u = tensor<5x40x24x!e>
!d = tensor<5x24x40x!e>
!r = !moe.routing<5, top 2>
func.func @layer(%x: !x, %m: !moe.scope) -> !x {
  %g = moe.param %m "gate" : tensor<5x24xf32>
  %w1 = moe.param %m "w1" : !u
  %w3 = moe.param %m "w3" : !u
  %w2 = moe.param %m "w2" : !d
  %l = moe.linear %x, %g : (!x, tensor<5x24xf32>) -> !s
  %s = moe.softmax %l : !s
  %c = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %c by sum : !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %w1, %up = %w3, %down = %w2) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate : (!x, tensor<40x24x!e>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<40x24x!e>) -> !h
    %p = moe.silu %a : !h
    %h = arith.mulf %p, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<24x40x!e>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}
)";

struct Type {
  const char *name;
  const char *header; // in .safetensors
  int64_t bytes;
  int32_t dtype;
};
constexpr Type kTypes[] = {{"f32", "F32", 4, MOERT_F32},
                           {"bf16", "BF16", 2, MOERT_BF16}};

/// Reproducible values in (-1, 1), of either type.
std::string values(const Type &type, int64_t count, uint32_t seed) {
  std::string bytes;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525 + 1013904223;
    float value = static_cast<int32_t>(seed) * 0x1p-31f;
    const char *data = reinterpret_cast<const char *>(&value);
    bytes.append(data + 4 - type.bytes, type.bytes); // bf16: the upper half
  }
  return bytes;
}

/// The model compiled in one type, and its weights; made once in the program.
class Layer {
public:
  static const Layer &of(const Type &type) {
    static Layer f32(kTypes[0]), bf16(kTypes[1]);
    return type.dtype == MOERT_F32 ? f32 : bf16;
  }
  ~Layer() {
    moert_weights_close(weights);
    moert_module_close(module);
  }

  const Type &type;
  Folder folder;
  std::string path;
  moert_module *module = nullptr;
  moert_weights *weights = nullptr;

private:
  explicit Layer(const Type &type) : type(type), path(folder / "layer.so") {
    std::string model = kModel;
    for (size_t at; (at = model.find("!e")) != std::string::npos;)
      model.replace(at, 2, type.name);
    test::writeFile(folder / "layer.mlir", model);
    std::string command =
        MOE_COMPILE " '" + folder / "layer.mlir" + "' -o '" + path + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    std::string header = "{", data;
    auto add = [&](const char *name, const Type &type, const char *shape,
                   int64_t count) {
      std::string bytes = values(type, count, data.size() + 1);
      header += (header.size() > 1 ? ",\"" : "\"") + std::string(name) +
                "\":{\"dtype\":\"" + type.header + "\",\"shape\":[" + shape +
                "],\"data_offsets\":[" + std::to_string(data.size()) + "," +
                std::to_string(data.size() + bytes.size()) + "]}";
      data += bytes;
    };
    add("gate", kTypes[0], "5,24", kExperts * kWidth);
    add("w1", type, "5,40,24", kExperts * kInner * kWidth);
    add("w3", type, "5,40,24", kExperts * kInner * kWidth);
    add("w2", type, "5,24,40", kExperts * kInner * kWidth);
    test::writeFile(folder / "w.safetensors",
                    test::safetensors(header + "}", data));
    moert_error error = {};
    EXPECT_EQ(moert_module_open(path.c_str(), &module, &error), MOERT_OK)
        << error.message;
    EXPECT_EQ(moert_weights_open((folder / "w.safetensors").c_str(), &weights,
                                 &error),
              MOERT_OK)
        << error.message;
  }
};

class Session {
public:
  Session(const Layer &layer, int32_t threads) : layer(layer) {
    moert_options options = {};
    options.threads = threads;
    moert_error error = {};
    EXPECT_EQ(moert_session_create(layer.module, layer.weights, &options,
                                   &session, &error),
              MOERT_OK)
        << error.message;
  }
  ~Session() { moert_session_close(session); }
  Session(const Session &) = delete;

  /// Empty after an error.
  void invoke(int64_t tokens, const std::string &input, std::string &output) {
    moert_tensor x = {}, y = {};
    x.data = const_cast<char *>(input.data());
    x.rank = 2;
    x.shape[0] = tokens;
    x.shape[1] = kWidth;
    x.dtype = layer.type.dtype;
    y = x;
    y.data = output.data();
    moert_error error = {};
    if (moert_session_invoke(session, &x, &y, &error) != MOERT_OK)
      output.clear();
  }

  std::string run(int64_t tokens, uint32_t seed) {
    std::string output(tokens * kWidth * layer.type.bytes, '\x7f');
    invoke(tokens, values(layer.type, tokens * kWidth, seed), output);
    return output;
  }

private:
  const Layer &layer;
  moert_session *session = nullptr;
};

class ArtefactTest : public testing::TestWithParam<Type> {
protected:
  void SetUp() override {
    if (moert::supportedLevels().empty())
      GTEST_SKIP() << "this CPU has no supported level";
  }
};

TEST_P(ArtefactTest, AllocatesNothingInTheSteadyState) {
  if (!allocations::counted())
    GTEST_SKIP() << "the sanitizer has a malloc of its own";
  const Layer &layer = Layer::of(GetParam());
  int64_t start = allocations::countOfAllThreads();
  Session session(layer, 2);
  EXPECT_GT(allocations::countOfAllThreads(), start); // the hook works
  constexpr int64_t tokens = 33;
  std::string input = values(GetParam(), tokens * kWidth, 7);
  std::string output(input.size(), '\0');
  session.invoke(tokens, input, output);
  ASSERT_EQ(output.size(), input.size());
  int64_t before = allocations::countOfAllThreads();
  for (int i = 0; i < 100; ++i)
    session.invoke(tokens, input, output);
  EXPECT_EQ(allocations::countOfAllThreads(), before);
  ASSERT_EQ(output.size(), input.size());
}

TEST_P(ArtefactTest, ThreadsDoNotChangeABit) {
  for (int64_t tokens : {0, 1, 2, 7, 64}) {
    std::string want = Session(Layer::of(GetParam()), 1).run(tokens, 3);
    EXPECT_EQ(want.find(std::string(8, '\x7f')), std::string::npos);
    for (int32_t threads = 2; threads <= 8; ++threads) {
      Session session(Layer::of(GetParam()), threads);
      for (int turn = 0; turn < 3; ++turn)
        EXPECT_TRUE(session.run(tokens, 3) == want)
            << tokens << " tokens, " << threads << " threads";
    }
  }
}

TEST_P(ArtefactTest, SessionsRunSideBySide) {
  constexpr int kClients = 8, kRequests = 50;
  const Layer &layer = Layer::of(GetParam());
  auto tokensOf = [](int request) { return int64_t(request * 5 % 23); };
  std::vector<std::string> want;
  {
    Session session(layer, 1);
    for (int request = 0; request < kRequests; ++request)
      want.push_back(session.run(tokensOf(request), request));
  }
  std::vector<int> wrong(kClients, 0);
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client)
    clients.emplace_back([&, client] {
      Session session(layer, 1 + client % 2);
      for (int i = 0; i < kRequests; ++i) {
        int request = (i + client * 7) % kRequests; // not in step
        wrong[client] +=
            session.run(tokensOf(request), request) != want[request];
      }
    });
  for (std::thread &client : clients)
    client.join();
  EXPECT_EQ(wrong, std::vector<int>(kClients, 0));
}

TEST_P(ArtefactTest, ExportsAndNeedsOnlyWhatIsAllowed) {
  std::string file = test::readFile(Layer::of(GetParam()).path);
  auto *header = reinterpret_cast<const Elf64_Ehdr *>(file.data());
  auto *sections =
      reinterpret_cast<const Elf64_Shdr *>(file.data() + header->e_shoff);
  int exported = 0;
  for (int s = 0; s < header->e_shnum; ++s) {
    if (sections[s].sh_type != SHT_DYNSYM)
      continue;
    const char *names = file.data() + sections[sections[s].sh_link].sh_offset;
    auto *symbols = reinterpret_cast<const Elf64_Sym *>(file.data() +
                                                        sections[s].sh_offset);
    size_t count = sections[s].sh_size / sizeof(Elf64_Sym);
    for (size_t i = 1; i < count; ++i) {
      std::string name = names + symbols[i].st_name;
      if (symbols[i].st_shndx != SHN_UNDEF) {
        EXPECT_EQ(name.rfind("moe_", 0), 0u) << "exports " << name;
        ++exported;
        continue;
      }
      bool allowed = name.rfind("__kmpc_", 0) == 0 ||
                     name.rfind("omp_", 0) == 0 || name == "memcpy" ||
                     name == "memmove" || name == "memset" || name == "memcmp";
      EXPECT_TRUE(allowed) << "needs " << name;
    }
  }
  // Entry and workspace of each of three levels, at least.
  EXPECT_GE(exported, 6);
}

TEST(Compiler, WritesTheSameBytesTwice) {
  const Layer &layer = Layer::of(kTypes[1]);
  std::string again = layer.folder / "again.so";
  std::string command =
      MOE_COMPILE " '" + layer.folder / "layer.mlir" + "' -o '" + again + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_TRUE(test::readFile(again) == test::readFile(layer.path));
}

INSTANTIATE_TEST_SUITE_P(Types, ArtefactTest, testing::ValuesIn(kTypes),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

} // namespace
