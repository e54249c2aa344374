"""Every decision of the generator has a name and a list of options, the simplest first. A program is the dictionary of its
decisions, so that it can be written down, repeated, and reduced by making decisions simpler.
"""


class Choices:
    def __init__(self, rng=None, fixed=None, path="", made=None):
        self.rng, self.fixed, self.path = rng, fixed, path
        self.made = {} if made is None else made

    def at(self, name):
        return Choices(self.rng, self.fixed, f"{self.path}{name}.", self.made)

    def pick(self, name, options, weights=None):
        key = self.path + name
        if self.fixed is not None:
            index = min(self.fixed.get(key, 0), len(options) - 1)
        else:
            index = self.rng.choices(range(len(options)), weights)[0]
        self.made[key] = index
        return options[index]

    def chance(self, name, percent):
        return self.pick(name, [False, True], [100 - percent, percent])


def reduce(made, fails, budget):
    """Makes decisions simpler while `fails(decisions)`; tries at most `budget` programs."""
    best = {k: v for k, v in made.items() if v}
    tried, changed = 0, True
    while changed:
        changed = False
        for key in sorted(best, key=lambda k: (k.count("."), k)):
            for index in sorted({0, best.get(key, 0) // 2, best.get(key, 0) - 1}):
                if not 0 <= index < best.get(key, 0):
                    continue
                candidate = {k: v for k, v in best.items() if k != key} | ({key: index} if index else {})
                tried += 1
                if tried > budget:
                    return best
                if fails(candidate):
                    best, changed = candidate, True
                    break
    return best
