// Above the circle.
int even(int n);
int twice(int n);
int above(int n) { return even(twice(n)); }
