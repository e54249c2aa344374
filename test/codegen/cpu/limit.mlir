// grouped.limit on the CPU against the reference: every order, with ties, NaN and infinities, capacities for all and by
// segment, next choices, routings with and without slots, no tokens and many.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so position:0,7,513 choice:1,64,513 weight:0,64:special \
// RUN:   value:0,64,513:special segments:0,1,7,513:special taken:64:special edges:7:special sizes:0,513 wide:0,64 nothing:0,7 -- --expected_rtol=1e-6
// RUN: moe-compile %s --level=avx512 --emulated -o %t.512.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.512.so value:64:special segments:64:special -- --expected_rtol=1e-6
!s = tensor<?x5xf32>
!k = tensor<?x3xf32>
!i = tensor<?x3xi32>
!n = tensor<?xi32>
!r = !moe.routing<5, top 3>

func.func @position(%s: !s) -> (!k, !i, !i) {
  %c2 = arith.constant 2 : index
  %c99 = arith.constant 99 : index
  %g = moe.route %s top 3 : !s -> !r
  %a = moe.limit %g to %c2 order position overflow drop : !r, index
  %b = moe.limit %g to %c99 order position overflow drop : !r, index
  %w = moe.weights %a : !r -> !k
  %i = moe.indices %a : !r -> !i
  %j = moe.indices %b : !r -> !i
  return %w, %i, %j : !k, !i, !i
}

func.func @choice(%s: !s, %v: tensor<?xf32>) -> (!i, !i, !i, !i, !i) {
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %g = moe.route %s top 3 : !s -> !r
  %a = moe.limit %g to %c7 order choice overflow drop : !r, index
  %b = moe.limit %g to %c7 order choice by %v overflow drop : !r, index, tensor<?xf32>
  %c = moe.limit %g to %c7 order choice place 1 overflow next_choice : !r, index
  %d = moe.limit %g to %c7 order token_choice place 2 overflow next_choice : !r, index
  %e = moe.limit %g to %c1 order token_choice by %v overflow drop : !r, index, tensor<?xf32>
  %ia = moe.indices %a : !r -> !i
  %ib = moe.indices %b : !r -> !i
  %ic = moe.indices %c : !r -> !i
  %id = moe.indices %d : !r -> !i
  %ie = moe.indices %e : !r -> !i
  return %ia, %ib, %ic, %id, %ie : !i, !i, !i, !i, !i
}

func.func @weight(%s: !s) -> (!k, !i, !i) {
  %c4 = arith.constant 4 : index
  %g = moe.route %s top 3 : !s -> !r
  %a = moe.limit %g to %c4 order weight overflow drop : !r, index
  %b = moe.limit %g to %c4 order weight place 1 overflow next_choice : !r, index
  %w = moe.weights %a : !r -> !k
  %i = moe.indices %a : !r -> !i
  %j = moe.indices %b : !r -> !i
  return %w, %i, %j : !k, !i, !i
}

func.func @value(%s: !s, %t: tensor<?xbf16>, %k: !k, %e: !s) -> (!i, !i, !i, !i) {
  %c9 = arith.constant 9 : index
  %g = moe.route %s top 3 : !s -> !r
  %a = moe.limit %g to %c9 order %t overflow drop : !r, index, tensor<?xbf16>
  %b = moe.limit %g to %c9 order %k overflow drop : !r, index, !k
  %c = moe.limit %g to %c9 order %e overflow drop : !r, index, !s
  %d = moe.limit %c to %c9 order %k place 1 overflow next_choice : !r, index, !k
  %ia = moe.indices %a : !r -> !i
  %ib = moe.indices %b : !r -> !i
  %ic = moe.indices %c : !r -> !i
  %id = moe.indices %d : !r -> !i
  return %ia, %ib, %ic, %id : !i, !i, !i, !i
}

