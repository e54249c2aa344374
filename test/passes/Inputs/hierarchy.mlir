// A routing inside an expert, made, edited and read in every way: it becomes one of all inner experts, or stays in the loop.
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!o = !moe.routing<3, top 2>
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 3>
!any = !moe.routing<4, any>
!w = tensor<3x4x6x6xf32>
!wi = tensor<4x6x6xf32>

func.func private @outer(%x: !x, %m: !moe.scope) -> !o {
  %w = moe.param %m "outer" : tensor<3x6xf32>
  %l = moe.linear %x, %w : (!x, tensor<3x6xf32>) -> tensor<?x3xf32>
  %g = moe.route %l top 2 : tensor<?x3xf32> -> !o
  %r = moe.normalize %g by softmax : !o
  return %r : !o
}

func.func private @inner(%x: !x, %r: !r, %w: !wi) -> !x {
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !r, (!x, !wi) -> !x {
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    %b = moe.silu %a : !x
    moe.yield %b : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func private @any_inner(%x: !x, %r: !any, %w: !wi) -> !x {
  %in  = moe.dispatch %x by %r weighted : !x, !any
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !any, (!x, !wi) -> !x {
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    moe.yield %a : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !any
  return %y : !x
}

func.func private @scores(%x: !x, %w: tensor<4x6xf32>) -> !s {
  %l = moe.linear %x, %w : (!x, tensor<4x6xf32>) -> !s
  %s = moe.softmax %l : !s
  return %s : !s
}

// Limits in every order; segments of tokens; masks and factors of each expert.
func.func @limits(%x: !x, %m: !moe.scope) -> !x {
  %g = moe.param %m "inner" : tensor<3x4x6xf32>
  %w = moe.param %m "experts.{outer}.{inner}.w" : !w
  %f = moe.param %m "factors" : tensor<3x4xf32>
  %c = arith.constant 3 : index
  %r = func.call @outer(%x, %m) : (!x, !moe.scope) -> !o
  %e, %token, %slot, %weight = moe.pairs %r : !o -> !i, !i, !i, tensor<?xf32>
  %in = moe.dispatch %x by %r : !x, !o
  %out = moe.expert by %r rows(%t = %in, %p = %weight, %seg = %slot) each(%gate = %g, %v = %w, %factor = %f)
      : !o, (!x, tensor<?xf32>, !i, tensor<3x4x6xf32>, !w, tensor<3x4xf32>) -> !x {
    %s = func.call @scores(%t, %gate) : (!x, tensor<4x6xf32>) -> !s
    %a = moe.route %s top 3 : !s -> !r
    %b = moe.limit %a to %c order choice by %p overflow drop : !r, index, tensor<?xf32>
    %d = moe.limit %b to %c order weight place 2 overflow next_choice segments %seg : !r, index, !i
    %h = moe.limit %d to %c order %s overflow drop : !r, index, !s
    %k = moe.scale %h by %factor : !r, tensor<4xf32>
    %n = moe.normalize %k by sum plus 0.25 : !r
    %y = func.call @inner(%t, %n, %v) : (!x, !r, !wi) -> !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r weighted : !x, !o
  return %y : !x
}

// Capacities of the rows that an expert got; inner experts that choose; the auction.
func.func @counted(%x: !x, %m: !moe.scope) -> (!x, !x, !x) {
  %g = moe.param %m "inner" : tensor<3x4x6xf32>
  %w = moe.param %m "experts.{outer}.{inner}.w" : !w
  %f = moe.param %m "factors" : tensor<3x4xf32>
  %r = func.call @outer(%x, %m) : (!x, !moe.scope) -> !o
  %in = moe.dispatch %x by %r : !x, !o
  %out:3 = moe.expert by %r rows(%t = %in) each(%gate = %g, %v = %w, %factor = %f)
      : !o, (!x, tensor<3x4x6xf32>, !w, tensor<3x4xf32>) -> (!x, !x, !x) {
    %s = func.call @scores(%t, %gate) : (!x, tensor<4x6xf32>) -> !s
    %rows = moe.tokens %t : !x
    %c = moe.capacity %rows by mesh factor 0.7 experts 4 minimum 1 : index
    %a = moe.route %s top 3 : !s -> !r
    %q = moe.scale %a by %factor : !r, tensor<4xf32>
    %b = moe.limit %q to %c order position overflow drop : !r, index
    %y0 = func.call @inner(%t, %b, %v) : (!x, !r, !wi) -> !x
    %d = moe.route %s take %c : !s, index -> !moe.routing<4, take>
    %i0 = moe.dispatch %t by %d : !x, !moe.routing<4, take>
    %y1 = moe.combine %i0 by %d weighted : !x, !moe.routing<4, take>
    %p = moe.route %s top_p 0.6 : !s -> !any
    %n = moe.normalize %p by softmax : !any
    %y2 = func.call @any_inner(%t, %n, %v) : (!x, !any, !wi) -> !x
    moe.yield %y0, %y1, %y2 : !x, !x, !x
  }
  %y0 = moe.combine %out#0 by %r weighted : !x, !o
  %y1 = moe.combine %out#1 by %r weighted : !x, !o
  %y2 = moe.combine %out#2 by %r weighted : !x, !o
  return %y0, %y1, %y2 : !x, !x, !x
}

// Importance of the outer choice, as in mesh_tensorflow: a second choice chooses once.
func.func @importance(%x: !x, %m: !moe.scope) -> !x {
  %g = moe.param %m "inner" : tensor<3x4x6xf32>
  %w = moe.param %m "experts.{outer}.{inner}.w" : !w
  %f = moe.param %m "factors" : tensor<3x4xf32>
  %r = func.call @outer(%x, %m) : (!x, !moe.scope) -> !o
  %e, %token, %slot, %weight = moe.pairs %r : !o -> !i, !i, !i, tensor<?xf32>
  %in = moe.dispatch %x by %r : !x, !o
  %out = moe.expert by %r rows(%t = %in, %p = %weight) each(%gate = %g, %v = %w, %factor = %f)
      : !o, (!x, tensor<?xf32>, tensor<3x4x6xf32>, !w, tensor<3x4xf32>) -> !x {
    %s = func.call @scores(%t, %gate) : (!x, tensor<4x6xf32>) -> !s
    %rows = moe.tokens %p : tensor<?xf32>
    %column = tensor.expand_shape %p [[0, 1]] output_shape [%rows, 1] : tensor<?xf32> into tensor<?x1xf32>
    %mask = moe.map (%a = %column) : (tensor<?x1xf32>) -> tensor<?x1xi1> {
      %half = arith.constant 0.5 : f32
      %c = arith.cmpf ogt, %a, %half : f32
      moe.yield %c : i1
    }
    %a = moe.route %s top 1 : !s -> !moe.routing<4, top 1>
    %b = moe.keep %a where %mask : !moe.routing<4, top 1>, tensor<?x1xi1>
    %taken = moe.to_matrix %b : !moe.routing<4, top 1> -> !s
    %key = moe.map (%u = %s, %z = %taken) : (!s, !s) -> !s {
      %zero = arith.constant 0.0 : f32
      %c = arith.cmpf ogt, %z, %zero : f32
      %k = arith.select %c, %zero, %u : f32
      moe.yield %k : f32
    }
    %d = moe.route %s by %key top 2 : !s -> !moe.routing<4, top 2>
    %h = moe.join %b, %d : !moe.routing<4, top 1>, !moe.routing<4, top 2> -> !r
    %positive = moe.map (%u = %s) : (!s) -> tensor<?x4xi1> {
      %low = arith.constant 0.1 : f32
      %c = arith.cmpf ogt, %u, %low : f32
      moe.yield %c : i1
    }
    %k = moe.keep %h where %positive : !r, tensor<?x4xi1>
    %n = moe.normalize %k by sum plus 1.0e-9 : !r
    %z = moe.scale %n by 0.5 : !r
    %y = func.call @inner(%t, %z, %v) : (!x, !r, !wi) -> !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r weighted : !x, !o
  return %y : !x
}

// Weights of the outer expert and of all experts in the inner ones; an inner statistic of each; a table; three levels.
func.func @shared(%x: !x, %m: !moe.scope) -> (!x, tensor<3x4x6xf32>, tensor<3x6xf32>) {
  %w = moe.param %m "experts.{outer}.{inner}.w" : !w
  %own = moe.param %m "own" : tensor<3x6x6xf32>
  %all = moe.param %m "all" : !wi
  %v = moe.param %m "vector" : tensor<3x6xf32>
  %r = func.call @outer(%x, %m) : (!x, !moe.scope) -> !o
  %in = moe.dispatch %x by %r : !x, !o
  %out:3 = moe.expert by %r rows(%t = %in) each(%vs = %w, %o = %own, %u = %v)
      : !o, (!x, !w, tensor<3x6x6xf32>, tensor<3x6xf32>) -> (!x, tensor<3x4x6xf32>, tensor<3x6xf32>) {
    %slice = tensor.extract_slice %vs[1, 0, 0] [1, 4, 6] [1, 1, 1] : !wi to tensor<4x6xf32>
    %s = func.call @scores(%t, %slice) : (!x, tensor<4x6xf32>) -> !s
    %q = moe.route %s top 3 : !s -> !r
    %i = moe.dispatch %t by %q : !x, !r
    %bias = moe.broadcast %u like %i : tensor<6xf32>, !x
    %j = arith.addf %i, %bias : !x
    %k = moe.linear %j, %o, %u : (!x, tensor<6x6xf32>, tensor<6xf32>) -> !x
    %p:2 = moe.expert by %q rows(%a = %k) each(%b = %vs, %c = %all) : !r, (!x, !wi, !wi) -> (!x, tensor<4x6xf32>) {
      %d = moe.linear %a, %b : (!x, tensor<6x6xf32>) -> !x
      %e = moe.linear %d, %c, %u in_out : (!x, tensor<6x6xf32>, tensor<6xf32>) -> !x
      %f = moe.linear %e, %o : (!x, tensor<6x6xf32>) -> !x
      %sum = moe.reduce sum %f over 0 : !x -> tensor<6xf32>
      moe.yield rows(%f : !x) each(%sum : tensor<6xf32>)
    }
    %y = moe.combine %p#0 by %q weighted : !x, !r
    %twice = arith.addf %u, %u : tensor<6xf32>
    moe.yield rows(%y : !x) each(%p#1, %twice : tensor<4x6xf32>, tensor<6xf32>)
  }
  %y = moe.combine %out#0 by %r weighted : !x, !o
  return %y, %out#1, %out#2 : !x, tensor<3x4x6xf32>, tensor<3x6xf32>
}

func.func @three_levels(%x: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "experts.{a}.{b}.{c}.w" : tensor<3x2x2x6x6xf32>
  %r = func.call @outer(%x, %m) : (!x, !moe.scope) -> !o
  %in = moe.dispatch %x by %r : !x, !o
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !o, (!x, tensor<3x2x2x6x6xf32>) -> !x {
    %l = tensor.extract_slice %v[0, 1, 2, 0] [1, 1, 2, 6] [1, 1, 1, 1] : tensor<2x2x6x6xf32> to tensor<2x6xf32>
    %s = moe.linear %t, %l : (!x, tensor<2x6xf32>) -> tensor<?x2xf32>
    %q = moe.route %s all : tensor<?x2xf32> -> !moe.routing<2, any>
    %qn = moe.normalize %q by softmax : !moe.routing<2, any>
    %i = moe.dispatch %t by %qn : !x, !moe.routing<2, any>
    %o = moe.expert by %qn rows(%a = %i) each(%b = %v) : !moe.routing<2, any>, (!x, tensor<2x2x6x6xf32>) -> !x {
      %k = tensor.extract_slice %b[1, 0, 0] [1, 2, 6] [1, 1, 1] : tensor<2x6x6xf32> to tensor<2x6xf32>
      %c = moe.linear %a, %k : (!x, tensor<2x6xf32>) -> tensor<?x2xf32>
      %d = moe.route %c top 1 : tensor<?x2xf32> -> !moe.routing<2, top 1>
      %e = moe.dispatch %a by %d : !x, !moe.routing<2, top 1>
      %f = moe.expert by %d rows(%g = %e) each(%h = %b) : !moe.routing<2, top 1>, (!x, tensor<2x6x6xf32>) -> !x {
        %n = moe.linear %g, %h : (!x, tensor<6x6xf32>) -> !x
        moe.yield %n : !x
      }
      %p = moe.combine %f by %d weighted : !x, !moe.routing<2, top 1>
      moe.yield %p : !x
    }
    %y = moe.combine %o by %qn weighted : !x, !moe.routing<2, any>
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r weighted : !x, !o
  return %y : !x
}

// Rows of one expert alone mix: attention, with the expert's as a segment; statistics of experts and of inner ones.
func.func @mixing(%x: !x, %m: !moe.scope) -> (!x, tensor<3x6xf32>, tensor<3x4xi32>) {
  %g = moe.param %m "inner" : tensor<3x4x6xf32>
  %w = moe.param %m "experts.{outer}.{inner}.w" : !w
  %own = moe.param %m "own" : tensor<3x6x6xf32>
  %r = func.call @outer(%x, %m) : (!x, !moe.scope) -> !o
  %in = moe.dispatch %x by %r : !x, !o
  %out:3 = moe.expert by %r rows(%t = %in) each(%gate = %g, %v = %w, %q = %own)
      : !o, (!x, tensor<3x4x6xf32>, !w, tensor<3x6x6xf32>) -> (!x, tensor<3x6xf32>, tensor<3x4xi32>) {
    %p = moe.linear %t, %q : (!x, tensor<6x6xf32>) -> !x
    %heads = moe.split %p : !x into tensor<?x2x3xf32>
    %keys = moe.split %t : !x into tensor<?x2x3xf32>
    %a = moe.attention %heads, %keys, %keys {scale = 0.5}
        : (tensor<?x2x3xf32>, tensor<?x2x3xf32>, tensor<?x2x3xf32>) -> tensor<?x2x3xf32>
    %b = tensor.collapse_shape %a [[0], [1, 2]] : tensor<?x2x3xf32> into !x
    %s = func.call @scores(%b, %gate) : (!x, tensor<4x6xf32>) -> !s
    %c = moe.route %s top 3 : !s -> !r
    %y = func.call @inner(%b, %c, %v) : (!x, !r, !wi) -> !x
    %sum = moe.reduce sum %y over 0 : !x -> tensor<6xf32>
    %n = moe.counts %c : !r -> tensor<4xi32>
    moe.yield rows(%y : !x) each(%sum, %n : tensor<6xf32>, tensor<4xi32>)
  }
  %y = moe.combine %out#0 by %r weighted : !x, !o
  return %y, %out#1, %out#2 : !x, tensor<3x6xf32>, tensor<3x4xi32>
}

// The only expert gets all that anybody gets.
func.func @single(%x: !x, %m: !moe.scope) -> (!x, tensor<1x6xf32>) {
  %g = moe.param %m "inner1" : tensor<1x4x6xf32>
  %w = moe.param %m "experts1.{outer}.{inner}.w" : tensor<1x4x6x6xf32>
  %f = moe.param %m "factor" : tensor<1xf32>
  %s0 = moe.reduce sum %x over 1 : !x -> tensor<?xf32>
  %t0 = moe.tokens %x : !x
  %score = tensor.expand_shape %s0 [[0, 1]] output_shape [%t0, 1] : tensor<?xf32> into tensor<?x1xf32>
  %r = moe.route %score greater_than 0.2 : tensor<?x1xf32> -> !moe.routing<1, any>
  %in = moe.dispatch %x by %r : !x, !moe.routing<1, any>
  %out:2 = moe.expert by %r rows(%t = %in) each(%gate = %g, %v = %w, %factor = %f)
      : !moe.routing<1, any>, (!x, tensor<1x4x6xf32>, tensor<1x4x6x6xf32>, tensor<1xf32>) -> (!x, tensor<1x6xf32>) {
    %s = func.call @scores(%t, %gate) : (!x, tensor<4x6xf32>) -> !s
    %p = moe.softmax %s over 0 : !s
    %c = moe.route %p top 3 : !s -> !r
    %y = func.call @inner(%t, %c, %v) : (!x, !r, !wi) -> !x
    %z = moe.broadcast %factor like %y : tensor<f32>, !x
    %q = arith.mulf %y, %z : !x
    %sum = moe.reduce sum %y over 0 : !x -> tensor<6xf32>
    moe.yield rows(%q : !x) each(%sum : tensor<6xf32>)
  }
  %y = moe.combine %out#0 by %r weighted : !x, !moe.routing<1, any>
  return %y, %out#1 : !x, tensor<1x6xf32>
}

// Inner experts of two kinds, whose rows also go elsewhere, under outer experts of two kinds.
func.func @kinds(%x: !x, %m: !moe.scope) -> (!x, tensor<?x6xbf16>) {
  %g = moe.param %m "inner" : tensor<3x4x6xf32>
  %w = moe.param %m "experts.{outer}.{inner}.w" : !w
  %own = moe.param %m "own" : tensor<3x6x6xf32>
  %own1 = tensor.extract_slice %own[0, 0, 0] [1, 6, 6] [1, 1, 1] : tensor<3x6x6xf32> to tensor<1x6x6xf32>
  %g2 = tensor.extract_slice %g[1, 0, 0] [2, 4, 6] [1, 1, 1] : tensor<3x4x6xf32> to tensor<2x4x6xf32>
  %w2 = tensor.extract_slice %w[1, 0, 0, 0] [2, 3, 6, 6] [1, 1, 1, 1] : !w to tensor<2x3x6x6xf32>
  %r = func.call @outer(%x, %m) : (!x, !moe.scope) -> !o
  %in = moe.dispatch %x by %r weighted : !x, !o
  %out:2 = moe.expert by %r rows(%t = %in) : !o, (!x) -> (!x, tensor<?x6xbf16>)
      range 0 to 1 each(%o = %own1) : (tensor<1x6x6xf32>) {
    %y = moe.linear %t, %o : (!x, tensor<6x6xf32>) -> !x
    %z = arith.truncf %t : !x to tensor<?x6xbf16>
    moe.yield %y, %z : !x, tensor<?x6xbf16>
  }
      range 1 to 3 each(%gate = %g2, %v = %w2) : (tensor<2x4x6xf32>, tensor<2x3x6x6xf32>) {
    %s = func.call @scores(%t, %gate) : (!x, tensor<4x6xf32>) -> !s
    %q = moe.route %s top 3 : !s -> !r
    %i = moe.dispatch %t by %q : !x, !r
    %e = moe.expert by %q rows(%a = %i) : !r, (!x) -> !x
        range 0 to 3 each(%b = %v) : (tensor<3x6x6xf32>) {
      %c = moe.linear %a, %b : (!x, tensor<6x6xf32>) -> !x
      moe.yield %c : !x
    }
        range 3 to 4 {
      moe.yield %a : !x
    }
    %y = moe.combine %e by %q weighted : !x, !r
    %z = arith.truncf %y : !x to tensor<?x6xbf16>
    moe.yield %y, %z : !x, tensor<?x6xbf16>
  }
  %twice = arith.addf %out#0, %out#0 : !x
  %y0 = moe.combine %out#0 by %r unweighted : !x, !o
  %y1 = moe.combine %twice by %r unweighted : !x, !o
  %y = arith.mulf %y0, %y1 : !x
  %z = moe.combine %out#1 by %r unweighted : tensor<?x6xbf16>, !o
  return %y, %z : !x, tensor<?x6xbf16>
}

// What has no form without the loop: segments with capacities of their own, and the loss of an inner routing.
func.func @not_flat(%x: !x, %m: !moe.scope) -> (!x, tensor<3xf32>) {
  %g = moe.param %m "inner" : tensor<3x4x6xf32>
  %w = moe.param %m "experts.{outer}.{inner}.w" : !w
  %r = func.call @outer(%x, %m) : (!x, !moe.scope) -> !o
  %e, %token, %slot, %weight = moe.pairs %r : !o -> !i, !i, !i, tensor<?xf32>
  %in = moe.dispatch %x by %r : !x, !o
  %out:2 = moe.expert by %r rows(%t = %in, %seg = %slot) each(%gate = %g, %v = %w)
      : !o, (!x, !i, tensor<3x4x6xf32>, !w) -> (!x, tensor<3xf32>) {
    %s = func.call @scores(%t, %gate) : (!x, tensor<4x6xf32>) -> !s
    %rows = moe.segment_size %seg : !i
    %c = moe.capacity %rows by mesh factor 0.7 experts 4 minimum 1 : !i
    %a = moe.route %s top 3 : !s -> !r
    %b = moe.limit %a to %c order choice overflow drop segments %seg : !r, !i, !i
    %loss = moe.balance_loss %s of %b counting all scale one : !s, !r
    %y = func.call @inner(%t, %b, %v) : (!x, !r, !wi) -> !x
    moe.yield rows(%y : !x) each(%loss : tensor<f32>)
  }
  %y = moe.combine %out#0 by %r weighted : !x, !o
  return %y, %out#1 : !x, tensor<3xf32>
}

func.func @loss_not_flat(%x: !x, %m: !moe.scope) -> (!x, tensor<3xf32>) {
  %g = moe.param %m "inner" : tensor<3x4x6xf32>
  %w = moe.param %m "experts.{outer}.{inner}.w" : !w
  %r = func.call @outer(%x, %m) : (!x, !moe.scope) -> !o
  %in = moe.dispatch %x by %r : !x, !o
  %out:2 = moe.expert by %r rows(%t = %in) each(%gate = %g, %v = %w)
      : !o, (!x, tensor<3x4x6xf32>, !w) -> (!x, tensor<3xf32>) {
    %s = func.call @scores(%t, %gate) : (!x, tensor<4x6xf32>) -> !s
    %c = moe.route %s top 3 : !s -> !r
    %y = func.call @inner(%t, %c, %v) : (!x, !r, !wi) -> !x
    %loss = moe.balance_loss %s of %c counting all scale one : !s, !r
    moe.yield rows(%y : !x) each(%loss : tensor<f32>)
  }
  %y = moe.combine %out#0 by %r weighted : !x, !o
  return %y, %out#1 : !x, tensor<3xf32>
}
