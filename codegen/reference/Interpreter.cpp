// Calls, regions, constant arguments and error locations of the interpreter;
// what operations compute is in the other files of this folder.
#include "codegen/reference/Interpreter.h"
#include "dialect/GroupedDialect.h"
#include "llvm/ADT/APFloat.h"

#include <cmath>

using namespace mlir;

namespace moe::reference {

/// An Error that has found its operation.
struct LocatedError {
  Operation *op;
  std::string message;
};

/// No operation of the table has this name.
struct UnknownOperation {
  Operation *op;
};

const OpFunction *OpTable::find(StringRef name) const {
  auto entry = functions.find(name);
  return entry == functions.end() ? nullptr : &entry->second;
}

Interpreter::Interpreter(ModuleOp module, ParamProvider params, Options options)
    : module(module), provider(std::move(params)), options(options) {
  addArithOps(table);
  addStandardOps(table);
  addLinalgOps(table);
  addRowOps(table);
  addSelectOps(table);
  addRoutingOps(table);
  addEditOps(table);
  addReadOps(table);
  addLossOps(table);
  addRandomOps(table);
  addAttentionOps(table);
  addMoveOps(table);
  addGroupedOps(table);
  addGroupedRoutingOps(table);
}

const OpFunction &Interpreter::functionOf(Operation *op) {
  const OpFunction *&function = found[op->getName()];
  if (!function)
    function = table.find(op->getName().getStringRef());
  if (!function)
    throw UnknownOperation{op};
  return *function;
}

static bool isConstant(func::FuncOp function, unsigned argument) {
  return isa<ScopeType>(function.getArgumentTypes()[argument]) ||
         function.getArgAttr(argument, "moe.param") ||
         function.getArgAttr(argument, "moe.step");
}

SmallVector<unsigned> Interpreter::inputsOf(func::FuncOp function) {
  SmallVector<unsigned> inputs;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (!isConstant(function, i))
      inputs.push_back(i);
  return inputs;
}

/// The function that makes results of `step` for `entry`: it says so in its
/// attributes.
static func::FuncOp findPrepare(ModuleOp module, StringRef entry,
                                int64_t step) {
  for (auto function : module.getOps<func::FuncOp>()) {
    auto of = function->getAttrOfType<StringAttr>("moe.prepare_of");
    auto number = function->getAttrOfType<IntegerAttr>("moe.step");
    if (of && number && of.getValue() == entry && number.getInt() == step)
      return function;
  }
  fail("@" + entry + " needs prepare step " + Twine(step) +
       ", but no function has {moe.prepare_of = \"" + entry +
       "\", moe.step = " + Twine(step) + "}");
}

Value Interpreter::constantArgument(func::FuncOp function, unsigned argument) {
  if (isa<ScopeType>(function.getArgumentTypes()[argument]))
    return Scope{};
  if (auto name = function.getArgAttrOfType<StringAttr>(argument, "moe.param"))
    return param(name.getValue(),
                 cast<RankedTensorType>(function.getArgumentTypes()[argument]));
  auto step = function.getArgAttrOfType<IntegerAttr>(argument, "moe.step");
  auto result = function.getArgAttrOfType<IntegerAttr>(argument, "moe.result");
  if (!step || !result)
    fail("argument " + Twine(argument) + " of @" + function.getName() +
         " needs integers {moe.step, moe.result} or a string {moe.param}");
  func::FuncOp prepare = findPrepare(module, function.getName(), step.getInt());
  if (!steps.contains(prepare)) {
    SmallVector<Value> arguments;
    for (unsigned i = 0; i < prepare.getNumArguments(); ++i) {
      if (!isConstant(prepare, i))
        fail("argument " + Twine(i) + " of @" + prepare.getName() +
             " has no {moe.param}");
      arguments.push_back(constantArgument(prepare, i));
    }
    SmallVector<Value> results = call(prepare, arguments);
    steps[prepare] = std::move(results);
  }
  ArrayRef<Value> results = steps[prepare];
  if (result.getInt() < 0 ||
      result.getInt() >= static_cast<int64_t>(results.size()))
    fail("argument " + Twine(argument) + " of @" + function.getName() +
         " is result " + Twine(result.getInt()) + " of @" + prepare.getName() +
         ", which has " + Twine(results.size()));
  return results[result.getInt()];
}

Value Interpreter::param(StringRef name, RankedTensorType type) {
  std::string key = name.str();
  llvm::raw_string_ostream(key) << " : " << type;
  auto entry = params.find(key);
  if (entry == params.end())
    entry = params.try_emplace(key, toValue(provider(name, type))).first;
  return entry->second;
}

/// "model.mlir:3:12", or the text of a location of another kind.
static std::string placeText(Location place) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (auto file = dyn_cast<FileLineColLoc>(place))
    stream << file.getFilename().getValue() << ":" << file.getLine() << ":"
           << file.getColumn();
  else
    stream << place;
  return text;
}

