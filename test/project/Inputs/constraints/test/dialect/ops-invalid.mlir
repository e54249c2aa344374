// Input of check_constraints.py.
// moe.first (C1), (C3)
// moe.second (C1)
