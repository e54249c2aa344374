// See RopeFrequencies.h.

#include "dialect/RopeFrequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>

llvm::SmallVector<double> moe::ropeFrequencies(RopeFrequenciesOp op) {
  auto dim = static_cast<int64_t>(op.getDim());
  llvm::SmallVector<double> frequencies;
  for (int64_t i = 0; i < dim / 2; ++i) {
    double f =
        std::pow(op.getTheta().convertToDouble(),
                 -2.0 * static_cast<double>(i) / static_cast<double>(dim));
    if (op.getFactor()) {
      double divided = f / op.getFactor()->convertToDouble();
      double share = 0; // of the undivided frequency
      if (op.getOriginal()) {
        double low = op.getLow()->convertToDouble(),
               high = op.getHigh()->convertToDouble();
        double turns =
            static_cast<double>(*op.getOriginal()) * f / (2 * std::numbers::pi);
        share = std::clamp((turns - low) / (high - low), 0.0, 1.0);
      }
      f = share * f + (1 - share) * divided;
    }
    frequencies.push_back(f);
  }
  return frequencies;
}