/// A result as its type holds it.
static Value rounded(Value value, Type type) {
  auto element = dyn_cast<FloatType>(getElementTypeOrSelf(type));
  if (!element)
    return value;
  if (double *number = std::get_if<double>(&value))
    return roundTo(element, *number);
  Tensor tensor = *std::get<std::shared_ptr<const Tensor>>(value);
  for (double &number : tensor.floats())
    number = roundTo(element, number);
  return toValue(std::move(tensor));
}

FailureOr<SmallVector<Value>> Interpreter::run(func::FuncOp function,
                                               ArrayRef<Value> inputs) {
  SmallVector<unsigned> positions = inputsOf(function);
  if (inputs.size() != positions.size())
    return function.emitError()
           << "@" << function.getName() << " takes " << positions.size()
           << " inputs, found " << inputs.size();
  callers.clear();
  try {
    SmallVector<Value> arguments(function.getNumArguments());
    for (unsigned i = 0; i < arguments.size(); ++i)
      if (isConstant(function, i))
        arguments[i] = constantArgument(function, i);
    for (auto [position, input] : llvm::zip(positions, inputs))
      arguments[position] = input;
    SmallVector<Value> results = call(function, arguments);
    if (options.round)
      for (auto [result, type] : llvm::zip(results, function.getResultTypes()))
        result = rounded(result, type);
    return results;
  } catch (const LocatedError &error) {
    return error.op->emitOpError(error.message);
  } catch (const UnknownOperation &error) {
    Location place = error.op->getLoc();
    return emitError(place) << "unknown operation '" << error.op->getName()
                            << "' at " << placeText(place);
  } catch (const Error &error) {
    return function.emitError(error.message);
  }
}

SmallVector<Value> Interpreter::call(func::FuncOp function,
                                     ArrayRef<Value> arguments,
                                     Operation *caller) {
  constexpr size_t limit = 256;
  if (function.isExternal())
    fail("calls @" + function.getName() + ", which has no body");
  if (callers.size() == limit)
    fail("calls are nested more than " + Twine(limit) + " deep at @" +
         function.getName());
  callers.push_back(caller);
  SmallVector<Value> results = Frame(*this).run(function.getBody(), arguments);
  callers.pop_back();
  return results;
}

func::FuncOp Interpreter::lookup(Operation *from, SymbolRefAttr name) {
  return symbols.lookupNearestSymbolFrom<func::FuncOp>(from, name);
}

SmallVector<Load> Interpreter::loads() const {
  return llvm::filter_to_vector(allLoads,
                                [](const Load &load) { return load.isUsed; });
}

size_t Interpreter::loadOf(Operation *maker, int64_t experts, int64_t choices) {
  auto found = llvm::find_if(allLoads, [&](const Load &load) {
    return load.maker == maker && load.callers == callers;
  });
  if (found == allLoads.end())
    found = allLoads.insert(
        found, {maker, callers, choices, std::vector<int64_t>(experts)});
  return found - allLoads.begin();
}

void Interpreter::addSupport(Operation *maker, Routing &routing) {
  routing.support = std::make_shared<Support>(
      Support{loadOf(maker, routing.experts, routing.choices)});
}

static void addTo(Load &load, ArrayRef<int64_t> counts, int64_t slots) {
  for (auto [sum, count] : llvm::zip_equal(load.counts, counts))
    sum += count;
  load.slots += slots;
  load.isUsed = true;
}

void Interpreter::countPairs(const Routing &routing) {
  if (!routing.support || routing.support->isCounted)
    return;
  routing.support->isCounted = true;
  auto tokens = static_cast<int64_t>(routing.tokens.size());
  addTo(allLoads[routing.support->load], routing.counts(),
        tokens * routing.choices);
}

void Interpreter::countPlan(Operation *plan, int64_t choices, int64_t slots,
                            ArrayRef<int64_t> counts) {
  addTo(allLoads[loadOf(plan, counts.size(), choices)], counts, slots);
}

const Value &Frame::get(mlir::Value value) const {
  auto entry = values.find(value);
  assert(entry != values.end() && "operands are computed before their users");
  return entry->second;
}

/// Whether `value` can be a value of `type`.
static bool hasType(const Value &value, Type type) {
  if (auto tensorType = dyn_cast<RankedTensorType>(type)) {
    auto *tensor = std::get_if<std::shared_ptr<const Tensor>>(&value);
    return tensor &&
           (*tensor)->isFloat() ==
               isa<FloatType>(tensorType.getElementType()) &&
           succeeded(
               verifyCompatibleShape((*tensor)->shape, tensorType.getShape()));
  }
  if (isa<FloatType>(type))
    return std::holds_alternative<double>(value);
  if (type.isIntOrIndex())
    return std::holds_alternative<int64_t>(value);
  if (isa<RoutingType>(type))
    return std::holds_alternative<std::shared_ptr<const Routing>>(value);
  if (isa<ScopeType>(type))
    return std::holds_alternative<Scope>(value);
  if (isa<grouped::PackedType>(type))
    return std::holds_alternative<std::shared_ptr<const Packed>>(value);
  return false;
}

static std::string describe(const Value &value) {
  if (auto *tensor = std::get_if<std::shared_ptr<const Tensor>>(&value))
    return "a tensor of " + shapeText((*tensor)->shape) +
           ((*tensor)->isFloat() ? " floats" : " integers");
  static const char *const names[] = {"a float",  "an integer",
                                      "a tensor", "a routing",
                                      "a scope",  "packed weights"};
  return names[value.index()];
}

