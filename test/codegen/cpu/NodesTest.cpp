// Machines of several NUMA nodes, pretended through the ABI: which thread packs
// and multiplies which weights, and that no bit depends on it.
#include "test/runtime/Support.h"

#include "runtime/Cpu.h"
#include "runtime/Memory.h"
#include "runtime/Module.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

namespace {

constexpr int64_t kExperts = 6, kWidth = 640, kTokens = 37;

/// Panels of 164 KiB on AVX-512, which a small L2 cuts into parts.
constexpr const char *kModel = R"(
!x = tensor<?x640xf32>
!h = tensor<?x80xf32>
!u = tensor<6x80x640xf32>
!d = tensor<6x640x80xf32>
!r = !moe.routing<6, top 2>
func.func @layer(%x: !x, %m: !moe.scope) -> !x {
  %g = moe.param %m "gate" : tensor<6x640xf32>
  %w1 = moe.param %m "w1" : !u
  %w3 = moe.param %m "w3" : !u
  %w2 = moe.param %m "w2" : !d
  %l = moe.linear %x, %g : (!x, tensor<6x640xf32>) -> tensor<?x6xf32>
  %c = moe.route %l top 2 : tensor<?x6xf32> -> !r
  %r = moe.normalize %c by softmax : !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %w1, %up = %w3, %down = %w2) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate : (!x, tensor<80x640xf32>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<80x640xf32>) -> !h
    %p = moe.silu %a : !h
    %h = arith.mulf %p, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<640x80xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}
)";

struct Task {
  int64_t thread, node, phase, expert, first, end;
};

/// A machine that is pretended, and what its threads did in one call.
struct Machine {
  int32_t threads = 1;
  int64_t nodes = 1;
  int64_t shift = 0; // thread 0 runs on this node
  int64_t cacheBytes = 0;

  std::mutex mutex{};
  std::vector<Task> tasks{};

  int64_t nodeOf(int64_t thread) const {
    return (thread * nodes / threads + shift) % nodes;
  }
  moert_context context() {
    tasks.clear();
    moert_context context = {};
    context.threads = threads;
    context.cache_bytes = cacheBytes;
    context.nodes = nodes;
    context.node = [](const moert_context *context, int64_t thread) {
      return static_cast<Machine *>(context->data)->nodeOf(thread);
    };
    context.observe = [](const moert_context *context, int64_t thread,
                         int64_t phase, int64_t expert, int64_t first,
                         int64_t end) {
      auto *self = static_cast<Machine *>(context->data);
      std::lock_guard lock(self->mutex);
      self->tasks.push_back(
          {thread, self->nodeOf(thread), phase, expert, first, end});
    };
    context.data = this;
    return context;
  }
};

/// Node n holds the experts or panels from ceil(n * count / nodes) on.
int64_t ownerOf(int64_t number, int64_t count, int64_t nodes) {
  int64_t node = nodes - 1;
  while ((node * count + nodes - 1) / nodes > number)
    --node;
  return node;
}

float random(uint32_t &seed) {
  seed = seed * 1664525 + 1013904223;
  return static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31F;
}

class Layer {
public:
  /// For a level, or the best of this CPU.
  explicit Layer(std::optional<std::string_view> wanted = std::nullopt) {
    test::Folder folder;
    test::writeFile(folder / "layer.mlir", kModel);
    std::string path = folder / "layer.so";
    std::string command =
        MOE_COMPILE " '" + folder / "layer.mlir" + "' -o '" + path + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    module = std::make_unique<moert::Module>(path);
    const moert::Description &description = module->description();
    level = moert::chooseLevel(description.levels, moert::supportedLevels(),
                               moert::hasAmx(), wanted);
    function = description.functions.data();
    for (size_t i = 0; i < description.levels.size(); ++i)
      if (description.levels[i] == level)
        levelNumber = i;
    uint32_t seed = 1;
    for (const moert::ParamSpec &param : function->params) {
      int64_t count = 1;
      for (int64_t size : param.shape)
        count *= size;
      std::vector<float> &values = params.emplace_back(count);
      std::ranges::generate(values, [&] { return random(seed); });
    }
    input.resize(kTokens * kWidth);
    std::ranges::generate(input, [&] { return random(seed); });
  }

