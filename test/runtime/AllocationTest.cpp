// Memory: a call in the steady state allocates nothing, and running out of it
// at any point is an error.
#include "Allocations.h"
#include "Support.h"
#include "runtime/Cpu.h"

using test::Folder;

namespace {

struct Everything {
  Everything(const Folder &folder)
      : artefact(folder / "a.so"), checkpoint(folder / "w.safetensors") {}
  ~Everything() {
    moert_session_close(session);
    moert_weights_close(weights);
    moert_module_close(module);
  }
  moert_status open() {
    moert_status status = moert_module_open(artefact.c_str(), &module, &error);
    if (status == MOERT_OK)
      status = moert_weights_open(checkpoint.c_str(), &weights, &error);
    moert_options options = {};
    options.threads = 2;
    options.collect_loads = 1;
    if (status == MOERT_OK)
      status =
          moert_session_create(module, weights, &options, &session, &error);
    return status;
  }
  moert_status invoke() {
    moert_tensor inputs[2] = {}, results[1] = {};
    inputs[0].data = x;
    inputs[0].rank = 2;
    inputs[0].shape[0] = 8;
    inputs[0].shape[1] = 4;
    inputs[1].data = y;
    inputs[1].rank = 1;
    inputs[1].shape[0] = 8;
    results[0] = inputs[0];
    results[0].data = z;
    return moert_session_invoke(session, inputs, results, &error);
  }

  std::string artefact, checkpoint;
  float x[32] = {}, y[8] = {}, z[32] = {};
  moert_module *module = nullptr;
  moert_weights *weights = nullptr;
  moert_session *session = nullptr;
  moert_error error = {};
};

class Allocation : public testing::Test {
protected:
  void SetUp() override {
    if (!allocations::counted())
      GTEST_SKIP() << "the sanitizer has a malloc of its own";
    if (moert::supportedLevels().empty())
      GTEST_SKIP() << "this CPU has no supported level";
    test::writeArtefact(folder / "a.so", test::description());
    test::writeFile(folder / "w.safetensors",
                    test::safetensors(test::mixWeights()));
  }
  Folder folder;
};

TEST_F(Allocation, NoneInTheSteadyState) {
  Everything all(folder);
  int64_t start = allocations::count();
  ASSERT_EQ(all.open(), MOERT_OK) << all.error.message;
  EXPECT_GT(allocations::count(), start); // the hook works
  ASSERT_EQ(all.invoke(), MOERT_OK) << all.error.message;
  int64_t before = allocations::count();
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(all.invoke(), MOERT_OK);
  EXPECT_EQ(allocations::count(), before);
}

TEST_F(Allocation, FailingAtAnyPointIsAnError) {
  int failures = 0;
  int unreachedRuns = 0; // some allocations may fail without harm
  for (int64_t skip = 0;; ++skip) {
    Everything all(folder);
    allocations::failAfter(skip);
    moert_status status = all.open();
    if (status == MOERT_OK)
      status = all.invoke();
    bool unreached = status == MOERT_OK;
    allocations::failAfter(-1);
    // The dynamic linker and the C library report a lack of memory in their own
    // words.
    EXPECT_TRUE(status == MOERT_OK || status == MOERT_MEMORY ||
                status == MOERT_RUN_ERROR || status == MOERT_IO)
        << status << ": " << all.error.message;
    failures += status != MOERT_OK;
    if (unreached && failures > 0 && ++unreachedRuns > 50)
      break;
  }
  EXPECT_GT(failures, 50);
}

} // namespace
