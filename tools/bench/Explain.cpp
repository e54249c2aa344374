// What each product costs and could cost, see Explain.h.
#include "tools/bench/Explain.h"

#include <algorithm>

namespace moe::bench {

namespace {

struct Work {
  double operations;
  double bytes;
  Precision precision;
};

Work workOf(const Layer &layer, const Batch &batch, int product) {
  const Shape &shape = layer.shape();
  auto hidden = static_cast<double>(shape.hidden);
  auto inner = static_cast<double>(shape.inner);
  auto experts = static_cast<double>(shape.experts);
  auto tokens = static_cast<double>(batch.tokens);
  double slots = tokens * static_cast<double>(shape.choices);
  Precision rows =
      isQuantized(layer.precision()) ? Precision::Bf16 : layer.precision();
  auto size = static_cast<double>(moert::dtypeBytes(dtypeOf(rows)));
  double third = batch.activeExperts * shape.expertBytes(layer.precision()) / 3;
  if (product == 0)
    return {2 * tokens * hidden * experts,
            hidden * experts * size + tokens * (hidden * size + experts * 4),
            rows};
  if (product == 1)
    return {4 * slots * hidden * inner,
            2 * third + tokens * hidden * size + slots * inner * size,
            layer.precision()};
  return {2 * slots * hidden * inner,
          third + slots * inner * size + tokens * hidden * size,
          layer.precision()};
}

/// Seconds of one product of a layer.
double timeOf(const Sample &sample, int product, double narrowPart) {
  double down = (sample.seconds - sample.narrow) / (1 - narrowPart);
  if (product == 0)
    return sample.routing;
  if (product == 2)
    return down;
  return sample.seconds - sample.routing - down;
}

} // namespace

std::vector<Product> explainProducts(const Layer &layer, const Batch &batch,
                                     std::span<const Sample> samples) {
  static constexpr const char *names[] = {"router", "gate, up", "down"};
  double narrowPart = static_cast<double>(narrowWidth(layer.shape())) /
                      static_cast<double>(layer.shape().hidden);
  std::vector<Product> products;
  for (int i = 0; i < 3; ++i) {
    Work work = workOf(layer, batch, i);
    auto median = [&](auto value) {
      std::vector<double> values;
      for (const Sample &sample : samples)
        values.push_back(value(sample));
      return spreadOf(std::move(values)).median;
    };
    auto ceiling = [&](auto value) {
      return median([&](const Sample &s) { return value(s.around) * 1e9; });
    };
    double registers = ceiling([&](const Ceiling &c) {
      return c.operations(layer.level(), work.precision);
    });
    double tile = ceiling([&](const Ceiling &c) {
      return c.tileOperations(layer.level(), work.precision);
    });
    double memory = ceiling([](const Ceiling &c) { return c.bytes(); });
    double seconds =
        median([&](const Sample &s) { return timeOf(s, i, narrowPart); });

    Product product;
    product.name = names[i];
    product.remark = layer.remarks()[static_cast<size_t>(i)];
    product.milliseconds = seconds * 1e3;
    double multiply = work.operations / tile;
    double read = work.bytes / memory;
    double expected = std::max(multiply, read);
    product.expected = expected * 1e3;
    product.boundByMemory = read > multiply;
    double least = product.boundByMemory ? read : work.operations / registers;
    product.expectedShare = least / expected;
    product.share = least / seconds;
    product.bytes = work.bytes;
    products.push_back(product);
  }
  return products;
}

std::optional<double> routingLimit(int64_t tokens) {
  if (tokens == 1)
    return 0.1;
  if (tokens >= 512)
    return 0.03;
  return std::nullopt;
}

} // namespace moe::bench
