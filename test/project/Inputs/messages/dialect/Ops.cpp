LogicalResult A::verify() {
  if (a)
    return emitOpError("is tested, found ") << get("not a part", "of it") << ", expected "
                                            << 3 << " of them";
  if (b)
    return emitOpError("is not tested, found ") << x;
  if (c)
    return emitOpError(x ? "first alternative" : "second alternative");
  return parser.emitError(loc) << "a parser's "
                                  "error";
}
