// What the runtime reads of a machine, from folders like the system's.
#include "Support.h"

#include "runtime/Machine.h"

#include <cstdlib>
#include <filesystem>
#include <sched.h>

using moert::findMachine;
using moert::Machine;
using test::Folder;

namespace {

class MachineTest : public testing::Test {
protected:
  void SetUp() override {
    unsetenv("MOE_L2");
    unsetenv("MOE_NODES");
    // Nodes count by CPUs that this process may use.
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set))
        cpus.push_back(cpu);
  }
  void TearDown() override { SetUp(); }
  void add(const std::string &file, const std::string &content) {
    std::filesystem::path path = folder / file;
    std::filesystem::create_directories(path.parent_path());
    test::writeFile(path, content);
  }

  Folder folder;
  std::vector<int> cpus;
};

TEST_F(MachineTest, ReadsTheCacheOfLevelTwo) {
  add("cpu/cpu0/cache/index0/level", "1\n");
  add("cpu/cpu0/cache/index0/type", "Data\n");
  add("cpu/cpu0/cache/index0/size", "48K\n");
  EXPECT_EQ(findMachine(0, 0, folder.path).cacheBytes, 0);
  add("cpu/cpu0/cache/index2/level", "2\n");
  add("cpu/cpu0/cache/index2/type", "Unified\n");
  add("cpu/cpu0/cache/index2/size", "1280K\n");
  EXPECT_EQ(findMachine(0, 0, folder.path).cacheBytes, 1280 << 10);
  setenv("MOE_L2", "2M", 1);
  EXPECT_EQ(findMachine(0, 0, folder.path).cacheBytes, 2 << 20);
  EXPECT_EQ(findMachine(4096, 0, folder.path).cacheBytes, 4096);
}

TEST_F(MachineTest, ReadsTheNodesWithUsableCpus) {
  EXPECT_EQ(findMachine(0, 0, folder.path).nodes, 1); // nothing to read
  std::string first = std::to_string(cpus.front());
  add("node/online", "0-2\n");
  add("node/node0/cpulist", "70000\n"); // no such CPU
  add("node/node1/cpulist", first + "\n");
  add("node/node2/cpulist", "\n"); // memory alone
  Machine machine = findMachine(0, 0, folder.path);
  EXPECT_EQ(machine.nodes, 1);
  EXPECT_EQ(machine.nodeOfCpu[cpus.front()], 0);
  if (cpus.size() > 1) {
    add("node/node2/cpulist", std::to_string(cpus[1]) + "\n");
    machine = findMachine(0, 0, folder.path);
    EXPECT_EQ(machine.nodes, 2);
    EXPECT_EQ(machine.nodeOfCpu[cpus[0]], 0);
    EXPECT_EQ(machine.nodeOfCpu[cpus[1]], 1);
  }
  add("node/online", "x\n");
  EXPECT_EQ(findMachine(0, 0, folder.path).nodes, 1);
}

TEST_F(MachineTest, PretendsNodes) {
  setenv("MOE_NODES", "2", 1);
  EXPECT_EQ(findMachine(0, 0, folder.path).nodes, 2);
  Machine machine = findMachine(0, 3, folder.path);
  EXPECT_EQ(machine.nodes, 3);
  moert_context context = {};
  context.threads = 6;
  machine.describe(context);
  std::vector<int64_t> nodes;
  for (int64_t thread = 0; thread < 6; ++thread)
    nodes.push_back(context.node(&context, thread));
  EXPECT_EQ(nodes, (std::vector<int64_t>{0, 0, 1, 1, 2, 2}));
}

TEST_F(MachineTest, FindsTheNodeOfTheCpu) {
  Machine machine;
  machine.nodes = 2;
  machine.nodeOfCpu.assign(static_cast<size_t>(cpus.back()) + 1, 1);
  moert_context context = {};
  machine.describe(context);
  EXPECT_EQ(context.node(&context, 0), 1);
}

TEST_F(MachineTest, RefusesOtherNumbers) {
  for (const char *text : {"0", "-1", "1x", "K", "4T", "99999999999G"}) {
    setenv("MOE_L2", text, 1);
    EXPECT_FAILURE(findMachine(0, 1, folder.path), MOERT_USAGE,
                   std::string("$MOE_L2: '") + text +
                       "'; wanted bytes, as 1048576, 512K or 2M");
  }
  unsetenv("MOE_L2");
  for (const char *text : {"0", "65", "two", "1,"}) {
    setenv("MOE_NODES", text, 1);
    EXPECT_FAILURE(findMachine(1, 0, folder.path), MOERT_USAGE,
                   std::string("$MOE_NODES: '") + text + "'; wanted 1 to 64");
  }
}

} // namespace
