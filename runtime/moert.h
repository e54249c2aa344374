/* libmoert: loads an artefact of moe-compile and a checkpoint, and runs the
 * model. The whole public interface, C99.
 *
 *   moert_module_open("mixtral.so", &module, &error);
 *   moert_weights_open("model.safetensors", &weights, &error);
 *   moert_session_create(module, weights, &options, &session, &error);
 *   moert_session_result_types(session, inputs, results, &error);
 *   moert_session_invoke(session, inputs, results, &error);
 *
 * Every function that can fail returns a moert_status and, if `error` is not
 * null, fills it in. Nothing is left half done: after a failure the output
 * pointer is null and no result is meaningful.
 *
 * Threads: a module and a weights object may be used by any number of threads
 * at once. A session serves one thread at a time; moert_session_fork gives
 * another thread a session that shares the prepared constants.
 *
 * Trust: opening a module runs native code from that file. Weights are data and
 * are checked completely before use. */
#ifndef MOE_RUNTIME_MOERT_H
#define MOE_RUNTIME_MOERT_H

#include "Abi.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MOERT_API __attribute__((visibility("default")))
#else
#define MOERT_API
#endif

/* Also the exit codes of the tools. */
typedef enum moert_status {
  MOERT_OK = 0,
  MOERT_RUN_ERROR = 1,      /* the model reported an error while running */
  MOERT_USAGE = 2,          /* a wrong argument of the caller */
  MOERT_RESULTS_DIFFER = 3, /* tools only: not the expected values */
  MOERT_MALFORMED = 4, /* a file breaks its format, or lacks what is needed */
  MOERT_IO = 5,        /* the system refused to read or write */
  MOERT_MEMORY = 6,    /* memory or another resource does not suffice */
  MOERT_NO_DEVICE = 7, /* no device, or a CPU without the instructions */
  MOERT_PEER_LOST = 8  /* reserved: a process of the group is gone */
} moert_status;

/* Filled in by the callee; never allocates. A longer text is cut. */
typedef struct moert_error {
  moert_status status;
  char message[2048]; /* UTF-8, without control bytes, ends with a zero */
} moert_error;

/* "0.1.0" */
MOERT_API const char *moert_version(void);
/* "f32", "bf16", ...; null for an unknown number. */
MOERT_API const char *moert_dtype_name(int32_t dtype);
/* Bytes of one element; 0 for an unknown number. */
MOERT_API int64_t moert_dtype_bytes(int32_t dtype);

/* ---- artefacts ---------------------------------------------------------- */

typedef struct moert_module moert_module;

/* An argument type; a number is of rank 0, an index an I64. shape[i] is -1
 * where the size is only known at run time; symbols[i] then names it, and equal
 * names mean equal sizes: "d0" or, for rows of results, also what is made of
 * one, as in "2*d0+1". "at most 2*d0" are rows whose number the data decide.
 * symbols[i] is null where the size is fixed. Strings live as long as the
 * module. */
typedef struct moert_type {
  int32_t dtype;
  int32_t rank;
  int64_t shape[MOERT_MAX_RANK];
  const char *symbols[MOERT_MAX_RANK];
} moert_type;

typedef struct moert_function_info {
  const char *name;
  int32_t inputs;
  int32_t results;
  int32_t params;   /* tensors of the checkpoint; a stacked one counts once */
  int32_t routings; /* routing steps whose loads are counted */
  int32_t traced;   /* ids and weights of routings that can be recorded */
} moert_function_info;

typedef struct moert_routing_info {
  int64_t experts;
  int64_t choices; /* most experts a token may take; 0 if not bounded */
} moert_routing_info;

/* The ids (i32) or the weights (f32) of a routing, [tokens, slots]: what
 * moert_session_trace can record and replace. A routing has one tensor of ids,
 * and one of weights for each way that its rows are weighed. */
typedef struct moert_traced_info {
  int32_t routing;
  int32_t dtype;
  int64_t slots;
} moert_traced_info;

