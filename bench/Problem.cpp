// Numbers of one product, see Problem.h.
#include "bench/Problem.h"
#include "runtime/Types.h"
#include "tools/bench/RandomWeights.h"

#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace moe::bench {

std::string Size::text() const {
  return fmt::format("{}x{}x{}", rows, outputs, inputs);
}

const char *ProductKind::name() const {
  switch (kind) {
  case TileKind::Fma256:
    return "f32 avx2";
  case TileKind::Fma512:
    return "f32 avx512";
  case TileKind::Dot512:
    return onTiles ? "bf16 amx" : "bf16";
  case TileKind::Bytes512:
    return onTiles ? "int8 amx" : "int8";
  case TileKind::Bytes256:
    return "int8 avxvnni";
  }
  return "";
}

Problem::Problem(const ProductKind &product, const Size &size)
    : ProductKind(product), size(size),
      rowBytes(size.inputs * 4 / tilePairing(kind) + 64),
      rowScales(static_cast<size_t>(size.rows), 1) {
  RandomNumbers random(1);
  double scale = 1 / std::sqrt(static_cast<double>(size.inputs));
  for (int64_t i = 0; i < size.outputs * size.inputs; ++i)
    weights.push_back(static_cast<float>(random.next() * scale));
  rows = moert::Buffer(size.rows * rowBytes, "rows");
  results = moert::Buffer(size.rows * size.outputs * 4, "results");
  for (int64_t m = 0; m < size.rows; ++m) {
    if (kind == TileKind::Bytes512)
      rowScales[static_cast<size_t>(m)] =
          static_cast<float>(0.01 + 0.01 * random.uniform());
    for (int64_t k = 0; k < size.inputs; ++k) {
      uint8_t *at = rows.data() + m * rowBytes;
      if (kind == TileKind::Bytes512)
        at[k] = static_cast<uint8_t>(1 + random.uniform() * 255);
      else
        moert::storeElement(kind == TileKind::Dot512 ? MOERT_BF16 : MOERT_F32,
                            at + k * (kind == TileKind::Dot512 ? 2 : 4),
                            random.next());
    }
  }
}

double Problem::operations() const {
  return 2.0 * static_cast<double>(size.rows) *
         static_cast<double>(size.outputs * size.inputs);
}

double Problem::row(int64_t m, int64_t k) const {
  if (kind == TileKind::Bytes512)
    return (byte(m, k) - 128) * rowScales[static_cast<size_t>(m)];
  moert::Dtype dtype = kind == TileKind::Dot512 ? MOERT_BF16 : MOERT_F32;
  return moert::loadElement(dtype, rows.data() + m * rowBytes +
                                       k * moert::dtypeBytes(dtype));
}

const uint8_t *Problem::packedAt(int64_t n, int64_t k) const {
  int64_t pairing = tilePairing(kind);
  int64_t entry =
      (k / pairing * panelColumns() + n % panelColumns()) * pairing +
      k % pairing;
  return packed.data() + n / panelColumns() * panelBytes +
         entry * (4 / pairing);
}

int8_t Problem::entry(int64_t n, int64_t k) const {
  return static_cast<int8_t>(*packedAt(n, k));
}

float Problem::scale(int64_t n) const {
  float result = 0;
  std::memcpy(&result,
              packed.data() + n / panelColumns() * panelBytes + scalesOffset +
                  4 * (n % panelColumns()),
              4);
  return result;
}

double Problem::weight(int64_t n, int64_t k) const {
  if (kind != TileKind::Bytes512)
    return moert::loadElement(kind == TileKind::Dot512 ? MOERT_BF16 : MOERT_F32,
                              packedAt(n, k));
  return static_cast<double>(entry(n, k)) * scale(n);
}

} // namespace moe::bench
