// expected-error @+1 {{is tested, found f32, expected 3 of them}}
// expected-error @+1 {{'a' op first alternative}}
// expected-error @+1 {{a parser's error}}
