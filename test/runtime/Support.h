// What the runtime's tests share: temporary folders, files made by hand, errors
// as values.
#ifndef MOE_TEST_RUNTIME_SUPPORT_H
#define MOE_TEST_RUNTIME_SUPPORT_H

#include "runtime/Failure.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

namespace test {

/// A folder that is removed with this object.
class Folder {
public:
  Folder();
  ~Folder();
  std::string operator/(std::string_view file) const {
    return path + "/" + std::string(file);
  }
  std::vector<std::string> files() const;
  std::string path;
};

void writeFile(const std::string &path, std::string_view content);
std::string readFile(const std::string &path);

/// Length, header and data: a .safetensors file.
std::string safetensors(std::string_view header, std::string_view data);

/// Float tensors by name, in the order given: a valid file.
struct FloatTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};
std::string safetensors(const std::vector<FloatTensor> &tensors);

/// What `call` throws; status MOERT_OK and no message if nothing.
moert::Failure failureOf(const std::function<void()> &call);

#define EXPECT_FAILURE(call, wantedStatus, wantedText)                         \
  do {                                                                         \
    moert::Failure failure = test::failureOf([&] { call; });                   \
    EXPECT_EQ(failure.status(), wantedStatus) << failure.message();            \
    EXPECT_NE(failure.message().find(wantedText), std::string::npos)           \
        << failure.message();                                                  \
  } while (false)

/// The test artefact's description of function "mix"; `edit` replaces texts in
/// it, pair after pair.
std::string
description(std::initializer_list<std::pair<std::string_view, std::string_view>>
                edit = {});

/// A copy of the test artefact with this description and version, at `path`.
void writeArtefact(const std::string &path, std::string_view json,
                   uint32_t major = MOERT_ABI_MAJOR,
                   uint32_t minor = MOERT_ABI_MINOR);

/// The weights that "mix" wants, under a prefix.
std::vector<FloatTensor> mixWeights(const std::string &prefix = "");

} // namespace test

#endif
