// What the verifiers and parsers of the row operations refuse.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// moe.linear (C1)
func.func @linear(%x: tensor<f32>, %w: tensor<8x64xf32>) {
  // expected-error @below {{'moe.linear' op input has rank 0, expected at least 1}}
  %0 = moe.linear %x, %w : (tensor<f32>, tensor<8x64xf32>) -> tensor<8xf32>
  return
}

// -----

// moe.linear (C1)
func.func @linear(%x: tensor<?x64xf32>, %w: tensor<2x8x64xf32>) {
  // expected-error @below {{'moe.linear' op weight has rank 3, expected 2}}
  %0 = moe.linear %x, %w : (tensor<?x64xf32>, tensor<2x8x64xf32>) -> tensor<?x8xf32>
  return
}

// -----

// moe.linear (C2)
func.func @linear(%x: tensor<?x64xf32>, %w: tensor<64x8xf32>) {
  // expected-error @below {{'moe.linear' op input has 64 columns, but the weight 'tensor<64x8xf32>' takes 8}}
  %0 = moe.linear %x, %w : (tensor<?x64xf32>, tensor<64x8xf32>) -> tensor<?x64xf32>
  return
}

// -----

// moe.linear (C2)
func.func @linear(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error @below {{'moe.linear' op input has 64 columns, but the weight 'tensor<8x64xf32>' takes 8}}
  %0 = moe.linear %x, %w in_out : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

// moe.linear (C3)
func.func @linear(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %b: tensor<7xf32>) {
  // expected-error @below {{'moe.linear' op bias is 'tensor<7xf32>', expected one value for each of the 8 outputs}}
  %0 = moe.linear %x, %w, %b : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<7xf32>) -> tensor<?x8xf32>
  return
}

// -----

// moe.linear (C4)
func.func @linear(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error @below {{'moe.linear' op result is 'tensor<?x64xf32>', expected the input 'tensor<?x64xf32>' with 8 columns}}
  %0 = moe.linear %x, %w : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @linear(%x: tensor<?x64xi32>, %w: tensor<8x64xf32>) {
  // expected-error @below {{'moe.linear' op operand #0 must be ranked tensor of 64-bit float or 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<?x64xi32>'}}
  %0 = moe.linear %x, %w : (tensor<?x64xi32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return
}

// -----

// moe.softmax (C1)
func.func @softmax(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.softmax' op runs over dimension 2 of a tensor of rank 2}}
  %0 = moe.softmax %x over 2 : tensor<?x8xf32>
  return
}

// -----

// moe.softmax (C1)
func.func @softmax(%x: tensor<f32>) {
  // expected-error @below {{'moe.softmax' op runs over dimension -1 of a tensor of rank 0}}
  %0 = moe.softmax %x : tensor<f32>
  return
}

// -----

func.func @softmax(%x: tensor<?x8xi32>) {
  // expected-error @below {{'moe.softmax' op operand #0 must be ranked tensor of 64-bit float or 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<?x8xi32>'}}
  %0 = moe.softmax %x : tensor<?x8xi32>
  return
}

// -----

// moe.rms_norm (C1)
func.func @rms_norm(%x: tensor<f32>, %w: tensor<64xf32>) {
  // expected-error @below {{'moe.rms_norm' op input has rank 0, expected at least 1}}
  %0 = moe.rms_norm %x, %w eps 1.0e-5 : tensor<f32>, tensor<64xf32>
  return
}

// -----

// moe.rms_norm (C2)
func.func @rms_norm(%x: tensor<?x64xf32>, %w: tensor<1x64xf32>) {
  // expected-error @below {{'moe.rms_norm' op weight is 'tensor<1x64xf32>', expected one value for each of the 64 columns}}
  %0 = moe.rms_norm %x, %w eps 1.0e-5 : tensor<?x64xf32>, tensor<1x64xf32>
  return
}

// -----

// moe.rms_norm (C3)
func.func @rms_norm(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @below {{'moe.rms_norm' op eps is -1.000000e+00, expected a finite number of at least 0}}
  %0 = moe.rms_norm %x, %w eps -1.0 : tensor<?x64xf32>, tensor<64xf32>
  return
}

// -----

func.func @silu(%x: tensor<?x8xi32>) {
  // expected-error @below {{'moe.silu' op operand #0 must be a float, or a tensor or vector of floats, but got 'tensor<?x8xi32>'}}
  %0 = moe.silu %x : tensor<?x8xi32>
  return
}

// -----

func.func @gelu(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'form' [exact, tanh]}}
  %0 = moe.gelu %x fast : tensor<?x8xf32>
  return
}

