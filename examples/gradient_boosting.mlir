// Gradient boosting (Friedman 2001; scikit-learn). Special: everybody visits all experts with one rate as the weight; each was fitted to what the ones before it left.
// Normal form: score the learning rate; select all; weight score; on output; experts given, one regression tree a stage; also + the first guess, the losses and what the next expert is fitted to.
!n = tensor<60xf64>          // one number per sample
!t = tensor<?xf64>
!i = tensor<?xi32>
!o = tensor<8x60xf64>        // what the trees of 8 stages say to the samples
!l = tensor<f64>
!r = !moe.routing<8, any>

// The first %stages trees: F = init + rate · sum of what they say.
func.func @predict(%outputs: !o, %rows: !i, %init: !l, %rate: f64, %stages: index) -> !t {
  %t = moe.tokens %rows : !i
  %like = tensor.empty(%t) : tensor<?x8xf64>
  %rates = moe.broadcast %rate like %like : f64, tensor<?x8xf64>
  %all = moe.route %rates all : tensor<?x8xf64> -> !r
  %number = arith.constant dense<[0, 1, 2, 3, 4, 5, 6, 7]> : tensor<8xindex>
  %mask = moe.map (%i = %number) : (tensor<8xindex>) -> tensor<8xi1> {
    %b = arith.cmpi ult, %i, %stages : index
    moe.yield %b : i1
  }
  %r = moe.keep %all where %mask : !r, tensor<8xi1>
  %in = moe.dispatch %rows by %r : !i, !r
  %out = moe.expert by %r rows(%s = %in) each(%o = %outputs) : !r, (!i, !o) -> !t {
    %y = moe.gather %o at %s : !n, !i -> !t
    moe.yield %y : !t
  }
  %sum = moe.combine %out by %r weighted : !t, !r
  %first = moe.broadcast %init like %sum : !l, !t
  %f = arith.addf %first, %sum : !t
  return %f : !t
}

// The mean squared and absolute error of F.
func.func @losses(%f: !t, %y: !t) -> (!l, !l) {
  %square, %size = moe.map (%a = %f, %b = %y) : (!t, !t) -> (!t, !t) {
    %d = arith.subf %a, %b : f64
    %s = arith.mulf %d, %d : f64
    %e = math.absf %d : f64
    moe.yield %s, %e : f64, f64
  }
  %t = moe.tokens %f : !t
  %t64 = arith.index_cast %t : index to i64
  %n = arith.sitofp %t64 : i64 to f64
  %count = tensor.from_elements %n : !l
  %s0 = moe.reduce sum %square over 0 : !t -> !l
  %e0 = moe.reduce sum %size over 0 : !t -> !l
  %s = arith.divf %s0, %count : !l
  %e = arith.divf %e0, %count : !l
  return %s, %e : !l, !l
}

// What the next tree is fitted to, the negative gradient of the loss: y - F of the squared error, its sign for the absolute one.
func.func @targets(%f: !t, %y: !t) -> (!t, !t) {
  %squared, %absolute = moe.map (%a = %f, %b = %y) : (!t, !t) -> (!t, !t) {
    %zero = arith.constant 0.0 : f64
    %up = arith.constant 1.0 : f64
    %down = arith.constant -1.0 : f64
    %d = arith.subf %b, %a : f64
    %more = arith.cmpf ogt, %d, %zero : f64
    %less = arith.cmpf olt, %d, %zero : f64
    %u = arith.select %more, %up, %zero : f64
    %s = arith.select %less, %down, %u : f64
    moe.yield %d, %s : f64, f64
  }
  return %squared, %absolute : !t, !t
}
