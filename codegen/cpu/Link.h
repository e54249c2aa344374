// Links objects to the shared object that is the artefact, in this process.

#ifndef MOE_CODEGEN_CPU_LINK_H
#define MOE_CODEGEN_CPU_LINK_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

namespace moe::cpu {

/// Links ELF objects and returns the shared object's bytes. It exports moe_*
/// alone and needs libomp.so.5 if an object uses OpenMP, found by the dynamic
/// loader's own search; no path of this machine is in it. Errors: an undefined
/// symbol other than memcpy, memmove, memset, memcmp, __kmpc_* and omp_*; no
/// temporary folder; anything that LLD reports. May be called from any thread.
llvm::Expected<llvm::SmallVector<char, 0>>
linkSharedObject(llvm::ArrayRef<llvm::StringRef> objects);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_LINK_H
