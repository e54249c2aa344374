// CPU code of experts whose rows mix, of several kinds of experts, and of results per expert, against the reference.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so mixing:0,1,9,40 ranges:1,23 statistics:17 only:0,1,40
!x = tensor<?x13xf32>
!s = tensor<?x6xf32>
!r = !moe.routing<6, top 2>

// Every row of an expert's group minus the group's mean, under a softmax over the group.
func.func @mixing(%x: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "router" : tensor<6x13xf32>
  %e = moe.param %m "{expert}.w" : tensor<6x13x13xf32>
  %l = moe.linear %x, %w : (!x, tensor<6x13xf32>) -> !s
  %g = moe.route %l top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%k = %e) : !r, (!x, tensor<6x13x13xf32>) -> !x {
    %a = moe.softmax %t over 0 : !x
    %b = arith.mulf %a, %t : !x
    %c = moe.reduce sum %b over 0 : !x -> tensor<13xf32>
    %v = moe.broadcast %c like %t : tensor<13xf32>, !x
    %f = moe.linear %t, %k : (!x, tensor<13x13xf32>) -> !x
    %z = arith.subf %f, %v : !x
    moe.yield %z : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// Two experts multiply, one is the identity, three give a vector of their own.
func.func @ranges(%x: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "router" : tensor<6x13xf32>
  %e = moe.param %m "{expert}.wide" : tensor<2x13x13xf32>
  %c = moe.param %m "{expert:3}.constant" : tensor<3x13xf32>
  %l = moe.linear %x, %w : (!x, tensor<6x13xf32>) -> !s
  %s = moe.sigmoid %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %in = moe.dispatch %x by %g : !x, !r
  %out = moe.expert by %g rows(%t = %in) : !r, (!x) -> !x
      range 0 to 2 each(%k = %e) : (tensor<2x13x13xf32>) {
    %f = moe.linear %t, %k in_out : (!x, tensor<13x13xf32>) -> !x
    %h = moe.silu %f : !x
    moe.yield %h : !x
  } range 2 to 3 {
    moe.yield %t : !x
  } range 3 to 6 each(%v = %c) : (tensor<3x13xf32>) {
    %b = moe.broadcast %v like %t : tensor<13xf32>, !x
    moe.yield %b : !x
  }
  %y = moe.combine %out by %g weighted : !x, !r
  return %y : !x
}

func.func @statistics(%x: !x, %m: !moe.scope) -> (!x, tensor<6x13xf32>) {
  %w = moe.param %m "router" : tensor<6x13xf32>
  %l = moe.linear %x, %w : (!x, tensor<6x13xf32>) -> !s
  %g = moe.route %l top 2 : !s -> !r
  %in = moe.dispatch %x by %g : !x, !r
  %out, %sums = moe.expert by %g rows(%t = %in) : !r, (!x) -> (!x, tensor<6x13xf32>) {
    %c = moe.reduce sum %t over 0 : !x -> tensor<13xf32>
    %a = moe.relu2 %t : !x
    moe.yield rows(%a : !x) each(%c : tensor<13xf32>)
  }
  %y = moe.combine %out by %g unweighted : !x, !r
  return %y, %sums : !x, tensor<6x13xf32>
}

// One expert, which some tokens visit, has no loop: its rows mix in phases of their own, a product among them.
func.func @only(%x: !x, %m: !moe.scope) -> (!x, tensor<1x13xf32>) {
  %g = moe.param %m "only" : tensor<1x13xf32>
  %w = moe.param %m "{expert}.only" : tensor<1x13x13xf32>
  %s = moe.linear %x, %g : (!x, tensor<1x13xf32>) -> tensor<?x1xf32>
  %p = moe.sigmoid %s : tensor<?x1xf32>
  %r = moe.route %p greater_than 0.5 : tensor<?x1xf32> -> !moe.routing<1, any>
  %in = moe.dispatch %x by %r : !x, !moe.routing<1, any>
  %out, %top = moe.expert by %r rows(%t = %in) each(%v = %w) : !moe.routing<1, any>, (!x, tensor<1x13x13xf32>) -> (!x, tensor<1x13xf32>) {
    %a = moe.linear %t, %v : (!x, tensor<13x13xf32>) -> !x
    %b = moe.softmax %a over 0 : !x
    %c = moe.reduce sum %t over 0 : !x -> tensor<13xf32>
    moe.yield rows(%b : !x) each(%c : tensor<13xf32>)
  }
  %y = moe.combine %out by %r weighted : !x, !moe.routing<1, any>
  return %y, %top : !x, tensor<1x13xf32>
}
