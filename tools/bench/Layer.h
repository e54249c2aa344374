// A compiled layer of a given shape on random weights, ready to be timed.
#ifndef MOE_TOOLS_BENCH_LAYER_H
#define MOE_TOOLS_BENCH_LAYER_H

#include "runtime/Array.h"
#include "runtime/moert.h"
#include "tools/bench/Shape.h"
#include "tools/bench/Traffic.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace moe::bench {

struct LayerOptions {
  std::string compiler; // path of moe-compile
  int threads = 1;
  std::string level;    // as moert::chooseLevel gives
  bool explain = false; // also @narrow, and how products are computed
};

/// The functions of the model, see modelText.
enum class Part { Layer, Routing, Narrow };

/// Inputs of one number of tokens and where their results go. Few tokens touch
/// few experts, so several inputs take turns and the weights come from memory
/// as they do between the layers of a model.
struct Batch {
  int64_t tokens;
  Traffic traffic;
  std::vector<moert::Array> rows;
  /// Of every input, if the traffic comes from a file.
  std::vector<tools::RecordedRouting> recorded;
  moert::Array result;
  moert::Array narrowResult;
  moert::Array ids;
  moert::Array weights;
  double activeExperts = 0; // experts with tokens, mean over the inputs
  double largestLoad = 0; // over the mean of all experts, mean over the inputs
};

class Layer {
public:
  /// Writes the model, compiles it, makes weights and packs them. Fails as
  /// moe-compile and the runtime do.
  Layer(const Shape &shape, Precision precision, const LayerOptions &options);

  const Shape &shape() const { return layerShape; }
  Precision precision() const { return layerPrecision; }
  int threads() const { return layerThreads; }
  std::string level() const;
  /// What moe-compile --remarks says of the products: router, gate and up,
  /// down. Empty without LayerOptions::explain.
  const std::vector<std::string> &remarks() const { return products; }

  /// MOERT_RUN_ERROR if the layer's result is not finite; MOERT_MALFORMED if a
  /// file's recording does not fit.
  Batch makeBatch(int64_t tokens, const Traffic &traffic) const;
  /// Seconds of one call.
  double call(Part part, Batch &batch, size_t input) const;

private:
  struct Closer {
    void operator()(moert_module *module) const { moert_module_close(module); }
    void operator()(moert_session *s) const { moert_session_close(s); }
    void operator()(moert_weights *w) const { moert_weights_close(w); }
  };
  struct Session {
    std::unique_ptr<moert_session, Closer> session;
    std::vector<bool> tracesIds; // of every traced tensor; otherwise weights
  };

  Session open(const char *function, const moert_weights *weights,
               const LayerOptions &options) const;
  moert::Array makeRows(int64_t tokens, const Traffic &traffic,
                        RandomNumbers &random) const;
  void countLoads(Batch &batch, size_t input) const;

  Shape layerShape;
  Precision layerPrecision;
  int layerThreads;
  std::vector<std::string> products;
  std::vector<float> router; // its weights, [experts, hidden]
  std::unique_ptr<moert_module, Closer> module;
  std::array<Session, 3> sessions; // by Part
};

} // namespace moe::bench

#endif
