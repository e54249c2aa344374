// What an artefact says about itself: section `.moe.meta`, parsed and
// completely checked before any code is loaded. Abi.h has the frame of the
// section; its JSON is read into these plain structures.
#ifndef MOE_RUNTIME_DESCRIPTION_H
#define MOE_RUNTIME_DESCRIPTION_H

#include "runtime/Checkpoint.h"
#include "runtime/Types.h"

#include <string>
#include <string_view>
#include <vector>

namespace moert {

/// One size of an argument: fixed, or made of one of the function's symbols.
/// Results may have floor(factor * symbol / divisor) * times + more rows.
struct Dim {
  int64_t size = 0;
  int32_t symbol = -1; // index in Function::symbols; -1: fixed
  int64_t factor = 1, divisor = 1, times = 1, more = 0;
  bool most = false; // the data decide; this is the most that it can be
  std::string text;  // "d0", "2*d0+1", "at most 2*d0"; empty: fixed
};

struct TypeSpec {
  Dtype dtype = MOERT_F32;
  std::vector<Dim> dims;
};

/// A constant argument of the entry: a param as it is stored, or bytes made by
/// a prepare step.
struct Constant {
  int32_t param = -1;
  int32_t step = -1;
};

struct Step {
  std::string symbol;
  std::vector<int32_t> params;
  std::vector<int32_t> results;            // indices of constants
  std::vector<std::vector<int64_t>> bytes; // [level][result]
};

struct Routing {
  int64_t experts = 0;
  int64_t choices = 0;
};

/// Ids or weights of a routing that a caller may record or replace: [rows, k].
struct Traced {
  int32_t routing = 0;
  TypeSpec type;
  int64_t times = 1; // rows are so many times dimension 0 of the type
};

struct Function {
  std::string name;
  std::string entry;
  std::string workspace;
  std::vector<std::string> symbols; // "d0", ...
  std::vector<TypeSpec> inputs;
  std::vector<TypeSpec> results; // every symbol occurs in an input
  std::vector<ParamSpec> params;
  std::vector<Constant> constants;
  std::vector<Step> steps;
  std::vector<Routing> routings;
  std::vector<Traced> traced; // none before version 1.2
};

struct Description {
  std::string producer;
  std::vector<std::string> levels;
  std::vector<Function> functions;
};

/// `section` is the content of `.moe.meta`. MOERT_MALFORMED, beginning with
/// `file`: another version (names both), or a description that contradicts
/// itself (names the place).
Description parseDescription(std::string_view section, const std::string &file);

} // namespace moert

#endif
