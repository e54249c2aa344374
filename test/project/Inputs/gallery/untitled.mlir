// One without a source. Normal form: score x W; select top 2; weight score; on output.
