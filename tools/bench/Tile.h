// Register tiles written with intrinsics, as the generated code has them: what
// a tile can do when its panel comes from L2, and a twin to compare with.
#ifndef MOE_TOOLS_BENCH_TILE_H
#define MOE_TOOLS_BENCH_TILE_H

#include <cstdint>

namespace moe::bench {

enum class TileKind {
  Fma256,   // AVX2 f32 multiply-add, 2 vectors of columns
  Fma512,   // AVX-512 f32 multiply-add, 4 vectors
  Dot512,   // AVX-512 vdpbf16ps, 4 vectors
  Bytes512, // AVX-512 vpdpbusd, 4 vectors; sums are i32
  Bytes256, // AVX-VNNI vpdpbusd, 2 vectors; sums are i32
};

constexpr int64_t mostTileRows = 6;
constexpr bool isNarrow(TileKind kind) {
  return kind == TileKind::Fma256 || kind == TileKind::Bytes256;
}
constexpr bool isBytes(TileKind kind) {
  return kind == TileKind::Bytes512 || kind == TileKind::Bytes256;
}
constexpr int64_t tileVectors(TileKind kind) { return isNarrow(kind) ? 2 : 4; }
constexpr int64_t tileLanes(TileKind kind) { return isNarrow(kind) ? 8 : 16; }
/// Inputs of a column that are multiplied in one lane.
constexpr int64_t tilePairing(TileKind kind) {
  return isBytes(kind) ? 4 : kind == TileKind::Dot512 ? 2 : 1;
}
/// Of one step of a tile of `rows` rows; a multiply-add is 2.
constexpr int64_t tileOperations(TileKind kind, int64_t rows) {
  return 2 * rows * tileVectors(kind) * tileLanes(kind) * tilePairing(kind);
}

/// Sums over `steps` steps: each has 4 bytes of every row, `rowBytes` apart,
/// and tileVectors vectors of the panel, one after the other. Writes the sums
/// row by row, `sumLanes` of 4 bytes apart.
using Tile = void (*)(const void *rows, int64_t rowBytes, const void *panel,
                      int64_t steps, void *sums, int64_t sumLanes);

/// The tile of 1 to mostTileRows rows. Only for CPUs that have its
/// instructions.
Tile tileOf(TileKind kind, int64_t rows);

} // namespace moe::bench

#endif
