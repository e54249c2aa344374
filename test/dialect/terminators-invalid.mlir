// A region of ours that ends with something else: unregistered ops count as terminators until they are known.
// RUN: moe-opt %s -split-input-file -verify-diagnostics -allow-unregistered-dialect

// moe.map (C4)
func.func @map(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.map' op region ends with 'other.end', expected 'moe.yield'}}
  %0 = moe.map (%a = %x) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    "other.end"(%a) : (f32) -> ()
  }
  return
}

// -----

// moe.expert (C6)
func.func @expert(%x: tensor<?x8xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op region 0 ends with 'other.end', expected 'moe.yield'}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x8xf32>) -> tensor<?x8xf32> {
    "other.end"(%t) : (tensor<?x8xf32>) -> ()
  }
  return
}

// -----

// grouped.matmul (C9)
func.func @matmul(%x: tensor<?x2xf32>, %w: !grouped.packed<1x4x2xf32, 1>) {
  // expected-error @below {{'grouped.matmul' op region ends with 'other.end', expected 'grouped.yield'}}
  %0 = grouped.matmul %x weights %w : (tensor<?x2xf32>, !grouped.packed<1x4x2xf32, 1>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    "other.end"(%a) : (f32) -> ()
  }
  return
}

// -----

// grouped.loop (C6)
func.func @loop(%o: tensor<9xi32>) {
  // expected-error @below {{'grouped.loop' op region 0 ends with 'other.end', expected 'grouped.yield'}}
  grouped.loop over %o bounds [0, 8] counts [0] : (tensor<9xi32>) -> () {
    "other.end"() : () -> ()
  }
  return
}
