// See KernelHarness.h.

#include "KernelHarness.h"

#include "codegen/cpu/Compile.h"
#include "codegen/cpu/Link.h"
#include "codegen/cpu/Lower.h"
#include "codegen/cpu/Object.h"
#include "passes/Passes.h"
#include "test/amx/Emulator.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"

#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;

namespace moe::cpu {
void PrintTo(const Level &level, std::ostream *stream) {
  *stream << test::describe(level);
}
} // namespace moe::cpu

namespace moe::test {

std::vector<cpu::Level> runnableLevels() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  std::vector<cpu::Level> result;
  for (const cpu::Level &level : cpu::levels()) {
    bool native = features["avx2"] && features["fma"];
    if (level.lanes == 16)
      native = native && features["avx512f"] && features["avx512bw"] &&
               features["avx512dq"] && features["avx512vl"];
    else if (level.int8Dot)
      native = native && features["avxvnni"];
    if (level.bf16Dot)
      native = native && features["avx512bf16"] && features["avx512vnni"];
    if (level.matrixRows != 0)
      native = native && features["amx-tile"] && features["amx-bf16"] &&
               features["amx-int8"];
    if (native)
      result.push_back(level);
    if (level.name != cpu::levels()[0].name)
      result.push_back(cpu::emulate(level));
  }
  return result;
}

std::string describe(const cpu::Level &level) {
  return level.name.str() + (level.emulated ? "_emulated" : "");
}

static void fail(const llvm::Twine &message) {
  llvm::errs() << message << "\n";
  abort();
}

GuardedBuffer::GuardedBuffer(size_t bytes) : bytes(bytes) {
  size_t page = sysconf(_SC_PAGESIZE);
  size_t payload = (bytes + page - 1) / page * page;
  mapped = payload + 2 * page;
  void *memory =
      mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    fail("mmap failed");
  mapping = static_cast<char *>(memory);
  if (payload > 0 &&
      mprotect(mapping + page, payload, PROT_READ | PROT_WRITE) != 0)
    fail("mprotect failed");
  start = mapping + page + payload - bytes;
}

GuardedBuffer::~GuardedBuffer() { munmap(mapping, mapped); }

void GuardedBuffer::makeReadOnly() {
  size_t page = sysconf(_SC_PAGESIZE);
  if (mapped > 2 * page)
    mprotect(mapping + page, mapped - 2 * page, PROT_READ);
}

Arguments &Arguments::index(int64_t value) {
  words.push_back(value);
  return *this;
}

Arguments &Arguments::memref(void *data, std::vector<int64_t> shape,
                             std::vector<int64_t> strides) {
  if (strides.empty()) {
    strides.assign(shape.size(), 1);
    for (size_t i = shape.size(); i-- > 1;)
      strides[i - 1] = strides[i] * shape[i];
  }
  int64_t pointer = reinterpret_cast<int64_t>(data);
  words.insert(words.end(), {pointer, pointer, 0});
  words.insert(words.end(), shape.begin(), shape.end());
  words.insert(words.end(), strides.begin(), strides.end());
  return *this;
}

MLIRContext &context() {
  static MLIRContext *instance = [] {
    DialectRegistry registry;
    registerDialects(registry);
    cpu::registerCompilation(registry);
    auto *context = new MLIRContext(registry);
    context->loadAllAvailableDialects();
    return context;
  }();
  return *instance;
}

std::unique_ptr<Kernels>
Kernels::compile(const cpu::Level &level,
                 llvm::function_ref<void(OpBuilder &, ModuleOp)> build) {
  OpBuilder builder(&context());
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  build(builder, *module);
  if (failed(verify(*module)) || failed(cpu::lowerToLLVM(*module, level)))
    fail("cannot lower");
  llvm::SmallVector<char, 0> object;
  if (const char *path = getenv("MOE_TEST_ASSEMBLY")) {
    std::error_code code;
    llvm::SmallVector<char, 0> text;
    llvm::raw_fd_ostream stream(path, code);
    OwningOpRef<ModuleOp> copy = module->clone();
    if (succeeded(cpu::emitCode(*copy, level, cpu::CodeKind::Assembly, text)))
      stream << StringRef(text.data(), text.size());
  }
  if (failed(cpu::emitCode(*module, level, cpu::CodeKind::Object, object)))
    fail("cannot make an object");
  llvm::Expected<llvm::SmallVector<char, 0>> linked =
      cpu::linkSharedObject({StringRef(object.data(), object.size())});
  if (!linked)
    fail(llvm::toString(linked.takeError()));

  llvm::SmallString<128> path;
  int file = -1;
  if (llvm::sys::fs::createTemporaryFile("moe-kernels", "so", file, path))
    fail("no temporary file");
  llvm::raw_fd_ostream(file, /*shouldClose=*/true)
      << StringRef(linked->data(), linked->size());
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    fail(dlerror());
  llvm::sys::fs::remove(path);
  moe_amx_install();
  return std::unique_ptr<Kernels>(new Kernels(library));
}

Kernels::~Kernels() { dlclose(library); }

template <size_t... I>
static void callWords(void *function, const std::vector<int64_t> &words,
                      std::index_sequence<I...>) {
  auto take = [](size_t) -> int64_t { return 0; };
  using Pointer = void (*)(decltype(take(I))...);
  // The caller removes arguments, so unused ones at the end do no harm.
  reinterpret_cast<Pointer>(function)((I < words.size() ? words[I] : 0)...);
}

void *Kernels::find(const char *name) const {
  void *function = dlsym(library, name);
  if (!function)
    fail(llvm::Twine("no function ") + name);
  return function;
}

void Kernels::call(const char *name, const Arguments &arguments) const {
  void *function = find(name);
  if (arguments.words.size() > 64)
    fail("too many arguments");
  callWords(function, arguments.words, std::make_index_sequence<64>());
}

void addFunction(OpBuilder &builder, ModuleOp module, StringRef name,
                 TypeRange arguments,
                 llvm::function_ref<void(OpBuilder &, ValueRange)> body) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module.getBody());
  Location loc = builder.getUnknownLoc();
  auto function = func::FuncOp::create(builder, loc, name,
                                       builder.getFunctionType(arguments, {}));
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  body(builder, entry->getArguments());
  func::ReturnOp::create(builder, loc);
}

double storeRounded(Type type, void *data, int64_t at, double value) {
  llvm::APFloat number(value);
  bool lost;
  number.convert(cast<FloatType>(type).getFloatSemantics(),
                 llvm::APFloat::rmNearestTiesToEven, &lost);
  uint64_t bits = number.bitcastToAPInt().getZExtValue();
  size_t size = type.getIntOrFloatBitWidth() / 8;
  memcpy(static_cast<char *>(data) + at * size, &bits, size);
  number.convert(llvm::APFloat::IEEEdouble(),
                 llvm::APFloat::rmNearestTiesToEven, &lost);
  return number.convertToDouble();
}

} // namespace moe::test
