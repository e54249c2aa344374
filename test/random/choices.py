"""Every decision of the generator has a name and a list of options, the simplest first. A program is the dictionary of its
decisions, so that it can be written down, repeated, and reduced by making decisions simpler.
"""


class Choices:
    """`fixed`: a whole program; `forced`: single decisions, the others are random. `flow`: whether control flow is among what is
    drawn; the programs of a seed without it do not change."""

    def __init__(self, rng=None, fixed=None, path="", made=None, forced=None, flow=False):
        self.rng, self.fixed, self.path, self.forced, self.flow = rng, fixed, path, forced or {}, flow
        self.made = {} if made is None else made

    def at(self, name):
        return Choices(self.rng, self.fixed, f"{self.path}{name}.", self.made, self.forced, self.flow)

    def pick(self, name, options, weights=None):
        key = self.path + name
        if self.fixed is not None:
            index = min(self.fixed.get(key, 0), len(options) - 1)
        else:
            index = self.forced.get(key, self.rng.choices(range(len(options)), weights)[0])
        self.made[key] = index
        return options[index]

    def chance(self, name, percent):
        return self.pick(name, [False, True], [100 - percent, percent])


def reduce(made, fails, budget):
    """Makes decisions simpler while `fails(decisions)`; tries at most `budget` programs. First whole parts of a program go, then
    single decisions become the simplest, at last smaller ones of their kind."""
    best, seen = {k: v for k, v in made.items() if v}, set()

    def try_out(candidate):
        nonlocal best
        key = tuple(sorted(candidate.items()))
        if key in seen or len(seen) >= budget:
            return False
        seen.add(key)
        if not fails(candidate):
            return False
        best = candidate
        return True

    size = max(1, len(best) // 2)
    while len(seen) < budget:
        before, keys = dict(best), sorted(best)
        for i in range(0, len(keys), size):
            part = keys[i:i + size]
            try_out({k: v for k, v in best.items() if k not in part})
        if size > 1:
            size //= 2
        elif best == before:
            break
    changed = True
    while changed and len(seen) < budget:
        changed = False
        for key in sorted(best):
            for index in sorted({best[key] // 4, best[key] // 2, best[key] - 1} - {0}):
                if index < best[key] and try_out(best | {key: index}):
                    changed = True
                    break
    return best
