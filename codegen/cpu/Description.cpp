// See Description.h. runtime/Description.cpp reads the same JSON.

#include "codegen/cpu/Description.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Extents.h"
#include "codegen/cpu/Schedule.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <nlohmann/json.hpp>

#include <cstring>

using namespace mlir;
using Json = nlohmann::ordered_json;

namespace moe::cpu {

static constexpr StringLiteral kParam = "moe.param";
static constexpr StringLiteral kStep = "moe.step";
static constexpr StringLiteral kResult = "moe.result";
static constexpr StringLiteral kPrepareOf = "moe.prepare_of";

static bool isEntry(func::FuncOp function) {
  return function.isPublic() && !function->hasAttr(kPrepareOf) &&
         !function.isDeclaration();
}

/// `moe_F`, with $ and two digits for what the runtime takes in no symbol.
static std::string symbolOf(StringRef name) {
  std::string symbol = "moe_";
  for (char c : name)
    if (llvm::isAlnum(c) || c == '_' || c == '.' || c == '-')
      symbol += c;
    else
      symbol += ("$" + Twine(llvm::hexdigit(static_cast<uint8_t>(c) >> 4)) +
                 Twine(llvm::hexdigit(static_cast<uint8_t>(c) & 15)))
                    .str();
  return symbol;
}

/// The symbol of something else of an entry, which is that of no other entry.
static std::string symbolOf(func::FuncOp entry, const Twine &suffix) {
  std::string name = (entry.getSymName() + suffix).str();
  auto module = entry->getParentOfType<ModuleOp>();
  while (true) {
    auto other = module.lookupSymbol<func::FuncOp>(name);
    if (!other || !isEntry(other))
      return symbolOf(name);
    name += '_';
  }
}

std::string entrySymbol(func::FuncOp entry) {
  return symbolOf(entry.getSymName());
}
std::string workspaceSymbol(func::FuncOp entry) {
  return symbolOf(entry, "_workspace");
}
std::string stepSymbol(func::FuncOp entry, size_t step) {
  return symbolOf(entry, "_prepare" + Twine(step));
}

FailureOr<SmallVector<EntryFunctions>> findEntries(ModuleOp module) {
  SmallVector<EntryFunctions> entries;
  for (auto function : module.getOps<func::FuncOp>())
    if (isEntry(function))
      entries.push_back({function, {}});
  if (entries.empty())
    return module.emitError("the model has no public function to compile");
  for (auto function : module.getOps<func::FuncOp>()) {
    auto of = function->getAttrOfType<StringAttr>(kPrepareOf);
    if (!of)
      continue;
    auto *entry = llvm::find_if(entries, [&](EntryFunctions &entry) {
      return entry.entry.getSymName() == of.getValue();
    });
    if (entry == entries.end())
      return function.emitOpError("prepares ")
             << of << ", which is no public function";
    entry->steps.push_back(function);
  }
  for (EntryFunctions &entry : entries)
    for (auto [number, step] : llvm::enumerate(entry.steps)) {
      auto attribute = step->getAttrOfType<IntegerAttr>(kStep);
      if (!attribute || attribute.getInt() != static_cast<int64_t>(number))
        return step.emitOpError("is not step ")
               << number << " of " << entry.entry.getSymName();
    }
  return entries;
}

static std::string dtype(Type element) {
  if (element.isIndex())
    return "i64";
  if (element.isUnsignedInteger(8))
    return "u8";
  std::string name;
  llvm::raw_string_ostream(name) << element;
  return name;
}

namespace {
class FunctionDescriber {
public:
  FunctionDescriber(const EntryFunctions &functions, const Extents &extents,
                    ArrayRef<Level> levels)
      : entry(functions.entry), steps(functions.steps), extents(extents),
        levels(levels) {}

  FailureOr<Json> describe();

private:
  Json tensor(Value value);
  FailureOr<int64_t> param(func::FuncOp function, unsigned argument);
  LogicalResult addConstant(unsigned argument);
  LogicalResult addStep(size_t number);

