// A compiled layer of a given shape on random weights, ready to be timed.
#ifndef MOE_TOOLS_BENCH_LAYER_H
#define MOE_TOOLS_BENCH_LAYER_H

#include "runtime/Array.h"
#include "runtime/moert.h"
#include "tools/bench/Shape.h"

#include <memory>
#include <string>
#include <vector>

namespace moe::bench {

struct LayerOptions {
  std::string compiler; // path of moe-compile
  int threads = 1;
  std::string level; // as moert::chooseLevel gives
};

/// Inputs of one number of tokens and where their results go. Few tokens touch
/// few experts, so several inputs take turns and the weights come from memory
/// as they do between the layers of a model.
struct Batch {
  int64_t tokens;
  std::vector<moert::Array> rows;
  moert::Array result;
  moert::Array ids;
  moert::Array weights;
  double activeExperts = 0; // experts with tokens, mean over the inputs
};

class Layer {
public:
  /// Writes the model, compiles it, makes weights and packs them. Fails as
  /// moe-compile and the runtime do.
  Layer(const Shape &shape, Precision precision, const LayerOptions &options);

  const Shape &shape() const { return layerShape; }
  Precision precision() const { return layerPrecision; }
  std::string level() const;

  /// MOERT_RUN_ERROR if the layer's result is not finite.
  Batch makeBatch(int64_t tokens) const;
  /// Seconds of one call of the whole layer, or of its router alone.
  double callLayer(Batch &batch, size_t input) const;
  double callRouting(Batch &batch, size_t input) const;

private:
  struct Closer {
    void operator()(moert_module *module) const { moert_module_close(module); }
    void operator()(moert_session *s) const { moert_session_close(s); }
    void operator()(moert_weights *w) const { moert_weights_close(w); }
  };
  using Session = std::unique_ptr<moert_session, Closer>;

  Session open(const char *function, const moert_weights *weights,
               const LayerOptions &options) const;

  Shape layerShape;
  Precision layerPrecision;
  std::unique_ptr<moert_module, Closer> module;
  Session layer;
  Session routing;
};

} // namespace moe::bench

#endif
