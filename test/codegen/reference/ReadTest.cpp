// Reading a routing, capacities, losses and random numbers, against numbers
// worked out by hand and published ones.
#include "Program.h"

#include "codegen/reference/RoutingAlgebra.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moe::test;

namespace {

const std::string routing = R"(
  !r = !moe.routing<3, top 2>
  !f = tensor<?x2xf32>
  func.func @f(%i: tensor<?x2xi32>, %w: !f, %p: tensor<?x3xf32>) -> )";

std::string read(const std::string &type, const std::string &body) {
  return routing + type + R"( {
    %r = moe.from_indices %i, %w : tensor<?x2xi32>, !f -> !r
    )" + body +
         "\n}";
}

const auto ids = integers({3, 2}, {2, 0, -1, 2, 0, -1});
const auto weights = floats({3, 2}, {1, 2, 0, 4, 5, 0});
const auto probabilities =
    floats({3, 3}, {0.5, 0.25, 0.25, 0.5, 0, 0.5, 0.2, 0.2, 0.6});

TEST(Pairs, ComeInDispatchOrder) {
  Program program(
      read("(tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xf32>)",
           "%e, %t, %s, %v = moe.pairs %r : !r -> tensor<?xi32>, "
           "tensor<?xi32>, tensor<?xi32>, tensor<?xf32>\n"
           "return %e, %t, %s, %v : tensor<?xi32>, tensor<?xi32>, "
           "tensor<?xi32>, tensor<?xf32>"));
  auto results = program.run({ids, weights, probabilities});
  expectIntegers(results[0], {4}, {0, 0, 2, 2});
  expectIntegers(results[1], {4}, {0, 2, 0, 1});
  expectIntegers(results[2], {4}, {1, 0, 0, 1});
  expectFloats(results[3], {4}, {2, 5, 1, 4});
}

TEST(Importance, SumsTheWeightsOfEveryExpert) {
  Program program(read("tensor<3xf32>",
                       "%v = moe.importance %r : !r -> tensor<3xf32>\n"
                       "return %v : tensor<3xf32>"));
  expectFloats(program.run({ids, weights, probabilities})[0], {3}, {7, 0, 5});
}

TEST(SegmentSize, IsTheSizeOfEachTokensSegment) {
  Program program(R"(
    func.func @f(%s: tensor<?xi32>) -> (tensor<?xi32>, tensor<?xi32>, index) {
      %n = moe.segment_size %s : tensor<?xi32>
      %c = moe.capacity %n by flaxformer factor 2.0 experts 4 minimum 1
          : tensor<?xi32>
      %t = moe.tokens %s : tensor<?xi32>
      return %n, %c, %t : tensor<?xi32>, tensor<?xi32>, index
    })");
  auto results = program.run({integers({4}, {5, 2, 5, 5})});
  expectIntegers(results[0], {4}, {3, 1, 3, 3});
  expectIntegers(results[1], {4}, {2, 1, 2, 2}); // round(1.5), round(0.5)
  EXPECT_EQ(std::get<int64_t>(results[2]), 4);
}

int64_t capacity(const std::string &formula, int64_t tokens) {
  Program program("func.func @f(%t: index) -> index {\n"
                  "  %c = moe.capacity %t by " +
                  formula + " : index\n  return %c : index\n}");
  return std::get<int64_t>(program.run({tokens})[0]);
}

// 1001 tokens, 8 experts, 2 choices, factor 1.25: six programs, six numbers.
TEST(Capacity, DiffersByProgram) {
  EXPECT_EQ(capacity("mesh factor 1.25 experts 8 minimum 4", 1001), 156);
  EXPECT_EQ(capacity("flaxformer factor 1.25 experts 8 minimum 4", 1001), 156);
  EXPECT_EQ(capacity("megablocks factor 1.25 experts 8 choices 2", 1001), 312);
  EXPECT_EQ(
      capacity("deepspeed factor 1.25 experts 8 choices 2 minimum 4", 1001),
      313);
  EXPECT_EQ(capacity("megatron factor 1.25 experts 8 choices 2", 1001), 313);
  EXPECT_EQ(capacity("tutel factor 1.25 experts 8 choices 2", 1001), 314);
  EXPECT_EQ(capacity("vmoe factor 1.25 experts 8 choices 2 multiple 4", 1001),
            316);
  EXPECT_EQ(
      capacity("vmoe_expert_choice factor 1.25 experts 8 multiple 4", 1001),
      160);
  EXPECT_EQ(capacity("soft_moe factor 1.0 experts 8", 20), 2); // 2.5 to even
}

