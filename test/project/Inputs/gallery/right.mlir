// A right one (arXiv 1234.56789; a program). Special: nothing, but with a |.
// Normal form: score softmax(x Wᵀ); select top 2;
// weight score / 0.5; on output; also a loss.
