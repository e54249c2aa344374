// moe-run as a process, on the hand-written artefact: results, exit codes, what
// it leaves behind, its cache.
#include "runtime/Cpu.h"
#include "test/runtime/Support.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sys/wait.h>

using test::Folder;

namespace {

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

class Run : public testing::Test {
protected:
  void SetUp() override {
    unsetenv("MOE_CPU");
    if (moert::supportedLevels().empty())
      GTEST_SKIP() << "this CPU has no supported level";
    test::writeArtefact(folder / "mix.so", test::description());
    test::writeFile(folder / "w.safetensors",
                    test::safetensors(test::mixWeights()));
  }

  /// Runs a shell command in the folder. A signal gives a code above 128.
  Outcome shell(const std::string &command) {
    std::string line =
        fmt::format("cd '{}' && {{ {}; }} > out 2> err", folder.path, command);
    int status = std::system(line.c_str());
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    Outcome outcome{code, test::readFile(folder / "out"),
                    test::readFile(folder / "err")};
    std::filesystem::remove(folder / "out");
    std::filesystem::remove(folder / "err");
    return outcome;
  }
  Outcome run(const std::string &arguments) {
    return shell(MOE_RUN " " + arguments);
  }
  /// With weights and two inputs of two tokens.
  Outcome mix(const std::string &arguments) {
    return run(
        "mix.so --weights=w.safetensors --input=2x4xf32=2 --input=2xf32=1 " +
        arguments);
  }

  Folder folder;
};

#define EXPECT_RUN(call, wantedCode, wantedErr)                                \
  do {                                                                         \
    Outcome outcome = call;                                                    \
    EXPECT_EQ(outcome.code, wantedCode) << outcome.err;                        \
    EXPECT_NE(outcome.err.find(wantedErr), std::string::npos) << outcome.err;  \
    EXPECT_EQ(outcome.err.find("moe-run: "), 0u) << outcome.err;               \
    EXPECT_EQ(outcome.out, "");                                                \
  } while (false)

TEST_F(Run, PrintsResults) {
  Outcome outcome = mix("");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "2x4xf32=[113 24 306 8][113 24 306 8]\n");
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(mix("--output=-").out, outcome.out);
  EXPECT_EQ(mix("--output_max_element_count=3").out,
            "2x4xf32=[113 24 306...]...\n");
  EXPECT_EQ(mix("--function=mix --device=cpu --threads=1").out, outcome.out);
  EXPECT_EQ(mix("--function=@mix --level=avx2").out, outcome.out);
  EXPECT_EQ(run("mix.so --weights=. --input=0x4xf32 --input=0xf32").code,
            5); // no model.safetensors here
  EXPECT_EQ(
      run("mix.so --weights=w.safetensors --input=0x4xf32 --input=0xf32").out,
      "0x4xf32=\n");
}

TEST_F(Run, ReadsAndWritesFiles) {
  EXPECT_EQ(mix("--output=@z.npy").out, "");
  Outcome again = run("mix.so --weights=w.safetensors --input=@z.npy "
                      "--input=2xf32 --output=+z.npy --verbose");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.err.find("unused: 'extra'"), std::string::npos) << again.err;
  EXPECT_EQ(run("mix.so --weights=w.safetensors --input=@z.npy --input=2xf32 "
                "--expected_output=2x4xf32=[113 48 918 32][113 48 918 32]")
                .code,
            2);
  Outcome equal =
      run("mix.so --weights=w.safetensors --input=@z.npy --input=2xf32 "
          "'--expected_output=2x4xf32=[113 48 918 32][113 48 918 32]'");
  EXPECT_EQ(equal.code, 0) << equal.err;
  EXPECT_EQ(equal.out.find("[SUCCESS] result[0]: all 8 elements match"), 0u)
      << equal.out;
  Outcome piped =
      shell("cat z.npy | " MOE_RUN " mix.so --weights=w.safetensors --input=- "
            "--input=2xf32 --output=@- > p.npy && " MOE_RUN
            " mix.so --weights=w.safetensors --input=@p.npy --input=2xf32");
  EXPECT_EQ(piped.out, "2x4xf32=[113 96 2754 128][113 96 2754 128]\n")
      << piped.err;
  EXPECT_EQ(run("mix.so --weights=w.safetensors "
                "--input=@w.safetensors:gate.weight --input=2xf32")
                .code,
            2);
}