// -----

// moe.map (C1)
func.func @map(%x: tensor<?x8xf32>, %s: f32) {
  // expected-error @below {{'moe.map' op needs at least one input to take its shape from}}
  %0 = moe.map () : () -> tensor<?x8xf32> {
    moe.yield %s : f32
  }
  return
}

// -----

// moe.map (C2)
func.func @map(%x: tensor<?x8xf32>, %y: tensor<?x7xf32>) {
  // expected-error @below {{'moe.map' op mixes shapes: 'tensor<?x8xf32>' and 'tensor<?x7xf32>'}}
  %0 = moe.map (%a = %x, %b = %y) : (tensor<?x8xf32>, tensor<?x7xf32>) -> tensor<?x8xf32> {
    moe.yield %a : f32
  }
  return
}

// -----

// moe.map (C2)
func.func @map(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.map' op mixes shapes: 'tensor<?x8xf32>' and 'tensor<?xf32>'}}
  %0 = moe.map (%a = %x) : (tensor<?x8xf32>) -> tensor<?xf32> {
    moe.yield %a : f32
  }
  return
}

// -----

func.func @map(%x: tensor<?x8xf32>) {
  // expected-error @below {{has 1 inputs, but the type lists 2}}
  %0 = moe.map (%a = %x) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
    moe.yield %a : f32
  }
  return
}

// -----

// moe.map (C3)
func.func @map(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.map' op region has 2 arguments, expected 1}}
  %0 = "moe.map"(%x) ({
  ^bb0(%a: f32, %b: f32):
    moe.yield %a : f32
  }) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

// moe.map (C3)
func.func @map(%x: tensor<?x8xf32>, %y: tensor<?x8xbf16>) {
  // expected-error @below {{'moe.map' op region argument 1 is 'f32', expected 'bf16'}}
  %0 = "moe.map"(%x, %y) ({
  ^bb0(%a: f32, %b: f32):
    moe.yield %a : f32
  }) : (tensor<?x8xf32>, tensor<?x8xbf16>) -> tensor<?x8xf32>
  return
}

// -----

// moe.map (C4)
func.func @map(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.map' op yields 2 scalars and 0 per-expert values for 1 results}}
  %0 = moe.map (%a = %x) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    moe.yield %a, %a : f32, f32
  }
  return
}

// -----

// moe.map (C4)
func.func @map(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.map' op yields 0 scalars and 1 per-expert values for 1 results}}
  %0 = moe.map (%a = %x) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    moe.yield each(%a : f32)
  }
  return
}

// -----

// moe.map (C4)
func.func @map(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.map' op yields 'f32' for a result of 'tensor<?x8xbf16>'}}
  %0 = moe.map (%a = %x) : (tensor<?x8xf32>) -> tensor<?x8xbf16> {
    moe.yield %a : f32
  }
  return
}

// -----

// moe.map (C5)
func.func @map(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.map' op region computes 'tensor<4xf32>' in 'tensor.splat', expected scalars}}
  %0 = moe.map (%a = %x) : (tensor<?x8xf32>) -> tensor<?x8xf32> {
    %t = tensor.splat %a : tensor<4xf32>
    moe.yield %a : f32
  }
  return
}

// -----

// moe.broadcast (C1)
func.func @broadcast(%x: tensor<1x?x8xf32>, %y: tensor<?x8xf32>) {
  // expected-error @below {{'moe.broadcast' op cannot stretch 'tensor<1x?x8xf32>' to 'tensor<?x8xf32>'}}
  %0 = moe.broadcast %x like %y : tensor<1x?x8xf32>, tensor<?x8xf32>
  return
}

// -----

// moe.broadcast (C2)
func.func @broadcast(%x: tensor<?x2xf32>, %y: tensor<?x8xf32>) {
  // expected-error @below {{'moe.broadcast' op cannot stretch 'tensor<?x2xf32>' to 'tensor<?x8xf32>'}}
  %0 = moe.broadcast %x like %y : tensor<?x2xf32>, tensor<?x8xf32>
  return
}

