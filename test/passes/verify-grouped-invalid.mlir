// RUN: moe-opt --split-input-file --verify-diagnostics --moe-verify-grouped %s

// expected-error@+1 {{'func.func' op has no body, expected a definition of every function}}
func.func private @outside(%x: tensor<?x6xf32>)

// -----

// expected-error@+1 {{'func.func' op is private and was not inlined: is it recursive?}}
func.func private @again() {
  return
}

// -----

func.func @f_prepare0(%w: tensor<6x6xf32> {moe.param = "w"}) -> !grouped.packed<1x6x6xf32, 1>
    attributes {moe.prepare_of = "f", moe.step = 0 : i64} {
  %p = grouped.pack %w : tensor<6x6xf32> -> !grouped.packed<1x6x6xf32, 1>
  return %p : !grouped.packed<1x6x6xf32, 1>
}
// expected-error@+1 {{'func.func' op has argument 1 from prepare step 1, but no function {moe.prepare_of = "f", moe.step = 1}}}
func.func @f(%x: tensor<?x6xf32>, %p: !grouped.packed<1x6x6xf32, 1> {moe.step = 1 : i64, moe.result = 0 : i64}) {
  return
}

// -----

// expected-error@+1 {{'func.func' op has several blocks, expected one: control flow is that of scf}}
func.func @blocks() {
  return
^unreachable:
  return
}

// -----

// expected-error@+1 {{'func.func' op has input 1 behind its constants, expected inputs first}}
func.func @order(%w: tensor<6xf32> {moe.param = "w"}, %x: tensor<?x6xf32>) {
  return
}

// -----

func.func @captures(%x: tensor<?x6xf32>, %f: f32, %p: !grouped.packed<1x6x6xf32, 1>) {
  // expected-error@+1 {{'grouped.matmul' op has an epilogue that uses a value from outside, expected an operand of with(...)}}
  %y = grouped.matmul %x weights %p : (tensor<?x6xf32>, !grouped.packed<1x6x6xf32, 1>) -> tensor<?x6xf32> {
  ^bb0(%a: f32):
    %b = arith.mulf %a, %f : f32
    grouped.yield rows(%b : f32)
  }
  return
}

// -----

func.func @routing(%s: tensor<?x8xf32>) {
  // expected-error@+1 {{'moe.route' op cannot be lowered to grouped rows}}
  %r = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

func.func @control_flow(%c: index, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{'scf.index_switch' op cannot be lowered to grouped rows}}
  %y = scf.index_switch %c -> tensor<?x8xf32>
  case 1 {
    scf.yield %x : tensor<?x8xf32>
  }
  default {
    scf.yield %x : tensor<?x8xf32>
  }
  return %y : tensor<?x8xf32>
}

// -----

func.func @linear(%x: tensor<?x6xf32>, %w: tensor<?x6xf32>) -> tensor<?x?xf32> {
  // expected-error@+1 {{'moe.linear' op multiplies by 'tensor<?x6xf32>', expected a weight of static shape}}
  %y = moe.linear %x, %w : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
