// What rotary positions and attention refuse.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// moe.rope (C1)
func.func @rope(%x: tensor<32xf32>, %p: tensor<?xi32>, %f: tensor<16xf32>) {
  // expected-error @below {{'moe.rope' op input is 'tensor<32xf32>', expected rows of a static number of columns}}
  %0 = moe.rope %x at %p by %f pairs half : tensor<32xf32>, tensor<?xi32>, tensor<16xf32>
  return
}

// -----

// moe.rope (C2)
func.func @rope(%x: tensor<?x4x32xf32>, %p: tensor<?x4xi32>, %f: tensor<16xf32>) {
  // expected-error @below {{'moe.rope' op positions are 'tensor<?x4xi32>', expected one per row}}
  %0 = moe.rope %x at %p by %f pairs half : tensor<?x4x32xf32>, tensor<?x4xi32>, tensor<16xf32>
  return
}

// -----

// moe.rope (C3)
func.func @rope(%x: tensor<?x4x32xf32>, %p: tensor<?xi32>, %f: tensor<17xf32>) {
  // expected-error @below {{'moe.rope' op frequencies are 'tensor<17xf32>', expected one for each of at most 16 pairs of columns}}
  %0 = moe.rope %x at %p by %f pairs half : tensor<?x4x32xf32>, tensor<?xi32>, tensor<17xf32>
  return
}

// -----

// moe.rope_frequencies (C1)
func.func @rope_frequencies() {
  // expected-error @below {{'moe.rope_frequencies' op of dim 31 has result 'tensor<16xf32>', expected an even dim and half as many frequencies}}
  %0 = moe.rope_frequencies {dim = 31, theta = 1.0e4} : tensor<16xf32>
  return
}

// -----

// moe.rope_frequencies (C1)
func.func @rope_frequencies() {
  // expected-error @below {{'moe.rope_frequencies' op of dim 32 has result 'tensor<32xf32>', expected an even dim and half as many frequencies}}
  %0 = moe.rope_frequencies {dim = 32, theta = 1.0e4} : tensor<32xf32>
  return
}

// -----

// moe.rope_frequencies (C2)
func.func @rope_frequencies() {
  // expected-error @below {{'moe.rope_frequencies' op has theta 0.000000e+00 and factor 1.000000e+00, expected finite numbers of more than 0}}
  %0 = moe.rope_frequencies {dim = 32, theta = 0.0} : tensor<16xf32>
  return
}

// -----

// moe.rope_frequencies (C3)
func.func @rope_frequencies() {
  // expected-error @below {{'moe.rope_frequencies' op needs factor, low, high and original together}}
  %0 = moe.rope_frequencies {dim = 32, theta = 1.0e4, factor = 8.0, low = 1.0} : tensor<16xf32>
  return
}

// -----

// moe.rope_frequencies (C3)
func.func @rope_frequencies() {
  // expected-error @below {{'moe.rope_frequencies' op scales between 4.000000e+00 and 1.000000e+00 turns of 8192 positions, expected 0 < low < high and 1 position or more}}
  %0 = moe.rope_frequencies {dim = 32, theta = 1.0e4, factor = 8.0, low = 4.0, high = 1.0, original = 8192} : tensor<16xf32>
  return
}

// -----

