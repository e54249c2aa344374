// Input of check_constraints.py.
static LogicalResult shared() {
  // moe.other, moe.second (C1)
  return success();
}
LogicalResult FirstOp::verify() {
  if (false) // (C1)
    return failure();
  return success(); // (C2)
}
LogicalResult SecondOp::verify() { return shared(); }
