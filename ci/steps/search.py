"""Finds the step of a list at which something turns: no kernel in here."""
from steps.host import Failure


class Turn:
    """What was found: .last is before the turn, .first after it; .between are
    those that could not be judged."""
    def __init__(self, last, first, between, before, after):
        self.last, self.first, self.between = last, first, between
        self.before, self.after = before, after


def find(items, judge, cheap=lambda item: False):
    """The first of the items that judges as the last one does.

    judge(item): a word, or None when it cannot be told.  The first and the last
    must differ.  cheap(item): it costs little to judge; it is taken instead of
    the middle when it parts what is left no worse than one to three.
    """
    before, after = judge(items[0]), judge(items[-1])
    if before is None or after is None:
        raise Failure("build", f"the {'first' if before is None else 'last'} kernel cannot be "
                               "judged; choose another end with --from or --to")
    if before == after:
        raise Failure("test", f"it is {before} at both ends; --from and --to name others")
    low, high, dark = 0, len(items) - 1, set()
    while True:
        left = [i for i in range(low + 1, high) if i not in dark]
        if not left:
            between = [items[i] for i in sorted(dark) if low < i < high]
            return Turn(items[low], items[high], between, before, after)
        middle = (low + high) / 2
        near = [i for i in left if cheap(items[i])
                and min(i - low, high - i) * 4 >= high - low]
        chosen = min(near or left, key=lambda i: (abs(i - middle), i))
        word = judge(items[chosen])
        if word is None:
            dark.add(chosen)
        elif word == after:
            high = chosen
        else:
            low = chosen


def confirm(turn, judge, times=3):
    """Judge both sides of a turn several times: (words before, words after, firm)."""
    before = [judge(turn.last) for _ in range(times)]
    after = [judge(turn.first) for _ in range(times)]
    return before, after, set(before) == {turn.before} and set(after) == {turn.after}