// -----

// moe.broadcast (C2), which 8 rows alone would meet
func.func @broadcast(%x: tensor<?xf32>, %y: tensor<?x8xf32>) {
  // expected-error @below {{'moe.broadcast' op lays the rows of 'tensor<?xf32>' along a fixed dimension of 'tensor<?x8xf32>'; one value per row is a column [?, 1], which tensor.expand_shape makes}}
  %0 = moe.broadcast %x like %y : tensor<?xf32>, tensor<?x8xf32>
  return
}

// -----

// moe.reduce (C1)
func.func @reduce(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.reduce' op runs over dimension -1 of a tensor of rank 2}}
  %0 = moe.reduce sum %x over -1 : tensor<?x8xf32> -> tensor<?xf32>
  return
}

// -----

// moe.reduce (C2)
func.func @reduce(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.reduce' op result is 'tensor<7xf32>', expected 'tensor<8xf32>'}}
  %0 = moe.reduce sum %x over 0 : tensor<?x8xf32> -> tensor<7xf32>
  return
}

// -----

// moe.reduce (C2)
func.func @reduce(%x: tensor<?x8xbf16>) {
  // expected-error @below {{'moe.reduce' op result is 'tensor<?xf32>', expected 'tensor<?xbf16>'}}
  %0 = moe.reduce sum %x over 1 : tensor<?x8xbf16> -> tensor<?xf32>
  return
}

// -----

func.func @reduce(%x: tensor<?x8xf32>) {
  // expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'kind' [sum, prod, max, min]}}
  %0 = moe.reduce mean %x over 1 : tensor<?x8xf32> -> tensor<?xf32>
  return
}

// -----

// moe.split (C1)
func.func @split(%x: tensor<f32>) {
  // expected-error @below {{'moe.split' op input has rank 0, expected at least 1}}
  %0 = moe.split %x : tensor<f32> into tensor<1xf32>
  return
}

// -----

// moe.split (C2)
func.func @split(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.split' op cannot split 'tensor<?x8xf32>' into 'tensor<?x2x4xbf16>'}}
  %0 = moe.split %x : tensor<?x8xf32> into tensor<?x2x4xbf16>
  return
}

// -----

// moe.split (C3)
func.func @split(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.split' op splits 8 columns of 'tensor<?x8xf32>' into 'tensor<?x2x3xf32>'}}
  %0 = moe.split %x : tensor<?x8xf32> into tensor<?x2x3xf32>
  return
}

// -----

// moe.split (C3)
func.func @split(%x: tensor<?x8xf32>) {
  // expected-error @below {{'moe.split' op splits 8 columns of 'tensor<?x8xf32>' into 'tensor<?x2x?xf32>'}}
  %0 = moe.split %x : tensor<?x8xf32> into tensor<?x2x?xf32>
  return
}

// -----

// moe.split (C3)
func.func @split(%x: tensor<4x8xf32>) {
  // expected-error @below {{'moe.split' op splits 8 columns of 'tensor<4x8xf32>' into 'tensor<2x2x8xf32>'}}
  %0 = moe.split %x : tensor<4x8xf32> into tensor<2x2x8xf32>
  return
}

// -----

// moe.gather (C1)
func.func @gather(%t: tensor<f32>, %i: tensor<?xi32>) {
  // expected-error @below {{'moe.gather' op table has rank 0, expected at least 1}}
  %0 = moe.gather %t at %i : tensor<f32>, tensor<?xi32> -> tensor<?xf32>
  return
}

// -----

// moe.gather (C2)
func.func @gather(%t: tensor<256x8xf32>, %i: tensor<?xi32>) {
  // expected-error @below {{'moe.gather' op result is 'tensor<?xf32>', expected 'tensor<?x8xf32>'}}
  %0 = moe.gather %t at %i : tensor<256x8xf32>, tensor<?xi32> -> tensor<?xf32>
  return
}

// -----

func.func @gather(%t: tensor<256x8xf32>, %i: tensor<?xf32>) {
  // expected-error @below {{'moe.gather' op operand #1 must be ranked tensor of 32-bit signless integer or 64-bit signless integer values, but got 'tensor<?xf32>'}}
  %0 = moe.gather %t at %i : tensor<256x8xf32>, tensor<?xf32> -> tensor<?x8xf32>
  return
}
