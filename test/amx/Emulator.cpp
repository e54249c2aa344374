// Executes the AMX instructions of compiled code where the CPU does not: each
// raises SIGILL, whose handler decodes it, does its work and steps over it.
// What the manual leaves undefined, or the CPU would refuse, ends the program.

#include "test/amx/Emulator.h"

#include <array>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <cpuid.h>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace {

constexpr int kTiles = 8, kRows = 16, kBytes = 64;

/// The 64 bytes that ldtilecfg reads.
struct Configuration {
  uint8_t palette, startRow, reserved[14];
  uint16_t rowBytes[16];
  uint8_t rows[16];
};
static_assert(sizeof(Configuration) == 64);

struct State {
  Configuration configuration;
  uint8_t tiles[kTiles][kRows][kBytes];
};
thread_local State state;

enum Operation {
  LoadConfiguration,
  StoreConfiguration,
  Release,
  Zero,
  Load,
  Store,
  DotBf16,
  DotInt8,
  Operations
};
constexpr const char *kNames[] = {"ldtilecfg", "sttilecfg",    "tilerelease",
                                  "tilezero",  "tileloadd",    "tilestored",
                                  "tdpbf16ps", "tdpb[su][su]d"};
std::array<std::atomic<uint64_t>, Operations> counts;
struct sigaction previous;

/// Whether the CPU executes tile instructions in this process.
bool native;
/// Where a signal's frame has the CPU's configuration; 0: it has none.
size_t savedConfiguration;

[[noreturn]] void refuse(const char *what) {
  fprintf(stderr, "AMX emulator: %s\n", what);
  abort();
}

/// One instruction of the form VEX.128.map2.W0, which all of AMX has.
struct Instruction {
  int prefix; // 0: none, 1: 66, 2: F3, 3: F2
  int opcode;
  bool hasMemory;
  int reg, rm, second; // of ModRM, and of VEX.vvvv
  uint64_t address;    // without the index where it is a stride
  int64_t index;       // scaled
  const uint8_t *end;
};

