/* The contract between generated code and whoever calls it (libmoert,
 * moe-bench): one C header, included by both sides. A change that breaks old
 * artefacts raises MOERT_ABI_MAJOR; an addition that old runtimes must not see
 * raises MOERT_ABI_MINOR. */
#ifndef MOE_RUNTIME_ABI_H
#define MOE_RUNTIME_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOERT_ABI_MAJOR 1
#define MOERT_ABI_MINOR 4
#define MOERT_MAX_RANK 8
#define MOERT_ALIGNMENT 64 /* bytes: workspace, constants made by prepare */

/* Section `.moe.meta`, also exported as the symbol `moe_description`: a
 * moert_meta_header, then json_length bytes of UTF-8 JSON, then zeros. All
 * numbers are little-endian. */
#define MOERT_META_SECTION ".moe.meta"
#define MOERT_META_SYMBOL "moe_description"
#define MOERT_META_MAGIC "MOEMLIR\0" /* 8 bytes, the last one zero */

struct moert_meta_header {
  char magic[8];
  uint32_t major;
  uint32_t minor;
  uint64_t json_length;
};

/* Element types. I1 is one byte that holds 0 or 1. */
enum moert_dtype {
  MOERT_F32 = 0,
  MOERT_F16 = 1,
  MOERT_BF16 = 2,
  MOERT_F64 = 3,
  MOERT_I1 = 4,
  MOERT_I8 = 5,
  MOERT_U8 = 6,
  MOERT_I32 = 7,
  MOERT_I64 = 8
};

/* A dense row-major array. Only the first `rank` entries of `shape` mean
 * anything. A number (f32, i32, index, ...) is an array of rank 0; an index is
 * of type I64. */
struct moert_tensor {
  void *data;
  int64_t shape[MOERT_MAX_RANK];
  int32_t rank;
  int32_t dtype; /* enum moert_dtype */
};

/* What the caller wants of one traced tensor: the ids (i32) or the weights
 * (f32) of a routing, [T, k]. */
struct moert_trace {
  /* Null, or where the tensor that the model computes is put. */
  void *out;
  /* Null, or what is used in its place. Ids are -1 or those of experts,
   * distinct in a row. */
  const void *in;
};

/* What a call may use besides its arguments. One context serves one call at a
 * time. */
struct moert_context {
  /* Aligned to MOERT_ALIGNMENT bytes. Contents are not kept between calls. */
  uint8_t *workspace;
  int64_t workspace_bytes; /* at least what moe_F_workspace_L returned */
  int32_t threads;         /* threads to use, at least 1 */
  int32_t error;           /* set by the callee, see moert_code */
  int64_t error_values[4];
  /* Null, or one counter per expert of every routing in order, to which the
   * entry adds the number of tokens that the expert got. */
  int64_t *loads;
  /* Null as loads is, or one counter per routing, to which the entry adds the
   * slots that it had, empty ones too. Since version 1.1. */
  int64_t *slots;
  /* Since version 1.2. Null, or one for every traced tensor in order. */
  const struct moert_trace *traces;
  /* Since version 1.4. Bytes of a core's L2 cache, by which products are cut
   * into blocks; 0: not known. */
  int64_t cache_bytes;
  /* NUMA nodes that the threads run on; 0: one. */
  int64_t nodes;
  /* With several nodes: the one, from 0, of a thread of the team, which calls
   * this itself. */
  int64_t (*node)(const struct moert_context *, int64_t thread);
  /* Null, or told by a thread what it begins to pack or to multiply: panels
   * first to end - 1 of an expert, or of every expert if that is -1. Packing
   * and every product of a function has a phase number of its own. */
  void (*observe)(const struct moert_context *, int64_t thread, int64_t phase,
                  int64_t expert, int64_t first, int64_t end);
  void *data; /* of node and observe */
};

/* What a generated function returns and leaves in moert_context.error. */
enum moert_code {
  MOERT_CODE_OK = 0,
  MOERT_CODE_WORKSPACE = 1, /* workspace too small. values: needed, given */
  MOERT_CODE_INDEX = 3,     /* index out of range. values: index, limit */
  MOERT_CODE_EXPERT = 4,    /* no such expert. values: its id, experts, row */
  MOERT_CODE_REPEATED = 5,  /* expert twice in a row. values: its id, row */
  MOERT_CODE_CAPACITY = 6,  /* no room for a token. values: tokens, capacity */
  MOERT_CODE_DIVISION = 7,  /* integer divided by 0. values: the integer */
  MOERT_CODE_SEGMENT = 8,   /* two capacities in one segment. values: both */
  MOERT_CODE_ROWS = 9,      /* as many rows wanted. values: rows, other rows */
  MOERT_CODE_SPLIT = 10,    /* rows left over. values: rows, size of a part */
  MOERT_CODE_SHARE = 11,    /* tokens left over. values: tokens, experts */
  MOERT_CODE_FINITE = 12,   /* scores of an auction are not all finite */
  MOERT_CODE_AUCTION = 13,  /* an auction has no end. values: rounds */
  MOERT_CODE_STEP = 14      /* loop does not go forward. values: its step */
};

/* What an artefact exports for a model function F and an instruction set level
 * L (avx2, avxvnni, avx512, avx512bf16, amx). These are the usual names; the
 * description has them in full, without _L.
 *
 * moe_F_L, a moert_function, runs the model. Its arguments are the inputs, the
 * constants and the results, whose memory is the caller's. Where the data
 * decide how many rows a result has, there is room for the most, and the
 * function stores in shape[0] how many it has made (since version 1.3).
 *
 * moe_F_prepare<i>_L, a moert_function, is step i of what depends on weights
 * alone and runs once, at load. Its arguments are params, then the constants
 * that it makes.
 *
 * moe_F_workspace_L, a moert_workspace_function, takes the arguments of
 * moe_F_L, reads only the shapes of the inputs, and returns the bytes of
 * workspace that moe_F_L needs. */
typedef int32_t (*moert_function)(struct moert_context *,
                                  struct moert_tensor **args);
typedef int64_t (*moert_workspace_function)(struct moert_context *,
                                            struct moert_tensor **args);

#ifdef __cplusplus
}
#endif

#endif /* MOE_RUNTIME_ABI_H */
