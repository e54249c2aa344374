// RUN: moe-opt --split-input-file --verify-diagnostics --inline --moe-lift-params %s

func.func @merged(%c: i1, %m: !moe.scope) -> tensor<4xf32> {
  %a = moe.scope %m "a."
  %b = moe.scope %m "b."
  // expected-error@+1 {{'arith.select' op merges or returns a scope; only moe.scope and moe.param may use one}}
  %s = arith.select %c, %a, %b : !moe.scope
  %w = moe.param %s "w" : tensor<4xf32>
  return %w : tensor<4xf32>
}

// -----

func.func @argument_of_a_block(%m: !moe.scope) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %e = tensor.empty() : tensor<4xf32>
  %w, %s = scf.for %i = %c0 to %c2 step %c1 iter_args(%v = %e, %n = %m) -> (tensor<4xf32>, !moe.scope) {
    %p = moe.param %n "w" : tensor<4xf32>
    %o = moe.scope %n "more."
    // expected-error@+1 {{'scf.yield' op merges or returns a scope; only moe.scope and moe.param may use one}}
    scf.yield %p, %o : tensor<4xf32>, !moe.scope
  }
  return %w : tensor<4xf32>
}

// -----

func.func private @unknown() -> !moe.scope
func.func @from_outside() -> tensor<4xf32> {
  %s = func.call @unknown() : () -> !moe.scope
  // expected-error@+1 {{'moe.param' op uses a scope that control flow merged, so its names are not known}}
  %w = moe.param %s "w" : tensor<4xf32>
  return %w : tensor<4xf32>
}

// -----

func.func private @again(%x: tensor<?x4xf32>, %m: !moe.scope) -> tensor<?x4xf32> {
  // expected-error@+1 {{'func.call' op passes a scope to @again, which was not inlined: is it recursive?}}
  %y = func.call @again(%x, %m) : (tensor<?x4xf32>, !moe.scope) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
func.func @recursion(%x: tensor<?x4xf32>, %m: !moe.scope) -> tensor<?x4xf32> {
  %y = func.call @again(%x, %m) : (tensor<?x4xf32>, !moe.scope) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @two_types(%m: !moe.scope) -> (tensor<4xf32>, tensor<5xf32>) {
  %a = moe.param %m "w" : tensor<4xf32>
  // expected-error@+1 {{'moe.param' op 'w' is 'tensor<5xf32>' here, but 'tensor<4xf32>' elsewhere}}
  %b = moe.param %m "w" : tensor<5xf32>
  return %a, %b : tensor<4xf32>, tensor<5xf32>
}

// -----

// expected-error@+1 {{'func.func' op takes 2 scopes, expected at most one}}
func.func @two_scopes(%a: !moe.scope, %b: !moe.scope) {
  return
}

// -----

func.func @unknown_index(%i: index, %m: !moe.scope) -> tensor<4xf32> {
  // expected-error@+1 {{'moe.scope' op has an index that is neither a constant nor computed from the variable of an scf.for}}
  %s = moe.scope %m "layers.{}." at %i
  %w = moe.param %s "w" : tensor<4xf32>
  return %w : tensor<4xf32>
}

// -----

func.func @unknown_bound(%x: tensor<4xf32>, %n: index, %m: !moe.scope) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x) -> (tensor<4xf32>) {
    // expected-error@+1 {{'moe.scope' op is in an scf.for whose bounds are not constants}}
    %s = moe.scope %m "layers.{}." at %i
    %w = moe.param %s "w" : tensor<4xf32>
    %z = arith.addf %v, %w : tensor<4xf32>
    scf.yield %z : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}
