"""Two calls in turn.

timed     a call -> what makes it and says how many seconds it took
in_turn   what each of two calls says, round by round
summary   of two such lists of seconds
ratio     all of it
"""

import statistics
import time


def timed(call):
    def seconds():
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return seconds


def in_turn(without, with_, rounds):
    """([of the first], [of the second]), after one uncounted round. Which call comes first changes from round to round, so that a processor
    that slows down or speeds up favours neither."""
    said = {without: [], with_: []}
    for number in range(rounds + 1):
        for call in (without, with_) if number % 2 else (with_, without):
            said[call].append(call())
    return said[without][1:], said[with_][1:]


def summary(without, with_):
    """Ratio of the fastest, which other work on the machine disturbs least; and median, smallest and largest of the rounds' ratios."""
    found = [b / a for a, b in zip(without, with_, strict=True)]
    return {
        "of_fastest": round(min(with_) / min(without), 3),
        "median": round(statistics.median(found), 3),
        "smallest": round(min(found), 3),
        "largest": round(max(found), 3),
    }


def ratio(without, with_, rounds):
    return summary(*in_turn(without, with_, rounds))
