// Rows of NaN, infinities, denormals and ties, and what must hold for the
// answers of every level to them.

#ifndef MOE_TEST_CODEGEN_CPU_ADVERSARIALROWS_H
#define MOE_TEST_CODEGEN_CPU_ADVERSARIALROWS_H

#include "ModelHarness.h"

#include <gtest/gtest.h>

namespace moe::test {

/// Numbers of rows to try.
constexpr int64_t kTokens[] = {0, 1, 5, 33};

/// Each row is of another kind; row r is ordinary numbers where isOrdinary says
/// so.
Array badRows(int64_t rows, int64_t columns, uint32_t seed);
bool isOrdinary(int64_t row, uint32_t seed);

/// Equal numbers as f32 holds them; ids are small enough for it.
void expectSame(const std::vector<Array> &found,
                const std::vector<Array> &want);

/// Ids of every row are distinct experts or, if there may be empty slots, -1.
void expectExperts(const Array &ids, int64_t experts, bool mayBeEmpty);

template <typename Param>
class AdversarialTest : public testing::TestWithParam<Param> {
protected:
  /// Calls check(level) for everything that runs here.
  template <typename Check> void onEveryLevel(Check check) {
    for (const cpu::Level &level : runnableLevels()) {
      if (level.emulated && (level.bf16Dot || level.int8Dot))
        continue; // for rows the same as without its dot product
      SCOPED_TRACE(describe(level));
      check(level);
      if (testing::Test::HasFatalFailure())
        return;
    }
  }
};

} // namespace moe::test

#endif // MOE_TEST_CODEGEN_CPU_ADVERSARIALROWS_H
