// What the losses and statistics of routing compute.
#include "codegen/reference/RoutingAlgebra.h"

#include <cmath>
#include <numbers>

using namespace mlir;

namespace moe::reference {

static Tensor scalar(double value) {
  return Tensor({}, std::vector<double>{value});
}

static void balanceLoss(BalanceLossOp op, Frame &frame) {
  const Routing &routing = frame.routing(op.getRouting());
  Segments segments =
      segmentsOf(frame, routing.tokens.size(), op.getSegments());
  frame.set(op.getResult(),
            scalar(balanceLoss(frame.tensor(op.getProbabilities()), routing,
                               segments, op.getCounting(), op.getScale())));
}

// (1/T) sum_t (log sum_e exp l[t, e])^2
static void zLoss(ZLossOp op, Frame &frame) {
  const Tensor &logits = frame.tensor(op.getLogits());
  double loss = 0;
  for (int64_t t = 0, experts = logits.shape[1]; t < logits.rows(); ++t) {
    ArrayRef<double> row =
        ArrayRef<double>(logits.floats()).slice(t * experts, experts);
    double max = -INFINITY, sum = 0;
    for (double logit : row)
      max = std::fmax(max, logit);
    for (double logit : row)
      sum += std::exp(logit - max);
    double logSum = max + std::log(sum);
    loss += logSum * logSum / static_cast<double>(logits.rows());
  }
  frame.set(op.getResult(), scalar(loss));
}

// var v / (mean(v)^2 + eps), population variance
static void cvSquared(CvSquaredOp op, Frame &frame) {
  const std::vector<double> &values = frame.tensor(op.getValues()).floats();
  auto count = static_cast<double>(values.size());
  double mean = 0, variance = 0;
  for (double value : values)
    mean += value / count;
  for (double value : values)
    variance += (value - mean) * (value - mean) / count;
  frame.set(op.getResult(),
            scalar(variance / (mean * mean + op.getPlus().convertToDouble())));
}

// load[e] = sum_t Phi((clean[t, e] - threshold(t, e)) / stddev[t, e]), where
// threshold is the k-th largest noisy value of the other experts
static void noisyLoad(NoisyLoadOp op, Frame &frame) {
  const Tensor &clean = frame.tensor(op.getClean()),
               &noisy = frame.tensor(op.getNoisy()),
               &stddev = frame.tensor(op.getStddev());
  if (noisy.shape != clean.shape || stddev.shape != clean.shape)
    fail("clean, noisy and stddev are " + shapeText(clean.shape) + ", " +
         shapeText(noisy.shape) + " and " + shapeText(stddev.shape));
  int64_t experts = clean.shape[1], top = op.getTop();
  std::vector<double> load(experts);
  for (int64_t t = 0; t < clean.rows(); ++t) {
    auto rowOf = [&](const Tensor &tensor) {
      return ArrayRef<double>(tensor.floats()).slice(t * experts, experts);
    };
    ArrayRef<double> noise = rowOf(noisy);
    if (top == experts) {
      for (double &sum : load)
        sum += 1;
      continue;
    }
    std::vector<int64_t> order = largest(noise, top + 1);
    double inside = noise[order[top]], outside = noise[order[top - 1]];
    for (int64_t e = 0; e < experts; ++e) {
      double threshold = noise[e] > inside ? inside : outside;
      double deviation = std::numbers::sqrt2 * rowOf(stddev)[e] + 1e-20;
      load[e] += (1 + std::erf((rowOf(clean)[e] - threshold) / deviation)) / 2;
    }
  }
  frame.set(op.getResult(), Tensor({experts}, std::move(load)));
}

void addLossOps(OpTable &table) {
  table.add<BalanceLossOp>(balanceLoss);
  table.add<ZLossOp>(zLoss);
  table.add<CvSquaredOp>(cvSquared);
  table.add<NoisyLoadOp>(noisyLoad);
}

} // namespace moe::reference
