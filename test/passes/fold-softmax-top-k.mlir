// RUN: moe-opt --split-input-file --moe-fold-softmax-top-k %s | FileCheck %s
// RUN: %{python} %S/check_softmax_fold.py
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>

// CHECK-LABEL: func.func @folds(
// CHECK-SAME:    %[[L:.*]]: tensor<?x8xf32>
// CHECK-NEXT:    %[[G:.*]] = moe.route %[[L]] top 2
// CHECK-NEXT:    %[[R:.*]] = moe.normalize %[[G]] by softmax
// CHECK-NEXT:    %[[W:.*]] = moe.weights %[[R]]
// CHECK-NEXT:    %[[I:.*]] = moe.indices %[[G]]
func.func @folds(%l: !s) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  %i = moe.indices %g : !r -> tensor<?x2xi32>
  return %w, %i : tensor<?x2xf32>, tensor<?x2xi32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// The L1 norm of what a softmax gives is its sum; a key that is the weights is no key of its own.
// CHECK-LABEL: func.func @folds_lp1(
// CHECK:         moe.route %{{.*}} top 2
// CHECK-NEXT:    moe.normalize %{{.*}} by softmax
func.func @folds_lp1(%l: !s) -> tensor<?x2xf32> {
  %s = moe.softmax %l : !s
  %g = moe.route %s by %s top 2 : !s -> !r
  %r = moe.normalize %g by lp 1.0 : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_with_another_key(
// CHECK:         moe.softmax
// CHECK:         moe.normalize %{{.*}} by sum
func.func @not_with_another_key(%l: !s, %b: !s) -> tensor<?x2xf32> {
  %s = moe.softmax %l : !s
  %k = arith.addf %s, %b : !s
  %g = moe.route %s by %k top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_without_normalize(
// CHECK:         moe.softmax
func.func @not_without_normalize(%l: !s) -> tensor<?x2xf32> {
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %w = moe.weights %g : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_with_epsilon(
// CHECK:         moe.softmax
// CHECK:         moe.normalize %{{.*}} by sum plus
func.func @not_with_epsilon(%l: !s) -> tensor<?x2xf32> {
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum plus 1.0e-20 : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// The weights before normalize are wanted too.
// CHECK-LABEL: func.func @not_when_weights_are_read(
// CHECK:         moe.softmax
// CHECK:         moe.normalize %{{.*}} by sum
func.func @not_when_weights_are_read(%l: !s) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  %v = moe.weights %g : !r -> tensor<?x2xf32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %v, %w : tensor<?x2xf32>, tensor<?x2xf32>
}

// -----
!s = tensor<8x8xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_over_tokens(
// CHECK:         moe.softmax %{{.*}} over 0
// CHECK:         moe.normalize %{{.*}} by sum
func.func @not_over_tokens(%l: !s) -> tensor<?x2xf32> {
  %s = moe.softmax %l over 0 : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_with_at_least(
// CHECK:         moe.softmax
// CHECK:         moe.normalize %{{.*}} by sum at_least
func.func @not_with_at_least(%l: !s) -> tensor<?x2xf32> {
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum at_least 1.0e-9 : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_by_lp2(
// CHECK:         moe.softmax
// CHECK:         moe.normalize %{{.*}} by lp 2.0
func.func @not_by_lp2(%l: !s) -> tensor<?x2xf32> {
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by lp 2.0 : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// Groups are scored by probabilities.
// CHECK-LABEL: func.func @not_by_groups(
// CHECK:         moe.softmax
// CHECK:         moe.normalize %{{.*}} by sum
func.func @not_by_groups(%l: !s) -> tensor<?x2xf32> {
  %s = moe.softmax %l : !s
  %g = moe.route %s groups 4 keep 2 score sum 2 top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// -----
!s = tensor<?x8xbf16>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_in_bf16(
// CHECK:         moe.softmax
// CHECK:         moe.normalize %{{.*}} by sum
func.func @not_in_bf16(%l: !s) -> tensor<?x2xf32> {
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}