TEST(Capacity, RoundsAsThePrograms) {
  EXPECT_EQ(capacity("deepspeed factor 1.2 experts 2 choices 1 minimum 4", 100),
            61); // f32: exactly it is 60
  EXPECT_EQ(capacity("megatron factor 1.05 experts 3 choices 1", 20), 8);
  EXPECT_EQ(capacity("deepspeed factor 1.05 experts 3 choices 1 minimum 4", 20),
            7);
  EXPECT_EQ(capacity("megablocks factor 1.2 experts 3 choices 3", 100), 120);
  EXPECT_EQ(capacity("mesh factor 2.0 experts 1 minimum 4", 10), 10);
  EXPECT_EQ(capacity("mesh factor 1.0 experts 8 minimum 4", 1), 4);
}

TEST(Capacity, BelowOneIsAnErrorWhereItIsInTheProgram) {
  Program program("func.func @f(%t: index) -> index {\n"
                  "  %c = moe.capacity %t by vmoe factor 0.0 experts 8 choices "
                  "2 multiple 4 : index\n  return %c : index\n}");
  EXPECT_EQ(program.error({int64_t(64)}),
            "'moe.capacity' op capacity of 64 tokens is 0, expected 1 or more");
}

double loss(const std::string &how) {
  Program program(read("tensor<f32>", "%l = moe.balance_loss %p of %r " + how +
                                          " : tensor<?x3xf32>, !r\n"
                                          "return %l : tensor<f32>"));
  auto value = program.run({ids, weights, probabilities})[0];
  return std::get<std::shared_ptr<const moe::reference::Tensor>>(value)
      ->floats()[0];
}

TEST(BalanceLoss, CountsFirstOrAllAndDividesOrNot) {
  // P = (0.4, 0.15, 0.45). First slots: experts 2, none, 0: counts (1, 0, 1);
  // all: (2, 0, 2).
  EXPECT_NEAR(loss("counting first scale choices"), 3 * (0.4 + 0.45) / 3,
              1e-12);
  EXPECT_NEAR(loss("counting first scale one"), 0.85, 1e-12);
  EXPECT_NEAR(loss("counting all scale choices"), 1.7, 1e-12);
  EXPECT_NEAR(loss("counting all scale one"), 0.85, 1e-12);
}

TEST(BalanceLoss, IsTheMeanOverSegments) {
  Program program(R"(
    !r = !moe.routing<2, top 1>
    func.func @f(%p: tensor<?x2xf32>, %s: tensor<?xi32>) -> tensor<f32> {
      %r = moe.route %p top 1 : tensor<?x2xf32> -> !r
      %l = moe.balance_loss %p of %r counting all scale one segments %s
          : tensor<?x2xf32>, !r, tensor<?xi32>
      return %l : tensor<f32>
    })");
  // Segment 0: 2 * 1 * 0.75 (two tokens, expert 0); segment 1: 2 * 1 * 1.
  expectFloats(program.run({floats({3, 2}, {0.75, 0.25, 0, 1, 0.75, 0.25}),
                            integers({3}, {0, 1, 0})})[0],
               {}, {(1.5 + 2) / 2});
  expectFloats(program.run({floats({0, 2}, {}), integers({0}, {})})[0], {},
               {0});
}

TEST(ZLoss, IsTheMeanSquaredLogSum) {
  Program program(R"(
    func.func @f(%l: tensor<?x2xf32>) -> tensor<f32> {
      %z = moe.z_loss %l : tensor<?x2xf32>
      return %z : tensor<f32>
    })");
  double log2 = std::log(2);
  expectFloats(program.run({floats({2, 2}, {0, 0, 1000, 1000})})[0], {},
               {(log2 * log2 + (1000 + log2) * (1000 + log2)) / 2}, 1e-6);
  expectFloats(program.run({floats({0, 2}, {})})[0], {}, {0});
}