  func::FuncOp entry;
  ArrayRef<func::FuncOp> steps;
  const Extents &extents;
  ArrayRef<Level> levels;
  Json params = Json::array(), constants = Json::array();
  Json stepList = Json::array();
  std::map<std::pair<int64_t, int64_t>, int64_t> made; // (step, result)
};
} // namespace

/// What a number of rows is made of; of rows that the data decide, the most.
static Json sizeOf(const Extents &extents, Extent rows) {
  if (rows.kind == Extent::Kind::Grouped)
    return {{"most", sizeOf(extents, extents.bound(rows))}};
  if (rows.kind == Extent::Kind::Constant)
    return rows.factor;
  std::string name = "d" + std::to_string(rows.id);
  if (rows == Extent{Extent::Kind::Input, 1, rows.id})
    return name;
  return {{"of", name},
          {"factor", rows.factor},
          {"divisor", rows.divisor},
          {"times", rows.times},
          {"more", rows.more}};
}

Json FunctionDescriber::tensor(Value value) {
  Json shape = Json::array();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return {{"dtype", dtype(value.getType())}, {"shape", shape}};
  for (auto [d, size] : llvm::enumerate(type.getShape()))
    shape.push_back(ShapedType::isDynamic(size)
                        ? sizeOf(extents, extents.size(value, d))
                        : Json(size));
  return {{"dtype", dtype(type.getElementType())}, {"shape", shape}};
}

/// The number of the param that an argument is, a new one if need be.
FailureOr<int64_t> FunctionDescriber::param(func::FuncOp function,
                                            unsigned argument) {
  auto name = function.getArgAttrOfType<StringAttr>(argument, kParam);
  auto type = dyn_cast<RankedTensorType>(function.getArgumentTypes()[argument]);
  if (!name || !type || !type.hasStaticShape())
    return function.emitOpError("argument ")
           << argument << " is " << function.getArgumentTypes()[argument]
           << ", expected a param of static shape";
  Json stack = Json::array();
  StringRef rest = name.getValue();
  while (true) {
    rest = rest.drop_until([](char c) { return c == '{'; });
    if (rest.empty())
      break;
    auto [brace, after] = rest.drop_front().split('}');
    auto [axis, begin] = brace.split(':');
    int64_t first = 0;
    if (!begin.empty() && begin.getAsInteger(10, first))
      return function.emitOpError("param ")
             << name << " has the placeholder {" << brace
             << "}, expected {name} or {name:number}";
    stack.push_back({{"name", axis.str()}, {"begin", first}});
    rest = after;
  }
  Json described = {{"name", name.getValue().str()},
                    {"dtype", dtype(type.getElementType())},
                    {"shape", type.getShape().vec()},
                    {"stack", stack}};
  for (size_t i = 0; i < params.size(); ++i) {
    if (params[i] == described)
      return static_cast<int64_t>(i);
    if (params[i]["name"] == described["name"])
      return function.emitOpError("uses param ") << name << " with two types";
  }
  params.push_back(described);
  return static_cast<int64_t>(params.size() - 1);
}

LogicalResult FunctionDescriber::addConstant(unsigned argument) {
  auto step = entry.getArgAttrOfType<IntegerAttr>(argument, kStep);
  if (!step) {
    FailureOr<int64_t> number = param(entry, argument);
    if (failed(number))
      return failure();
    constants.push_back({{"param", *number}});
    return success();
  }
  auto result = entry.getArgAttrOfType<IntegerAttr>(argument, kResult);
  if (!result || step.getInt() < 0 ||
      step.getInt() >= static_cast<int64_t>(steps.size()))
    return entry.emitOpError("argument ")
           << argument << " comes from a step that does not exist";
  made[{step.getInt(), result.getInt()}] =
      static_cast<int64_t>(constants.size());
  constants.push_back({{"step", step.getInt()}});
  return success();
}

LogicalResult FunctionDescriber::addStep(size_t number) {
  func::FuncOp step = steps[number];
  Json used = Json::array(), results = Json::array();
  for (unsigned i = 0; i < step.getNumArguments(); ++i) {
    FailureOr<int64_t> which = param(step, i);
    if (failed(which))
      return failure();
    used.push_back(*which);
  }
  Json bytes = Json::object();
  for (const Level &level : levels)
    bytes[level.name.str()] = Json::array();
  for (auto [i, type] : llvm::enumerate(step.getResultTypes())) {
    auto constant = made.find({number, i});
    if (constant == made.end())
      return step.emitOpError("makes result ") << i << ", which nothing uses";
    results.push_back(constant->second);
    for (const Level &level : levels) {
      int64_t size = 0;
      if (auto packed = dyn_cast<grouped::PackedType>(type)) {
        size = packedLayout(packed, level).bytes();
      } else {
        auto plain = cast<RankedTensorType>(type);
        size = plain.getNumElements() * elementBytes(plain.getElementType());
      }
      bytes[level.name.str()].push_back(size);
    }
  }
  stepList.push_back({{"symbol", stepSymbol(entry, number)},
                      {"params", used},
                      {"results", results},
                      {"bytes", bytes}});
  return success();
}

FailureOr<Json> FunctionDescriber::describe() {
  Json inputs = Json::array(), results = Json::array();
  bool constantsBegan = false;
  for (BlockArgument argument : entry.getArguments()) {
    unsigned number = argument.getArgNumber();
    bool constant =
        entry.getArgAttr(number, kParam) || entry.getArgAttr(number, kStep);
    if (!constant && constantsBegan)
      return entry.emitOpError("has input ")
             << number << " after the first constant";
    constantsBegan |= constant;
    if (constant && failed(addConstant(number)))
      return failure();
    if (!constant)
      inputs.push_back(tensor(argument));
  }
  for (Value result : entry.front().getTerminator()->getOperands())
    results.push_back(tensor(result));
  for (size_t i = 0; i < steps.size(); ++i)
    if (failed(addStep(i)))
      return failure();
  Json routings = Json::array();
  for (grouped::PlanOp plan : reportedPlans(extents))
    routings.push_back({{"experts", countersOf(plan).all},
                        {"choices", plan.getIds().getType().getDimSize(1)}});
  Json traced = Json::array();
  for (grouped::TraceOp trace : tracedTensors(entry, extents)) {
    Json described = tensor(trace.getResult());
    Extent rows = extents.of(trace.getResult());
    described["times"] = rows.kind == Extent::Kind::Input ? rows.factor : 1;
    rows.factor = rows.kind == Extent::Kind::Input ? 1 : rows.factor;
    described["shape"][0] = sizeOf(extents, rows);
    traced.push_back(described);
    traced.back()["routing"] = *routingOf(trace, extents);
  }
  return Json{{"name", entry.getSymName().str()},
              {"inputs", inputs},
              {"results", results},
              {"params", params},
              {"constants", constants},
              {"steps", stepList},
              {"routings", routings},
              {"traced", traced},
              {"entry", entrySymbol(entry)},
              {"workspace", workspaceSymbol(entry)}};
}

FailureOr<std::string> describe(ArrayRef<EntryFunctions> entries,
                                ArrayRef<Level> levels) {
  Json names = Json::array(), functions = Json::array();
  for (const Level &level : levels)
    names.push_back(level.name.str());
  for (const EntryFunctions &entry : entries) {
    FailureOr<Extents> extents = Extents::analyse(entry.entry);
    if (failed(extents))
      return failure();
    FailureOr<Json> function =
        FunctionDescriber(entry, *extents, levels).describe();
    if (failed(function))
      return failure();
    functions.push_back(*function);
  }
  Json all = {{"producer", "moe-compile " MOE_VERSION},
              {"levels", names},
              {"functions", functions}};
  return all.dump();
}

OwningOpRef<ModuleOp> descriptionModule(MLIRContext *context, StringRef json) {
  moert_meta_header header;
  std::memcpy(header.magic, MOERT_META_MAGIC, sizeof(header.magic));
  header.major = MOERT_ABI_MAJOR;
  header.minor = MOERT_ABI_MINOR;
  header.json_length = json.size();
  std::string bytes(reinterpret_cast<const char *>(&header), sizeof(header));
  bytes += json;
  bytes.resize((bytes.size() + 7) / 8 * 8, '\0');

  OpBuilder builder(context);
  Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToStart(module->getBody());
  auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), bytes.size());
  auto global = LLVM::GlobalOp::create(
      builder, loc, type, /*isConstant=*/true, LLVM::Linkage::External,
      MOERT_META_SYMBOL, builder.getStringAttr(bytes), /*alignment=*/8);
  global.setSection(MOERT_META_SECTION);
  return module;
}

} // namespace moe::cpu