TEST_F(Run, Compares) {
  Outcome differ = mix("'--expected_output=2x4xf32=[113 24 306 8][113 24 306 "
                       "9]' --output=@z.npy");
  EXPECT_EQ(differ.code, 3);
  EXPECT_EQ(differ.out.find("[FAILED] result[0]: element at index 7 (8) does "
                            "not match the expected (9)"),
            0u)
      << differ.out;
  EXPECT_TRUE(std::filesystem::exists(folder / "z.npy")); // to look at
  EXPECT_EQ(mix("'--expected_output=2x4xf32=[113 24 306 8][113 24 306 9]' "
                "--expected_atol=1")
                .code,
            0);
  EXPECT_EQ(mix("'--expected_output=2x4xf32=[113 24 306 8][113 24 306 9]' "
                "--expected_rtol=0.2")
                .code,
            0);
  EXPECT_RUN(mix("--expected_output=2x4xf32=1 --expected_output=1xf32"), 2,
             "2 --expected_output options, function 'mix' has 1 result\n");
  for (const char *tolerance :
       {"--expected_atol=-1", "--expected_rtol=x", "--expected_rtol=nan",
        "--output_max_element_count=-1"})
    EXPECT_RUN(mix(tolerance), 2, "is no number of 0 or more");
}

TEST_F(Run, Statistics) {
  Outcome outcome = mix("--stats --output=@z.npy");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(
      outcome.out.find("routing 0: 3 experts, up to 1 a token, 2 rows, 2 of "
                       "4 slots empty (50.0%), the busiest has 1.50 times the "
                       "mean\n  expert 0  ####"),
      0u)
      << outcome.out;
  EXPECT_NE(outcome.out.find("a token (2 tokens, "), std::string::npos)
      << outcome.out;
  Outcome binary = mix("--stats --output=@-");
  EXPECT_EQ(binary.out.find("\x93NUMPY"), 0u);
  EXPECT_EQ(binary.out.find("routing"), std::string::npos);
  EXPECT_NE(binary.err.find("routing 0"), std::string::npos);
}

TEST_F(Run, ListsFunctions) {
  EXPECT_EQ(run("mix.so --list").out, "mix(d0x4xf32, d0xf32) -> (d0x4xf32)\n"
                                      "  gate.weight : 4xf32\n"
                                      "  experts.{expert}.w : 3x4xf32\n");
}

TEST_F(Run, HelpFitsAScreen) {
  Outcome help = run("--help");
  EXPECT_EQ(help.code, 0);
  EXPECT_LE(std::ranges::count(help.out, '\n'), 32);
  for (const char *option :
       {"--function", "--input", "--output", "--expected_output",
        "--expected_atol", "--expected_rtol", "--output_max_element_count",
        "--weights", "--prefix", "--device", "--threads", "--level", "--stats",
        "--list", "--verbose", "--help", "--version", "Examples:"})
    EXPECT_NE(help.out.find(option), std::string::npos) << option;
  EXPECT_EQ(run("--version").out, "moe-run 0.1.0\n");
}

TEST_F(Run, UsageErrors) {
  EXPECT_RUN(run(""), 2, "no model given");
  EXPECT_RUN(run("--frobnicate"), 2, "--frobnicate");
  EXPECT_RUN(run("mix.so extra.so"), 2, "extra.so");
  EXPECT_RUN(mix("--threads=-1"), 2, "--threads");
  EXPECT_RUN(mix("--threads=x"), 2, "x");
  EXPECT_RUN(mix("--function=mux"), 2, "has no function 'mux'; it has 'mix'");
  EXPECT_RUN(mix("--input=2xf32"), 2,
             "3 --input options, function 'mix' has 2 inputs\n");
  EXPECT_RUN(mix("--output=z.npy"), 2, "is none of @FILE.npy");
  EXPECT_RUN(run("mix.so --input=2x4xf32 --input=2xf32"), 2, "needs weights");
  EXPECT_RUN(
      run("mix.so --weights=w.safetensors --input=2x4xf32 --input=3xf32"), 2,
      "input 1 of 'mix': dimension 0 is 3, but dimension 0 of input 0 is 2, "
      "and both are 'd0'");
  EXPECT_RUN(run("mix.so --weights=w.safetensors --input=2xf32 --input=2xf32"),
             2, "input 0 of 'mix' is 2xf32, wanted d0x4xf32");
  EXPECT_RUN(mix("--device=cuda"), 7, "no device 'cuda'");
  EXPECT_RUN(mix("--level=mmx"), 2, "unknown instruction set level 'mmx'");
  EXPECT_RUN(run("mix.so --list --level=mmx"), 2, "level 'mmx'; there are");
}

