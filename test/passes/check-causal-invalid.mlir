// RUN: moe-opt %s --split-input-file --verify-diagnostics --moe-check-causal
// RUN: not moe-compile %s --check-causal --emit=grouped -o - 2>&1 | FileCheck %s
// CHECK: error: @expert_choice is not proved causal: result 0 may depend on later tokens
// CHECK: note: 'moe.route' lets experts choose among all tokens
!s = tensor<?x4xf32>

func.func @good(%s: !s) -> !s {
  %r = moe.route %s top 2 : !s -> !moe.routing<4, top 2>
  %x = moe.to_matrix %r : !moe.routing<4, top 2> -> !s
  return %x : !s
}

// expected-error@+1 {{@expert_choice is not proved causal: result 0 may depend on later tokens}}
func.func @expert_choice(%s: !s, %c: index) -> !s {
  // expected-note@+1 {{'moe.route' lets experts choose among all tokens}}
  %g = moe.route %s take %c : !s, index -> !moe.routing<4, take>
  %x = moe.to_matrix %g : !moe.routing<4, take> -> !s
  return %x : !s
}