/* Checks ELF bounds, version and description of the file, then loads its code.
 * MOERT_IO: cannot be read. MOERT_MALFORMED: truncated, not an artefact,
 * another version (names both). MOERT_RUN_ERROR: the dynamic linker refuses it.
 */
MOERT_API moert_status moert_module_open(const char *path,
                                         moert_module **module,
                                         moert_error *error);
/* Sessions made from it stay usable. Null is allowed, here and in the other
 * closing functions. */
MOERT_API void moert_module_close(moert_module *module);

MOERT_API const char *moert_module_producer(const moert_module *module);
MOERT_API int32_t moert_module_function_count(const moert_module *module);
/* In all of these an index out of range or an unknown name is MOERT_USAGE; an
 * unknown name lists what there is. */
MOERT_API moert_status moert_module_find_function(const moert_module *module,
                                                  const char *name,
                                                  int32_t *index,
                                                  moert_error *error);
MOERT_API moert_status moert_function_describe(const moert_module *module,
                                               int32_t function,
                                               moert_function_info *info,
                                               moert_error *error);
MOERT_API moert_status moert_function_input(const moert_module *module,
                                            int32_t function, int32_t input,
                                            moert_type *type,
                                            moert_error *error);
MOERT_API moert_status moert_function_result(const moert_module *module,
                                             int32_t function, int32_t result,
                                             moert_type *type,
                                             moert_error *error);
/* `name` is as in the model, without a prefix: "experts.{expert}.w1.weight". */
MOERT_API moert_status moert_function_param(const moert_module *module,
                                            int32_t function, int32_t param,
                                            const char **name, moert_type *type,
                                            moert_error *error);
MOERT_API moert_status moert_function_routing(const moert_module *module,
                                              int32_t function, int32_t routing,
                                              moert_routing_info *info,
                                              moert_error *error);
MOERT_API moert_status moert_function_traced(const moert_module *module,
                                             int32_t function, int32_t traced,
                                             moert_traced_info *info,
                                             moert_error *error);

/* ---- checkpoints -------------------------------------------------------- */

typedef struct moert_weights moert_weights;

/* `path` is a .safetensors file, or a directory with
 * model.safetensors.index.json and its shards or with one model.safetensors.
 * All headers are read and checked now, the data when a session wants it.
 * MOERT_IO: cannot be read. MOERT_MALFORMED: names file, tensor, rule and byte.
 */
MOERT_API moert_status moert_weights_open(const char *path,
                                          moert_weights **weights,
                                          moert_error *error);
MOERT_API void moert_weights_close(moert_weights *weights);
MOERT_API int64_t moert_weights_count(const moert_weights *weights);

/* ---- sessions ----------------------------------------------------------- */

typedef struct moert_session moert_session;

/* Called now and then while weights are read and packed, from the creating
 * thread; done == total at the end. */
typedef void (*moert_progress)(void *data, int64_t done_bytes,
                               int64_t total_bytes);

/* Set to zero what you do not care about. */
typedef struct moert_options {
  int32_t function;   /* index in the module */
  int32_t threads;    /* up to 4096; 0: as many as it may use */
  const char *prefix; /* put before every param name; null: "" */
  /* Instruction set level. Null: $MOE_CPU, or else the fastest that both this
   * CPU and the artefact have. */
  const char *level;
  int32_t collect_loads;   /* nonzero: count what moert_session_loads returns */
  moert_progress progress; /* may be null */
  void *progress_data;
  /* Bytes of a core's L2 cache, by which products are cut into blocks. 0:
   * $MOE_L2, or else what the machine has. */
  int64_t cache_bytes;
  /* NUMA nodes over which weights and work are spread. 0: $MOE_NODES, or else
   * what the machine has. Other numbers pretend: the threads of a call are
   * divided among so many nodes in order. */
  int32_t nodes;
} moert_options;

