// What the type and the ops of the grouped dialect refuse.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// !grouped.packed (C1)
// expected-error @below {{packed weights have 3 dimensions (groups, outputs, inputs), found 2}}
func.func private @type(!grouped.packed<256x128xbf16, 1>)

// -----

// !grouped.packed (C1)
// expected-error @below {{packed weights have a dimension of 0, expected at least 1}}
func.func private @type(!grouped.packed<8x0x128xbf16, 1>)

// -----

// !grouped.packed (C1)
// expected-error @below {{expected static shape}}
func.func private @type(!grouped.packed<?x256x128xbf16, 1>)

// -----

// !grouped.packed (C2)
// expected-error @below {{packed weights hold 'i16', expected f64, f32, f16, bf16, i8, si8, i4 or ui4}}
func.func private @type(!grouped.packed<8x256x128xi16, 1>)

// -----

// !grouped.packed (C3)
// expected-error @below {{packed weights need at least 1 weight, found 0}}
func.func private @type(!grouped.packed<8x256x128xbf16, 0>)

// -----

// grouped.top_k (C1)
func.func @top_k(%w: tensor<?x?xf32>) {
  // expected-error @below {{'grouped.top_k' op weights are 'tensor<?x?xf32>', expected rows by a static number of experts}}
  %0:2 = grouped.top_k %w by %w top 2 : tensor<?x?xf32>, tensor<?x?xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  return
}

// -----

// grouped.top_k (C2)
func.func @top_k(%w: tensor<?x8xf32>, %k: tensor<?x7xf32>) {
  // expected-error @below {{'grouped.top_k' op key is 'tensor<?x7xf32>', but the weights are 'tensor<?x8xf32>'}}
  %0:2 = grouped.top_k %w by %k top 2 : tensor<?x8xf32>, tensor<?x7xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  return
}

// -----

// grouped.top_k (C3)
func.func @top_k(%w: tensor<?x8xf32>) {
  // expected-error @below {{'grouped.top_k' op chooses top 9 of 8 experts}}
  %0:2 = grouped.top_k %w by %w top 9 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x9xf32>, tensor<?x9xi32>
  return
}

// -----

// grouped.top_k (C4)
func.func @top_k(%w: tensor<?x8xf32>) {
  // expected-error @below {{'grouped.top_k' op result is 'tensor<?x3xi32>', expected 2 slots}}
  %0:2 = grouped.top_k %w by %w top 2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x3xi32>
  return
}

// -----

func.func @top_k(%w: tensor<?x8xbf16>) {
  // expected-error @below {{'grouped.top_k' op result #0 must be ranked tensor of 32-bit float values, but got 'tensor<?x2xbf16>'}}
  %0:2 = grouped.top_k %w by %w top 2 : tensor<?x8xbf16>, tensor<?x8xbf16> -> tensor<?x2xbf16>, tensor<?x2xi32>
  return
}

// -----

// grouped.plan (C1)
func.func @plan(%ids: tensor<?xi32>) {
  // expected-error @below {{'grouped.plan' op ids are 'tensor<?xi32>', expected rows by a static number of slots}}
  %0:4 = grouped.plan %ids experts 8 : tensor<?xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

// grouped.plan (C2)
func.func @plan(%ids: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.plan' op has 0 experts, expected at least 1}}
  %0:4 = grouped.plan %ids experts 0 : tensor<?x2xi32> -> tensor<1xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
  return
}

// -----

// grouped.plan (C3)
func.func @plan(%ids: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.plan' op offsets are 'tensor<8xi32>', expected one more than the 8 experts}}
  %0:4 = grouped.plan %ids experts 8 : tensor<?x2xi32> -> tensor<8xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
  return
}

// -----

// grouped.plan (C4)
func.func @plan(%ids: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.plan' op maps rows with 'tensor<?x2xi32>', expected rank 1}}
  %0:4 = grouped.plan %ids experts 8 : tensor<?x2xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?x2xi32>, tensor<?x2xi32>
  return
}

// -----

// grouped.plan (C5)
func.func @plan(%ids: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.plan' op rows are 'tensor<?x3xi32>', but the ids are 'tensor<?x2xi32>'}}
  %0:4 = grouped.plan %ids experts 8 : tensor<?x2xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x3xi32>
  return
}

// -----

// grouped.pack (C1)
func.func @pack(%w: tensor<8x4x2xf32>) {
  // expected-error @below {{'grouped.pack' op packs 1 weights into '!grouped.packed<8x4x2xf32, 2>' of 2}}
  %0 = grouped.pack %w : tensor<8x4x2xf32> -> !grouped.packed<8x4x2xf32, 2>
  return
}

// -----

// grouped.pack (C2)
func.func @pack(%w: tensor<8x4x2xf32>) {
  // expected-error @below {{'grouped.pack' op packs a weight of 'tensor<8x4x2xf32>' into '!grouped.packed<8x4x2xf32, 1>'}}
  %0 = grouped.pack %w in_out : tensor<8x4x2xf32> -> !grouped.packed<8x4x2xf32, 1>
  return
}

// -----

// grouped.pack (C2)
func.func @pack(%w: tensor<4x2xf32>) {
  // expected-error @below {{'grouped.pack' op packs a weight of 'tensor<4x2xf32>' into '!grouped.packed<8x4x2xf32, 1>'}}
  %0 = grouped.pack %w : tensor<4x2xf32> -> !grouped.packed<8x4x2xf32, 1>
  return
}

// -----

!w = !grouped.packed<8x4x2xf32, 1>
// grouped.matmul (C1)
func.func @matmul(%x: tensor<?x3xf32>, %o: tensor<9xi32>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op input is 'tensor<?x3xf32>', but the weights take 2 columns}}
  %0 = grouped.matmul %x groups %o weights %w : (tensor<?x3xf32>, tensor<9xi32>, !w) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<8x4x2xf32, 1>
