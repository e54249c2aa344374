// The C interface from end to end on the hand-written artefact.
#include "Support.h"
#include "runtime/Cpu.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <thread>

using test::Folder;

namespace {

struct Handles {
  ~Handles() {
    moert_session_close(session);
    moert_weights_close(weights);
    moert_module_close(module);
  }
  moert_module *module = nullptr;
  moert_weights *weights = nullptr;
  moert_session *session = nullptr;
};

moert_tensor tensor(void *data, std::vector<int64_t> shape,
                    int32_t dtype = MOERT_F32) {
  moert_tensor made = {};
  made.data = data;
  made.rank = static_cast<int32_t>(shape.size());
  made.dtype = dtype;
  std::copy(shape.begin(), shape.end(), made.shape);
  return made;
}

class Session : public testing::Test {
protected:
  Session() {
    unsetenv("MOE_CPU");
    if (moert::supportedLevels().empty())
      skipped = true;
  }
  void SetUp() override {
    if (skipped)
      GTEST_SKIP() << "this CPU has no supported level";
  }

  moert_status
  create(const std::string &json = test::description(),
         const std::string &prefix = "", moert_options options = {},
         const std::vector<test::FloatTensor> &weights = test::mixWeights()) {
    made.reset(); // before its file changes under it
    test::writeArtefact(folder / "a.so", json);
    test::writeFile(folder / "w.safetensors", test::safetensors(weights));
    made = std::make_unique<Handles>();
    if (moert_module_open((folder / "a.so").c_str(), &made->module, &error) !=
        MOERT_OK)
      return error.status;
    if (moert_weights_open((folder / "w.safetensors").c_str(), &made->weights,
                           &error) != MOERT_OK)
      return error.status;
    options.prefix = prefix.c_str();
    return moert_session_create(made->module, made->weights, &options,
                                &made->session, &error);
  }

  moert_status invoke(int64_t tokens, std::vector<float> &z, float y = 1) {
    return invoke(made->session, tokens, z, error, y);
  }
  static moert_status invoke(moert_session *session, int64_t tokens,
                             std::vector<float> &z, moert_error &error,
                             float y = 1) {
    std::vector<float> x(tokens * 4, 2), ys(tokens, y);
    z.assign(tokens * 4, -1);
    moert_tensor inputs[] = {tensor(x.data(), {tokens, 4}),
                             tensor(ys.data(), {tokens})};
    moert_tensor results[] = {tensor(z.data(), {tokens, 4})};
    return moert_session_invoke(session, inputs, results, &error);
  }

  bool says(const char *text) const {
    return std::string(error.message).find(text) != std::string::npos;
  }
#define EXPECT_SAYS(text) EXPECT_TRUE(says(text)) << error.message

