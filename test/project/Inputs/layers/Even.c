// Uses Odd.c, which uses it.
int odd(int n);
int even(int n) { return n == 0 || odd(n - 1); }