TEST_F(Run, ErrorsThatNobodyReads) {
  EXPECT_EQ(run("none.so 2>/dev/full").code, 5);
}

TEST_F(Run, BadFilesLeaveNothingBehind) {
  size_t before = folder.files().size();
  EXPECT_RUN(
      mix("--prefix=x. --output=@z.npy"), 4,
      "has no tensor 'x.gate.weight'; the closest name is 'gate.weight'");
  EXPECT_RUN(run("none.so"), 5, "none.so: cannot be opened");
  EXPECT_RUN(run("w.safetensors"), 4, "does not begin as an ELF file");
  EXPECT_RUN(run("mix.so --weights=none --input=2x4xf32 --input=2xf32 "
                 "--output=@z.npy"),
             5, "none: cannot be opened");
  EXPECT_RUN(run("mix.so --weights=mix.so --input=2x4xf32 --input=2xf32 "
                 "--output=@z.npy"),
             4, "mix.so: header of");
  EXPECT_RUN(run("mix.so --weights=w.safetensors --input=@none.npy "
                 "--input=2xf32 --output=@z.npy"),
             5, "none.npy: cannot be opened");
  EXPECT_RUN(run("mix.so --weights=w.safetensors --input=@mix.so --input=2xf32 "
                 "--output=@z.npy"),
             4, "mix.so: does not have the magic number");
  EXPECT_RUN(mix("--output=@none/z.npy"), 5, "none/z.npy: cannot be created");
  EXPECT_RUN(mix("--output=@/dev/full"), 5,
             "/dev/full: writing failed: No space left on device");
  EXPECT_RUN(run("mix.so --weights=w.safetensors --input=99x4xf32 "
                 "--input=99xf32 --output=@z.npy"),
             6, "would need 99.0 TiB");
  EXPECT_RUN(run("mix.so --weights=w.safetensors "
                 "--input=1000000000000000x4xf32 --input=1xf32"),
             6, "would need");
  EXPECT_RUN(run("mix.so --weights=w.safetensors --input=1x4xf32 "
                 "--input=1xf32=-1000 --output=@z.npy"),
             1, "index 0 is outside [0, 3)");
  EXPECT_EQ(folder.files().size(), before);
  std::string old(100, 'o');
  test::writeFile(folder / "z.npy", old);
  EXPECT_EQ(run("mix.so --weights=w.safetensors --input=1x4xf32 "
                "--input=1xf32=-1000 --output=@z.npy")
                .code,
            1);
  EXPECT_EQ(test::readFile(folder / "z.npy"), old);
}

TEST_F(Run, FullOrClosedStandardOutput) {
  EXPECT_EQ(shell(MOE_RUN " --help > /dev/full").code, 5);
  Outcome full = shell(MOE_RUN " mix.so --weights=w.safetensors "
                               "--input=2x4xf32 --input=2xf32 > /dev/full");
  EXPECT_EQ(full.code, 5);
  EXPECT_NE(full.err.find("standard output: writing failed"),
            std::string::npos);
  Outcome closed =
      shell("{ " MOE_RUN " mix.so --weights=w.safetensors --input=2x4xf32 "
            "--input=2xf32; echo $? > code; } | true; cat code");
  EXPECT_TRUE(closed.out == "5\n" || closed.out == "0\n")
      << closed.out; // no signal, whoever is first
}

TEST_F(Run, MemoryLimit) {
#ifdef MOE_SANITIZE
  GTEST_SKIP() << "AddressSanitizer itself needs more";
#endif
  Outcome outcome =
      shell("ulimit -v 400000; " MOE_RUN " mix.so --weights=w.safetensors "
            "--input=50000000x4xf32 --input=50000000xf32");
  EXPECT_EQ(outcome.code, 6) << outcome.err;
  EXPECT_NE(outcome.err.find("would need"), std::string::npos) << outcome.err;
}

