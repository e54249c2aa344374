# How lit finds and runs the tests of this folder: our tools and LLVM's on the path, ISA levels of this machine as features.
import os

import lit.formats

config.name = "moe-mlir"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "golden"]
config.test_source_root = os.path.join(config.moe_source_root, "test")
config.test_exec_root = os.path.join(config.moe_binary_root, "test")

tools = os.path.join(config.moe_binary_root, "bin")
config.environment["PATH"] = os.pathsep.join([tools, config.llvm_tools_dir, config.environment["PATH"]])
# moe-run keeps what it compiles here instead of in the user's cache.
config.environment["XDG_CACHE_HOME"] = os.path.join(config.test_exec_root, "cache")
config.environment["NO_COLOR"] = "1"
config.environment.pop("MOE_CPU", None)

# UNSUPPORTED: sanitize is for tests that limit address space, or load libmoert into a program that has no sanitizer.
if config.sanitize:
    config.available_features.add("sanitize")
    # LLVM's allocators poison what only LLVM's own code, which is not instrumented, unpoisons; LLVM keeps much until the end.
    config.environment["ASAN_OPTIONS"] = "detect_leaks=0:allow_user_poisoning=0:allocator_may_return_null=1"
    config.environment["UBSAN_OPTIONS"] = "print_stacktrace=1"

config.substitutions += [
    ("%{root}", config.moe_source_root),
    ("%{build}", config.moe_binary_root),
    ("%{examples}", os.path.join(config.moe_source_root, "examples")),
    ("%{golden}", os.path.join(config.moe_source_root, "test", "golden")),
    ("%{python}", "python3"),
    # Runs an artefact compiled with --level=amx --emulated on any machine, the same on those with AMX.
    ("%{amx}", f"env MOE_AMX_EMULATE=1 LD_PRELOAD={config.moe_binary_root}/lib/libmoe-amx-emulator.so"),
    ("%{cc}", config.c_compiler),
    ("%{cxx}", config.cxx_compiler),
]

# MOE_CPU levels this machine can run (the same sets as in runtime/): tests say REQUIRES: avx512.
LEVELS = {
    "avx2": "avx2 fma f16c bmi2",
    "avxvnni": "avx2 fma f16c bmi2 avx_vnni",
    "avx512": "avx2 fma f16c bmi2 avx512f avx512bw avx512dq avx512vl avx512cd",
    "avx512bf16": "avx2 fma f16c bmi2 avx512f avx512bw avx512dq avx512vl avx512cd avx512_bf16 avx512_vnni",
    "amx": "avx2 fma f16c bmi2 avx512f avx512bw avx512dq avx512vl avx512cd avx512_bf16 avx512_vnni amx_tile amx_bf16 amx_int8",
}
with open("/proc/cpuinfo") as cpuinfo:
    flags = next((set(line.split(":")[1].split()) for line in cpuinfo if line.startswith("flags")), set())
for level, needed in LEVELS.items():
    if flags.issuperset(needed.split()):
        config.available_features.add(level)
# For test/examples/Inputs/levels.py.
config.environment["MOE_TEST_LEVELS"] = " ".join(level for level in LEVELS if level in config.available_features)
config.substitutions.append(("%{levels}", ",".join(level for level in LEVELS if level in config.available_features)))