int64_t general(const greg_t *registers, int number) {
  static constexpr int kOrder[] = {
      REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
      REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return registers[kOrder[number]];
}

template <typename T> T take(const uint8_t *&at) {
  T value;
  memcpy(&value, at, sizeof(T));
  at += sizeof(T);
  return value;
}

bool decode(const uint8_t *at, const greg_t *registers, Instruction &result) {
  // R is inverted, and tile numbers need no fourth bit.
  if (at[0] != 0xc4 || (at[1] & 0x9f) != 0x82 || (at[2] & 0x84) != 0)
    return false;
  int highIndex = at[1] & 0x40 ? 0 : 8, highBase = at[1] & 0x20 ? 0 : 8;
  result.prefix = at[2] & 3;
  result.second = (~at[2] >> 3) & 15;
  result.opcode = at[3];
  int mode = at[4] >> 6;
  result.reg = (at[4] >> 3) & 7;
  result.rm = at[4] & 7;
  result.hasMemory = mode != 3;
  result.address = 0;
  result.index = 0;
  at += 5;
  if (result.hasMemory) {
    bool relative = mode == 0 && result.rm == 5, hasBase = !relative;
    int base = result.rm | highBase;
    if (result.rm == 4) {
      uint8_t sib = take<uint8_t>(at);
      int index = ((sib >> 3) & 7) | highIndex;
      if (index != 4)
        result.index = general(registers, index) << (sib >> 6);
      base = (sib & 7) | highBase;
      hasBase = (sib & 7) != 5 || mode != 0;
    }
    if (mode == 1)
      result.address = take<int8_t>(at);
    else if (mode == 2 || !hasBase)
      result.address = take<int32_t>(at);
    if (hasBase)
      result.address += general(registers, base);
    if (relative)
      result.address += reinterpret_cast<uint64_t>(at);
  }
  result.end = at;
  return true;
}

/// Numbers below the normal ones count as zero.
float flush(float value) {
  return std::fabs(value) < FLT_MIN ? std::copysign(0.0f, value) : value;
}

/// bf16 as f32.
float widen(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  memcpy(&value, &wide, 4);
  return flush(value);
}

template <typename T> T element(const uint8_t *row, int number) {
  T value;
  memcpy(&value, row + number * sizeof(T), sizeof(T));
  return value;
}

/// sum + x y, rounded once: in f64 the product is exact.
float fuse(float sum, uint16_t x, uint16_t y) {
  double exact = static_cast<double>(widen(x)) * widen(y) + sum;
  return flush(static_cast<float>(exact));
}

/// Even and odd entries have a sum each.
float dotBf16(float sum, const uint8_t *a, const uint8_t *const *b, int column,
              int steps) {
  float even = 0, odd = 0;
  for (int k = 0; k < steps; ++k) {
    even = fuse(even, element<uint16_t>(a, 2 * k),
                element<uint16_t>(b[k], 2 * column));
    odd = fuse(odd, element<uint16_t>(a, 2 * k + 1),
               element<uint16_t>(b[k], 2 * column + 1));
  }
  return flush(flush(sum) + flush(even + odd));
}

int32_t dotInt8(int32_t sum, const uint8_t *a, const uint8_t *const *b,
                int column, int steps, bool signedA, bool signedB) {
  auto extend = [](uint8_t byte, bool isSigned) -> int32_t {
    return isSigned ? static_cast<int8_t>(byte) : static_cast<int32_t>(byte);
  };
  auto wrapping = static_cast<uint32_t>(sum);
  for (int k = 0; k < steps; ++k)
    for (int i = 0; i < 4; ++i)
      wrapping += static_cast<uint32_t>(extend(a[4 * k + i], signedA) *
                                        extend(b[k][4 * column + i], signedB));
  return static_cast<int32_t>(wrapping);
}

int rowsOf(int tile) { return state.configuration.rows[tile]; }
int bytesOf(int tile) { return state.configuration.rowBytes[tile]; }

void requireTile(int tile) {
  if (state.configuration.palette != 1)
    refuse("tiles are used without a configuration");
  if (rowsOf(tile) == 0)
    refuse("a tile is used that the configuration leaves out");
}

void configure(const void *from) {
  memcpy(&state.configuration, from, sizeof(Configuration));
  memset(state.tiles, 0, sizeof(state.tiles));
  if (state.configuration.palette > 1 || state.configuration.startRow != 0)
    refuse("bad palette or start row");
  for (int t = 0; t < 16; ++t)
    if (rowsOf(t) > kRows || bytesOf(t) > kBytes || bytesOf(t) % 4 != 0 ||
        (rowsOf(t) == 0) != (bytesOf(t) == 0) ||
        (t >= kTiles && rowsOf(t) != 0))
      refuse("bad shape of a tile");
}

/// tile `reg` += tile `rm` times tile `second`.
void multiply(const Instruction &instruction) {
  int sums = instruction.reg, a = instruction.rm, b = instruction.second;
  if (b >= kTiles || sums == a || sums == b || a == b)
    refuse("tiles of a product are the same, or there is no such tile");
  for (int tile : {sums, a, b})
    requireTile(tile);
  int steps = bytesOf(a) / 4;
  if (rowsOf(a) != rowsOf(sums) || rowsOf(b) != steps ||
      bytesOf(b) != bytesOf(sums))
    refuse("shapes of a product do not fit");
  const uint8_t *rows[kRows];
  for (int k = 0; k < steps; ++k)
    rows[k] = state.tiles[b][k];
  bool integer = instruction.opcode == 0x5e;
  bool signedA = instruction.prefix >= 2;
  bool signedB = instruction.prefix == 3 || instruction.prefix == 1;
  // The names go by the operands: tdpbusd has an unsigned A and a signed B.
  for (int row = 0; row < rowsOf(sums); ++row)
    for (int column = 0; column < bytesOf(sums) / 4; ++column) {
      uint8_t *at = state.tiles[sums][row] + 4 * column;
      if (integer) {
        int32_t sum = dotInt8(element<int32_t>(at, 0), state.tiles[a][row],
                              rows, column, steps, signedA, signedB);
        memcpy(at, &sum, 4);
      } else {
        float sum = dotBf16(element<float>(at, 0), state.tiles[a][row], rows,
                            column, steps);
        memcpy(at, &sum, 4);
      }
    }
}

/// A CPU with AMX loads and drops configurations itself, also where it may not
/// use tiles: the one it has is in the signal's frame.
void takeConfiguration(const ucontext_t *context) {
  constexpr size_t kHeader = 512;
  constexpr uint64_t kConfiguration = 1u << 17;
  const auto *frame =
      reinterpret_cast<const uint8_t *>(context->uc_mcontext.fpregs);
  uint64_t states; // the others have their initial values
  memcpy(&states, frame + kHeader, 8);
  Configuration found = {};
  if (states & kConfiguration)
    memcpy(&found, frame + savedConfiguration, sizeof(found));
  if (memcmp(&found, &state.configuration, sizeof(found)) != 0)
    configure(&found);
}

/// Which operation it is; Operations: none that this file knows.
Operation classify(const Instruction &instruction) {
  bool memory = instruction.hasMemory;
  switch (instruction.opcode) {
  case 0x49:
    if (memory && instruction.prefix == 0)
      return LoadConfiguration;
    if (memory && instruction.prefix == 1)
      return StoreConfiguration;
    if (!memory && instruction.prefix == 0)
      return Release;
    return !memory && instruction.prefix == 3 ? Zero : Operations;
  case 0x4b:
    if (!memory || instruction.prefix == 0)
      return Operations;
    return instruction.prefix == 2 ? Store : Load;
  case 0x5c:
    return !memory && instruction.prefix == 2 ? DotBf16 : Operations;
  case 0x5e:
    return !memory ? DotInt8 : Operations;
  default:
    return Operations;
  }
}

void execute(Operation operation, const Instruction &instruction) {
  int tile = instruction.reg;
  auto *memory = reinterpret_cast<uint8_t *>(instruction.address);
  switch (operation) {
  case LoadConfiguration:
    return configure(memory + instruction.index);
  case StoreConfiguration:
    memcpy(memory + instruction.index, &state.configuration, 64);
    return;
  case Release:
    state = State();
    return;
  case Zero:
    requireTile(tile);
    memset(state.tiles[tile], 0, sizeof(state.tiles[tile]));
    return;
  case Load:
    requireTile(tile);
    memset(state.tiles[tile], 0, sizeof(state.tiles[tile]));
    for (int row = 0; row < rowsOf(tile); ++row)
      memcpy(state.tiles[tile][row], memory + row * instruction.index,
             bytesOf(tile));
    return;
  case Store:
    requireTile(tile);
    for (int row = 0; row < rowsOf(tile); ++row)
      memcpy(memory + row * instruction.index, state.tiles[tile][row],
             bytesOf(tile));
    return;
  case DotBf16:
  case DotInt8:
    return multiply(instruction);
  case Operations:
    break;
  }
}

void onIllegalInstruction(int, siginfo_t *, void *context) {
  greg_t *registers = static_cast<ucontext_t *>(context)->uc_mcontext.gregs;
  Instruction instruction;
  Operation operation = Operations;
  if (decode(reinterpret_cast<const uint8_t *>(registers[REG_RIP]), registers,
             instruction))
    operation = classify(instruction);
  if (operation == Operations) { // faults again, under the old handler
    sigaction(SIGILL, &previous, nullptr);
    return;
  }
  counts[operation].fetch_add(1, std::memory_order_relaxed);
  if (savedConfiguration != 0)
    takeConfiguration(static_cast<ucontext_t *>(context));
  execute(operation, instruction);
  registers[REG_RIP] = reinterpret_cast<greg_t>(instruction.end);
}

/// Whether the CPU has AMX, and the system saves its registers.
bool cpuHasAmx() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("amx-tile") &&
         __builtin_cpu_supports("amx-bf16") &&
         __builtin_cpu_supports("amx-int8");
}

