// See AdversarialRows.h.

#include "AdversarialRows.h"

#include <cmath>
#include <limits>
#include <random>
#include <set>

namespace moe::test {

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
static constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

static constexpr int64_t kKinds = 14;

/// One row of `columns` keys.
static std::vector<double> badRow(int64_t kind, int64_t columns,
                                  std::mt19937 &random) {
  static const double specials[] = {
      kNaN,  -kNaN,   kInfinity, -kInfinity, 0.0,   -0.0,    1e30,
      -1e30, 1.5e-45, -1.5e-45,  1e-39,      -3e38, 3.3e38,  0.5,
      1.0,   -1.0,    5e-324,    1e-300,     0.25,  -6.1e-5, 65504};
  std::uniform_int_distribution<size_t> any(0, std::size(specials) - 1);
  std::normal_distribution<double> normal;
  std::vector<double> row(columns);
  for (int64_t e = 0; e < columns; ++e) {
    switch (kind) {
    case 0: // anything
    case 1:
    case 2:
      row[e] = specials[any(random)];
      break;
    case 3:
      row[e] = kNaN;
      break;
    case 4:
      row[e] = -kInfinity;
      break;
    case 5:
      row[e] = kInfinity;
      break;
    case 6: // all equal
      row[e] = 0.375;
      break;
    case 7: // zeros of both signs
      row[e] = random() % 2 ? 0.0 : -0.0;
      break;
    case 8: // denormals of both signs
      row[e] = (static_cast<double>(random() % 5) - 2) * 1e-40;
      break;
    case 9: // sums that overflow, cancel, or are NaN
      row[e] = random() % 2 ? 3e38 : -3e38;
      break;
    case 10: // many ties
      row[e] = static_cast<double>(random() % 3) / 4;
      break;
    case 11: // one number among NaN
      row[e] = e == columns / 2 ? -2.0 : kNaN;
      break;
    case 12: // one NaN among numbers
      row[e] = e == columns / 2 ? kNaN : normal(random);
      break;
    case 13:
      row[e] = normal(random);
      break;
    }
  }
  return row;
}

Array badRows(int64_t rows, int64_t columns, uint32_t seed) {
  std::mt19937 random(seed);
  Array array{{rows, columns}, {}};
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<double> row = badRow((r + seed) % kKinds, columns, random);
    array.values.insert(array.values.end(), row.begin(), row.end());
  }
  return array;
}

bool isOrdinary(int64_t row, uint32_t seed) {
  return (row + seed) % kKinds == kKinds - 1;
}

static bool isSame(double found, double want) {
  if (std::isnan(want))
    return std::isnan(found);
  return found == static_cast<double>(static_cast<float>(want));
}

/// Equal numbers as f32 holds them; ids are small enough for it.
void expectSame(const std::vector<Array> &found,
                const std::vector<Array> &want) {
  ASSERT_EQ(found.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(found[i].shape, want[i].shape);
    for (int64_t at = 0, size = want[i].values.size(); at < size; ++at)
      if (!isSame(found[i].values[at], want[i].values[at]))
        FAIL() << "result " << i << ", row " << at / want[i].columns()
               << ", column " << at % want[i].columns() << " is "
               << found[i].values[at] << ", the reference has "
               << want[i].values[at];
  }
}

/// Ids of every row are distinct experts or, if there may be empty slots, -1.
void expectExperts(const Array &ids, int64_t experts, bool mayBeEmpty) {
  for (int64_t t = 0; t < ids.rows(); ++t) {
    std::set<double> seen;
    for (int64_t j = 0; j < ids.columns(); ++j) {
      double id = ids.at(t, j);
      if (id == -1 && mayBeEmpty)
        continue;
      if (!(id >= 0 && id < static_cast<double>(experts)))
        FAIL() << "row " << t << " holds expert " << id;
      if (!seen.insert(id).second)
        FAIL() << "row " << t << " holds expert " << id << " twice";
    }
  }
}

} // namespace moe::test