TEST(CvSquared, IsPopulationVarianceOverSquaredMean) {
  Program program(R"(
    func.func @f(%v: tensor<4xf32>) -> tensor<f32> {
      %c = moe.cv_squared %v plus 1.0e-10 : tensor<4xf32>
      return %c : tensor<f32>
    })");
  // Mean 2, variance (1 + 1 + 4 + 4) / 4 = 2.5.
  expectFloats(program.run({floats({4}, {1, 3, 0, 4})})[0], {}, {0.625}, 1e-9);
  expectFloats(program.run({floats({4}, {0, 0, 0, 0})})[0], {}, {0});
}

std::string noisyLoad(int top) {
  return R"(
    !l = tensor<?x3xf32>
    func.func @f(%c: !l, %n: !l, %s: !l) -> tensor<3xf32> {
      %v = moe.noisy_load %c, %n, %s top )" +
         std::to_string(top) + R"( : !l -> tensor<3xf32>
      return %v : tensor<3xf32>
    })";
}

TEST(NoisyLoad, ComparesWithTheBorderWithoutTheExpert) {
  // k = 1, noisy (5, 3, 1): expert 0 is inside, its border is 3; the others'
  // is 5. Phi(1) for (4 - 3) / 1, Phi(-1) for (3 - 5) / 2, Phi(-1) for 4 / 4.
  auto phi = [](double z) { return std::erfc(-z / std::sqrt(2)) / 2; };
  expectFloats(Program(noisyLoad(1))
                   .run({floats({1, 3}, {4, 3, 1}), floats({1, 3}, {5, 3, 1}),
                         floats({1, 3}, {1, 2, 4})})[0],
               {3}, {phi(1), phi(-1), phi(-1)});
}

TEST(NoisyLoad, CountsWithoutNoise) {
  auto zero = floats({2, 3}, {0, 0, 0, 0, 0, 0});
  auto l = floats({2, 3}, {3, 1, 2, 1, 2, 3});
  expectFloats(Program(noisyLoad(2)).run({l, l, zero})[0], {3}, {1, 1, 2});
  expectFloats(Program(noisyLoad(2)).run({zero, zero, zero})[0], {3},
               {1, 1, 1});
  expectFloats(Program(noisyLoad(3)).run({l, l, zero})[0], {3}, {2, 2, 2});
}

// Known answers published with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, GivesThePublishedWords) {
  using Words = std::array<uint32_t, 4>;
  using moe::reference::philox;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

Numbers random(const std::string &distribution, int64_t count, int64_t seed,
               int stream) {
  Program program("func.func @f(%x: tensor<?xf32>, %s: i64) -> tensor<?xf32> "
                  "{\n  %y = moe.random " +
                  distribution + " like %x seed %s stream " +
                  std::to_string(stream) +
                  " : tensor<?xf32>\n  return %y : tensor<?xf32>\n}");
  auto value = program.run({floats({count}, Numbers(count)), seed})[0];
  return std::get<std::shared_ptr<const moe::reference::Tensor>>(value)
      ->floats();
}

TEST(Random, DependsOnSeedStreamAndPositionAlone) {
  // 0x6627e8 / 2^24 is the first number of seed 0, stream 0.
  EXPECT_EQ(random("uniform", 1, 0, 0)[0], 0x6627e8 * 0x1p-24);
  Numbers longer = random("uniform", 8, 1, 2);
  Numbers shorter = random("uniform", 3, 1, 2);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(longer[i], shorter[i]);
  EXPECT_NE(random("uniform", 1, 1, 3), random("uniform", 1, 1, 2));
  EXPECT_NE(random("uniform", 1, int64_t(1) << 32, 0),
            random("uniform", 1, 0, 0));
}

TEST(Random, HasTheMomentsOfItsDistribution) {
  // Mean and variance of 4096 numbers, within 5 standard errors.
  auto expectMoments = [](const char *name, double mean, double variance) {
    Numbers numbers = random(name, 4096, 42, 7);
    double sum = 0, squares = 0;
    for (double x : numbers) {
      sum += x / 4096;
      squares += x * x / 4096;
    }
    EXPECT_NEAR(sum, mean, 5 * std::sqrt(variance / 4096)) << name;
    EXPECT_NEAR(squares - sum * sum, variance, 0.15 * variance) << name;
  };
  expectMoments("uniform", 0.5, 1.0 / 12);
  expectMoments("normal", 0, 1);
  expectMoments("gumbel", 0.57721566, M_PI * M_PI / 6);
}

} // namespace
