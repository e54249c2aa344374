// Below the circle.
int twice(int n) { return 2 * n; }
