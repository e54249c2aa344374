// A shared object that exports and needs one symbol too many.
void *malloc(unsigned long);
void *memset(void *, int, unsigned long);
void *helper(void) { return malloc(1); }
void *moe_layer(void *p) { return memset(p, 0, 8); }
