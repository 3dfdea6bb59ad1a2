"""Is a history of reads and writes of one register linearizable? Exact, for writes with values that are unique.

A value's operations are its write and the reads that returned it. All of them must take effect in one stretch, in which the
register holds the value. With f the earliest end and s the latest start of these operations, the value is certainly held from f
to s when f < s (a "forward zone"); otherwise all of them overlap and can take effect together at any moment of [s, f] (a
"backward zone"). The history is linearizable exactly when no read ended before its write began, no two forward zones overlap,
and no backward zone lies within a forward one."""
from collections import namedtuple

INFINITE = float("inf")
NEVER = -1.0

# An operation of one register: value written or read, when it was sent and answered. A write whose outcome is unknown ends at INFINITE.
Op = namedtuple("Op", "kind value start end")


def check(ops, initial):
    """None, or what is wrong, of the operations of one register that holds `initial` at first."""
    writes = {initial: Op("w", initial, NEVER, NEVER)}
    reads = {}
    for op in ops:
        if op.kind == "w":
            if op.value in writes:
                raise ValueError("value %r is written twice" % (op.value,))
            writes[op.value] = op
        else:
            reads.setdefault(op.value, []).append(op)
    forward, backward = [], []
    for value, seen in reads.items():
        if value not in writes:
            return "value %r was read but never written" % (value,)
        if min(r.end for r in seen) < writes[value].start:
            return "value %r was read before it was written" % (value,)
    for value, write in writes.items():
        seen = reads.get(value, [])
        if write.end == INFINITE and not seen:
            continue  # it may never have happened
        cluster = seen + [write]
        first_end, last_start = min(o.end for o in cluster), max(o.start for o in cluster)
        if first_end < last_start:
            forward.append((first_end, last_start, value))
        else:
            backward.append((last_start, first_end, value))
    return _overlaps(sorted(forward), backward)


def _overlaps(forward, backward):
    for a, b in zip(forward, forward[1:]):
        if b[0] < a[1]:
            return "values %r and %r are both held between %.6f and %.6f" % (a[2], b[2], b[0], min(a[1], b[1]))
    starts = [f[0] for f in forward]
    from bisect import bisect_right
    for low, high, value in backward:
        i = bisect_right(starts, low) - 1
        if i >= 0 and forward[i][0] < low and high < forward[i][1]:
            return "value %r is held between %.6f and %.6f, while %r is" % (value, low, high, forward[i][2])
    return None


def self_test():
    w, r = (lambda v, a, b: Op("w", v, a, b)), (lambda v, a, b: Op("r", v, a, b))
    good = [
        [w(1, 0, 1), r(1, 2, 3)],
        [w(1, 0, 5), r(0, 1, 2), r(1, 3, 4)],
        [w(1, 0, 5), w(2, 0, 5), r(2, 6, 7)],
        [w(1, 0, INFINITE), r(0, 1, 2), r(1, 10, 11)],
        [w(1, 0, INFINITE), w(2, 1, 2), r(2, 3, 4)],
    ]
    bad = [
        [w(1, 0, 1), r(0, 2, 3)],  # stale
        [w(1, 0, 5), r(1, 1, 2), r(0, 3, 4)],  # back again
        [w(1, 2, 3), r(1, 0, 1)],  # from the future
        [r(7, 0, 1)],  # invented
        [w(1, 0, 1), w(2, 2, 3), r(1, 4, 5)],  # lost
        [w(1, 0, 1), w(2, 2, 3), r(2, 4, 5), r(1, 6, 7)],
    ]
    return all(check(h, 0) is None for h in good) and all(check(h, 0) is not None for h in bad)


if __name__ == "__main__":
    print("1 passed, 0 failed" if self_test() else "0 passed, 1 failed")
