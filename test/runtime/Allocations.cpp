// Replaces malloc in this program, see Allocations.h.
#include "Allocations.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <malloc.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

namespace {
thread_local int64_t calls = 0;
std::atomic<int64_t> allCalls{0};
thread_local int64_t untilFailure = -1;

#ifndef SANITIZED
bool fails() {
  ++calls;
  allCalls.fetch_add(1, std::memory_order_relaxed);
  if (untilFailure < 0 || untilFailure-- > 0)
    return false;
  errno = ENOMEM;
  return true;
}
#endif
} // namespace

namespace allocations {
bool counted() {
#ifdef SANITIZED
  return false;
#else
  return true;
#endif
}
int64_t count() { return calls; }
int64_t countOfAllThreads() { return allCalls; }
void failAfter(int64_t skip) { untilFailure = skip; }
} // namespace allocations

#ifndef SANITIZED
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

__attribute__((visibility("default"))) void *malloc(size_t bytes) {
  return fails() ? nullptr : __libc_malloc(bytes);
}
__attribute__((visibility("default"))) void *calloc(size_t count,
                                                    size_t bytes) {
  return fails() ? nullptr : __libc_calloc(count, bytes);
}
__attribute__((visibility("default"))) void *realloc(void *old, size_t bytes) {
  return fails() ? nullptr : __libc_realloc(old, bytes);
}
__attribute__((visibility("default"))) void *aligned_alloc(size_t alignment,
                                                           size_t bytes) {
  return fails() ? nullptr : __libc_memalign(alignment, bytes);
}
__attribute__((visibility("default"))) int
posix_memalign(void **result, size_t alignment, size_t bytes) {
  void *memory = fails() ? nullptr : __libc_memalign(alignment, bytes);
  if (!memory)
    return ENOMEM;
  *result = memory;
  return 0;
}
}
#endif
