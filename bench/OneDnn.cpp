// oneDNN 2 and 3, see OneDnn.h.
#include "bench/OneDnn.h"

#include <algorithm>
#include <dnnl.hpp>
#include <omp.h>
#include <unordered_map>

namespace moe::bench {

using dnnl::memory;

struct OneDnn::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::matmul product;
  std::unordered_map<int, memory> arguments;
  moert::Buffer denseRows, packed;
};

bool OneDnn::uses(const ProductKind &product) {
  dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  if (isa == dnnl::cpu_isa::avx2 || product.kind == TileKind::Fma256)
    return isa == dnnl::cpu_isa::avx2 && product.kind == TileKind::Fma256;
  // Its number has the bits of the sets that a set contains.
  constexpr auto amx = static_cast<int>(dnnl::cpu_isa::avx512_core_amx);
  bool hasTiles = (static_cast<int>(isa) & amx) == amx;
  return product.kind == TileKind::Fma512 || hasTiles == product.onTiles;
}

/// Of bytes: sums times the scales of outputs. With a scale for each row or an
/// offset of bytes, too, oneDNN 2.6 takes its reference code.
/// `arguments` gets what the product reads of it.
static dnnl::primitive_attr
attributesOf(const Problem &problem, dnnl::engine engine,
             std::unordered_map<int, memory> &arguments) {
  dnnl::primitive_attr result;
  if (problem.kind != TileKind::Bytes512)
    return result;
  std::vector<float> scales;
  for (int64_t n = 0; n < problem.size.outputs; ++n)
    scales.push_back(problem.scale(n));
  constexpr int kOfOutputs = 1 << 1;
#if DNNL_VERSION_MAJOR >= 3
  memory given(
      {{problem.size.outputs}, memory::data_type::f32, memory::format_tag::a},
      engine);
  std::ranges::copy(scales, static_cast<float *>(given.get_data_handle()));
  arguments[DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS] = given;
  result.set_scales_mask(DNNL_ARG_WEIGHTS, kOfOutputs);
#else
  result.set_output_scales(kOfOutputs, scales);
#endif
  return result;
}

OneDnn::OneDnn(const Problem &problem, bool dense)
    : state(std::make_unique<State>()) {
  const Size &size = problem.size;
  bool bytes = problem.kind == TileKind::Bytes512;
  using Type = memory::data_type;
  Type row = bytes                              ? Type::u8
             : problem.kind == TileKind::Dot512 ? Type::bf16
                                                : Type::f32;
  Type weight = bytes ? Type::s8 : row;
  memory::dims rowDims = {size.rows, size.inputs};
  memory::dims weightDims = {size.inputs, size.outputs};
  int64_t entryBytes = 4 / tilePairing(problem.kind);
  int64_t rowBytes = problem.rowBytes;
  if (dense) {
    rowBytes = size.inputs * entryBytes;
    state->denseRows = moert::Buffer(size.rows * rowBytes, "rows");
    for (int64_t m = 0; m < size.rows; ++m)
      std::copy_n(problem.rows.data() + m * problem.rowBytes, rowBytes,
                  state->denseRows.data() + m * rowBytes);
  }
  memory::desc rows(rowDims, row, memory::dims{rowBytes / entryBytes, 1});
  memory::desc anyWeights(weightDims, weight, memory::format_tag::any);
  memory::desc results({size.rows, size.outputs}, Type::f32,
                       memory::format_tag::ab);
  dnnl::primitive_attr attributes =
      attributesOf(problem, state->engine, state->arguments);
#if DNNL_VERSION_MAJOR >= 3
  dnnl::matmul::primitive_desc description(state->engine, rows, anyWeights,
                                           results, attributes);
#else
  dnnl::matmul::primitive_desc description(
      dnnl::matmul::desc(rows, anyWeights, results), attributes, state->engine);
#endif
  state->product = dnnl::matmul(description);
  const uint8_t *first = dense ? state->denseRows.data() : problem.rows.data();
  auto packed = static_cast<int64_t>(description.weights_desc().get_size());
  state->packed = moert::Buffer(packed, "packed weights");
  memory weights(description.weights_desc(), state->engine,
                 state->packed.data());
  state->arguments[DNNL_ARG_SRC] =
      memory(rows, state->engine, const_cast<uint8_t *>(first));
  state->arguments[DNNL_ARG_WEIGHTS] = weights;
  state->arguments[DNNL_ARG_DST] = memory(results, state->engine, nullptr);

  // [N, K]; entries are those that the packed weights have.
  Type given = bytes ? Type::s8 : Type::f32;
  memory plain(memory::desc(weightDims, given, memory::format_tag::ba),
               state->engine);
  for (int64_t n = 0; n < size.outputs; ++n)
    for (int64_t k = 0; k < size.inputs; ++k) {
      int64_t at = n * size.inputs + k;
      if (bytes)
        static_cast<int8_t *>(plain.get_data_handle())[at] =
            problem.entry(n, k);
      else
        static_cast<float *>(plain.get_data_handle())[at] =
            problem.weights[static_cast<size_t>(at)];
    }
  omp_set_num_threads(1);
  dnnl::reorder(plain, weights).execute(state->stream, plain, weights);
  state->stream.wait();
}

OneDnn::~OneDnn() = default;

void OneDnn::multiply(float *results) {
  state->arguments[DNNL_ARG_DST].set_data_handle(results);
  state->product.execute(state->stream, state->arguments);
  state->stream.wait();
}

} // namespace moe::bench
