// Selections, edits and reads of routings with empty slots: thresholds, groups, tables, capacities, joins, losses.
!x = tensor<?x6xf32>
!s = tensor<?x6xf32>
!i = tensor<?xi32>
!r = !moe.routing<6, top 3>
!any = !moe.routing<6, any>
!take = !moe.routing<6, take>

func.func private @scores(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "gate" : tensor<6x6xf32>
  %l = moe.linear %x, %w : (!x, tensor<6x6xf32>) -> !s
  %s = moe.softmax %l : !s
  return %s : !s
}

// Numbers below 6, one a token: its best expert.
func.func private @numbers(%s: !s) -> !i {
  %r = moe.route %s top 1 : !s -> !moe.routing<6, top 1>
  %n = moe.indices %r : !moe.routing<6, top 1> -> tensor<?x1xi32>
  %f = tensor.collapse_shape %n [[0, 1]] : tensor<?x1xi32> into !i
  return %f : !i
}

func.func private @experts(%x: !x, %r: !r, %m: !moe.scope) -> !x {
  %w = moe.param %m "experts.{expert}.w" : tensor<6x6x6xf32>
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !r, (!x, tensor<6x6x6xf32>) -> !x {
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    moe.yield %a : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func private @any_experts(%x: !x, %r: !any, %m: !moe.scope) -> !x {
  %w = moe.param %m "experts.{expert}.w" : tensor<6x6x6xf32>
  %in  = moe.dispatch %x by %r weighted : !x, !any
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !any, (!x, tensor<6x6x6xf32>) -> !x {
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    moe.yield %a : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !any
  return %y : !x
}

func.func @groups(%x: !x, %m: !moe.scope) -> !x {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %s groups 3 keep 2 score sum 2 top 3 : !s -> !r
  %r = moe.normalize %g by sum plus 0.5 : !r
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}

// Many tokens choose nobody: their sum is 0.
func.func @threshold(%x: !x, %m: !moe.scope) -> !x {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %s greater_than 0.25 : !s -> !any
  %r = moe.normalize %g by sum : !any
  %y = func.call @any_experts(%x, %r, %m) : (!x, !any, !moe.scope) -> !x
  return %y : !x
}

func.func @top_p(%x: !x, %m: !moe.scope) -> (!x, tensor<?x6xf32>) {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %s top_p 0.5 : !s -> !any
  %r = moe.normalize %g by softmax : !any
  %y = func.call @any_experts(%x, %r, %m) : (!x, !any, !moe.scope) -> !x
  %t = moe.to_matrix %r : !any -> tensor<?x6xf32>
  return %y, %t : !x, tensor<?x6xf32>
}

func.func @expert_choice(%x: !x, %m: !moe.scope) -> (tensor<6xf32>, tensor<6xi32>) {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %t = moe.tokens %x : !x
  %c = moe.capacity %t by flaxformer factor 1.5 experts 6 minimum 1 : index
  %g = moe.route %s take %c : !s, index -> !take
  %r = moe.normalize %g by lp 2.3 : !take
  %i = moe.importance %r : !take -> tensor<6xf32>
  %n = moe.counts %r : !take -> tensor<6xi32>
  return %i, %n : tensor<6xf32>, tensor<6xi32>
}

// A table with an empty entry; scores weigh what is there.
func.func @table(%x: !x, %m: !moe.scope) -> (!x, tensor<?x6xf32>) {
  %f = moe.param %m "factors" : tensor<6xf32>
  %table = arith.constant dense<[[0, 1, 2], [3, -1, 5], [2, 4, 1], [5, 0, 3], [4, 1, -1], [1, 2, 3]]> : tensor<6x3xi32>
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %ids = func.call @numbers(%s) : (!s) -> !i
  %g = moe.lookup %ids in %table weights %s : !i, tensor<6x3xi32>, !s -> !r
  %n = moe.normalize %g by softmax : !r
  %r = moe.scale %n by %f : !r, tensor<6xf32>
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  %o = moe.lookup %ids in %table : !i, tensor<6x3xi32> -> !r
  %t = moe.to_matrix %o : !r -> tensor<?x6xf32>
  return %y, %t : !x, tensor<?x6xf32>
}

func.func @capacity(%x: !x, %m: !moe.scope) -> (!x, tensor<?x3xi32>, tensor<?x3xf32>) {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %seq = func.call @numbers(%s) : (!s) -> !i
  %t = moe.tokens %x : !x
  %c = moe.capacity %t by megatron factor 0.5 experts 6 choices 3 : index
  %z = moe.segment_size %seq : !i
  %d = moe.capacity %z by flaxformer factor 0.75 experts 6 minimum 1 : !i
  %g = moe.route %s top 3 : !s -> !r
  %a = moe.limit %g to %c order choice overflow drop : !r, index
  %b = moe.limit %a to %d order weight overflow drop segments %seq : !r, !i, !i
  %r = moe.normalize %b by sum : !r
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  %i = moe.indices %r : !r -> tensor<?x3xi32>
  %w = moe.weights %r : !r -> tensor<?x3xf32>
  return %y, %i, %w : !x, tensor<?x3xi32>, tensor<?x3xf32>
}

func.func @keep_and_join(%x: !x, %m: !moe.scope) -> (tensor<?x6xf32>, tensor<?x3xi32>) {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %mask = moe.map (%a = %s) : (!s) -> tensor<?x6xi1> {
    %half = arith.constant 0.15 : f32
    %c = arith.cmpf ogt, %a, %half : f32
    moe.yield %c : i1
  }
  %first = arith.constant dense<[true, true, false, true, false, true]> : tensor<6xi1>
  %p = moe.route %s top 2 : !s -> !moe.routing<6, top 2>
  %o = moe.route %s top 1 : !s -> !moe.routing<6, top 1>
  %k = moe.keep %p where %mask : !moe.routing<6, top 2>, tensor<?x6xi1>
  %j = moe.join %k, %o : !moe.routing<6, top 2>, !moe.routing<6, top 1> -> !r
  %e = moe.keep %j where %first : !r, tensor<6xi1>
  %i = moe.indices %e : !r -> tensor<?x3xi32>
  %w = moe.weights %e : !r -> tensor<?x3xf32>
  %f = moe.from_indices %i, %w : tensor<?x3xi32>, tensor<?x3xf32> -> !r
  %all = moe.route %s all : !s -> !any
  %both = moe.join %f, %all : !r, !any -> !any
  %n = moe.normalize %both by sum : !any
  %t = moe.to_matrix %n : !any -> tensor<?x6xf32>
  return %t, %i : tensor<?x6xf32>, tensor<?x3xi32>
}

func.func @losses(%x: !x, %m: !moe.scope) -> (tensor<f32>, tensor<f32>) {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %s top 3 : !s -> !r
  %a = moe.balance_loss %s of %g counting all scale one : !s, !r
  %b = moe.balance_loss %s of %g counting first scale choices : !s, !r
  return %a, %b : tensor<f32>, tensor<f32>
}

// In the f64 of the interpreter even ties and a deviation of 0 must not change.
func.func @statistics(%x: !x, %m: !moe.scope) -> (tensor<f32>, tensor<f32>, tensor<f32>, tensor<6xf32>, tensor<6xf32>) {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %z = moe.z_loss %x : !x
  %f = moe.reduce sum %x over 0 : !x -> tensor<6xf32>
  %c = moe.cv_squared %f plus 1.0e-10 : tensor<6xf32>
  %t = moe.reduce sum %x over 1 : !x -> tensor<?xf32>
  %d = moe.cv_squared %t plus 0.5 : tensor<?xf32>
  %n = arith.subf %s, %s : !s
  %k = moe.noisy_load %x, %s, %s top 3 : !s -> tensor<6xf32>
  %l = moe.noisy_load %s, %s, %n top 6 : !s -> tensor<6xf32>
  return %z, %c, %d, %k, %l : tensor<f32>, tensor<f32>, tensor<f32>, tensor<6xf32>, tensor<6xf32>
}
