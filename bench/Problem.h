// One product of the comparison, results[m, n] = sum over k of rows[m, k] *
// weights[n, k]: its numbers, and the weights as generated code packs them.
#ifndef MOE_BENCH_PROBLEM_H
#define MOE_BENCH_PROBLEM_H

#include "runtime/Memory.h"
#include "tools/bench/MatrixTile.h"
#include "tools/bench/Tile.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moe::bench {

struct Size {
  int64_t rows;    // M
  int64_t outputs; // N
  int64_t inputs;  // K
  std::string text() const;
};

struct ProductKind {
  TileKind kind;
  /// By AMX; Dot512 and Bytes512 then say what is multiplied.
  bool onTiles = false;
  /// "f32 avx2", "f32 avx512", "bf16", "int8", "bf16 amx", "int8 amx"
  const char *name() const;
};

/// Rows are f32, bf16, or bytes from 0 to 255 that stand for entries from -128
/// to 127 times a scale; weights are f32, bf16, or 8-bit entries with a scale
/// for each output.
struct Problem : ProductKind {
  Problem(const ProductKind &product, const Size &size);

  Size size;
  std::vector<float> weights;   // [N, K], before rounding or quantising
  moert::Buffer rows;           // [M, rowBytes]
  int64_t rowBytes;             // of K entries and 64 more
  std::vector<float> rowScales; // 1 except for int8
  moert::Buffer packed;         // filled by Generated
  int64_t panelBytes = 0;
  int64_t scalesOffset = 0; // in a panel, int8 only
  int64_t sumsOffset = 0;
  moert::Buffer results; // [M, N], the same for all who multiply

  int64_t panelColumns() const {
    return onTiles ? matrixColumns : tileVectors(kind) * tileLanes(kind);
  }
  int64_t panels() const { return size.outputs / panelColumns(); }
  int64_t steps() const { return size.inputs / tilePairing(kind); }
  double operations() const;
  /// What the row and the packed weight stand for.
  double row(int64_t m, int64_t k) const;
  double weight(int64_t n, int64_t k) const;
  /// Of int8: as they are stored.
  uint8_t byte(int64_t m, int64_t k) const {
    return rows.data()[m * rowBytes + k];
  }
  int8_t entry(int64_t n, int64_t k) const;
  float scale(int64_t n) const;

private:
  const uint8_t *packedAt(int64_t n, int64_t k) const;
};

} // namespace moe::bench

#endif