/// moe-run finds its compiler beside itself: a copy of it, with a script in
/// place of the compiler.
class Compiling : public Run {
protected:
  void SetUp() override {
    Run::SetUp();
    std::filesystem::create_directory(folder / "bin");
    std::filesystem::copy(MOE_RUN, folder / "bin/moe-run");
    compiler("cp mix.so \"$3\"");
    test::writeFile(folder / "m.mlir", "module {}");
  }
  void compiler(const std::string &body) {
    std::filesystem::remove(folder / "bin/moe-compile");
    test::writeFile(folder / "bin/moe-compile",
                    "#!/bin/sh\necho compiled >> calls\n" + body + "\n");
    std::filesystem::permissions(folder / "bin/moe-compile",
                                 std::filesystem::perms(0755));
  }
  Outcome
  compile(const std::string &environment = "XDG_CACHE_HOME=$PWD/cache") {
    return shell(environment + " bin/moe-run m.mlir --weights=w.safetensors "
                               "--input=1x4xf32 --input=1xf32=1");
  }
  size_t calls() const {
    return std::ranges::count(test::readFile(folder / "calls"), '\n');
  }
  std::string entry() const {
    for (const auto &file :
         std::filesystem::directory_iterator(folder / "cache/moe-mlir"))
      return file.path();
    return "";
  }
  const std::string result = "1x4xf32=[111 20 300 0]\n";
};

TEST_F(Compiling, OnceForEveryText) {
  EXPECT_EQ(compile().out, result);
  EXPECT_EQ(compile().out, result);
  EXPECT_EQ(calls(), 1u);
  test::writeFile(folder / "m.mlir", "module { }");
  EXPECT_EQ(compile().out, result);
  EXPECT_EQ(calls(), 2u);
  compiler("cp mix.so \"$3\" # another compiler");
  EXPECT_EQ(compile().out, result);
  EXPECT_EQ(calls(), 3u);
}

TEST_F(Compiling, DamagedEntriesOnlyCostTime) {
  EXPECT_EQ(compile().out, result);
  std::string whole = test::readFile(entry());
  size_t wanted = 1;
  for (const std::string &damaged :
       {std::string(), whole.substr(0, whole.size() - 1), whole.substr(0, 31),
        whole + "x", [&] {
          std::string flipped = whole;
          flipped[flipped.size() / 2] ^= 1;
          return flipped;
        }()}) {
    test::writeFile(entry(), damaged);
    EXPECT_EQ(compile().out, result);
    EXPECT_EQ(calls(), ++wanted);
    EXPECT_EQ(test::readFile(entry()), whole);
  }
}

TEST_F(Compiling, WithoutAUsableCache) {
  for (const char *environment :
       {"XDG_CACHE_HOME=/proc/none", "XDG_CACHE_HOME=/dev/null",
        "env -u HOME -u XDG_CACHE_HOME"}) {
    Outcome outcome = compile(environment);
    EXPECT_EQ(outcome.out, result) << outcome.err;
  }
  EXPECT_EQ(calls(), 3u);
}

TEST_F(Compiling, Failures) {
  compiler("echo 'm.mlir:1:1: error: unknown op' >&2; exit 4");
  Outcome outcome = compile();
  EXPECT_EQ(outcome.code, 4);
  EXPECT_EQ(
      outcome.err,
      "m.mlir:1:1: error: unknown op\nmoe-run: m.mlir: does not compile\n");
  compiler("kill -SEGV $$");
  EXPECT_RUN(compile(), 1, "moe-compile died of signal 11");
  compiler("exit 77");
  EXPECT_RUN(compile(), 1, "does not compile");
  compiler("exit 0");
  EXPECT_EQ(compile().code, 5); // it wrote nothing
  std::filesystem::remove(folder / "bin/moe-compile");
  EXPECT_RUN(compile(), 5,
             "cannot be run; a .mlir model needs the compiler beside moe-run");
  std::filesystem::remove(folder / "m.mlir");
  EXPECT_EQ(compile().code, 5);
}

} // namespace