/* Reads the params, stacks them and runs the prepare steps. `weights` may be
 * null for a function without params and may be closed afterwards.
 * MOERT_MALFORMED: a tensor is missing (names the closest one) or has another
 * shape or dtype (names both). MOERT_MEMORY: names what is needed and the
 * limit. MOERT_USAGE: no level has this name; MOERT_NO_DEVICE: this CPU or the
 * artefact lacks it. Both name the levels. */
MOERT_API moert_status moert_session_create(moert_module *module,
                                            const moert_weights *weights,
                                            const moert_options *options,
                                            moert_session **session,
                                            moert_error *error);
/* Another session over the same constants, with a workspace of its own. */
MOERT_API moert_status moert_session_fork(const moert_session *session,
                                          moert_session **fork,
                                          moert_error *error);
MOERT_API void moert_session_close(moert_session *session);

/* Shapes and dtypes of the results for inputs of these types; `data` is neither
 * read nor written. Where the data decide how many rows there are, they are the
 * most that there can be. `results` is an array of as many tensors as the
 * function has results. MOERT_USAGE: an input has another dtype, rank or size
 * than the function wants, or two sizes disagree (names both). */
MOERT_API moert_status moert_session_result_types(
    moert_session *session, const struct moert_tensor *inputs,
    struct moert_tensor *results, moert_error *error);
/* Runs the function once. All tensors are dense, row-major, of the caller's
 * memory; results have the shapes of moert_session_result_types and do not
 * overlap anything. Allocates nothing if the shapes are those of the last call.
 * MOERT_MEMORY: the workspace for these shapes does not fit (names both).
 * MOERT_RUN_ERROR: the model says so. */
MOERT_API moert_status moert_session_invoke(moert_session *session,
                                            const struct moert_tensor *inputs,
                                            const struct moert_tensor *results,
                                            moert_error *error);

/* A result of the last call that succeeded, with the rows that it has: where
 * the data decide, the first rows of what the caller gave room for. Null for an
 * index out of range. It lives until the next call. */
MOERT_API const struct moert_tensor *
moert_session_result(const moert_session *session, int32_t result);

/* Dtype, rank and shape of the traced tensors for inputs of these types;
 * `traced` is an array of as many tensors as moert_function_info says. */
MOERT_API moert_status moert_session_traced_types(
    moert_session *session, const struct moert_tensor *inputs,
    struct moert_tensor *traced, moert_error *error);
/* For the calls that follow: where each traced tensor is written as the model
 * computes it, and what is used in its place; see Abi.h. Null ends it. The
 * arrays are the caller's, of the shapes of moert_session_traced_types for the
 * inputs of these calls. Ids that are given are checked at each call:
 * MOERT_USAGE names the token. */
MOERT_API moert_status moert_session_trace(moert_session *session,
                                           const struct moert_trace *traces,
                                           moert_error *error);

/* Tokens per expert of one routing, after all dropping, summed over all calls
 * since the last reset; null if not collected. */
MOERT_API const int64_t *moert_session_loads(const moert_session *session,
                                             int32_t routing);
/* The slots of that routing in the same calls: what its loads do not add up to
 * was empty. 0 if not collected. */
MOERT_API int64_t moert_session_slots(const moert_session *session,
                                      int32_t routing);
MOERT_API void moert_session_reset_loads(moert_session *session);

/* "avx2", ... */
MOERT_API const char *moert_session_level(const moert_session *session);
MOERT_API int32_t moert_session_threads(const moert_session *session);
/* L2 cache of a core, 0 if not known, and nodes: as used. */
MOERT_API int64_t moert_session_cache_bytes(const moert_session *session);
MOERT_API int32_t moert_session_nodes(const moert_session *session);
MOERT_API int64_t moert_session_constant_bytes(const moert_session *session);
MOERT_API int64_t moert_session_workspace_bytes(const moert_session *session);

/* Tensors of the checkpoint under the prefix that the function does not use;
 * null past the last one. */
MOERT_API const char *moert_session_unused(const moert_session *session,
                                           int64_t index);

#ifdef __cplusplus
}
#endif

#endif /* MOE_RUNTIME_MOERT_H */