  bool skipped = false;
  Folder folder;
  std::unique_ptr<Handles> made;
  moert_error error = {};
};

TEST_F(Session, PreparesAndRuns) {
  std::vector<std::pair<int64_t, int64_t>> progress;
  moert_options options = {};
  options.threads = 2;
  options.progress = [](void *data, int64_t done, int64_t total) {
    static_cast<std::vector<std::pair<int64_t, int64_t>> *>(data)->emplace_back(
        done, total);
  };
  options.progress_data = &progress;
  ASSERT_EQ(create(test::description(), "", options), MOERT_OK)
      << error.message;
  EXPECT_STREQ(error.message, "");
  EXPECT_EQ(moert_session_threads(made->session), 2);
  EXPECT_EQ(moert_session_constant_bytes(made->session), 32);
  ASSERT_FALSE(progress.empty());
  EXPECT_EQ(progress.back(), (std::pair<int64_t, int64_t>(64, 64)));
  EXPECT_STREQ(moert_session_unused(made->session, 0), "extra");
  EXPECT_EQ(moert_session_unused(made->session, 1), nullptr);

  std::vector<float> z;
  ASSERT_EQ(invoke(2, z), MOERT_OK) << error.message;
  EXPECT_EQ(z, (std::vector<float>{2 + 111, 4 + 20, 6 + 300, 8, 2 + 111, 4 + 20,
                                   6 + 300, 8}));
  ASSERT_EQ(invoke(1000, z, 0), MOERT_OK) << error.message;
  EXPECT_EQ(z[3999], 8);
  EXPECT_EQ(moert_session_workspace_bytes(made->session), 64 + 16000);
  ASSERT_EQ(invoke(0, z), MOERT_OK) << error.message;
}

TEST_F(Session, DescribesFunctions) {
  ASSERT_EQ(create(), MOERT_OK) << error.message;
  EXPECT_STREQ(moert_module_producer(made->module), "by hand");
  EXPECT_EQ(moert_module_function_count(made->module), 1);
  moert_function_info info;
  ASSERT_EQ(moert_function_describe(made->module, 0, &info, &error), MOERT_OK);
  EXPECT_STREQ(info.name, "mix");
  EXPECT_EQ(info.inputs, 2);
  EXPECT_EQ(info.params, 2);
  moert_type type;
  ASSERT_EQ(moert_function_input(made->module, 0, 0, &type, &error), MOERT_OK);
  EXPECT_EQ(type.shape[0], -1);
  EXPECT_STREQ(type.symbols[0], "d0");
  EXPECT_EQ(type.shape[1], 4);
  EXPECT_EQ(type.symbols[1], nullptr);
  const char *name;
  ASSERT_EQ(moert_function_param(made->module, 0, 1, &name, &type, &error),
            MOERT_OK);
  EXPECT_STREQ(name, "experts.{expert}.w");
  moert_routing_info routing;
  ASSERT_EQ(moert_function_routing(made->module, 0, 0, &routing, &error),
            MOERT_OK);
  EXPECT_EQ(routing.experts, 3);
  EXPECT_EQ(moert_function_describe(made->module, 1, &info, &error),
            MOERT_USAGE);
  EXPECT_EQ(moert_function_input(made->module, 0, 2, &type, &error),
            MOERT_USAGE);
  EXPECT_SAYS("function 'mix' has no input 2; it has 2");
  EXPECT_EQ(moert_function_result(made->module, -1, 0, &type, nullptr),
            MOERT_USAGE);
  int32_t index;
  EXPECT_EQ(moert_module_find_function(made->module, "nix", &index, &error),
            MOERT_USAGE);
}

TEST_F(Session, ForksShareConstants) {
  ASSERT_EQ(create(), MOERT_OK) << error.message;
  moert_module_close(made->module); // sessions outlive their module
  moert_weights_close(made->weights);
  made->module = nullptr;
  made->weights = nullptr;
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 8; ++i) {
    moert_session *fork;
    ASSERT_EQ(moert_session_fork(made->session, &fork, &error), MOERT_OK);
    threads.emplace_back([fork, i, &wrong] {
      moert_error ownError;
      std::vector<float> z;
      for (int request = 0; request < 1000; ++request) {
        float y = static_cast<float>((i + request) % 5);
        if (invoke(fork, 1 + request % 7, z, ownError, y) != MOERT_OK ||
            z[0] != 2 + 111 * y)
          ++wrong;
      }
      moert_session_close(fork);
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

/// Two traced tensors of "mix", for some tokens.
struct Traced {
  explicit Traced(size_t tokens) : ids(tokens, 7), weights(tokens, 7) {}
  std::vector<int32_t> ids;
  std::vector<float> weights;
};

TEST_F(Session, RecordsAndReplacesRoutings) {
  moert_options options = {};
  options.collect_loads = 1;
  ASSERT_EQ(create(test::description(), "", options), MOERT_OK)
      << error.message;
  moert_function_info info;
  ASSERT_EQ(moert_function_describe(made->module, 0, &info, &error), MOERT_OK);
  ASSERT_EQ(info.traced, 2);
  moert_traced_info traced;
  ASSERT_EQ(moert_function_traced(made->module, 0, 0, &traced, &error),
            MOERT_OK);
  EXPECT_EQ(traced.dtype, MOERT_I32);
  EXPECT_EQ(traced.routing, 0);
  EXPECT_EQ(traced.slots, 1);
  EXPECT_EQ(moert_function_traced(made->module, 0, 2, &traced, &error),
            MOERT_USAGE);
  EXPECT_SAYS("function 'mix' has no traced tensor 2; it has 2");

  moert_tensor inputs[] = {tensor(nullptr, {4, 4}), tensor(nullptr, {4})};
  moert_tensor types[2];
  ASSERT_EQ(moert_session_traced_types(made->session, inputs, types, &error),
            MOERT_OK);
  EXPECT_EQ(types[1].dtype, MOERT_F32);
  EXPECT_EQ(types[1].shape[0], 4);
  EXPECT_EQ(types[1].shape[1], 1);

  Traced out(4), in(4);
  in.ids = {2, 2, -1, 0};
  in.weights = {1, 0.5, 0, 2};
  moert_trace traces[] = {{out.ids.data(), in.ids.data()},
                          {out.weights.data(), in.weights.data()}};
  ASSERT_EQ(moert_session_trace(made->session, traces, &error), MOERT_OK);
  std::vector<float> z;
  ASSERT_EQ(invoke(4, z, 0), MOERT_OK) << error.message;
  EXPECT_EQ(out.ids, (std::vector<int32_t>{0, 1, 2, 0})); // as computed
  EXPECT_EQ(out.weights, (std::vector<float>{1, 1, 1, 1}));
  EXPECT_EQ((std::vector<float>{z[0], z[4], z[8], z[12]}),
            (std::vector<float>{2, 1, 0, 4}));
  const int64_t *loads = moert_session_loads(made->session, 0);
  EXPECT_EQ(std::vector<int64_t>(loads, loads + 3),
            (std::vector<int64_t>{1, 0, 2}));

  for (auto [id, message] :
       {std::pair(3, "routing 0 of 'mix': token 1 is given expert 3, wanted -1 "
                     "to 2"),
        {-2, "token 1 is given expert -2"}}) {
    in.ids[1] = id;
    EXPECT_EQ(invoke(4, z, 0), MOERT_USAGE);
    EXPECT_SAYS(message);
  }
  ASSERT_EQ(moert_session_trace(made->session, nullptr, &error), MOERT_OK);
  ASSERT_EQ(invoke(4, z, 0), MOERT_OK) << error.message;
  EXPECT_EQ(z[4], 2);
}

TEST_F(Session, RefusesAnExpertTwiceInARow) {
  ASSERT_EQ(create(test::description(
                {{"\"shape\":[\"d0\",1],\"times\":1,\"routing\":0}",
                  "\"shape\":[\"d0\",2],\"times\":1,\"routing\":0}"}})),
            MOERT_OK)
      << error.message;
  std::vector<int32_t> ids = {0, 1, 2, 2};
  moert_trace traces[] = {{nullptr, ids.data()}, {nullptr, nullptr}};
  ASSERT_EQ(moert_session_trace(made->session, traces, &error), MOERT_OK);
  std::vector<float> z;
  EXPECT_EQ(invoke(2, z), MOERT_USAGE);
  EXPECT_SAYS("token 1 is given expert 2 twice");
  ids[3] = -1;
  EXPECT_EQ(invoke(2, z), MOERT_OK) << error.message;
}

TEST_F(Session, CountsLoads) {
  moert_options options = {};
  options.collect_loads = 1;
  ASSERT_EQ(create(test::description(), "", options), MOERT_OK)
      << error.message;
  std::vector<float> z;
  ASSERT_EQ(invoke(4, z), MOERT_OK);
  ASSERT_EQ(invoke(4, z), MOERT_OK);
  const int64_t *loads = moert_session_loads(made->session, 0);
  ASSERT_NE(loads, nullptr);
  EXPECT_EQ(std::vector<int64_t>(loads, loads + 3),
            (std::vector<int64_t>{4, 2, 2}));
  EXPECT_EQ(moert_session_slots(made->session, 0), 16);
  EXPECT_EQ(moert_session_slots(made->session, 1), 0);
  moert_session_reset_loads(made->session);
  EXPECT_EQ(loads[0], 0);
  EXPECT_EQ(moert_session_slots(made->session, 0), 0);
  EXPECT_EQ(moert_session_loads(made->session, 1), nullptr);
  ASSERT_EQ(create(), MOERT_OK);
  EXPECT_EQ(moert_session_loads(made->session, 0), nullptr);
  EXPECT_EQ(moert_session_slots(made->session, 0), 0);
}

TEST_F(Session, Prefix) {
  ASSERT_EQ(create(test::description(), "model.layers.0.", {},
                   test::mixWeights("model.layers.0.")),
            MOERT_OK);
  EXPECT_STREQ(moert_session_unused(made->session, 0), "model.layers.0.extra");
  EXPECT_EQ(
      create(test::description(), "", {}, test::mixWeights("model.layers.0.")),
      MOERT_MALFORMED);
  EXPECT_SAYS("has no tensor 'gate.weight'; there is "
              "'model.layers.0.gate.weight': is the prefix 'model.layers.0.'?");
  EXPECT_EQ(made->session, nullptr);
}

TEST_F(Session, WrongWeights) {
  auto weights = test::mixWeights();
  weights[2].name = "experts.1.v";
  EXPECT_EQ(create(test::description(), "", {}, weights), MOERT_MALFORMED);
  EXPECT_SAYS("has no tensor 'experts.1.w'; the closest name is 'experts.");
  weights = test::mixWeights();
  weights[0].shape = {2, 2};
  EXPECT_EQ(create(test::description(), "", {}, weights), MOERT_MALFORMED);
  EXPECT_SAYS("tensor 'gate.weight' is 2x2xf32, the model wants 4xf32");
  EXPECT_EQ(create(test::description(
                {{"\"name\":\"gate.weight\",\"dtype\":\"f32\"",
                  "\"name\":\"gate.weight\",\"dtype\":\"bf16\""}})),
            MOERT_MALFORMED);
  EXPECT_SAYS("tensor 'gate.weight' is 4xf32, the model wants 4xbf16");
  ASSERT_EQ(create(), MOERT_OK);
  moert_session *session;
  EXPECT_EQ(
      moert_session_create(made->module, nullptr, nullptr, &session, &error),
      MOERT_USAGE);
  EXPECT_SAYS("function 'mix' needs weights (2 params, the first is "
              "'gate.weight'), but none were given");
  EXPECT_EQ(session, nullptr);
}

TEST_F(Session, WrongInputs) {
  ASSERT_EQ(create(), MOERT_OK);
  float data[64] = {};
  moert_tensor results[] = {tensor(data, {4, 4})};
  auto status = [&](moert_tensor first, moert_tensor second) {
    moert_tensor inputs[] = {first, second};
    return moert_session_invoke(made->session, inputs, results, &error);
  };
  EXPECT_EQ(status(tensor(data, {4, 4}), tensor(data, {4})), MOERT_OK)
      << error.message;
  EXPECT_EQ(status(tensor(data, {4, 4}), tensor(data, {5})), MOERT_USAGE);
  EXPECT_SAYS("input 1 of 'mix': dimension 0 is 5, but dimension 0 of input 0 "
              "is 4, and both are 'd0'");
  EXPECT_EQ(status(tensor(data, {4, 5}), tensor(data, {4})), MOERT_USAGE);
  EXPECT_SAYS("input 0 of 'mix' is 4x5xf32, wanted d0x4xf32");
  EXPECT_EQ(status(tensor(data, {16}), tensor(data, {4})), MOERT_USAGE);
  EXPECT_SAYS("input 0 of 'mix' is 16xf32, wanted d0x4xf32");
  EXPECT_EQ(status(tensor(data, {4, 4}, MOERT_F64), tensor(data, {4})),
            MOERT_USAGE);
  EXPECT_SAYS("is 4x4xf64, wanted d0x4xf32");
  EXPECT_EQ(status(tensor(data, {4, 4}, 77), tensor(data, {4})), MOERT_USAGE);
  EXPECT_EQ(status(tensor(data, {-4, 4}), tensor(data, {4})), MOERT_USAGE);
  moert_tensor huge = tensor(data, {4, 4});
  huge.rank = 9;
  EXPECT_EQ(status(huge, tensor(data, {4})), MOERT_USAGE);
  EXPECT_SAYS("is of rank 9");
  EXPECT_EQ(status(tensor(nullptr, {4, 4}), tensor(data, {4})), MOERT_USAGE);
  EXPECT_SAYS("input 0 of 'mix' has no data");
  EXPECT_EQ(status(tensor(reinterpret_cast<char *>(data) + 2, {4, 4}),
                   tensor(data, {4})),
            MOERT_USAGE);
  EXPECT_SAYS("is not aligned");
  results[0] = tensor(data, {3, 4});
  EXPECT_EQ(status(tensor(data, {4, 4}), tensor(data, {4})), MOERT_USAGE);
  EXPECT_SAYS("result 0 of 'mix' is 3x4xf32, wanted 4x4xf32");
}

TEST_F(Session, WhatDoesNotFitMemory) {
  ASSERT_EQ(create(), MOERT_OK);
  std::vector<float> z;
  EXPECT_EQ(invoke(77, z), MOERT_MEMORY);
  EXPECT_SAYS("'mix' on inputs 77x4xf32, 77xf32 would need more than");
  EXPECT_EQ(invoke(99, z), MOERT_MEMORY);
  EXPECT_SAYS("'mix' on inputs 99x4xf32, 99xf32 would need 99.0 TiB");
  EXPECT_SAYS("are available");
  ASSERT_EQ(invoke(3, z), MOERT_OK)
      << "a session is usable after a failure: " << error.message;
  int64_t tokens = int64_t(1) << 60;
  moert_tensor inputs[] = {tensor(nullptr, {tokens, 4}),
                           tensor(nullptr, {tokens})};
  moert_tensor results[1];
  EXPECT_EQ(moert_session_result_types(made->session, inputs, results, &error),
            MOERT_MEMORY);
  EXPECT_SAYS("has more than 2^63 bytes");
  EXPECT_EQ(
      create(test::description(
          {{"\"avx2\":[16]", "\"avx2\":[1125899906842624]"},
           {"\"avx512\":[16]", "\"avx512\":[1125899906842624]"},
           {"\"avx512bf16\":[16]", "\"avx512bf16\":[1125899906842624]"}})),
      MOERT_MEMORY);
  EXPECT_SAYS("preparing the weights of 'mix' would need 1.0 PiB");
}

TEST_F(Session, NumbersHaveRankZero) {
  ASSERT_EQ(create(test::description({{"{\"dtype\":\"f32\",\"shape\":[\"d0\"]}",
                                       "{\"dtype\":\"i64\",\"shape\":[]}"}})),
            MOERT_OK)
      << error.message;
  moert_type type;
  ASSERT_EQ(moert_function_input(made->module, 0, 1, &type, &error), MOERT_OK);
  EXPECT_EQ(type.rank, 0);
  EXPECT_EQ(type.dtype, MOERT_I64);
  float x[4] = {1, 2, 3, 4}, z[4];
  int64_t number = 0;
  moert_tensor results[] = {tensor(z, {1, 4})};
  auto status = [&](moert_tensor second) {
    moert_tensor inputs[] = {tensor(x, {1, 4}), second};
    return moert_session_invoke(made->session, inputs, results, &error);
  };
  EXPECT_EQ(status(tensor(&number, {}, MOERT_I64)), MOERT_OK) << error.message;
  EXPECT_EQ(status(tensor(&number, {1}, MOERT_I64)), MOERT_USAGE);
  EXPECT_SAYS("input 1 of 'mix' is 1xi64, wanted i64");
  EXPECT_EQ(status(tensor(&number, {}, MOERT_F32)), MOERT_USAGE);
  EXPECT_SAYS("input 1 of 'mix' is f32, wanted i64");
  EXPECT_EQ(status(tensor(nullptr, {}, MOERT_I64)), MOERT_USAGE);
  EXPECT_SAYS("input 1 of 'mix' has no data");
}

TEST_F(Session, RowsOfResults) {
  auto rows = [&](const char *size) {
    return create(test::description(
        {{"\"results\":[ {\"dtype\":\"f32\",\"shape\":[\"d0\"",
          std::string("\"results\":[ {\"dtype\":\"f32\",\"shape\":[") +
              size}}));
  };
  // As many as the inputs say.
  ASSERT_EQ(rows("{\"of\":\"d0\",\"factor\":3,\"divisor\":2,\"times\":2,"
                 "\"more\":5}"),
            MOERT_OK)
      << error.message;
  moert_type type;
  ASSERT_EQ(moert_function_result(made->module, 0, 0, &type, &error), MOERT_OK);
  EXPECT_EQ(type.shape[0], -1);
  EXPECT_STREQ(type.symbols[0], "3*d0/2*2+5");
  std::vector<float> x(12, 2), y(3, 1), z(13 * 4);
  moert_tensor inputs[] = {tensor(x.data(), {3, 4}), tensor(y.data(), {3})};
  moert_tensor results[] = {tensor(z.data(), {3, 4})};
  auto invoke = [&] {
    return moert_session_invoke(made->session, inputs, results, &error);
  };
  EXPECT_EQ(invoke(), MOERT_USAGE);
  EXPECT_SAYS("result 0 of 'mix' is 3x4xf32, wanted 13x4xf32");
  results[0].shape[0] = 13;
  EXPECT_EQ(invoke(), MOERT_OK) << error.message;
  EXPECT_EQ(moert_session_result(made->session, 0)->shape[0], 13);
  EXPECT_EQ(moert_session_result(made->session, 1), nullptr);
  EXPECT_EQ(moert_session_result(made->session, -1), nullptr);
  int64_t tokens = int64_t(1) << 56;
  moert_tensor many[] = {tensor(nullptr, {tokens, 4}),
                         tensor(nullptr, {tokens})};
  EXPECT_EQ(moert_session_result_types(made->session, many, results, &error),
            MOERT_MEMORY);
  EXPECT_SAYS("result 0 of 'mix' of type 216172782113783813x4xf32 would have "
              "more than 2^63 bytes");
  // As many as the data say.
  ASSERT_EQ(rows("{\"most\":\"d0\"}"), MOERT_OK) << error.message;
  ASSERT_EQ(moert_function_result(made->module, 0, 0, &type, &error), MOERT_OK);
  EXPECT_STREQ(type.symbols[0], "at most d0");
  results[0] = tensor(z.data(), {3, 4});
  ASSERT_EQ(invoke(), MOERT_OK) << error.message;
  EXPECT_EQ(moert_session_result(made->session, 0)->shape[0], 3);
  y[1] = -3000;
  ASSERT_EQ(invoke(), MOERT_OK) << error.message;
  EXPECT_EQ(moert_session_result(made->session, 0)->shape[0], 1);
  y[1] = 0;
  ASSERT_EQ(invoke(), MOERT_OK) << error.message;
  EXPECT_EQ(moert_session_result(made->session, 0)->shape[0], 3);
}

TEST_F(Session, ErrorsOfTheModel) {
  ASSERT_EQ(create(), MOERT_OK);
  std::vector<float> z;
  EXPECT_EQ(invoke(1, z, -1000), MOERT_RUN_ERROR);
  EXPECT_SAYS("'mix': index 0 is outside [0, 3)");
  EXPECT_EQ(invoke(1, z, -2000), MOERT_RUN_ERROR);
  EXPECT_SAYS("'mix': failed with code 99");
  EXPECT_EQ(create(test::description(
                {{"\"shape\":[3,4],\"stack\"", "\"shape\":[2,4],\"stack\""}})),
            MOERT_RUN_ERROR);
  EXPECT_SAYS("'experts.{expert}.w': failed with code 98");
}

TEST_F(Session, MissingCode) {
  EXPECT_EQ(create(test::description(
                {{"\"entry\":\"moe_mix\"", "\"entry\":\"moe_mux\""}})),
            MOERT_MALFORMED);
  EXPECT_SAYS("its description names 'moe_mux_");
  EXPECT_EQ(create(test::description({{"\"workspace\":\"moe_mix_workspace\"",
                                       "\"workspace\":\"moe_none\""}})),
            MOERT_MALFORMED);
  EXPECT_EQ(create(test::description({{"\"symbol\":\"moe_mix_prepare0\"",
                                       "\"symbol\":\"moe_none\""}})),
            MOERT_MALFORMED);
}

TEST_F(Session, Levels) {
  std::vector<std::string_view> supported = moert::supportedLevels();
  ASSERT_EQ(create(), MOERT_OK);
  std::string_view best;
  for (std::string_view level : {"avx2", "avx512", "avx512bf16"})
    if (std::ranges::count(supported, level) &&
        (level != "avx512bf16" || !moert::hasAmx()))
      best = level;
  EXPECT_EQ(moert_session_level(made->session), best);
  for (const char *level : {"avx2", "avx512", "avx512bf16"}) {
    bool here = std::ranges::find(supported, std::string_view(level)) !=
                supported.end();
    setenv("MOE_CPU", level, 1);
    EXPECT_EQ(create(), here ? MOERT_OK : MOERT_NO_DEVICE) << error.message;
    if (here) {
      EXPECT_STREQ(moert_session_level(made->session), level);
      std::vector<float> z;
      EXPECT_EQ(invoke(2, z), MOERT_OK);
    }
  }
  setenv("MOE_CPU", "mmx", 1);
  EXPECT_EQ(create(), MOERT_USAGE);
  EXPECT_SAYS("unknown instruction set level 'mmx'");
  moert_options options = {};
  options.level = "avx2"; // an option beats the environment
  EXPECT_EQ(create(test::description(), "", options), MOERT_OK);
  unsetenv("MOE_CPU");
  EXPECT_EQ(create(test::description(
                {{"\"levels\":[\"avx2\",\"avx512\",\"avx512bf16\"]",
                  "\"levels\":[\"avx9\"]"},
                 {"\"avx2\":[16]", "\"avx9\":[16]"}})),
            MOERT_NO_DEVICE);
  EXPECT_SAYS("the artefact has code for the levels 'avx9', this CPU supports");
}

TEST_F(Session, BadOptions) {
  moert_options options = {};
  options.threads = 5000;
  EXPECT_EQ(create(test::description(), "", options), MOERT_USAGE);
  EXPECT_SAYS("5000 threads; wanted 1 to 4096, or 0 for all");
  options.threads = -1;
  EXPECT_EQ(create(test::description(), "", options), MOERT_USAGE);
  options = {};
  options.function = 3;
  EXPECT_EQ(create(test::description(), "", options), MOERT_USAGE);
  EXPECT_SAYS("has no function 3; it has 1");
}

TEST_F(Session, LongMessagesAreCutBetweenCharacters) {
  std::string path = "/none/";
  for (int i = 0; i < 2000; ++i)
    path += "\xc3\xa9";
  moert_module *module;
  EXPECT_NE(moert_module_open(path.c_str(), &module, &error), MOERT_OK);
  size_t length = std::strlen(error.message);
  EXPECT_LT(length, sizeof(error.message));
  EXPECT_GT(length, sizeof(error.message) - 4);
  EXPECT_EQ((length - 6) % 2, 0u);
}

} // namespace
