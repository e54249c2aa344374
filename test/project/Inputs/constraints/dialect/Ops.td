// Input of check_constraints.py.
def Moe_FirstOp : Moe_Op<"first"> {
  let description = [{
    * (C1) checked and tested.
    * (C2) checked only.
    * (C3) tested only.
  }];
}
def Moe_SecondOp : Moe_Op<"second"> {
  let description = [{
    * (C1) checked by a shared function, and tested.
  }];
}