// Segments of different sizes and in no order; their capacities differ.
func.func @segments(%s: !s, %v: tensor<?xf32>, %seq: !n) -> (!i, !i, !i, !i) {
  %c2 = arith.constant 2 : index
  %n = moe.segment_size %seq : !n
  %c = moe.map (%size = %n) : (!n) -> !n {
    %four = arith.constant 4 : i32
    %part = arith.divsi %size, %four : i32
    moe.yield %part : i32
  }
  %g = moe.route %s top 3 : !s -> !r
  %a = moe.limit %g to %c order position overflow drop segments %seq : !r, !n, !n
  %b = moe.limit %g to %c order choice by %v overflow drop segments %seq : !r, !n, tensor<?xf32>, !n
  %d = moe.limit %g to %c2 order %s overflow drop segments %seq : !r, index, !s, !n
  %e = moe.limit %g to %c order weight place 2 overflow next_choice segments %seq : !r, !n, !n
  %ia = moe.indices %a : !r -> !i
  %ib = moe.indices %b : !r -> !i
  %id = moe.indices %d : !r -> !i
  %ie = moe.indices %e : !r -> !i
  return %ia, %ib, %id, %ie : !i, !i, !i, !i
}

// Slot e holds expert e.
func.func @taken(%w: !s, %ids: tensor<?x5xi32>, %e: !s) -> (!s, tensor<?x5xi32>, tensor<?x5xi32>) {
  %c3 = arith.constant 3 : index
  %a, %i = grouped.limit %w, %ids experts 5 to %c3 order weight
      : (!s, tensor<?x5xi32>, index) -> (!s, tensor<?x5xi32>)
  %b, %j = grouped.limit %w, %ids experts 5 to %c3 order value by %e
      : (!s, tensor<?x5xi32>, index, !s) -> (!s, tensor<?x5xi32>)
  return %a, %i, %j : !s, tensor<?x5xi32>, tensor<?x5xi32>
}

// No room at all, and positions with a wanted number.
func.func @edges(%w: !s, %seq: !n) -> (!k, !i, !i, !k, !i) {
  %none = arith.constant 0 : index
  %less = arith.constant -3 : index
  %c2 = arith.constant 2 : index
  %k, %g = grouped.top_k %w by %w top 3 : !s, !s -> !k, !i
  %a, %i = grouped.limit %k, %g experts 5 to %none order position : (!k, !i, index) -> (!k, !i)
  %b, %j = grouped.limit %k, %g experts 5 to %less order weight segments %seq : (!k, !i, index, !n) -> (!k, !i)
  %c, %l = grouped.limit %k, %g experts 5 to %c2 order position place 1 : (!k, !i, index) -> (!k, !i)
  return %a, %i, %j, %c, %l : !k, !i, !i, !k, !i
}

func.func @sizes(%seq: !n) -> (!n, !n) {
  %n = moe.segment_size %seq : !n
  %m = moe.map (%s = %seq) : (!n) -> !n {
    %k = arith.constant -715827883 : i32
    %p = arith.muli %s, %k : i32
    moe.yield %p : i32
  }
  %l = moe.segment_size %m : !n
  return %n, %l : !n, !n
}

// Priorities that f32 cannot tell apart.
func.func @wide(%s: !s, %v: tensor<?xf64>) -> (!i, !i) {
  %c4 = arith.constant 4 : index
  %k = moe.map (%x = %v) : (tensor<?xf64>) -> tensor<?xf64> {
    %tiny = arith.constant 1.0e-12 : f64
    %one = arith.constant -1.0 : f64
    %y = arith.mulf %x, %tiny : f64
    %z = arith.addf %y, %one : f64
    moe.yield %z : f64
  }
  %t, %g = grouped.top_k %s by %s top 3 : !s, !s -> !k, !i
  %a, %i = grouped.limit %t, %g experts 5 to %c4 order choice by %k : (!k, !i, index, tensor<?xf64>) -> (!k, !i)
  %b, %j = grouped.limit %t, %g experts 5 to %c4 order value by %k : (!k, !i, index, tensor<?xf64>) -> (!k, !i)
  return %i, %j : !i, !i
}

// A capacity below 1, as folding finds out.
func.func @nothing(%s: tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x8xf32>) {
  %one = arith.constant 1 : index
  %c = arith.subi %one, %one : index
  %r = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  %l = moe.limit %r to %c order position overflow drop : !moe.routing<8, top 2>, index
  %i = moe.indices %l : !moe.routing<8, top 2> -> tensor<?x2xi32>
  %t = moe.route %s take %c : tensor<?x8xf32>, index -> !moe.routing<8, take>
  %m = moe.to_matrix %t : !moe.routing<8, take> -> tensor<?x8xf32>
  return %i, %m : tensor<?x2xi32>, tensor<?x8xf32>
}