constexpr unsigned kRequestPermission = 0x1023, kTileData = 18;

/// From now on Linux refuses this process the use of tiles.
void forbidTiles() {
  auto load = [](unsigned offset) {
    return sock_filter(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
  };
  auto skipUnless = [](unsigned value, uint8_t count) {
    return sock_filter(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count));
  };
  auto answer = [](unsigned what) {
    return sock_filter(BPF_STMT(BPF_RET | BPF_K, what));
  };
  sock_filter filter[] = {load(offsetof(seccomp_data, nr)),
                          skipUnless(SYS_arch_prctl, 3),
                          load(offsetof(seccomp_data, args)),
                          skipUnless(kRequestPermission, 1),
                          answer(SECCOMP_RET_ERRNO | 1 /* EPERM */),
                          answer(SECCOMP_RET_ALLOW)};
  sock_fprog program = {std::size(filter), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    refuse("cannot keep the CPU from executing AMX");
}

/// $MOE_AMX_REPORT: what was executed goes to standard error at the end.
void report() {
  if (native)
    fprintf(stderr, "AMX is native, nothing was emulated\n");
  for (int i = 0; i < Operations && !native; ++i)
    fprintf(stderr, "emulated %s %llu\n", kNames[i],
            static_cast<unsigned long long>(counts[i].load()));
}

/// $MOE_AMX_EMULATE: tiles are emulated on every CPU.
__attribute__((constructor)) void start() {
  if (cpuHasAmx()) {
    unsigned size, offset, c, d;
    __get_cpuid_count(0xd, 17, &size, &offset, &c, &d);
    savedConfiguration = offset;
    if (getenv("MOE_AMX_EMULATE"))
      forbidTiles();
    else
      native = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }
  moe_amx_install();
  if (getenv("MOE_AMX_REPORT"))
    atexit(report);
}

} // namespace

void moe_amx_install() {
  if (native)
    return;
  struct sigaction action = {}, found;
  action.sa_sigaction = onIllegalInstruction;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &found);
  if (found.sa_sigaction != onIllegalInstruction)
    previous = found;
}

bool moe_amx_is_native() { return native; }

uint64_t moe_amx_products() {
  return counts[DotBf16].load() + counts[DotInt8].load();
}
