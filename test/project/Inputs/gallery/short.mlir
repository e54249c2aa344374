// One without a weight (arXiv 1234.56789). Special: it misses two parts.
// Normal form: score x W; select top 2; capacity.
