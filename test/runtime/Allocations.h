// Counts and fails calls of malloc in this program, for tests of allocation.
#ifndef MOE_TEST_RUNTIME_ALLOCATIONS_H
#define MOE_TEST_RUNTIME_ALLOCATIONS_H

#include <cstdint>

namespace allocations {

/// Whether malloc is replaced (not under a sanitizer, which brings its own).
bool counted();
/// Calls of malloc, calloc, realloc and aligned_alloc of this thread so far.
int64_t count();
/// The same of all threads.
int64_t countOfAllThreads();
/// The allocation after `skip` more of this thread returns null, once.
/// Negative: none does.
void failAfter(int64_t skip);

} // namespace allocations

#endif
