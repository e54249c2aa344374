/* A hand-written artefact with the shape of what moe-compile makes. One
 * function "mix" over x [d0,4] and y [d0]: z[t,j] = x[t,j] * gate.weight[j] +
 * y[t] * (sum over experts of experts.{expert}.w[j]), times the weight 1 of
 * its routing, in which token t visits expert t % 3. The test rewrites the
 * description in the file: its section has room to spare. */
#include "runtime/Abi.h"

#define ROOM 16384

__attribute__((section(MOERT_META_SECTION), used, visibility("default")))
const struct {
  struct moert_meta_header header;
  char json[ROOM];
} moe_description = {{MOERT_META_MAGIC, MOERT_ABI_MAJOR, MOERT_ABI_MINOR, 2},
                     "{}"};

static int32_t mix(struct moert_context *context, struct moert_tensor **args) {
  const float *x = args[0]->data, *y = args[1]->data;
  const float *gate = args[2]->data, *packed = args[3]->data;
  float *z = args[4]->data;
  int64_t tokens = args[0]->shape[0];
  int64_t needed = 64 + tokens * 16;
  if (context->workspace_bytes < needed || context->threads < 1) {
    context->error_values[0] = needed;
    context->error_values[1] = context->workspace_bytes;
    return context->error = MOERT_CODE_WORKSPACE;
  }
  for (int64_t i = 0; i < context->workspace_bytes; ++i)
    context->workspace[i] = (uint8_t)i;
  const struct moert_trace *traces = context->traces;
  const int32_t *ids = traces ? traces[0].in : 0;
  const float *weights = traces ? traces[1].in : 0;
  for (int64_t t = 0; t < tokens; ++t) {
    if (traces && traces[0].out)
      ((int32_t *)traces[0].out)[t] = (int32_t)(t % 3);
    if (traces && traces[1].out)
      ((float *)traces[1].out)[t] = 1;
    if (y[t] == -3000.0f) /* the data decide how many rows there are */
      args[4]->shape[0] = t;
    if (y[t] == -1000.0f) {
      context->error_values[0] = t;
      context->error_values[1] = 3;
      return context->error = MOERT_CODE_INDEX;
    }
    if (y[t] == -2000.0f)
      return context->error = 99;
    for (int j = 0; j < 4; ++j)
      z[t * 4 + j] = (x[t * 4 + j] * gate[j] + y[t] * packed[j]) *
                     (weights ? weights[t] : 1);
    if (context->loads) {
      int32_t id = ids ? ids[t] : (int32_t)(t % 3);
      if (id >= 0)
        context->loads[id]++;
      context->slots[0] += 2;
    }
  }
  return MOERT_CODE_OK;
}

/* Sums the stacked experts [3,4] into 4 floats. */
static int32_t prepare(struct moert_context *context,
                       struct moert_tensor **args) {
  const float *experts = args[0]->data;
  float *packed = args[1]->data;
  if (args[0]->rank != 2 || args[0]->shape[0] != 3 || args[0]->shape[1] != 4 ||
      args[1]->shape[0] != 16 || ((uintptr_t)packed & (MOERT_ALIGNMENT - 1)))
    return context->error = 98;
  for (int e = 0; e < 3; ++e)
    for (int j = 0; j < 4; ++j)
      packed[j] += experts[e * 4 + j];
  return MOERT_CODE_OK;
}

/* T = 77 overflows, T = 99 needs 99 TiB. */
static int64_t workspace(struct moert_context *context,
                         struct moert_tensor **args) {
  int64_t tokens = args[0]->shape[0];
  (void)context;
  if (tokens == 77)
    return -1;
  return tokens == 99 ? tokens << 40 : 64 + tokens * 16;
}

#define EXPORT __attribute__((visibility("default")))
#define LEVEL(level)                                                           \
  EXPORT int32_t moe_mix_##level(struct moert_context *c,                      \
                                 struct moert_tensor **a) {                    \
    return mix(c, a);                                                          \
  }                                                                            \
  EXPORT int64_t moe_mix_workspace_##level(struct moert_context *c,            \
                                           struct moert_tensor **a) {          \
    return workspace(c, a);                                                    \
  }                                                                            \
  EXPORT int32_t moe_mix_prepare0_##level(struct moert_context *c,             \
                                          struct moert_tensor **a) {           \
    return prepare(c, a);                                                      \
  }

LEVEL(avx2)
LEVEL(avx512)
LEVEL(avx512bf16)