void Frame::set(mlir::Value result, Value value) {
  if (!hasType(value, result.getType())) {
    std::string type;
    llvm::raw_string_ostream(type) << result.getType();
    fail("gives " + describe(value) + " for " +
         (isa<BlockArgument>(result) ? "an argument" : "a result") +
         " of type " + type);
  }
  values[result] = std::move(value);
}

SmallVector<Value> Frame::run(Region &region, ArrayRef<Value> arguments) {
  if (!region.hasOneBlock())
    fail("has a region of " + Twine(region.getBlocks().size()) +
         " blocks, expected 1");
  Block &block = region.front();
  if (block.getNumArguments() > arguments.size())
    fail("has a region with " + Twine(block.getNumArguments()) +
         " arguments, found " + Twine(arguments.size()));
  for (auto [argument, value] : llvm::zip(block.getArguments(), arguments))
    set(argument, value);
  for (Operation &op : block.without_terminator())
    execute(&op);
  Operation *terminator = block.getTerminator();
  if (!terminator->hasTrait<OpTrait::ReturnLike>() &&
      !isa<RegionBranchTerminatorOpInterface>(terminator))
    throw UnknownOperation{terminator};
  SmallVector<Value> results;
  for (mlir::Value operand : terminator->getOperands())
    results.push_back(get(operand));
  return results;
}

void Frame::execute(Operation *op) {
  const OpFunction &function = interpreter.functionOf(op);
  try {
    function(op, *this);
  } catch (const Error &error) {
    throw LocatedError{op, error.message};
  }
}

std::vector<int64_t> largest(ArrayRef<double> keys, int64_t k) {
  std::vector<int64_t> order(keys.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  llvm::sort(order, [&](int64_t a, int64_t b) {
    bool aIsNan = std::isnan(keys[a]), bIsNan = std::isnan(keys[b]);
    if (aIsNan != bIsNan)
      return bIsNan;
    if (aIsNan || keys[a] == keys[b])
      return a < b;
    return keys[a] > keys[b];
  });
  order.resize(k);
  return order;
}

double roundTo(FloatType type, double value) {
  llvm::APFloat number(value);
  bool losesInfo = false;
  number.convert(type.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven,
                 &losesInfo);
  return number.convertToDouble();
}

int64_t wrapTo(Type type, int64_t value) {
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  if (width == 1)
    return value & 1;
  return llvm::SignExtend64(value, width);
}

SmallVector<Value> runGroups(Frame &frame, ArrayRef<int64_t> offsets,
                             ValueRange rows,
                             llvm::function_ref<ValueRange(unsigned)> eachOf,
                             ArrayRef<int64_t> bounds,
                             MutableArrayRef<Region> regions,
                             unsigned numRowResults) {
  for (mlir::Value row : rows)
    if (frame.tensor(row).rows() != offsets.back())
      fail("has rows of " + shapeText(frame.tensor(row).shape) +
           ", but the groups have " + Twine(offsets.back()) + " rows");
  SmallVector<SmallVector<std::shared_ptr<const Tensor>>>
      parts; // [result][group]
  for (unsigned range = 0; range < regions.size(); ++range) {
    for (int64_t group = bounds[range]; group < bounds[range + 1]; ++group) {
      SmallVector<Value> arguments;
      for (mlir::Value row : rows)
        arguments.push_back(toValue(
            sliceRows(frame.tensor(row), offsets[group], offsets[group + 1])));
      for (mlir::Value each : eachOf(range)) {
        const Tensor &stacked = frame.tensor(each);
        int64_t slice = group - bounds[range];
        if (stacked.rows() != bounds[range + 1] - bounds[range])
          fail("has one slice a group of " + shapeText(stacked.shape) +
               ", but the range has " +
               Twine(bounds[range + 1] - bounds[range]) + " groups");
        arguments.push_back(
            toValue(reshape(sliceRows(stacked, slice, slice + 1),
                            ArrayRef<int64_t>(stacked.shape).drop_front())));
      }
      SmallVector<Value> yielded = frame.run(regions[range], arguments);
      parts.resize(yielded.size());
      for (auto [i, value] : llvm::enumerate(yielded)) {
        auto tensor = std::get<std::shared_ptr<const Tensor>>(value);
        int64_t count = offsets[group + 1] - offsets[group];
        if (i < numRowResults && tensor->rows() != count)
          fail("yields " + Twine(tensor->rows()) + " rows for the " +
               Twine(count) + " rows of expert " + Twine(group));
        if (i >= numRowResults) {
          Shape stacked = {1};
          stacked.append(tensor->shape);
          tensor = std::make_shared<const Tensor>(reshape(*tensor, stacked));
        }
        parts[i].push_back(std::move(tensor));
      }
    }
  }
  SmallVector<Value> results;
  for (ArrayRef<std::shared_ptr<const Tensor>> part : parts)
    results.push_back(toValue(concatRows(part)));
  return results;
}

} // namespace moe::reference
