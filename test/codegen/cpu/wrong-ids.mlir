// Ids that are no experts, or stand twice in a row: the message says which, and where. Tables are checked when weights are loaded.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: %if avx2 %{ not moe-run %t.so --function=pairs --input=2x3xi64=1,11,3,-5,12,-1 --level=avx2 2>&1 | FileCheck %s --check-prefix=EXPERT %}
// EXPERT: moe-run: 'pairs': expert 12 of row 1 is out of range, there are 12 experts
// RUN: %if avx2 %{ not moe-run %t.so --function=pairs --input=2x3xi64=1,-2,3,5,-1,5 --level=avx2 2>&1 | FileCheck %s --check-prefix=TWICE %}
// TWICE: moe-run: 'pairs': expert 5 stands twice in row 1, expected distinct experts
// RUN: %if avx2 %{ not moe-run %t.so --function=hashed --input=2xi64=0,1 --weights=%{golden}/hash_layers/random-v100-e8.safetensors --level=avx2 2>&1 | FileCheck %s --check-prefix=TABLE %}
// TABLE: moe-run: 'table': expert {{[567]}} of row {{[0-9]+}} is out of range, there are 5 experts

func.func @pairs(%ids: tensor<?x3xi64>) -> tensor<?x3xi32> {
  %t = grouped.check_ids %ids experts 12 : tensor<?x3xi64> -> tensor<?x3xi32>
  return %t : tensor<?x3xi32>
}

// The table is checked when weights are loaded; the file's has 8 experts.
func.func @hashed(%ids: tensor<?xi64>, %m: !moe.scope) -> tensor<?x1xi32> {
  %table = moe.param %m "table" : tensor<100x1xi64>
  %r = moe.lookup %ids in %table : tensor<?xi64>, tensor<100x1xi64> -> !moe.routing<5, top 1>
  %i = moe.indices %r : !moe.routing<5, top 1> -> tensor<?x1xi32>
  return %i : tensor<?x1xi32>
}