// grouped.matmul (C2)
func.func @matmul(%x: tensor<?x2xf32>, %o: tensor<9xi32>, %t: tensor<?x1xi32>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op gathers rows by 'tensor<?x1xi32>', expected rank 1}}
  %0 = grouped.matmul %x rows %t groups %o weights %w : (tensor<?x2xf32>, tensor<?x1xi32>, tensor<9xi32>, !w) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<8x4x2xf32, 1>
// grouped.matmul (C3)
func.func @matmul(%x: tensor<?x2xf32>, %o: tensor<8xi32>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op offsets are 'tensor<8xi32>', expected one more than the 8 groups of the weights}}
  %0 = grouped.matmul %x groups %o weights %w : (tensor<?x2xf32>, tensor<8xi32>, !w) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<8x4x2xf32, 1>
// grouped.matmul (C3)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op has weights of 8 groups, but no offsets}}
  %0 = grouped.matmul %x weights %w : (tensor<?x2xf32>, !w) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 1>
// grouped.matmul (C4)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w, %b: tensor<3xf32>) {
  // expected-error @below {{'grouped.matmul' op operand of the epilogue is 'tensor<3xf32>', expected one value for each of 4 columns, by group or by row}}
  %0 = grouped.matmul %x weights %w with(%b) : (tensor<?x2xf32>, !w, tensor<3xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32, %c: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 1>
// grouped.matmul (C5)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w, %s: tensor<?x2xf32>) {
  // expected-error @below {{'grouped.matmul' op combines with rows and slots, scaled or not, or not at all}}
  %0 = grouped.matmul %x weights %w scaled %s : (tensor<?x2xf32>, !w, tensor<?x2xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 1>
// grouped.matmul (C6)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w, %r: tensor<?xi32>, %s: tensor<?xi32>) {
  // expected-error @below {{'grouped.matmul' op combine rows are 'tensor<?xi32>', expected tokens by slots}}
  %0 = grouped.matmul %x weights %w combine %r slots %s : (tensor<?x2xf32>, !w, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 1>
// grouped.matmul (C6)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w, %r: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.matmul' op combine slots are 'tensor<?x2xi32>', expected rank 1}}
  %0 = grouped.matmul %x weights %w combine %r slots %r : (tensor<?x2xf32>, !w, tensor<?x2xi32>, tensor<?x2xi32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 1>
// grouped.matmul (C6)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w, %r: tensor<?x2xi32>, %s: tensor<?xi32>, %f: tensor<?x3xf32>) {
  // expected-error @below {{'grouped.matmul' op combine weights are 'tensor<?x3xf32>', but the rows are 'tensor<?x2xi32>'}}
  %0 = grouped.matmul %x weights %w combine %r slots %s scaled %f
      : (tensor<?x2xf32>, !w, tensor<?x2xi32>, tensor<?xi32>, tensor<?x3xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 1>
// grouped.matmul (C7)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op result is 'tensor<?x2xf32>', expected rows of 4 columns}}
  %0 = grouped.matmul %x weights %w : (tensor<?x2xf32>, !w) -> tensor<?x2xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 2>
// grouped.matmul (C8)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op region has 1 arguments, expected 2}}
  %0 = grouped.matmul %x weights %w : (tensor<?x2xf32>, !w) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xbf16, 1>
// grouped.matmul (C8)
func.func @matmul(%x: tensor<?x2xbf16>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op region argument 0 is 'bf16', expected 'f32'}}
  %0 = grouped.matmul %x weights %w : (tensor<?x2xbf16>, !w) -> tensor<?x4xbf16> {
  ^bb0(%a: bf16):
    grouped.yield rows(%a : bf16)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 1>
// grouped.matmul (C9)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op yields 0 scalars and 0 per-expert values for 1 results}}
  %0 = grouped.matmul %x weights %w : (tensor<?x2xf32>, !w) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 1>
// grouped.matmul (C9)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op yields 'f32' for a result of 'tensor<?x4xbf16>'}}
  %0 = grouped.matmul %x weights %w : (tensor<?x2xf32>, !w) -> tensor<?x4xbf16> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

!w = !grouped.packed<1x4x2xf32, 1>
// grouped.matmul (C10)
func.func @matmul(%x: tensor<?x2xf32>, %w: !w) {
  // expected-error @below {{'grouped.matmul' op region computes 'vector<8xf32>' in 'vector.broadcast', expected scalars}}
  %0 = grouped.matmul %x weights %w : (tensor<?x2xf32>, !w) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    %v = vector.broadcast %a : f32 to vector<8xf32>
    grouped.yield rows(%a : f32)
  }
  return
}

// -----

// grouped.combine (C1)
func.func @combine(%x: tensor<?x4xf32>, %r: tensor<?xi32>) {
  // expected-error @below {{'grouped.combine' op rows are 'tensor<?xi32>', expected tokens by slots}}
  %0 = grouped.combine %x by %r : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return
}

// -----

// grouped.combine (C2)
func.func @combine(%x: tensor<?x4xf32>, %r: tensor<?x2xi32>, %w: tensor<?x3xf32>) {
  // expected-error @below {{'grouped.combine' op weights are 'tensor<?x3xf32>', but the slots are 'tensor<?x2xi32>'}}
  %0 = grouped.combine %x by %r weighted %w : (tensor<?x4xf32>, tensor<?x2xi32>, tensor<?x3xf32>) -> tensor<?x4xf32>
  return
}

// -----

// grouped.combine (C3)
func.func @combine(%x: tensor<f32>, %r: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.combine' op input has rank 0, expected grouped rows}}
  %0 = grouped.combine %x by %r : (tensor<f32>, tensor<?x2xi32>) -> tensor<?xf32>
  return
}

// -----

// grouped.combine (C4)
func.func @combine(%x: tensor<?x4xf32>, %r: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.combine' op result is 'tensor<?x5xf32>', expected the columns of 'tensor<?x4xf32>'}}
  %0 = grouped.combine %x by %r : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<?x5xf32>
  return
}

// -----

// grouped.loop (C1)
func.func @loop(%o: tensor<9xi32>) {
  // expected-error @below {{'grouped.loop' op has 1 regions, 3 bounds and 1 each counts, expected n, n + 1 and n}}
  grouped.loop over %o bounds [0, 4, 8] counts [0] : (tensor<9xi32>) -> () {
    grouped.yield
  }
  return
}

// -----

// grouped.loop (C1)
func.func @loop(%o: tensor<9xi32>) {
  // expected-error @below {{'grouped.loop' op ranges cover experts 1 to 8, expected 0 to 8}}
  grouped.loop over %o bounds [1, 8] counts [0] : (tensor<9xi32>) -> () {
    grouped.yield
  }
  return
}

// -----

// grouped.loop (C1)
func.func @loop(%o: tensor<1xi32>) {
  // expected-error @below {{'grouped.loop' op range 0 is experts 0 to 0, expected at least one}}
  grouped.loop over %o bounds [0, 0] counts [0] : (tensor<1xi32>) -> () {
    grouped.yield
  }
  return
}

// -----

// grouped.loop (C2)
func.func @loop(%o: tensor<9xi32>) {
  // expected-error @below {{'grouped.loop' op each count is 1, but there are 0 tensors}}
  grouped.loop over %o bounds [0, 8] counts [1] : (tensor<9xi32>) -> () {
    grouped.yield
  }
  return
}

// -----

// grouped.loop (C3)
func.func @loop(%o: tensor<9xi32>, %x: tensor<4x2xf32>) {
  // expected-error @below {{'grouped.loop' op rows tensor is 'tensor<4x2xf32>', expected a dynamic number of rows}}
  grouped.loop over %o rows(%x) bounds [0, 8] counts [0] : (tensor<9xi32>, tensor<4x2xf32>) -> () {
  ^bb0(%t: tensor<4x2xf32>):
    grouped.yield
  }
  return
}

// -----

// grouped.loop (C4)
func.func @loop(%o: tensor<9xi32>, %w: tensor<4x2xf32>) {
  // expected-error @below {{'grouped.loop' op each tensor 0 is 'tensor<4x2xf32>', expected dimension 0 to be 8 (one slice for every expert)}}
  grouped.loop over %o each(%w) bounds [0, 8] counts [1] : (tensor<9xi32>, tensor<4x2xf32>) -> () {
  ^bb0(%t: tensor<2xf32>):
    grouped.yield
  }
  return
}

// -----

// grouped.loop (C5)
func.func @loop(%o: tensor<9xi32>, %x: tensor<?x2xf32>) {
  // expected-error @below {{'grouped.loop' op region 0 has arguments 'tensor<2xf32>', expected 'tensor<?x2xf32>'}}
  grouped.loop over %o rows(%x) bounds [0, 8] counts [0] : (tensor<9xi32>, tensor<?x2xf32>) -> () {
  ^bb0(%t: tensor<2xf32>):
    grouped.yield
  }
  return
}

// -----

// grouped.loop (C6)
func.func @loop(%o: tensor<9xi32>, %x: tensor<?x2xf32>) {
  // expected-error @below {{'grouped.loop' op region 0 yields 1 row and 0 per-expert values for 0 results}}
  grouped.loop over %o rows(%x) bounds [0, 8] counts [0] : (tensor<9xi32>, tensor<?x2xf32>) -> () {
  ^bb0(%t: tensor<?x2xf32>):
    grouped.yield rows(%t : tensor<?x2xf32>)
  }
  return
}

// -----

// grouped.loop (C7)
func.func @loop(%o: tensor<9xi32>, %x: tensor<?x2xf32>) {
  // expected-error @below {{'grouped.loop' op region 0 yields 'tensor<?x2xf32>' for a result of 'tensor<?x3xf32>'}}
  %0 = grouped.loop over %o rows(%x) bounds [0, 8] counts [0] : (tensor<9xi32>, tensor<?x2xf32>) -> tensor<?x3xf32> {
  ^bb0(%t: tensor<?x2xf32>):
    grouped.yield rows(%t : tensor<?x2xf32>)
  }
  return
}

// -----

// grouped.loop (C8)
func.func @loop(%o: tensor<9xi32>, %x: tensor<?x2xf32>) {
  // expected-error @below {{'grouped.loop' op region 0 yields 'tensor<?x2xf32>' per expert for a result of 'tensor<8x2xf32>', expected them stacked along 8 experts}}
  %0 = grouped.loop over %o rows(%x) bounds [0, 8] counts [0] : (tensor<9xi32>, tensor<?x2xf32>) -> tensor<8x2xf32> {
  ^bb0(%t: tensor<?x2xf32>):
    grouped.yield each(%t : tensor<?x2xf32>)
  }
  return
}

// -----

// grouped.loop (C9)
func.func @loop(%o: tensor<8xi32>) {
  // expected-error @below {{'grouped.loop' op offsets are 'tensor<8xi32>', expected one more than the 8 groups}}
  grouped.loop over %o bounds [0, 8] counts [0] : (tensor<8xi32>) -> () {
    grouped.yield
  }
  return
}

// -----

// grouped.loop (C9): one more than the largest integer is no size.
func.func @loop(%o: tensor<?xi32>) {
  // expected-error @below {{'grouped.loop' op offsets are 'tensor<?xi32>', expected one more than the 9223372036854775807 groups}}
  grouped.loop over %o bounds [0, 9223372036854775807] counts [0] : (tensor<?xi32>) -> () {
    grouped.yield
  }
  return
}

// -----

// grouped.plan (C3)
func.func @plan(%i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.plan' op offsets are 'tensor<?xi32>', expected one more than the 9223372036854775807 experts}}
  %o, %t, %s, %r = grouped.plan %i experts 9223372036854775807 : tensor<?x2xi32> -> tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
  return
}

// -----

func.func @yield(%x: tensor<?x4xf32>) {
  // expected-error @below {{'grouped.yield' op expects parent op to be one of 'grouped.matmul, grouped.loop'}}
  grouped.yield rows(%x : tensor<?x4xf32>)
}
