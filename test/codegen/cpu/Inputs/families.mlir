// A layer whose products are exact in every type: rows and hidden layer are of one magnitude (-1, 0 and 1), weights are eighths, and
// what quantising leaves of those is known to the reference. ELEMENT is replaced by f32, f16 or bf16.
!i = tensor<?x37xi32>
!x = tensor<?x37xELEMENT>
!s = tensor<?x5xf32>
!h = tensor<?x67xf32>
!e = tensor<?x67xELEMENT>
!u = tensor<5x67x37xELEMENT>
!d = tensor<5x41x67xELEMENT>
!y = tensor<?x41xf32>

func.func private @rows(%numbers: !i) -> !x {
  %x = moe.map (%n = %numbers) : (!i) -> !x {
    %one = arith.constant 1 : i32
    %v = arith.subi %n, %one : i32
    %f = arith.sitofp %v : i32 to ELEMENT
    moe.yield %f : ELEMENT
  }
  return %x : !x
}

// Each token to two of five experts.
func.func @layer(%numbers: !i, %s: !s, %m: !moe.scope) -> !y {
  %g = moe.param %m "{expert}.gate" : !u
  %u = moe.param %m "{expert}.up" : !u
  %d = moe.param %m "{expert}.down" : !d
  %x = func.call @rows(%numbers) : (!i) -> !x
  %c = moe.route %s top 2 : !s -> !moe.routing<5, top 2>
  %r = moe.normalize %c by softmax : !moe.routing<5, top 2>
  %in = moe.dispatch %x by %r : !x, !moe.routing<5, top 2>
  %out = moe.expert by %r rows(%t = %in) each(%a = %g, %b = %u, %k = %d) : !moe.routing<5, top 2>, (!x, !u, !u, !d) -> !y {
    %p = moe.linear %t, %a : (!x, tensor<67x37xELEMENT>) -> !h
    %q = moe.linear %t, %b : (!x, tensor<67x37xELEMENT>) -> !h
    %h = moe.map (%v = %p, %w = %q) : (!h, !h) -> !e {
      %plus = arith.constant 1.0 : ELEMENT
      %minus = arith.constant -1.0 : ELEMENT
      %larger = arith.cmpf ogt, %v, %w : f32
      %sign = arith.select %larger, %plus, %minus : ELEMENT
      moe.yield %sign : ELEMENT
    }
    %f = moe.linear %h, %k : (!e, tensor<41x67xELEMENT>) -> !y
    moe.yield %f : !y
  }
  %y = moe.combine %out by %r weighted : !y, !moe.routing<5, top 2>
  return %y : !y
}

// All tokens to expert 3.
func.func @one(%numbers: !i, %s: !s, %m: !moe.scope) -> !h {
  %g = moe.param %m "{expert}.gate" : !u
  %x = func.call @rows(%numbers) : (!i) -> !x
  %favour = arith.constant dense<[0.0, 0.0, 0.0, 100.0, 0.0]> : tensor<5xf32>
  %b = moe.broadcast %favour like %s : tensor<5xf32>, !s
  %k = arith.addf %s, %b : !s
  %r = moe.route %k top 1 : !s -> !moe.routing<5, top 1>
  %in = moe.dispatch %x by %r : !x, !moe.routing<5, top 1>
  %out = moe.expert by %r rows(%t = %in) each(%a = %g) : !moe.routing<5, top 1>, (!x, !u) -> !h {
    %p = moe.linear %t, %a : (!x, tensor<67x37xELEMENT>) -> !h
    moe.yield %p : !h
  }
  %y = moe.combine %out by %r unweighted : !h, !moe.routing<5, top 1>
  return %y : !h
}

// With one token: one row to each expert.
func.func @each(%numbers: !i, %s: !s, %m: !moe.scope) -> !h {
  %g = moe.param %m "{expert}.gate" : !u
  %x = func.call @rows(%numbers) : (!i) -> !x
  %r = moe.route %s top 5 : !s -> !moe.routing<5, top 5>
  %in = moe.dispatch %x by %r : !x, !moe.routing<5, top 5>
  %out = moe.expert by %r rows(%t = %in) each(%a = %g) : !moe.routing<5, top 5>, (!x, !u) -> !h {
    %p = moe.linear %t, %a : (!x, tensor<67x37xELEMENT>) -> !h
    moe.yield %p : !h
  }
  %y = moe.combine %out by %r weighted : !h, !moe.routing<5, top 5>
  return %y : !h
}