  /// The tasks of every prepare step, and its packed weights.
  std::vector<std::vector<Task>> prepare(Machine &machine) {
    std::vector<std::vector<Task>> tasks;
    constants.clear();
    constants.resize(function->constants.size());
    for (const moert::Step &step : function->steps) {
      std::vector<moert_tensor> tensors;
      for (int32_t param : step.params)
        tensors.push_back(
            tensor(params[param].data(), function->params[param].shape));
      for (size_t i = 0; i < step.results.size(); ++i) {
        int64_t bytes = step.bytes[levelNumber][i];
        constants[step.results[i]] = moert::Buffer(bytes, "packed");
        tensors.push_back(tensor(constants[step.results[i]].data(), {bytes}));
      }
      EXPECT_EQ(call(step.symbol, machine.context(), tensors), 0);
      tasks.push_back(machine.tasks);
    }
    return tasks;
  }

  /// The result; the tasks are in the machine.
  std::vector<float> run(Machine &machine) {
    std::vector<float> output(input.size());
    std::vector<moert_tensor> tensors = {
        tensor(input.data(), {kTokens, kWidth})};
    for (moert::Buffer &constant : constants)
      tensors.push_back(tensor(constant.data(), {constant.size()}));
    tensors.push_back(tensor(output.data(), {kTokens, kWidth}));
    moert_context context = machine.context();
    std::vector<moert_tensor *> pointers = pointersTo(tensors);
    auto size = reinterpret_cast<moert_workspace_function>(
        module->symbol(function->workspace + "_" + level));
    context.workspace_bytes = size(&context, pointers.data());
    workspace = moert::Buffer(context.workspace_bytes, "workspace");
    context.workspace = workspace.data();
    EXPECT_EQ(call(function->entry, context, tensors), 0);
    return output;
  }

  /// What the last run left in its workspace, whose first bytes were 0.
  moert::Buffer workspace;

private:
  static moert_tensor tensor(void *data, const std::vector<int64_t> &shape) {
    moert_tensor tensor = {};
    tensor.data = data;
    tensor.rank = static_cast<int32_t>(shape.size());
    std::ranges::copy(shape, tensor.shape);
    return tensor;
  }
  static std::vector<moert_tensor *>
  pointersTo(std::vector<moert_tensor> &tensors) {
    std::vector<moert_tensor *> pointers;
    for (moert_tensor &tensor : tensors)
      pointers.push_back(&tensor);
    return pointers;
  }
  int32_t call(const std::string &symbol, moert_context context,
               std::vector<moert_tensor> &tensors) {
    auto *code =
        reinterpret_cast<moert_function>(module->symbol(symbol + "_" + level));
    return code(&context, pointersTo(tensors).data());
  }

  std::unique_ptr<moert::Module> module;
  const moert::Function *function = nullptr;
  std::string level;
  size_t levelNumber = 0;
  std::vector<std::vector<float>> params;
  std::vector<float> input;
  std::vector<moert::Buffer> constants;
};

class NodesTest : public testing::Test {
protected:
  void SetUp() override {
    if (moert::supportedLevels().empty())
      GTEST_SKIP() << "this CPU has no supported level";
  }
  static Layer &layer() {
    static Layer layer;
    return layer;
  }
};

/// Experts and panels of what was packed; every panel once.
std::pair<int64_t, int64_t> covered(const std::vector<Task> &tasks) {
  std::set<std::pair<int64_t, int64_t>> panels;
  int64_t experts = 0, count = 0;
  for (const Task &task : tasks)
    for (int64_t panel = task.first; panel < task.end; ++panel) {
      EXPECT_TRUE(panels.emplace(task.expert, panel).second)
          << "expert " << task.expert << ", panel " << panel << " twice";
      experts = std::max(experts, task.expert + 1);
      count = std::max(count, panel + 1);
    }
  EXPECT_EQ(static_cast<int64_t>(panels.size()), experts * count);
  return {experts, count};
}

// First touch: a thread of the node writes what the node holds. Gate and up are
// held by expert, down by its columns, of all experts.
TEST_F(NodesTest, PacksOnTheNodeThatHoldsTheWeights) {
  Machine machine{.threads = 4, .nodes = 2};
  auto steps = layer().prepare(machine);
  ASSERT_EQ(steps.size(), 3U); // router, gate and up, down
  int64_t byExpert = 0, byPanel = 0;
  for (const std::vector<Task> &tasks : steps) {
    auto [experts, panels] = covered(tasks);
    if (experts == 1)
      continue;
    auto all = [&](auto owner) {
      return std::ranges::all_of(
          tasks, [&](const Task &task) { return task.node == owner(task); });
    };
    byExpert += all(
        [&](const Task &task) { return ownerOf(task.expert, kExperts, 2); });
    byPanel +=
        all([&](const Task &task) { return ownerOf(task.first, panels, 2); });
  }
  EXPECT_EQ(byExpert, 1);
  EXPECT_EQ(byPanel, 1);
}