// moe.attention (C1)
func.func @attention(%q: tensor<?x32xf32>, %k: tensor<?x2x32xf32>, %v: tensor<?x2x32xf32>) {
  // expected-error @below {{'moe.attention' op has rows of 'tensor<?x32xf32>', expected rows by heads by columns}}
  %0 = moe.attention %q, %k, %v {scale = 1.0} : (tensor<?x32xf32>, tensor<?x2x32xf32>, tensor<?x2x32xf32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C2)
func.func @attention(%q: tensor<?x4x32xf32>, %k: tensor<?x2x16xf32>, %v: tensor<?x2x16xf32>) {
  // expected-error @below {{'moe.attention' op query, key and value do not fit: 'tensor<?x4x32xf32>', 'tensor<?x2x16xf32>', 'tensor<?x2x16xf32>'}}
  %0 = moe.attention %q, %k, %v {scale = 1.0} : (tensor<?x4x32xf32>, tensor<?x2x16xf32>, tensor<?x2x16xf32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C2)
func.func @attention(%q: tensor<?x4x32xf32>, %k: tensor<?x2x32xf32>, %v: tensor<?x4x32xf32>) {
  // expected-error @below {{'moe.attention' op query, key and value do not fit: 'tensor<?x4x32xf32>', 'tensor<?x2x32xf32>', 'tensor<?x4x32xf32>'}}
  %0 = moe.attention %q, %k, %v {scale = 1.0} : (tensor<?x4x32xf32>, tensor<?x2x32xf32>, tensor<?x4x32xf32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C3)
func.func @attention(%q: tensor<?x4x32xf32>, %k: tensor<?x3x32xf32>, %v: tensor<?x3x32xf32>) {
  // expected-error @below {{'moe.attention' op has queries 'tensor<?x4x32xf32>' and keys 'tensor<?x3x32xf32>', expected the heads of the keys to divide those of the queries}}
  %0 = moe.attention %q, %k, %v {scale = 1.0} : (tensor<?x4x32xf32>, tensor<?x3x32xf32>, tensor<?x3x32xf32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C4)
func.func @attention(%q: tensor<?x4x32xf32>, %s: tensor<?xi32>) {
  // expected-error @below {{'moe.attention' op needs segments and positions of queries and keys both, or of neither}}
  %0 = "moe.attention"(%q, %q, %q, %s) <{scale = 1.0 : f64, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0>}> : (tensor<?x4x32xf32>, tensor<?x4x32xf32>, tensor<?x4x32xf32>, tensor<?xi32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C4)
func.func @attention(%q: tensor<?x4x32xf32>, %k: tensor<?x2x32xf32>, %v: tensor<?x2x32xf32>, %s: tensor<?xi32>, %t: tensor<i32>) {
  // expected-error @below {{'moe.attention' op has segments or positions 'tensor<i32>', expected one per row}}
  %0 = moe.attention %q, %k, %v segments(%s, %t) {scale = 1.0} : (tensor<?x4x32xf32>, tensor<?x2x32xf32>, tensor<?x2x32xf32>, tensor<?xi32>, tensor<i32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C5)
func.func @attention(%q: tensor<?x4x32xf32>, %k: tensor<?x2x32xf32>, %v: tensor<?x2x32xf32>) {
  // expected-error @below {{'moe.attention' op with causal needs positions}}
  %0 = moe.attention %q, %k, %v {causal, scale = 1.0} : (tensor<?x4x32xf32>, tensor<?x2x32xf32>, tensor<?x2x32xf32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C5)
func.func @attention(%q: tensor<?x4x32xf32>, %k: tensor<?x2x32xf32>, %v: tensor<?x2x32xf32>) {
  // expected-error @below {{'moe.attention' op with window needs positions}}
  %0 = moe.attention %q, %k, %v {scale = 1.0, window = 4} : (tensor<?x4x32xf32>, tensor<?x2x32xf32>, tensor<?x2x32xf32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C6)
func.func @attention(%q: tensor<?x4x32xf32>, %k: tensor<?x2x32xf32>, %v: tensor<?x2x32xf32>) {
  // expected-error @below {{'moe.attention' op scale is INF, expected a finite number}}
  %0 = moe.attention %q, %k, %v {scale = 0x7FF0000000000000 : f64} : (tensor<?x4x32xf32>, tensor<?x2x32xf32>, tensor<?x2x32xf32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C6)
func.func @attention(%q: tensor<?x4x32xf32>, %k: tensor<?x2x32xf32>, %v: tensor<?x2x32xf32>, %s: tensor<?xi32>) {
  // expected-error @below {{'moe.attention' op window is 0, expected at least 1}}
  %0 = moe.attention %q, %k, %v positions(%s, %s) {scale = 1.0, window = 0} : (tensor<?x4x32xf32>, tensor<?x2x32xf32>, tensor<?x2x32xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x32xf32>
  return
}

// -----

// moe.attention (C7)
func.func @attention(%q: tensor<?x4x32xf32>, %k: tensor<?x2x32xf32>, %v: tensor<?x2x32xf32>) {
  // expected-error @below {{'moe.attention' op result is 'tensor<?x2x32xf32>', expected the rows and heads of 'tensor<?x4x32xf32>' and the columns of 'tensor<?x2x32xf32>'}}
  %0 = moe.attention %q, %k, %v {scale = 1.0} : (tensor<?x4x32xf32>, tensor<?x2x32xf32>, tensor<?x2x32xf32>) -> tensor<?x2x32xf32>
  return
}
