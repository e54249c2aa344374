// One with wrong parts (arXiv 1234.56789). Special: everything.
// Normal form: select top 2; score x W; renormalise never; weight score; on experts.