// Nodes without threads: the others pack their weights, in order behind their
// own.
TEST_F(NodesTest, PacksForNodesWithoutThreads) {
  Machine machine{.threads = 1, .nodes = 3, .shift = 1};
  bool seen = false;
  for (const std::vector<Task> &tasks : layer().prepare(machine)) {
    covered(tasks);
    std::vector<int64_t> order;
    for (const Task &task : tasks)
      if (order.empty() || order.back() != task.expert)
        order.push_back(task.expert);
    seen |= order == std::vector<int64_t>{2, 3, 4, 5, 0, 1};
  }
  EXPECT_TRUE(seen);
}

// Threads take the tasks of their own node first, and then help.
TEST_F(NodesTest, MultipliesOwnExpertsFirst) {
  Machine machine{.threads = 2, .nodes = 2};
  layer().prepare(machine);
  layer().run(machine);
  std::map<int64_t, std::vector<Task>> phases;
  for (const Task &task : machine.tasks)
    phases[task.phase].push_back(task);
  ASSERT_EQ(phases.size(), 3U); // router, gate and up, down
  int64_t ofExperts = 0, ofPanels = 0;
  for (auto &[phase, tasks] : phases) {
    int64_t panels = 0, experts = 0;
    for (const Task &task : tasks) {
      panels = std::max(panels, task.end);
      experts = std::max(experts, task.expert + 1);
    }
    for (int64_t thread : {0, 1}) {
      bool helping = false;
      for (const Task &task : tasks) {
        if (task.thread != thread)
          continue;
        int64_t owner = experts > 1 ? ownerOf(task.expert, kExperts, 2)
                                    : ownerOf(task.first, panels, 2);
        if (experts <= 1 && panels < 8)
          continue; // the router: fewer tasks than nodes
        (experts > 1 ? ofExperts : ofPanels) += 1;
        EXPECT_FALSE(helping && owner == task.node)
            << "phase " << phase << ", thread " << thread << ", expert "
            << task.expert << ", panel " << task.first;
        helping |= owner != task.node;
      }
    }
  }
  EXPECT_GT(ofExperts, 0);
  EXPECT_GT(ofPanels, 0);

  // One thread on the last of three nodes: its experts, then the others'.
  Machine alone{.threads = 1, .nodes = 3, .shift = 2};
  layer().run(alone);
  std::vector<int64_t> order;
  for (const Task &task : alone.tasks)
    if (task.phase == phases.begin()->first ||
        (!order.empty() && order.back() == task.expert) || task.expert < 0)
      continue;
    else
      order.push_back(task.expert);
  EXPECT_EQ(order, (std::vector<int64_t>{4, 5, 0, 1, 2, 3}));
}

// Counters lie on cache lines of their own, and so do the columns that tasks
// write: with AVX2 a panel of gate and up is half a line of the hidden layer.
TEST_F(NodesTest, ThreadsWriteNoCacheLineTogether) {
  Layer narrow("avx2");
  Machine machine{.threads = 4};
  narrow.prepare(machine);
  narrow.run(machine);
  // Of the router, its choice, gate and up, and down; the plan draws no tasks.
  constexpr int64_t lines = 5, words = 8;
  int64_t used = 0;
  for (int64_t word = 0; word < lines * words; ++word) {
    int64_t count = 0;
    std::memcpy(&count, narrow.workspace.data() + 8 * word, 8);
    used += count > 0;
    EXPECT_TRUE(count == 0 || word % words == 0) << word;
  }
  EXPECT_EQ(used, 4);
  int64_t seen = 0;
  for (const Task &task : machine.tasks)
    if (task.expert > 0) { // not of a product of all experts
      EXPECT_EQ(task.first % 2, 0) << "expert " << task.expert;
      ++seen;
    }
  EXPECT_GT(seen, 4);
}

TEST_F(NodesTest, NoBitDependsOnThreadsNodesOrCaches) {
  Machine one{.cacheBytes = 64 << 20};
  layer().prepare(one);
  std::vector<float> expected = layer().run(one);
  for (int32_t threads : {1, 2, 5})
    for (int64_t nodes : {1, 2, 3, 7})
      for (int64_t cache : {0, 1, 400 << 10}) {
        Machine machine{.threads = threads,
                        .nodes = nodes,
                        .shift = threads % nodes,
                        .cacheBytes = cache};
        layer().prepare(machine);
        EXPECT_EQ(layer().run(machine), expected)
            << threads << " threads, " << nodes << " nodes, " << cache
            << " bytes of L2";
      }
}

} // namespace
